"""The short way of small requests to merged routes (http/protocol.py): the same steps as in server.py, with no waiting.

Whatever is unusual, or has to be refused, goes the long way: nothing was done or counted then.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from heliograph.errors import ApiError
from heliograph.http import host, loose
from heliograph.http.endpoint import Merged
from heliograph.http.protocol import Exchange
from heliograph.http.request import Request
from heliograph.http.route import Route
from heliograph.http.server import JSON, NO_QUERY, Scope, Server, admit, client_of, wrap
from heliograph.http.throttle import Limits
from heliograph.http.windows import Headers, OwnThrottle
from heliograph.services import Services

UNUSUAL = frozenset((b"idempotency-key", b"origin", b"transfer-encoding"))
"""Headers of requests that go the long way."""


class Hot:
    """The hot requests of a server. Where several processes count calls together, there are none."""

    def __init__(self, server: Server, services: Services, limits: Limits, routes: Sequence[Route]) -> None:
        self._server = server
        self._services = services
        self._calls = limits.calls if isinstance(limits.calls, OwnThrottle) else OwnThrottle("0/minute")
        self._routes = _short(routes, server) if self._calls is limits.calls else {}

    def look(self, method: bytes, url: bytes, scope: Scope) -> Request | None:
        """The request that a head belongs to, when it is hot: by somebody who is known and may call now."""
        route, most = self._routes.get((method, url), (None, 0))
        if route is None:
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if not UNUSUAL.isdisjoint(headers) or not length.isdigit() or int(length) > most:
            return None
        who = self._server.known(headers.get(b"authorization", b""))
        if who is None or not self._calls.has_room(route.at, str(who.user_id)):
            return None
        try:
            host.check(scope, headers)
            admit(route, who)
        except ApiError:
            return None
        req = Request(
            route=route,
            request_id=self._server.new_id(),
            params={},
            query=NO_QUERY,
            headers=headers,
            scheme=scope.get("scheme", "http"),
            client=client_of(scope),
            body=b"",
            services=self._services,
        )
        req.enter(None, who)
        return req

    def begin(self, req: Request, exchange: Exchange) -> bool:
        """Put a request, whose body is complete, in line for its transaction; it is answered after the commit."""
        handler, server = req.route.endpoint.handler, self._server
        extra: Headers = [JSON, (b"x-request-id", req.id.encode())]

        def tell(result: Any, failure: BaseException | None) -> None:
            try:
                if failure is not None:
                    raise failure
                body = wrap(req, handler.render(req, result))
            except BaseException as problem:  # noqa: BLE001 - a defect must be an answer
                exchange.hand_over(partial(server.refuse, problem, req.id, extra))
            else:
                exchange.answer(body, extra)

        try:
            item = handler.prepare(req, req.decode(req.route.endpoint.body))
            counted = None if handler.large(item) else self._calls.hit_at_once(req.route.at, str(req.who.user_id))
            if counted is not None:
                extra += counted
                drawn = (req, item, req.who)
                self._services.database.merge_then(server.merging(handler), drawn, tell, weight=handler.weight(item))
        except Exception:  # noqa: BLE001 - the long way comes to the same end, and tells of it
            return False
        return counted is not None


def _short(routes: Sequence[Route], server: Server) -> dict[tuple[bytes, bytes], tuple[Route, int]]:
    """The routes with a short way, by verb and address as they come over the wire, and how large a body may be."""
    found: dict[tuple[bytes, bytes], tuple[Route, int]] = {}
    for route in routes:
        handler = route.endpoint.handler
        if not isinstance(handler, Merged) or handler.gather is not None or handler.slow:
            continue
        if route.access is not None and not route.endpoint.daily:
            hot = route, min(server.most[route], loose.LARGE)
            for path in route.paths:
                if "{" not in path:
                    found |= {(route.method.encode(), f"/v3{path}{end}".encode()): hot for end in ("", "/")}
    return found
