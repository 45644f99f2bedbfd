"""How often links were opened, by whom, and with what."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select

from heliograph.db.engine import Row, Tx
from heliograph.db.tables import clicks, contacts, links, long_urls, messages
from heliograph.errors import NotFound

NO_RECORD = "There are no short links of this kind."
LABELLED = ("device", "os", "browser", "country")
"""What clicks are counted by."""


class Opened(NamedTuple):
    """The links to one target: how many there are, how many were opened and how often, and by what, most first."""

    long_url_id: int
    total: int
    unique: int
    clicks: int
    labels: Mapping[str, Sequence[tuple[str, int]]]


def of_source(tx: Tx, user_id: int, source: str, source_id: str, subaccount_id: int | None) -> list[Opened]:
    """What the links of a message or a campaign lead to; `subaccount_id`: only if that one has sent it.

    Raises NotFound.
    """
    mine = (long_urls.c.user_id == user_id) & (long_urls.c.source == source) & (long_urls.c.source_id == source_id)
    if subaccount_id is not None:
        mine &= long_urls.c.subaccount_id == subaccount_id
    found = tx.rows(select(long_urls.c.long_url_id).where(mine).order_by(long_urls.c.long_url_id))
    if not found:
        raise NotFound(NO_RECORD)
    return [_opened(tx, row["long_url_id"]) for row in found]


def _opened(tx: Tx, long_url_id: int) -> Opened:
    these = clicks.c.long_url_id == long_url_id
    counted = tx.row(select(func.count(), func.count(clicks.c.code.distinct()).label("codes")).where(these))
    assert counted is not None
    labels = {}
    for name in LABELLED:
        column = clicks.c[name]
        number = func.count().label("number")
        rows = tx.rows(select(column, number).where(these).group_by(column).order_by(number.desc(), column))
        labels[name] = [(str(row[name]), int(row["number"])) for row in rows]
    total = tx.scalar(select(func.count()).where(links.c.long_url_id == long_url_id))
    return Opened(long_url_id, int(total), int(counted["codes"]), int(counted["count_1"]), labels)


def source_of(tx: Tx, user_id: int, long_url_id: int) -> tuple[str, int]:
    """(source, subaccount) of a target. Raises NotFound."""
    mine = (long_urls.c.long_url_id == long_url_id) & (long_urls.c.user_id == user_id)
    row = tx.row(select(long_urls.c.source, long_urls.c.subaccount_id).where(mine))
    if row is None:
        raise NotFound(NO_RECORD)
    return row["source"], row["subaccount_id"]


def recipients(tx: Tx, long_url_id: int, offset: int, limit: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """(number of links to a target, a page of them): the recipient, its contact if there is one, and its clicks.

    `count` clicks, the first one `first`; what else is told is that of the last (clients 2).
    """
    these = links.c.long_url_id == long_url_id
    total = int(tx.scalar(select(func.count()).where(these)))
    contact = (contacts.c.contact_id, contacts.c.first_name, contacts.c.last_name)
    wanted = (
        select(links.c.code, links.c.recipient, *contact)
        .join(messages, (messages.c.message_id == links.c.message_id) & (messages.c.user_id == links.c.user_id))
        .outerjoin(contacts, contacts.c.contact_id == messages.c.contact_id)
        .where(these)
        .order_by(links.c.code)
    )
    rows = tx.rows(wanted.limit(limit).offset(min(offset, total)))
    seen = _seen(tx, long_url_id, [row["code"] for row in rows])
    return total, [{**row, **seen.get(row["code"], {"count": 0})} for row in rows]


def _seen(tx: Tx, long_url_id: int, codes: Sequence[str]) -> Mapping[str, Row]:
    """The clicks of some links: their count, the time of the first, and all that is known of the last."""
    these = (clicks.c.long_url_id == long_url_id) & clicks.c.code.in_(codes)
    numbers = (
        func.count().label("count"),
        func.min(clicks.c.at).label("first"),
        func.max(clicks.c.click_id).label("last"),
    )
    sums = select(*numbers).where(these).group_by(clicks.c.code).subquery()
    what = (clicks.c.code, *(clicks.c[name] for name in LABELLED))
    last = select(*what, sums.c.count, sums.c.first).join(sums, sums.c.last == clicks.c.click_id)
    return {row["code"]: row for row in tx.rows(last)}
