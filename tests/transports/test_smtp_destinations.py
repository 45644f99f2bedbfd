"""What goes to one domain: its connections, its mails a second, its pauses; with a clock of the test's own."""

import asyncio
import heapq
from typing import Any

import msgspec
import pytest

from heliograph.transports.base import Outcome, Outgoing, Retry, Sent
from heliograph.transports.options import SmtpOptions
from heliograph.transports.smtp import destinations as module
from heliograph.transports.smtp.destinations import Destination, Destinations
from transports.conformance import run, until
from transports.relay import Relay, a_mail, one, serving, transport

GREYLISTED = "451 4.7.1 Greylisted"


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def domains(clock: Clock, **options: Any) -> Destinations:
    return Destinations(SmtpOptions("relay.example", **options), clock)


def entered(made: Destinations, domain: str = "a.example", user_id: int = 7) -> Destination:
    one = made.enter(domain, user_id)
    assert isinstance(one, Destination)
    return one


def turned(made: Destinations, domain: str = "a.example", user_id: int = 7) -> Retry:
    said = made.enter(domain, user_id)
    assert isinstance(said, Retry)
    assert said.early
    assert not said.maybe_sent
    return said


def put_off(made: Destinations, words: str = GREYLISTED, domain: str = "a.example") -> float:
    one = entered(made, domain)
    pause = one.put_off(words)
    made.leave(one)
    return pause


def accept(made: Destinations, domain: str = "a.example") -> None:
    one = entered(made, domain)
    one.accepted()
    made.leave(one)


def test_without_limits_anything_goes() -> None:
    made = domains(Clock())
    for _ in range(1000):
        entered(made)


@pytest.mark.parametrize("rate", [0.2, 1.0, 7.0, 200.0])
@pytest.mark.parametrize("late", [0.0, 0.3])
def test_a_backlog_goes_at_the_rate_and_each_mail_is_looked_at_about_twice(rate: float, late: float) -> None:
    """As the queue has it: what gets a turn is given again when that has come, or a little later."""
    clock = Clock()
    made, count = domains(clock, domain_rate=rate), 300
    due, looks = [clock.now] * count, 0
    while due:
        due.sort()
        clock.now = max(clock.now, due.pop(0)) + (late if len(due) == count // 2 else 0.0)
        looks += 1
        said = made.enter("a.example", 7)
        if isinstance(said, Retry):
            due.append(clock.now + said.after)
        else:
            made.leave(said)
    took = clock.now - 50
    assert (count - 1 - 1 - rate) / rate <= took <= count / rate + late + 1 / rate
    assert looks <= 2.2 * count


def test_a_rate_is_each_domains_own() -> None:
    made = domains(Clock(), domain_rate=0.5)
    entered(made)
    assert turned(made).why == "Mails to a.example go out at 0.5 a second"
    entered(made, "b.example")


def test_an_account_waits_behind_its_own_mails_only() -> None:
    made = domains(Clock(), domain_rate=0.5)
    entered(made)
    assert [turned(made).after for _ in range(4)] == pytest.approx([1, 3, 5, 7], abs=0.01)
    assert turned(made, user_id=8).after == pytest.approx(1, abs=0.01)


def test_a_turn_comes_within_an_hour() -> None:
    made = domains(Clock(), domain_rate=0.01)
    entered(made)
    assert max(turned(made).after for _ in range(100)) == module.LATEST


def test_a_mail_that_is_put_off_pauses_its_domain_and_no_other() -> None:
    clock = Clock()
    made = domains(clock, domain_pause=5.0)
    assert put_off(made) == 5.0
    assert turned(made).why == "Mails to a.example pause, since one was put off: 451 4.7.1 Greylisted"
    entered(made, "b.example")
    clock.now += 4.9
    assert turned(made).after == pytest.approx(0.1, abs=0.1)
    clock.now += 0.1
    entered(made)


def test_what_waits_for_the_end_of_a_pause_comes_back_one_after_another() -> None:
    made = domains(Clock(), domain_pause=5.0)
    put_off(made)
    turns = [turned(made).after for _ in range(101)]
    assert turns == pytest.approx([5 + number * module.EAGER / module.RETURNING for number in range(101)])


def test_pauses_grow_to_a_limit_and_end_with_the_first_mail_that_is_taken() -> None:
    clock = Clock()
    made = domains(clock, domain_pause=5.0)
    pauses = []
    for _ in range(9):
        pauses.append(put_off(made))
        clock.now += pauses[-1]
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 320, 320]
    accept(made)
    assert put_off(made) == 5


