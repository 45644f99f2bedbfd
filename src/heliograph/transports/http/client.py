"""What transports over HTTP have in common: connections, who is there, the end. A subclass knows the protocol."""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import aiohttp
import structlog

from heliograph.transports.base import Events, Failed, Outcome, Outgoing, Retry
from heliograph.transports.tls import client_context
from heliograph.transports.underway import UnderWay

AWAY = 5.0
"""Seconds until a message is tried again that met no server, or whose answer did not come."""
LATER = 60.0
"""Seconds until a message is tried again that the server put off, or that it did not take because of our login."""
LONGEST_LATER = 3600.0
"""A `Retry-After` counts up to this many seconds."""
GRACE = 5.0
"""Seconds that requests under way get to end when the transport closes."""
LOOK, LOOK_AGAIN = 1.0, 30.0
"""Seconds between two looks for a server that is away, and for one that was there."""
KEEP_ALIVE = 4.0
"""Seconds: less than the 5 s after which common servers drop an idle connection."""
QUEUE = 4
"""Messages that may wait for one connection."""
LARGEST_ANSWER = 100_000
LONGEST_WORDS = 500

log = structlog.get_logger(__name__)


class Place(NamedTuple):
    """Where a server is, and how it is asked: at most `connections` requests at once, `timeout` seconds for each."""

    host: str
    port: int
    tls: bool
    tls_ca: str
    connections: int
    timeout: float


class HttpRequest(NamedTuple):
    """A request that hands a message over."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


class HttpAnswer(NamedTuple):
    """What came back. `pause` is in seconds: what the server asks to wait, or LATER."""

    status: int
    content_type: str
    octets: bytes
    pause: float


class HttpTransport(ABC):
    """One server; one message a request.

    HTTP has no connection that stands while nothing is sent. So the server counts as there when something listens at
    its address, until a request, or the next look, meets nothing.
    """

    def __init__(self, name: str, *, look_again: float = LOOK_AGAIN) -> None:
        self.name = name
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(1)
        self._under_way = UnderWay()
        self._keeper: asyncio.Task[None] | None = None
        self._open = False
        self._there = False
        self._lost = asyncio.Event()
        self._unknown_until = 0.0
        self._look_again = look_again

    @property
    @abstractmethod
    def place(self) -> Place:
        """Where the server is."""

    @abstractmethod
    async def request(self, message: Outgoing) -> HttpRequest | Failed:
        """The request for a message, or why there can be none."""

    @abstractmethod
    def outcome(self, answer: HttpAnswer) -> Outcome:
        """What an answer means for the message. A 401 or 403 never comes here."""

    @property
    def connected(self) -> bool:
        """Whether the server is there, and takes our name and password."""
        return self._open and self._there and time.monotonic() >= self._unknown_until

    @property
    def ready(self) -> bool:
        """The same: nothing asks this transport to slow down but single messages."""
        return self.connected

    @property
    def capacity(self) -> int:
        """Messages that it is sensible to have inside `send` at once."""
        return self.place.connections * QUEUE

    async def open(self, events: Events) -> None:
        """Start to look for the server. It reports by requests of its own, so `events` is not used."""
        place = self.place
        trust = await client_context(place.tls_ca) if place.tls else True
        self._places = asyncio.Semaphore(place.connections)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=place.connections, ssl=trust, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=place.timeout),
            headers={"User-Agent": "Heliograph"},
            auto_decompress=False,
        )
        self._open = True
        self._keeper = asyncio.create_task(self._keep())

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over; one outcome for each message, in order."""
        return await self._under_way.all(self._deliver, batch)

    async def close(self) -> None:
        """Let requests under way end (GRACE seconds). Those that did not begin are told to try again."""
        self._open = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._under_way.end(GRACE)
        if self._session is not None:
            await self._session.close()

    async def _keep(self) -> None:
        """Look whether something listens. Whether it is the right server shows with the next message."""
        place = self.place
        while True:
            try:
                async with asyncio.timeout(place.timeout):
                    _, writer = await asyncio.open_connection(place.host, place.port)
            except (OSError, TimeoutError, UnicodeError) as problem:
                self._seen(there=False, problem=str(problem))
            else:
                writer.close()
                self._seen(there=True)
            await self._pause()

    async def _pause(self) -> None:
        """Until the next look. A server that a message does not find any more is looked for at once."""
        self._lost.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._look_again if self._there else LOOK):
                await self._lost.wait()

    async def _deliver(self, message: Outgoing) -> Outcome:
        request = await self.request(message)
        if isinstance(request, Failed):
            return request
        began = False
        try:
            async with self._places:
                if not (self._open and self._there):
                    return Retry(AWAY, "The carrier gives no connection", waiting=not self._there)
                began = True
                return await self._asked(request)
        except asyncio.CancelledError:
            if self._open:
                raise
            return Retry(AWAY, "The carrier did not answer in time", maybe_sent=began)

    async def _asked(self, request: HttpRequest) -> Outcome:
        assert self._session is not None
        try:
            async with self._session.request(
                request.method, request.url, data=request.body, headers=request.headers, allow_redirects=False
            ) as answer:
                octets = await answer.content.read(LARGEST_ANSWER)
        except aiohttp.ClientConnectorError as problem:
            self._seen(there=False, problem=str(problem))
            return Retry(AWAY, "The carrier gives no connection", waiting=True)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Retry(AWAY, "The carrier did not answer", maybe_sent=True)
        if answer.status in (401, 403):
            self._unknown_until = time.monotonic() + LATER
            log.error("carrier.login_refused", transport=self.name, status=answer.status)
            return Retry(LATER, "The carrier does not know our name or password", answer.status, waiting=True)
        pause = _retry_after(answer.headers.get("Retry-After", ""))
        return self.outcome(HttpAnswer(answer.status, answer.headers.get("Content-Type", ""), octets, pause))

    def _seen(self, *, there: bool, problem: str = "") -> None:
        """Note whether the server is there, and log a change."""
        if there and not self._there:
            log.info("carrier.there", transport=self.name)
        elif self._there and not there:
            log.warning("carrier.away", transport=self.name, problem=problem)
            self._lost.set()
        self._there = there


def by_status(answer: HttpAnswer) -> Outcome | None:
    """What the status of an answer means where nothing else says more: too many or a defect there can be tried again,
    any other 4xx is final. None: the status says nothing against the message.
    """
    words = f"The carrier answered HTTP {answer.status}"
    if answer.status == 429 or answer.status >= 500:
        return Retry(answer.pause, words, answer.status)
    if answer.status >= 300:
        return Failed(answer.status, words)
    return None


def _retry_after(header: str) -> float:
    """Seconds that an answer asks to wait; LATER when it does not say so in seconds (RFC 9110, section 10.2.3)."""
    seconds = int(header) if header.isascii() and header.isdigit() and len(header) < 9 else 0
    return min(float(seconds), LONGEST_LATER) or LATER
