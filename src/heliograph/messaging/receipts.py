"""Receipts (DLR): joined to their message, turned into its status, listed for polling, given to the rules."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from heliograph.billing import usage
from heliograph.db.engine import Tx
from heliograph.messaging import counters, message, rows
from heliograph.messaging.channel import Channel, usage_name
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.message import Code
from heliograph.messaging.rows import Key, Message
from heliograph.transports.base import MessageKey, Receipt

COLUMNS = rows.Receipt.__struct_fields__
_TOLD_ALIKE = (frozenset(COLUMNS) - {"message_id", "timestamp_send", "custom_string"},)

COMPLAINT = "complaint"
"""`error_code` of the receipt of a complaint."""

TO = "to"
"""What the receipts of a channel that has many recipients to one send tell beside the common keys: the recipient."""

Handed = Mapping[tuple[str, str], Message]
"""(transport, remote id) -> the message that a carrier gave this id to."""


def remember(tx: Tx, handed: Handed, hooks: Hooks) -> None:
    """Record which message a carrier's id belongs to, and apply the receipts that came before.

    A carrier that gives an id twice gets the newer meaning.
    """
    if not handed:
        return
    for transport, ids in _by_transport(handed).items():
        sql = f"DELETE FROM handovers WHERE transport = ? AND remote_id IN ({{}}) RETURNING {', '.join(_HANDOVER)}"  # noqa: S608
        for older in tx.driver_in(sql, [transport], ids):
            _keep_expiring(tx, older, handed[older[0], older[1]])
    waiting = [
        (transport, remote_id, row.user_id, row.channel, row.message_id, tx.now)
        for (transport, remote_id), row in handed.items()
    ]
    tx.insert_rows("handovers", _HANDOVER, waiting, _HANDED_ALIKE)
    if tx.driver("SELECT 1 FROM parked_receipts LIMIT 1").fetchone():
        keys = {pair: row.message_key for pair, row in handed.items()}
        _apply_parked(tx, keys, hooks)


_HANDOVER = ("transport", "remote_id", "user_id", "channel", "message_id", "at")
_HANDED_ALIKE = (frozenset({"transport", "user_id", "channel", "at"}),)


def _keep_expiring(tx: Tx, older: Sequence[Any], newer: Message) -> None:
    """A message whose remote id the carrier gave to another one hears of no receipt any more, but it still expires."""
    _, _, user_id, channel, message_id, at = older
    if (user_id, message_id) != newer.key:
        sql = (
            f"INSERT INTO handovers ({', '.join(_HANDOVER)}) VALUES ('', ?, ?, ?, ?, ?)"  # noqa: S608
            " ON CONFLICT (remote_id, transport) DO NOTHING"
        )
        tx.driver(sql, [message_id, user_id, channel, message_id, at])


def _apply_parked(tx: Tx, keys: Mapping[tuple[str, str], MessageKey], hooks: Hooks) -> None:
    """Apply the parked receipts of these (transport, remote id) pairs to the messages that are known by now."""
    unparked: list[Receipt] = []
    for transport, ids in _by_transport(keys).items():
        sql = "DELETE FROM parked_receipts WHERE transport = ? AND remote_id IN ({}) RETURNING parked_id, payload"
        for _, payload in sorted(tx.driver_in(sql, [transport], ids)):
            receipt = msgspec.json.decode(payload, type=Receipt)
            unparked.append(msgspec.structs.replace(receipt, key=keys[transport, receipt.remote_id]))
    if unparked:
        apply(tx, unparked, hooks)


def join_parked(tx: Tx, hooks: Hooks, limit: int = 500) -> bool:
    """Apply parked receipts whose hand-over is recorded by now; whether more may be left.

    Two processes can miss each other: one parks a receipt while the other records the hand-over, and neither sees what
    the other has not committed yet.
    """
    sql = (
        "SELECT DISTINCT h.transport, h.remote_id, h.user_id, h.channel, h.message_id FROM parked_receipts p"
        " JOIN handovers h ON h.remote_id = p.remote_id AND h.transport = p.transport LIMIT ?"
    )
    known = tx.driver(sql, [limit]).fetchall()
    keys = {(row[0], row[1]): MessageKey(row[2], row[3], row[4]) for row in known}
    if keys:
        _apply_parked(tx, keys, hooks)
    return len(known) == limit


def store(tx: Tx, arrived: Sequence[Receipt], hooks: Hooks) -> int:
    """Take receipts from a transport: join each to its message, or park it until the hand-over is recorded.

    They are dated by the database's clock: the machines of several workers differ. Returns how many were parked.
    """
    keys = _keys(tx, {(receipt.transport, receipt.remote_id) for receipt in arrived if receipt.key is None})
    joined = []
    parked = []
    for receipt in arrived:
        key = receipt.key or keys.get((receipt.transport, receipt.remote_id))
        if key is not None:
            joined.append(msgspec.structs.replace(receipt, key=key, at=tx.now))
        else:
            arrived_now = msgspec.structs.replace(receipt, at=tx.now)
            parked.append((receipt.transport, receipt.remote_id, msgspec.json.encode(arrived_now).decode(), tx.now))
    tx.insert_rows("parked_receipts", ("transport", "remote_id", "payload", "at"), parked)
    if joined:
        apply(tx, joined, hooks)
    return len(parked)


def _keys(tx: Tx, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], MessageKey]:
    """The messages that these (transport, remote id) pairs belong to, as far as their hand-over is recorded."""
    keys = {}
    for transport, ids in _by_transport(pairs).items():
        sql = "SELECT remote_id, user_id, channel, message_id FROM handovers WHERE transport = ? AND remote_id IN ({})"
        for remote_id, user_id, channel, message_id in tx.driver_in(sql, [transport], ids):
            keys[transport, remote_id] = MessageKey(user_id, channel, message_id)
    return keys


def _by_transport(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for transport, remote_id in pairs:
        ids.setdefault(transport, []).append(remote_id)
    return ids


def apply(tx: Tx, joined: Sequence[Receipt], hooks: Hooks) -> set[Key]:
    """Change the messages that these receipts (all with a key) speak of; the keys of those that became final.

    Most receipts are the only one that their message waits for: those end it by one statement, which also reads it.
    """
    joined = sorted(joined, key=_key)  # in one order, so that two processes seldom lock each other out
    often = _twice(joined)
    single = [one for one in joined if one.state not in _PASSING and _key(one) not in often]
    ended = _finish(tx, single, hooks, whole=True)
    message.record(tx, [(*row.key, ending.status, _event_text(receipt)) for row, receipt, ending in ended])
    _tell(tx, ended, hooks)
    moved = {row.key for row, _, _ in ended}
    left = [one for one in joined if _key(one) not in moved]
    return moved | _apply_to_known(tx, left, hooks) if left else moved


def _twice(joined: Sequence[Receipt]) -> set[Key]:
    """The keys that more than one of these receipts, sorted by them, has."""
    return {_key(one) for one, following in pairwise(joined) if _key(one) == _key(following)}


def _apply_to_known(tx: Tx, joined: Sequence[Receipt], hooks: Hooks) -> set[Key]:
    """The same for receipts whose messages have to be looked at first."""
    messages = message.load(tx, {_key(receipt) for receipt in joined})
    last: dict[Key, Receipt] = {}
    passing: list[Ended] = []
    events = []
    for receipt in joined:
        key = _key(receipt)
        row = messages.get(key)
        if row is None:
            continue
        channel = hooks.channels[row.channel]
        after = _status_after(row, receipt, channel)
        events.append((*key, after, _event_text(receipt)))
        if receipt.state == "enroute" or _is_over(row, receipt, channel):
            continue
        if receipt.state == "delayed":
            passing.append((row, receipt, _ending(receipt, channel, after)))
            continue
        if receipt.state == "delivered":
            if row.units > 1 and not _first_of_its_part(tx, row, receipt):
                continue
            if _one_less(tx, row) > 0:
                continue
        row.status = after
        last[key] = receipt
    message.record(tx, events)
    _list(tx, passing, hooks)
    return end(tx, list(last.values()), hooks)


def end(tx: Tx, final: Sequence[Receipt], hooks: Hooks) -> set[Key]:
    """End messages as these receipts (all with a key) say, list the receipts and run the rules; the keys of those that
    moved.
    """
    ended = _finish(tx, final, hooks)
    _tell(tx, ended, hooks)
    return {row.key for row, _, _ in ended}


def _tell(tx: Tx, ended: "Sequence[Ended]", hooks: Hooks) -> None:
    for row, receipt, _ in ended:
        if receipt.details:
            message.learn(tx, row, receipt.details)
    _list(tx, ended, hooks)


def _is_over(row: Message, receipt: Receipt, channel: Channel) -> bool:
    """Whether a receipt comes too late to change anything, or says what is known."""
    if channel.unconfirmed and receipt.state == "delivered":
        return row.status not in message.OPEN
    return row.status not in (*message.OPEN, message.SENT)


def _one_less(tx: Tx, row: Message) -> int:
    """How many receipts a message waits for after this one. Another process may count one of its parts meanwhile."""
    if row.units == 1 and row.receipts_left <= 1:
        return 0
    sql = (
        "UPDATE messages SET receipts_left = receipts_left - 1 WHERE user_id = ? AND message_id = ?"
        " RETURNING receipts_left"
    )
    (row.receipts_left,) = tx.driver(sql, [*row.key]).fetchone()
    return row.receipts_left


def _first_of_its_part(tx: Tx, row: Message, receipt: Receipt) -> bool:
    """Whether a part of a long message is reported for the first time: carriers repeat what they saw no answer to.

    A hand-over that is recorded waits for one receipt. One that is not recorded yet cannot tell.
    """
    sql = "DELETE FROM handovers WHERE remote_id = ? AND transport = ? RETURNING 1"
    waiting = tx.driver(sql, [receipt.remote_id, receipt.transport]).fetchone()
    return waiting is not None or row.status != message.SENT


def _key(receipt: Receipt) -> Key:
    assert receipt.key is not None
    return receipt.key.user_id, receipt.key.message_id


_PASSING = ("enroute", "delayed")
"""States that end nothing."""


def _status_after(row: Message, receipt: Receipt, channel: Channel) -> str:
    """The status that a receipt gives to a message."""
    return row.status if receipt.state in _PASSING else _final(receipt, channel)


def _final(receipt: Receipt, channel: Channel) -> str:
    """The status that a receipt of an end gives to a message of this channel."""
    if receipt.state == "delivered":
        return message.SENT if channel.unconfirmed else message.COMPLETED
    return message.SPAM if receipt.state == "complaint" else message.FAILED


def _event_text(receipt: Receipt) -> str:
    if not receipt.transport:
        return receipt.raw
    error = f", error {receipt.error}" if receipt.error else ""
    return f"Receipt of {receipt.transport}: {receipt.state}{error}. {receipt.raw}"


class Ending(msgspec.Struct, frozen=True):
    """What a receipt says of a message, in the words of its channel. Source: facts C."""

    status: str
    code: str
    text: str
    error_code: str | None = None
    error_text: str | None = None


Ended = tuple[Message, Receipt, Ending]
"""A message as it stands now, the receipt that ended it (or tells of a delay), and what that says."""


def _ending(receipt: Receipt, channel: Channel, status: str) -> Ending:
    """The end that a final receipt means, or what is passing; `status` is the one that it gives to its message.

    A carrier's own words stand in the timeline: those of SMPP are codes, and repeat the beginning of the text.
    """
    words = channel.words
    if receipt.state == "delivered":
        return Ending(status, Code.DELIVERED, words.delivered)
    if receipt.state == "delayed":
        return Ending(status, Code.TEMPORARY, f"Delayed: {receipt.raw}"[:200], receipt.error, receipt.raw[:200])
    if receipt.state == "complaint":
        return Ending(status, Code.FAILED, "Reported as spam", COMPLAINT, receipt.raw[:200] or None)
    said = words.undelivered if receipt.transport else receipt.raw
    why = "receipt expired" if receipt.state == "expired" else said or "undelivered"
    return Ending(status, Code.FAILED, f"Failed: {why}"[:200], receipt.error, why[:200])


def _finish(tx: Tx, final: Sequence[Receipt], hooks: Hooks, *, whole: bool = False) -> list[Ended]:
    """Move messages to the ends that these receipts, one for each, say; those that moved.

    `whole`: of deliveries only those that are the last that their message waits for.
    """
    groups: dict[tuple[str, Ending, bool], dict[Key, Receipt]] = {}
    for receipt in final:
        assert receipt.key is not None
        channel = hooks.channels[receipt.key.channel]
        ending = _ending(receipt, channel, _final(receipt, channel))
        last = whole and receipt.state == "delivered"
        groups.setdefault((channel.name, ending, last), {})[_key(receipt)] = receipt
    ended: list[Ended] = []
    tally = usage.Tally()
    for (name, ending, last), group in groups.items():
        error = (ending.error_code, ending.error_text)
        moved = message.finish(tx, group, ending.status, ending.code, ending.text, error, last=last)
        ended += [(row, group[row.key], ending) for row in moved]
        if ending.status == message.FAILED:
            for row in moved:
                counted_as = usage_name(hooks.channels[name], row.campaign_id)
                tally.of(row.user_id, counted_as, row.date, row.subaccount_id).failed += 1
    tally.write(tx)
    return ended


def _list(tx: Tx, told: Sequence[Ended], hooks: Hooks) -> None:
    """Insert receipt rows; those that a POLL rule asked for get a place in the polled list."""
    entries: list[rows.Receipt] = []
    polled: dict[tuple[int, str], list[rows.Receipt]] = {}
    lines: list[tuple[int, str, str, str]] = []
    for row, receipt, ending in told:
        entry = _entry(row, receipt, ending, hooks.channels[row.channel])
        entries.append(entry)
        if hooks.on_receipt(tx, row, entry):
            polled.setdefault((row.user_id, list_name(row.channel)), []).append(entry)
            lines.append((*row.key, ending.status, message.LISTED))
    message.record(tx, lines)
    for (user_id, name), listed in sorted(polled.items()):
        first, _ = counters.take(tx, user_id, name, len(listed))
        for place, entry in enumerate(listed, first):
            entry.ordinal = place
    tx.insert_rows("receipts", COLUMNS, [msgspec.structs.astuple(entry) for entry in entries], _TOLD_ALIKE)


def list_name(channel: str) -> str:
    """Name of the counter of a channel's polled receipts."""
    return f"{channel}-receipts"


