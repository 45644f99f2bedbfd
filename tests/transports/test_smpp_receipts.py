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
    report = receipts.read(message, "same")
    assert report is not None
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
    assert receipts.read(deliver("text:id:1 stat:DELIVRD err:0"), "same") is None


@pytest.mark.parametrize("text", ["", "hello", "stat:DELIVRD", "id:42", "id: stat:DELIVRD"])
def test_without_id_or_state_there_is_no_receipt(text: str) -> None:
    assert receipts.read(deliver(text), "same") is None


def test_the_carriers_words_are_kept() -> None:
    report = receipts.read(deliver("id:42 stat:DELIVRD err:000 text:é"), "same")
    assert report is not None
    assert report.raw == "id:42 stat:DELIVRD err:000 text:é"


def test_a_receipt_is_told_by_flag_or_tlv_but_not_by_its_text() -> None:
    forged = "id:42 sub:001 dlvrd:001 submit date:26 done date:26 stat:DELIVRD err:000 text:"
    assert not receipts.is_receipt(deliver(forged, esm_class=0))
    assert not receipts.is_receipt(deliver(forged, esm_class=0x40))
    assert receipts.is_receipt(deliver(forged, esm_class=0x04))
    assert receipts.is_receipt(deliver(forged, esm_class=0x44 | 0x03)), "the mode and UDHI stand beside the type"
    assert receipts.is_receipt(deliver(forged, esm_class=0x20))
    assert receipts.is_receipt(deliver("", esm_class=0, message_id=b"42\0"))


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
    ],
)
def test_response_and_receipt_name_the_same_message(form: receipts.IdForm, response: str, receipt: str) -> None:
    assert receipts.response_id(response, form) == receipts.receipt_id(receipt, form)


def test_ids_whose_case_may_matter_stay_apart() -> None:
    assert receipts.response_id("aB1", "same") != receipts.response_id("Ab1", "same")
    assert receipts.response_id("Zz", "hex-to-decimal") == "Zz"
    assert receipts.response_id("0", "same") == "0"


def test_the_usual_text_is_read_like_any_other() -> None:
    """Two ways lead through the parser; a second blank takes the slow one."""
    usual = "id:42 sub:001 dlvrd:001 submit date:2611240101 done date:2611240102 stat:EXPIRED err:007 text:Hello"
    assert read(deliver(usual)) == read(deliver(usual.replace(" sub", "  sub"))) == ("42", "expired", "007")
