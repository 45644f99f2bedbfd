"""The API as an ASGI application: match, authenticate, run, wrap. The only catch-all of the HTTP side."""

import asyncio
import contextlib
import itertools
import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
import structlog

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.db.engine import Tx
from heliograph.db.group import DEADLINE
from heliograph.errors import (
    ApiError,
    BadRequest,
    Conflict,
    DatabaseAway,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    TooLarge,
)
from heliograph.http import bodies, envelope, host, idempotency, loose, search
from heliograph.http.auth import Authenticator
from heliograph.http.endpoint import Merged
from heliograph.http.hints import Hints
from heliograph.http.logins import Logins
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route
from heliograph.http.throttle import Limits
from heliograph.http.windows import Headers
from heliograph.limited import network
from heliograph.services import Services

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)
JSON = (b"content-type", b"application/json")
EXPOSED = b"X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, Retry-After, X-Search-Ignored, X-Not-Built"
NO_QUERY: Mapping[str, str] = {}
RENDERED_AT_ONCE = 512 * 1024
"""Bytes of a body whose answer is made on the event loop, in a millisecond or two: a thread has to wait for two turns
of the loop, and beside large requests each turn has a transaction of a thousand messages.
"""


class Matcher:
    """The routes by verb and path. A trailing slash and the second spelling of a path make no difference."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._open: dict[int, list[tuple[re.Pattern[str], dict[str, Route]]]] = {}
        patterns: dict[str, dict[str, Route]] = {}
        for route in routes:
            for path in route.paths:
                verbs = (patterns if "{" in path else self._fixed).setdefault(path, {})
                verbs[route.method] = route
        for path, verbs in sorted(patterns.items(), key=lambda item: item[0].count("{")):
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
            self._open.setdefault(path.count("/"), []).append((pattern, verbs))

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the parameters of the path. Raises NotFound, MethodNotAllowed.

        A path that stands in the table as it is is nobody's id: PUT /campaigns/price changes no campaign.
        """
        path = path.rstrip("/")
        if "\x00" in path:
            raise NotFound  # no id holds it, and a database would choke on it
        verbs = self._fixed.get(path)
        if verbs and method in verbs:
            return verbs[method], {}
        allowed = set(verbs or ())
        for pattern, by_verb in self._open.get(path.count("/"), ()) if not allowed else ():
            matched = pattern.fullmatch(path)
            if matched:
                if method in by_verb:
                    return by_verb[method], matched.groupdict()
                allowed |= by_verb.keys()
        if allowed:
            raise MethodNotAllowed(headers={"allow": ", ".join(sorted(allowed))})
        raise NotFound


