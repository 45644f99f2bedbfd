"""One SMPP connection, the same for both ends: framing, requests in flight, time limits, enquire_link, unbind.

Knows PDUs and time; what a request means is its owner's matter.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, cast

import msgspec
import structlog

from heliograph.transports.smpp import pdu

log = structlog.get_logger(__name__)

LARGEST_PDU: Final = 70_000
"""Octets: a message_payload may hold 65,535 of them (SMPP 3.4, 5.3.2.32)."""
LARGEST_BUFFER: Final = 4 * 1024 * 1024
"""Octets unsent: a peer that lets more pile up does not read, and is cut off."""
HIGH_WATER: Final = 256 * 1024
LAST_SEQUENCE: Final = 0x7FFFFFFF


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request of the peer that the owner has to answer."""

    command: int
    sequence: int
    body: bytes


class Exchange(ABC):
    """A request of ours: its body, and what to do with the answer. Exactly one of the methods is called, once.

    `awaited` is the command that answers it; the session fills it in.
    """

    __slots__ = ("awaited", "body", "sent_at")

    def __init__(self, body: bytes = b"") -> None:
        self.body = body
        self.awaited = 0
        self.sent_at = 0.0

    @abstractmethod
    def answered(self, status: int, body: bytes) -> None:
        """The response arrived."""

    @abstractmethod
    def lost(self, why: str) -> None:
        """No response will come, though the peer may have got the request."""

    def unclear(self, why: str) -> None:
        """The peer answered, but neither yes nor no."""
        self.lost(why)


class Owner(Protocol):
    """Who a session works for. The methods are called in the event loop and must not block."""

    def on_requests(self, session: "Session", requests: Sequence[Request]) -> None:
        """Requests that were read at once, in order."""
        ...

    def on_room(self, session: "Session") -> None:
        """Responses were read, or the socket takes data again: more may be sent."""
        ...

    def on_closed(self, session: "Session") -> None:
        """The connection is gone; every exchange has been told."""
        ...


