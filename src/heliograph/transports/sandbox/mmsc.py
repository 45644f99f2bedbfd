"""A simulated MMSC: a real MM7 server over HTTP whose subscribers behave by the last digits of their number.

docs/sandbox.md lists the scenarios. It keeps the newest messages as files, to look at, and delivers nothing onward.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, encode_basic_auth, web

from heliograph.transports.base import Mms
from heliograph.transports.memory import Recent
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import Dialect, Envelope, Malformed, Tree
from heliograph.transports.mm7.package import CONTENT_ID, opened, packed
from heliograph.transports.sandbox.mmsfolder import Kept

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a request."""
BUSY: Final = 3
"""How often a busy subscriber's message is put off."""
REMEMBERED: Final = 10_000
MOST_REPORT_TRIES: Final = 5
PATIENCE: Final = 20.0

log = structlog.get_logger(__name__)


class Scenario(msgspec.Struct, frozen=True):
    """What becomes of a message. `status` empty: no report. `reply`: a text that comes back; `echo`: with its files."""

    code: int = envelope.SUCCESS
    words: str = "Success"
    status: str = "Retrieved"
    delayed: bool = False
    busy: bool = False
    dropped: bool = False
    reports: int = 1
    reply: str = ""
    echo: bool = False


ORDINARY: Final = Scenario()
SCENARIOS: Final = {
    "999001": Scenario(status="Rejected"),
    "999002": Scenario(delayed=True),
    "999003": Scenario(status=""),
    "999004": Scenario(code=envelope.ADDRESS_ERROR, words="Address error"),
    "999005": Scenario(busy=True),
    "999006": Scenario(reply="STOP"),
    "999007": Scenario(reply="Have a look", echo=True),
    "999008": Scenario(status="Expired"),
    "999009": Scenario(dropped=True),
    "999010": Scenario(reports=2),
    "999011": Scenario(code=envelope.CONTENT_REFUSED, words="Multimedia content refused"),
}


