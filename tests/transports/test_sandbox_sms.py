"""The built-in SMS carrier from end to end: every scenario of docs/sandbox.md, as the transport sees it."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from heliograph.transports.base import Failed, Outcome, Outgoing, Retry, Sent
from heliograph.transports.sandbox.scenarios import SCENARIOS
from heliograph.transports.sandbox.sms import SandboxSms
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from transports.conformance import Fate, Peer, Recorder, WithReceipts, run, sms, soon, until
from transports.ports import free_port
from transports.test_smpp_transport import RECIPIENTS
from transports.wire import QUICK, SERVICE

LONG = ("a" * 153, "b" * 153, "€" * 10)


class SandboxPeer(Peer):
    """The SMSC inside of the transport; it comes back on the port that the transport knows."""

    inside = True

    def __init__(self) -> None:
        self._port = free_port()
        self._smsc = FixedSmsc(self._port)
        self._sandbox = SandboxSms("sandbox-sms", self._smsc, timing=QUICK)

    async def start(self) -> None:
        await self._smsc.start()

    async def stop(self) -> None:
        await self._smsc.stop()

    def transport(self) -> SandboxSms:
        return self._sandbox

    def message(self, fate: Fate, number: int) -> Outgoing:
        return sms(RECIPIENTS[fate], number=number)

    @property
    def taken(self) -> int:
        return self._smsc.counts["submits"]

    @property
    def acknowledged(self) -> int:
        return self._smsc.counts["acknowledged"]


class FixedSmsc(SimulatedSmsc):
    """Listens on the same port at each start."""

    def __init__(self, port: int) -> None:
        super().__init__(receipt_delay=0, retry_delay=0.01)
        self._port = port

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        return await super().start(host, self._port)


class TestConformance(WithReceipts):
    def peer(self) -> Peer:
        return SandboxPeer()


def play(scenario: Callable[[SandboxSms, Recorder], Awaitable[None]], long_delay: float = 3600.0) -> None:
    async def whole() -> None:
        smsc = SimulatedSmsc(receipt_delay=0.001, long_delay=long_delay)
        sandbox, events = SandboxSms("sandbox-sms", smsc, timing=QUICK), Recorder()
        await soon(sandbox.open(events))
        try:
            await scenario(sandbox, events)
        finally:
            await soon(sandbox.close())

    run(whole())


async def send(sandbox: SandboxSms, message: Outgoing) -> Outcome:
    await until(lambda: sandbox.ready)
    (outcome,) = await soon(sandbox.send([message]))
    return outcome


def test_the_manual_lists_the_scenarios_and_nothing_else() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    ours = page.partition("## The MMSC")[0]
    assert re.findall(r"^\| `(\d+)` \|", ours, re.MULTILINE) == list(SCENARIOS)


async def reports_of(sandbox: SandboxSms, events: Recorder, digits: str) -> list[tuple[str, str | None]]:
    """State and error of each receipt of a message that is taken; all there are when a later message has its own."""
    message = sms(f"+61491{digits}")
    outcome = await send(sandbox, message)
    assert isinstance(outcome, Sent)
    last = await send(sandbox, sms("+61491570157", number=2))
    assert isinstance(last, Sent)
    await until(lambda: any(receipt.remote_id == last.remote_ids[0] for receipt in events.receipts))
    mine = [receipt for receipt in events.receipts if receipt.remote_id == outcome.remote_ids[0]]
    assert all(receipt.key == message.key and receipt.transport == "sandbox-sms" for receipt in mine)
    return [(receipt.state, receipt.error) for receipt in mine]


@pytest.mark.parametrize(
    ("digits", "reports"),
    [
        ("570156", [("delivered", None)]),
        ("999001", [("failed", "001")]),
        ("999002", []),
        ("999003", []),
        ("999008", [("expired", "003")]),
        ("999010", [("delivered", None), ("delivered", None)]),
    ],
    ids=["ordinary", "undelivered", "delayed", "no receipt", "expired", "twice"],
)
def test_receipts(digits: str, reports: list[tuple[str, str | None]]) -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        assert await reports_of(sandbox, events, digits) == reports

    play(scenario)


def test_a_delayed_receipt_comes_in_the_end() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        message = sms("+61491999002")
        assert isinstance(await send(sandbox, message), Sent)
        await until(lambda: events.receipts)
        (receipt,) = events.receipts
        assert (receipt.key, receipt.state) == (message.key, "delivered")

    play(scenario, long_delay=0.05)


def test_the_manual_tells_how_long_it_takes() -> None:
    assert SimulatedSmsc()._long_delay == 30.0
    assert SimulatedSmsc()._receipt_delay == 0.02


def test_a_long_message_has_a_receipt_for_each_segment() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        outcome = await send(sandbox, sms("+61491570156", parts=LONG))
        assert isinstance(outcome, Sent)
        assert len(outcome.remote_ids) == 3
        await until(lambda: len(events.receipts) == 3)
        assert tuple(receipt.remote_id for receipt in events.receipts) == outcome.remote_ids

    play(scenario)


def test_999004_is_refused() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        assert await send(sandbox, sms("+61491999004")) == Failed(0x0B, "ESME_RINVDSTADR")

    play(scenario)


def test_999005_is_throttled_three_times_and_then_delivered() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        message = sms("+61491999005")
        for _ in range(3):
            outcome = await send(sandbox, message)
            assert isinstance(outcome, Retry)
            assert (outcome.code, outcome.why, outcome.maybe_sent) == (0x58, "ESME_RTHROTTLED", False)
        assert isinstance(await send(sandbox, message), Sent)
        await until(lambda: events.receipts)
        assert [(receipt.key, receipt.state) for receipt in events.receipts] == [(message.key, "delivered")]
        assert sandbox.smsc.counts["submits"] == 1

    play(scenario)


@pytest.mark.parametrize(("digits", "text", "reply"), [("999006", "Hi", "STOP"), ("999007", "Ça va? 😀", "Ça va? 😀")])
def test_replies(digits: str, text: str, reply: str) -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        await send(sandbox, sms(f"+61491{digits}", text, unicode=not text.isascii()))
        await until(lambda: events.inbound and events.receipts)
        (message,) = events.inbound
        assert (message.sender, message.recipient, message.body) == (f"+61491{digits}", SERVICE, reply)
        assert (message.transport, message.channel) == ("sandbox-sms", "sms")
        assert [receipt.state for receipt in events.receipts] == ["delivered"]

    play(scenario)


def test_a_long_echo_is_whole_again() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        await send(sandbox, sms("+61491999007", parts=LONG))
        await until(lambda: events.inbound)
        assert [message.body for message in events.inbound] == ["".join(LONG)]

    play(scenario)


def test_999009_breaks_the_connection_once_and_is_delivered_twice() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        message = sms("+61491999009")
        outcome = await send(sandbox, message)
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent
        assert isinstance(await send(sandbox, message), Sent)
        await until(lambda: len(events.receipts) == 2)
        assert [receipt.key for receipt in events.receipts] == [None, message.key], "it arrived twice"

    play(scenario)


def test_closing_waits_for_receipts_that_are_due_but_not_for_delayed_ones() -> None:
    """The SMSC ends with the process: nobody would deliver them later."""

    async def scenario() -> None:
        smsc, events = SimulatedSmsc(receipt_delay=0.2, long_delay=3600), Recorder()
        sandbox = SandboxSms("sandbox-sms", smsc, timing=QUICK)
        await soon(sandbox.open(events))
        message = sms("+61491570156")
        assert isinstance(await send(sandbox, message), Sent)
        assert isinstance(await send(sandbox, sms("+61491999002", number=2)), Sent)
        await soon(sandbox.close())
        assert [receipt.key for receipt in events.receipts] == [message.key]

    run(scenario())


def test_an_injected_message_arrives() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        await soon(sandbox.smsc.deliver("+61491570156", "12345", "жизнь " * 30))
        (message,) = events.inbound
        assert (message.sender, message.recipient, message.body) == ("+61491570156", "12345", "жизнь " * 30)

    play(scenario)
