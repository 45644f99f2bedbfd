"""Reading what an ESME submits: times, addresses, and whatever octets somebody may send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from esme.peer import submit
from heliograph.esme.reading import Refused, address_in, address_text, moment, read
from heliograph.messaging.channel import Draft
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import Address
from heliograph.transports.smpp.session import Request

NOW = 1_796_040_000.0  # 2026-11-30 12:00:00 UTC


class Anything:
    """A channel that takes every message."""

    def draft(self, who: Any, asked: Any, now: float) -> Draft:
        return Draft(recipient=asked.to, body=asked.body)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("261130120001000+", 1),
        ("261130150000012+", 0),
        ("261130090000012-", 0),
        ("261201120000900+", 86400),
        ("000001000000000R", 86400),
        ("010100010203000R", (365 + 30) * 86400 + 3723),
    ],
)
def test_times(text: str, after: int) -> None:
    assert moment(text, NOW) == int(NOW) + after


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "261130120001000",
        "261130120001000*",
        "261330120001000+",
        "261130250000000+",
        "26113012000\u0661000+",
        "261130120001049+",
        "26113012000100+",
        "0" * 900,
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be in|out of range|^[^ ]*$"):
        moment(text, NOW)


def test_no_time_is_now() -> None:
    assert moment("", NOW) == 0


@given(some.integers(0, 255), some.integers(0, 255), some.text(max_size=25))
def test_an_address_is_kept_as_it_was_written(ton: int, npi: int, text: str) -> None:
    assert address_in(address_text(Address(ton, npi, text))) == Address(ton, npi, text)


@given(some.binary(max_size=300), some.integers(0, 60), some.binary(max_size=20), some.sampled_from([4, 0x103]))
def test_any_octets_are_read_or_refused(body: bytes, at: int, put: bytes, command: int) -> None:
    """Random ones, and a good submit_sm in which some octets are others."""
    good = submit("Hello", schedule="261130120001000+")
    for octets in (body, good[:at] + put + good[at + len(put) :], good[:at]):
        try:
            found = read(Anything(), None, "esme", Request(command, 1, octets), NOW)  # type: ignore[arg-type]
        except Refused:
            continue
        texts = (found.given.to or "") + (found.given.from_ or "") + (found.given.body or "")
        assert b"\0" not in texts.encode()
        pdu.encode_address(address_in(found.source))


@given(some.binary(max_size=60), some.sampled_from([pdu.QUERY_SM, pdu.CANCEL_SM]))
def test_any_octets_name_a_message_or_none(body: bytes, command: int) -> None:
    try:
        named = pdu.decode_named(command, body)
    except pdu.PduError:
        return
    assert "\0" not in named.message_id
