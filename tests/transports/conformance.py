"""What every transport has to do, against a peer on a real socket of loopback.

A transport's test file inherits `Conformance` (`WithReceipts`, if the protocol has receipts) under a name that begins
with Test, and brings a `Peer`.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

import msgspec
import pytest
import uvloop

from heliograph.transports.base import (
    Content,
    Failed,
    Inbound,
    Join,
    Mail,
    MessageKey,
    Mms,
    Outcome,
    Outgoing,
    Part,
    PartsKey,
    Receipt,
    Retry,
    Sent,
    SmsText,
    Spoken,
    Transport,
)

PATIENCE = 40.0
"""Seconds for what takes milliseconds on a machine that has nothing else to do."""
CLOSE_SECONDS = 15.0

Result = TypeVar("Result")
Fate = Literal["taken", "refused", "put off", "cut"]
"""What a peer does to a message: takes it, refuses it for good or for now, or dies before it answers."""


async def soon(awaitable: Awaitable[Result]) -> Result:
    """The result, or a failed test after some seconds."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def until(condition: Callable[[], object]) -> None:
    """Return when something that cannot be awaited has come true, or fail."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - what is waited for announces nothing
            await asyncio.sleep(0.002)

    await soon(look())


def run(scenario: Coroutine[Any, Any, Result]) -> Result:
    """Run a scenario in the loop that the program has. Whatever it leaves behind fails it: an exception, or a task."""
    broken: list[dict[str, Any]] = []

    async def guarded() -> Result:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
        result = await asyncio.wait_for(scenario, 120)
        await _tasks_end()
        return result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(guarded())
    assert not broken
    return result


async def _tasks_end() -> None:
    """Tasks that were cancelled, or are about to end by themselves, may do so; any other is a leak."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=PATIENCE)
    assert not left, f"tasks are left behind: {left}"


class Recorder:
    """Events that keep what they get. While `gate` is closed, calls do not return: nothing is stored yet.

    `calls` holds the receipts of each call, `parts` those of incomplete messages. What stands in `failures` is raised,
    one for each call.
    """

    def __init__(self) -> None:
        self.calls: list[list[Receipt]] = []
        self.inbound: list[Inbound] = []
        self.parts: dict[PartsKey, dict[int, Part]] = {}
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def receipts(self) -> list[Receipt]:
        return [receipt for call in self.calls for receipt in call]

    async def on_receipts(self, receipts: Sequence[Receipt]) -> None:
        self.calls.append(list(receipts))
        await self._store()

    async def on_inbound(self, message: Inbound) -> None:
        self.inbound.append(message)
        await self._store()

    async def on_part(self, part: Part, join: Join) -> None:
        await self._store()
        came = self.parts.setdefault(part.key, {})
        came[part.number] = part
        if len(came) == part.total:
            self._give(part.key, join)

    async def on_overdue_parts(self, transport: str, age: float, most: int, join: Join) -> None:
        excess = len(self.parts) - most
        for rank, (key, came) in enumerate(list(self.parts.items())):
            if rank < excess or min(part.at for part in came.values()) <= time.time() - age:
                self._give(key, join)

    def _give(self, key: PartsKey, join: Join) -> None:
        self.inbound.append(join([part for _, part in sorted(self.parts.pop(key).items())]))

    async def _store(self) -> None:
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)


def sms(
    recipient: str, text: str = "Hello", *, number: int = 1, parts: Sequence[str] = (), unicode: bool = False
) -> Outgoing:
    """An SMS to hand over; `number` tells messages apart."""
    content = SmsText(tuple(parts) or (text,), unicode)
    valid_until = int(time.time()) + 3600
    return Outgoing(MessageKey(7, "sms", f"MESSAGE-{number}"), "+61481074190", recipient, content, valid_until)


class Peer(ABC):
    """The far end. `start` after `stop` listens on the same port again.

    `inside`: the peer is a part of the transport, which starts it when it is opened.
    """

    inside = False

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None:
        """Die: cut every connection and listen no more."""

    @abstractmethod
    def transport(self) -> Transport:
        """A new transport for this peer, which has been started once if it is not inside."""

    @abstractmethod
    def message(self, fate: Fate, number: int) -> Outgoing:
        """A message that meets this fate; `number` tells messages apart."""

    @property
    @abstractmethod
    def taken(self) -> int:
        """Messages that the peer took since the first start."""

    @property
    def acknowledged(self) -> int:
        """Receipts that the transport has acknowledged (protocols with receipts)."""
        raise NotImplementedError


