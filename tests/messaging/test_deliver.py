"""What happens to a message from the moment it is due until a carrier's answer is recorded: one policy after the other,
in the order of the steps of `Delivery`.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from heliograph.accounts.account import Principal
from heliograph.billing import commission, ledger, usage
from heliograph.billing.commission import Terms
from heliograph.billing.prices import default
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import Unavailable
from heliograph.messaging import cancel, message, receipts, rows
from heliograph.messaging.channel import Channel, Draft
from heliograph.messaging.deliver import HELD, UNROUTED, Attempt, Delivery, Parcel
from heliograph.messaging.message import CANCELLED, COMPLETED, FAILED, QUEUED, SENT
from heliograph.messaging.routing import Router
from heliograph.messaging.rows import Key, Message
from heliograph.queue import claim
from heliograph.queue.worker import ChannelLoop
from heliograph.transports.base import Failed, Limits, MessageKey, Outcome, Outgoing, Receipt, Retry, Sent, SmsText
from heliograph.transports.options import RouteOptions
from support import quiet, steps
from support.clock import until
from support.quiet import Carrier, draft
from support.steps import Steps

A, B, C = "+61491570006", "+61491570156", "+61491570157"
LEASE, VALIDITY = 60.0, 3600.0
CREDIT = 100_000_000
PRICE = default().price("sms", "message", "AU", "AUD")
REFUSED = Failed(11, "ESME_RINVDSTADR")
CLAIMED_AGAIN = (QUEUED, "Claimed again: an earlier hand-over ended without an answer, so it may be sent twice.")
TAKEN = (SENT, "Taken by acme.")

Batches = Sequence[Sequence[Parcel]]


class House:
    """An account, and a carrier that takes its messages. `reported` has what the rules were told of."""

    def __init__(self, opened: Steps, channel: Channel = quiet.SMS, terms: Terms | None = None) -> None:
        self.steps, self.channel = opened, channel
        self.clock, self.run = opened.clock, opened.run
        self.who = opened.account(credit=CREDIT, terms=terms)
        self.carrier, self.other = Carrier(), Carrier("other")
        self.routes = [RouteOptions(transport="acme")]
        self.opted_out: set[Key] = set()
        self.reported: list[tuple[str, str]] = []
        table = {channel.name: channel}
        self.held: set[Key] = set()
        calls = {"opted_out": lambda tx, rows: self.opted_out, "held": lambda tx, rows: self.held}
        self.hooks = quiet.hooks(table, on_receipt=self._report, **calls)
        self.delivery = self.another()

    def _report(self, tx: Tx, row: Message, receipt: rows.Receipt) -> bool:
        self.reported.append((row.message_id, receipt.status_text))
        return False

    def another(self) -> Delivery:
        """The delivery of another process."""

        def router() -> Router:
            return Router(self.routes, {"acme": self.carrier, "other": self.other})

        return Delivery(self.steps.database, router, self.channel, self.hooks, lease=LEASE, validity=VALIDITY)

    def accept(self, *drafts: Draft, who: Principal | None = None) -> list[str]:
        """The ids of messages that one request sends."""
        (fates,) = self.steps.accept(quiet.order(who or self.who, *drafts, channel=self.channel))
        assert {fate.status for fate in fates} == {"SUCCESS"}
        return [fate.message_id for fate in fates]

    def take(self, by: Delivery | None = None) -> Batches:
        return self.run((by or self.delivery).take(100))

    def carry(self, batches: Batches, by: Delivery | None = None) -> None:
        for batch in batches:
            self.run((by or self.delivery).carry(batch))

    def deliver(self) -> None:
        """All that is due goes to the carriers."""
        self.carry(self.take())

    def hear(self, by: Delivery, batches: Batches, outcome: Outcome) -> None:
        """What a process has on its way comes to this."""
        self.carrier.answers = dict.fromkeys((A, B, C), outcome)
        self.carry(batches, by)
        self.carrier.answers = {}

    def set_out(self, batches: Batches) -> list["asyncio.Task[None]"]:
        """Begin to carry; what is on its way goes on while something else is waited for."""

        async def begin() -> list["asyncio.Task[None]"]:
            return [asyncio.create_task(self.delivery.carry(batch)) for batch in batches]

        return self.run(begin())

    def find(self, tx: Tx, message_id: str) -> Message:
        found = message.find(tx, self.who.user_id, message_id)
        assert found is not None
        return found

    def row(self, message_id: str) -> Message:
        return self.steps.write(lambda tx: self.find(tx, message_id))

    def status(self, message_id: str) -> str:
        return self.row(message_id).status

    def timeline(self, message_id: str) -> list[tuple[str, str]]:
        """What happened after the acceptance."""
        found = self.steps.write(lambda tx: message.timeline(tx, self.who.user_id, message_id))
        return [(status, detail) for _, status, detail in found[1:]]

    def due(self) -> float | None:
        """Seconds until a message is due, or until its lease runs out."""
        at = self.run(self.delivery.next_due())
        return None if at is None else at - self.clock.now

    def delivered(self, *remote_ids: str, key: MessageKey | None = None) -> None:
        """Receipts arrive."""
        arrived = [Receipt("acme", one, "delivered", int(self.clock.now), key=key) for one in remote_ids]
        self.steps.write(lambda tx: receipts.store(tx, arrived, self.hooks))

    def spent(self) -> int:
        return CREDIT - self.steps.balance(self.who)

    def counted(self) -> usage.Usage:
        """What the usage of today says."""
        day = int(self.clock.now) // DAY * DAY
        return self.steps.write(lambda tx: usage.by_day(tx, self.who.user_id, "sms", day, day))[day]

    def listed(self, message_id: str) -> list[tuple[Any, ...]]:
        """The receipts of a message."""
        sql = "SELECT status, status_code, status_text, error_code, error_text FROM receipts WHERE message_id = ?"
        return [tuple(row) for row in self.steps.write(lambda tx: tx.driver(sql, [message_id]).fetchall())]

    def check_failed(self, message_id: str, why: str, error: str | None = None) -> None:
        """It is final and out of the queue, with a receipt, a line in its timeline, and the rules told once."""
        text = f"Failed: {why}"
        row = self.row(message_id)
        assert (row.status, row.status_code, row.status_text) == (FAILED, "301", text)
        assert self.listed(message_id) == [("Undelivered", "301", text, error, why)]
        assert self.reported == [(message_id, text)]
        assert self.timeline(message_id)[-1] == (FAILED, why)


@pytest.fixture
def opened(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as made:
        yield made


@pytest.fixture
def house(opened: Steps) -> House:
    return House(opened)


# leave_the_final


@pytest.mark.parametrize("status", [SENT, COMPLETED, FAILED, CANCELLED])
def test_what_is_sent_or_final_already_leaves_the_queue_without_a_word(house: House, status: str) -> None:
    """Its receipt came although the answer was lost in a crash, or it was cancelled."""
    final, other = house.accept(draft(A), draft(B))
    house.steps.write(lambda tx: message.move(tx, [(house.who.user_id, final)], status, "x", "x"))
    house.deliver()
    assert house.carrier.got == [B]
    assert house.due() is None
    assert (house.status(final), house.timeline(final)) == (status, [])
    assert house.status(other) == SENT


def test_work_without_a_message_leaves_the_queue(house: House) -> None:
    work = (claim.SINGLE, house.clock.now, house.who.user_id, "gone")
    house.steps.write(lambda tx: claim.enqueue(tx, "sms", [work]))
    assert list(house.take()) == []
    assert house.due() is None


# fail_opted_out


def test_who_opted_out_after_the_acceptance_gets_nothing_and_the_money_comes_back(house: House) -> None:
    gone, _ = house.accept(draft(A), draft(B))
    house.opted_out = {(house.who.user_id, gone)}
    house.deliver()
    assert house.carrier.got == [B]
    house.check_failed(gone, "The recipient opted out before the message was sent.")
    assert house.spent() == PRICE
    assert house.counted() == usage.Usage(sent=2, micros=PRICE, failed=1)
    assert house.due() is None


# hold


def test_what_is_held_waits_and_goes_out_when_it_is_let_go(house: House) -> None:
    held, _ = house.accept(draft(A), draft(B))
    house.held = {(house.who.user_id, held)}
    house.deliver()
    assert (house.carrier.got, house.due()) == ([B], HELD)
    house.clock.now += HELD
    house.deliver()
    assert house.carrier.got == [B]
    house.held = set()
    house.clock.now += HELD
    (batch,) = house.take()
    assert [parcel.claimed.attempt for parcel in batch] == [1], "it was no try"
    house.carry([batch])
    assert house.carrier.got == [B, A]


# fail_expired


def test_a_message_that_no_carrier_took_within_its_validity_fails_and_the_money_comes_back(house: House) -> None:
    (late,) = house.accept(draft(A))
    house.clock.now += VALIDITY + 1
    house.accept(draft(B))
    house.deliver()
    assert house.carrier.got == [B]
    house.check_failed(late, "The message expired before a carrier took it.")
    assert house.spent() == PRICE


@pytest.mark.parametrize("after", [0, 86400])
def test_a_message_may_go_until_the_end_of_its_validity_which_begins_when_it_is_to_go(house: House, after: int) -> None:
    begin = house.clock.now + after
    (sent,) = house.accept(draft(schedule=int(begin) if after else 0))
    house.clock.now = begin + VALIDITY
    house.deliver()
    assert house.status(sent) == SENT
    assert house.carrier.batches[0][0].valid_until == begin + VALIDITY


# warn_of_doubles


def test_a_claim_that_ended_without_an_answer_may_double_the_message_and_the_timeline_says_so(house: House) -> None:
    """A process was killed while the message was on its way."""
    (sent,) = house.accept(draft())
    house.take(house.another())
    house.clock.now += LEASE - 1
    assert list(house.take()) == []
    house.clock.now += 1
    house.deliver()
    assert house.timeline(sent) == [CLAIMED_AGAIN, TAKEN]


# The contents.


def test_a_content_that_cannot_be_made_fails_or_delays_its_own_message_only(opened: Steps) -> None:
    made: dict[str, Any] = {A: Failed(None, "The file is no document."), B: Retry(30.0, "the converter is busy")}

    async def contents(self: Channel, messages: Sequence[Message], limits: Limits) -> list[Any]:
        return [made.get(row.recipient, SmsText((row.body,), False)) for row in messages]

    house = House(opened, quiet.channel("faxes", "sms", contents=contents))
    broken, delayed, good = house.accept(draft(A), draft(B), draft(C))
    house.deliver()
    assert house.carrier.got == [C]
    assert house.status(good) == SENT
    house.check_failed(broken, "The file is no document.")
    assert house.timeline(delayed) == [(QUEUED, "Not taken: the converter is busy. Next try in 30 s.")]
    assert (house.spent(), house.due()) == (2 * PRICE, 30)
    del made[B]
    house.clock.now += 30
    house.deliver()
    assert house.carrier.got == [C, B]
    assert house.status(delayed) == SENT


# The route.


def test_without_a_route_a_message_is_looked_at_each_minute_and_the_timeline_says_what_is_missing(house: House) -> None:
    route, house.routes = house.routes, []
    (sent,) = house.accept(draft())
    assert house.delivery.room() == UNROUTED
    house.deliver()
    missing = (QUEUED, "Not taken: no route fits. Next try in 60 s.")
    assert (house.status(sent), house.timeline(sent), house.due()) == (QUEUED, [missing], 60)
    house.routes = route
    house.clock.now += 60
    house.deliver()
    assert (house.status(sent), house.timeline(sent)) == (SENT, [missing, TAKEN])


def test_there_is_room_for_what_the_carriers_of_the_medium_can_take(house: House) -> None:
    house.carrier.capacity, house.other.capacity = 7, 5
    assert house.delivery.room() == 7
    house.routes = [*house.routes, RouteOptions(transport="other")]
    assert house.delivery.room() == 12


def test_a_route_may_be_for_one_account(house: House) -> None:
    joe = house.steps.account("joe")
    house.routes = [RouteOptions(transport="other", account="Joe", priority=1), *house.routes]
    for _ in range(2):
        house.accept(draft(A))
        house.accept(draft(B), who=joe)
        house.deliver()
    assert (house.carrier.got, house.other.got) == ([A, A], [B, B])


def test_a_carrier_gets_all_of_its_messages_at_once(house: House) -> None:
    house.routes = [RouteOptions(transport="other", prefix=B, priority=1), *house.routes]
    house.accept(draft(A), draft(B), draft(C), draft(B))
    house.deliver()
    assert [sorted(one.recipient for one in batch) for batch in house.carrier.batches] == [[A, C]]
    assert [[one.recipient for one in batch] for batch in house.other.batches] == [[B, B]]


def test_a_slow_carrier_holds_up_no_other(house: House) -> None:
    house.routes = [RouteOptions(transport="other", prefix=B, priority=1), *house.routes]
    slow, quick = house.accept(draft(A), draft(B))
    house.carrier.hold(A)
    (task,) = house.set_out(house.take())
    house.run(until(house.steps.database, lambda tx: house.find(tx, quick).status == SENT))
    assert (house.status(slow), house.other.got, task.done()) == (QUEUED, [B], False)
    house.carrier.held[A].set()
    house.run(task)
    assert house.status(slow) == SENT


def test_a_carrier_gets_the_message_as_it_was_accepted(house: House) -> None:
    (sent,) = house.accept(draft(A, sender="Acme", body="Grüße"))
    house.deliver()
    (out,) = house.carrier.batches[0]
    assert out == Outgoing(
        key=MessageKey(house.who.user_id, "sms", sent),
        sender="Acme",
        recipient=A,
        content=SmsText(("Grüße",), False),
        valid_until=int(house.clock.now + VALIDITY),
        attempt=1,
    )


# record_taken


def test_a_taken_message_waits_for_its_receipt(house: House) -> None:
    (sent,) = house.accept(draft())
    house.deliver()
    row = house.row(sent)
    assert (row.status, row.status_code, row.status_text) == (SENT, "200", quiet.SMS.words.sent)
    assert house.timeline(sent) == [TAKEN]
    assert (house.due(), house.reported, house.spent()) == (None, [], PRICE)
    house.delivered(f"acme {sent}")
    row = house.row(sent)
    assert (row.status, row.status_code, row.status_text) == (COMPLETED, "201", quiet.SMS.words.delivered)


@pytest.mark.parametrize(("awaits", "ids"), [(1, ()), (0, ("x",))])
def test_a_taken_message_is_complete_when_no_receipt_will_come(house: House, awaits: int, ids: tuple[str, ...]) -> None:
    """The carrier sends none, or the channel has none."""
    (sent,) = house.accept(draft(awaits=awaits))
    house.hear(house.delivery, house.take(), Sent(ids))
    row = house.row(sent)
    assert (row.status, row.status_code, row.status_text) == (COMPLETED, "201", quiet.SMS.words.taken)
    assert house.timeline(sent) == [(COMPLETED, "Taken by acme.")]
    assert house.due() is None


def test_what_a_carrier_says_as_it_takes_a_message_stands_in_the_timeline(house: House) -> None:
    (sent,) = house.accept(draft())
    house.hear(house.delivery, house.take(), Sent(("x",), "queued as 4711"))
    assert house.timeline(sent) == [(SENT, "Taken by acme: queued as 4711.")]


ARRIVED = Sent(detail="answered", arrived=True, details={"digits": "5"})


def test_what_arrives_with_the_hand_over_is_complete_and_reported_once(house: House) -> None:
    """As a call that was answered. The answer to the COMMIT may be lost, and the record be made again."""
    (sent,) = house.accept(draft())
    batches = house.take()
    house.hear(house.delivery, batches, ARRIVED)
    attempts = [Attempt(batches[0][0], "acme", ARRIVED)]
    house.steps.write(lambda tx: house.delivery.settle(tx, attempts))
    row = house.row(sent)
    assert (row.status, row.status_code, row.status_text) == (COMPLETED, "201", quiet.SMS.words.delivered)
    assert row.known() == {"digits": "5"}
    assert house.reported == [(sent, quiet.SMS.words.delivered)]
    assert house.timeline(sent)[0] == (COMPLETED, "Taken by acme: answered.")
    assert house.due() is None


def test_what_has_arrived_is_complete_even_if_its_record_meets_a_defect(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise LookupError("a defect")

    (sent,) = house.accept(draft())
    batches = house.take()
    with monkeypatch.context() as patch:
        patch.setattr(house.delivery, "settle", defect)
        house.hear(house.delivery, batches, ARRIVED)
    assert house.status(sent) == COMPLETED
    assert house.timeline(sent) == [(COMPLETED, "Taken by acme; its answer could not be recorded.")]
    assert house.due() is None


@pytest.mark.parametrize("ids", [("a", "b", "c"), ("a", "b"), ("a",), ("a", "a", "a")])
def test_three_parts_are_delivered_by_as_many_receipts_as_the_carrier_gave_ids(
    house: House, ids: tuple[str, ...]
) -> None:
    """Some take a long message whole, and some give one id to all of its parts."""
    (sent,) = house.accept(draft(units=3))
    house.hear(house.delivery, house.take(), Sent(ids))
    for remote_id in sorted(set(ids)):
        assert house.status(sent) == SENT
        house.delivered(remote_id)
    assert house.status(sent) == COMPLETED


@pytest.mark.parametrize(
    ("ids", "known"),
    [(("a",), True), (("a", "b"), True), (("a", "b"), False), (("a",), False)],
)
def test_a_receipt_that_overtakes_the_record_of_its_hand_over_counts(
    house: House, ids: tuple[str, ...], known: bool
) -> None:
    """Whether the transport remembers whose it is, or the receipt has to wait for the record."""
    (sent,) = house.accept(draft(units=3))
    batches = house.take()
    house.delivered("a", key=batches[0][0].row.message_key if known else None)
    assert house.status(sent) == QUEUED
    house.hear(house.delivery, batches, Sent(ids))
    if len(ids) > 1:
        assert house.status(sent) == SENT
        house.delivered("b")
    assert house.status(sent) == COMPLETED
    assert len(house.listed(sent)) == 1


# try_again


def test_what_a_carrier_did_not_take_is_tried_again_after_pauses_that_double(house: House) -> None:
    (sent,) = house.accept(draft(A))
    house.carrier.answers[A] = Retry(10.0, "ESME_RTHROTTLED")
    for pause in (10, 20, 40):
        house.deliver()
        assert (house.status(sent), house.due()) == (QUEUED, pause)
        house.clock.now += pause
    assert house.timeline(sent) == [
        (QUEUED, f"Not taken by acme: ESME_RTHROTTLED. Next try in {pause} s.") for pause in (10, 20, 40)
    ]
    assert [batch[0].attempt for batch in house.carrier.batches] == [1, 2, 3]
    assert (house.spent(), house.reported) == (PRICE, [])


def test_a_lost_answer_leaves_a_doubt_in_the_timeline(house: House) -> None:
    (sent,) = house.accept(draft())
    house.hear(house.delivery, house.take(), Retry(5.0, "the connection broke", maybe_sent=True))
    doubt = "The carrier may have taken it, so it may be sent twice."
    assert house.timeline(sent) == [(QUEUED, f"Not taken by acme: the connection broke. Next try in 5 s. {doubt}")]


def test_a_later_try_goes_to_the_next_carrier(house: House) -> None:
    house.routes = [*house.routes, RouteOptions(transport="other", priority=20)]
    (sent,) = house.accept(draft(A))
    house.carrier.answers[A] = Retry(10.0, "ESME_RSUBMITFAIL")
    house.deliver()
    house.clock.now += 10
    house.deliver()
    assert (house.carrier.got, house.other.got) == ([A], [A])
    assert house.timeline(sent)[-1] == (SENT, "Taken by other.")


# What a carrier refuses.


def test_a_refused_message_fails_and_the_money_comes_back(house: House) -> None:
    refused, _ = house.accept(draft(A, units=2), draft(B))
    house.carrier.answers[A] = REFUSED
    house.deliver()
    house.check_failed(refused, "ESME_RINVDSTADR", "11")
    assert house.spent() == PRICE
    assert house.counted() == usage.Usage(sent=2, micros=PRICE, failed=1)
    assert house.due() is None


def test_a_refund_takes_back_what_others_earned_by_the_message(opened: Steps) -> None:
    house = House(opened, terms=Terms(percentage=10, referrer_id=902))
    house.accept(draft(A), draft(B))
    house.carrier.answers[A] = REFUSED
    house.deliver()
    assert opened.write(lambda tx: commission.balances(tx, 902)) == {"AUD": PRICE // 10}


# Claims that were lost while a hand-over lasted.


def lost_and_held(house: House, *drafts: Draft) -> tuple[list[str], Delivery, Batches, Batches]:
    """The messages, a process whose lease on them ran out, what it carries, and what the house carries since."""
    sent = house.accept(*drafts)
    slow = house.another()
    lost = house.take(slow)
    house.clock.now += LEASE
    return sent, slow, lost, house.take()


@pytest.mark.parametrize("outcome", [Retry(5.0, "later"), REFUSED])
def test_what_a_lost_claim_came_to_removes_nothing_and_gives_nothing_back(house: House, outcome: Outcome) -> None:
    (sent,), slow, lost, held = lost_and_held(house, draft(A))
    house.hear(slow, lost, outcome)
    assert (house.status(sent), house.timeline(sent)) == (QUEUED, [CLAIMED_AGAIN])
    assert (house.spent(), house.reported, house.due()) == (PRICE, [], LEASE)
    house.carry(held)
    assert (house.timeline(sent), house.due()) == ([CLAIMED_AGAIN, TAKEN], None)


def test_a_message_that_was_taken_is_recorded_even_if_its_claim_was_lost(house: House) -> None:
    """It is out: what the other process hears later changes that as little as another try does."""
    (sent,), slow, lost, held = lost_and_held(house, draft(A))
    house.hear(slow, lost, Sent(("x",)))
    assert (house.status(sent), house.timeline(sent)) == (SENT, [CLAIMED_AGAIN, TAKEN])
    assert house.due() == LEASE, "the queue's row belongs to the other process"
    house.hear(house.delivery, held, Retry(5.0, "later"))
    house.clock.now += 3600
    house.deliver()
    assert (len(house.carrier.got), house.due()) == (2, None)
    house.delivered("x")
    assert house.status(sent) == COMPLETED


def test_a_message_that_was_taken_stays_so_when_a_second_hand_over_of_it_is_refused(house: House) -> None:
    (sent,), slow, lost, held = lost_and_held(house, draft(A))
    house.hear(slow, lost, Sent(("x",)))
    house.hear(house.delivery, held, REFUSED)
    assert (house.status(sent), house.spent()) == (SENT, PRICE)


def test_a_long_message_that_was_taken_twice_is_not_delivered_before_a_receipt_says_so(house: House) -> None:
    (sent,), slow, lost, held = lost_and_held(house, draft(A, units=3))
    house.hear(slow, lost, Sent(("x",)))
    house.hear(house.delivery, held, Sent(("y",)))
    assert (house.status(sent), house.listed(sent)) == (SENT, [])


def test_the_next_process_on_sqlite_takes_up_at_once_what_a_lost_one_had_in_hand(house: House) -> None:
    """Nobody else can have it there: the file has one process. Elsewhere others may be alive, and leases end."""
    alone = house.steps.database.alone = house.steps.database.dialect.on_loop
    waiting, later = house.accept(draft(A), draft(B, schedule=int(house.clock.now) + 10))
    house.take(house.another())
    house.clock.now += 1
    house.run(house.delivery.take_over())
    assert house.due() == (0 if alone else 9)
    house.clock.now += 0 if alone else LEASE - 1
    house.deliver()
    assert house.timeline(waiting) == [CLAIMED_AGAIN, TAKEN]
    assert house.timeline(later) == ([] if alone else [TAKEN])


def test_a_clock_that_was_set_back_meanwhile_does_not_hold_back_what_was_lost(house: House) -> None:
    house.accept(draft(A))
    house.take(house.another())
    house.clock.now -= 3600
    house.steps.write(lambda tx: claim.free(tx, "sms"))
    assert house.due() == 0


def test_what_was_lost_and_then_held_says_that_it_may_be_sent_twice(house: House) -> None:
    """Its campaign stood still when the lost claim came back: being held leaves no trace of a claim."""
    (sent,) = house.accept(draft(A))
    house.take(house.another())
    house.held = {(house.who.user_id, sent)}
    house.clock.now += LEASE
    assert house.take() == []
    house.held = set()
    house.clock.now += HELD
    house.deliver()
    assert house.timeline(sent) == [CLAIMED_AGAIN, TAKEN]


def test_a_renewal_that_failed_is_tried_again_before_anything_is_claimed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage that was longer than the lease, too: what is in hand here must not be claimed here."""
    house.accept(draft(A))
    taken = house.take()

    def away(*_: Any, **__: Any) -> Any:
        raise Unavailable

    house.clock.now += LEASE - 1
    with monkeypatch.context() as patch:
        patch.setattr(house.steps.database, "write", away)
        with pytest.raises(Unavailable):
            house.run(house.delivery.renew())
    house.clock.now += 2
    house.run(house.delivery.renew())
    assert house.take() == []
    house.carry(taken)
    assert len(house.carrier.got) == 1


