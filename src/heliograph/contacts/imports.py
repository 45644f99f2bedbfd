"""Imports as rows: queued, moved on slice by slice together with the contacts they add, finished, forgotten."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.clock import DAY
from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from heliograph.db.tables import import_refusals, imports
from heliograph.errors import NotFound
from heliograph.files import store as files
from heliograph.queue import jobs

JOB = "import"
CONTENT_TYPE = "text/csv; charset=utf-8"
QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
NO_RECORD = "Import record not found."
LIFE = 30 * DAY
"""Seconds for which an import and its file of refused rows are kept."""

LIFE_OF_COPY = 7 * DAY
"""Seconds after which the copy of a file is removed whose import was lost: longer than an import may wait and run."""

MOST_REFUSALS = 100_000
"""Refused and partial rows that are kept with their reasons; further ones are only counted."""

COUNTS = ("rows_done", "rows_added", "rows_updated", "rows_partial", "rows_refused")
"""What is counted of an import. Partial rows are among those added and updated."""

Good = tuple[dict[str, str | None], dict[str, Any]]
"""A row as its fields, and as the columns of a new contact."""


class Note(msgspec.Struct, frozen=True):
    """What is to be said of a row, with its line and its text: why it is refused, or what was left out of it."""

    line: int
    reason: str
    text: str
    refused: bool = True


class Slice(msgspec.Struct, frozen=True):
    """The rows between two positions of a file: those to store, and what is to be said of them and of the others."""

    start: int
    end: int
    good: Sequence[Good]
    noted: Sequence[Note]


def queue(
    tx: Tx, user_id: int, list_id: int, country: str, file_url: str, file_id: str | None, fields: Sequence[str | None]
) -> int:
    """Queue an import of a URL, or of the file `file_id` that is here already; its id. Raises NotFound."""
    lists.find(tx, user_id, list_id, lock=True)
    values = {
        "user_id": user_id,
        "list_id": list_id,
        "file_url": file_url,
        "field_order": msgspec.json.encode(fields).decode(),
        "country": country,
        "state": QUEUED,
        "file_id": file_id,
        "created_at": tx.now,
        **dict.fromkeys((*COUNTS, "position"), 0),
    }
    key = int(tx.scalar(imports.insert().values(values).returning(imports.c.import_id)))
    lists.importing(tx, list_id, 1)
    # a lane for each account, so that the slow files of one do not delay those of others
    jobs.enqueue(tx, JOB, {"import_id": key}, lane=f"{JOB}:{user_id}")
    return key


def load(tx: Tx, import_id: int) -> Mapping[str, Any] | None:
    """An import by its id alone, for the job that runs it."""
    return tx.row(select(imports).where(imports.c.import_id == import_id))


def find(tx: Tx, user_id: int, list_id: int, import_id: int) -> Mapping[str, Any]:
    """An import of a list. Raises NotFound."""
    lists.find(tx, user_id, list_id)
    row = load(tx, import_id)
    if row is None or (row["user_id"], row["list_id"]) != (user_id, list_id):
        raise NotFound(NO_RECORD)
    return row


def notes(tx: Tx, import_id: int, after: int, limit: int, refused: bool | None = None) -> Sequence[Mapping[str, Any]]:
    """What is said of the rows after a line, in the order of the file: of those that are refused or not, or of both."""
    mine = (import_refusals.c.import_id == import_id) & (import_refusals.c.line > after)
    if refused is not None:
        mine &= import_refusals.c.partial == int(not refused)
    return tx.rows(select(import_refusals).where(mine).order_by(import_refusals.c.line).limit(limit))


def copied(tx: Tx, user_id: int, size: int = 0, quota: int | None = None) -> str:
    """Record our copy of a file that is about to be stored; its id. Raises files.Full."""
    return files.create(tx, user_id, "import.csv", CONTENT_TYPE, LIFE_OF_COPY, size=size, quota=quota)


def begin(tx: Tx, import_id: int, source: str, file_id: str, size: int) -> None:
    """Note that our copy of the file is stored; the copy is discarded when another run has stored one before."""
    changed = imports.update().where(imports.c.import_id == import_id, imports.c.state == QUEUED)
    if tx.execute(changed.values(state=RUNNING, source=source, file_id=file_id)).rowcount:
        files.finish(tx, file_id, size)
    else:
        files.discard(tx, [file_id])


def apply(tx: Tx, import_id: int, piece: Slice) -> bool:
    """Store a slice and move the position past it; False when another run has been here, or the import has ended.

    Position, contacts and counts change together, so a run that is killed repeats nothing.
    """
    row = tx.row(select(imports).where(imports.c.import_id == import_id).with_for_update())
    if row is None or row["state"] != RUNNING or row["position"] != piece.start:
        return False
    try:
        into = lists.find(tx, row["user_id"], row["list_id"], lock=True)
    except NotFound:
        finish(tx, import_id, "The list was deleted.")
        return False
    added, updated = _store(tx, into, row["country"], piece.good)
    kept = max(0, MOST_REFUSALS - row["rows_refused"] - row["rows_partial"])
    noted = [(import_id, one.line, one.reason, one.text, int(not one.refused)) for one in piece.noted[:kept]]
    tx.insert_rows("import_refusals", ("import_id", "line", "reason", "content", "partial"), noted)
    refused = sum(one.refused for one in piece.noted)
    more = (len(piece.good) + refused, added, updated, len(piece.noted) - refused, refused)
    counts = {name: row[name] + number for name, number in zip(COUNTS, more, strict=True)}
    tx.execute(imports.update().where(imports.c.import_id == import_id).values(position=piece.end, **counts))
    return True


def _store(tx: Tx, into: Mapping[str, Any], country: str, rows: Sequence[Good]) -> tuple[int, int]:
    """Add contacts, or change those of the same phone number (facts H10); (how many were added, changed)."""
    numbers = [made["msisdn"] for _, made in rows if made["msisdn"] is not None]
    known = contact.numbered(tx, into["list_id"], numbers)
    fresh: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    for fields, made in rows:
        number = made["msisdn"]
        if number in known:
            before = known[number]
            after = _merged(fields, made, country, before)
            contact.change(tx, before["contact_id"], after)
            known[number] = {**before, **after}
        elif number in places:
            at = places[number]
            fresh[at] = _merged(fields, made, country, fresh[at])
        else:
            if number is not None:
                places[number] = len(fresh)
            fresh.append(made)
    if fresh:
        contact.add(tx, into, fresh)
    return len(fresh), len(rows) - len(fresh)


def _merged(
    fields: Mapping[str, str | None], made: Mapping[str, Any], country: str, before: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns of the contact `before` with a row's fields. Its numbers are taken from `made`, since `before` may be
    of another country.
    """
    numbers = {name: made[name] for name in ("phone_number", "fax_number") if name in fields}
    after = contact.columns({**fields, **numbers}, country, before)
    for name, original in (("phone_number", "phone_original"), ("fax_number", "fax_original")):
        if name in fields:
            after[original] = made[original]
    return after