Scenario = Callable[[Peer, Transport, Recorder], Awaitable[None]]

ODD_TEXTS = {
    "nothing": "",
    "many alphabets": "Zażółć gęślą jaźń, 中文, עברית, 👩‍👩‍👧",
    "half a character": "a\ud83d",
    "control characters": "a\x00b\x1b\x7f",
    "right to left": "\u202e\u2067abc",
}


def with_text(message: Outgoing, text: str) -> Outgoing:
    """The same message with another text, of which nothing was checked before."""
    content: Content = SmsText((text,), unicode=not text.isascii())
    if isinstance(message.content, Mail):
        content = Mail(text.encode("utf-8", "replace"), message.sender)
    elif isinstance(message.content, Mms):
        content = Mms(text, text, message.content.media)
    elif isinstance(message.content, Spoken):
        content = Spoken(text.encode("utf-8", "replace"))
    return msgspec.structs.replace(message, content=content)


def with_other_kind(message: Outgoing) -> Outgoing:
    """The same message with a content that the channel does not know."""
    content = SmsText(("Hello",), False) if isinstance(message.content, Mail) else Mail(b"Hello", "a@example.org")
    return msgspec.structs.replace(message, content=content)


def with_long_text(message: Outgoing) -> Outgoing:
    """The same message in 10 segments, with 100,000 characters, or with 2.5 seconds of speech."""
    content: Content = SmsText(("x" * 153,) * 10, False)
    if isinstance(message.content, Mail):
        content = Mail(b"x" * 900 + b"\r\n" * 50_000, message.sender)
    elif isinstance(message.content, Mms):
        content = Mms("x" * 900, "x" * 99_999, message.content.media)
    elif isinstance(message.content, Spoken):
        content = Spoken(b"\x00\x10" * 20_000)
    return msgspec.structs.replace(message, content=content)


