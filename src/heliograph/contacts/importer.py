"""The job that runs an import: fetch the file, make it CSV, store it slice by slice. No transaction is open meanwhile.

A run ends before the lease of its job does, and the job is then run again. So a job whose lease has run out was lost
with its process; a long file does not look like that.
"""

import asyncio
import csv
import io
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, TextIO

import msgspec
import structlog

from heliograph.contacts import contact, imports, sheets
from heliograph.contacts.imports import Good, Note, Slice
from heliograph.db.database import Database
from heliograph.errors import BadRequest, label
from heliograph.files import cards, lines, separated, text
from heliograph.files import store as files
from heliograph.files.convert import Busy, Converter
from heliograph.files.kinds import MARKUP
from heliograph.files.separated import Flawed, Row
from heliograph.files.store import FileStore
from heliograph.files.task import Refused
from heliograph.queue import jobs
from heliograph.queue.jobs import Job
from heliograph.queue.worker import MOST_ATTEMPTS

ROWS_A_SLICE = 500
REFUSALS_A_READ = 1000
SECONDS_A_RUN = 30.0
TRIES_TO_FETCH = 3
HOLD_EVERY = jobs.LEASE / 3
"""Seconds between two renewals of the lease of a job whose fetch or conversion takes long."""

BESIDE = frozenset(contact.REACHABLE) - {"phone_number"}
"""What is left out of a row when it is bad and the phone number is good."""

ONE_LINE = frozenset(name for name in contact.FIELDS if not name.startswith("custom_")) - set(contact.REACHABLE)
"""Names and parts of an address: a break within them becomes a space. Numbers keep it, since it separates two."""

GONE = "The file is no longer there."
UNREAD = "The file could not be read to its end."
GIVEN_UP = "The import could not be finished."

log = structlog.get_logger(__name__)

Download = Callable[[str, IO[bytes]], Awaitable[tuple[str | None, bool]]]
"""Fetch a URL into a file: (why it failed, whether another try may help)."""


class Unreadable(Exception):
    """The file cannot be imported; the text says why, for the customer."""