def test_after_a_pause_one_mail_tries_it() -> None:
    clock = Clock()
    made = domains(clock, domain_pause=5.0)
    put_off(made)
    clock.now += 5
    probe = entered(made)
    assert turned(made).after >= module.SOON
    probe.accepted()
    entered(made)
    entered(made)


def test_mails_that_were_under_way_make_one_pause_together() -> None:
    made = domains(Clock(), domain_pause=5.0)
    under_way = [entered(made) for _ in range(20)]
    assert [one.put_off(GREYLISTED) for one in under_way] == [5.0] + [0.0] * 19


@pytest.mark.parametrize("words", ["452 4.2.2 Mailbox full", "450 4.1.1 Unknown for now"])
def test_what_is_said_of_one_mailbox_counts_when_it_is_said_twice(words: str) -> None:
    made = domains(Clock(), domain_pause=5.0)
    assert put_off(made, words) == 0
    accept(made)
    assert put_off(made, words) == 0
    assert put_off(made, words) == 5
    assert words in turned(made).why


def test_without_a_pause_nothing_slows_a_domain() -> None:
    made = domains(Clock(), domain_pause=0.0)
    for _ in range(10):
        assert put_off(made) == 0
    entered(made)


def test_a_domain_has_room_for_as_many_mails_as_its_connections_keep_busy() -> None:
    made = domains(Clock(), connections=10, domain_connections=2)
    inside = [entered(made) for _ in range(2 * module.MAILS_PER_CONNECTION)]
    assert turned(made).why == "Many mails to a.example are on their way"
    entered(made, "b.example")
    made.leave(inside[0])
    entered(made)


def test_memory_is_bounded_and_what_is_at_rest_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 100)
    clock = Clock()
    made = domains(clock, domain_rate=1000.0, domain_pause=5.0)
    for number in range(1000):
        put_off(made, domain=f"{number}.example")
        turned(made, f"{number}.example", number)
    assert sum(isinstance(made.enter(f"{number}.example", 7), Retry) for number in range(900)) == 0
    assert sum(isinstance(made.enter(f"{number}.example", 7), Retry) for number in range(950, 1000)) == 50
    quiet: Any = domains(clock)
    for number in range(1000):
        accept(quiet, f"{number}.example")
    assert (quiet._busy, quiet._quiet._young, quiet._quiet._old) == ({}, {}, {})


def to(domain: str, number: int = 1) -> Outgoing:
    return a_mail(to=f"bob@{domain}", key=f"{number:036d}")


def kinds(outcomes: Any) -> list[str]:
    return ["early" if isinstance(one, Retry) and one.early else type(one).__name__ for one in outcomes]


@pytest.mark.parametrize("where", ["bob@a.example", "DATA"])
def test_a_relay_that_puts_a_mail_off_gets_no_more_for_its_domain_and_the_mails_of_others(where: str) -> None:
    async def scenario() -> None:
        relay, clock = Relay(), Clock()
        relay.answers[where] = GREYLISTED
        async with serving(relay) as port, transport(port, clock=clock) as out:
            assert await one(out, to("a.example")) == Retry(60.0, GREYLISTED, 451)
            relay.answers.clear()
            outcomes = await out.send([to("A.example"), to("b.example"), to("a.example")])
            assert kinds(outcomes) == ["early", "Sent", "early"]
            clock.now += 5
            assert isinstance(await one(out, to("a.example")), Sent)
            assert kinds(await out.send([to("a.example")] * 5)) == ["Sent"] * 5

    run(scenario())


def test_mails_that_wait_for_a_connection_when_their_domain_begins_to_pause_get_a_turn() -> None:
    async def scenario() -> None:
        relay = Relay()
        relay.answers["bob@a.example"] = GREYLISTED
        async with serving(relay) as port, transport(port, connections=1) as out:
            outcomes = await out.send([to("a.example")] * 10 + [to("b.example")])
            assert kinds(outcomes) == ["Retry"] + ["early"] * 9 + ["Sent"]

    run(scenario())


