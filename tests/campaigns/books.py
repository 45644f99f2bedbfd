"""What campaigns' tests share: ordering one, waiting for it, and its books."""

import time
from typing import Any

from heliograph.db.engine import Tx
from support.server import Answer, Api

PRICE = 71_500
"""Micros of one segment to Australia, in Australian dollars."""


def order(api: Api, list_id: int, body: str = "Hello", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("/sms-campaigns/send", asked(list_id, body, **more))
    return answer


def refused(api: Api, list_id: Any, body: str = "Hello", kind: str = "send", **more: Any) -> Answer:
    answer = api.call("POST", f"/sms-campaigns/{kind}", asked(list_id, body, **more))
    assert answer.status != 200, answer.raw
    return answer


def asked(list_id: Any, body: str, **more: Any) -> dict[str, Any]:
    return {"list_id": list_id, "name": "My Campaign", "body": body, **more}


def view(api: Api, campaign: Any) -> dict[str, Any]:
    key = campaign["sms_campaign_id"] if isinstance(campaign, dict) else campaign
    answer: dict[str, Any] = api.get(f"/sms-campaigns/{key}")
    return answer


def ended(api: Api, campaign: Any, status: str = "Sent") -> dict[str, Any]:
    """Wait until a campaign has this status."""

    def there() -> dict[str, Any] | None:
        row = view(api, campaign)
        return row if row["status"] == status else None

    found: dict[str, Any] = api.until(there)
    return found


def later(seconds: int = 3600) -> int:
    return int(time.time()) + seconds


def balance(api: Api) -> int:
    """Micros."""

    def read(tx: Tx) -> int:
        return int(tx.driver("SELECT micros FROM balances WHERE user_id = ?", [api.user_id]).fetchone()[0])

    return int(api.server.read(read))


def entries(api: Api) -> list[int]:
    """Micros of each entry of the ledger for campaigns, in order."""

    def read(tx: Tx) -> list[int]:
        sql = "SELECT micros FROM ledger WHERE user_id = ? AND kind = 'campaign' ORDER BY entry_id"
        return [row[0] for row in tx.driver(sql, [api.user_id]).fetchall()]

    found: list[int] = api.server.read(read)
    return found


def messages(api: Api, campaign: Any) -> list[dict[str, Any]]:
    """The messages of a campaign, in the order in which they were made."""
    names = ("recipient", "body", "sender", "price_micros", "status", "contact_id", "custom_string", "source", "units")

    def read(tx: Tx) -> list[dict[str, Any]]:
        sql = f"SELECT {', '.join(names)} FROM messages WHERE campaign_id = ? ORDER BY ordinal"
        key = [campaign["sms_campaign_id"]]
        return [dict(zip(names, row, strict=True)) for row in tx.driver(sql, key).fetchall()]

    found: list[dict[str, Any]] = api.server.read(read)
    return found


def check_books(api: Api, campaign: Any) -> None:
    """What is left of the debit are the prices of the messages; failed and cancelled ones were given back."""
    rows = messages(api, campaign)
    assert -sum(entries(api)) == sum(row["price_micros"] for row in rows)

    def read(tx: Tx) -> tuple[int, int, int]:
        count, micros = (
            "SELECT COALESCE(SUM(micros), 0) FROM ledger WHERE user_id = ?",
            "SELECT COALESCE(SUM(micros), 0) FROM ledger WHERE user_id = ? AND kind = 'refund'",
        )
        held = "SELECT COUNT(*) FROM campaign_slices WHERE campaign_id = ?"
        return (
            int(tx.driver(count, [api.user_id]).fetchone()[0]),
            int(tx.driver(micros, [api.user_id]).fetchone()[0]),
            int(tx.driver(held, [campaign["sms_campaign_id"]]).fetchone()[0]),
        )

    total, refunds, slices = api.server.read(read)
    assert total == balance(api)
    assert refunds == sum(row["price_micros"] for row in rows if row["status"] in ("Failed", "Cancelled"))
    assert slices == 0
