"""Receipts as carriers really send them: what is one, which message it speaks of, and what it says of it.

TLVs come first, then the text of SMPP 3.4, appendix B. Knows no sockets.
"""

import re
from typing import Final, Literal

import msgspec
import structlog

from heliograph.transports.base import ReceiptState
from heliograph.transports.smpp import alphabet, parts, pdu, receipt_text
from heliograph.transports.smpp.pdu import ShortMessage

log = structlog.get_logger(__name__)

IdForm = Literal["same", "hex-to-decimal", "decimal-to-hex"]

_ONE_CASE: Final = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")
_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")

LONGEST_ID: Final = 255
"""Characters. SMPP has 64 for it (3.4, 5.2.23); what is longer than this, no database can look up."""

_RESPONSE_BASE: Final = {"same": 0, "hex-to-decimal": 16, "decimal-to-hex": 10}
_RECEIPT_BASE: Final = {"same": 0, "hex-to-decimal": 10, "decimal-to-hex": 16}

_STATES: Final[dict[int, ReceiptState]] = {
    1: "enroute",
    2: "delivered",
    3: "expired",
    4: "failed",
    5: "failed",
    6: "enroute",
    7: "failed",
    8: "failed",
    9: "failed",
}
"""message_state (SMPP 3.4, 5.2.28; 9 is 5.0's SKIPPED). 0, in 5.0 SCHEDULED, is also written by who does not know."""


class Report(msgspec.Struct, frozen=True, gc=False):
    """A receipt that was read: the id in its canonical form, the state, the carrier's error, its own words."""

    remote_id: str
    state: ReceiptState
    error: str | None
    raw: str


def sort(message: ShortMessage, form: IdForm) -> Report | Literal["message", "nothing"]:
    """A receipt, or a message that somebody wrote, or nothing: a receipt that names no message or no state.

    esm_class says so (SMPP 3.4, 5.2.12) or a TLV does; a text alone never does, for anybody with a phone can write it.
    What only may be a receipt (the acknowledgement of a phone, reserved types, a TLV on a plain message) is one if it
    can be read as one. If not, its text is a message, so that nothing that somebody wrote is lost.
    """
    kind = message.esm_class & pdu.MESSAGE_TYPE
    certain = kind in (pdu.RECEIPT, pdu.INTERMEDIATE)
    if not certain and not kind and not _has_receipt_tlvs(message):
        return "message"
    report = _read(message, kind, form)
    if report is not None:
        return report
    return "nothing" if certain or not message.content else "message"


def _has_receipt_tlvs(message: ShortMessage) -> bool:
    """An id; or a state, with a text that looks like a receipt. Some carriers send empty TLVs with every message."""
    text = message.content.replace(b"\0", b"").lstrip().lower()
    looks = text.startswith(b"id:") and b"stat:" in text
    return bool(_tlv_id(message) or (message.tlvs.get(pdu.TAG_MESSAGE_STATE) and looks))


def response_id(message_id: str, form: IdForm) -> str:
    """Canonical form of the id in a submit_sm_resp; the same message's receipt gives the same (`receipt_id`).

    `hex-to-decimal`: the response counts in hex, the receipt in decimal.
    """
    return _canonical(message_id, _RESPONSE_BASE[form])


def receipt_id(message_id: str, form: IdForm) -> str:
    """Canonical form of the id in a receipt."""
    return _canonical(message_id, _RECEIPT_BASE[form])


def _canonical(message_id: str, base: int) -> str:
    """In decimal when the base is known; else without padding, and lower case where it reads as a hex number.

    Ids of mixed case stay as they are: they may be base 62, where case tells two messages apart. What is too long for
    an id is none.
    """
    bare = message_id.strip(" \0\r\n\t")
    if len(bare) > LONGEST_ID:
        return ""
    if base and _HEX.fullmatch(bare):
        decimal = base == 10 and bare.isdecimal()
        return str(int(bare, 10 if decimal else 16))
    if _HEX.fullmatch(bare):
        bare = bare.removeprefix("0x").removeprefix("0X")
    if base or not _ONE_CASE.fullmatch(bare):
        return bare
    return bare.lstrip("0").lower() or "0"


def _read(message: ShortMessage, kind: int, form: IdForm) -> Report | None:
    raw = _text(message)
    found = receipt_text.fields(raw)
    remote_id = receipt_id(_tlv_id(message) or found.remote_id, form)
    state = _state(message, kind, found.stat)
    if not remote_id or state is None:
        return None
    error = _tlv_error(message.tlvs.get(pdu.TAG_NETWORK_ERROR_CODE)) or found.error
    return Report(remote_id, state, error if error.strip("0") else None, raw)


def _text(message: ShortMessage) -> str:
    """Some carriers copy the data_coding of the message, but write the receipt in ASCII all the same."""
    octets = parts.take_apart(message)[1]
    ucs2 = alphabet.is_ucs2(message.data_coding) and b"\0" in octets.strip(b"\0")
    return alphabet.decode(octets, alphabet.UCS2 if ucs2 else 0, "latin1")


def _state(message: ShortMessage, kind: int, stat: str) -> ReceiptState | None:
    """An intermediate notification is never the end (SMPP 3.4, 5.2.12).

    A word that nobody knows says at least that the message is somewhere: it must not end its life. A phone that
    acknowledges (2.11) has got the message, if nothing says otherwise.
    """
    if kind == pdu.INTERMEDIATE:
        return "enroute"
    value = message.tlvs.get(pdu.TAG_MESSAGE_STATE)
    if value and value[-1] in _STATES:
        return _STATES[value[-1]]
    if stat:
        state = receipt_text.state_of(stat)
        if state is None:
            log.warning("smpp.receipt_unknown_state", stat=stat)
        return state or "enroute"
    if kind in (pdu.DELIVERY_ACK, pdu.USER_ACK) and not message.content and _tlv_id(message):
        return "delivered"
    return "enroute" if value == b"\0" and (kind == pdu.RECEIPT or not message.content) else None


def _tlv_id(message: ShortMessage) -> str:
    value = message.tlvs.get(pdu.TAG_RECEIPTED_MESSAGE_ID)
    return pdu.read_c_string(value)[0].strip() if value else ""


def _tlv_error(value: bytes | None) -> str:
    """network_error_code: a network type and two octets of code (5.3.2.31); 0 is no error."""
    return str(int.from_bytes(value[-2:], "big") or "") if value and len(value) >= 2 else ""
