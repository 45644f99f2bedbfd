"""Files for messages: uploaded ones, and those behind a URL that a message names, as their channel sends them.

A channel takes a file before its transaction begins, and keeps it (store.keep) in the one that accepts the message.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import IO, Any

import msgspec

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.files import kinds
from heliograph.files import store as files
from heliograph.files.convert import Converted, Converter
from heliograph.files.store import FileStore
from heliograph.files.task import Refused

FETCH_SECONDS = 20.0
"""Seconds for the fetch of a URL; the caller of the API waits meanwhile."""

GONE = "There is no such file."
FETCHED = "file"
"""Name of a fetched file. Not taken from its URL, which may hold secrets of the customer."""

Download = Callable[[str, IO[bytes], int, float], Awaitable[tuple[str | None, bool]]]
"""Fetch a URL into a file of at most so many bytes, in so many seconds: (why it failed, whether to try again)."""


class Attachment(msgspec.Struct, frozen=True):
    """A stored file that a channel can send. `size` is in bytes, times are Unix; `pages` is 0 for what has none."""

    upload_id: int
    file_id: str
    name: str
    content_type: str
    size: int
    pages: int
    created_at: int
    expires_at: int

    @property
    def file_name(self) -> str:
        """The id and what it is, as in its link."""
        return f"{self.file_id}.{self.name.rpartition('.')[2]}"


class Attachments:
    """Takes files in. `life` is in seconds, `largest` in bytes."""

    def __init__(
        self, database: Database, store: FileStore, converter: Converter, download: Download, life: int, largest: int
    ) -> None:
        self._database = database
        self._store = store
        self._converter = converter
        self._download = download
        self._life = life
        self._largest = largest
        self._quota = converter.options.storage_quota or None

    async def upload(self, user_id: int, data: bytes, name: str, target: str) -> Attachment:
        """Convert a file for `target` (one of task.TARGETS) and store it. Raises Refused, Busy, Unavailable."""
        country = await self._database.read(lambda tx: files.country(tx, user_id))
        made = await self._converter.convert(data, name, target, country)
        return await self._saved(user_id, made, target)

    async def take(
        self, user_id: int, url: str, target: str, base_url: str, *, only: Sequence[str] = (), most: int | None = None
    ) -> Attachment:
        """The file that a message names by `url`, fit for `target`. Raises Refused with a sentence, Busy, Unavailable.

        A file that the account has here (a link below `base_url`, or a `file_name`) is not fetched, and not converted
        again when it was uploaded for this target. It lives as long as an upload does: keep it with the message.
        A file that was not uploaded for this target must be of the kinds `only`, if there are any, and have at most
        `most` bytes.
        """
        file_id = files.named(url, base_url)
        if file_id is None:
            data = await self._fetched(url, most)
            await _check(data, target, only, most)
            return await self.upload(user_id, data, FETCHED, target)
        row = await self._database.read(lambda tx: files.uploaded(tx, user_id, file_id))
        if row is None:
            raise Refused(GONE)
        if row["target"] == target:
            return _attachment(row)
        data = await self._bytes(row)
        await _check(data, target, only, most)
        return await self.upload(user_id, data, row["name"], target)

    async def _fetched(self, url: str, most: int | None) -> bytes:
        into = io.BytesIO()
        why, _ = await self._download(url, into, min(self._largest, most or self._largest), FETCH_SECONDS)
        if why is not None:
            raise Refused(why)
        return into.getvalue()

    async def _bytes(self, row: Mapping[str, Any]) -> bytes:
        into = io.BytesIO()
        try:
            await asyncio.to_thread(files.copy, self._store, row["file_id"], row["size"], into)
        except FileNotFoundError:
            raise Refused(GONE) from None
        except OSError as problem:
            raise files.away(problem) from None
        return into.getvalue()

    async def _saved(self, user_id: int, made: Converted, target: str) -> Attachment:
        def record(tx: Tx) -> str:
            size, quota = len(made.data), self._quota
            file_id = files.create(tx, user_id, made.name, made.content_type, self._life, size=size, quota=quota)
            files.upload(tx, user_id, file_id, target, made.pages)
            return file_id

        file_id = await files.save(self._database, self._store, made.data, record)
        row = await self._database.read(lambda tx: files.uploaded(tx, user_id, file_id))
        if row is None:
            raise Refused(GONE)  # it has expired while it was stored
        return _attachment(row)


async def _check(data: bytes, target: str, only: Sequence[str], most: int | None) -> None:
    """Whether a file may be taken without being uploaded first. Raises Refused."""
    if most is not None and len(data) > most:
        raise Refused(f"The file has {len(data):,} bytes; at most {most:,} are allowed.")
    kind = await asyncio.to_thread(kinds.kind_of, data) if only else ""
    if only and kind not in only:
        raise Refused(f"The file is {kind}. Upload it first with convert={target}, or use {' or '.join(only)}.")


def _attachment(row: Mapping[str, Any]) -> Attachment:
    return Attachment(**{name: row[name] for name in Attachment.__struct_fields__})