def _entry(row: Message, receipt: Receipt, ending: Ending, channel: Channel) -> rows.Receipt:
    known, reported = channel.sheet.reported, None
    if known:
        told = {TO: row.recipient, **(receipt.details or {})}
        reported = {name: told.get(name, usual) for name, usual in known.items()}
    return rows.Receipt(
        user_id=row.user_id,
        channel=row.channel,
        ordinal=None,
        message_id=row.asked_as,
        subaccount_id=row.subaccount_id,
        timestamp_send=row.date,
        timestamp=receipt.at,
        status="Delivered" if receipt.state == "delivered" else "Undelivered",
        status_code=ending.code,
        status_text=ending.text,
        error_code=ending.error_code,
        error_text=ending.error_text,
        custom_string=row.custom_string,
        details=msgspec.json.encode(reported).decode() if reported else None,
    )


_UNHEARD_OF = "The message expired: no receipt came for it."


def expire(tx: Tx, before: int, hooks: Hooks, limit: int = 500) -> int:
    """End messages that have waited since before `before` (Unix seconds) for a receipt; how many were looked at."""
    old = tx.driver(
        "SELECT transport, remote_id, user_id, channel, message_id FROM handovers WHERE at < ? ORDER BY at LIMIT ?",
        [before, limit],
    ).fetchall()
    late = {
        (user_id, key): Receipt(
            transport=transport,
            remote_id=remote,
            state="expired",
            at=tx.now,
            raw="" if transport else _UNHEARD_OF,
            key=MessageKey(user_id, channel, key),
        )
        for transport, remote, user_id, channel, key in old
    }
    messages = message.load(tx, late)
    waiting = [receipt for key, receipt in late.items() if key in messages and messages[key].status == message.SENT]
    if waiting:
        apply(tx, waiting, hooks)
    for transport, ids in _by_transport((row[0], row[1]) for row in old).items():
        tx.driver_in("DELETE FROM handovers WHERE transport = ? AND remote_id IN ({})", [transport], ids)
    return len(old)


def forget_parked(tx: Tx, age: float, limit: int = 500) -> bool:
    """Forget receipts that have waited more than `age` seconds for their message; whether more may be left.

    No message has their id: it was sent by another program, or the record of its hand-over was lost in a crash.
    """
    oldest = tx.driver("SELECT parked_id, at FROM parked_receipts ORDER BY parked_id LIMIT ?", [limit]).fetchall()
    old = [parked_id for parked_id, at in oldest if at < tx.clock - age]
    tx.driver_in("DELETE FROM parked_receipts WHERE parked_id IN ({})", [], old)
    return len(old) == limit
