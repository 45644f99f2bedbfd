"""What an account used, per month and subaccount: endpoint 3 and its bare spelling."""

import datetime
import time

import pytest

from heliograph.billing import usage
from heliograph.db.engine import Tx
from support.clock import usage_path
from support.server import Api, Running

NUMBER = "+61491570006"
CHANNELS = {"sms", "mms", "voice", "fax", "post", "email", "email_transactional"}


def month_of(year: int, month: int) -> int:
    return int(datetime.datetime(year, month, 1, tzinfo=datetime.UTC).timestamp())


def book(server: Running, user_id: int, channel: str, date: int, sub: int, sent: int, micros: int) -> None:
    def work(tx: Tx) -> None:
        tally = usage.Tally()
        day = tally.of(user_id, channel, date, sub)
        day.sent, day.micros = sent, micros
        tally.write(tx)

    server.write(work)


def test_an_unused_account_has_every_channel_with_nothing(api: Api) -> None:
    data = api.get("/account/usage")
    assert data.keys() == CHANNELS | {f"{channel}_total" for channel in CHANNELS} | {"_currency"}
    assert all(data[channel] == [] for channel in CHANNELS)
    assert all(data[f"{channel}_total"] == {"count": 0, "price": "0.0000"} for channel in CHANNELS)


def test_what_is_sent_is_used_in_this_month(api: Api) -> None:
    sent = api.post("/sms/send", {"messages": [{"to": NUMBER, "body": f"text {at}"} for at in range(3)]})
    api.send("no number")
    api.post("/sms/price", {"messages": [{"to": NUMBER, "body": "only a question"}]})
    data = api.get(usage_path(sent["messages"][0]["date"]))
    assert data["sms_total"] == {"count": 3, "price": "0.2145"}
    (entry,) = data["sms"]
    assert (entry["username"], entry["total_count"], entry["total_price"]) == (api.username, "3.00", "0.2145")
    before, present, after = time.time(), api.get("/account/usage"), time.time()
    assert present in [api.get(usage_path(at)) for at in (before, after)]


def test_a_month_is_its_days_in_utc_and_subaccounts_stand_apart(server: Running, api: Api) -> None:
    sub = api.get("/account")["_subaccount"]["subaccount_id"]
    first, after = month_of(2024, 12), month_of(2025, 1)
    book(server, api.user_id, "voice", first - 1, sub, 100, 1)
    book(server, api.user_id, "voice", first, sub, 2, 20_000)
    book(server, api.user_id, "voice", after - 1, sub, 3, 30_050)
    book(server, api.user_id, "voice", after - 1, 999_999_999, 1, 10_000)
    book(server, api.user_id, "voice", after, sub, 100, 1)
    data = api.get("/account/usage/2024/12/subaccount")
    assert data["voice"] == [
        {"subaccount_id": sub, "username": api.username, "total_count": "5.00", "total_price": "0.0501"},
        {"subaccount_id": 999_999_999, "username": "", "total_count": "1.00", "total_price": "0.0100"},
    ]
    assert data["voice_total"] == {"count": 6, "price": "0.0601"}


def test_subaccounts_are_told_apart_by_name(server: Running, api: Api) -> None:
    other = server.subaccount(api)
    mine = api.send(NUMBER, "one")
    theirs = other.post("/sms/send", {"messages": [{"to": NUMBER, "body": body} for body in ("two", "three")]})
    months = dict.fromkeys(usage_path(at) for at in (mine["date"], theirs["messages"][0]["date"]))
    used = [api.get(month) for month in months]
    assert [(one["username"], one["total_count"]) for data in used for one in data["sms"]] == [
        (api.username, "1.00"),
        (other.username, "2.00"),
    ]
    assert sum(data["sms_total"]["count"] for data in used) == 3
    reporter = server.subaccount(api, access_reporting=0)
    assert reporter.call("GET", "/account/usage").status == 403
    assert reporter.call("GET", "/statistics/sms").status == 403


def test_counts_have_the_documented_types(server: Running, api: Api) -> None:
    for channel in CHANNELS:
        book(server, api.user_id, channel, month_of(2023, 5), 7, 12, 1)
    data = api.get("/account/usage/2023/05/subaccount")
    shown = {channel: data[channel][0]["total_count"] for channel in CHANNELS}
    assert shown == {
        "sms": "12.00",
        "mms": "12.00",
        "voice": "12.00",
        "fax": "12.00",
        "post": "12",
        "email": 12,
        "email_transactional": 12,
    }


def test_cancelled_messages_are_not_used(api: Api) -> None:
    sent = api.send(NUMBER, schedule=int(time.time()) + 900)
    month = usage_path(sent["date"])
    assert api.get(month)["sms_total"] == {"count": 1, "price": "0.0715"}
    api.put(f"/sms/{sent['message_id']}/cancel")
    assert api.get(month)["sms_total"] == {"count": 0, "price": "0.0000"}
    assert api.get(month)["sms"] == []


def test_other_accounts_are_not_seen(server: Running, api: Api) -> None:
    server.account().send(NUMBER)
    assert api.get("/account/usage")["sms"] == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/account/usage/2024/13/subaccount", "month"),
        ("/account/usage/2024/0/subaccount", "month"),
        ("/account/usage/2024/-1/subaccount", "month"),
        ("/account/usage/2024/%D9%A3/subaccount", "month"),
        ("/account/usage/1969/4/subaccount", "year"),
        ("/account/usage/99999/4/subaccount", "year"),
        ("/account/usage/9999/4/subaccount", "year"),
        ("/account/usage/year/4/subaccount", "year"),
    ],
)
def test_months_that_do_not_exist_are_refused(api: Api, path: str, field: str) -> None:
    answer = api.call("GET", path)
    assert answer.status == 400
    assert set(answer.data) == {field}


def test_the_last_month_of_a_year_and_the_last_year_work(api: Api) -> None:
    for path in ("/account/usage/9998/12/subaccount", "/account/usage/1970/1/subaccount"):
        assert api.get(path)["sms"] == []
    assert api.call("GET", "/account/usage/2024/4/email").status == 404
