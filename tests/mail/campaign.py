"""Mails of a campaign as they stand in the books, and what readers find behind their links."""

import itertools
import time
from typing import Any, NamedTuple

from sqlalchemy import func, select

from heliograph.db.engine import Tx
from heliograph.db.tables import message_events, messages
from heliograph.ids import new_ids
from heliograph.mail.tracking import Tracker, keep_links
from heliograph.mail.tracking_counts import Counts, counts
from support.server import Api

TARGETS = ("https://shop.example/?a=1&b=2", "https://bücher.example/straße", "https://shop.example/3")
_campaigns = itertools.count(1_000_000)


class Sent(NamedTuple):
    """A mail of a campaign."""

    api: Api
    campaign_id: int
    message_id: str
    token: str

    @property
    def picture(self) -> str:
        return f"/e/o/{self.token}.gif"

    @property
    def page(self) -> str:
        return f"/e/u/{self.token}"

    def link(self, number: int) -> str:
        return f"/e/c/{self.token}/{number}"

    def counts(self) -> Counts:
        found: Counts = self.api.server.read(lambda tx: counts(tx, [self.campaign_id]))[self.campaign_id]
        return found

    def timeline(self) -> list[str]:
        """Statuses of what happened to the mail."""
        found = self.api.server.read(
            lambda tx: tx.driver(
                "SELECT status FROM message_events WHERE message_id = ? ORDER BY seq", [self.message_id]
            ).fetchall()
        )
        return [row[0] for row in found]


def tracker(api: Api) -> Tracker:
    return Tracker(api.server.house.options, api.server.house.vault)


def campaign(api: Api, mails: int = 1, *, ago: float | None = 3600.0, **other: Any) -> list[Sent]:
    """The mails of a new campaign, handed over so many seconds ago; None: not yet."""
    number = next(_campaigns)
    ids = new_ids(mails, time.time())

    def work(tx: Tx) -> None:
        keep_links(tx, number, TARGETS)
        for place, message_id in enumerate(ids):
            _store(tx, api.user_id, {"message_id": message_id, "campaign_id": number, **other})
            if ago is not None:
                seq = int((time.time() - ago) * 1e9) + place
                event = {"user_id": api.user_id, "message_id": message_id, "seq": seq, "status": "Sent", "detail": ""}
                tx.execute(message_events.insert().values(**event))

    api.server.write(work)
    made = tracker(api)
    return [Sent(api, number, message_id, made.token(message_id)) for message_id in ids]


def _store(tx: Tx, user_id: int, other: dict[str, Any]) -> None:
    texts = ("sender", "country", "carrier", "body", "encoding", "custom_string", "source", "request_id")
    numbers = ("subaccount_id", "date", "schedule", "units", "receipts_left", "price_micros")
    values = {**dict.fromkeys(texts, ""), **dict.fromkeys(numbers, 0), "status": "Sent", "user_id": user_id}
    known = select(func.max(messages.c.ordinal)).where(messages.c.user_id == user_id)
    ordinal = int(tx.scalar(known) or 0) + 1
    values |= {"channel": "email", "recipient": "jane@reader.example", **other}
    tx.execute(messages.insert().values(**values, ordinal=ordinal))
