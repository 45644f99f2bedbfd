"""Receipts (DLR): joined to their message, turned into its status, listed for polling, given to the rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from heliograph.billing import usage
from heliograph.db.engine import Tx
from heliograph.messaging import counters, message
from heliograph.transports.base import MessageKey, Receipt

Key = tuple[int, str]
Report = Callable[[Tx, dict[str, Any], dict[str, Any]], bool]
"""Runs the account's receipt rules for a message row and a receipt row; whether the receipt is to be polled."""

COLUMNS = (
    "user_id",
    "channel",
    "ordinal",
    "message_id",
    "subaccount_id",
    "timestamp_send",
    "timestamp",
    "status",
    "status_code",
    "status_text",
    "error_code",
    "error_text",
    "custom_string",
)


def remember(tx: Tx, handed: Mapping[tuple[str, str], tuple[Any, ...]], report: Report) -> None:
    """Record which message a carrier's id belongs to, and apply the receipts that came before.

    Rows are (transport, remote_id, user_id, channel, message_id, at). A carrier that gives an id twice gets the
    newer meaning.
    """
    if not handed:
        return
    for name in {transport for transport, _ in handed}:
        ids = [remote_id for transport, remote_id in handed if transport == name]
        tx.driver_in("DELETE FROM handovers WHERE transport = ? AND remote_id IN ({})", [name], ids)
    columns = ("transport", "remote_id", "user_id", "channel", "message_id", "at")
    tx.insert_rows("handovers", columns, list(handed.values()))
    if tx.driver("SELECT 1 FROM parked_receipts LIMIT 1").fetchone():
        unpark(tx, list(handed), report)


def unpark(tx: Tx, handed: Sequence[tuple[str, str]], report: Report) -> None:
    """Apply the parked receipts of these (transport, remote id) pairs."""
    found: list[Receipt] = []
    for name in {transport for transport, _ in handed}:
        ids = [remote_id for transport, remote_id in handed if transport == name]
        sql = "DELETE FROM parked_receipts WHERE transport = ? AND remote_id IN ({}) RETURNING payload"
        found.extend(msgspec.json.decode(row[0], type=Receipt) for row in tx.driver_in(sql, [name], ids))
    if found:
        apply(tx, found, report)


def store(tx: Tx, arrived: Sequence[Receipt], report: Report) -> None:
    """Take receipts from a transport: join each to its message, or park it until the hand-over is recorded."""
    unknown = [receipt for receipt in arrived if receipt.key is None]
    keys: dict[tuple[str, str], MessageKey] = {}
    for name in {receipt.transport for receipt in unknown}:
        ids = {receipt.remote_id for receipt in unknown if receipt.transport == name}
        sql = "SELECT remote_id, user_id, channel, message_id FROM handovers WHERE transport = ? AND remote_id IN ({})"
        for remote_id, user_id, channel, key in tx.driver_in(sql, [name], ids):
            keys[name, remote_id] = MessageKey(user_id, channel, key)
    joined = []
    parked = []
    for receipt in arrived:
        key = receipt.key or keys.get((receipt.transport, receipt.remote_id))
        if key is not None:
            joined.append(receipt if receipt.key else msgspec.structs.replace(receipt, key=key))
        else:
            parked.append((receipt.transport, receipt.remote_id, msgspec.json.encode(receipt).decode(), tx.now))
    tx.insert_rows("parked_receipts", ("transport", "remote_id", "payload", "at"), parked)
    if joined:
        apply(tx, joined, report)


def apply(tx: Tx, joined: Sequence[Receipt], report: Report) -> set[Key]:
    """Change the messages that these receipts (all with a key) speak of; the keys of those that became final."""
    rows = message.load(tx, {_key(receipt) for receipt in joined})
    last: dict[Key, Receipt] = {}
    events = []
    for receipt in joined:
        key = _key(receipt)
        row = rows.get(key)
        if row is None:
            continue
        events.append((*key, _event_status(row, receipt), _words(receipt)))
        if row["status"] in (message.COMPLETED, message.FAILED, message.CANCELLED) or receipt.state == "enroute":
            continue
        if receipt.state == "delivered":
            if row["parts"] > 1 and not _first_of_its_part(tx, row, receipt):
                continue
            row["parts_left"] -= 1
            if row["parts_left"] > 0:
                tx.driver(
                    "UPDATE messages SET parts_left = ? WHERE user_id = ? AND message_id = ?", [row["parts_left"], *key]
                )
                continue
        row["status"] = message.COMPLETED if receipt.state == "delivered" else message.FAILED
        last[key] = receipt
    moved = _finish(tx, last)
    tally = usage.Tally()
    for key in moved:
        if last[key].state != "delivered":
            tally.of_message(rows[key]).failed += 1
    tally.write(tx)
    message.record(tx, events)
    _list(tx, [(rows[key], receipt) for key, receipt in last.items() if key in moved], report)
    return moved


def _first_of_its_part(tx: Tx, row: Mapping[str, Any], receipt: Receipt) -> bool:
    """Whether a part of a long message is reported for the first time: carriers repeat what they saw no answer to.

    A hand-over that is recorded waits for one receipt. One that is not recorded yet cannot tell.
    """
    sql = "DELETE FROM handovers WHERE remote_id = ? AND transport = ? RETURNING 1"
    waiting = tx.driver(sql, [receipt.remote_id, receipt.transport]).fetchone()
    return waiting is not None or row["status"] != message.SENT


