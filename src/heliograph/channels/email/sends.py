"""Mails that are sent one by one: a row for each, and a message for each of its recipients."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, case, func, select

from heliograph.accounts.account import Principal
from heliograph.billing import prices
from heliograph.channels.email.draft import NAME, draft
from heliograph.contacts import audience
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns, Shown, decimals
from heliograph.db.tables import emails, messages
from heliograph.errors import BadRequest, NotFound, Status, TooLittleCredit
from heliograph.files import store
from heliograph.ids import new_ids
from heliograph.mail import suppressions
from heliograph.mail.addresses import address
from heliograph.mailaddress import small
from heliograph.messaging import accept, cancel, counters, message
from heliograph.messaging.channel import Accepted, Channel, Order
from heliograph.messaging.history import Listing
from heliograph.messaging.rows import SEND, Key

LIST = "emails"
"""Name of the list of sends; that of their recipients is the channel's."""

LONGEST_ENDING = 10
UNPRICED = "Emails cannot be sent at the moment: they have no price."
NO_RECORD = "Email record not found."
NOT_YOURS = "From must be the email_address_id of one of your verified email addresses."


class Recipient(NamedTuple):
    """Who gets a mail."""

    email: str
    name: str


class File(msgspec.Struct, frozen=True):
    """A stored file of a mail. `content_id` is as it was given, `cid` without its wrapping; empty: it has none."""

    file_id: str
    name: str
    content_type: str
    disposition: str
    content_id: str
    cid: str

    @property
    def link(self) -> str:
        """The id and an ending, as links to files have it."""
        ending = self.name.rpartition(".")[2]
        return (
            f"{self.file_id}.{ending}" if ending.isascii() and ending.isalnum() and len(ending) <= 10 else self.file_id
        )


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for, checked. `schedule` is in Unix seconds, 0: now."""

    address_id: int | None
    from_name: str
    to: tuple[Recipient, ...]
    cc: tuple[Recipient, ...] | None
    bcc: tuple[Recipient, ...] | None
    subject: str
    body: str
    schedule: int
    custom_string: str | None

    def recipients(self) -> list[str]:
        """Whom the mail goes to, once each."""
        found: dict[str, str] = {}
        for person in (*self.to, *(self.cc or ()), *(self.bcc or ())):
            found.setdefault(small(person.email), person.email)
        return list(found.values())


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is to be sent, or priced. Files are kept until `keep` seconds after it."""

    channel: Channel
    request_id: str
    who: Principal
    asked: Asked
    plain: str = ""
    files: tuple[File, ...] = ()
    keep: int = 0


def place(tx: Tx, wanted: Wanted) -> Mapping[str, Any]:
    """Send a mail: its row. Raises BadRequest, TooLittleCredit.

    Who is on the suppression list gets none and costs nothing; with nobody left, the mail has failed.
    """
    who = wanted.who
    sender = address.own(tx, who.user_id, wanted.asked.address_id or 0)
    if sender is None or not sender.verified:
        raise BadRequest({"from": NOT_YOURS})
    send_id, date = new_ids(1, tx.clock)[0], tx.now
    order = _order(tx, wanted, sender.email_address, send_id)
    for file in wanted.files:
        if not store.keep(tx, who.user_id, file.file_id, (wanted.asked.schedule or date) + wanted.keep):
            raise BadRequest({"attachments": f"The file {file.name} was not kept. Please send it again."})
    (fates,) = accept.accept(tx, [order])
    refusals = {fate.status for fate in fates} - {Status.SUCCESS}
    if Status.INSUFFICIENT_CREDIT in refusals:
        raise TooLittleCredit
    if refusals:
        raise BadRequest(message=UNPRICED)
    return _stored(tx, wanted, sender, send_id, fates)