class _Call(Exchange):
    """A request that somebody awaits."""

    __slots__ = ("answer",)

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def answered(self, status: int, body: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result((status, body))

    def lost(self, why: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectionError(why))


class _Enquiry(Exchange):
    """An enquire_link: no answer means that the peer is gone."""

    __slots__ = ("session",)

    def __init__(self, session: "Session") -> None:
        super().__init__()
        self.session = session

    def answered(self, status: int, body: bytes) -> None:
        self.session.enquiring = False

    def lost(self, why: str) -> None:
        self.session.abort("no answer to enquire_link")


class Session(asyncio.Protocol):
    """An SMPP connection. `serves` are the commands that go to the owner; all others get generic_nack.

    `window` is how many requests may be unanswered; `enquire_link` and `response_timeout` are seconds.
    """

    def __init__(
        self, owner: Owner, serves: frozenset[int], *, window: int, enquire_link: float, response_timeout: float
    ) -> None:
        self.bound = False
        self.peer = ""
        self.closed = True  # until the connection is made
        self.closing = False
        self.enquiring = False
        self.why_closed = ""
        self._owner = owner
        self._serves = serves
        self._window = window
        self._enquire_link = enquire_link
        self._response_timeout = response_timeout
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, Exchange] = {}
        self._sequence = 0
        self._rest = bytearray()
        self._needed = 0
        self._writable = True
        self._reading = True
        self._reading_since = self._heard_at = self._loop.time()
        self._transport: asyncio.Transport
        self._ticker: asyncio.TimerHandle | None = None
        self._gone = self._loop.create_future()

    # What the owner calls

    @property
    def room(self) -> int:
        """How many requests may be sent now."""
        return max(0, self._window - len(self._pending)) if self._writable and not self.closing else 0

    def submit(self, command: int, exchanges: Iterable[Exchange]) -> None:
        """Send a request for each exchange, in one write. Keep within `room`."""
        if self.closed or self.closing:
            for exchange in exchanges:
                exchange.lost(self.why_closed or "the connection is closing")
            return
        now = self._loop.time()
        pack, pending, sequence = pdu.HEADER.pack, self._pending, self._sequence
        chunks: list[bytes] = []
        for exchange in exchanges:
            sequence = 1 if sequence == LAST_SEQUENCE else sequence + 1
            exchange.sent_at = now
            exchange.awaited = command | pdu.RESPONSE
            pending[sequence] = exchange
            chunks += (pack(16 + len(exchange.body), command, 0, sequence), exchange.body)
        self._sequence = sequence
        self.write(chunks)

    async def call(self, command: int, body: bytes = b"") -> tuple[int, bytes]:
        """Send one request and wait: command_status and body of the response. Raises ConnectionError without one."""
        exchange = _Call(body)
        self.submit(command, [exchange])
        return await exchange.answer

    def answer(self, requests: Iterable[Request], status: int = pdu.ESME_ROK, body: bytes = b"") -> None:
        """Send the same response to each request, in one write. Nothing happens on a closed connection."""
        pack, length = pdu.HEADER.pack, 16 + len(body)
        chunks: list[bytes] = []
        for request in requests:
            chunks += (pack(length, request.command | pdu.RESPONSE, status, request.sequence), body)
        self.write(chunks)

    def write(self, chunks: Iterable[bytes]) -> None:
        """Send PDUs that are encoded already, in one write. Nothing happens on a closed connection."""
        if self.closed or self._transport.is_closing():
            return
        self._transport.write(b"".join(chunks))
        if self._transport.get_write_buffer_size() > LARGEST_BUFFER:
            self.abort("the peer does not read")

    def pause_reading(self) -> None:
        """Let the peer wait: nothing is read, and no response is held late, until `resume_reading`."""
        if self._reading and not self.closed:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again; the time limits of what is in flight start anew."""
        if not self._reading and not self.closed:
            self._reading = True
            self._reading_since = self._loop.time()
            self._transport.resume_reading()

    async def unbind(self, seconds: float) -> None:
        """Say goodbye, wait for the answer at most so long, and close."""
        if not self.closed:
            try:
                await asyncio.wait_for(self.call(pdu.UNBIND), seconds)
            except (TimeoutError, ConnectionError):
                log.info("smpp.unbind_unanswered", peer=self.peer)
            self.close("unbound")
            try:
                await asyncio.wait_for(self.wait_closed(), seconds)
            except TimeoutError:
                self.abort("unbound")
        await self.wait_closed()

    def close(self, why: str) -> None:
        """Close after what was written has left."""
        if not self.closed and not self.closing:
            self.closing = True
            self.why_closed = why
            self._transport.close()

    def abort(self, why: str) -> None:
        """Cut the connection now."""
        if not self.closed:
            self.closing = True
            self.why_closed = self.why_closed or why
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await asyncio.shield(self._gone)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self.closed = False
        self.peer = str(transport.get_extra_info("peername"))
        self._transport.set_write_buffer_limits(HIGH_WATER)
        self._tick()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = self.closing = True
        self.bound = False
        self.why_closed = self.why_closed or (str(exc) if exc else "") or "the peer closed the connection"
        if self._ticker is not None:
            self._ticker.cancel()
        pending, self._pending = self._pending, {}
        for exchange in pending.values():
            exchange.lost(self.why_closed)
        self._owner.on_closed(self)
        self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._owner.on_room(self)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:  # a PDU that comes octet by octet is joined once
                return
            data = bytes(self._rest)
            self._rest.clear()
        position, end = 0, len(data)
        requests: list[Request] = []
        answered = False
        unpack, pending = pdu.HEADER.unpack_from, self._pending
        self._needed = pdu.HEADER.size
        while end - position >= pdu.HEADER.size:
            length, command, status, sequence = unpack(data, position)
            if not pdu.HEADER.size <= length <= LARGEST_PDU:
                self._refuse_length(sequence)
                position = end
                break
            if end - position < length:
                self._needed = length
                break
            body = data[position + pdu.HEADER.size : position + length]
            position += length
            if not command & pdu.RESPONSE:
                requests.append(Request(command, sequence, body))
                continue
            exchange = pending.get(sequence)
            if exchange is None:  # late, or to nothing that was asked
                continue
            if command == exchange.awaited:
                del pending[sequence]
                exchange.answered(status, body)
            elif not self._answered_oddly(exchange, command, status, sequence):
                continue
            answered = True
        self._rest += data[position:]
        if requests:
            self._serve(requests)
        if answered:
            self._owner.on_room(self)

    # Inside

    def _answered_oddly(self, exchange: Exchange, command: int, status: int, sequence: int) -> bool:
        """Take a response other than the awaited one; whether it settles the request.

        generic_nack does (SMPP 3.4, 4.3.1), but without an error it says neither yes nor no. Whatever comes upon an
        enquire_link is a sign of life. All else says nothing of the request, whose answer may still come.
        """
        if exchange.awaited == pdu.ENQUIRE_LINK | pdu.RESPONSE or (command == pdu.GENERIC_NACK and status):
            del self._pending[sequence]
            exchange.answered(status, b"")
            return True
        awaited = f"0x{exchange.awaited:08X}"
        log.warning("smpp.wrong_answer", peer=self.peer, command=f"0x{command:08X}", awaited=awaited)
        if command != pdu.GENERIC_NACK:
            return False
        del self._pending[sequence]
        exchange.unclear("generic_nack without an error")
        return True

    def _serve(self, requests: list[Request]) -> None:
        """Hand over what is the owner's, answer what every session answers."""
        serves = self._serves
        theirs = [request for request in requests if request.command in serves]
        if theirs:
            self._owner.on_requests(self, theirs)
        if len(theirs) == len(requests):
            return
        self._serve_own([request for request in requests if request.command not in serves])
        if any(request.command == pdu.UNBIND for request in requests):
            self.close("the peer said unbind")

    def _serve_own(self, requests: list[Request]) -> None:
        for request in requests:
            if request.command in (pdu.ENQUIRE_LINK, pdu.UNBIND):
                self.answer([request])
            elif request.command not in pdu.UNANSWERED:
                log.info("smpp.unknown_command", peer=self.peer, command=f"0x{request.command:08X}")
                self.write([pdu.encode(pdu.GENERIC_NACK, pdu.ESME_RINVCMDID, request.sequence)])

    def _refuse_length(self, sequence: int) -> None:
        """The stream cannot be followed any more (SMPP 3.4, 3.2): say so and hang up."""
        log.warning("smpp.bad_length", peer=self.peer)
        self.write([pdu.encode(pdu.GENERIC_NACK, pdu.ESME_RINVCMDLEN, sequence)])
        self.close("a PDU of an impossible length")

    def _tick(self) -> None:
        """Look at the clock a few times within each limit: one timer for all requests in flight."""
        now = self._loop.time()
        self._expire(now)
        if now - self._heard_at >= self._enquire_link and not self.enquiring and self._reading and not self.closing:
            self.enquiring = True
            self.submit(pdu.ENQUIRE_LINK, [_Enquiry(self)])
        self._ticker = self._loop.call_later(min(self._enquire_link, self._response_timeout) / 8, self._tick)

    def _expire(self, now: float) -> None:
        limit = now - self._response_timeout
        if not self._reading or self._reading_since > limit:
            return
        late = []
        for sequence, exchange in self._pending.items():
            if exchange.sent_at > limit:
                break
            late.append(sequence)
        for sequence in late:
            self._pending.pop(sequence).lost(f"no answer within {self._response_timeout:g} s")
        if late:
            self._owner.on_room(self)
