"""A simulated SMSC: a real SMPP 3.4 server whose subscribers behave by the last digits of their number.

The scenarios stand in docs/sandbox.md. It keeps counters, never the messages.
"""

import asyncio
import itertools
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

import msgspec
import structlog

from heliograph.transports.smpp import text
from heliograph.transports.smpp.pdu import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    DELIVER_SM,
    GENERIC_NACK,
    MESSAGE_STATE,
    RECEIPT_TYPE,
    RECEIPTED_MESSAGE_ID,
    SUBMIT_SM,
    UDHI,
    Message,
    Pdu,
    PduError,
    cstring,
    frame,
    message_body,
    read_bind,
    read_message,
)
from heliograph.transports.smpp.session import Session

BINDS = (BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER)
THROTTLED_TIMES = 3
FLUSH = 0.02
MOST_REMEMBERED = 10_000
log = structlog.get_logger(__name__)


class Scenario(msgspec.Struct, frozen=True):
    """How a subscriber behaves. `stat` None: no receipt. `reply`: an MO that comes back ("" echoes the text)."""

    status: int = 0
    stat: str | None = "DELIVRD"
    state: int = 2
    error: str = "000"
    delayed: bool = False
    receipts: int = 1
    reply: str | None = None
    throttled: bool = False
    dropped: bool = False


SCENARIOS = {
    "999001": Scenario(stat="UNDELIV", state=5, error="001"),
    "999002": Scenario(delayed=True),
    "999003": Scenario(stat=None),
    "999004": Scenario(status=0x0B),
    "999005": Scenario(throttled=True),
    "999006": Scenario(reply="STOP"),
    "999007": Scenario(reply=""),
    "999008": Scenario(stat="EXPIRED", state=3, error="003"),
    "999009": Scenario(dropped=True),
    "999010": Scenario(receipts=2),
}
ORDINARY = Scenario()