def reported(tx: Tx, user_id: int, import_id: int) -> str:
    """Record the file of refused rows that is about to be stored; its id."""
    return files.create(tx, user_id, f"import-{import_id}-errors.csv", CONTENT_TYPE, LIFE)


def finish(tx: Tx, import_id: int, error: str | None = None, error_file_id: str | None = None, size: int = 0) -> None:
    """End an import, well or with an error, and discard our copy of its file. Does nothing to one that has ended.

    `size` is that of the file of refused rows, in bytes.
    """
    open_ = (imports.c.import_id == import_id) & imports.c.state.in_((QUEUED, RUNNING))
    ended = (
        imports.update()
        .where(open_)
        .values(state=FAILED if error else DONE, error=error, error_file_id=error_file_id, finished_at=tx.now)
    )
    row = tx.row(ended.returning(imports.c.list_id, imports.c.source, imports.c.file_id))
    if row is None:
        return
    if error_file_id is not None:
        files.finish(tx, error_file_id, size)
    lists.importing(tx, row["list_id"], -1)
    if row["source"] is not None:  # until then `file_id` is the customer's upload, which is not ours to discard
        files.discard(tx, [row["file_id"]])


def forget(tx: Tx) -> bool:
    """Remove some of the rows and files of old imports; whether there may be more. A duty of the upkeep."""
    old = select(imports.c.import_id).where(imports.c.created_at < tx.now - LIFE, imports.c.finished_at.is_not(None))
    key = tx.scalar(old.limit(1))
    if key is None:
        return False
    some = select(import_refusals.c.line).where(import_refusals.c.import_id == key).limit(1000)
    mine = import_refusals.c.import_id == key
    if not tx.execute(import_refusals.delete().where(mine, import_refusals.c.line.in_(some))).rowcount:
        tx.execute(imports.delete().where(imports.c.import_id == key))
    return True
