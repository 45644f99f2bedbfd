"""Multimedia messages to a carrier's MMSC over MM7 (3GPP TS 23.140): the client's side. Knows nothing of who pays."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import aiohttp
import structlog

from heliograph.settings import Mm7Options
from heliograph.transports.base import Events, Failed, Mms, Outcome, Outgoing, Retry, Sent
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import SCHEMAS, VERSIONS, Dialect, Envelope, Malformed, Tree
from heliograph.transports.mm7.package import CONTENT_ID, opened, packed
from heliograph.transports.tls import client_context

AWAY = 5.0
"""Seconds until a message is tried again that met no MMSC, or whose answer did not come."""
LATER = 60.0
"""Seconds until a message is tried again that the MMSC put off, and until it is asked again whether it knows us."""
LONGEST_LATER = 3600.0
"""A `Retry-After` counts up to this many seconds."""
GRACE = 5.0
"""Seconds that requests under way get to end when the transport closes."""
LOOK, LOOK_AGAIN = 1.0, 30.0
"""Seconds between two looks for an MMSC that is away, and for one that was there."""
KEEP_ALIVE = 4.0
"""Seconds: less than the 5 s after which common servers drop an idle connection."""
QUEUE = 4
"""Messages that may wait for one connection."""
LARGEST_ANSWER = 100_000
SHORT_CODE = 8
"""Digits of the longest short code."""
LONGEST_WORDS = 500

log = structlog.get_logger(__name__)


def dialect_of(options: Mm7Options) -> Dialect:
    """The namespace and the version that a carrier wants."""
    release = options.release
    namespace = release if "://" in release else SCHEMAS + release
    return Dialect(namespace, options.version or VERSIONS.get(namespace.removeprefix(SCHEMAS), "6.8.0"))


def submit_request(options: Mm7Options, message: Outgoing, subject: str) -> Tree:
    """The children of a SubmitReq, in the order of the schema."""
    dialect = dialect_of(options)
    identification: list[tuple[str, str | Tree | Mapping[str, str]]] = [
        (name, value) for name, value in (("VASPID", options.vasp_id), ("VASID", options.vas_id)) if value
    ]
    identification.append(("SenderAddress", [_address(options, message.sender, options.sender_form)]))
    tree: list[tuple[str, str | Tree | Mapping[str, str]]] = [
        ("MM7Version", dialect.version),
        ("SenderIdentification", identification),
        ("Recipients", [("To", [_address(options, message.recipient, "number")])]),
        ("ServiceCode", options.service_code),
        ("MessageClass", "Personal"),
        ("TimeStamp", _stamp(time.time())),
        ("ExpiryDate", _stamp(message.valid_until)),
        ("DeliveryReport", "true"),
        ("ReadReply", "true" if options.read_reply else ""),
        ("Priority", "Normal"),
        ("Subject", subject),
        ("Content", {"href": f"cid:{CONTENT_ID}", "allowAdaptations": "true"}),
    ]
    return [(name, value) for name, value in tree if value and name not in options.omit]


def _address(options: Mm7Options, address: str, form: str) -> tuple[str, str]:
    digits = address.removeprefix("+")
    short = form == "short-code" or (form == "auto" and (not digits.isdigit() or len(digits) <= SHORT_CODE))
    if short:
        return "ShortCode", digits
    return "Number", f"+{digits}" if options.plus else digits


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Mm7Transport:
    """One MMSC, over at most `options.connections` requests at once; one recipient a request.

    HTTP has no connection that stands while nothing is sent. So the MMSC counts as there when something listens at its
    address, until a request, or the next look, meets nothing.
    """

    def __init__(self, name: str, options: Mm7Options, *, look_again: float = LOOK_AGAIN) -> None:
        self.name = name
        self._options = options
        self._dialect = dialect_of(options)
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(options.connections)
        self._running: set[asyncio.Task[Outcome]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._open = False
        self._there = False
        self._unknown_until = 0.0
        self._look_again = look_again

    @property
    def connected(self) -> bool:
        """Whether the MMSC is there, and takes our name and password."""
        return self._open and self._there and asyncio.get_running_loop().time() >= self._unknown_until

    ready = connected

    @property
    def capacity(self) -> int:
        """Messages that it is sensible to have inside `send` at once."""
        return self._options.connections * QUEUE

    async def open(self, events: Events) -> None:
        """Start to look for the MMSC. It reports by requests of its own (inbox.py), so `events` is not used."""
        options = self._options
        trust = await client_context(options.tls_ca) if options.url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.connections, ssl=trust, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=options.timeout),
            headers={"SOAPAction": '""', "User-Agent": "Heliograph", **_credentials(options)},
            auto_decompress=False,
        )
        self._open = True
        self._keeper = asyncio.create_task(self._keep())

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over; one outcome for each message, in order."""
        tasks = [asyncio.create_task(self._deliver(message)) for message in batch]
        for task in tasks:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await asyncio.gather(*tasks)

    async def close(self) -> None:
        """Let requests under way end (GRACE seconds). Those that did not begin are told to try again."""
        self._open = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _keep(self) -> None:
        """Look whether something listens. Whether it is an MMSC, and takes our name, shows with the next message."""
        host, port = self._options.address
        while True:
            try:
                async with asyncio.timeout(self._options.timeout):
                    _, writer = await asyncio.open_connection(host, port)
            except (OSError, TimeoutError, UnicodeError) as problem:
                self._seen(there=False, problem=str(problem))
            else:
                writer.close()
                self._seen(there=True)
            await asyncio.sleep(self._look_again if self._there else LOOK)

    async def _deliver(self, message: Outgoing) -> Outcome:
        if not isinstance(message.content, Mms):
            return Failed(None, "An MMSC takes nothing but multimedia messages")
        content = message.content
        try:
            soap = envelope.write(
                self._dialect,
                "SubmitReq",
                message.key.message_id,
                submit_request(self._options, message, content.subject),
            )
        except ValueError:
            return Failed(None, "The subject has characters that XML cannot hold")
        kind, body = await packed(soap, content)
        began = False
        try:
            async with self._places:
                if not (self._open and self._there):
                    return Retry(AWAY, "The MMSC gives no connection", waiting=not self._there)
                began = True
                return await self._posted(kind, body)
        except asyncio.CancelledError:
            if self._open:
                raise
            return Retry(AWAY, "The MMSC did not answer in time", maybe_sent=began)

    async def _posted(self, kind: str, body: bytes) -> Outcome:
        """One request. Its TransactionID is the message's id: an MMSC that got it before can tell."""
        assert self._session is not None
        try:
            async with self._session.post(self._options.url, data=body, headers={"Content-Type": kind}) as answer:
                octets = await answer.content.read(LARGEST_ANSWER)
        except aiohttp.ClientConnectorError as problem:
            self._seen(there=False, problem=str(problem))
            return Retry(AWAY, "The MMSC gives no connection", waiting=True)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Retry(AWAY, "The MMSC did not answer", maybe_sent=True)
        if answer.status in (401, 403):
            self._unknown_until = asyncio.get_running_loop().time() + LATER
            log.error("mm7.login_refused", transport=self.name, status=answer.status)
            return Retry(LATER, "The MMSC does not know our name or password", answer.status, waiting=True)
        pause = _retry_after(answer.headers.get("Retry-After", ""))
        said = _read(answer.headers.get("Content-Type", ""), octets, self._dialect.namespace)
        if said is not None and said.status[0]:
            return self._judged(said, pause)
        if answer.status == 429 or answer.status >= 500:
            return Retry(pause, f"The MMSC answered HTTP {answer.status}", answer.status)
        if answer.status >= 400:
            return Failed(answer.status, f"The MMSC answered HTTP {answer.status}")
        return Retry(AWAY, "The MMSC gave an answer that is no MM7", answer.status, maybe_sent=True)

    def _judged(self, said: Envelope, pause: float) -> Outcome:
        """What an answer in MM7 means. Not every 3xxx may be tried again: which codes may is a setting."""
        code, words = said.status
        text = f"{code} {words}".strip()[:LONGEST_WORDS].rstrip(".")
        if said.name == "SubmitRsp" and code in (envelope.SUCCESS, envelope.PARTLY):
            remote_id = said.text("MessageID")
            return Sent((remote_id,) if remote_id else (), text)
        if code in self._options.retry:
            return Retry(pause, text, code)
        return Failed(code, text)

    def _seen(self, *, there: bool, problem: str = "") -> None:
        """Note whether the MMSC is there, and log a change."""
        if there and not self._there:
            log.info("mm7.there", transport=self.name)
        elif self._there and not there:
            log.warning("mm7.away", transport=self.name, problem=problem)
        self._there = there


def _credentials(options: Mm7Options) -> Mapping[str, str]:
    if not options.username:
        return {}
    return {"Authorization": aiohttp.encode_basic_auth(options.username, options.password, "utf-8")}


def _read(content_type: str, octets: bytes, namespace: str) -> Envelope | None:
    try:
        return envelope.read(opened(content_type, octets)[0], namespace)
    except Malformed:
        return None


def _retry_after(header: str) -> float:
    """Seconds that an answer asks to wait; LATER when it does not say so in seconds (RFC 9110, section 10.2.3)."""
    seconds = int(header) if header.isascii() and header.isdigit() and len(header) < 9 else 0
    return min(float(seconds), LONGEST_LATER) or LATER