class SimulatedSmsc:
    """An SMSC on loopback. Receipts come within `receipt_delay` seconds, the delayed ones after `long_delay`."""

    def __init__(
        self,
        *,
        system_id: str = "",
        password: str = "",
        receipt_delay: float = FLUSH,
        long_delay: float = 30.0,
        on_message: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._credentials = (system_id, password)
        self._delays = (receipt_delay, long_delay)
        self._on_message = on_message
        self._server: asyncio.Server | None = None
        self._sessions: list[Session] = []
        self._receivers: list[Session] = []
        self._ids = itertools.count(int(time.time()) << 20)
        self._seen: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._pending: list[tuple[Session, bytes]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._parts = text.Parts()
        self.counts: Counter[str] = Counter()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        for timer in self._timers:
            timer.cancel()
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self) -> Session:
        session = Session(self._requests, self._closed)
        self._sessions.append(session)
        return session

    def _closed(self, session: Session) -> None:
        self._sessions.remove(session)
        if session in self._receivers:
            self._receivers.remove(session)

    async def deliver(self, sender: str, recipient: str, body: str) -> bool:
        """Send an MO to the oldest receiver; whether it was acknowledged."""
        if not self._receivers:
            return False
        unicode = any(ord(char) > 0xFF for char in body)
        data = text.encode(body, unicode, "gsm")
        coding = 8 if unicode else 0
        size = 134 if unicode else 153
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        heads = text.headers(len(pieces)) if len(pieces) > 1 else [b""]
        for head, piece in zip(heads, pieces, strict=True):
            mo = Message(
                source_ton=1,
                source_npi=1,
                source=sender.lstrip("+"),
                dest=recipient.lstrip("+"),
                esm_class=UDHI if head else 0,
                data_coding=coding,
                short_message=head + piece,
            )
            answer = await self._receivers[0].ask(DELIVER_SM, message_body(mo))
            if answer is None or answer.status:
                return False
        self.counts["mo"] += 1
        return True

    async def _requests(self, session: Session, pdus: Sequence[Pdu]) -> None:
        for pdu in pdus:
            if pdu.command in BINDS:
                self._bind(session, pdu)
            elif pdu.command != SUBMIT_SM:
                session.write(frame(GENERIC_NACK, pdu.sequence, status=0x03))
            elif not session.bound:
                session.respond(pdu, status=0x04)
            else:
                try:
                    self._submit(session, pdu, read_message(pdu.body))
                except PduError as problem:
                    session.respond(pdu, status=problem.status)

    def _bind(self, session: Session, pdu: Pdu) -> None:
        try:
            given = read_bind(pdu.body)
        except PduError as problem:
            session.respond(pdu, status=problem.status)
            return
        if self._credentials[0] and given != self._credentials:
            session.respond(pdu, status=0x0E)
            session.close()
            return
        session.bound = True
        session.system_id = given[0]
        session.respond(pdu, cstring("heliograph-smsc"))
        if pdu.command != BIND_TRANSMITTER:
            self._receivers.append(session)
        self.counts["binds"] += 1

    def _submit(self, session: Session, pdu: Pdu, message: Message) -> None:
        scenario = SCENARIOS.get(message.dest[-6:], ORDINARY)
        if scenario.status:
            session.respond(pdu, status=scenario.status)
            return
        tries = self._tries(message) if scenario.throttled or scenario.dropped else 0
        if scenario.throttled and tries <= THROTTLED_TIMES:
            session.respond(pdu, status=0x58)
            return
        if scenario.dropped and tries == 1:
            session.abort()
            return
        remote_id = f"{next(self._ids):x}"
        session.respond(pdu, cstring(remote_id))
        self.counts["submits"] += 1
        if message.registered_delivery & 1 and scenario.stat is not None:
            self._report(session, message, remote_id, scenario)
        if scenario.reply is not None or self._on_message is not None:
            for whole in self._parts.add(message, "gsm"):
                self._arrived(message, whole, scenario)

    def _tries(self, message: Message) -> int:
        key = (message.dest, message.payload)
        self._seen[key] = self._seen.get(key, 0) + 1
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return self._seen[key]

    def _arrived(self, message: Message, whole: str, scenario: Scenario) -> None:
        if self._on_message is not None:
            self._on_message(message.source, message.dest, whole)
        if scenario.reply is not None:
            body = scenario.reply or whole
            self._later(self._delays[0], lambda: self._reply(message.dest, message.source, body))

    def _reply(self, sender: str, recipient: str, body: str) -> None:
        task = asyncio.ensure_future(self.deliver(sender, recipient, body))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _report(self, session: Session, message: Message, remote_id: str, scenario: Scenario) -> None:
        """Queue the receipt; those of the same moment go out in one write."""
        stamp = time.strftime("%y%m%d%H%M", time.gmtime())
        words = (
            f"id:{remote_id} sub:001 dlvrd:{'001' if scenario.state == 2 else '000'} submit date:{stamp} "
            f"done date:{stamp} stat:{scenario.stat} err:{scenario.error} text:"
        )
        body = message_body(
            Message(
                source_ton=message.dest_ton,
                source_npi=message.dest_npi,
                source=message.dest,
                dest=message.source,
                esm_class=RECEIPT_TYPE,
                short_message=words.encode(),
                tlvs={RECEIPTED_MESSAGE_ID: cstring(remote_id), MESSAGE_STATE: bytes((scenario.state,))},
            )
        )
        if scenario.delayed:
            self._later(self._delays[1], lambda: self._send([(session, body)]))
            return
        if not self._pending:
            self._later(self._delays[0], self._flush)
        self._pending.extend([(session, body)] * scenario.receipts)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self._send(pending)

    def _send(self, reports: Sequence[tuple[Session, bytes]]) -> None:
        """Receipts go to the session of their message, or to any receiver when that one is gone."""
        for session, body in reports:
            target = session if session in self._receivers else next(iter(self._receivers), None)
            if target is not None:
                self.counts["receipts"] += 1
                target.write(target.request(DELIVER_SM, body, lambda _: None))

    def _later(self, delay: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(delay, run)
        self._timers.add(timer)
