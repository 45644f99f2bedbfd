"""The job that runs an import: fetch the file, make it CSV, store it slice by slice. No transaction is open meanwhile.

A run lasts less than a job's lease and is then taken up again, so that a lost process is told from a long file.
"""

import asyncio
import csv
import io
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from heliograph.contacts import contact, imports, sheets
from heliograph.contacts.imports import Slice
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest
from heliograph.files import store as files
from heliograph.files.store import FileStore
from heliograph.queue.jobs import Job

ROWS_A_SLICE = 500
SECONDS_A_RUN = 30.0
SECONDS_OF_CONVERSION = 50.0
TRIES_TO_FETCH = 3
CONVERTER = "heliograph.contacts.convert"
_WHY = {
    sheets.DAMAGED: "The spreadsheet is damaged or has a password.",
    sheets.TOO_LARGE: "The spreadsheet is too large when unpacked.",
}

Download = Callable[[str, IO[bytes]], Awaitable[tuple[str | None, bool]]]
"""Fetch a URL into a file: (why it failed, whether another try may help)."""


class Unreadable(Exception):
    """The file cannot be imported; the text says why, for the customer."""


class Importer:
    """Runs jobs of kind `import`."""

    def __init__(self, database: Database, store: FileStore, download: Download) -> None:
        self._database = database
        self._store = store
        self._download = download

    async def run(self, job: Job) -> float | None:
        """One run. Source of the endpoint: api-v3, "Import Contacts" (29)."""
        key = int(job.payload["import_id"])
        row = await self._database.read(lambda tx: imports.load(tx, key))
        if row is None:
            return None
        if row["state"] not in (imports.QUEUED, imports.RUNNING):
            self._drop(row)
            return None
        try:
            if row["state"] == imports.QUEUED:
                return await self._fetch(row, job.attempt)
            return await self._work(row)
        except Unreadable as problem:
            why = str(problem)
            await self._database.write(lambda tx: imports.finish(tx, key, why), urgent=False)
            self._drop(row)
            return None

    async def _fetch(self, row: Mapping[str, Any], attempt: int) -> float:
        """Bring the file here and make it CSV; the work begins with the next run."""
        if row["file_id"] is not None:
            path = self._store.path(row["file_id"])
            if not path.exists():
                raise Unreadable("The uploaded file is no longer there.")
            source, file_id = await self._prepared(path, row["country"])
        else:
            with tempfile.NamedTemporaryFile() as fetched:
                error, again = await self._download(row["file_url"], fetched)
                if error is not None:
                    if again and attempt < TRIES_TO_FETCH:
                        return 10.0 * attempt
                    raise Unreadable(error)
                fetched.flush()
                source, file_id = await self._prepared(Path(fetched.name), row["country"])
        begin = partial(imports.begin, import_id=row["import_id"], source=source, file_id=file_id)
        if not await self._database.write(begin, urgent=False):
            self._store.remove(file_id)
        return 0.0

    async def _prepared(self, path: Path, country: str) -> tuple[str, str]:
        """(kind of the file, our copy of it as CSV)."""
        with path.open("rb") as file:
            source = sheets.kind(file.read(sheets.SAMPLE))
        if source is None:
            raise Unreadable("The file is neither CSV nor a spreadsheet (xlsx, xls, ods) nor a vCard.")
        if source == "text":
            return source, await asyncio.to_thread(self._keep, path)
        with tempfile.NamedTemporaryFile() as made:
            await _converted(source, path, Path(made.name), country)
            return source, await asyncio.to_thread(self._keep, Path(made.name))

    def _keep(self, path: Path) -> str:
        with path.open("rb") as file:
            return self._store.write(iter(lambda: file.read(1 << 20), b""))[0]

    def _drop(self, row: Mapping[str, Any]) -> None:
        """Remove our copy; an upload that has not been copied is the customer's."""
        if row["source"] is not None:
            self._store.remove(row["file_id"])

    async def _work(self, row: Mapping[str, Any]) -> float | None:
        """Store slices until the file or the time of this run is over."""
        key, end = row["import_id"], time.monotonic() + SECONDS_A_RUN
        path = self._store.path(row["file_id"])
        if not path.exists():
            raise Unreadable("The file is no longer there.")
        slices = _slices(path, row)
        while time.monotonic() < end:
            piece = await asyncio.to_thread(next, slices, None)
            if piece is None:
                await self._end(row)
                return None
            if not await self._database.write(partial(imports.apply, import_id=key, piece=piece), urgent=False):
                return 60.0  # another run has taken over, or the list is gone: the next look at the row tells
        return 0.0

    async def _end(self, row: Mapping[str, Any]) -> None:
        """Finish, with a file of what was refused."""
        key = row["import_id"]
        some = await self._database.read(lambda tx: imports.refusals(tx, key, -1, 1))
        file_id, size = None, 0
        if some:
            file_id, size = await self._database.read(lambda tx: self._store.write(_report(tx, key)))

        def finish(tx: Tx) -> None:
            imports.finish(tx, key, None, file_id)
            if file_id is not None:
                name, kind = f"import-{key}-errors.csv", "text/csv; charset=utf-8"
                files.register(tx, row["user_id"], file_id, name, kind, size, imports.LIFE)

        await self._database.write(finish, urgent=False)
        self._drop(row)


