"""Long messages put together again, by 3GPP TS 23.040 and SMPP 3.4."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.transports.base import Inbound, Part
from heliograph.transports.smpp import alphabet, parts
from heliograph.transports.smpp.parts import Place
from heliograph.transports.smpp.pdu import Address, ShortMessage
from support.logs import own_logs

HANDSET, SERVICE = Address(1, 1, "61491570156"), Address(1, 1, "61481074190")


def message(
    octets: bytes, esm_class: int = 0, data_coding: int = 0, tlvs: Mapping[int, bytes] | None = None
) -> ShortMessage:
    return ShortMessage(HANDSET, SERVICE, esm_class, data_coding, 0, octets, tlvs or {})


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (b"\x05\x00\x03\x09\x02\x01", Place(9, 2, 1)),
        (b"\x06\x08\x04\x01\x02\x02\x01", Place(0x102, 2, 1)),
        (b"\x0b\x05\x04\x15\x81\x15\x81\x00\x03\x09\x02\x01", Place(9, 2, 1)),
        (b"\x06\x05\x04\x15\x81\x15\x81", None),
        (b"\x05\x00\x03\x09\x01\x01", None),
        (b"\x05\x00\x03\x09\x02\x03", None),
        (b"\x05\x00\x03\x09\x02\x00", None),
        (b"\x03\x00\x03\x09", None),
        (b"\x00", None),
    ],
    ids=["8-bit", "16-bit", "after ports", "ports", "1 of 1", "3 of 2", "0 of 2", "cut short", "empty"],
)
def test_headers(header: bytes, place: Place | None) -> None:
    assert parts.take_apart(message(header + b"text", 0x40)) == (place, b"text")


def test_a_header_longer_than_the_text_is_text() -> None:
    assert parts.take_apart(message(b"\x30hello", 0x40)) == (None, b"\x30hello")
    assert parts.take_apart(message(b"", 0x40)) == (None, b"")


@pytest.mark.parametrize(
    ("octets", "data_coding"),
    [
        (b"STOP", 0),
        (b"Hello " * 20, 0),
        (b"i" * 110, 0),
        ("STOP".encode("utf-16-be"), 8),
        ("STOP".encode("utf-16-be"), 0x18),
        ("Привет, как дела".encode("utf-16-be"), 8),
        (("中文" * 60).encode("utf-16-be"), 8),
        (b"", 8),
    ],
)
def test_a_flag_for_a_header_that_is_not_there_takes_nothing_away(octets: bytes, data_coding: int) -> None:
    """Some carriers set it on every message."""
    assert parts.take_apart(message(octets, 0x40, data_coding)) == (None, octets)


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (b"\x00", None),
        (b"\x05\x00\x03\x09\x02\x01", Place(9, 2, 1)),
        (b"\x06\x08\x04\x01\x02\x02\x01", Place(0x102, 2, 1)),
        (b"\x06\x05\x04\x15\x81\x15\x81", None),
    ],
)
def test_headers_before_ucs2(header: bytes, place: Place | None) -> None:
    """One of an odd length leaves an odd number of octets behind it, and one that holds nothing is still one."""
    text = "жук".encode("utf-16-be")
    assert parts.take_apart(message(header + text, 0x40, 8)) == (place, text)


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (b"\x0a\x00\x03\x09\x02\x03\x00\x03\x09\x02\x01", Place(9, 2, 1)),
        (b"\x0a\x00\x03\x09\x02\x01\x00\x03\x09\x02\x03", Place(9, 2, 1)),
        (b"\x0b\x00\x03\x09\x02\x01\x08\x04\x01\x02\x02\x02", Place(0x102, 2, 2)),
        (b"\x0b\x08\x04\x01\x02\x02\x02\x00\x03\x09\x02\x01", Place(9, 2, 1)),
        (b"\x07\x70\x00\x00\x03\x09\x02\x01", Place(9, 2, 1)),
        (b"\x04\x00\x02\x09\x02", None),
        (b"\x06\x00\x04\x09\x02\x01\x01", None),
        (b"\x05\x00\x09\x09\x02\x01", None),
        (b"\x01\x00", None),
        (b"\x28" + b"\x70\x21" + b"x" * 33 + b"\x00\x03\x09\x02\x01", Place(9, 2, 1)),
    ],
    ids=[
        "the first is wrong",
        "the last is wrong",
        "both, 16-bit last",
        "both, 8-bit last",
        "after an empty one",
        "too short",
        "too long",
        "beyond the header",
        "half an element",
        "a long header",
    ],
)
def test_odd_headers(header: bytes, place: Place | None) -> None:
    assert parts.take_apart(message(header + b"text", 0x40)) == (place, b"text")


def test_a_header_without_a_place_leaves_it_to_the_tlvs() -> None:
    tlvs = {0x020C: b"\x01\x02", 0x020E: b"\x03", 0x020F: b"\x02"}
    ports = b"\x06\x05\x04\x15\x81\x15\x81"
    assert parts.take_apart(message(ports + b"text", 0x40, tlvs=tlvs)) == (Place(0x102, 3, 2), b"text")


def test_without_the_flag_there_is_no_header() -> None:
    assert parts.take_apart(message(b"\x05\x00\x03\x09\x02\x01text")) == (None, b"\x05\x00\x03\x09\x02\x01text")


def test_sar_tlvs() -> None:
    tlvs = {0x020C: b"\x01\x02", 0x020E: b"\x03", 0x020F: b"\x02"}
    assert parts.take_apart(message(b"text", tlvs=tlvs)) == (Place(0x102, 3, 2), b"text")
    assert parts.take_apart(message(b"text", tlvs={0x020C: b"\x01\x02"})) == (None, b"text")


@pytest.mark.parametrize(
    "tlvs",
    [
        {0x020C: b"\x01" * 9000, 0x020E: b"\x03", 0x020F: b"\x02"},
        {0x020C: b"\x01", 0x020E: b"\xff" * 9000, 0x020F: b"\x02"},
        {0x020C: b"\x01", 0x020E: b"\x01\x00", 0x020F: b"\x02"},
        {0x020C: b"\x01", 0x020E: b"\x02", 0x020F: b""},
        {0x020C: b"\x01", 0x020E: b"\x02", 0x020F: b"\x03"},
    ],
    ids=["reference", "total", "256 parts", "empty", "3 of 2"],
)
def test_sar_tlvs_that_cannot_be_are_none(tlvs: Mapping[int, bytes]) -> None:
    assert parts.take_apart(message(b"text", tlvs=tlvs)) == (None, b"text")


def test_a_payload_may_have_a_header() -> None:
    tlvs = {0x0424: b"\x05\x00\x03\x09\x02\x01text"}
    assert parts.take_apart(message(b"", 0x40, tlvs=tlvs)) == (Place(9, 2, 1), b"text")


@given(
    text=st.text("ab€[😀\u0436", min_size=200, max_size=500),
    size=st.integers(80, 134),
)
def test_any_cut_gives_the_text(text: str, size: int) -> None:
    """Carriers cut where they like: also inside a surrogate pair or an escape pair."""
    try:
        octets, data_coding = alphabet.encode_gsm(text), 0
    except UnicodeEncodeError:
        octets, data_coding = alphabet.encode_ucs2(text), 8
    pieces = [(data_coding, octets[at : at + size]) for at in range(0, len(octets), size)]
    assert parts.join(pieces, "gsm") == text


def test_parts_in_different_codings_are_decoded_each_in_its_own() -> None:
    assert parts.join([(0, b"one "), (8, "\u0436".encode("utf-16-be"))], "gsm") == "one \u0436"


def part(number: int, octets: bytes, at: int) -> Part:
    return Part("carrier", "+61491570156", "+61481074190", 7, 3, number, 0, octets, at)


def test_a_whole_arrived_with_its_last_part() -> None:
    came = [part(1, b"a", 5), part(2, b"b", 9), part(3, b"\x1be", 7)]
    assert parts.whole(came, "gsm") == Inbound("carrier", "sms", "+61491570156", "+61481074190", "ab€", 9)


def test_what_is_missing_is_told_without_the_text() -> None:
    with own_logs() as told:
        assert parts.whole([part(1, b"a", 5), part(3, b"c", 6)], "gsm").body == "ac"
    (line,) = told
    assert (line["event"], line["missing"], line["total"]) == ("smpp.parts_missing", 1, 3)
    assert "ac" not in line.values()


def test_a_header_is_read_as_it_was_written() -> None:
    written = parts.header(200, 3, 2)
    assert written == b"\x05\x00\x03\xc8\x03\x02"
    assert parts.take_apart(message(written + b"text", 0x40)) == (Place(200, 3, 2), b"text")


@pytest.mark.parametrize(
    ("length", "data_coding", "lengths"),
    [(160, 0, [160]), (161, 0, [153, 8]), (140, 8, [140]), (142, 8, [134, 8]), (0, 0, [0])],
)
def test_octets_are_split_where_they_do_not_fit(length: int, data_coding: int, lengths: list[int]) -> None:
    pieces = parts.split(b"\0" * length, data_coding)
    assert list(map(len, pieces)) == lengths
