"""The SMPP transport: binds to a carrier as ESME, submits within the window, takes receipts and MO."""

import asyncio
import random
import ssl
import time
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from heliograph.settings import SmppOptions
from heliograph.transports.base import (
    Events,
    Failed,
    Inbound,
    MessageKey,
    Outcome,
    Outgoing,
    Receipt,
    Retry,
    Sent,
    SmsText,
)
from heliograph.transports.smpp import receipts, text
from heliograph.transports.smpp.pdu import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    MESSAGE_PAYLOAD,
    OK,
    SUBMIT_SM,
    TEMPORARY,
    THROTTLED,
    UDHI,
    Message,
    Pdu,
    PduError,
    bind_body,
    message_body,
    read_cstring,
    read_message,
    status_name,
)
from heliograph.transports.smpp.session import Session, connect

REMEMBERED = 50_000
SLOWED = 1.0
NOT_CONNECTED = Retry(after=2.0, why="The carrier is not connected")
log = structlog.get_logger(__name__)


class _Batch:
    """The messages of one `send`: what is still unanswered, and what is known of each."""

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        self.messages = messages
        self.outcomes: list[Outcome | None] = [None] * len(messages)
        self.ids: list[list[str]] = [[] for _ in messages]
        self.left = [0] * len(messages)
        self.open = len(messages)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, at: int, outcome: Outcome) -> None:
        if self.outcomes[at] is None:
            self.outcomes[at] = outcome
            self.open -= 1
            if not self.open and not self.done.done():
                self.done.set_result(None)


