"""The built-in SMS carrier from end to end: what becomes of a message to each of the special numbers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from heliograph.transports.base import Failed, Outcome, Outgoing, Retry, Sent
from heliograph.transports.sandbox.sms import SandboxSms
from transports.conformance import Recorder, run, sms, soon, until

LONG = ("a" * 153, "b" * 153, "€" * 10)


def play(scenario: Callable[[SandboxSms, Recorder], Awaitable[None]]) -> None:
    async def whole() -> None:
        sandbox, events = SandboxSms("sandbox-sms"), Recorder()
        await soon(sandbox.open(events))
        try:
            await scenario(sandbox, events)
        finally:
            await soon(sandbox.close())

    run(whole)


async def send(sandbox: SandboxSms, message: Outgoing) -> Outcome:
    await until(lambda: sandbox.ready)
    (outcome,) = await soon(sandbox.send([message]))
    return outcome


@pytest.mark.parametrize(
    ("digits", "states"),
    [
        ("570156", ["delivered"]),
        ("999001", ["failed"]),
        ("999003", []),
        ("999008", ["expired"]),
        ("999010", ["delivered", "delivered"]),
    ],
)
def test_receipts(digits: str, states: list[str]) -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        message = sms(f"+61491{digits}")
        outcome = await send(sandbox, message)
        assert isinstance(outcome, Sent)
        last = await send(sandbox, sms("+61491570157", number=2))
        assert isinstance(last, Sent)
        await until(lambda: len(events.receipts) == len(states) + 1)
        mine = [receipt for receipt in events.receipts if receipt.remote_id == outcome.remote_ids[0]]
        assert [receipt.state for receipt in mine] == states
        assert all(receipt.key == message.key and receipt.transport == "sandbox-sms" for receipt in mine)

    play(scenario)


def test_a_long_message_has_a_receipt_for_each_segment() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        outcome = await send(sandbox, sms("+61491570156", parts=LONG))
        assert isinstance(outcome, Sent)
        assert len(outcome.remote_ids) == 3
        await until(lambda: len(events.receipts) == 3)
        assert tuple(receipt.remote_id for receipt in events.receipts) == outcome.remote_ids

    play(scenario)


def test_a_refused_number() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        assert await send(sandbox, sms("+61491999004")) == Failed(0x0B, "ESME_RINVDSTADR")

    play(scenario)


@pytest.mark.parametrize(("digits", "text", "reply"), [("999006", "Hi", "STOP"), ("999007", "Ça va? 😀", "Ça va? 😀")])
def test_replies(digits: str, text: str, reply: str) -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        await send(sandbox, sms(f"+61491{digits}", text, unicode=not text.isascii()))
        await until(lambda: events.inbound)
        (message,) = events.inbound
        assert (message.sender, message.recipient, message.body) == (f"+61491{digits}", "+61481074190", reply)
        assert (message.transport, message.channel) == ("sandbox-sms", "sms")

    play(scenario)


def test_a_long_echo_is_whole_again() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        await send(sandbox, sms("+61491999007", parts=LONG))
        await until(lambda: events.inbound)
        assert [message.body for message in events.inbound] == ["".join(LONG)]

    play(scenario)


def test_a_connection_that_breaks_puts_the_message_in_doubt_and_comes_back() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        message = sms("+61491999009")
        outcome = await send(sandbox, message)
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent
        assert isinstance(await send(sandbox, message), Sent)
        await until(lambda: len(events.receipts) == 2)
        assert [receipt.key for receipt in events.receipts] == [None, message.key], "it arrived twice"

    play(scenario)


def test_an_injected_message_arrives() -> None:
    async def scenario(sandbox: SandboxSms, events: Recorder) -> None:
        await soon(sandbox.smsc.deliver("+61491570156", "12345", "жизнь " * 30))
        (message,) = events.inbound
        assert (message.sender, message.recipient, message.body) == ("+61491570156", "12345", "жизнь " * 30)

    play(scenario)


def test_before_it_is_open_and_after_it_is_closed_it_is_not_ready() -> None:
    async def whole() -> None:
        sandbox = SandboxSms("sandbox-sms")
        assert not sandbox.ready
        await soon(sandbox.open(Recorder()))
        assert sandbox.ready
        assert sandbox.capacity > 0
        await soon(sandbox.close())
        assert not sandbox.ready
        (outcome,) = await soon(asyncio.ensure_future(sandbox.send([sms("+61491570156")])))
        assert isinstance(outcome, Retry)

    run(whole)