@pytest.mark.parametrize(
    ("where", "answer"),
    [("MAIL", "451 4.3.0 Busy"), ("bob@a.example", "421 4.3.2 Closing"), ("bob@a.example", "550 5.1.1 Nobody here")],
)
def test_what_is_said_of_the_relay_or_for_good_slows_no_domain(where: str, answer: str) -> None:
    async def scenario() -> None:
        relay = Relay()
        relay.answers[where] = answer
        async with serving(relay) as port, transport(port) as out:
            first: Outcome = await one(out, to("a.example"))
            assert getattr(first, "code", None) == int(answer[:3])
            relay.answers.clear()
            assert isinstance(await one(out, to("a.example")), Sent)

    run(scenario())


def test_a_domain_holds_its_connections_and_no_others() -> None:
    """Nothing is answered to a.example, and all the same mails to b.example go."""

    async def scenario() -> None:
        relay = Relay()
        inside, go_on = 0, asyncio.Event()

        async def gate() -> None:
            nonlocal inside
            inside += 1
            if inside <= 2:
                await go_on.wait()

        relay.gate = gate
        async with serving(relay) as port, transport(port, connections=3, domain_connections=2) as out:
            slow = asyncio.create_task(out.send([to("a.example", number) for number in range(10)]))
            await until(lambda: inside == 2)
            assert kinds(await out.send([to("b.example", number) for number in range(20)])) == ["Sent"] * 20
            assert len(relay.mails) == 20
            go_on.set()
            assert kinds(await slow) == ["Sent"] * 10

    run(scenario())


def test_a_rate_holds_no_connection() -> None:
    async def scenario() -> None:
        relay, clock = Relay(), Clock()
        async with serving(relay) as port, transport(port, connections=1, domain_rate=2.0, clock=clock) as out:
            outcomes = await out.send([to("a.example", number) for number in range(6)] + [to("b.example")])
            assert kinds(outcomes) == ["Sent"] * 3 + ["early"] * 3 + ["Sent"]
            turns = [outcome.after for outcome in outcomes if isinstance(outcome, Retry)]
            assert turns == pytest.approx([0.5, 1.0, 1.5])

    run(scenario())


@pytest.mark.parametrize("seconds", [0.002, 0.01, 0.2])
def test_a_backlog_keeps_the_connection_of_a_domain_busy_and_is_not_looked_at_all_the_time(seconds: float) -> None:
    """One connection, which takes a mail in so many seconds; a look at a mail takes half a millisecond."""
    clock, look, count = Clock(), 0.0005, 2000
    made = domains(clock, connections=4, domain_connections=1)
    due = [(clock.now, number) for number in range(count)]
    inside: list[Destination] = []
    free_at, looks = clock.now, 0
    while due or inside:
        clock.now = max(clock.now, free_at if not due else min(due[0][0], free_at) if inside else due[0][0])
        while inside and free_at <= clock.now:
            one = inside.pop(0)
            one.accepted()
            made.leave(one)
            free_at += seconds
        if due and due[0][0] <= clock.now:
            _, number = heapq.heappop(due)
            clock.now, looks = clock.now + look, looks + 1
            said = made.enter("a.example", 7)
            if isinstance(said, Retry):
                heapq.heappush(due, (clock.now + said.after, number))
            else:
                free_at = free_at if inside else clock.now + seconds
                inside.append(said)
    assert clock.now - 50 <= 1.3 * max(count * seconds, looks * look)
    assert looks <= 4 * count


def test_a_domain_is_the_same_however_it_is_written() -> None:
    async def scenario() -> None:
        relay, clock = Relay(), Clock()
        async with serving(relay) as port, transport(port, domain_rate=0.5, clock=clock) as out:
            names = ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE"]
            mails = [msgspec.structs.replace(to("a.example"), recipient=f"bob@{name}") for name in names]
            assert kinds(await out.send(mails)) == ["Sent"] + ["early"] * 3

    run(scenario())