class SimulatedMmsc:
    """An MMSC. Its counters are `counts`: submits, taken, reports, acknowledged, mo, undelivered.

    Reports and replies go to `report_to` (URL, name, password) `report_delay` seconds after the answer, delayed ones
    after `long_delay`; what is not acknowledged comes again after `retry_delay`.
    """

    def __init__(
        self, folder: Path, *, report_delay: float = 0.02, long_delay: float = 30.0, retry_delay: float = 1.0
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.report_to: tuple[str, str, str] = ("", "", "")
        self._report_delay, self._long_delay, self._retry_delay = report_delay, long_delay, retry_delay
        self._kept = Kept(folder)
        self._numbers = itertools.count(time.time_ns())
        self._known: Recent[str, str] = Recent(REMEMBERED)
        self._tries: Recent[str, int] = Recent(REMEMBERED)
        self._later: set[asyncio.Task[None]] = set()
        self._server: Listener | None = None
        self._client: ClientSession | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; the port (a free one for 0). Raises OSError when it is taken or the folder cannot be."""
        await asyncio.to_thread(self._kept.prepare)
        self._client = ClientSession(timeout=ClientTimeout(total=PATIENCE))
        self._server = Listener(self._submitted)
        return await self._server.start(port)

    async def stop(self) -> None:
        """Stop listening, cut what is under way, forget what was to come."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        if self._server is not None:
            await self._server.stop()
        if self._client is not None:
            await self._client.close()
        self._server = self._client = None

    async def quiet(self, seconds: float) -> None:
        """Wait until everything that was to come is out, but for what is delayed, at most so long."""
        soon = {task for task in self._later if task.get_name() != "delayed"}
        if soon:
            await asyncio.wait(soon, timeout=seconds)

    async def _submitted(self, request: web.Request) -> web.StreamResponse:
        """A SubmitReq, checked against the schema's order, and answered as its recipient's scenario says."""
        try:
            soap, message = opened(request.headers.get("Content-Type", ""), await request.read())
            asked = envelope.read(soap)
            wrong = envelope.misplaced(asked)
            if wrong or asked.name != "SubmitReq":
                raise Malformed(wrong or f"{asked.name} is not taken here")
        except Malformed as problem:
            return _answer(Dialect(), "", envelope.CORRUPT, f"Message format corrupt: {problem}")
        self.counts["submits"] += 1
        scenario = SCENARIOS.get(_recipient(asked)[-6:], ORDINARY)
        tried = self._tries.get(asked.transaction_id) or 0
        self._tries.put(asked.transaction_id, tried + 1)
        if scenario.busy and tried < BUSY:
            return _answer(asked.dialect, asked.transaction_id, envelope.SERVER_ERROR, "Server busy")
        if scenario.code != envelope.SUCCESS:
            return _answer(asked.dialect, asked.transaction_id, scenario.code, scenario.words)
        message_id = await self._taken(asked, message, scenario)
        if scenario.dropped and not tried and request.transport is not None:
            request.transport.abort()
        return _answer(asked.dialect, asked.transaction_id, envelope.SUCCESS, scenario.words, message_id)

    async def _taken(self, asked: Envelope, message: Mms, scenario: Scenario) -> str:
        """The id of a message, which is stored and reported once, however often its TransactionID comes."""
        before = self._known.get(asked.transaction_id)
        if before:
            return before
        message_id = f"mm{next(self._numbers)}"
        self._known.put(asked.transaction_id, message_id)
        self.counts["taken"] += 1
        await asyncio.to_thread(self._kept.store, _sender(asked), _recipient(asked), asked.text("Subject"), message)
        task = asyncio.create_task(self._reported(asked, message, message_id, scenario))
        task.set_name("delayed" if scenario.delayed else "soon")
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return message_id

    async def _reported(self, asked: Envelope, message: Mms, message_id: str, scenario: Scenario) -> None:
        await asyncio.sleep(self._long_delay if scenario.delayed else self._report_delay)
        sender, recipient = _sender(asked), _recipient(asked)
        for _ in range(scenario.reports if scenario.status else 0):
            report: Tree = [
                ("MM7Version", asked.dialect.version),
                ("MessageID", message_id),
                ("Recipient", [("Number", recipient)]),
                ("Sender", [("Number", sender)]),
                ("Date", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
                ("MMStatus", scenario.status),
            ]
            await self._told("reports", asked.dialect, "DeliveryReportReq", report, None)
        if scenario.reply:
            back = Mms("", scenario.reply, message.media if scenario.echo else ())
            await self._told("mo", asked.dialect, "DeliverReq", _delivery(asked, sender, recipient), back)

    async def _told(self, what: str, dialect: Dialect, name: str, body: Tree, message: Mms | None) -> None:
        """Tell the other end, until it acknowledges."""
        assert self._client is not None
        transaction = f"mmsc{next(self._numbers)}"
        kind, octets = await packed(envelope.write(dialect, name, transaction, body), message)
        url, username, password = self.report_to
        login = encode_basic_auth(username, password)
        headers = {"Content-Type": kind, "SOAPAction": '""', "Authorization": login}
        for _ in range(MOST_REPORT_TRIES):
            self.counts[what] += 1
            try:
                async with self._client.post(url, data=octets, headers=headers) as answer:
                    said = envelope.read(await answer.read())
            except (ClientError, OSError, TimeoutError, Malformed):
                said = None
            if said is not None and said.transaction_id == transaction and said.status[0] == envelope.SUCCESS:
                self.counts["acknowledged"] += 1
                return
            await asyncio.sleep(self._retry_delay)
        self.counts["undelivered"] += 1
        log.warning("mmsc.undelivered", what=name)


def _delivery(asked: Envelope, sender: str, recipient: str) -> Tree:
    """The children of a DeliverReq that answers a message."""
    return [
        ("MM7Version", asked.dialect.version),
        ("Sender", [("Number", recipient)]),
        ("Recipients", [("To", [("Number", sender)])]),
        ("TimeStamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        ("Content", {"href": f"cid:{CONTENT_ID}"}),
    ]


def _sender(asked: Envelope) -> str:
    address = ("SenderIdentification", "SenderAddress")
    return asked.text(*address, "Number") or asked.text(*address, "ShortCode")


def _recipient(asked: Envelope) -> str:
    return asked.text("Recipients", "To", "Number") or asked.text("Recipients", "To", "ShortCode")


def _answer(dialect: Dialect, transaction_id: str, code: int, words: str, message_id: str = "") -> web.Response:
    tree: list[Any] = [
        ("MM7Version", dialect.version or "6.8.0"),
        ("Status", [("StatusCode", str(code)), ("StatusText", words)]),
    ]
    if message_id:
        tree.append(("MessageID", message_id))
    body = envelope.write(dialect, "SubmitRsp", transaction_id, tree)
    return web.Response(body=body, content_type="text/xml", charset="utf-8")


class Listener:
    """An HTTP server on loopback with one handler, for what comes by POST."""

    def __init__(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        application = web.Application(client_max_size=LARGEST)
        application.router.add_post("/", handler)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; the port (a free one for 0). Raises OSError when it is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening, and cut every connection."""
        await self._runner.cleanup()