class Again(Exception):
    """The file cannot be fetched now; the number is the seconds until the next try."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after


class Importer:
    """Runs jobs of kind `import`."""

    def __init__(self, database: Database, store: FileStore, converter: Converter, download: Download) -> None:
        self._database = database
        self._store = store
        self._converter = converter
        self._download = download

    async def run(self, job: Job) -> float | None:
        """One run. Source of the endpoint: api-v3, "Import Contacts" (29)."""
        key = int(job.payload["import_id"])
        row = await self._database.read(lambda tx: imports.load(tx, key))
        if row is None or row["state"] not in (imports.QUEUED, imports.RUNNING):
            return None
        try:
            if row["state"] == imports.RUNNING:
                return await self._work(row, job)
            await self._held(job, self._fetch(row, job.attempt))
        except Again as later:
            return later.after
        except Unreadable as problem:
            await self._fail(key, str(problem))
            return None
        except Exception:
            if job.attempt >= MOST_ATTEMPTS:  # the loop gives the job up
                await self._fail(key, GIVEN_UP)
            raise
        return 0.0

    async def _fail(self, key: int, why: str) -> None:
        await self._database.write(lambda tx: imports.finish(tx, key, why), urgent=False)

    async def _held(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """Wait for work that may take longer than the lease of its job, and renew the lease meanwhile: other files may
        have to be converted first.
        """
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait((task,), timeout=HOLD_EVERY))[0]:
                await self._database.write(lambda tx: jobs.hold(tx, job.job_id), urgent=False)
        finally:
            task.cancel()
        await task

    async def _fetch(self, row: Mapping[str, Any], attempt: int) -> None:
        """Fetch the file and convert it to CSV; the next run begins to store rows. Raises Unreadable, Again."""
        with self._converter.scratch.place() as place:
            path, made = Path(place) / "fetched", Path(place) / "made"
            if row["file_id"] is not None:
                await self._bring(row["file_id"], path)
            else:
                await self._get(row["file_url"], path, attempt)
            source = await asyncio.to_thread(_kind, path)
            if source == "text":
                made = path
            else:
                try:
                    await self._converter.to_lines(path, made, row["country"])
                except Refused as problem:
                    raise Unreadable(str(problem)) from None
                except Busy:
                    raise Again(10.0) from None
            await self._keep(row, source, made)

    async def _get(self, url: str, path: Path, attempt: int) -> None:
        """Download a URL into a local file. Raises Unreadable, Again."""
        with path.open("wb") as file:
            error, again = await self._download(url, file)
        if error is not None:
            raise Again(10.0 * attempt) if again and attempt < TRIES_TO_FETCH else Unreadable(error)

    async def _bring(self, file_id: str, path: Path) -> None:
        """Copy a stored file into a local one. Raises Unreadable when it is gone."""
        row = await self._database.read(lambda tx: files.find(tx, file_id))
        if row is None or not row["ready"]:
            raise Unreadable(GONE)
        with path.open("wb") as file:
            try:
                await asyncio.to_thread(files.copy, self._store, file_id, row["size"], file)
            except FileNotFoundError:
                raise Unreadable(GONE) from None

    async def _keep(self, row: Mapping[str, Any], source: str, path: Path) -> None:
        """Store our copy, so that any process can go on with it; its record comes first (files.create).

        Raises Unreadable: the account has no room for it.
        """
        quota = self._converter.options.storage_quota or None
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            record = partial(imports.copied, user_id=row["user_id"], size=size, quota=quota)
            try:
                file_id = await self._database.write(record, urgent=False)
            except files.Full as problem:
                raise Unreadable(str(problem)) from None
            try:
                await asyncio.to_thread(self._store.put, file_id, file)
            except OSError:
                await self._database.write(lambda tx: files.discard(tx, [file_id]), urgent=False)
                raise
        begin = partial(imports.begin, import_id=row["import_id"], source=source, file_id=file_id, size=size)
        await self._database.write(begin, urgent=False)

    async def _work(self, row: Mapping[str, Any], job: Job) -> float | None:
        """Store slices until the end of the file, or of the time for this run. Raises Unreadable."""
        key, end = row["import_id"], time.monotonic() + SECONDS_A_RUN
        async with self._slices(row) as slices:
            while time.monotonic() < end:
                piece = await asyncio.to_thread(_next, slices)
                if piece is None:
                    await self._end(row)
                    return None
                apply = partial(imports.apply, import_id=key, piece=piece)
                if not await self._database.write(apply, urgent=False, slow=True):
                    return 60.0  # another run has taken over, or the list is gone: the row tells the next run which
        await self._database.write(lambda tx: jobs.progress(tx, job.job_id, jobs.LEASE), urgent=False)
        return 0.0

    @asynccontextmanager
    async def _slices(self, row: Mapping[str, Any]) -> AsyncIterator[Iterator[Slice]]:
        """The slices that are left of an import's file. Raises Unreadable."""
        with self._converter.scratch.place() as place:
            path = Path(place) / "copy"
            await self._bring(row["file_id"], path)
            slices = _slices(path, row)
            try:
                yield slices
            finally:
                slices.close()

    async def _end(self, row: Mapping[str, Any]) -> None:
        """Finish, with a file of what was refused, or left out of a row."""
        key, user_id, file_id, size = row["import_id"], row["user_id"], None, 0
        if await self._database.read(lambda tx: imports.notes(tx, key, -1, 1)):
            file_id = await self._database.write(lambda tx: imports.reported(tx, user_id, key), urgent=False)
            size = await self._report(key, file_id)
        await self._database.write(lambda tx: imports.finish(tx, key, None, file_id, size), urgent=False)

    async def _report(self, key: int, file_id: str) -> int:
        """Store the refused rows as CSV, read slice by slice; its size in bytes."""
        after = -1
        with tempfile.TemporaryFile() as file:
            file.write(b"line,reason,content\r\n")
            while True:
                read = partial(imports.notes, import_id=key, after=after, limit=REFUSALS_A_READ)
                some = await self._database.read(read)
                if not some:
                    break
                file.write(_lines(some))
                after = some[-1]["line"]
            size = file.tell()
            file.seek(0)
            await asyncio.to_thread(self._store.put, file_id, file)
        return size


def _next(slices: Iterator[Slice]) -> Slice | None:
    """The next slice, None at the end. Raises Unreadable, and OSError or MemoryError, after which another try may help.

    A reader that meets a defect meets it again at each try.
    """
    try:
        return next(slices, None)
    except (OSError, MemoryError):
        raise
    except Exception as problem:
        log.exception("import.unreadable")
        raise Unreadable(UNREAD) from problem


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        kind = sheets.kind(file.read(text.HEAD))
    if kind not in ("sheet", "vcard", "text"):
        said = f"The file is {MARKUP}, whatever its name says. " if kind == "markup" else ""
        raise Unreadable(f"{said}The file is neither CSV nor a spreadsheet (xlsx, xls, ods) nor a vCard.")
    return kind