async def _converted(source: str, path: Path, made: Path, country: str) -> None:
    """Run the converting process. Raises Unreadable."""
    command = (sys.executable, "-m", CONVERTER, source, str(path), str(made), country)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        code = await asyncio.wait_for(process.wait(), SECONDS_OF_CONVERSION)
    except TimeoutError:
        code = -1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:  # negative: ended by a limit of memory or time
        raise Unreadable(_WHY.get(sheets.TOO_LARGE if code < 0 else code, "The file cannot be read."))


def _slices(path: Path, row: Mapping[str, Any]) -> Iterator[Slice]:
    """The slices that are left of an import's file."""
    fields: list[str | None] = msgspec.json.decode(row["field_order"])
    if row["source"] == "vcard":
        fields = list(contact.FIELDS)
    name = sheets.encoding(path, row["country"]) if row["source"] == "text" else "utf-8"
    found = enumerate(sheets.rows(path, name, len(fields)), 1)
    start = row["position"]
    for _ in islice(found, start):
        pass
    while some := list(islice(found, ROWS_A_SLICE)):
        first_is_header = start == 0 and row["source"] != "vcard" and _header(some[0][1][1], fields)
        end = some[-1][0]
        yield _slice(start, end, [one for _, one in some[first_is_header:]], fields, row["country"])
        start = end


def _header(cells: list[str] | str, fields: Sequence[str | None]) -> bool:
    return not isinstance(cells, str) and sheets.is_header(cells, fields)


def _slice(start: int, end: int, rows: Sequence[sheets.Row], fields: Sequence[str | None], country: str) -> Slice:
    good, refused = [], []
    for line, cells in rows:
        if isinstance(cells, str):
            refused.append((line, cells, ""))
            continue
        named: dict[str, str | None] = {
            name: cell.strip().lstrip("'") if name in contact.REACHABLE else cell
            for name, cell in zip(fields, cells, strict=False)
            if name and cell.strip()
        }
        try:
            good.append((named, contact.columns(named, country)))
        except BadRequest as fault:
            refused.append((line, " ".join(fault.data.values()), ",".join(cells)[:500].replace("\x00", "")))
    return Slice(start, end, good, refused)


def _report(tx: Tx, import_id: int) -> Iterator[bytes]:
    """The refused rows as CSV, read in slices."""
    yield b"line,reason,content\r\n"
    after = -1
    while some := imports.refusals(tx, import_id, after, 1000):
        out = io.StringIO()
        # A leading quote: a spreadsheet must not take a customer's text for a formula.
        csv.writer(out).writerows([row["line"], row["reason"], "'" + row["content"]] for row in some)
        yield out.getvalue().encode()
        after = some[-1]["line"]
