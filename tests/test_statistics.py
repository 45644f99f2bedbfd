"""Statistics by day, and that the counters say what the messages do."""

import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from heliograph.billing import usage
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from support.server import Api, Running

DELIVERED, FAILED, NO_RECEIPT = "+61491570006", "+61491999001", "+61491999003"
REJECTED, ANSWERS = "+61491999004", "+61491999007"


def test_thirty_days_with_nothing(api: Api) -> None:
    data = api.get("/statistics/sms")
    assert data["stat"] == data["stats"]
    days = [one["date"] for one in data["stats"]]
    assert len(days) == 30
    assert days[-1] <= time.time() < days[-1] + DAY + 5
    assert days == list(range(days[0], days[-1] + 1, DAY))
    nothing = {"outbound": {"count": 0, "price": 0}, "inbound": {"count": 0}, "bounced": {"count": 0}}
    assert data["total"] == nothing
    voice = api.get("/statistics/voice")
    assert voice["total"] == {"outbound": {"count": 0, "price": 0}, "bounced": {"count": 0}}
    assert len(voice["stats"]) == 30


def test_sent_failed_refunded_and_answered_messages_are_counted(api: Api) -> None:
    api.final(api.send(DELIVERED)["message_id"])
    api.final(api.send(FAILED)["message_id"], "Failed")  # by a receipt: paid for
    api.final(api.send(REJECTED)["message_id"], "Failed")  # before the carrier took it: refunded
    api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    api.send(ANSWERS, "answer me")
    api.until(lambda: api.get("/sms/inbound")["data"])
    total = api.get("/statistics/sms")["total"]
    assert total == {"outbound": {"count": 4, "price": 0.2145}, "inbound": {"count": 1}, "bounced": {"count": 2}}
    recent = api.get("/statistics/sms")["stats"][-2:]  # two days, should one have ended meanwhile
    assert sum(one["outbound"]["count"] for one in recent) == 4


def test_test_numbers_count_and_cost_nothing(api: Api) -> None:
    api.send("+61411111111")
    assert api.get("/statistics/sms")["total"]["outbound"] == {"count": 1, "price": 0}


@pytest.mark.parametrize("channel", ["mms", "email", "fax", "post"])
def test_other_channels_are_counted_alike(server: Running, api: Api, channel: str) -> None:
    def book(tx: Tx) -> int:
        tally = usage.Tally()
        day = tally.of(api.user_id, channel, tx.now, 1)
        day.sent, day.micros, day.received, day.failed = 3, 210_000, 2, 1
        tally.write(tx)
        return int(tx.now) // DAY * DAY

    today = server.write(book)
    data = api.get(f"/statistics/{channel}")
    counted = {"outbound": {"count": 3, "price": 0.21}, "inbound": {"count": 2}, "bounced": {"count": 1}}
    assert data["total"] == counted
    assert [one for one in data["stats"] if one["outbound"]["count"]] == [{**counted, "date": today}]
    assert len(data["stats"]) == 30
    assert data["_currency"]["currency_name_short"] == "AUD"
    assert api.get("/statistics/sms")["total"]["outbound"]["count"] == 0


@pytest.mark.parametrize("channel", ["pigeon", "SMS", "sms%20", "%00", "x" * 5000])
def test_channels_that_are_none(api: Api, channel: str) -> None:
    assert api.call("GET", f"/statistics/{channel}").status == 404


def test_a_message_that_expires_is_lost_once_and_stays_paid(server: Running, api: Api) -> None:
    api.final(api.send(NO_RECEIPT)["message_id"], "Sent")
    sql = "UPDATE handovers SET at = 0 WHERE user_id = ?"
    server.write(lambda tx: tx.driver(sql, [api.user_id]))
    for _ in range(2):
        server.write(server.house._upkeep._duties["expire messages"])
    total = api.get("/statistics/sms")["total"]
    assert total == {"outbound": {"count": 1, "price": 0.0715}, "inbound": {"count": 0}, "bounced": {"count": 1}}


def test_a_refund_after_midnight_belongs_to_the_day_of_the_message(server: Running, api: Api) -> None:
    sent = api.send(DELIVERED, schedule=int(time.time()) + 900)

    def yesterday(tx: Tx) -> None:
        tx.driver("UPDATE messages SET date = date - ? WHERE user_id = ?", [DAY, api.user_id])
        tx.driver("UPDATE daily_usage SET day = day - ? WHERE user_id = ?", [DAY, api.user_id])

    server.write(yesterday)
    day = sent["date"] - DAY
    (counted,) = api.get(f"/statistics/sms?date_from={day}&date_to={day}")["stats"]
    assert counted["outbound"] == {"count": 1, "price": 0.0715}
    api.put(f"/sms/{sent['message_id']}/cancel")
    assert api.get(f"/statistics/sms?date_from={day}")["total"]["outbound"] == {"count": 0, "price": 0}


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu"])
def test_a_day_begins_at_midnight_utc_whatever_clock_the_account_has(api: Api, zone: str) -> None:
    api.put("/account", {"timezone": zone})
    api.send(DELIVERED)
    data = api.get("/statistics/sms")
    assert all(one["date"] % DAY == 0 for one in data["stats"])
    assert data["total"]["outbound"]["count"] == 1


