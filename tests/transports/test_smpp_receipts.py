"""Receipts as carriers write them."""

import pytest

from heliograph.transports.base import ReceiptState
from heliograph.transports.smpp import receipts
from heliograph.transports.smpp.pdu import Address, ShortMessage


def deliver(text: str, esm_class: int = 4, data_coding: int = 0, **tlvs: bytes) -> ShortMessage:
    tags = {"message_id": 0x1E, "state": 0x427, "network_error": 0x423, "payload": 0x424}
    octets = text.encode("utf-16-be" if data_coding == 8 else "latin-1")
    named = {tags[name]: value for name, value in tlvs.items()}
    return ShortMessage(Address(1, 1, "61491"), Address(1, 1, "61481"), esm_class, data_coding, 0, octets, named)


def read(message: ShortMessage) -> tuple[str, ReceiptState, str | None]:
    report = receipts.sort(message, "same")
    assert isinstance(report, receipts.Report), report
    return report.remote_id, report.state, report.error


@pytest.mark.parametrize(
    ("text", "remote_id", "state", "error"),
    [
        (
            "id:1a2b sub:001 dlvrd:001 submit date:2611240101 done date:2611240102 stat:DELIVRD err:000 text:Hello",
            "1a2b",
            "delivered",
            None,
        ),
        (
            "id:42 sub:001 dlvrd:000 submit date:261124010203 done date:261124010204 stat:UNDELIV err:21B text:",
            "42",
            "failed",
            "21B",
        ),
        ("ID:42 SUB:001 DLVRD:001 SUBMIT DATE:26 DONE DATE:26 STAT:delivrd ERR:000 TEXT:", "42", "delivered", None),
        ("id: 42 sub: 1 dlvrd: 1 submit date: 26 done date: 26 stat: EXPIRED err: 9 Text: x", "42", "expired", "9"),
        ("id:42  stat:REJECTD  err:88", "42", "failed", "88"),
        ("stat:DELIVRD id:42", "42", "delivered", None),
        ("id:42 stat:DELETED err:", "42", "failed", None),
        ("id:42 stat:DELIVERED", "42", "delivered", None),
        ("id:42 stat:DELIV", "42", "delivered", None),
        ("id:42 stat:UNDELIVERABLE err:1", "42", "failed", "1"),
        ("id:42 stat:REJECTED err:1", "42", "failed", "1"),
        ("id:42 stat:UNKNOWN err:1", "42", "failed", "1"),
        ("id:42 stat:ACCEPTD err:0", "42", "enroute", None),
        ("id:42 stat:ENROUTE err:0", "42", "enroute", None),
        ("id:42 stat:ZAPPED err:0", "42", "enroute", None),
        ("id:0000042 stat:DELIVRD", "42", "delivered", None),
        ("id:00FF stat:DELIVRD", "ff", "delivered", None),
        ("id:6B29FC40-CA47 stat:DELIVRD", "6b29fc40-ca47", "delivered", None),
        ("id:0aBcZ stat:DELIVRD", "0aBcZ", "delivered", None),
        ("id:42 stat:UNDELIV err:-1", "42", "failed", "-1"),
        ("id:42 stat:UNDELIV err:EC_UNKNOWN_SUBSCRIBER", "42", "failed", "EC_UNKNOWN_SUBSCRIBER"),
        ("id:42 stat:UNDELIV err:000\0", "42", "failed", None),
        ("id:42 submit date:26 done date:2026-11-24 01:02:03 stat:DELIVRD", "42", "delivered", None),
        ("id:42 sub:001 dlvrd:000 submit date:26 done date: stat:EXPIRED err:", "42", "expired", None),
        ("Id:42 Sub:001 Dlvrd:001 Submit Date:26 Done Date:26 Stat:Delivrd Err:000 Text:", "42", "delivered", None),
        ("id:42\r\nsub:001\r\nstat:DELIVRD\r\nerr:000", "42", "delivered", None),
    ],
)
def test_texts(text: str, remote_id: str, state: ReceiptState, error: str | None) -> None:
    assert read(deliver(text)) == (remote_id, state, error)


def test_tlvs_count_more_than_the_text() -> None:
    message = deliver(
        "id:1 sub:001 dlvrd:001 submit date:26 done date:26 stat:DELIVRD err:000 text:",
        message_id=b"2\0",
        state=b"\x05",
        network_error=b"\x03\x01\x02",
    )
    assert read(message) == ("2", "failed", "258")


def test_tlvs_suffice() -> None:
    assert read(deliver("", message_id=b"2", state=b"\x02", network_error=b"\x03\0\0")) == ("2", "delivered", None)


