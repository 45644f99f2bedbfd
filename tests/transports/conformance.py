"""What every transport has to do, against a peer on a real socket of loopback.

A transport's test file inherits `Conformance` under a name that begins with Test, and brings a `Peer`.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

from heliograph.transports.base import (
    Failed,
    Inbound,
    MessageKey,
    Outcome,
    Outgoing,
    Receipt,
    Retry,
    Sent,
    SmsText,
    Transport,
)

PATIENCE = 10.0
CLOSE_SECONDS = 8.0

Result = TypeVar("Result")
Fate = Literal["taken", "refused", "cut"]
"""What a peer does to a message: takes it, refuses it for good, or dies before it answers."""


async def soon(awaitable: Awaitable[Result]) -> Result:
    """The result, or a failed test after some seconds."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def until(condition: Callable[[], object]) -> None:
    """Return when something that cannot be awaited has come true, or fail."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - what is waited for announces nothing
            await asyncio.sleep(0.002)

    await soon(look())


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with a time limit; a task that it leaves behind with an exception fails it."""
    broken: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
        await asyncio.wait_for(scenario(), 30)

    asyncio.run(guarded())
    assert not broken


class Recorder:
    """Events that keep what they get. While `gate` is closed, calls do not return: nothing is stored yet.

    `calls` holds the receipts of each call. What stands in `failures` is raised, one for each call.
    """

    def __init__(self) -> None:
        self.calls: list[list[Receipt]] = []
        self.inbound: list[Inbound] = []
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
    """The far end. `start` after `stop` listens on the same port again."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None:
        """Die: cut every connection and listen no more."""

    @abstractmethod
    def transport(self) -> Transport:
        """A new transport for this peer, which has been started once."""

    @abstractmethod
    def message(self, fate: Fate, number: int) -> Outgoing:
        """A message that meets this fate; `number` tells messages apart."""

    @property
    def acknowledged(self) -> int:
        """Receipts that the transport has acknowledged (protocols with receipts)."""
        raise NotImplementedError


class Conformance(ABC):
    """The suite. `receipts`: whether the protocol has receipts; `ids`: whether the peer names what it takes."""

    receipts = True
    ids = True

    @abstractmethod
    def peer(self) -> Peer: ...

    def run(self, scenario: Callable[[Peer, Transport, Recorder], Awaitable[None]], *, alive: bool = True) -> None:
        """Run a scenario with a peer, a transport that is open, and its events."""

        async def whole() -> None:
            peer, events = self.peer(), Recorder()
            await peer.start()
            if not alive:
                await peer.stop()
            transport = peer.transport()
            await soon(transport.open(events))
            try:
                await scenario(peer, transport, events)
            finally:
                events.gate.set()
                await soon(transport.close())
                await peer.stop()

        run(whole)

    def test_a_taken_message_is_sent_and_named(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await until(lambda: transport.ready)
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Sent), outcome
            if self.ids:
                assert len(outcome.remote_ids) == 1
                assert outcome.remote_ids[0]

        self.run(scenario)

    def test_a_refused_message_has_failed_with_the_peers_code(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await until(lambda: transport.ready)
            (outcome,) = await soon(transport.send([peer.message("refused", 1)]))
            assert isinstance(outcome, Failed), outcome
            assert outcome.code
            assert outcome.why

        self.run(scenario)

    def test_outcomes_are_in_the_order_of_the_messages(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await until(lambda: transport.ready)
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
            await until(lambda: transport.ready)
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

    def test_capacity_is_positive(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            assert transport.capacity >= 1

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
            await until(lambda: transport.ready)
            (outcome,) = await soon(transport.send([peer.message("cut", 1)]))
            assert isinstance(outcome, Retry), outcome
            assert outcome.maybe_sent
            assert outcome.after > 0

        self.run(scenario)

    def test_close_is_bounded_and_final(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await until(lambda: transport.ready)
            await asyncio.wait_for(transport.close(), CLOSE_SECONDS)
            assert not transport.ready
            (outcome,) = await soon(transport.send([peer.message("taken", 1)]))
            assert isinstance(outcome, Retry), outcome

        self.run(scenario)

    def test_close_is_bounded_with_a_dead_peer(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            await asyncio.wait_for(transport.close(), CLOSE_SECONDS)

        self.run(scenario, alive=False)

    def test_receipts_are_stored_before_they_are_acknowledged(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            if not self.receipts:
                return
            await until(lambda: transport.ready)
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
            assert (receipt.transport, receipt.state, receipt.key) == (transport.name, "delivered", message.key)
            assert (receipt.remote_id,) == outcome.remote_ids

        self.run(scenario)

    def test_receipts_that_could_not_be_stored_come_again(self) -> None:
        async def scenario(peer: Peer, transport: Transport, events: Recorder) -> None:
            if not self.receipts:
                return
            await until(lambda: transport.ready)
            events.failures.append(RuntimeError("the database is away"))
            await soon(transport.send([peer.message("taken", 1)]))
            await until(lambda: peer.acknowledged == 1)
            assert [len(call) for call in events.calls] == [1, 1]
            assert events.calls[0][0].remote_id == events.calls[1][0].remote_id

        self.run(scenario)