def _key(receipt: Receipt) -> Key:
    assert receipt.key is not None
    return receipt.key.user_id, receipt.key.message_id


def _event_status(row: Mapping[str, Any], receipt: Receipt) -> str:
    if receipt.state == "enroute":
        return str(row["status"])
    return message.COMPLETED if receipt.state == "delivered" else message.FAILED


def _words(receipt: Receipt) -> str:
    if not receipt.transport:
        return receipt.raw
    error = f", error {receipt.error}" if receipt.error else ""
    return f"Receipt of {receipt.transport}: {receipt.state}{error}. {receipt.raw}"


def _ending(receipt: Receipt) -> tuple[str, str, str, str | None, str | None]:
    """(status, code, text, error code, error text) of a final receipt. Source: facts C.

    A carrier's own words stand in the timeline: those of SMPP are codes, and repeat the beginning of the text.
    """
    if receipt.state == "delivered":
        return message.COMPLETED, "201", message.DELIVERED_TEXT, None, None
    said = "undelivered by the carrier" if receipt.transport else receipt.raw
    why = "receipt expired" if receipt.state == "expired" else said or "undelivered"
    return message.FAILED, "301", f"Failed: {why}"[:200], receipt.error, why[:200]


def _finish(tx: Tx, last: Mapping[Key, Receipt]) -> set[Key]:
    groups: dict[tuple[str, str, str, str | None, str | None], list[Key]] = {}
    for key, receipt in last.items():
        groups.setdefault(_ending(receipt), []).append(key)
    moved: set[Key] = set()
    for (status, code, text, *error), keys in groups.items():
        moved |= message.move(tx, keys, status, code, text, (error[0], error[1]))
    return moved


def _list(tx: Tx, final: Sequence[tuple[dict[str, Any], Receipt]], report: Report) -> None:
    """Insert receipt rows; those that a POLL rule asked for get a place in the polled list."""
    entries: list[tuple[dict[str, Any], bool]] = []
    wanted: dict[tuple[int, str], int] = {}
    for row, receipt in final:
        entry = _entry(row, receipt)
        polled = report(tx, row, entry)
        entries.append((entry, polled))
        if polled:
            owner = (row["user_id"], row["channel"])
            wanted[owner] = wanted.get(owner, 0) + 1
    places = {owner: counters.take(tx, owner[0], list_name(owner[1]), count)[0] for owner, count in wanted.items()}
    rows = []
    for entry, polled in entries:
        owner = (entry["user_id"], entry["channel"])
        if polled:
            entry["ordinal"] = places[owner]
            places[owner] += 1
        rows.append(tuple(entry[column] for column in COLUMNS))
    tx.insert_rows("receipts", COLUMNS, rows)


def list_name(channel: str) -> str:
    """Name of the counter of a channel's polled receipts."""
    return f"{channel}-receipts"


def _entry(row: Mapping[str, Any], receipt: Receipt) -> dict[str, Any]:
    _, code, text, error_code, error_text = _ending(receipt)
    return {
        "user_id": row["user_id"],
        "channel": row["channel"],
        "ordinal": None,
        "message_id": row["message_id"],
        "subaccount_id": row["subaccount_id"],
        "timestamp_send": row["date"],
        "timestamp": receipt.at,
        "status": "Delivered" if receipt.state == "delivered" else "Undelivered",
        "status_code": code,
        "status_text": text,
        "error_code": error_code,
        "error_text": error_text,
        "custom_string": row["custom_string"],
    }


def expire(tx: Tx, before: int, report: Report, limit: int = 500) -> int:
    """End messages that have waited since before `before` for a receipt; how many hand-overs were looked at."""
    old = tx.driver(
        "SELECT transport, remote_id, user_id, channel, message_id FROM handovers WHERE at < ? ORDER BY at LIMIT ?",
        [before, limit],
    ).fetchall()
    late = {
        (user_id, key): Receipt(
            transport=transport, remote_id=remote, state="expired", at=tx.now, key=MessageKey(user_id, channel, key)
        )
        for transport, remote, user_id, channel, key in old
    }
    rows = message.load(tx, late)
    waiting = [receipt for key, receipt in late.items() if key in rows and rows[key]["status"] == message.SENT]
    if waiting:
        apply(tx, waiting, report)
    for transport in {row[0] for row in old}:
        ids = [row[1] for row in old if row[0] == transport]
        tx.driver_in("DELETE FROM handovers WHERE transport = ? AND remote_id IN ({})", [transport], ids)
    return len(old)


def forget_parked(tx: Tx, age: float, limit: int = 500) -> bool:
    """Forget receipts that have waited more than `age` seconds for their message; whether more may be left.

    Nobody's message has their id: it was sent by another program, or the record of its hand-over was lost in a crash.
    """
    found = tx.driver("SELECT parked_id, at FROM parked_receipts ORDER BY parked_id LIMIT ?", [limit]).fetchall()
    old = [parked_id for parked_id, at in found if at < tx.clock - age]
    tx.driver_in("DELETE FROM parked_receipts WHERE parked_id IN ({})", [], old)
    return len(old) == limit
