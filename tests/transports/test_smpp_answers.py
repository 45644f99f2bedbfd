"""What carriers answer to a submit_sm beside plain yes and no: other commands, other numbers, other ids."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from heliograph.transports.base import Failed, Outcome, Retry, Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.transport import SmppTransport
from support.smsc import Heard, Script, ScriptedSmsc, answer, taken
from transports.conformance import Recorder, run, sms, soon
from transports.wire import QUICK, TAKEN

Scenario = Callable[[ScriptedSmsc, SmppTransport, Recorder], Awaitable[None]]

OTHERS = [
    pdu.BIND_TRANSCEIVER,
    pdu.DELIVER_SM,
    pdu.UNBIND,
    pdu.ENQUIRE_LINK,
    pdu.DATA_SM,
    0x03,  # query_sm
    0x7FFF,
]
"""Commands whose responses say nothing of a submit_sm."""


def play(script: Script, scenario: Scenario, **options: Any) -> None:
    async def whole() -> None:
        events = Recorder()
        async with ScriptedSmsc(script) as smsc:
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", smsc.port, **options), timing=QUICK)
            await soon(transport.open(events))
            try:
                await scenario(smsc, transport, events)
            finally:
                await soon(transport.close())

    run(whole())


def outcome_of(script: Script, *, response_timeout: float = 10.0) -> Outcome:
    """What becomes of one message."""
    outcomes: list[Outcome] = []

    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        outcomes.extend(await soon(transport.send([sms(TAKEN)])))

    play(script, scenario, response_timeout=response_timeout)
    (outcome,) = outcomes
    return outcome


@pytest.mark.parametrize("command", OTHERS)
@pytest.mark.parametrize("status", [0, pdu.ESME_RSYSERR])
def test_a_response_to_another_command_is_no_answer(command: int, status: int) -> None:
    outcome = outcome_of(
        lambda heard: [answer(heard, status, "1", command | pdu.RESPONSE)],
        response_timeout=0.2,
    )
    assert isinstance(outcome, Retry)
    assert outcome.maybe_sent
    assert outcome.code is None


def test_the_right_answer_counts_after_a_wrong_one() -> None:
    def script(heard: Heard) -> Iterable[bytes]:
        return [answer(heard, 0, "", pdu.ENQUIRE_LINK | pdu.RESPONSE), answer(heard, 0, "right")]

    assert outcome_of(script) == Sent(("right",))


def test_generic_nack_without_an_error_leaves_a_doubt_at_once() -> None:
    outcome = outcome_of(lambda heard: [answer(heard, 0, "", pdu.GENERIC_NACK)], response_timeout=3600)
    assert isinstance(outcome, Retry)
    assert outcome.maybe_sent
    assert outcome.code is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (pdu.ESME_RINVCMDLEN, Failed),
        (pdu.ESME_RINVCMDID, Failed),
        (pdu.ESME_RTHROTTLED, Retry),
        (pdu.ESME_RSYSERR, Retry),
    ],
)
def test_generic_nack_is_an_error_by_its_status(status: int, kind: type[Failed | Retry]) -> None:
    outcome = outcome_of(lambda heard: [answer(heard, status, "", pdu.GENERIC_NACK)])
    assert isinstance(outcome, kind)
    assert outcome.code == status
    assert not (isinstance(outcome, Retry) and outcome.maybe_sent)


def test_a_generic_nack_to_nobody_answers_nothing() -> None:
    """A peer that could not even read the number writes 0 (SMPP 3.4, 4.3.1)."""

    def script(heard: Heard) -> Iterable[bytes]:
        return [pdu.encode(pdu.GENERIC_NACK, pdu.ESME_RINVCMDLEN, 0), answer(heard, 0, "7")]

    assert outcome_of(script) == Sent(("7",))


def test_a_second_answer_under_the_same_number_changes_nothing() -> None:
    def script(heard: Heard) -> Iterable[bytes]:
        return [answer(heard, 0, "first"), answer(heard, pdu.ESME_RSYSERR), answer(heard, 0, "third")]

    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("first",))]
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("first",))]

    play(script, scenario)


def test_a_response_that_is_longer_than_it_says_leaves_no_doubt_behind() -> None:
    """What follows the declared end cannot be read: the connection is given up, and what was answered stays so."""

    def script(heard: Heard) -> Iterable[bytes]:
        whole = answer(heard, 0, "7")
        return [whole + b"and more than was said"]

    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("7",))]
        await smsc.until(lambda: len(smsc.binds) >= 2)

    play(script, scenario, reconnect_max=0.05)


PARTS = ("a" * 153, "b" * 153, "c")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("7", "7", "7"), ("7",)),
        (("00A7", "a7", "A7"), ("a7",)),
        (("7", "", ""), ("7",)),
        (("", "", "7"), ("7",)),
        (("7", "7", "8"), ("7", "8")),
        (("7", "8", "9"), ("7", "8", "9")),
        (("", "", ""), ()),
        ((" ", " ", " "), ()),
    ],
)
def test_each_id_of_a_long_message_is_told_once(ids: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """There are as many receipts to wait for as there are ids, not parts."""
    left = list(ids)

    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        assert await soon(transport.send([sms(TAKEN, parts=PARTS)])) == [Sent(expected)]

    play(lambda heard: [answer(heard, 0, left.pop(0))], scenario)


def test_an_id_that_is_no_id_is_none() -> None:
    """SMPP has 64 characters for it (5.2.23). No database can look up what fills a packet, and nobody sends it back."""
    assert outcome_of(taken("x" * 60_000)) == Sent(())
    assert outcome_of(taken("1" * 60_000)) == Sent(())
    assert outcome_of(taken("0" * 60_000 + "7")) == Sent(())
    assert outcome_of(taken("x" * 255)) == Sent(("x" * 255,))
