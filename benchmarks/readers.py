"""Mails of a campaign that stand in the books, and what became of them."""

import time
from pathlib import Path

from heliograph.accounts.vault import Vault
from heliograph.db.engine import Connector
from heliograph.db.tables import message_events, messages
from heliograph.ids import new_ids
from heliograph.mail.tracking import Tracker
from heliograph.mail.tracking_counts import counts
from heliograph.settings import load

CAMPAIGN = 1
TEXTS = ("sender", "country", "carrier", "body", "encoding", "custom_string", "source", "request_id")
NUMBERS = ("subaccount_id", "date", "schedule", "units", "receipts_left", "price_micros")
MAIL = {**dict.fromkeys(TEXTS, ""), **dict.fromkeys(NUMBERS, 0), "channel": "email", "status": "Sent"}


def pictures(data: Path, url: str, number: int) -> list[str]:
    """Store mails that were handed over an hour ago; the paths of their pictures, without a slash at the start."""
    tracker = Tracker(load(data=data), Vault.open(b"", data))
    ids = new_ids(number, time.time())
    sent = int((time.time() - 3600) * 1e9)
    connector = Connector(url, time.time)
    tx = connector.begin_write()
    for place, key in enumerate(ids, 1):
        of = {"user_id": 1, "message_id": key}
        mail = {**MAIL, **of, "campaign_id": CAMPAIGN, "ordinal": place, "recipient": f"r{place}@example.com"}
        tx.execute(messages.insert().values(**mail))
        tx.execute(message_events.insert().values(**of, seq=sent + place, status="Sent", detail=""))
    tx.driver("COMMIT")
    connector.close()
    return [f"e/o/{tracker.token(key)}.gif" for key in ids]


def opens(url: str) -> int:
    """How many openings were counted."""
    connector = Connector(url, time.time, readonly=True)
    tx = connector.begin_read()
    found = counts(tx, [CAMPAIGN])[CAMPAIGN].opens
    tx.driver("ROLLBACK")
    connector.close()
    return found
