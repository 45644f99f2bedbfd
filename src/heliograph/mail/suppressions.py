"""Addresses that an account's mails do not go to, each with the reason why."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Select, select

from heliograph.db.engine import Tx
from heliograph.db.tables import suppressions
from heliograph.mailaddress import folded, is_address

Reason = Literal["bounce", "complaint", "unsubscribe", "manual"]
BOUNCE: Reason = "bounce"
"""Its host said that there is no such mailbox."""
COMPLAINT: Reason = "complaint"
"""Its owner called a mail spam."""
UNSUBSCRIBE: Reason = "unsubscribe"
"""Its owner wants no more campaigns. Mails that are asked for, one by one, still go there."""
MANUAL: Reason = "manual"
"""The account, or whoever runs the server, put it there."""
REASONS: tuple[Reason, ...] = (BOUNCE, COMPLAINT, UNSUBSCRIBE, MANUAL)

LONGEST_DETAIL = 300

COLUMNS = {
    "email_address": suppressions.c.address,
    **{name: suppressions.c[name] for name in ("suppression_id", "reason", "detail", "message_id", "date_added")},
}
"""What the list can be searched and sorted by."""


def suppressed(tx: Tx, user_id: int, addresses: Iterable[str], *, campaign: bool) -> set[str]:
    """Those of the addresses, as they are written here, that a mail must not go to. One statement asks for 500 of them.

    `campaign`: the mail is one of a campaign, so that unsubscribed ones count too.
    """
    known: dict[str, list[str]] = {}
    for address in addresses:
        if is_stored(address):
            known.setdefault(folded(address), []).append(address)
    counting = REASONS if campaign else tuple(one for one in REASONS if one != UNSUBSCRIBE)
    text = "SELECT address, reason FROM suppressions WHERE user_id = ? AND address IN ({})"
    found = tx.driver_in(text, [user_id], known)
    return {written for address, reason in found if reason in counting for written in known[address]}


def add(
    tx: Tx, user_id: int, addresses: Iterable[str], reason: Reason, *, detail: str = "", message_id: str | None = None
) -> int:
    """Put addresses, each with the form of one (`is_stored`), on the list; how many were not there for this reason.

    What is there keeps its date and its detail. `detail` is for the customer to read: what the other side said.
    """
    values = (reason, " ".join(detail.split())[:LONGEST_DETAIL], message_id, tx.now)
    added = 0
    for address in dict.fromkeys(map(folded, addresses)):
        added += tx.driver(
            "INSERT INTO suppressions (user_id, address, reason, detail, message_id, date_added)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, address, reason) DO NOTHING",
            (user_id, address, *values),
        ).rowcount
    return added


def remove(tx: Tx, user_id: int, address: str, *, reason: Reason | None = None) -> int:
    """Take an address off the list, for one reason or for all; how many entries are gone."""
    if not is_stored(address):
        return 0
    mine = (suppressions.c.user_id == user_id) & (suppressions.c.address == folded(address))
    given = mine if reason is None else mine & (suppressions.c.reason == reason)
    return tx.execute(suppressions.delete().where(given)).rowcount


def of(user_id: int) -> Select[Any]:
    """The list of an account, to search and page through."""
    return select(suppressions).where(suppressions.c.user_id == user_id)


def entries(tx: Tx, user_id: int, addresses: Iterable[str]) -> Sequence[Mapping[str, Any]]:
    """What the list has of these addresses, the oldest first."""
    keys = list(map(folded, filter(is_stored, addresses)))
    return tx.rows(of(user_id).where(suppressions.c.address.in_(keys)).order_by(suppressions.c.suppression_id))


def newest(tx: Tx, user_id: int, limit: int) -> Sequence[Mapping[str, Any]]:
    """The newest entries of an account, newest first."""
    return tx.rows(of(user_id).order_by(suppressions.c.suppression_id.desc()).limit(limit))


def is_stored(address: str) -> bool:
    """Whether a text can be on a list: it has the form of an address, and no character that no database takes."""
    return is_address(address) and not any("\ud800" <= character <= "\udfff" for character in address)
