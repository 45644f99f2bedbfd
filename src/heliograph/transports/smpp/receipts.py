"""Receipts as carriers really write them: TLVs first, then the text of SMPP 3.4 appendix B. Knows no sockets."""

import re
from typing import Final, Literal

import msgspec
import structlog

from heliograph.transports.base import ReceiptState
from heliograph.transports.smpp import alphabet, pdu
from heliograph.transports.smpp.pdu import ShortMessage

log = structlog.get_logger(__name__)

IdForm = Literal["same", "hex-to-decimal", "decimal-to-hex"]

_USUAL: Final = re.compile(
    r"id:(\S+) sub:\S* dlvrd:\S* submit date:\S* done date:\S* stat:(\S+) err:(\S*)(?= |$)", re.IGNORECASE
)
_FIELD: Final = re.compile(r"\b(id|stat|err)\s*[:=]\s*([^\s:]*)(?!\S*\s*:)", re.IGNORECASE)
_TEXT: Final = re.compile(r"\btext\s*[:=]", re.IGNORECASE)
_ONE_CASE: Final = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")
_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")

LONGEST_ID: Final = 255
"""Characters. SMPP has 64 for it (3.4, 5.2.23); what is longer than this, no database can look up."""

_RESPONSE_BASE: Final = {"same": 0, "hex-to-decimal": 16, "decimal-to-hex": 10}
_RECEIPT_BASE: Final = {"same": 0, "hex-to-decimal": 10, "decimal-to-hex": 16}

_TLV_STATES: Final[dict[int, ReceiptState]] = {
    0: "enroute",
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
"""message_state (SMPP 3.4, 5.2.28; 0 and 9 are 5.0's SCHEDULED and SKIPPED)."""

_WORDS: Final[tuple[tuple[str, ReceiptState], ...]] = (
    ("DELIV", "delivered"),
    ("DLV", "delivered"),
    ("SUCC", "delivered"),
    ("UNDEL", "failed"),
    ("EXP", "expired"),
    ("DELE", "failed"),
    ("REJ", "failed"),
    ("FAIL", "failed"),
    ("UNKN", "failed"),
    ("ENR", "enroute"),
    ("ACC", "enroute"),
    ("BUFF", "enroute"),
    ("PEND", "enroute"),
    ("SCHED", "enroute"),
    ("SENT", "enroute"),
)
"""Beginnings of stat words: carriers write DELIVRD, DELIVERED, DELIV, UNDELIVERABLE, REJECTD, REJECTED …"""


class Report(msgspec.Struct, frozen=True, gc=False):
    """A receipt that was read: the id in its canonical form, the state, the carrier's error, its own words."""

    remote_id: str
    state: ReceiptState
    error: str | None
    raw: str


def is_receipt(message: ShortMessage) -> bool:
    """Whether a deliver_sm reports on a message of ours.

    By esm_class or by TLV: never by its text alone, which anybody with a phone can write.
    """
    return (message.esm_class & pdu.MESSAGE_TYPE) in (pdu.RECEIPT, pdu.INTERMEDIATE) or (
        pdu.TAG_RECEIPTED_MESSAGE_ID in message.tlvs
    )


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
    if base or not _ONE_CASE.fullmatch(bare):
        return bare
    return bare.lstrip("0").lower() or "0"


def read(message: ShortMessage, form: IdForm) -> Report | None:
    """Read a receipt; None when it names no message or no state."""
    octets = message.tlvs.get(pdu.TAG_MESSAGE_PAYLOAD) or message.octets
    raw = alphabet.decode(octets, alphabet.UCS2 if message.data_coding & 0x0C == 0x08 else 0, "latin1")
    named, word, error = _fields(raw)
    tlv_id = message.tlvs.get(pdu.TAG_RECEIPTED_MESSAGE_ID)
    if tlv_id:
        named = pdu.read_c_string(tlv_id)[0] or named
    state = _tlv_state(message.tlvs.get(pdu.TAG_MESSAGE_STATE)) or _word_state(word)
    if not named or state is None:
        log.warning("smpp.receipt_unreadable", text=raw, source=message.source.text)
        return None
    error = _tlv_error(message.tlvs.get(pdu.TAG_NETWORK_ERROR_CODE)) or error
    return Report(receipt_id(named, form), state, error if error.strip("0") else None, raw)


def _fields(raw: str) -> tuple[str, str, str]:
    """Id, stat and err of the text. What follows `text:` is the message itself and proves nothing."""
    usual = _USUAL.match(raw)
    if usual:
        return usual[1], usual[2], usual[3]
    text = _TEXT.search(raw)
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(raw[: text.start()] if text else raw):
        found.setdefault(name.lower(), value)
    return found.get("id", ""), found.get("stat", ""), found.get("err", "")


def _tlv_state(value: bytes | None) -> ReceiptState | None:
    return _TLV_STATES.get(value[-1]) if value else None


def _tlv_error(value: bytes | None) -> str:
    """network_error_code: a network type and two octets of code (5.3.2.31); 0 is no error."""
    return str(int.from_bytes(value[-2:], "big") or "") if value and len(value) >= 2 else ""


def _word_state(word: str) -> ReceiptState | None:
    """A word that nobody knows says at least that the message is somewhere: it must not end its life."""
    if not word:
        return None
    upper = word.upper()
    for beginning, state in _WORDS:
        if upper.startswith(beginning):
            return state
    log.warning("smpp.receipt_unknown_state", stat=word)
    return "enroute"