def test_of_two_messages_with_one_id_of_their_carrier_the_older_one_expires(house: House) -> None:
    """In one batch as in two: the newer one has the id, and the older one hears of no receipt any more."""
    older, newer = house.accept(draft(A), draft(B))
    house.hear(house.delivery, house.take(), Sent(("x",)))
    house.delivered("x")
    assert (house.status(older), house.status(newer)) == (SENT, COMPLETED)
    house.steps.write(lambda tx: receipts.expire(tx, tx.now + 1, house.hooks))
    assert house.status(older) == FAILED


def test_what_was_undone_is_told_when_it_is_done_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that says that a message waits is written once, by the transaction that is committed."""
    (sent,) = house.accept(draft(A))
    write, undone = house.steps.database.write, [True]

    def away(work: Any, **given: Any) -> Any:
        async def written() -> Any:
            def fails(tx: Tx) -> Any:
                found = work(tx)
                if isinstance(found, list) or not undone:  # taking it goes well
                    return found
                undone.clear()
                raise Unavailable

            return await write(fails, **given)

        return written()

    monkeypatch.setattr("heliograph.db.database.AGAIN", (0.0,))
    monkeypatch.setattr(house.steps.database, "write", away)
    house.hear(house.delivery, house.take(), Retry(5.0, "no bind", waiting=True))
    assert not undone
    assert [text for _, text in house.timeline(sent)] == ["Waits for acme: no bind."]
    house.clock.now += 5
    house.hear(house.delivery, house.take(), Retry(5.0, "no bind", waiting=True))
    assert len(house.timeline(sent)) == 1


def test_balances_are_locked_before_the_counters_of_a_day(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepting does so: in another order two processes would wait for each other."""
    order: list[str] = []
    lock, write = ledger.lock, usage.Tally.write
    monkeypatch.setattr(ledger, "lock", lambda *given: order.append("balance") or lock(*given))
    monkeypatch.setattr(usage.Tally, "write", lambda *given: order.append("day") or write(*given))
    house.accept(draft(A))
    accepted = list(order)
    order.clear()
    house.hear(house.delivery, house.take(), REFUSED)
    assert accepted[0] == order[0] == "balance"
    assert "day" in accepted
    assert "day" in order