def price(tx: Tx, wanted: Wanted) -> int:
    """What a mail would cost, in micros. Raises BadRequest."""
    costs = accept.costs(tx, _order(tx, wanted, "", ""))
    if None in costs:
        raise BadRequest(message=UNPRICED)
    return sum(cost or 0 for cost in costs)


def _order(tx: Tx, wanted: Wanted, sender: str, send_id: str) -> Order:
    """A draft for each recipient that a mail may go to."""
    who, listed = wanted.who, wanted.asked.recipients()
    gone = suppressions.suppressed(tx, who.user_id, listed, campaign=False)
    if who.strict_opt_out:
        gone |= audience.opted_out(tx, who.user_id, listed)
    drafts = [
        draft(
            recipient, sender, wanted.asked.subject, wanted.asked.schedule, wanted.asked.custom_string, {SEND: send_id}
        )
        for recipient in listed
        if recipient not in gone
    ]
    return Order(principal=who, channel=wanted.channel, request_id=wanted.request_id, drafts=drafts)


def _stored(
    tx: Tx, wanted: Wanted, sender: address.Address, send_id: str, fates: Sequence[Accepted]
) -> Mapping[str, Any]:
    who = wanted.who
    ordinal, date = counters.take(tx, who.user_id, LIST, 1)
    encode = msgspec.json.encode
    tx.execute(
        emails.insert().values(
            user_id=who.user_id,
            channel=LIST,
            ordinal=ordinal,
            message_id=send_id,
            subaccount_id=who.subaccount_id,
            date=date,
            schedule=wanted.asked.schedule or date,
            from_email_address_id=sender.email_address_id,
            sender=sender.email_address,
            from_name=wanted.asked.from_name,
            to_array=encode(_named(wanted.asked.to)).decode(),
            cc_array=None if wanted.asked.cc is None else encode(_named(wanted.asked.cc)).decode(),
            bcc_array=None if wanted.asked.bcc is None else encode(_named(wanted.asked.bcc)).decode(),
            subject=wanted.asked.subject,
            body=wanted.asked.body,
            body_plain_text=wanted.plain,
            files=encode(wanted.files).decode(),
            custom_string=wanted.asked.custom_string,
            price_micros=sum(fate.price_micros for fate in fates),
            currency=who.currency,
            first=_ordinal(tx, who.user_id, fates[0].message_id) if fates else 0,
            count=len(fates),
            soft_bounce_count=0,
            hard_bounce_count=0,
        )
    )
    row = find(tx, who.user_id, send_id)
    assert row is not None
    return row


def _ordinal(tx: Tx, user_id: int, message_id: str) -> int:
    found = tx.driver("SELECT ordinal FROM messages WHERE user_id = ? AND message_id = ?", [user_id, message_id])
    return int(found.fetchone()[0])


def _named(people: Sequence[Recipient]) -> list[dict[str, str]]:
    return [{"email": one.email, "name": one.name} if one.name else {"email": one.email} for one in people]


# Looking at them.

_OF_A_SEND = (
    (messages.c.user_id == emails.c.user_id)
    & (messages.c.channel == NAME)
    & (messages.c.ordinal >= emails.c.first)
    & (messages.c.ordinal < emails.c.first + emails.c.count)
)


def _any(*statuses: str) -> ColumnElement[bool]:
    return func.sum(case((messages.c.status.in_(statuses), 1), else_=0)) > 0


_STATUS = (
    select(
        case(
            (_any(message.SPAM), message.SPAM),
            (_any(message.QUEUED), "Queued:WaitSend"),
            (_any(message.SCHEDULED), message.SCHEDULED),
            (_any(message.SENT, message.COMPLETED), message.SENT),
            (_any(message.CANCELLED), message.CANCELLED),
            else_=message.FAILED,
        )
    )
    .where(_OF_A_SEND)
    .correlate(emails)
    .scalar_subquery()
)
"""Status of a send, out of those of its recipients: what most concerns its sender. Source: facts C."""

