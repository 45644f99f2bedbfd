"""The hot route: a small request for a merged endpoint is handled where it arrives, without scope for an application,
task and future. Everything else goes its way through uvicorn and ASGI, and has the same answers octet for octet.

uvicorn's own queue keeps the order of requests on one connection: a hot one stands in it as its `cycle`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import httptools
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from heliograph.http.request import Request
from heliograph.http.windows import Headers

GOOD = STATUS_LINE[200]
PIECE = 4096
"""Octets that are parsed in one go. What they begin, a hundred requests perhaps, is in memory until it has its turn."""


class Api(Protocol):
    """What handles hot requests (http/hot.py)."""

    def look(self, method: bytes, url: bytes, scope: Any) -> Request | None:
        """The request that a head belongs to, when it is hot."""
        ...

    def begin(self, req: Request, exchange: "Exchange") -> bool:
        """Begin to handle it, its body being complete. False: nothing was done, and it is an ordinary one."""
        ...


class Exchange:
    """A hot request and its answer, in the place of uvicorn's RequestResponseCycle.

    Names that are not explained here are those that uvicorn asks for.
    """

    __slots__ = (
        "_protocol",
        "disconnected",
        "keep_alive",
        "more_body",
        "pieces",
        "req",
        "response_complete",
        "scope",
        "url",
    )
    response_started = False
    """It is written in one go."""

    def __init__(self, protocol: "ApiProtocol", req: Request, scope: Any, url: bytes, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.req = req
        self.scope = scope
        self.url = url
        self.keep_alive = keep_alive
        self.pieces: list[bytes] = []
        """The body, as it came."""
        self.more_body = True
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> "Exchange":
        """Nobody waits for pieces of the body."""
        return self

    def set(self) -> None:
        """Wake nobody."""

    def answer(self, body: bytes, headers: Headers) -> None:
        """Answer with a 200. The length stands behind the other headers."""
        self._protocol.answer(self, body, headers)

    def hand_over(self, app: Callable[..., Any]) -> None:
        """Have an ASGI application answer it, as if it had been an ordinary request."""
        self._protocol.make_ordinary(self, app)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that does nothing, and waits for nothing."""


async def _never(*_: Any) -> Any:
    """What such an application neither receives nor sends."""


def _run_at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


def _answering(body: bytes, headers: Headers) -> Callable[..., Any]:
    """An application that answers with a 200."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        whole = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": whole})
        await send({"type": "http.response.body", "body": body})

    return app


class Flow(FlowControl):
    """uvicorn's; but nothing is read, and nothing of what was read is parsed, while a request waits for its turn."""

    def __init__(self, protocol: "ApiProtocol") -> None:
        super().__init__(protocol.transport)
        self._protocol = protocol
        self.stopped = False
        """Whether there was a pause since parsing began."""

    def pause_reading(self) -> None:
        """Stop, behind the piece that is being parsed."""
        self.stopped = True
        super().pause_reading()

    def resume_reading(self) -> None:
        """Go on, as uvicorn asks with each answer and for each body."""
        if not self.read_paused or self._protocol.pipeline:
            return
        if self._protocol.rest:
            self._protocol.loop.call_soon(self._protocol.parse_rest)  # whoever asks may have been called by the parser
        else:
            super().resume_reading()


class ApiProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a short way for hot requests to `api`."""

    api: Api | None = None
    _head: tuple[Any, bytes] = (None, b"")
    """The headers that each answer has, and how they begin an answer."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        trusted = self.config.forwarded_allow_ips if self.config.proxy_headers else None
        self._proxies = ProxyHeadersMiddleware(_nothing, trusted) if trusted else None
        self.resting_since: float | None = None
        """When its last answer was given, by the loop's clock, while it is idle."""
        self._alarm: asyncio.TimerHandle | None = None
        self.flow: Flow
        self.rest: bytes | memoryview = b""
        """What has come, and is parsed when nothing waits any more."""
        self.stretch = 0
        """Octets that are a part of a head, of a chunk's line or of trailers."""
        self.deaf = False
        """Whether nothing more is taken."""
        self._whole: Any = None
        """The last request that came to its end, as `cycle` is the last one that began."""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self.flow = Flow(self)

    def data_received(self, data: bytes) -> None:
        """Take octets."""
        if self.deaf or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self.rest or len(data) > PIECE:
            self.rest = memoryview(bytes(self.rest) + data)
            self.parse_rest()
        else:
            self.parse(data)

    def parse_rest(self) -> None:
        """Parse what has come, up to where it has to wait."""
        if self.pipeline:
            return
        self.flow.stopped = False
        while self.rest and not (self.flow.stopped or self.deaf or self.transport.is_closing()):
            piece, self.rest = self.rest[:PIECE], self.rest[PIECE:]
            self.parse(piece)
        if not self.flow.stopped and not self.transport.is_closing():
            self.flow.resume_reading()

    def parse(self, piece: bytes | memoryview) -> None:
        """Take some octets in their turn."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.refuse(partial(self.send_400_response, "Invalid HTTP request received."))
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(piece[upgrade.args[0] :])

    def _stay(self, behind: bytes | memoryview) -> None:
        """Stay with HTTP/1.1 for a client that would rather have another protocol (RFC 9110 section 7.8).

        The parser takes what is behind the head for that protocol's. Another one gets the head without the wish.
        """
        parser, headers = self.parser, [header for header in self.headers if header[0] != b"upgrade"]
        if parser.get_method() == b"CONNECT":
            self.refuse()  # what is behind it is meant for somebody else
            return
        version = parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n" % (parser.get_method(), self.url, version)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self.parse(head + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n")
        if behind and not self.deaf:
            self.parse(behind)

    def refuse(self, tell: Callable[[], None] | None = None) -> None:
        """Take nothing more, and hang up. `tell` writes why, unless the client would take that for another answer.

        Whole requests that came before are answered first. For one that lacks an end nothing is done any more.
        """
        half = self.cycle if self.cycle is not self._whole else None
        self.deaf, self.rest = True, b""
        if half is not None:
            if self.pipeline and self.pipeline[0][0] is half:
                self.pipeline.popleft()
            half.disconnected = True
            half.message_event.set()
        self.cycle = self._whole
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.flow.resume_reading()  # the answer may be lost with a connection that is closed on unread octets
            return
        if tell is not None and (half is None or not half.response_started):
            tell()
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nothing hold it any more."""
        super().connection_lost(exc)
        if self._alarm is not None:
            self._alarm.cancel()

    def on_response_complete(self) -> None:
        """Go on with the next request, as uvicorn does; but its timer of idle connections is not set anew each time."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        following = self.pipeline.pop() if self.pipeline else None
        self.flow.resume_reading()
        if following is not None:
            self._start_asgi_task(*following)
        else:
            self.idle()

    def idle(self) -> None:
        """Begin to count how long it is idle."""
        self.resting_since = self.loop.time()
        if self._alarm is None:
            self._alarm = self.loop.call_later(self.timeout_keep_alive, self._look_at_rest)

    def _look_at_rest(self) -> None:
        self._alarm = None
        if self.resting_since is None:
            return
        left = self.resting_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._alarm = self.loop.call_later(left, self._look_at_rest)
        else:
            self.timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """What uvicorn calls when something came, so it is not idle."""
        self.resting_since = None

    def on_headers_complete(self) -> None:
        """Look whether a request is hot. It is started when its body is complete, in the order of arrival."""
        self.stretch = 0
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # it comes again
        req = self._look()
        if req is None:
            super().on_headers_complete()
            self.headers = []  # trailers go here, and are nobody's (RFC 9110 section 6.5.1)
            return
        before: Any = self.cycle
        exchange: Any = Exchange(self, req, self.scope, self.url, keep_alive=self.parser.should_keep_alive())
        self.cycle = exchange
        if before is not None and not before.response_complete:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body."""
        self.stretch = 0
        cycle: Any = self.cycle
        if isinstance(cycle, Exchange):
            cycle.pieces.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Start a hot request whose turn it is."""
        cycle: Any = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            return  # its head comes again
        if not isinstance(cycle, Exchange):
            super().on_message_complete()
            self._whole = cycle
            if cycle.response_complete and self.resting_since is None and not self.transport.is_closing():
                self.idle()  # the answer was there before the body's end
            return
        cycle.more_body = False
        self._whole = cycle
        if not self.pipeline or self.pipeline[0][0] is not cycle:  # the newest of those that wait
            self._begin(cycle)

    def answer(self, exchange: Exchange, body: bytes, headers: Headers) -> None:
        """Write the 200 of a hot request, as uvicorn would, and go on with the next one."""
        if self.transport.is_closing():
            return
        if self.flow.write_paused:  # uvicorn's waits until the client has read
            self.make_ordinary(exchange, _answering(body, headers))
            return
        parts = [self._beginning()]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"content-length: %d\r\n" % len(body))
        parts.append(b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n")
        parts.append(body)
        self.transport.write(b"".join(parts))
        exchange.response_complete = True
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def make_ordinary(self, exchange: Exchange, app: Any) -> None:
        """Let uvicorn run an application for a request that has the place of a hot one, with its body."""
        exchange.scope |= {
            "method": exchange.req.route.method,
            "path": exchange.url.decode("ascii"),
            "raw_path": exchange.url,
            "query_string": b"",
        }
        cycle = RequestResponseCycle(
            scope=exchange.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=exchange.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.body += b"".join(exchange.pieces)
        cycle.more_body = False
        cycle.disconnected = exchange.disconnected
        cycle.message_event.set()
        current: Any = self.cycle
        if current is exchange:
            self.cycle = cycle
        if self._whole is exchange:
            self._whole = cycle
        super()._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if not isinstance(cycle, Exchange):
            super()._start_asgi_task(cycle, app)
        elif not cycle.more_body:
            self._begin(cycle)

    def _begin(self, exchange: Exchange) -> None:
        assert self.api is not None
        exchange.req.body = b"".join(exchange.pieces)
        if not self.api.begin(exchange.req, exchange):
            self.make_ordinary(exchange, self.app)

    def _look(self) -> Request | None:
        """The request whose head has just come, if it is hot."""
        parser, scope = self.parser, self.scope
        if self.api is None or self.config.access_log or self.expect_100_continue or self.limit_concurrency is not None:
            return None
        if parser.get_http_version() != "1.1":
            return None
        if self._proxies is not None and any(name.startswith(b"x-forwarded-") for name, _ in self.headers):
            scope = {**scope}
            _run_at_once(self._proxies(scope, _never, _never))
        return self.api.look(parser.get_method(), self.url, scope)

    def _beginning(self) -> bytes:
        """The status line of a 200 and the headers of each answer, which change once a second."""
        defaults = self.server_state.default_headers
        if ApiProtocol._head[0] is not defaults:
            lines = b"".join(b"%b: %b\r\n" % header for header in defaults)
            ApiProtocol._head = defaults, GOOD + lines
        return ApiProtocol._head[1]