def test_only_what_is_to_be_sent_later_is_cancelled_with_all_that_is_scheduled(house: House) -> None:
    """What waits for its turn at a carrier, or for its campaign, looks like it in the queue."""
    early, still, later = house.accept(draft(A), draft(B), draft(C, schedule=int(house.clock.now) + 600))
    house.held = {(house.who.user_id, still)}
    house.hear(house.delivery, house.take(), Retry(5.0, "one a second", early=True))
    assert house.steps.write(lambda tx: cancel.cancel_all(tx, house.who.user_id, house.channel)) == 1
    assert [house.status(one) for one in (early, still, later)] == [QUEUED, QUEUED, CANCELLED]


# Several on their way.


@pytest.mark.parametrize(("lasting", "sizes"), [(True, [1, 1, 1]), (False, [3])])
def test_what_lasts_is_carried_one_by_one_and_the_rest_together(opened: Steps, lasting: bool, sizes: list[int]) -> None:
    house = House(opened, quiet.channel("calls", "sms", lasting=lasting))
    house.accept(draft(A), draft(B), draft(C))
    assert [len(batch) for batch in house.take()] == sizes


def test_what_lasts_is_settled_one_by_one_while_the_others_are_on_their_way(opened: Steps) -> None:
    house = House(opened, quiet.channel("calls", "sms", lasting=True))
    calls = dict(zip((A, B, C), house.accept(draft(A), draft(B), draft(C)), strict=True))
    house.carrier.hold(A, B, C)
    batches = house.take()
    tasks = dict(zip([batch[0].row.recipient for batch in batches], house.set_out(batches), strict=True))
    for place, recipient in enumerate((B, C, A)):
        house.carrier.held[recipient].set()
        house.run(tasks[recipient])
        ended = (B, C, A)[: place + 1]
        assert {one: house.status(calls[one]) for one in calls} == {
            one: SENT if one in ended else QUEUED for one in calls
        }


