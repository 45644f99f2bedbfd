"""/thumbnails/{name}: pictures of the master templates, for whoever asks."""

import hashlib

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from heliograph.clock import DAY
from heliograph.mail.templates import masters


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
