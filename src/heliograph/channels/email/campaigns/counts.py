"""What became of the mails of campaigns: counted when somebody looks, so that it is exact and no row is hot."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heliograph.db.engine import Tx
from heliograph.mail import tracking_counts
from heliograph.messaging import message
from heliograph.settings import Settings

COUNTED = HARD, SOFT, ABUSE = "hard_bounce_count", "soft_bounce_count", "abuse_count"
"""What campaign_bounces has of each mail, and a campaign of all of them."""

COUNTS = "_counts"
"""Key of the counts in a row of `campaigns`."""


class Counts(msgspec.Struct, frozen=True):
    """What became of the mails of a campaign so far."""

    send_count: int = 0
    open_count: int = 0
    click_count: int = 0
    hard_bounce_count: int = 0
    soft_bounce_count: int = 0
    abuse_count: int = 0
    unsubscribe_count: int = 0


NOTHING = Counts()


def counted(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows with what is counted of their campaigns."""
    found = counts(tx, [row["campaign_id"] for row in rows])
    return [{**row, COUNTS: found[row["campaign_id"]]} for row in rows]


def counts(tx: Tx, campaign_ids: Sequence[int]) -> Mapping[int, Counts]:
    """What became of the mails of these campaigns.

    A mail that a host refused was sent as well: so the sum of those that were handed over does not change when one
    comes back.
    """
    reached = (message.SENT, message.COMPLETED, message.SPAM)
    sql = "SELECT campaign_id, COUNT(*) FROM messages WHERE status IN (?, ?, ?) AND campaign_id IN ({}) GROUP BY 1"
    sent = dict(tx.driver_in(sql, reached, campaign_ids))
    sums = ", ".join(f"SUM({name})" for name in COUNTED)
    sql = f"SELECT campaign_id, {sums} FROM campaign_bounces WHERE campaign_id IN ({{}}) GROUP BY 1"  # noqa: S608
    bounced = {row[0]: tuple(map(int, row[1:])) for row in tx.driver_in(sql, [], campaign_ids)}
    used = tracking_counts.counts(tx, campaign_ids)
    found = {}
    for one in campaign_ids:
        hard, soft, abuse = bounced.get(one, (0, 0, 0))
        uses = used[one]
        sends = sent.get(one, 0) + hard
        found[one] = Counts(sends, uses.opens, uses.clicks, hard, soft, abuse, uses.unsubscribes)
    return found


def heard(tx: Tx, campaign_id: int, message_id: str, kind: str) -> None:
    """Count a report about a mail of a campaign; `kind` is one of COUNTED."""
    values = [campaign_id, message_id, *(int(name == kind) for name in COUNTED)]
    tx.driver(
        f"INSERT INTO campaign_bounces (campaign_id, message_id, {', '.join(COUNTED)}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
        f" ON CONFLICT (campaign_id, message_id) DO UPDATE SET {kind} = campaign_bounces.{kind} + 1",
        values,
    )


class Reputation:
    """What a campaign may cost the house's good name with mail hosts; beyond it, it must stand still."""

    def __init__(self, settings: Settings) -> None:
        self._from = settings.campaign_judged_from
        self._complaints = settings.campaign_complaints
        self._bounces = settings.campaign_bounces

    def fault(self, tx: Tx, row: Mapping[str, Any]) -> str | None:
        """Why a campaign must stand still: more complaints or dead addresses than the settings allow; or None.

        What was forgiven when it was told to go on does not count again, and neither do the mails before that.
        """
        now = counts(tx, [row["campaign_id"]])[row["campaign_id"]]
        old = msgspec.json.decode(row["forgiven"], type=Counts) if row["forgiven"] else NOTHING
        sends = now.send_count - old.send_count
        if sends < self._from:
            return None
        for count, most, what in (
            (now.abuse_count - old.abuse_count, self._complaints, "were called spam by those who got them"),
            (now.hard_bounce_count - old.hard_bounce_count, self._bounces, "came back, as they cannot be delivered"),
        ):
            if count * 100 > sends * most:
                return (
                    f"{count} of {sends} mails ({count * 100 / sends:.1f} %) {what}; more than {most:g} % are too many"
                )
        return None