def test_the_place_of_what_is_settled_is_given_to_the_next(opened: Steps) -> None:
    house = House(opened, quiet.channel("calls", "sms", lasting=True))
    house.carrier.capacity = 2
    house.carrier.hold(A, B, C)
    house.accept(draft(A), draft(B), draft(C))
    loop = ChannelLoop(opened.database, "calls", house.delivery)

    async def scenario() -> None:
        begun, held = house.carrier.begun, house.carrier.held
        loop.start()
        first, second = await begun.get(), await begun.get()
        assert house.carrier.got == [first, second]
        held[second].set()
        third = await begun.get()
        assert {first, second, third} == {A, B, C}
        held[first].set()
        held[third].set()
        await loop.stop()

    house.run(scenario())
    assert house.due() is None


def test_what_is_on_its_way_is_held_for_longer_each_time_a_third_of_its_lease_has_passed(house: House) -> None:
    (sent,) = house.accept(draft(A))
    house.carrier.hold(A)
    (task,) = house.set_out(house.take())
    house.run(house.carrier.begun.get())
    house.run(house.delivery.renew())
    for _ in range(5):
        house.clock.now += LEASE / 3 - 1
        house.run(house.delivery.renew())
        assert house.due() == LEASE * 2 / 3 + 1
        house.clock.now += 1
        house.run(house.delivery.renew())
        assert house.due() == LEASE
        assert list(house.take(house.another())) == []
    house.carrier.held[A].set()
    house.run(task)
    assert (house.timeline(sent), house.due()) == ([TAKEN], None)


