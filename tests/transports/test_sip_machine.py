"""Humans and machines by loudness and time; and what SIP messages are read as. Pure."""

import pytest

from heliograph.transports.sip import message, outcomes
from heliograph.transports.sip.machine import Detector, Ending, Verdict
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.orders import Ended

OPTIONS = SipOptions("trunk.example")
FRAME = 0.02


def verdict(*pieces: tuple[float, bool]) -> tuple[Verdict | None, float]:
    """(verdict, when) of a call with pieces of so many seconds, with sound or without."""
    detector, at = Detector(OPTIONS), 0.0
    for seconds, loud in pieces:
        for _ in range(round(seconds / FRAME)):
            at += FRAME
            found = detector.hear(5000.0 if loud else 10.0, FRAME)
            if found is not None:
                return found, round(at, 1)
    return None, at


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(10, False)], ("human", 2.5)),
        ([(0.4, False), (0.5, True), (5, False)], ("human", 1.7)),
        ([(0.3, True), (0.2, False), (0.4, True), (5, False)], ("human", 1.7)),
        ([(10, True)], ("machine", 1.5)),
        ([(0.3, False), *[(0.3, True), (0.1, False)] * 9], ("machine", 1.6)),
        ([*[(0.2, True), (0.7, False)] * 9], ("machine", 2.8)),
        ([(0.04, True), (0.3, False)] * 40, ("unsure", 5.0)),
    ],
)
def test_who_answers(pieces: list[tuple[float, bool]], expected: tuple[Verdict, float]) -> None:
    found, at = verdict(*pieces)
    assert found == expected[0]
    assert at == pytest.approx(expected[1], abs=0.15)


def test_a_greeting_ends_with_silence_or_when_it_was_too_long() -> None:
    ending = Ending(OPTIONS)
    heard = [ending.hear(5000, 0.5), *(ending.hear(0, 0.25) for _ in range(3)), ending.hear(5000, 0.1)]
    assert not any(heard)
    assert [ending.hear(0, 0.5), ending.hear(0, 0.5)] == [False, True]
    endless = Ending(OPTIONS)
    assert [endless.hear(5000, 15.0) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("status", [401, 403, 407, 488, 500, 502, 503, 599, 0])
def test_what_is_the_fault_of_the_trunk_is_no_try(status: int) -> None:
    ended = Ended(1, "refused", status, "Nope")
    assert outcomes.is_away(ended)
    for attempt in (1, 99):
        said = outcomes.outcome(ended, attempt, OPTIONS)
        assert getattr(said, "waiting", False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\r\n\r\n",
        b"INVITE\r\n\r\n",
        b"INVITE sip:a SIP/2.0",
        b"SIP/2.0 abc x\r\n\r\n",
        b"SIP/2.0 \xff\xff\xff OK\r\n:\r\nx\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n" + b"Via: x\r\n" * 5000 + b"\r\n",
    ],
)
def test_whatever_comes_is_read_or_is_none(data: bytes) -> None:
    found = message.decode(data)
    if found is not None:
        assert found.status == 0
        assert found.encode()
        assert message.response(found, 200, "tag").status == 200


def test_compact_headers_and_folded_lines_are_read() -> None:
    data = b"INVITE sip:+61@host SIP/2.0\r\nf: <sip:a@b>;tag=x1\r\ni: id\r\nSubject: a\r\n b\r\nl: 4\r\n\r\nbody"
    found = message.decode(data)
    assert found is not None
    assert (found.method, message.user_of(found.uri), message.tag_of(found.get("from"))) == ("INVITE", "+61", "x1")
    assert (found.get("call-id"), found.get("subject"), found.body) == ("id", "a b", b"body")
