"""The text of receipts, in all the ways in which carriers write fields and states."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.transports.base import ReceiptState
from heliograph.transports.smpp.pdu import Address, ShortMessage
from heliograph.transports.smpp.receipt_text import Fields, fields, state_of
from heliograph.transports.smpp.receipts import receipt_id, response_id, sort

NAMES = ("id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text")
VALUES = ("4f-07", "001", "000", "2611240101", "2611240102", "UNDELIV", "21B", "Hello")


@pytest.mark.parametrize(
    "between", [" ", "  ", ",", ", ", " , ", ";", "; ", "|", " | ", "\n", "\r\n", "\t", "&", "/", " / ", " - ", ""]
)
@pytest.mark.parametrize("colon", [":", ": ", " : ", " :", ":\t"])
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_separators(between: str, colon: str, spell: Callable[[str], str]) -> None:
    text = between.join(f"{spell(name)}{colon}{value}" for name, value in zip(NAMES, VALUES, strict=True))
    assert fields(text) == Fields("4f-07", "UNDELIV", "21B")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=42&stat=DELIVRD&err=000", Fields("42", "DELIVRD", "000")),
        ("id:42sub:001dlvrd:001submit date:26done date:26stat:DELIVRDerr:000text:x", Fields("42", "DELIVRD", "000")),
        ("id:42,sub:001,stat:DELIVRD,err:000,Text:stat:UNDELIV", Fields("42", "DELIVRD", "000")),
        ("err:5 stat:EXPIRED id:42", Fields("42", "EXPIRED", "5")),
        ("id:42 submitdate:26 donedate:26 stat:DELIVRD", Fields("42", "DELIVRD", "")),
        ("id:42 submit_date:26 done_date:26 status:DELIVRD error:7", Fields("42", "DELIVRD", "7")),
        ("message_id:42, state:DELIVRD, error code:7", Fields("42", "DELIVRD", "7")),
        ("Message ID: 42\nStatus: DELIVRD\nError: 7", Fields("42", "DELIVRD", "7")),
        ('id:"42" stat:"DELIVRD" err:"000"', Fields("42", "DELIVRD", "000")),
        ("id:<42> stat:[EXPIRED] err:(3)", Fields("42", "EXPIRED", "3")),
        ("DLR id:42 stat:DELIVRD", Fields("42", "DELIVRD", "")),
        ("uuid:7 id:42 stat:DELIVRD", Fields("42", "DELIVRD", "")),
        ("smsc-id:7 id:42 stat:DELIVRD", Fields("42", "DELIVRD", "")),
        ("valid:7 id:42 stat:DELIVRD", Fields("42", "DELIVRD", "")),
        ("id:42 network_err:9 stat:UNDELIV err:3", Fields("42", "UNDELIV", "3")),
        ("id:42 stat:UNDELIV network_err:9", Fields("42", "UNDELIV", "9")),
        ("id:42 substat:9 stat:UNDELIV", Fields("42", "UNDELIV", "")),
        ("id:42 stat:DELIVRD network:26201 err:0", Fields("42", "DELIVRD", "0")),
        ("id:42 stat:DELIVRD Network-ID:26201", Fields("42", "DELIVRD", "")),
        ("id:42 stat:DELIVERY FAILED err:001", Fields("42", "DELIVERY FAILED", "001")),
        ("id:42 stat:DELIVERY_FAILED err:001", Fields("42", "DELIVERY FAILED", "001")),
        ("id:42 stat: err:001", Fields("42", "", "001")),
        ("id: stat:DELIVRD", Fields("", "DELIVRD", "")),
        ("id:42 id:43 stat:DELIVRD stat:UNDELIV", Fields("42", "DELIVRD", "")),
        ("id:YWJjZGVyZXJy== stat:DELIVRD", Fields("YWJjZGVyZXJy==", "DELIVRD", "")),
        ("id:ab/cd+ef.gh_ij stat:DELIVRD", Fields("ab/cd+ef.gh_ij", "DELIVRD", "")),
        ("id:42 stat:DELIVRD text:id:7 stat:UNDELIV err:9", Fields("42", "DELIVRD", "")),
        ("id:42 sub:001 dlvrd:001 submit date:180711070003912+ done date:180711070000012+ stat:UNDELIV err:000",
         Fields("42", "UNDELIV", "000")),
        ("id:42 done date:2026-11-24 01:02:03 stat:DELIVRD", Fields("42", "DELIVRD", "")),
        ("", Fields()),
        ("Hello", Fields()),
    ],
)  # fmt: skip
def test_fields(text: str, expected: Fields) -> None:
    assert fields(text) == expected


STATES: dict[ReceiptState | None, tuple[str, ...]] = {
    "delivered": (
        *("DELIVRD", "DELIVERED", "DELIVERD", "DELIV", "DLVRD", "SUCCESS", "SUCCESSFUL"),
        *("DELIVERED TO HANDSET", "MESSAGE DELIVERED", "DELIVERY SUCCESS", "SUCCESSFULLY DELIVERED"),
        *("DELIVRD ERR 000", "DELIVRD NETWORK 26201"),
    ),
    "failed": (
        *("UNDELIV", "UNDELIVERABLE", "UNDELIVERED", "UNDELIVRD", "UNDLVRD", "REJECTD", "REJECTED", "DELETED"),
        *("DELETD", "FAILED", "FAIL", "FAILURE", "DELIVERY FAILED", "DELIVERY FAILURE", "DELIVERYFAILED"),
        *("DELIVRDFAIL", "DELIVRD FAILED", "DELIVERED FAILED", "DELIVERY ERROR", "DELIVERY REJECTED", "NOT DELIVERED"),
        *("NON DELIVERED", "NOTDELIVERED", "UN DELIVERED", "UNKNOWN", "UNKNOWN SUBSCRIBER", "UNSUCCESSFUL", "SKIPPED"),
        *("CANCELLED", "BLOCKED", "ERROR", "ERR", "SYSERR", "NOCRED", "INVALID NUMBER", "SENT FAILED", "SUBMIT FAILED"),
    ),
    "expired": ("EXPIRED", "EXPIRD", "EXPD", "EXP", "VALIDITY EXPIRED", "DELIVERY EXPIRED", "NOT DELIVERED EXPIRED"),
    "enroute": (
        *("ENROUTE", "EN ROUTE ENROUTE", "ACCEPTD", "ACCEPTED", "BUFFRED", "BUFFERED", "ACKED", "SCHEDLD", "SCHEDULED"),
        *("SENT", "SUBMITD", "SUBMITTED", "QUEUED", "PENDING", "DELIVERED TO NETWORK", "DELIVERED TO SMSC"),
        *("DELIVERED TO OPERATOR", "DELIVRD TO CARRIER", "DELIVERY PENDING", "DELIVERY DELAYED", "NOT YET DELIVERED"),
        *("TEMPORARY FAILURE", "WILL BE DELIVERED", "SUCCESSFULLY SENT", "PARTIALLY DELIVERED"),
    ),
    None: ("", "DELIVERY", "DELIVERING", "DELIVERABLE", "DELIVER", "DELIVRDX", "DELIVERYREPORT", "ZAPPED", "2", "002"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("stat", "state"), [(stat, state) for state, stats in STATES.items() for stat in stats], ids=str
)
def test_states(stat: str, state: ReceiptState | None) -> None:
    assert state_of(stat) == state


@pytest.mark.parametrize("word", [word for word in STATES["delivered"] if " " not in word])
@pytest.mark.parametrize("more", ["X", "ING", "FAIL", "0", "ABLE"])
def test_no_word_that_begins_like_a_delivery_is_one(word: str, more: str) -> None:
    assert state_of(word + more) != "delivered"


def receipt(text: str) -> ShortMessage:
    return ShortMessage(Address(1, 1, "61491"), Address(1, 1, "61481"), 4, 0, 0, text.encode("latin-1"), {})


@given(st.text("id:stat=errtext, \n0aZ_-", max_size=80))
def test_any_text_is_sorted(text: str) -> None:
    sort(receipt(text), "same")


HOSTILE = {
    "padding of an id": "id:" + "0" * 60_000 + "Z stat:DELIVRD",
    "zeros": "0" * 60_000,
    "an endless value": "id:" + "a" * 60_000 + " :",
    "blanks before a colon": "id" + " " * 60_000,
    "names": "id:" * 20_000,
    "glued names": "1stat:" * 10_000,
    "names without an end": "submit date" * 5_000,
    "words of a state": "id:1 stat:" + "DELIVRD " * 7_000,
    "separators": "id:1 stat:" + "," * 60_000,
    "glue": "id:1" + "-" * 60_000 + "stat:DELIVRD",
    "the usual text, nearly": "id:1 sub:" + "1" * 30_000 + " dlvrd:" + "1" * 30_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_takes_long(text: str) -> None:
    """The processor time of this process alone. What grows with the square needs minutes for these."""
    start = time.process_time()
    sort(receipt(text), "same")
    response_id(text, "hex-to-decimal")
    receipt_id(text, "same")
    assert time.process_time() - start < 2
