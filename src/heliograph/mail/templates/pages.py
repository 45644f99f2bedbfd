"""/thumbnails/{name}: pictures of the master templates, for whoever asks. /previews/{token}: a template as a page."""

import asyncio
import hashlib

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from heliograph.accounts.vault import Vault
from heliograph.clock import DAY
from heliograph.db.database import Database
from heliograph.mail.templates import display, masters, preview


async def thumbnail(request: Request) -> Response:
    """GET: the picture, which may be kept for a day."""
    found = masters.thumbnail(request.path_params["name"])
    if found is None:
        return PlainTextResponse("No such picture.\n", 404)
    tag = f'"{hashlib.blake2b(found, digest_size=16).hexdigest()}"'
    headers = {"etag": tag, "cache-control": f"public, max-age={DAY}", "x-content-type-options": "nosniff"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(found, headers=headers, media_type="image/png")


class PreviewPage:
    """Its handler."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def show(self, request: Request) -> Response:
        """GET: the template."""
        token = request.path_params["token"]
        found = await self._database.read(lambda tx: preview.shown(tx, self._vault, token))
        if found is None:
            return PlainTextResponse("This link is wrong or too old, or its template is gone.\n", 404)
        return HTMLResponse(await asyncio.to_thread(display.page, *found), headers=display.HEADERS)