class SmppTransport:
    """`options.binds` transceiver sessions to one carrier, opened again whenever they are lost."""

    def __init__(self, name: str, options: SmppOptions) -> None:
        self.name = name
        self._options = options
        self._sessions: list[Session] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._room = asyncio.Semaphore(options.window * options.binds)
        self._known: OrderedDict[str, MessageKey] = OrderedDict()
        self._parts = text.Parts()
        self._slow_until = 0.0
        self._next_at = 0.0
        self._events: Events | None = None
        self._turn = 0

    @property
    def ready(self) -> bool:
        """Whether a session is bound and the carrier has not just asked us to slow down."""
        return bool(self._sessions) and time.monotonic() >= self._slow_until

    @property
    def capacity(self) -> int:
        """Twice the window: one to be answered, one to be written next."""
        if self._options.rate:
            return max(1, min(2 * self._options.window * self._options.binds, int(self._options.rate)))
        return 2 * self._options.window * self._options.binds

    async def open(self, events: Events) -> None:
        """Begin to bind; comes back after the first attempt of each bind, however it went."""
        self._events = events
        firsts = [asyncio.Event() for _ in range(self._options.binds)]
        self._keepers = [asyncio.create_task(self._keep(first)) for first in firsts]
        await asyncio.gather(*(first.wait() for first in firsts))

    async def close(self) -> None:
        """Unbind; at most two seconds."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        sessions, self._sessions = list(self._sessions), []
        await asyncio.gather(*(session.unbind(2.0) for session in sessions))

    async def _keep(self, first: asyncio.Event) -> None:
        """Hold one bind open for ever."""
        failures = 0
        while True:
            session = await self._bind()
            first.set()
            if session is not None:
                failures = 0
                await session.closed.wait()
                log.warning("smpp.lost", transport=self.name)
            else:
                failures += 1
            pause = min(0.1 * 2**failures, self._options.reconnect_max)
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311

    async def _bind(self) -> Session | None:
        options = self._options
        session = Session(
            self._requests,
            self._closed,
            enquire_link=options.enquire_link,
            response_timeout=options.response_timeout,
        )
        try:
            await connect(session, options.host, options.port, self._tls(), options.response_timeout)
            body = bind_body(options.system_id, options.password, options.system_type)
            answer = await session.ask(BIND_TRANSCEIVER, body)
        except OSError as problem:
            log.warning("smpp.unreachable", transport=self.name, why=str(problem) or type(problem).__name__)
            return None
        if answer is None or answer.status != OK:
            why = "no answer" if answer is None else status_name(answer.status)
            log.warning("smpp.bind_refused", transport=self.name, why=why)
            session.close()
            return None
        session.bound = True
        session.system_id = options.system_id
        self._sessions.append(session)
        log.info("smpp.bound", transport=self.name)
        return session

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self._options.tls_ca or None) if self._options.tls else None

    def _closed(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Submit the messages; an outcome for each when all are answered."""
        job = _Batch(batch)
        for at, message in enumerate(batch):
            if not self.ready:
                job.settle(at, NOT_CONNECTED if not self._sessions else Retry(SLOWED, "The carrier asked to slow down"))
                continue
            await self._pace()
            try:
                bodies = self._bodies(message)
            except ValueError as problem:
                job.settle(at, Failed(None, str(problem)))
                continue
            job.left[at] = len(bodies)
            for body in bodies:
                await self._submit(job, at, body)
        if job.open:
            await job.done
        return [outcome for outcome in job.outcomes if outcome is not None]

    async def _pace(self) -> None:
        """Keep to the route's rate."""
        if self._options.rate:
            now = time.monotonic()
            self._next_at = max(self._next_at, now) + 1 / self._options.rate
            if self._next_at - now > 1 / self._options.rate:
                await asyncio.sleep(self._next_at - now)

    async def _submit(self, job: _Batch, at: int, body: bytes) -> None:
        """Write one submit_sm as soon as the window has room."""
        await self._room.acquire()
        sessions = self._sessions
        if not sessions:
            self._room.release()
            job.settle(at, Retry(NOT_CONNECTED.after, NOT_CONNECTED.why, maybe_sent=bool(job.ids[at])))
            return
        self._turn += 1
        session = sessions[self._turn % len(sessions)]
        session.write(session.request(SUBMIT_SM, body, lambda pdu: self._answered(job, at, pdu)))
        await session.writable()

    def _answered(self, job: _Batch, at: int, pdu: Pdu | None) -> None:
        """A submit_sm_resp, or the news that none will come."""
        self._room.release()
        if pdu is None:
            job.settle(at, Retry(2.0, "The carrier did not answer", maybe_sent=True))
        elif pdu.status == OK:
            remote_id = receipts.normal(read_cstring(pdu.body + b"\0", 0)[0])
            job.ids[at].append(remote_id)
            self._remember(remote_id, job.messages[at].key)
            job.left[at] -= 1
            if not job.left[at]:
                job.settle(at, Sent(tuple(job.ids[at])))
        else:
            job.settle(at, self._refused(pdu.status, bool(job.ids[at])))

    def _refused(self, status: int, partly: bool) -> Outcome:
        why = status_name(status)
        if status in THROTTLED:
            self._slow_until = time.monotonic() + SLOWED
            return Retry(SLOWED, why, status, maybe_sent=partly)
        if status in TEMPORARY:
            return Retry(5.0, why, status, maybe_sent=partly)
        return Failed(status, why)

    def _remember(self, remote_id: str, key: MessageKey) -> None:
        self._known[remote_id] = key
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _bodies(self, message: Outgoing) -> list[bytes]:
        """The submit_sm bodies of a message. Raises ValueError for what SMPP cannot carry."""
        content = message.content
        if not isinstance(content, SmsText):
            raise ValueError("An SMPP carrier takes SMS only.")
        options = self._options
        ton, npi, source = _address(message.sender, options.source_ton)
        coding = 8 if content.unicode else 0

        def body(esm_class: int, short: bytes, payload: bytes | None = None) -> bytes:
            return message_body(
                Message(
                    source_ton=ton,
                    source_npi=npi,
                    source=source,
                    dest_ton=options.dest_ton,
                    dest_npi=options.dest_npi,
                    dest=message.recipient.lstrip("+"),
                    esm_class=esm_class,
                    validity=time.strftime("%y%m%d%H%M%S000+", time.gmtime(message.valid_until)),
                    registered_delivery=1,
                    data_coding=coding,
                    short_message=short,
                    tlvs={MESSAGE_PAYLOAD: payload} if payload is not None else {},
                )
            )

        pieces = [text.encode(part, content.unicode, options.alphabet) for part in content.parts]
        if len(pieces) == 1:
            return [body(0, pieces[0])] if len(pieces[0]) <= 254 else [body(0, b"", pieces[0])]
        if options.long_messages == "payload":
            return [body(0, b"", b"".join(pieces))]
        return [body(UDHI, head + piece) for head, piece in zip(text.headers(len(pieces)), pieces, strict=True)]

    async def _requests(self, session: Session, pdus: Sequence[Pdu]) -> None:
        """deliver_sm: stored first, acknowledged after."""
        assert self._events is not None
        arrived: list[Receipt] = []
        delivered = []
        for pdu in pdus:
            if pdu.command != DELIVER_SM:
                session.respond(Pdu(0, 0, pdu.sequence, b""), status=0x03)
                continue
            try:
                message = read_message(pdu.body)
            except PduError as problem:
                session.respond(pdu, b"\0", problem.status)
                continue
            delivered.append(pdu)
            if message.is_receipt:
                receipt = receipts.read(message, self.name, self._options.receipt_ids)
                if receipt is not None:
                    arrived.append(self._with_key(receipt))
            else:
                await self._mo(message)
        if arrived:
            await self._events.on_receipts(arrived)
        for pdu in delivered:
            session.respond(pdu, b"\0")

    def _with_key(self, receipt: Receipt) -> Receipt:
        key = self._known.get(receipt.remote_id)
        if key is None:
            return receipt
        return Receipt(
            receipt.transport, receipt.remote_id, receipt.state, receipt.at, receipt.error, receipt.raw, key
        )

    async def _mo(self, message: Message) -> None:
        assert self._events is not None
        for whole in self._parts.add(message, self._options.alphabet):
            await self._events.on_inbound(
                Inbound(
                    transport=self.name,
                    channel="sms",
                    sender=message.source,
                    recipient=message.dest,
                    body=whole,
                    at=int(time.time()),
                )
            )


def _address(sender: str, ton: int) -> tuple[int, int, str]:
    """(TON, NPI, address) of a sender ID: international without its plus, short code, or alphanumeric (5.2.5)."""
    digits = sender.lstrip("+")
    if not digits.isdigit():
        kind = (5, 0)
    elif len(digits) <= 6:
        kind = (3, 0)
    else:
        kind = (1, 1)
    address = digits if digits.isdigit() else sender
    return (kind[0] if ton < 0 else ton), kind[1], address[:20]
