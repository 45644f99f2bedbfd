"""The API as an ASGI application: match, authenticate, run, wrap. The only catch-all of the HTTP side."""

import inspect
import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import structlog

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.db.engine import Tx
from heliograph.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthorized,
)
from heliograph.http import envelope, idempotency
from heliograph.http.auth import Authenticator
from heliograph.http.request import Merged, Reply, Request, Route, Services
from heliograph.http.throttle import Throttle

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[str, str]]

log = structlog.get_logger(__name__)
JSON = ("content-type", "application/json")


class Table:
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
        """The route and the parameters of the path. Raises NotFound, MethodNotAllowed."""
        path = path.rstrip("/")
        if "\x00" in path:
            raise NotFound  # no id holds it, and a database would choke on it
        verbs = self._fixed.get(path)
        if verbs and method in verbs:
            return verbs[method], {}
        known = verbs is not None
        for pattern, by_verb in self._open.get(path.count("/"), ()):
            found = pattern.fullmatch(path)
            if found:
                if method in by_verb:
                    return by_verb[method], found.groupdict()
                known = True
        raise MethodNotAllowed if known else NotFound


class Server:
    """Answers everything below /v3."""

    def __init__(self, services: Services, routes: Sequence[Route]) -> None:
        settings = services.settings
        self._services = services
        self._table = Table(routes)
        self._authenticator = Authenticator(services.database, services.vault)
        self._calls = Throttle(settings.rate_limit, settings.rate_limit_store, "calls")
        self._logins = Throttle(settings.login_limit, settings.rate_limit_store, "logins")
        self._origins = {origin.strip().lower() for origin in settings.cors_origins.split(",") if origin.strip()}
        self._merges: dict[Any, Callable[[Tx, list[Any]], Sequence[Any]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request_id = os.urandom(8).hex()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        extra: Headers = [("x-request-id", request_id)]
        try:
            if "origin" in headers:
                extra += await self._cors(headers["origin"])
            if scope["method"] == "OPTIONS":
                await _answer(send, 204, b"", extra)
                return
            status, body = 200, await self._handle(scope, receive, headers, request_id, extra)
        except ApiError as refused:
            status, body = refused.status, envelope.failure(refused)
            extra += refused.headers.items()
        except Exception:
            log.exception("request.failed", request=request_id, path=scope["path"])
            status, body = 500, envelope.failure(InternalError())
        await _answer(send, status, body, [JSON, *extra])

    async def _handle(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], request_id: str, extra: Headers
    ) -> bytes:
        route, params = self._table.match(scope["method"], scope["path"].removeprefix("/v3"))
        who = await self._authenticate(scope, route, headers, extra)
        settings = self._services.settings
        body = await _body(receive, headers, settings.max_upload if route.uploads else settings.max_body)
        req = Request(
            route=route,
            request_id=request_id,
            params=params,
            query=_query(scope["query_string"]),
            headers=headers,
            body=body,
            base_url=settings.public_url.rstrip("/") or _base_url(scope, headers),
            services=self._services,
        )
        req.enter(None, who)
        return await self._run(req)

    async def _authenticate(
        self, scope: Scope, route: Route, headers: Mapping[str, str], extra: Headers
    ) -> Principal | None:
        client = scope["client"][0] if scope.get("client") else ""
        if route.access is None:
            extra += self._calls.hit(route.paths[0], client)
            return None
        header = headers.get("authorization", "")
        who = self._authenticator.known(header)
        if who is None:
            self._logins.check(client)
            try:
                who = await self._authenticator.principal(header)
            except Unauthorized:
                extra += self._logins.hit(client)
                raise
        extra += self._calls.hit(route.paths[0], str(who.user_id))
        _admit(route, who)
        return who

    async def _run(self, req: Request) -> bytes:
        handler = req.route.handler
        database = self._services.database
        if inspect.iscoroutinefunction(handler):
            return _wrap(req, await handler(req))
        key = idempotency.key_of(req)
        if isinstance(handler, Merged):
            item = handler.prepare(req)
            if key is None:
                result = await database.write_merged(self._merge(handler), (req, item))
                return _wrap(req, handler.render(req, result))
            return await database.write(lambda tx: _once(tx, req, key, lambda: _single(tx, handler, req, item)))
        plain: Any = handler
        if req.route.method == "GET":
            return await database.read(lambda tx: _plainly(tx, req, plain))
        return await database.write(lambda tx: _once(tx, req, key, lambda: plain(req)))

    def _merge(self, handler: Merged) -> Callable[[Tx, list[Any]], Sequence[Any]]:
        """One function object per handler, so that the writer sees what belongs together."""
        made = self._merges.get(handler.merge)
        if made is None:

            def made(tx: Tx, pairs: list[Any]) -> Sequence[Any]:
                return _merge_fresh(tx, handler, pairs)

            self._merges[handler.merge] = made
        return made

    async def _cors(self, origin: str) -> Headers:
        """CORS headers when the operator or an account has named this origin."""
        known = "*" in self._origins or origin.lower() in self._origins
        if not known:
            known = await self._services.database.read(lambda tx: account.allowed_origin(tx, origin))
        if not known:
            return []
        return [
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
            ("access-control-allow-headers", "Authorization, Content-Type, Idempotency-Key"),
            ("access-control-max-age", "600"),
            ("vary", "Origin"),
        ]


def _merge_fresh(tx: Tx, handler: Merged, pairs: list[Any]) -> Sequence[Any]:
    """Check each caller's credentials in this transaction, then merge the items of those that still hold."""
    results: list[Any] = [None] * len(pairs)
    good = []
    for at, (req, item) in enumerate(pairs):
        try:
            _enter(tx, req)
            good.append((at, item))
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
        _admit(req.route, fresh)
    req.enter(tx, fresh)


def _admit(route: Route, who: Principal) -> None:
    """Refuse accounts and subaccounts that may not use a route. Source: facts B (test users), J3."""
    if who.banned:
        raise Forbidden("Your account has been banned.")
    if not who.active and not route.paths[0].startswith(("/account", "/account-verify")):
        raise Forbidden("Your account has not been activated.", code="ACCOUNT_NOT_ACTIVATED")
    if route.access and route.access not in who.access:
        raise Forbidden


def _plainly(tx: Tx, req: Request, handler: Callable[[Request], Reply]) -> bytes:
    _enter(tx, req)
    return _wrap(req, handler(req))


def _once(tx: Tx, req: Request, key: str | None, work: Callable[[], Reply]) -> bytes:
    """Run `work` unless this key had its answer already."""
    _enter(tx, req)
    if key is None:
        return _wrap(req, work())
    before = idempotency.recall(tx, req, key)
    if before is not None:
        return before
    answer = _wrap(req, work())
    idempotency.remember(tx, req, key, answer)
    return answer


def _single(tx: Tx, handler: Merged, req: Request, item: Any) -> Reply:
    result = handler.merge(tx, [item])[0]
    if isinstance(result, BaseException):
        raise result
    return handler.render(req, result)


def _wrap(req: Request, reply: Reply) -> bytes:
    if reply.bare:
        return envelope.encode(reply.data)
    return envelope.success(reply.message or req.route.message, reply.data)


async def _body(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise TooLarge
    message = await receive()
    body = message.get("body", b"")
    if not message.get("more_body"):
        return bytes(body)
    pieces = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most:
            raise TooLarge
    return b"".join(pieces)


def _query(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100))
    except (UnicodeDecodeError, ValueError):
        raise BadRequest(message="The query string cannot be read.") from None


def _base_url(scope: Scope, headers: Mapping[str, str]) -> str:
    host = headers.get("host", "")
    if not re.fullmatch(r"[\w.:\[\]-]{1,255}", host):
        host = "localhost"
    return f"{scope.get('scheme', 'http')}://{host}"


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
