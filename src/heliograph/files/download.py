"""GET /files/{id}: a stored file by its unguessable id, whole or in part, always as a download."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from heliograph.db.database import Database
from heliograph.files import store as files
from heliograph.files.store import FileStore

RETRY_AFTER = "2"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Unsatisfiable(Exception):
    """A range that the file does not have."""


async def download(database: Database, store: FileStore, request: Request) -> Response:
    """The file; 503 with Retry-After while an export is being written. One range is served (RFC 9110, 14)."""
    file_id = request.path_params["file_id"].partition(".")[0]
    row = await database.read(lambda tx: files.find(tx, file_id)) if "\x00" not in file_id else None
    if row is None:
        return _plain("No such file.", 404)
    if not row["ready"]:
        return _plain("The file is being made.", 503, {"retry-after": RETRY_AFTER})
    name = files.safe_name(request.query_params.get("filename", ""), row["name"])
    headers = {
        "content-type": row["content_type"],
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
        "accept-ranges": "bytes",
        "etag": f'"{row["file_id"]}"',
    }
    size = row["size"]
    try:
        part = wanted(request.headers, size, headers["etag"])
    except Unsatisfiable:
        return _plain("The file has no such range.", 416, {"content-range": f"bytes */{size}"})
    start, stop = part or (0, size)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["content-length"] = str(stop - start)
    status = 200 if part is None else 206
    if request.method == "HEAD" or not size:
        return Response(None, status, headers)
    try:
        first = await asyncio.to_thread(store.read, row["file_id"], start, min(files.PIECE, stop - start))
    except FileNotFoundError:
        return _plain("No such file.", 404)
    except OSError as problem:
        away = files.away(problem)
        return _plain(away.message, away.status, away.headers)
    return StreamingResponse(_pieces(store, row["file_id"], first, start, stop), status, headers)


def wanted(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int] | None:
    """(start, end) of the range that is asked for, or None for all. Raises Unsatisfiable.

    Several ranges, other units and nonsense are answered with all, as RFC 9110 (14.2) allows.
    """
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or headers.get("if-range", etag) != etag or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size or start >= stop:
        raise Unsatisfiable
    return start, stop


async def _pieces(store: FileStore, file_id: str, first: bytes, start: int, stop: int) -> AsyncIterator[bytes]:
    yield first
    for at in range(start + len(first), stop, files.PIECE):
        yield await asyncio.to_thread(store.read, file_id, at, min(files.PIECE, stop - at))


def _plain(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status, headers)