@pytest.mark.parametrize(
    ("value", "state"),
    list(
        enumerate(
            ["enroute", "enroute", "delivered", "expired", "failed", "failed", "enroute", "failed", "failed", "failed"]
        )
    ),
)
def test_message_states(value: int, state: ReceiptState) -> None:
    assert read(deliver("", message_id=b"2\0", state=bytes((value,))))[1] == state


def test_an_unknown_message_state_leaves_it_to_the_text() -> None:
    assert read(deliver("id:2 stat:DELIVRD", state=b"\x63"))[1] == "delivered"


def test_the_text_may_be_ucs2_or_a_payload() -> None:
    assert read(deliver("id:42 stat:EXPIRED err:5", data_coding=8)) == ("42", "expired", "5")
    assert read(deliver("", payload=b"id:42 stat:EXPIRED err:5")) == ("42", "expired", "5")


def test_the_message_that_is_quoted_proves_nothing() -> None:
    assert read(deliver("id:42 stat:UNDELIV err:7 text:id:1 stat:DELIVRD err:0")) == ("42", "failed", "7")
    assert receipts.sort(deliver("text:id:1 stat:DELIVRD err:0"), "same") == "nothing"
    assert receipts.sort(deliver("text id:1 stat:DELIVRD", esm_class=0), "same") == "message"


@pytest.mark.parametrize("text", ["", "hello", "stat:DELIVRD", "id:42", "id: stat:DELIVRD"])
def test_without_id_or_state_there_is_no_receipt(text: str) -> None:
    assert receipts.sort(deliver(text), "same") == "nothing"


def test_the_carriers_words_are_kept() -> None:
    report = receipts.sort(deliver("id:42 stat:DELIVRD err:000 text:é"), "same")
    assert isinstance(report, receipts.Report)
    assert report.raw == "id:42 stat:DELIVRD err:000 text:é"


FORGED = "id:42 sub:001 dlvrd:001 submit date:26 done date:26 stat:DELIVRD err:000 text:"


@pytest.mark.parametrize(
    "message",
    [
        deliver(FORGED, esm_class=0),
        deliver(FORGED, esm_class=0x40),
        deliver(FORGED, esm_class=0, message_id=b""),
        deliver(FORGED, esm_class=0, message_id=b"\0"),
        deliver(FORGED, esm_class=0, message_id=b" \0"),
        deliver(FORGED, esm_class=0, state=b""),
        deliver("my id: 5, stat: fine", esm_class=0),
        deliver("id:5 is not what you think", esm_class=0, message_id=b"\0", state=b"\2"),
        deliver("Hello", esm_class=0, message_id=b"\0", state=b"\0", network_error=b"\0\0\0"),
        deliver("Hello", esm_class=0, message_id=b"42\0"),
        deliver("Hello", esm_class=0, message_id=b"42\0", state=b"\0"),
        deliver("", esm_class=0),
        deliver("", esm_class=0, payload=b"Hello", message_id=b"42\0"),
        deliver("Yes, I come", esm_class=0x10),
        deliver("Yes, I come", esm_class=0x10, message_id=b"42\0"),
        deliver("Yes, I come", esm_class=0x08, message_id=b"42\0"),
        deliver("Good bye", esm_class=0x18),
    ],
)
def test_what_somebody_wrote_is_a_message(message: ShortMessage) -> None:
    """The text alone is no receipt, an empty TLV says nothing, and a phone may acknowledge with a text."""
    assert receipts.sort(message, "same") == "message"


@pytest.mark.parametrize(
    ("message", "state"),
    [
        (deliver(FORGED, esm_class=0x04), "delivered"),
        (deliver(FORGED, esm_class=0x07), "delivered"),
        (deliver(FORGED, esm_class=0x84), "delivered"),
        (deliver(FORGED, esm_class=0x24), "delivered"),
        (deliver(FORGED, esm_class=0x08), "delivered"),
        (deliver(FORGED, esm_class=0x10), "delivered"),
        (deliver(FORGED, esm_class=0x20), "enroute"),
        (deliver(FORGED.replace("DELIVRD", "UNDELIV"), esm_class=0x20), "enroute"),
        (deliver("id:42", esm_class=0x20), "enroute"),
        (deliver("", esm_class=0x20, message_id=b"42\0", state=b"\5"), "enroute"),
        (deliver("", esm_class=0x08, message_id=b"42\0"), "delivered"),
        (deliver("", esm_class=0x10, message_id=b"42"), "delivered"),
        (deliver("", esm_class=0x08, message_id=b"42\0", state=b"\5"), "failed"),
        (deliver("", esm_class=0, message_id=b"42\0", state=b"\2"), "delivered"),
        (deliver(FORGED, esm_class=0, message_id=b"42\0"), "delivered"),
        (deliver(FORGED, esm_class=0, state=b"\5"), "failed"),
        (deliver("", esm_class=4, message_id=b"42\0", state=b"\0"), "enroute"),
        (deliver("id:42 stat:DELIVRD", esm_class=4, state=b"\0"), "delivered"),
        (deliver("", esm_class=4, payload=FORGED.encode()), "delivered"),
        (deliver("", esm_class=0, payload=FORGED.encode(), message_id=b"42\0"), "delivered"),
    ],
)
def test_esm_class_or_a_tlv_makes_a_receipt(message: ShortMessage, state: ReceiptState) -> None:
    assert read(message)[:2] == ("42", state)