_STATUS_TEXT = (
    select(func.max(messages.c.status_text)).where(_OF_A_SEND, messages.c.status != message.QUEUED).correlate(emails)
).scalar_subquery()

LISTING = Listing(emails, LIST, select(emails, _STATUS.label("status"), _STATUS_TEXT.label("status_text")))

COLUMNS: Columns = {
    "date": Shown(emails.c.date, emails.c.date, exact=emails.c.ordinal),
    "date_added": Shown(emails.c.date, emails.c.date, exact=emails.c.ordinal),
    "schedule": emails.c.schedule,
    "from_name": emails.c.from_name,
    "from_email_address_id": emails.c.from_email_address_id,
    "to": emails.c.to_array,
    "cc": emails.c.cc_array,
    "bcc": emails.c.bcc_array,
    "subject": emails.c.subject,
    "body": emails.c.body,
    "status": _STATUS,
    "message_id": emails.c.message_id,
    "custom_string": emails.c.custom_string,
    "subaccount_id": emails.c.subaccount_id,
    "price": decimals(emails.c.price_micros, 4, prices.MICRO),
}
"""What the history can be searched and sorted by."""


def find(tx: Tx, user_id: int, message_id: str) -> Mapping[str, Any] | None:
    """A send by its id, with its status; None: the account has none of this id."""
    return tx.row(LISTING.selected.where(emails.c.user_id == user_id, emails.c.message_id == message_id))


def owners(tx: Tx, message_id: str) -> list[int]:
    """The user_ids of the accounts that have a send of this id: one, or none."""
    return [row[0] for row in tx.driver("SELECT user_id FROM emails WHERE message_id = ?", [message_id]).fetchall()]


def of(tx: Tx, keys: Sequence[Key]) -> dict[Key, Mapping[str, Any]]:
    """Sends by (user_id, message_id), without their status."""
    by_user: dict[int, list[str]] = {}
    for user_id, message_id in keys:
        by_user.setdefault(user_id, []).append(message_id)
    found = {}
    for user_id, ids in by_user.items():
        for row in tx.rows(select(emails).where(emails.c.user_id == user_id, emails.c.message_id.in_(set(ids)))):
            found[user_id, row["message_id"]] = row
    return found


def recipients(tx: Tx, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(message_id, address) of the recipients of a send."""
    found = tx.driver(
        "SELECT message_id, recipient FROM messages"
        " WHERE user_id = ? AND channel = ? AND ordinal >= ? AND ordinal < ? ORDER BY ordinal",
        [row["user_id"], NAME, row["first"], row["first"] + row["count"]],
    ).fetchall()
    return [(key, recipient) for key, recipient in found]


def stop(tx: Tx, channel: Channel, user_id: int, message_id: str) -> None:
    """Cancel what has not left of a send, and give its price back. Raises NotFound."""
    row = find(tx, user_id, message_id)
    keys = [key for key, _ in recipients(tx, row)] if row is not None else []
    if not keys or not cancel.cancel(tx, user_id, channel, keys):
        raise NotFound(NO_RECORD)


def timeline(tx: Tx, user_id: int, message_id: str) -> list[tuple[float, str, str]]:
    """What happened to a send, recipient by recipient in one order; empty for an unknown one."""
    row = find(tx, user_id, message_id)
    if row is None:
        return message.timeline(tx, user_id, message_id)
    steps = [
        (at, status, f"{recipient}: {detail}")
        for key, recipient in recipients(tx, row)
        for at, status, detail in message.timeline(tx, user_id, key)
    ]
    return sorted(steps, key=lambda step: step[0])


def count_bounce(tx: Tx, user_id: int, send_id: str, *, hard: bool) -> None:
    """One more bounce of a recipient of a send."""
    column = emails.c.hard_bounce_count if hard else emails.c.soft_bounce_count
    mine = (emails.c.user_id == user_id) & (emails.c.message_id == send_id)
    tx.execute(emails.update().where(mine).values({column: column + 1}))
