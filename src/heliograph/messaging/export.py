"""Histories as CSV files, one implementation for all channels: written at once, or as a job with progress."""

import asyncio
import csv
import io
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import exports
from heliograph.db.tables import files as stored
from heliograph.errors import NotFound, Unavailable
from heliograph.files import store as files
from heliograph.files.store import FileStore
from heliograph.messaging import history
from heliograph.messaging.channel import Channel
from heliograph.queue import jobs
from heliograph.queue.jobs import Job

JOB = "export"
CONTENT_TYPE = "text/csv; charset=utf-8"
SLICE = 1000
"""Messages that are read and written at a time: neither memory nor a transaction grows with the export."""

NO_RECORD = "Export record not found."
Progress = Callable[[int], Awaitable[object]]


def begin(tx: Tx, user_id: int, channel: str, first: int, last: int, name: str, campaign_id: int | None = None) -> str:
    """Record an export of the messages with ordinals in (first, last], or of those of a campaign among them; the id of
    its file, which is empty yet.
    """
    file_id = files.create(tx, user_id, name, CONTENT_TYPE, files.EXPORT_LIFE)
    what = {"user_id": user_id, "channel": channel, "first": first, "last": last, "campaign_id": campaign_id}
    tx.execute(exports.insert().values(file_id=file_id, **what, done=first))
    return file_id


def later(tx: Tx, user_id: int, file_id: str) -> None:
    """Have a job write the file."""
    jobs.enqueue(tx, JOB, {"user_id": user_id, "file_id": file_id})


def find(tx: Tx, user_id: int, file_id: str) -> Mapping[str, Any]:
    """An export of an account, with the `ready`, `name` and `size` of its file. Raises NotFound."""
    row = tx.row(
        select(exports, stored.c.ready, stored.c.name, stored.c.size)
        .join(stored, stored.c.file_id == exports.c.file_id)
        .where(exports.c.user_id == user_id, exports.c.file_id == file_id.upper(), stored.c.expires_at > tx.now)
    )
    if row is None:
        raise NotFound(NO_RECORD)
    return row


async def write(
    database: Database,
    store: FileStore,
    channels: Mapping[str, Channel],
    row: Mapping[str, Any],
    progress: Progress | None = None,
) -> None:
    """Write the file of an export. `progress` hears after each slice how far it is (an ordinal). Raises Unavailable."""
    user_id, last = row["user_id"], row["last"]
    sheet = channels[row["channel"]].sheet
    if row["campaign_id"] is not None:
        sheet = sheet.of_campaigns or sheet
    listing = sheet.listed(row["channel"]).of_campaign(row["campaign_id"])

    def piece(tx: Tx, first: int) -> bytes:
        rows = history.page(tx, user_id, listing, first, last, 0, SLICE, newest_first=False)
        return _lines(msgspec.structs.astuple(sheet.render(row)) for row in rows)

    with tempfile.TemporaryFile() as file:
        file.write(_lines([[field.encode_name for field in msgspec.structs.fields(sheet.entry)]]))
        for first in range(row["first"], last, SLICE):
            file.write(await database.read(lambda tx, first=first: piece(tx, first)))  # type: ignore[misc]
            if progress is not None:
                await progress(min(first + SLICE, last))
        size = file.tell()
        file.seek(0)
        try:
            await asyncio.to_thread(store.put, row["file_id"], file)
        except OSError as problem:
            raise files.away(problem) from None

    def finish(tx: Tx) -> None:
        _note(tx, row["file_id"], last)
        files.finish(tx, row["file_id"], size)

    await database.write(finish)


async def run(database: Database, store: FileStore, channels: Mapping[str, Channel], job: Job) -> float | None:
    """Run JOB. It may be run again, after a crash or when the store was away: the file is then written anew."""
    user_id, file_id = job.payload["user_id"], job.payload["file_id"]
    try:
        row = await database.read(lambda tx: find(tx, user_id, file_id))
    except NotFound:
        return None  # it took longer than the file would have lived

    def note(tx: Tx, done: int) -> None:
        _note(tx, file_id, done)
        jobs.hold(tx, job.job_id)

    async def progress(done: int) -> None:
        await database.write(lambda tx: note(tx, done), urgent=False)

    try:
        await write(database, store, channels, row, progress)
    except Unavailable:
        return files.AWAY
    return None


def _note(tx: Tx, file_id: str, done: int) -> None:
    tx.execute(exports.update().where(exports.c.file_id == file_id).values(done=done))


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([_harmless(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _harmless(value: Any) -> str:
    """A spreadsheet must not take a customer's text for a formula; an E.164 number is none."""
    text = "" if value is None else str(value)
    return "'" + text if text[:1] in ("=", "-", "@", "\t", "\r", "\n") or _signed(text) else text


def _signed(text: str) -> bool:
    return text[:1] == "+" and not text[1:].isdigit()