def _rows(path: Path, row: Mapping[str, Any], width: int) -> Iterator[Row]:
    """The rows of an import's file. Only in a text the delimiter is looked for; about `width` columns are expected."""
    if row["source"] != "text":
        return lines.read(path)
    with path.open("rb") as file:
        name = text.encoding(file, text.code_page(row["country"]))

    def opener() -> TextIO:
        return text.opened(path.open("rb"), name)

    return separated.rows(opener, separated.dialect(opener, width), sheets.LIMITS)


def _slices(path: Path, row: Mapping[str, Any]) -> Generator[Slice]:
    fields: list[str | None] = msgspec.json.decode(row["field_order"])
    if row["source"] == "vcard":
        fields = [sheets.field(name) for name in cards.COLUMNS]
    found = enumerate(_rows(path, row, len(fields)), 1)
    start = row["position"]
    for _ in islice(found, start):
        pass
    while some := list(islice(found, ROWS_A_SLICE)):
        first_is_header = start == 0 and row["source"] != "vcard" and _header(some[0][1][1], fields, row["country"])
        end = some[-1][0]
        yield _slice(start, end, [one for _, one in some[first_is_header:]], fields, row["country"])
        start = end


def _header(cells: list[str] | Flawed, fields: Sequence[str | None], country: str) -> bool:
    return not isinstance(cells, Flawed) and sheets.is_header(cells, fields, country)


def _slice(start: int, end: int, rows: Sequence[Row], fields: Sequence[str | None], country: str) -> Slice:
    good: list[Good] = []
    noted: list[Note] = []
    for line, row in rows:
        cells = row.cells if isinstance(row, Flawed) else row
        said = [row.reason] if isinstance(row, Flawed) else []
        refused = isinstance(row, Flawed) and not row.usable
        try:
            if not refused:
                made, without = _contact(_named(cells, fields, country), country)
                good.append(made)
                said += without
        except BadRequest as fault:
            said += fault.data.values()
            refused = True
        if said:
            noted.append(Note(line, " ".join(said), ",".join(cells)[:500].replace("\x00", ""), refused))
    return Slice(start, end, good, noted)


def _contact(named: dict[str, str | None], country: str) -> tuple[Good, list[str]]:
    """A row as it is stored; and what was left out of it: a bad address or fax number costs no good phone number.

    Raises BadRequest: the row cannot be stored.
    """
    try:
        return (named, contact.columns(named, country)), []
    except BadRequest as fault:
        if not named.get("phone_number") or not fault.data.keys() <= BESIDE:
            raise
        bad = fault.data
    rest = {name: value for name, value in named.items() if name not in bad}
    names = " and ".join(label(name).lower() for name in bad)
    return (rest, contact.columns(rest, country)), [f"Imported without {names}: {' '.join(bad.values())}"]


def _named(cells: Sequence[str], fields: Sequence[str | None], country: str) -> dict[str, str | None]:
    """The fields of a row. Raises BadRequest: a cell is too long, which is told before anything looks at what it says.

    As in an answer to `contact.columns`, whose limit lies below this one.
    """
    given = {name: cell.strip() for name, cell in zip(fields, cells, strict=False) if name}
    faults = {
        name: f"{label(name)} is longer than {sheets.LONGEST_CELL} characters."
        for name, cell in given.items()
        if len(cell) > sheets.LONGEST_CELL
    }
    if faults:
        raise BadRequest(faults)
    named: dict[str, str | None] = {
        name: " ".join(cell.split()) if name in ONE_LINE else cell for name, cell in given.items() if cell
    }
    for name in contact.REACHABLE:
        if name in named:
            named[name] = _first(name, given, country)
    return named


def _first(name: str, given: Mapping[str, str], country: str) -> str:
    """The number or the address of a cell: of several the first one that can be used."""
    if separated.LIST not in given[name]:
        return sheets.unquoted(given[name])
    some = sheets.numbers(given[name])
    for one in some:
        try:
            contact.columns({name: one, "address_country": given.get("address_country")}, country)
        except BadRequest as fault:
            if name in fault.data:
                continue
        return one
    return some[0] if some else ""


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Refused and incomplete rows as CSV."""
    out = io.StringIO()
    # The leading quote keeps a spreadsheet from running a customer's text as a formula.
    csv.writer(out).writerows([row["line"], row["reason"], "'" + row["content"]] for row in rows)
    return out.getvalue().encode()
