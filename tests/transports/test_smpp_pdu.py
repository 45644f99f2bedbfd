"""PDUs on the wire, against bytes written by hand after the tables of SMPP 3.4 and against the codec."""

from contextlib import suppress

import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st

from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import Address, Bind, PduError, ShortMessage

SOURCE = Address(5, 0, "Heliograph")
DEST = Address(1, 1, "61491570156")


def test_a_submit_sm_has_the_bytes_of_the_standard() -> None:
    body = pdu.encode_short_message(
        pdu.encode_address(SOURCE),
        pdu.encode_address(DEST),
        b"Hi",
        esm_class=0x40,
        validity=b"261124120000000+\0",
        registered_delivery=1,
        data_coding=8,
    )
    assert body == (
        b"\0"  # service_type
        b"\x05\x00Heliograph\0"
        b"\x01\x0161491570156\0"
        b"\x40\x00\x00"  # esm_class, protocol_id, priority_flag
        b"\0"  # schedule_delivery_time
        b"261124120000000+\0"  # validity_period
        b"\x01\x00\x08\x00"  # registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
        b"\x02Hi"
    )
    assert pdu.encode(pdu.SUBMIT_SM, 0, 7, body)[:16] == bytes.fromhex("00000048 00000004 00000000 00000007")


def test_the_codec_reads_what_we_write() -> None:
    ours = pdu.encode_short_message(
        pdu.encode_address(SOURCE), pdu.encode_address(DEST), b"", tlvs=[(pdu.TAG_MESSAGE_PAYLOAD, b"x" * 300)]
    )
    theirs = smpp34.DeliverSm(
        "Heliograph",
        "61491570156",
        b"",
        source_addr_ton=5,
        dest_addr_ton=1,
        dest_addr_npi=1,
        tlvs=[smpp34.Tlv(pdu.TAG_MESSAGE_PAYLOAD, b"x" * 300)],
        sequence_number=3,
    )
    assert pdu.encode(pdu.DELIVER_SM, 0, 3, ours) == theirs.encode()


@given(
    source=st.text("0123456789abcXYZ ", max_size=20),
    octets=st.binary(max_size=254),
    esm_class=st.integers(0, 255),
    data_coding=st.integers(0, 255),
    tlvs=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=4),
)
def test_what_was_written_is_read(
    source: str, octets: bytes, esm_class: int, data_coding: int, tlvs: dict[int, bytes]
) -> None:
    address = Address(5, 0, source)
    body = pdu.encode_short_message(
        pdu.encode_address(address),
        pdu.encode_address(DEST),
        octets,
        esm_class=esm_class,
        registered_delivery=17,
        data_coding=data_coding,
        tlvs=tlvs.items(),
    )
    read = pdu.decode_short_message(pdu.DELIVER_SM, body)
    assert read == ShortMessage(address, DEST, esm_class, data_coding, 17, octets, tlvs)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(PduError):
        assert isinstance(pdu.decode_short_message(pdu.DELIVER_SM, body), ShortMessage)


DATA_SM_BODY = (
    b"\0"  # service_type
    b"\x05\x00Heliograph\0"
    b"\x01\x0161491570156\0"
    b"\x44\x01\x08"  # esm_class, registered_delivery, data_coding
)


def test_a_data_sm_has_its_text_in_a_tlv() -> None:
    """SMPP 3.4, 4.7.1."""
    read = pdu.decode_short_message(pdu.DATA_SM, DATA_SM_BODY + b"\x04\x24\x00\x02Hi\x00\x1e\x00\x027\0")
    assert read == ShortMessage(SOURCE, DEST, 0x44, 8, 1, b"", {pdu.TAG_MESSAGE_PAYLOAD: b"Hi", 0x1E: b"7\0"})
    assert read.content == b"Hi"


def test_a_data_sm_may_hold_nothing_but_addresses() -> None:
    read = pdu.decode_short_message(pdu.DATA_SM, DATA_SM_BODY)
    assert read == ShortMessage(SOURCE, DEST, 0x44, 8, 1, b"", {})
    assert read.content == b""


@pytest.mark.parametrize("length", range(len(DATA_SM_BODY)))
def test_a_data_sm_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(PduError):
        pdu.decode_short_message(pdu.DATA_SM, DATA_SM_BODY[:length])


@given(st.binary(max_size=200))
def test_any_data_sm_is_read_or_refused(body: bytes) -> None:
    with suppress(PduError):
        assert isinstance(pdu.decode_short_message(pdu.DATA_SM, body), ShortMessage)


def test_an_empty_payload_leaves_the_text_alone() -> None:
    body = pdu.encode_short_message(
        pdu.encode_address(SOURCE), pdu.encode_address(DEST), b"Hi", tlvs=[(pdu.TAG_MESSAGE_PAYLOAD, b"")]
    )
    assert pdu.decode_short_message(pdu.DELIVER_SM, body).content == b"Hi"


def test_a_body_that_is_cut_short_is_refused_with_a_reason() -> None:
    body = pdu.encode_short_message(pdu.encode_address(SOURCE), pdu.encode_address(DEST), b"Hello")
    with pytest.raises(PduError, match="ESME_RINVPARLEN"):
        pdu.decode_short_message(pdu.DELIVER_SM, body[:-1])


def test_garbage_after_the_text_does_not_spoil_a_message() -> None:
    body = pdu.encode_short_message(pdu.encode_address(SOURCE), pdu.encode_address(DEST), b"Hi")
    assert pdu.decode_short_message(pdu.DELIVER_SM, body + b"\x00\x1e\x00").octets == b"Hi"


def test_the_first_of_two_equal_tlvs_counts() -> None:
    body = pdu.encode_short_message(
        pdu.encode_address(SOURCE), pdu.encode_address(DEST), b"", tlvs=[(0x1E, b"first\0"), (0x1E, b"second\0")]
    )
    assert pdu.decode_short_message(pdu.DELIVER_SM, body).tlvs == {0x1E: b"first\0"}


def test_more_than_255_octets_need_a_tlv() -> None:
    with pytest.raises(ValueError, match="256"):
        pdu.encode_short_message(pdu.encode_address(SOURCE), pdu.encode_address(DEST), b"x" * 256)


def test_a_nul_cannot_end_a_field_early() -> None:
    assert pdu.c_string("a\0\x05b") == b"a\x05b\0"


def test_what_latin_1_lacks_becomes_a_question_mark() -> None:
    assert pdu.c_string("Café Ω") == b"Caf\xe9 ?\0"


def test_a_bind_is_written_and_read() -> None:
    bind = Bind("heliograph", "a password that is longer than 8", "VMA")
    body = pdu.encode_bind(bind)
    assert body == b"heliograph\0a password that is longer than 8\0VMA\0\x34\0\0\0"
    assert pdu.decode_bind(body) == bind


@pytest.mark.parametrize(("body", "system_id"), [(b"", ""), (b"id", "id"), (b"id\0", "id")])
def test_a_bind_that_is_cut_short_is_empty_at_its_end(body: bytes, system_id: str) -> None:
    assert pdu.decode_bind(body) == Bind(system_id, "")


def test_statuses_have_names() -> None:
    assert pdu.status_name(0x0B) == "ESME_RINVDSTADR"
    assert pdu.status_name(0x401) == "command_status 0x00000401"
