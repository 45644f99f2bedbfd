"""What is accepted, what it costs, who pays and who earns: decided for all requests of a transaction in their order."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.accounts.account import Principal
from heliograph.billing import commission, ledger, tariff, usage
from heliograph.billing.commission import Terms
from heliograph.channels.sms.channel import SmsMessage
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.messaging.channel import Accepted, Charge
from heliograph.messaging.message import COMPLETED, QUEUED, SCHEDULED
from heliograph.queue import claim
from support import quiet, steps
from support.quiet import draft, order
from support.steps import Steps

RATES = """
version = "test"
source = "These tests"
[AUD.sms]
message = { "*" = "0.2000", AU = "0.0500" }
[AUD.voice]
mobile = { "*" = "0.1000" }
[AUD.post]
letter_black = { "*" = "1.0000" }
page_black = { "*" = "0.3000" }
letter_priority = { "*" = "0.7000" }
postcard = { "*" = "0.9000" }
"""
SMS, ABROAD, CALL, POSTCARD = 50_000, 200_000, 100_000, 900_000
"""What one of each costs, in micros."""

CALLS = quiet.channel("voice", "voice")
LETTERS = quiet.channel("post-letters", "post")
POSTCARDS = quiet.channel("post-postcards", "post")
ECHO, OTHER = "+61491570156", "+61491570157"


@pytest.fixture
def house(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as opened:
        opened.write(lambda tx: tariff.import_rates(tx, RATES))
        yield opened


def call(**given: Any) -> Any:
    return draft(charges=(Charge("mobile", 1),), **given)


def postcard(**given: Any) -> Any:
    return draft(charges=(Charge("postcard", 1),), **given)


def statuses(fates: list[Accepted]) -> list[str]:
    return [fate.status for fate in fates]


def prices(fates: list[Accepted]) -> list[int]:
    return [fate.price_micros for fate in fates]


def entries(house: Steps, who: Principal) -> list[tuple[Any, ...]]:
    """(kind, micros, balance after it, reference) of each entry of the ledger but the opening credit."""
    found = house.write(lambda tx: ledger.entries(tx, who.user_id))
    names = ("kind", "micros", "balance_micros", "reference")
    return [tuple(row[name] for name in names) for row in found if row["reference"] != "opening credit"]


def queued(house: Steps, channel: str = "sms", limit: int = 1000) -> list[str]:
    """The messages of a channel that a worker would get now, in its order."""
    return [one.message_id for one in house.write(lambda tx: claim.claim(tx, channel, limit, 60.0))]


def ids(fates: list[Accepted]) -> list[str]:
    return [fate.message_id for fate in fates]


def rows(house: Steps, *tables: str) -> dict[str, int]:
    """How many rows these tables have."""

    def counted(tx: Tx) -> dict[str, int]:
        return {table: tx.driver(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}

    return house.write(counted)


# Prices.


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(), [SMS, 3 * SMS, ABROAD]),
        (Terms(discount=10), [45_000, 135_000, 180_000]),
        (Terms(discount=10, margin=20), [54_000, 162_000, 216_000]),
    ],
)
def test_the_price_that_is_told_is_what_the_send_then_charges(house: Steps, terms: Terms, expected: list[int]) -> None:
    who = house.account(credit=1_000_000, terms=terms)
    drafts = [draft(), draft(units=3), draft("+447400123456", country="GB")]
    (priced,) = house.accept(order(who, *drafts, quote=True))
    assert (statuses(priced), prices(priced)) == ([Status.SUCCESS] * 3, expected)
    assert house.balance(who) == 1_000_000
    (sent,) = house.accept(order(who, *drafts))
    assert (statuses(sent), prices(sent)) == ([Status.SUCCESS] * 3, expected)
    assert house.balance(who) == 1_000_000 - sum(expected)
    assert [house.message(who, key).price_micros for key in ids(sent)] == expected


def test_a_price_request_refuses_what_the_send_would_refuse(house: Steps) -> None:
    who = house.account(credit=SMS)
    drafts = [draft(units=2), draft(), call(), draft(refusal=Status.INVALID_RECIPIENT)]
    (priced,) = house.accept(order(who, *drafts, quote=True))
    (sent,) = house.accept(order(who, *drafts))
    assert statuses(priced) == statuses(sent)
    assert statuses(sent) == [
        Status.INSUFFICIENT_CREDIT,
        Status.SUCCESS,
        Status.SOMETHING_IS_WRONG,
        Status.INVALID_RECIPIENT,
    ]


def test_a_price_request_leaves_nothing_behind(house: Steps) -> None:
    who = house.account(terms=Terms(margin=20, reseller_id=901))
    tables = ("messages", "queue", "ledger", "daily_usage", "counters", "commissions")
    before = rows(house, *tables)
    house.accept(order(who, draft(), quote=True), order(who, draft(), quote=True))
    assert rows(house, *tables) == before


def test_what_a_message_costs_is_the_sum_of_its_charges(house: Steps) -> None:
    """A letter of three pages that hurries: the letter with its first page, two more pages, the surcharge."""
    who = house.account()
    letter = draft(charges=(Charge("letter_black", 1), Charge("page_black", 2), Charge("letter_priority", 1)))
    (sent,) = house.accept(order(who, letter, channel=LETTERS))
    assert prices(sent) == [1_000_000 + 2 * 300_000 + 700_000]


def test_a_message_without_charges_is_free_and_goes_out(house: Steps) -> None:
    who = house.account(credit=0)
    (sent,) = house.accept(order(who, draft(charges=())))
    assert (statuses(sent), prices(sent)) == ([Status.SUCCESS], [0])
    assert queued(house) == ids(sent)
    assert entries(house, who) == []


def test_a_message_without_a_price_is_refused_for_nothing_and_the_log_says_why(house: Steps) -> None:
    """The others of its request go out. One missing price is enough, whatever else the message is charged for."""
    who = house.account()
    unpriced = draft(ECHO, charges=(Charge("message", 1), Charge("landline", 1)))
    with capture_logs() as logs:
        (sent,) = house.accept(order(who, unpriced, draft(), unpriced, request_id="R7"))
    assert statuses(sent) == [Status.SOMETHING_IS_WRONG, Status.SUCCESS, Status.SOMETHING_IS_WRONG]
    assert prices(sent) == [0, SMS, 0]
    assert entries(house, who) == [("sms", -SMS, 100_000_000 - SMS, "R7")]
    assert rows(house, "messages", "queue") == {"messages": 1, "queue": 1}
    (told,) = [entry for entry in logs if entry["event"] == "message.unpriced"]
    assert (told["log_level"], told["channel"], told["request"]) == ("warning", "sms", "R7")
    assert "AUD.sms.landline" in told["why"]


# Credit.


def test_a_message_that_the_credit_does_not_cover_is_refused_and_later_cheaper_ones_still_pass(house: Steps) -> None:
    who = house.account(credit=2 * SMS)
    (sent,) = house.accept(order(who, draft(), draft(ECHO, units=2), draft(OTHER)))
    assert statuses(sent) == [Status.SUCCESS, Status.INSUFFICIENT_CREDIT, Status.SUCCESS]
    assert prices(sent) == [SMS, 0, SMS]
    assert house.balance(who) == 0
    assert queued(house) == [sent[0].message_id, sent[2].message_id]


def test_the_operator_pays_for_messages_of_its_own(house: Steps) -> None:
    """Even what has no price, and for an account without credit."""
    who = house.account(credit=0)
    (sent,) = house.accept(order(who, draft(), draft(charges=(Charge("landline", 1),)), gratis=True))
    assert (statuses(sent), prices(sent)) == ([Status.SUCCESS] * 2, [0, 0])
    assert entries(house, who) == []
    assert queued(house) == ids(sent)


def test_requests_of_one_transaction_share_the_balance_and_are_charged_in_their_order(house: Steps) -> None:
    who, other = house.account(credit=3 * SMS), house.account("joe", credit=SMS)
    first, theirs, second, third = house.accept(
        order(who, draft(), draft(ECHO), request_id="first"),
        order(other, draft(), draft(ECHO), request_id="theirs"),
        order(who, draft(units=2), request_id="second"),
        order(who, draft(), request_id="third"),
    )
    assert [statuses(fates) for fates in (first, second, third)] == [
        [Status.SUCCESS, Status.SUCCESS],
        [Status.INSUFFICIENT_CREDIT],
        [Status.SUCCESS],
    ]
    assert statuses(theirs) == [Status.SUCCESS, Status.INSUFFICIENT_CREDIT]
    assert entries(house, who) == [("sms", -2 * SMS, SMS, "first"), ("sms", -SMS, 0, "third")]
    assert entries(house, other) == [("sms", -SMS, 0, "theirs")]
    assert (house.balance(who), house.balance(other)) == (0, 0)


def test_the_ledger_has_one_entry_a_request_in_the_name_of_its_channel(house: Steps) -> None:
    who = house.account(credit=10_000_000)
    house.accept(
        order(who, *(draft() for _ in range(60)), request_id="many"),
        order(who, call(), call(), channel=CALLS, request_id="calls"),
        order(who, draft(refusal=Status.EMPTY_MESSAGE), request_id="refused"),
    )
    assert entries(house, who) == [
        ("sms", -60 * SMS, 7_000_000, "many"),
        ("voice", -2 * CALL, 6_800_000, "calls"),
    ]


def test_a_price_that_is_asked_for_takes_no_credit_from_what_is_sent_at_the_same_moment(house: Steps) -> None:
    who = house.account(credit=SMS)
    priced, again, sent = house.accept(
        order(who, draft(), quote=True), order(who, draft(), quote=True), order(who, draft())
    )
    assert statuses(priced) == statuses(again) == statuses(sent) == [Status.SUCCESS]


# The same text again.


def test_the_same_text_to_the_same_recipient_is_refused_within_the_window(house: Steps) -> None:
    who = house.account(credit=10 * SMS)

    def sent(*drafts: Any) -> list[str]:
        return statuses(house.accept(order(who, *drafts, throttle=60))[0])

    assert sent(draft(), draft(), draft(ECHO), draft(body="Bye")) == [
        Status.SUCCESS,
        Status.THROTTLED,
        Status.SUCCESS,
        Status.SUCCESS,
    ]
    house.clock.now += 59
    assert sent(draft(), draft(OTHER)) == [Status.THROTTLED, Status.SUCCESS]
    house.clock.now += 2
    assert sent(draft(), draft(OTHER)) == [Status.SUCCESS, Status.THROTTLED]
    assert house.balance(who) == 5 * SMS


def test_nothing_is_throttled_where_no_window_is_set(house: Steps) -> None:
    who = house.account()
    for _ in range(2):
        (sent,) = house.accept(order(who, draft(), draft()))
        assert statuses(sent) == [Status.SUCCESS] * 2


def test_the_same_text_may_go_to_a_recipient_by_another_channel(house: Steps) -> None:
    """A code that did not arrive as an SMS is told in a call."""
    who = house.account()
    (written,) = house.accept(order(who, draft(), throttle=60))
    called, again = house.accept(order(who, call(), channel=CALLS, throttle=60), order(who, draft(), throttle=60))
    assert statuses(written) == statuses(called) == [Status.SUCCESS]
    assert statuses(again) == [Status.THROTTLED]


def test_the_same_text_may_come_from_another_account(house: Steps) -> None:
    who, other = house.account(), house.account("joe")
    mine, theirs = house.accept(order(who, draft(), throttle=60), order(other, draft(), throttle=60))
    assert statuses(mine) == statuses(theirs) == [Status.SUCCESS]
    (third,) = house.accept(order(house.account("ann"), draft(), throttle=60))
    assert statuses(third) == [Status.SUCCESS]


def test_requests_of_one_transaction_throttle_each_other(house: Steps) -> None:
    who = house.account()
    first, second = house.accept(order(who, draft(), throttle=60), order(who, draft(), throttle=60))
    assert (statuses(first), statuses(second)) == ([Status.SUCCESS], [Status.THROTTLED])


def test_what_was_only_priced_or_was_refused_throttles_nothing(house: Steps) -> None:
    who = house.account(credit=0)
    house.accept(order(who, draft(), throttle=60))
    house.write(lambda tx: ledger.post(tx, who.user_id, SMS, "credit", "a present"))
    (priced,) = house.accept(order(who, draft(), quote=True))
    (sent,) = house.accept(order(who, draft(), throttle=60))
    assert statuses(priced) == statuses(sent) == [Status.SUCCESS]


def test_the_window_of_one_account_is_not_that_of_another(house: Steps) -> None:
    who, other = house.account(), house.account("joe")
    house.accept(order(who, draft(), throttle=10))
    house.clock.now += 60
    mine, _ = house.accept(order(who, draft(), throttle=10), order(other, draft(), throttle=300))
    assert statuses(mine) == [Status.SUCCESS]


# What is stored and queued.


def test_a_refused_draft_gets_its_answer_and_nothing_else(house: Steps) -> None:
    who = house.account()
    (sent,) = house.accept(order(who, draft(refusal=Status.INVALID_RECIPIENT), throttle=60))
    assert (statuses(sent), prices(sent)) == ([Status.INVALID_RECIPIENT], [0])
    assert not any(rows(house, "messages", "queue", "daily_usage", "counters").values())


def test_places_in_the_history_have_no_gap_where_a_message_was_refused(house: Steps) -> None:
    who = house.account(credit=3 * SMS + CALL)
    first, calls = house.accept(
        order(who, draft(), draft(refusal=Status.EMPTY_MESSAGE), draft(units=8), draft(ECHO)),
        order(who, call(), channel=CALLS),
    )
    (second,) = house.accept(order(who, draft()))
    good = [fate.message_id for fate in first + second if fate.status == Status.SUCCESS]
    assert [house.message(who, key).ordinal for key in good] == [1, 2, 3]
    assert [house.message(who, key).ordinal for key in ids(calls)] == [1]


def test_free_test_recipients_are_complete_at_once_uncharged_and_never_handed_over(house: Steps) -> None:
    """Also without credit, and as often as one likes."""
    who = house.account(credit=0)
    test = draft("+61411111111", units=0, free=True)
    for _ in range(2):
        (sent,) = house.accept(order(who, test, test, throttle=60))
        assert (statuses(sent), prices(sent)) == ([Status.SUCCESS] * 2, [0, 0])
        found = [house.message(who, key) for key in ids(sent)]
        assert [(one.status, one.status_code) for one in found] == [(COMPLETED, None)] * 2
    assert rows(house, "queue") == {"queue": 0}
    assert entries(house, who) == []


def test_a_scheduled_message_is_charged_at_once_and_due_at_its_time(house: Steps) -> None:
    who = house.account(credit=SMS)
    later = int(house.clock.now) + 3600
    (sent,) = house.accept(order(who, draft(schedule=later)))
    row = house.message(who, sent[0].message_id)
    assert (row.status, row.schedule) == (SCHEDULED, later)
    assert house.balance(who) == 0
    assert house.write(lambda tx: claim.next_due(tx, "sms")) == later
    house.clock.now += 3599
    assert queued(house) == []
    house.clock.now += 1
    assert queued(house) == ids(sent)


def test_a_message_without_a_schedule_is_queued_and_due_now(house: Steps) -> None:
    who = house.account()
    (sent,) = house.accept(order(who, draft()))
    row = house.message(who, sent[0].message_id)
    assert (row.status, row.status_code, row.schedule) == (QUEUED, "200", int(house.clock.now))
    assert queued(house) == ids(sent)


@pytest.mark.parametrize(("count", "behind"), [(50, False), (51, True)])
def test_more_than_fifty_messages_wait_behind_single_ones(house: Steps, count: int, behind: bool) -> None:
    who = house.account()
    (many,) = house.accept(order(who, *(draft() for _ in range(count))))
    house.clock.now += 1
    (one,) = house.accept(order(who, draft()))
    leaving = queued(house)
    assert leaving.index(one[0].message_id) == (0 if behind else count)
    assert set(leaving) == {*ids(many), *ids(one)}


def test_the_loop_of_the_channel_is_woken_by_the_commit(house: Steps) -> None:
    who = house.account()
    woken: list[str] = []
    for name in ("sms", "voice"):
        house.database.on_wake(f"queue:{name}", partial(woken.append, name))
    house.accept(order(who, call(), channel=CALLS))
    assert woken == ["voice"]


def test_details_and_the_campaign_are_kept_and_sms_has_none(house: Steps) -> None:
    who = house.account()
    details = {"file": "F1", "colour": True, "pages": [1, 2], "name": "Zoë"}
    (letters,) = house.accept(
        order(who, draft(charges=(Charge("letter_black", 1),), details=details), channel=LETTERS, campaign_id=7)
    )
    letter = house.message(who, letters[0].message_id)
    assert (letter.known(), letter.campaign_id) == (details, 7)
    written = quiet.SMS.draft(who, SmsMessage(to=ECHO, body="Hello"), house.clock.now)
    (sent,) = house.accept(order(who, written))
    sms = house.message(who, sent[0].message_id)
    assert (sms.details, sms.known(), sms.campaign_id) == (None, {}, None)


def test_a_message_is_stored_as_its_channel_made_it(house: Steps) -> None:
    who = house.account()
    given = {"carrier": "Telstra", "custom_string": "order 7", "from_email": "jane@example.com", "list_id": 3}
    given |= {"contact_id": 4, "source": "shop", "encoding": "ucs2", "body": "Здравствуй"}
    (sent,) = house.accept(order(who, draft(units=2, awaits=1, **given), request_id="R9"))
    row = house.message(who, sent[0].message_id)
    assert {name: getattr(row, name) for name in given} == given
    assert (row.user_id, row.subaccount_id, row.channel, row.request_id) == (
        who.user_id,
        who.subaccount_id,
        "sms",
        "R9",
    )
    assert (row.recipient, row.msisdn, row.sender) == ("+61491570006", 61491570006, "+61481074190")
    assert (row.units, row.receipts_left, row.date) == (2, 1, int(house.clock.now))


NUMBERS = [f"+6149157{place:04d}" for place in range(100)]
MANY = {
    "one text": [{}] * 100,
    "a text each": [{"body": f"Hello {place}", "contact_id": place} for place in range(100)],
    "one of another country": [{}] * 57 + [{"country": "NZ"}] + [{}] * 42,
    "all of it different": [
        {"sender": f"S{place}", "carrier": f"C{place}", "custom_string": str(place), "source": f"s{place}"}
        for place in range(100)
    ],
    "details of some": [{"details": {"page": place}} if place % 3 else {} for place in range(100)],
}


@pytest.mark.parametrize("given", MANY.values(), ids=MANY)
@pytest.mark.parametrize("size", [1, 100])
def test_messages_of_many_are_stored_as_each_by_itself_is(house: Steps, given: list[dict[str, Any]], size: int) -> None:
    """What rows have alike goes to the database once, and no row may get it from another one."""
    who = house.account()
    drafts = [draft(number, **one) for number, one in zip(NUMBERS, given, strict=True)]
    orders = [order(who, *drafts[first : first + size], request_id=f"R{first}") for first in range(0, 100, size)]
    fates = [fate for answer in house.accept(*orders) for fate in answer]
    stored = [house.message(who, fate.message_id) for fate in fates]
    assert [row.ordinal for row in stored] == list(range(1, 101))
    for place, (row, made) in enumerate(zip(stored, drafts, strict=True)):
        names = ("sender", "recipient", "country", "carrier", "body", "custom_string", "contact_id", "source")
        assert [getattr(row, name) for name in names] == [getattr(made, name) for name in names]
        assert row.request_id == f"R{place - place % size}"
        assert row.known() == (made.details or {})


# What is counted and shared.


def test_usage_is_counted_by_medium_and_day(house: Steps) -> None:
    """Letters and postcards are two channels, and one medium."""
    who = house.account()
    today = int(house.clock.now) // DAY * DAY

    def used(medium: Any) -> dict[int, tuple[int, int]]:
        found = house.write(lambda tx: usage.by_day(tx, who.user_id, medium, today, today + DAY))
        return {day: (one.sent, one.micros) for day, one in found.items()}

    def day_of_three() -> None:
        house.accept(
            order(who, draft(), draft(ECHO, charges=(Charge("landline", 1),))),
            order(who, draft(charges=(Charge("letter_black", 1),)), channel=LETTERS),
            order(who, postcard(), channel=POSTCARDS),
        )

    day_of_three()
    day_of_three()
    house.clock.now += DAY
    day_of_three()
    assert used("sms") == {today: (2, 2 * SMS), today + DAY: (1, SMS)}
    assert used("post") == {today: (4, 2 * (1_000_000 + POSTCARD)), today + DAY: (2, 1_000_000 + POSTCARD)}
    assert used("voice") == {}


def test_a_reseller_and_a_referrer_earn_once_by_all_requests_of_a_transaction(house: Steps) -> None:
    """The sum is shared out: three shares, each rounded down, would be 1434 micros in place of 1436."""
    terms = Terms(discount=7, margin=3, reseller_id=901, percentage=1, referrer_id=902)
    who = house.account(credit=3 * 47_895, terms=terms)
    sent = house.accept(
        order(who, draft(), draft(ECHO)),
        order(who, draft(OTHER)),
        order(who, draft(OTHER), quote=True),
        order(who, draft(OTHER), gratis=True),
    )
    assert prices(sent[0]) + prices(sent[1]) == [47_895] * 3
    booked = "SELECT user_id, kind, day, currency, cost_micros, micros FROM commissions WHERE source_user_id = ?"
    found = house.write(lambda tx: tx.driver(booked, [who.user_id]).fetchall())
    day = int(house.clock.now) // DAY
    assert sorted(map(tuple, found)) == [
        (901, "margin", day, "AUD", 3 * 47_895, 4_185),
        (902, "referral", day, "AUD", 3 * 47_895, 1_436),
    ]
    assert house.write(lambda tx: commission.balances(tx, 902)) == {"AUD": 1_436}
