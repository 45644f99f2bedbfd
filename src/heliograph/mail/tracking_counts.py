"""How often the mails of campaigns were opened, clicked and unsubscribed from."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from heliograph.db.engine import Tx
from heliograph.mail.uses import CLICK, OPEN, UNSUBSCRIBE


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