def test_a_defect_in_a_transport_leaves_the_message_to_its_lease(house: House) -> None:
    (sent,) = house.accept(draft(A))
    house.carrier.answers[A] = LookupError("a defect")
    with pytest.raises(LookupError):
        house.deliver()
    house.clock.now += LEASE / 2
    house.run(house.delivery.renew())
    assert (house.status(sent), house.spent(), house.due()) == (QUEUED, PRICE, LEASE / 2), "nobody holds it any more"
    house.carrier.answers = {}
    house.clock.now += LEASE / 2
    house.deliver()
    assert house.timeline(sent) == [CLAIMED_AGAIN, TAKEN]


def test_a_defect_in_one_transport_leaves_the_hold_on_what_the_others_carry(house: House) -> None:
    house.routes = [RouteOptions(transport="other", prefix=B, priority=1), *house.routes]
    house.accept(draft(A), draft(B))
    house.carrier.answers[A] = LookupError("a defect")
    house.other.hold(B)
    (task,) = house.set_out(house.take())
    house.run(house.other.begun.get())
    for _ in range(3):
        house.clock.now += LEASE / 3
        house.run(house.delivery.renew())
    again = [parcel.row.recipient for batch in house.take(house.another()) for parcel in batch]
    house.other.held[B].set()
    with pytest.raises(LookupError):
        house.run(task)
    assert B not in again