@pytest.mark.parametrize(
    "message",
    [
        deliver("Hello", esm_class=0x04),
        deliver("Hello", esm_class=0x20),
        deliver("", esm_class=0x04, message_id=b"42\0"),
        deliver("", esm_class=0x08),
        deliver("", esm_class=0, message_id=b"42\0"),
        deliver("id:42", esm_class=0x04),
        deliver(f"id:{'7' * 300} stat:DELIVRD", esm_class=0x04),
    ],
)
def test_a_receipt_of_nothing_is_nothing(message: ShortMessage) -> None:
    assert receipts.sort(message, "same") == "nothing"


def test_the_data_coding_of_the_message_may_stand_beside_a_text_in_ascii() -> None:
    for coding in (8, 0x18, 0xE0, 4, 0xF1, 0xF5):
        message = ShortMessage(Address(1, 1, "1"), Address(1, 1, "2"), 4, coding, 0, FORGED.encode(), {})
        assert read(message) == ("42", "delivered", None), coding
        padded = ShortMessage(Address(1, 1, "1"), Address(1, 1, "2"), 4, coding, 0, FORGED.encode() + b"\0\0", {})
        assert read(padded) == ("42", "delivered", None), coding


@pytest.mark.parametrize("data_coding", [0x08, 0x18, 0xE1])
@pytest.mark.parametrize("codec", ["utf-16-be", "utf-16-le"])
def test_ucs2_with_a_byte_order_mark(data_coding: int, codec: str) -> None:
    octets = ("\ufeff" + FORGED).encode(codec)
    assert read(ShortMessage(Address(1, 1, "1"), Address(1, 1, "2"), 4, data_coding, 0, octets, {}))[0] == "42"


def test_a_flag_for_a_header_that_is_not_there_takes_nothing_away() -> None:
    assert read(deliver(FORGED + "x" * 60, esm_class=0x44))[:2] == ("42", "delivered")
    assert read(deliver("\x05\x00\x03\x09\x02\x01" + FORGED, esm_class=0x44))[:2] == ("42", "delivered")


@pytest.mark.parametrize(
    ("form", "response", "receipt"),
    [
        ("same", "A1B2", "a1b2"),
        ("same", "00042", "42"),
        ("same", " 42\0", "42"),
        ("hex-to-decimal", "2A", "0000000042"),
        ("hex-to-decimal", "002a", "42"),
        ("decimal-to-hex", "42", "2A"),
        ("decimal-to-hex", "0042", "0x2a"),
        ("decimal-to-hex", "42", "000000002A"),
        ("hex-to-decimal", "0x002A", "42"),
        ("hex-to-decimal", "2A", "2a"),
        ("same", "0A1B2", "a1b2"),
        ("same", "00000000", "0"),
        ("same", "2A", "0x2a"),
        ("same", "0X0002A", "0x2A"),
        ("same", "6B29FC40-CA47", "6b29fc40-ca47"),
    ],
)
def test_response_and_receipt_name_the_same_message(form: receipts.IdForm, response: str, receipt: str) -> None:
    assert receipts.response_id(response, form) == receipts.receipt_id(receipt, form)


def test_ids_whose_case_may_matter_stay_apart() -> None:
    assert receipts.response_id("aB1", "same") != receipts.response_id("Ab1", "same")
    assert receipts.response_id("Zz", "hex-to-decimal") == "Zz"
    assert receipts.response_id("0", "same") == "0"


@pytest.mark.parametrize("form", ["same", "hex-to-decimal", "decimal-to-hex"])
@pytest.mark.parametrize("message_id", ["1_0", "+10", "-10", "1 0", "10L", "0x"])
def test_what_is_no_number_is_not_read_as_one(form: receipts.IdForm, message_id: str) -> None:
    """Python would read some of them as 10, and two messages would have one id."""
    assert receipts.response_id(message_id, form) == receipts.receipt_id(message_id, form) == message_id


def test_the_usual_text_is_read_like_any_other() -> None:
    """Two ways lead through the parser; a second blank takes the slow one."""
    usual = "id:42 sub:001 dlvrd:001 submit date:2611240101 done date:2611240102 stat:EXPIRED err:007 text:Hello"
    assert read(deliver(usual)) == read(deliver(usual.replace(" sub", "  sub"))) == ("42", "expired", "007")