class Server:
    """Answers everything below /v3."""

    def __init__(self, services: Services, limits: Limits, routes: Sequence[Route]) -> None:
        settings = services.settings
        self._services = services
        self._matcher = Matcher(routes)
        authenticator = Authenticator(services.database, services.vault)
        self.known = authenticator.known
        self._logins = Logins(authenticator, limits)
        self._calls, self._guarded = limits.calls, limits.logins
        self._run_id = os.urandom(4).hex()
        self._numbers = itertools.count(1)
        self._origins = {origin.strip().lower() for origin in settings.cors_origins.split(",") if origin.strip()}
        self._turn = asyncio.Semaphore(1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-bodies")
        names = {route.endpoint.daily for route in routes} - {""}
        self._daily = {name: limits.daily(name, getattr(settings, name)) for name in names}
        self.most = {route: bodies.most(route, settings) for route in routes}
        self._room = bodies.Room(max(settings.body_memory, 2 * settings.max_body, 2 * settings.max_upload))
        self._hints = Hints(services.database, routes) if settings.mode == "sandbox" else None
        self._merges: dict[Any, Callable[[Tx, list[Any]], Sequence[Any]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request_id = self.new_id()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        extra: Headers = [JSON, (b"x-request-id", request_id.encode())]
        try:
            host.check(scope, headers)
            if b"origin" in headers:
                extra += await self._cors(headers[b"origin"])
            if scope["method"] == "OPTIONS":
                await _answer(send, 204, b"", extra[1:])
                return
            status, body = 200, await self._handle(scope, receive, headers, request_id, extra)
        except Exception as problem:  # noqa: BLE001 - a defect must be an answer, and its story is in the log
            status, body = await self._failure(problem, scope, request_id, extra)
        await _answer(send, status, body, extra)

    def new_id(self) -> str:
        """An id for a request."""
        return f"{self._run_id}{next(self._numbers):08x}"

    async def _failure(
        self, problem: BaseException, scope: Scope, request_id: str, extra: Headers
    ) -> tuple[int, bytes]:
        """What a request that failed is answered; its further headers go to `extra`."""
        if not isinstance(problem, ApiError):
            log.error("request.failed", request=request_id, path=scope["path"], exc_info=problem)
            return 500, envelope.failure(InternalError())
        if self._hints is not None:
            extra += await self._hints.tell(problem, scope, request_id)
        extra += [(name.encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
        return problem.status, envelope.failure(problem)

    async def refuse(
        self, problem: BaseException, request_id: str, extra: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request that failed; a part of an ASGI application."""
        status, body = await self._failure(problem, scope, request_id, extra)
        await _answer(send, status, body, extra)

    async def count(self, at: str, client: str) -> Headers:
        """Count a page that a stranger asks for; the x-ratelimit headers. Raises TooManyRequests."""
        return await self._calls.hit(at, network(client))

    async def _handle(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], request_id: str, extra: Headers
    ) -> bytes:
        route, params = self._matcher.match(scope["method"], scope["path"].removeprefix("/v3"))
        who = await self._authenticate(scope, route, headers, extra)
        client = client_of(scope)
        if route.endpoint.daily:
            await self._daily[route.endpoint.daily].hit(network(client))
        req = Request(
            route=route,
            request_id=request_id,
            params=params,
            query=_query(scope["query_string"]),
            headers=headers,
            scheme=scope.get("scheme", "http"),
            client=client,
            body=b"",
            services=self._services,
        )
        req.enter(None, who)
        try:
            answer = await self._answered(req, receive)
            if req.ignored:
                extra.append(search.header(req.ignored))
            return answer
        finally:
            if who is not None and b"origin" in headers:
                self._keep_own(extra, headers[b"origin"], req.who)

    async def _authenticate(
        self, scope: Scope, route: Route, headers: Mapping[bytes, bytes], extra: Headers
    ) -> Principal | None:
        client = client_of(scope)
        if route.access is None:
            limit = self._guarded if route.endpoint.guarded else self._calls
            extra += await limit.hit(route.at, network(client))
            return None
        header = headers.get(b"authorization", b"")
        who = self.known(header) or await self._logins.prove(header, client, extra)
        extra += await self._calls.hit(route.at, str(who.user_id))
        try:
            admit(route, who)
        except Forbidden:
            remembered = who  # what is remembered may be older than the permission
            who = await self._services.database.read(lambda tx: account.current(tx, remembered))
            admit(route, who)
        return who

    async def _answered(self, req: Request, receive: Receive) -> bytes:
        most = self.most[req.route]
        length = req.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            raise TooLarge
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body") or len(body) > bodies.UNCOUNTED or message["type"] == "http.disconnect":
            return await self._large(req, receive, message, most)
        if len(body) > most:
            raise TooLarge
        req.body = bytes(body)
        return await self._run(req)

    async def _large(self, req: Request, receive: Receive, message: MutableMapping[str, Any], most: int) -> bytes:
        """What comes in pieces, is large or is lost: it is counted, and decoded beside the event loop."""
        kind = req.route.endpoint.body
        with self._room.lent(req.who.user_id if req.route.access is not None else 0) as loan:
            req.body = await _collected(receive, message, most, loan)
            form = req.header("content-type").startswith("multi")
            if len(req.body) > loose.LARGE and kind is not None and not form and not _drafts(req.route):
                await self._beside(partial(req.decode_ahead, kind))
            return await self._run(req)

    def _beside(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Do what takes some milliseconds beside the event loop, one after the other."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _run(self, req: Request) -> bytes:
        endpoint, database = req.route.endpoint, self._services.database
        handler = endpoint.handler
        if endpoint.is_edge:
            await self._check_again(req)
            return wrap(req, await _handled(req))
        key = idempotency.key_of(req)
        if isinstance(handler, Merged):
            if handler.gather is not None:
                body = req.decode(endpoint.body)
                await self._check_again(req)
                req.gathered = await handler.gather(req, body)
            until = monotonic() + DEADLINE
            item = await self._beside(partial(_prepared, req)) if len(req.body) > loose.LARGE else _prepared(req)
            alone = handler.large(item)
            slow = alone or handler.slow
            async with self._turn if alone else contextlib.nullcontext():
                if monotonic() > until:  # the caller has given up, and asks again
                    raise DatabaseAway(f"nothing could be written for {DEADLINE:.0f} seconds")
                if key is not None:
                    who = req.who
                    return await database.write(
                        lambda tx: _once(tx, req, key, lambda: _single(tx, handler, req, item, who)), slow=slow
                    )
                weight = handler.weight(item)
                drawn = (req, item, req.who)
                result = await database.write_merged(self.merging(handler), drawn, weight=weight, slow=slow)
            if len(req.body) > RENDERED_AT_ONCE:
                return await self._beside(lambda: wrap(req, handler.render(req, result)))
            return wrap(req, handler.render(req, result))
        if req.route.method == "GET":
            return await database.read(lambda tx: _plainly(tx, req))
        return await database.write(lambda tx: _once(tx, req, key, lambda: _handled(req)), slow=True)

    async def _check_again(self, req: Request) -> None:
        """What is remembered of the caller may have been revoked: look before anything is done that no transaction is.

        Raises Unauthorized, Forbidden.
        """
        if req.route.access is not None:
            await self._services.database.read(lambda tx: _enter(tx, req))
            req.enter(None, req.who)

    def merging(self, handler: Merged) -> Callable[[Tx, list[Any]], Sequence[Any]]:
        """One function object per handler, so that the writer sees what belongs together."""
        merge = self._merges.get(handler.merge)
        if merge is None:

            def merge(tx: Tx, drawn: list[Any]) -> Sequence[Any]:
                return _merge_fresh(tx, handler, drawn)

            self._merges[handler.merge] = merge
        return merge

    def _is_listed(self, origin: str) -> bool:
        return "*" in self._origins or origin.lower() in self._origins

    def _keep_own(self, extra: Headers, named: bytes, who: Principal) -> None:
        """Take the CORS headers back when it was another account that named this origin (api-v3, CORS)."""
        origin = named.decode("latin-1")
        if not self._is_listed(origin) and origin.lower() not in who.origins:
            extra[:] = [header for header in extra if not header[0].startswith(b"access-control-")]

    async def _cors(self, named: bytes) -> Headers:
        """CORS headers when the operator or any account has named this origin: a preflight says not who will ask."""
        origin = named.decode("latin-1")
        known = self._is_listed(origin)
        if not known:
            known = await self._services.database.read(lambda tx: account.allowed_origin(tx, origin))
        if not known:
            return []
        return [
            (b"access-control-allow-origin", named),
            (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
            (b"access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key"),
            (b"access-control-expose-headers", EXPOSED),
            (b"access-control-max-age", b"600"),
            (b"vary", b"Origin"),
        ]


def _merge_fresh(tx: Tx, handler: Merged, drawn: list[Any]) -> Sequence[Any]:
    """Check each caller's credentials in this transaction, then merge the items of those that still hold.

    `drawn` are requests with their items and the principals that those were made for: this may run a second time.
    """
    results: list[Any] = [None] * len(drawn)
    good = []
    for at, (req, item, before) in enumerate(drawn):
        try:
            _enter(tx, req)
            good.append((at, _still(req, item, before)))
        except ApiError as refused:
            results[at] = refused
    if good:
        done = handler.merge(tx, [item for _, item in good])
        for (at, _), result in zip(good, done, strict=True):
            results[at] = result
    return results


def _enter(tx: Tx, req: Request) -> None:
    """Give a request its transaction, and make sure that its principal is still what it was."""
    if req.route.access is None:
        req.enter(tx, None)
        return
    fresh = account.current(tx, req.who)
    if fresh is not req.who:
        admit(req.route, fresh)
    req.enter(tx, fresh)


def admit(route: Route, who: Principal) -> None:
    """Refuse accounts and subaccounts that may not use a route. Source: facts B, J3."""
    if who.banned:
        raise Forbidden("Your account has been banned.")
    if not who.active and not route.endpoint.before_activation:
        raise Forbidden("Your account has not been activated.", code="ACCOUNT_NOT_ACTIVATED")
    if route.access and route.access not in who.access:
        raise Forbidden


def _handled(req: Request) -> Any:
    """What the handler of a request gives: a reply, or an edge's promise of one. Raises ApiError."""
    endpoint = req.route.endpoint
    return endpoint.handler(req, req.decode(endpoint.body)) if endpoint.takes_body else endpoint.handler(req)


def _drafts(route: Route) -> bool:
    """Whether bodies of a route are decoded and drafted in one go, with nothing to wait for in between."""
    handler = route.endpoint.handler
    return isinstance(handler, Merged) and handler.gather is None


def _prepared(req: Request) -> Any:
    """The item of a request to a merged route. Raises BadRequest."""
    endpoint = req.route.endpoint
    return endpoint.handler.prepare(req, req.decode(endpoint.body))


def _plainly(tx: Tx, req: Request) -> bytes:
    _enter(tx, req)
    return wrap(req, _handled(req))


def _once(tx: Tx, req: Request, key: str | None, work: Callable[[], Reply]) -> bytes:
    """Run `work` unless this key had its answer already."""
    _enter(tx, req)
    if key is None:
        return wrap(req, work())
    before = idempotency.recall(tx, req, key)
    if before is not None:
        return _opened(req, before)
    answer = wrap(req, work())
    # An answer can show an API key; whoever reads the table, or a copy of it, must not find one there.
    idempotency.remember(tx, req, key, req.services.vault.seal(answer.decode()).encode())
    return answer


def _opened(req: Request, kept: bytes) -> bytes:
    """An answer as it was given. One that begins as JSON was kept before answers were sealed. Raises Conflict."""
    answer = kept if kept.startswith(b"{") else req.services.vault.unseal(kept.decode()).encode()
    if not answer:
        raise Conflict("The answer to this Idempotency-Key was sealed with another secret, and cannot be read.")
    return answer


def _still(req: Request, item: Any, before: Principal) -> Any:
    """The item of a request, prepared again when its principal has other settings than `before`."""
    if req.who is before or msgspec.structs.replace(req.who, epoch=before.epoch) == before:
        return item
    return _prepared(req)  # by its own endpoint: two may be merged by one function


def _single(tx: Tx, handler: Merged, req: Request, item: Any, before: Principal) -> Reply:
    result = handler.merge(tx, [_still(req, item, before)])[0]
    if isinstance(result, BaseException):
        raise result
    return handler.render(req, result)


def wrap(req: Request, reply: Reply) -> bytes:
    if req.route.endpoint.bare:
        return envelope.encode(reply.data)
    return envelope.success(reply.message or req.route.endpoint.response_msg, reply.data)


def client_of(scope: Scope) -> str:
    """The address of the peer, "" when that is not known."""
    return scope["client"][0] if scope.get("client") else ""


def _query(raw: bytes) -> Mapping[str, str]:
    if not raw:
        return NO_QUERY
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100))
    except (UnicodeDecodeError, ValueError):
        raise BadRequest(message="The query string cannot be read.") from None


async def _collected(receive: Receive, message: MutableMapping[str, Any], most: int, loan: bodies.Loan) -> bytes:
    """The whole of a body, `message` being its first piece. Raises TooLarge, Unavailable, BadRequest."""
    pieces = []
    while True:
        if message["type"] == "http.disconnect":
            raise BadRequest({"body": "The connection was lost before the end of the body."})
        piece = message.get("body", b"")
        if loan.size + len(piece) > most:
            raise TooLarge
        loan.grow(len(piece))
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    if status != 204:  # RFC 9110 section 8.6: a 204 has no content, and must not tell its length
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
