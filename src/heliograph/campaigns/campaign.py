"""Campaigns: one text to the contacts of a list, paid for as a whole when it is ordered. docs/campaigns.md

    Draft -> Scheduled | Queued -> Sending -> Sent, or Cancelled, or Failed
                                    Sending <-> Paused

What is paid for and not a message yet is reserved (`reserved_micros`). With each slice of messages their prices leave
the reservation; what is left at the end goes back in one entry. So the prices of the messages are what was debited.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy import Select, func, select

from heliograph.accounts.account import Principal
from heliograph.billing import ledger
from heliograph.billing.ledger import InsufficientCredit
from heliograph.campaigns.plan import Plan, Recipient, Wanted
from heliograph.contacts import lists
from heliograph.db import epochs
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns, Shown
from heliograph.db.tables import campaign_slices, campaigns
from heliograph.errors import BadRequest, Conflict, NotFound, TooLittleCredit
from heliograph.links import literals
from heliograph.links.link import STOP
from heliograph.messaging import message
from heliograph.messaging.rows import Key, Message
from heliograph.queue import jobs

JOB = "campaign"
NO_RECORD = "Campaign record not found."
KIND = "campaign"
"""`ledger.kind` of what campaigns are debited and given back; the reference is the request that ordered it."""

DRAFT, SCHEDULED, QUEUED, SENDING = "Draft", "Scheduled", "Queued", "Sending"
PAUSED = "Paused"
SENT, CANCELLED, FAILED = "Sent", "Cancelled", "Failed"

NOT_BEGUN = (DRAFT, SCHEDULED, QUEUED)
"""No message of it exists, so that it can be changed."""

UNDER_WAY = (SCHEDULED, QUEUED, SENDING)
"""It has recipients who wait for its job."""

ENDED = (SENT, CANCELLED, FAILED)

Row = Mapping[str, Any]
_NAMES = tuple(campaigns.c.keys())
log = structlog.get_logger(__name__)

_SENDER = func.coalesce(func.nullif(campaigns.c.sender, ""), campaigns.c.first_sender)
_COLUMNS: Columns = {
    "name": campaigns.c.name,
    "status": campaigns.c.status,
    "schedule": campaigns.c.schedule,
    "from": _SENDER,
    "date_added": Shown(campaigns.c.campaign_id, campaigns.c.date_added),
    "list_id": campaigns.c.list_id,
    "body": campaigns.c.body,
    "custom_string": campaigns.c.custom_string,
    "url_to_shorten": campaigns.c.url_to_shorten,
    "unsubscribe_link": campaigns.c.unsubscribe_link,
    "source": campaigns.c.source,
}


def columns(id_name: str) -> Columns:
    """What campaigns can be searched and sorted by; their id is called differently in each channel."""
    return {id_name: campaigns.c.campaign_id, **_COLUMNS}


def visible(who: Principal, channel: str) -> Select[Any]:
    """The campaigns of a channel that `who` may see: without `share_campaigns` a subaccount sees its own only."""
    found = select(campaigns).where(campaigns.c.user_id == who.user_id, campaigns.c.channel == channel)
    if who.is_main or who.shares_campaigns:
        return found
    return found.where(campaigns.c.subaccount_id == who.subaccount_id)


def between(base: Select[Any], start: int | None, end: int | None) -> Select[Any]:
    """Those that were ordered from `start` to `end` (Unix seconds, inclusive)."""
    if start is not None:
        base = base.where(campaigns.c.date_added >= start)
    return base if end is None else base.where(campaigns.c.date_added <= end)


def find(tx: Tx, who: Principal, channel: str, campaign_id: int, *, lock: bool = False) -> Row:
    """One campaign. Raises NotFound."""
    wanted = visible(who, channel).where(campaigns.c.campaign_id == campaign_id)
    row = tx.row(wanted.with_for_update() if lock else wanted)
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def of_job(tx: Tx, campaign_id: int, run: int, *, lock: bool = False) -> Row | None:
    """The campaign that a job works for; None when its run is over."""
    sql = f"SELECT {', '.join(_NAMES)} FROM campaigns WHERE campaign_id = ? AND run = ? "  # noqa: S608
    values = tx.driver(sql + (tx.dialect.for_update if lock else ""), [campaign_id, run]).fetchone()
    return None if values is None else dict(zip(_NAMES, values, strict=True))


def wanted(row: Row) -> Wanted:
    """What was asked for."""
    same = ("name", "list_id", "body", "sender", "schedule", "custom_string", "source", "country", "url_to_shorten")
    return Wanted(**{name: row[name] for name in same}, draft=row["status"] == DRAFT, details=details(row))


def details(row: Row) -> dict[str, Any]:
    """What only its channel knows of a campaign."""
    return msgspec.json.decode(row["details"], type=dict[str, Any]) if row["details"] else {}


def recipients(tx: Tx, campaign_id: int, *, only: int | None = None) -> list[Recipient]:
    """Who was to get a message when it was ordered: all, or those of one slice."""
    sql = "SELECT recipients FROM campaign_slices WHERE campaign_id = ?"
    if only is None:
        texts = tx.driver(f"{sql} ORDER BY slice", [campaign_id]).fetchall()
    else:
        texts = tx.driver(f"{sql} AND slice = ?", [campaign_id, only]).fetchall()
    return [one for (text,) in texts for one in msgspec.json.decode(text, type=list[Recipient])]


def rename(tx: Tx, campaign_id: int, number: int, slice_: Sequence[Recipient]) -> None:
    """Note that recipients of a slice have other addresses by now."""
    text = msgspec.json.encode(slice_).decode()
    mine = (campaign_slices.c.campaign_id == campaign_id) & (campaign_slices.c.slice == number)
    tx.execute(campaign_slices.update().where(mine).values(recipients=text))


# Ordering, changing, cancelling.


def create(tx: Tx, who: Principal, channel: str, plan: Plan, *, ip_address: str, request_id: str) -> Row:
    """Order a campaign as it was planned; its row. One entry of the ledger takes the money, unless it is a draft.

    Raises NotFound: the list is gone; BadRequest: nobody would get a message; TooLittleCredit; Conflict: what it costs
    has changed meanwhile.
    """
    _check(tx, who, plan)
    values = {
        **_columns(tx, plan),
        "user_id": who.user_id,
        "subaccount_id": who.subaccount_id,
        "channel": channel,
        "date_added": tx.now,
        "ip_address": ip_address,
        "request_id": request_id,
        "run": 1,
    }
    row = tx.row(campaigns.insert().values(values).returning(campaigns))
    assert row is not None
    _take(tx, row, values["reserved_micros"])
    _begin(tx, row, plan)
    return row


def change(tx: Tx, who: Principal, before: Row, plan: Plan) -> Row:
    """Make a campaign what is planned now; its row. The difference in price is one entry of the ledger.

    `before` is its row as the plan saw it. Raises as `create`, and BadRequest: its first message exists already.
    """
    row = find(tx, who, before["channel"], before["campaign_id"], lock=True)
    check_changeable(row)
    if row["run"] != before["run"]:
        raise Conflict("The campaign was changed by another request at the same moment.")
    _check(tx, who, plan)
    values = {**_columns(tx, plan), "run": row["run"] + 1}
    after = _update(tx, row, values)
    _take(tx, row, values["reserved_micros"] - row["reserved_micros"])
    _forget(tx, row)
    _begin(tx, after, plan)
    return after


def check_changeable(row: Row) -> None:
    """Raises BadRequest when a campaign has begun or ended."""
    if row["status"] not in NOT_BEGUN:
        text = f"The campaign cannot be changed any more: its status is {row['status']}."
        raise BadRequest({"status": text}, message=text)


def cancel(tx: Tx, who: Principal, channel: str, campaign_id: int) -> Row:
    """Stop a campaign; its row. What is reserved goes back now, and its job cancels the messages that still wait.

    Raises NotFound, BadRequest: it has ended.
    """
    row = find(tx, who, channel, campaign_id, lock=True)
    if row["status"] in ENDED:
        text = f"The campaign cannot be cancelled any more: its status is {row['status']}."
        raise BadRequest({"status": text}, message=text)
    after = _close(tx, row, CANCELLED, {"run": row["run"] + 1, "closed_at": tx.now})
    if row["cursor"]:
        _enqueue(tx, after)
    return after


def _check(tx: Tx, who: Principal, plan: Plan) -> None:
    """Whether a plan still holds."""
    lists.find(tx, who.user_id, plan.wanted.list_id)
    same = msgspec.structs.replace(plan.who, epoch=who.epoch) == who
    if not same or epochs.value(tx, "rates") != plan.rates:
        raise Conflict("Your account or the prices changed while the campaign was priced. Please try again.")
    if not plan.count and not plan.wanted.draft:
        why = ", ".join(f"{count} {status}" for status, count in plan.refusals.most_common()) or "it has no contacts"
        raise BadRequest({"list_id": f"No message can be sent to this list: {why}."})


def _columns(tx: Tx, plan: Plan) -> dict[str, Any]:
    """The columns that a plan decides on."""
    given, first = plan.wanted, plan.first
    kinds = literals.check(given.body, given.url_to_shorten)
    begins = DRAFT if given.draft else SCHEDULED if plan.schedule > tx.now else QUEUED
    same = ("name", "list_id", "body", "sender", "custom_string", "source", "country", "url_to_shorten")
    return {
        **{name: getattr(given, name) for name in same},
        "list_name": plan.list_name,
        "first_sender": first.sender if first else "",
        "unsubscribe_link": int(STOP in kinds),
        "details": msgspec.json.encode(given.details).decode() if given.details else None,
        "schedule": plan.schedule or tx.now,
        "status": begins,
        "total_count": plan.count,
        "refused_count": 0,
        "reserved_micros": 0 if given.draft else plan.micros,
        "slices": 0 if given.draft else len(plan.slices),
        "cursor": 0,
        "open_from": 0,
        "closed_at": None,
    }


def _take(tx: Tx, row: Row, micros: int) -> None:
    """Debit an amount, or give it back if it is negative. Raises TooLittleCredit."""
    if micros:
        try:
            ledger.post(tx, row["user_id"], -micros, KIND, row["request_id"])
        except InsufficientCredit:
            raise TooLittleCredit from None


def _begin(tx: Tx, row: Row, plan: Plan) -> None:
    """Store who waits, and have the job run when it is time. A draft only waits to be changed."""
    if row["status"] != DRAFT:
        texts = [(row["campaign_id"], number, text) for number, text in enumerate(plan.slices)]
        tx.insert_rows("campaign_slices", ("campaign_id", "slice", "recipients"), texts)
        _enqueue(tx, row, after=max(0.0, row["schedule"] - tx.clock))


def _enqueue(tx: Tx, row: Row, after: float = 0.0) -> None:
    """An account has a lane, so that many campaigns of one do not stand before those of others."""
    payload = {"campaign_id": row["campaign_id"], "run": row["run"]}
    jobs.enqueue(tx, JOB, payload, lane=f"campaigns {row['user_id']}", after=after)


def _update(tx: Tx, row: Row, values: Mapping[str, Any]) -> Row:
    mine = campaigns.c.campaign_id == row["campaign_id"]
    after = tx.row(campaigns.update().where(mine).values(**values).returning(campaigns))
    assert after is not None
    return after


def _forget(tx: Tx, row: Row) -> None:
    tx.execute(campaign_slices.delete().where(campaign_slices.c.campaign_id == row["campaign_id"]))


# What its job records.


def advance(tx: Tx, row: Row, spent: int, refused: int) -> Row:
    """A slice of a locked campaign is messages by now, which cost `spent` micros; `refused` of it are none."""
    changed = {
        "cursor": row["cursor"] + 1,
        "refused_count": row["refused_count"] + refused,
        "status": SENDING,
        "reserved_micros": row["reserved_micros"] - spent,
    }
    sets = ", ".join(f"{name} = ?" for name in changed)
    tx.driver(f"UPDATE campaigns SET {sets} WHERE campaign_id = ?", [*changed.values(), row["campaign_id"]])  # noqa: S608
    after = {**row, **changed}
    if after["cursor"] < after["slices"]:
        return after
    if after["refused_count"] == after["total_count"]:
        return fail(tx, after, "none of its messages could be sent")
    return _close(tx, after, SENDING, {"closed_at": tx.now})


def fail(tx: Tx, row: Row, why: str) -> Row:
    """A locked campaign cannot go on; messages that exist stay as they are."""
    log.warning("campaign.failed", campaign=row["campaign_id"], user=row["user_id"], why=why)
    return _close(tx, row, FAILED, {})


def pause(tx: Tx, row: Row, why: str) -> Row:
    """A locked campaign that is being sent stands still, until somebody tells it to go on: its run is over.

    What is in the queue stays there, and is held when it is claimed.
    """
    log.warning("campaign.paused", campaign=row["campaign_id"], user=row["user_id"], why=why)
    return _update(tx, row, {"status": PAUSED, "paused_why": why, "run": row["run"] + 1})


def resume(tx: Tx, campaign_id: int, forgiven: str | None) -> Row:
    """Go on with a campaign that stands still. What is `forgiven` (JSON) is not held against it again.

    Raises NotFound, BadRequest: it does not stand still.
    """
    row = tx.row(select(campaigns).where(campaigns.c.campaign_id == campaign_id).with_for_update())
    if row is None:
        raise NotFound(NO_RECORD)
    if row["status"] != PAUSED:
        raise BadRequest(message=f"The campaign does not stand still: its status is {row['status']}.")
    values = {"status": SENDING, "paused_why": None, "forgiven": forgiven, "run": row["run"] + 1}
    after = _update(tx, row, values)
    _enqueue(tx, after)
    return after


def held(tx: Tx, messages: Sequence[Message]) -> set[Key]:
    """Those of the messages whose campaigns stand still."""
    ids = {row.campaign_id for row in messages if row.campaign_id is not None}
    if not ids:
        return set()
    sql = "SELECT campaign_id FROM campaigns WHERE status = ? AND campaign_id IN ({})"
    still = {row[0] for row in tx.driver_in(sql, [PAUSED], ids)}
    return {row.key for row in messages if row.campaign_id in still} if still else still


def newest(tx: Tx, user_id: int, limit: int) -> Sequence[Row]:
    """The newest campaigns of an account in all channels, the newest first."""
    mine = select(campaigns).where(campaigns.c.user_id == user_id)
    return tx.rows(mine.order_by(campaigns.c.campaign_id.desc()).limit(limit))


def _close(tx: Tx, row: Row, status: str, values: Mapping[str, Any]) -> Row:
    """No more messages: what is still reserved goes back."""
    _take(tx, row, -row["reserved_micros"])
    _forget(tx, row)
    return _update(tx, row, {**values, "status": status, "reserved_micros": 0})


def waiting(tx: Tx, row: Row, most: int) -> list[tuple[int, str]]:
    """(ordinal, message_id) of its first messages that are not handed over yet."""
    found = tx.driver(
        "SELECT ordinal, message_id FROM messages WHERE campaign_id = ? AND ordinal >= ? AND status IN (?, ?)"
        " ORDER BY ordinal LIMIT ?",
        [row["campaign_id"], row["open_from"], *message.OPEN, most],
    ).fetchall()
    return [(ordinal, message_id) for ordinal, message_id in found]


def note(tx: Tx, row: Row, open_from: int | None) -> None:
    """Note where the first message is that still waits; None: there is none, so what was sending is sent."""
    if open_from is not None:
        _update(tx, row, {"open_from": open_from})
    elif row["status"] == SENDING:
        _update(tx, row, {"status": SENT})
