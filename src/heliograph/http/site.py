"""The ASGI application: the API below /v3, its document, health, and stored files."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from heliograph.errors import BadRequest
from heliograph.http import host, openapi
from heliograph.http.route import Section
from heliograph.http.server import Server

PAGES = ("/v3/openapi.json", "/v3/docs")


def application(
    server: Server,
    sections: Sequence[Section],
    public_url: str,
    ready: Callable[[], Awaitable[Mapping[str, bool]]],
    download: Callable[[Request], Awaitable[Response]],
) -> Any:
    """Starlette for the pages, the API beside it.

    The API does not go through Starlette's layers: they would take a fifth of a send's time. `ready` says what the
    process needs and whether it has it; `download` answers for /files/{file_id}.
    """

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        state = await ready()
        return JSONResponse(state, 200 if all(state.values()) else 503)

    async def described(request: Request) -> Response:
        base = public_url.rstrip("/") or str(request.base_url).rstrip("/")
        return JSONResponse(openapi.document(sections, base))

    async def browsable(request: Request) -> Response:
        return HTMLResponse(openapi.page())

    pages = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/files/{file_id}", download),
            Route("/v3/openapi.json", described),
            Route("/v3/docs", browsable),
        ]
    )

    async def entrance(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if "//" in path:  # from clients that put a path behind a base URL with a slash at its end
            path = scope["path"] = re.sub("/{2,}", "/", path)
        if (path.startswith("/v3/") or path == "/v3") and path not in PAGES:
            await server(scope, receive, send)
            return
        try:
            host.check(scope, dict(scope["headers"]))
        except BadRequest as refused:
            await JSONResponse(refused.data, refused.status)(scope, receive, send)
            return
        await pages(scope, receive, send)

    return entrance
