"""The ASGI application: the API below /v3, its document, health, stored files, and links out of mails."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from heliograph.errors import BadRequest, TooManyRequests, Unavailable
from heliograph.http import envelope, host, openapi, pages
from heliograph.http.pages import Demo
from heliograph.http.route import Section
from heliograph.http.server import Server

ELSEWHERE = "https://heliograph.invalid"
"""Stands in the document for the server's address (RFC 6761, 6.4: nobody has it)."""
PAGES = ("/v3/openapi.json", "/v3/docs")
START = ("/v3", "/v3/")
"""The page of `/` stands here too, for those who look; other verbs get the API's 404."""
Page = Callable[[Request], Awaitable[Response]]


class Place(NamedTuple):
    """A page of a feature. A `limited` one counts for the address that asks, like a call of the API."""

    page: Page
    methods: Sequence[str] = ("GET",)
    limited: bool = False


class ShortPages(Protocol):
    """An ASGI application for the paths of links."""

    def serves(self, path: str) -> bool:
        """Whether a path is one of them."""
        ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        ...


def application(
    server: Server,
    sections: Sequence[Section],
    public_url: str,
    demo: Demo | None,
    ready: Callable[[], Awaitable[Mapping[str, bool]]],
    places: Mapping[str, Place],
    short: Sequence[ShortPages],
) -> Any:
    """Starlette for the pages, the API beside it.

    The API does not go through Starlette's layers: they would take a fifth of a send's time. `ready` says what the
    process needs and whether it has it; the pages show the credentials of `demo`. `places` are the pages of features by
    their paths, `short` what people follow links to.
    """

    async def readyz(request: Request) -> Response:
        state = await ready()
        return JSONResponse(state, 200 if all(state.values()) else 503)

    def base(request: Request) -> str:
        return public_url.rstrip("/") or str(request.base_url).rstrip("/")

    async def described(request: Request) -> Response:
        return await _page(server, request, document(base(request)), {"content-type": "application/json"})

    async def browsable(request: Request) -> Response:
        return await _page(server, request, pages.docs(demo), _html("docs.html"))

    async def start(request: Request) -> Response:
        return await _page(server, request, pages.start(base(request), demo), _html("start.html"))

    @cache
    def halves() -> list[bytes]:
        """The document before and after its server's address: it is made once, for whatever name it is asked under."""
        return msgspec.json.encode(openapi.document(sections, ELSEWHERE)).split(ELSEWHERE.encode())

    def document(base: str) -> bytes:
        return msgspec.json.encode(base)[1:-1].join(halves())

    site = Starlette(
        routes=[
            Route("/healthz", _healthz),
            Route("/readyz", readyz),
            *(Route(path, _answering(server, path, one), methods=one.methods) for path, one in places.items()),
            Route("/", start),
            Route("/v3", start),
            Route("/v3/", start),
            Route("/v3/openapi.json", described),
            Route("/v3/docs", browsable),
        ],
        exception_handlers={Unavailable: _away},
    )

    return _entrance(server, short, site)


def _answering(server: Server, path: str, place: Place) -> Page:
    return _counted(server, path.partition("/{")[0], place.page) if place.limited else place.page


def _entrance(server: Server, short: Sequence[ShortPages], site: Any) -> Any:
    """The application that hands each request to the API, to a short page, or to one of the others."""

    async def entrance(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if "//" in path:  # from clients that put a path behind a base URL with a slash at its end
            path = scope["path"] = re.sub("/{2,}", "/", path)
        is_page = path in PAGES or (path in START and scope["method"] in ("GET", "HEAD"))
        if (path.startswith("/v3/") or path in START) and not is_page:
            await server(scope, receive, send)
            return
        try:
            host.check(scope, dict(scope["headers"]))
        except BadRequest as refused:
            await JSONResponse(refused.data, refused.status)(scope, receive, send)
            return
        served: Any = next((pages for pages in short if pages.serves(path)), site)
        await served(scope, receive, send)

    return entrance


async def _page(server: Server, request: Request, body: bytes, more: Mapping[str, str]) -> Response:
    """A page that a client may keep; it is limited like a call of the API. Raises nothing."""
    try:
        counted = await server.count(request.url.path, request.client.host if request.client else "")
    except TooManyRequests as refused:
        return Response(envelope.failure(refused), refused.status, refused.headers, "application/json")
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {name.decode(): value.decode() for name, value in counted}
    headers |= {"etag": tag, "cache-control": "no-cache", "vary": "Host", **more}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)


def _html(name: str) -> dict[str, str]:
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": pages.policy(name),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _counted(server: Server, at: str, page: Page) -> Page:
    """A page of strangers that is limited like a call of the API, all its addresses together."""

    async def answer(request: Request) -> Response:
        try:
            await server.count(at, request.client.host if request.client else "")
        except TooManyRequests as refused:
            return PlainTextResponse(f"{refused.message}\n", refused.status, refused.headers)
        return await page(request)

    return answer


async def _away(request: Request, problem: Exception) -> Response:
    """What a page answers while the database or the file store is away."""
    assert isinstance(problem, Unavailable)
    return PlainTextResponse(f"{problem.message}\n", problem.status, problem.headers)