def test_counters_agree_with_the_messages(server: Running, api: Api) -> None:
    numbers = [DELIVERED, FAILED, REJECTED, "+61411111111", "+61491570156"]
    api.post("/sms/send", {"messages": [{"to": to, "body": f"{to} {at}"} for at in range(40) for to in numbers]})
    later = int(time.time()) + 900
    scheduled = [api.send(DELIVERED, f"later {at}", schedule=later) for at in range(3)]
    api.put(f"/sms/{scheduled[0]['message_id']}/cancel")
    api.until(lambda: not api.get("/sms/history?q=status:queued,status:sent&operator=OR")["total"])

    def truth(tx: Tx) -> tuple[int, int, int]:
        sql = (
            "SELECT SUM(CASE status WHEN 'Cancelled' THEN 0 ELSE 1 END),"
            " SUM(CASE status WHEN 'Failed' THEN 1 ELSE 0 END) FROM messages WHERE user_id = ?"
        )
        sent, failed = tx.driver(sql, [api.user_id]).fetchone()
        ledger = "SELECT -SUM(micros) FROM ledger WHERE user_id = ? AND kind IN ('sms', 'refund')"
        return int(sent), int(failed), int(tx.driver(ledger, [api.user_id]).fetchone()[0])

    sent, failed, micros = server.read(truth)
    total = api.get("/statistics/sms")["total"]
    assert (sent, failed) == (202, 80)
    assert total["outbound"] == {"count": sent, "price": micros / 1e6}
    assert total["bounced"] == {"count": failed}


def test_a_range_is_whole_days(server: Running, api: Api) -> None:
    def book(tx: Tx) -> None:
        tally = usage.Tally()
        for day in (99, 100, 101, 102):
            tally.of(api.user_id, "sms", day * DAY + 3600, 1).sent += day
        tally.write(tx)

    server.write(book)
    data = api.get(f"/statistics/sms?date_from={100 * DAY + 7000}&date_to={101 * DAY}")
    assert [(one["date"], one["outbound"]["count"]) for one in data["stats"]] == [(100 * DAY, 100), (101 * DAY, 101)]
    assert data["total"]["outbound"]["count"] == 201
    assert len(api.get(f"/statistics/sms?date_to={101 * DAY}")["stats"]) == 30


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"date_from={DAY * 10}&date_to={DAY * 9}", "date_from"),
        (f"date_from={DAY * 10}&date_to={DAY * 376}", "date_from"),
        ("date_from=0", "date_from"),
        ("date_from=yesterday", "date_from"),
        ("date_to=9e99", "date_to"),
        ("date_from=-9007199254740993", "date_from"),
    ],
)
@pytest.mark.parametrize("channel", ["sms", "voice"])
def test_wrong_ranges_are_refused(api: Api, channel: str, query: str, field: str) -> None:
    answer = api.call("GET", f"/statistics/{channel}?{query}")
    assert answer.status == 400
    assert set(answer.data) == {field}


def test_a_tally_writes_one_statement_for_many_messages() -> None:
    rows: list[list[object]] = []

    class Spy:
        def driver(self, text: str, values: list[object]) -> None:
            rows.append(values)

    tally = usage.Tally()
    for at in range(1000):
        tally.of(2, "sms", 5 * DAY + at, 8).sent += 1
    tally.of(1, "sms", 5 * DAY, 9).received += 1
    tally.write(Spy())  # type: ignore[arg-type]
    assert rows == [[1, "sms", 5 * DAY, 9, 0, 0, 1, 0], [2, "sms", 5 * DAY, 8, 1000, 0, 0, 0]]


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(changes=st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5), st.integers(-(10**9), 10**9)), max_size=12))
def test_counters_are_sums(server: Running, changes: list[tuple[int, int, int]]) -> None:
    user_id = server.account().user_id

    def book(tx: Tx) -> None:
        for day, sent, micros in changes:
            tally = usage.Tally()
            tally.of(user_id, "fax", day * DAY, 1).sent += sent
            tally.of(user_id, "fax", day * DAY + 5, 1).micros += micros
            tally.write(tx)

    server.write(book)
    found = server.read(lambda tx: usage.by_day(tx, user_id, "fax", 0, 2 * DAY))
    for day in {one[0] for one in changes}:
        mine = [one for one in changes if one[0] == day]
        assert (found[day * DAY].sent, found[day * DAY].micros) == (sum(m[1] for m in mine), sum(m[2] for m in mine))