class Conformance(ABC):
    """The suite. `ids`: whether the peer names what it takes."""

    ids = True

    @abstractmethod
    def peer(self) -> Peer: ...

    def run(self, scenario: Scenario, *, alive: bool = True) -> None:
        """Run a scenario with a peer, a transport that is open, and its events; without `alive` the peer is away."""
        run(self._whole(scenario, alive))

    async def _whole(self, scenario: Scenario, alive: bool) -> None:
        peer, events = self.peer(), Recorder()
        if not peer.inside:
            await peer.start()
            if not alive:
                await peer.stop()
        transport = peer.transport()
        await soon(transport.open(events))
        if peer.inside and not alive:
            await peer.stop()
        await until(lambda: transport.ready == alive)
        try:
            await scenario(peer, transport, events)
        finally:
            events.gate.set()
            await soon(transport.close())
            await peer.stop()

    def test_a_taken_message_is_sent_and_named(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Sent), outcome
            assert peer.taken == 1
            if self.ids:
                assert len(outcome.remote_ids) == 1
                assert outcome.remote_ids[0]

        self.run(scenario)

    def test_a_refused_message_has_failed_with_the_peers_code(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([peer.message("refused", 1)]))
            assert isinstance(outcome, Failed), outcome
            assert outcome.code
            assert outcome.why
            assert peer.taken == 0

        self.run(scenario)

    def test_a_message_that_is_put_off_is_a_retry_without_doubt(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([peer.message("put off", 1)]))
            assert isinstance(outcome, Retry), outcome
            assert outcome.after > 0
            assert outcome.code
            assert outcome.why
            assert not outcome.maybe_sent
            await until(lambda: transport.ready)
            (outcome,) = await soon(transport.send([peer.message("taken", 2)]))
            assert isinstance(outcome, Sent), "it is the message that was put off, not the transport"

        self.run(scenario)

    def test_outcomes_are_in_the_order_of_the_messages(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            fates: list[Fate] = ["refused" if number % 3 == 0 else "taken" for number in range(50)]
            batch = [peer.message(fate, number) for number, fate in enumerate(fates)]
            outcomes = await soon(transport.send(batch))
            assert [type(outcome) for outcome in outcomes] == [Failed if fate == "refused" else Sent for fate in fates]
            named = [outcome.remote_ids for outcome in outcomes if isinstance(outcome, Sent)]
            if self.ids:
                assert len(set(named)) == len(named), "two messages have the same id"

        self.run(scenario)

    def test_calls_at_the_same_time_each_get_their_own_outcomes(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            good = [peer.message("taken", number) for number in range(20)]
            bad = [peer.message("refused", number) for number in range(20, 40)]
            sent, failed = await soon(asyncio.gather(transport.send(good), transport.send(bad)))
            assert all(isinstance(outcome, Sent) for outcome in sent)
            assert all(isinstance(outcome, Failed) for outcome in failed)

        self.run(scenario)

    def test_nothing_to_send_is_no_outcome(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            assert list(await soon(transport.send([]))) == []

        self.run(scenario)

    def test_more_than_its_capacity_is_sent_too(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            count = 2 * transport.capacity
            assert count >= 2
            outcomes = await soon(transport.send([peer.message("taken", number) for number in range(count)]))
            assert [type(outcome) for outcome in outcomes] == [Sent] * count
            assert peer.taken == count

        self.run(scenario)

    def test_whoever_records_outcomes_asks_in_a_thread_of_its_own(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            connected, capacity = await asyncio.to_thread(lambda: (transport.connected, transport.capacity))
            assert connected
            assert capacity == transport.capacity

        self.run(scenario)

    def test_a_dead_peer_is_no_error_but_a_retry(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Retry), outcome
            assert outcome.after > 0
            assert outcome.why
            assert not outcome.maybe_sent, "nothing was written, so nothing can be doubled"
            assert not transport.ready

        self.run(scenario, alive=False)

    def test_a_peer_that_comes_up_later_is_found(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await peer.start()
            await self._send_until_taken(peer, transport)

        self.run(scenario, alive=False)

    def test_a_peer_that_comes_back_is_found_again(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await self._send_until_taken(peer, transport)
            await peer.stop()
            await peer.start()
            await self._send_until_taken(peer, transport)

        self.run(scenario)

    async def _send_until_taken(self, peer: Peer, transport: Transport) -> None:
        outcome: Outcome | None = None
        number = 0
        while not isinstance(outcome, Sent):
            await until(lambda: transport.ready)
            number += 1
            assert number < 20
            (outcome,) = await soon(transport.send([peer.message("taken", number)]))

    def test_a_lost_answer_is_a_retry_that_says_so(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([peer.message("cut", 1)]))
            assert isinstance(outcome, Retry), outcome
            assert outcome.maybe_sent
            assert outcome.after > 0

        self.run(scenario)

    def test_a_peer_lost_in_the_middle_of_a_batch_loses_nothing(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            batch = [peer.message("cut" if number == 20 else "taken", number) for number in range(60)]
            outcomes = await soon(transport.send(batch))
            assert isinstance(outcomes[20], Retry)
            self._check_books(peer, outcomes)

        self.run(scenario)

    def _check_books(self, peer: Peer, outcomes: Sequence[Outcome]) -> None:
        """What is told as sent was taken; what was taken is told as sent, or as in doubt."""
        assert {type(outcome) for outcome in outcomes} <= {Sent, Retry}
        sent = sum(isinstance(outcome, Sent) for outcome in outcomes)
        doubtful = sum(isinstance(outcome, Retry) and outcome.maybe_sent for outcome in outcomes)
        assert sent <= peer.taken <= sent + doubtful

    def test_closing_while_messages_are_sent_loses_nothing(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            count = 4 * transport.capacity
            sending = asyncio.create_task(transport.send([peer.message("taken", number) for number in range(count)]))
            await until(lambda: peer.taken)
            await asyncio.wait_for(transport.close(), CLOSE_SECONDS)
            outcomes = await soon(sending)
            assert len(outcomes) == count
            self._check_books(peer, outcomes)
            assert isinstance(outcomes[0], Sent), "what was under way had time to end"

        self.run(scenario)

    def test_close_is_bounded_and_final(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await asyncio.wait_for(transport.close(), CLOSE_SECONDS)
            assert not transport.ready
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Retry), outcome
            assert not outcome.maybe_sent

        self.run(scenario)

    def test_close_is_bounded_with_a_dead_peer(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await asyncio.wait_for(transport.close(), CLOSE_SECONDS)

        self.run(scenario, alive=False)

    def test_before_it_is_opened_it_takes_nothing_and_can_be_closed(self) -> None:
        async def scenario() -> None:
            peer = self.peer()
            if not peer.inside:
                await peer.start()
            transport = peer.transport()
            assert not transport.ready
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Retry)
            await soon(transport.close())
            await peer.stop()

        run(scenario())

    def test_it_can_be_opened_again(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await soon(transport.close())
            await soon(transport.open(events))
            await until(lambda: transport.ready)
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Sent)

        self.run(scenario)

    @pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
    def test_an_odd_text_has_an_outcome_and_breaks_nothing(self, text: str) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            odd, good = await soon(
                transport.send([with_text(peer.message("taken", 1), text), peer.message("taken", 2)])
            )
            assert isinstance(odd, Sent | Failed), odd
            assert isinstance(good, Sent), good

        self.run(scenario)

    def test_a_long_text_is_sent(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([with_long_text(peer.message("taken", 1))]))
            assert isinstance(outcome, Sent), outcome

        self.run(scenario)

    @pytest.mark.parametrize("end", ["sender", "recipient"])
    @pytest.mark.parametrize("address", ["", "\x00", "a\r\nb", "\ud83d", "Ж", "x" * 999])
    def test_an_odd_address_has_an_outcome_and_breaks_nothing(self, end: str, address: str) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            odd = msgspec.structs.replace(peer.message("taken", 1), **{end: address})
            odd_outcome, good = await soon(transport.send([odd, peer.message("taken", 2)]))
            assert isinstance(odd_outcome, Sent | Failed), odd_outcome
            assert isinstance(good, Sent), good

        self.run(scenario)

    def test_another_kind_of_content_fails(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            (outcome,) = await soon(transport.send([with_other_kind(peer.message("taken", 1))]))
            assert isinstance(outcome, Failed), outcome
            assert outcome.code is None, "it is not the peer who refused"
            assert outcome.why

        self.run(scenario)


class WithReceipts(Conformance):
    """And what transports have to do that bring receipts."""

    def test_receipts_are_stored_before_they_are_acknowledged(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            events.gate.clear()
            message = peer.message("taken", 1)
            (outcome,) = await soon(transport.send([message]))
            assert isinstance(outcome, Sent)
            await until(lambda: events.receipts)
            # The peer answers this after everything that was written to it before: an early acknowledgement shows.
            await soon(transport.send([peer.message("refused", 2)]))
            assert peer.acknowledged == 0
            events.gate.set()
            await until(lambda: peer.acknowledged == 1)
            (receipt,) = events.receipts
            assert (receipt.transport, receipt.state) == (transport.name, "delivered")
            assert receipt.key in (None, message.key), "whoever does not remember leaves it to be looked up"
            assert (receipt.remote_id,) == outcome.remote_ids

        self.run(scenario)

    def test_receipts_that_could_not_be_stored_come_again(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            events.failures.append(RuntimeError("the database is away"))
            await soon(transport.send([peer.message("taken", 1)]))
            await until(lambda: peer.acknowledged == 1)
            assert [len(call) for call in events.calls] == [1, 1]
            assert events.calls[0][0].remote_id == events.calls[1][0].remote_id

        self.run(scenario)

    def test_closing_with_receipts_that_are_never_stored_is_bounded_and_acknowledges_none(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            events.gate.clear()
            await soon(transport.send([peer.message("taken", 1)]))
            await until(lambda: events.receipts)
            events.gate = asyncio.Event()  # whoever waits at the first one waits for ever
            await asyncio.wait_for(transport.close(), CLOSE_SECONDS)
            assert peer.acknowledged == 0

        self.run(scenario)
