"""How often the mails of campaigns were opened, clicked and unsubscribed from."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select

from heliograph.db.engine import Tx
from heliograph.db.tables import email_uses, messages
from heliograph.mail.uses import CLICK, OPEN, UNSUBSCRIBE, Kind


class Counts(NamedTuple):
    """Of one campaign. `unique_…`: how many mails; else how many times. An unsubscribe is counted once for a mail."""

    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0
    unsubscribes: int = 0


def counts(tx: Tx, campaign_ids: Collection[int]) -> Mapping[int, Counts]:
    """The counts of each of these campaigns. Prefetches, scanners and crawlers are in none of them."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    text = "SELECT campaign_id, kind, total, mails FROM email_totals WHERE campaign_id IN ({})"
    for campaign_id, kind, total, mails in tx.driver_in(text, [], campaign_ids):
        found[campaign_id, kind] = total, mails
    nothing = 0, 0
    return {
        one: Counts(
            *found.get((one, OPEN), nothing),
            *found.get((one, CLICK), nothing),
            found.get((one, UNSUBSCRIBE), nothing)[1],
        )
        for one in campaign_ids
    }


def times_used(kind: Kind) -> ColumnElement[int]:
    """A column for rows of `messages`: how often this was done with a mail, 0 for what is none of a campaign."""
    mine = (email_uses.c.campaign_id == messages.c.campaign_id) & (email_uses.c.message_id == messages.c.message_id)
    times = select(func.coalesce(func.sum(email_uses.c.count), 0)).where(mine, email_uses.c.kind == kind)
    return times.correlate(messages).scalar_subquery()
