"""The history is searched by what it shows: whatever stands in a row finds it."""

import time
from typing import Any
from urllib.parse import quote

import pytest

from heliograph.messaging import history
from support.server import Api

SHOWN = {"username": "_api_username", "from_": "from"}
"""Fields that are searched under another name than they are shown under."""


def sent(api: Api) -> list[dict[str, Any]]:
    """Messages that differ in every field: one segment and two, home and abroad, free and not, now and later."""
    entries = [
        api.send("+61491570006", "one", custom_string="a, b"),
        api.send("+61491570156", "x" * 161, **{"from": "Acme"}),
        api.send("+447400123456", "abroad", from_email="jane@example.com"),
        api.send("+61491570006", "later", schedule=int(time.time()) + 3600),
    ]
    assert {entry["status"] for entry in entries} == {"SUCCESS"}
    for entry in entries[:3]:
        api.final(entry["message_id"])
    rows: list[dict[str, Any]] = api.get("/sms/history")["data"]
    assert len(rows) == 4
    return rows


def found(api: Api, name: str, value: Any) -> set[str]:
    text = str(value or "").replace(",", "\\,") if name != "contact_id" else str(value)
    page = api.get(f"/sms/history?q={quote(f'{name}:{text}')}")
    assert page["total"] == len(page["data"])
    return {row["message_id"] for row in page["data"]}


def test_whatever_stands_in_a_row_finds_the_rows_that_have_it(api: Api) -> None:
    rows = sent(api)
    for name in history.COLUMNS:
        key = SHOWN.get(name, name)
        for row in (row for row in rows if row[key] not in (None, "")):
            same = {other["message_id"] for other in rows if (other[key] or "") == (row[key] or "")}
            assert found(api, name, row[key]) == same, name


def test_a_price_and_the_parts_are_found_by_what_they_are_worth(api: Api) -> None:
    rows = sent(api)
    two = {row["message_id"] for row in rows if row["message_parts"] == "2.00"}
    assert len(two) == 1
    for text in ("2", "2.0", "2.00", "2.000", "02", "2.*", "*2.0*"):
        assert found(api, "message_parts", text) == two, text
    for text in ("2.01", "-2", "2.", "2,0", "20", "1.5", "999999999999", "2e0"):
        assert found(api, "message_parts", text) == set(), text
    price = next(row["message_price"] for row in rows if row["message_parts"] == "2.00")
    same = {row["message_id"] for row in rows if row["message_price"] == price}
    for text in (price, price.rstrip("0"), price + "000", price[:-1] + "*", "*" + price[1:]):
        assert found(api, "message_price", text) == same, text
    assert found(api, "message_price", price.rstrip("0") + "1") == set()


@pytest.mark.parametrize("name", ["date", "message_price", "message_parts", "contact_id", "schedule"])
def test_what_is_shown_otherwise_is_sorted_as_it_is(api: Api, name: str) -> None:
    rows = sent(api)
    shown = [float(row[name]) for row in api.get(f"/sms/history?order_by={name}:desc")["data"]]
    assert shown == sorted((float(row[name]) for row in rows), reverse=True)


def test_messages_of_one_second_are_sorted_by_the_next_field(api: Api) -> None:
    numbers = ["+61491570158", "+61491570156", "+61491570157"]
    for body in ("one", "two"):
        api.post("/sms/send", {"messages": [{"to": to, "body": f"{body} {to}"} for to in numbers]})
    rows = api.get("/sms/history")["data"]
    ids = [row["message_id"] for row in rows]
    for order, key in (
        ("date:desc,to:asc", lambda row: (-int(row["date"]), row["to"])),
        ("date:asc,to", lambda row: (int(row["date"]), row["to"])),
        ("to,date:asc", lambda row: (row["to"], int(row["date"]))),
    ):
        answer = api.call("GET", f"/sms/history?order_by={order}")
        assert [key(row) for row in answer.data["data"]] == sorted(map(key, rows))
        assert "x-search-ignored" not in answer.headers
    found = api.get("/sms/history?order_by=date:desc,colour:asc&q=field_name")["data"]
    assert [row["message_id"] for row in found] == ids[::-1]
