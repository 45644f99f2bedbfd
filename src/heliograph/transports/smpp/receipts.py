"""Delivery receipts as carriers send them: TLVs first, then the text of SMPP 3.4 appendix B, however it is spelt."""

import re
import time

from heliograph.transports.base import Receipt, ReceiptState
from heliograph.transports.smpp.pdu import MESSAGE_STATE, NETWORK_ERROR_CODE, RECEIPTED_MESSAGE_ID, Message

_ID = re.compile(r"\bid\s*:\s*(\S+)", re.IGNORECASE)
_STAT = re.compile(r"\bstat\s*:\s*([a-z]+)", re.IGNORECASE)
_ERR = re.compile(r"\berr\s*:\s*(\S+)", re.IGNORECASE)

_BY_STATE: dict[int, ReceiptState] = {
    1: "enroute",
    2: "delivered",
    3: "expired",
    4: "failed",
    5: "failed",
    6: "enroute",
    7: "failed",
    8: "failed",
}
_BY_WORD: tuple[tuple[str, ReceiptState], ...] = (
    ("DELIV", "delivered"),
    ("EXPIR", "expired"),
    ("ENROU", "enroute"),
    ("ACCEP", "enroute"),
    ("BUFFE", "enroute"),
    ("SCHED", "enroute"),
)


def read(message: Message, transport: str, ids: str) -> Receipt | None:
    """The receipt in a deliver_sm, or None when it names no message.

    `ids` is the option receipt_ids: how this carrier's receipt ids differ from its submit ids.
    """
    text = message.payload.decode("latin-1")
    tlv = message.tlvs.get(RECEIPTED_MESSAGE_ID, b"").split(b"\0")[0].decode("latin-1")
    found = _ID.search(text)
    remote_id = tlv or (found.group(1) if found else "")
    if not remote_id:
        return None
    return Receipt(
        transport=transport,
        remote_id=convert(remote_id, ids),
        state=_state(message, text),
        at=int(time.time()),
        error=_error(message, text),
        raw=text[:300],
    )


def convert(remote_id: str, ids: str) -> str:
    """An id in the form of the submit response. Leading zeros and case never matter between the two."""
    try:
        if ids == "hex-to-decimal":
            return str(int(remote_id, 16))
        if ids == "decimal-to-hex":
            return f"{int(remote_id):x}"
    except ValueError:
        pass
    return normal(remote_id)


def normal(remote_id: str) -> str:
    """The form in which ids are stored and compared."""
    return remote_id.strip().lower().lstrip("0") or "0"


def _state(message: Message, text: str) -> ReceiptState:
    state = message.tlvs.get(MESSAGE_STATE)
    if state:
        return _BY_STATE.get(state[0], "failed")
    found = _STAT.search(text)
    word = found.group(1).upper() if found else ""
    for start, meaning in _BY_WORD:
        if word.startswith(start):
            return meaning
    return "failed"


def _error(message: Message, text: str) -> str | None:
    code = message.tlvs.get(NETWORK_ERROR_CODE)
    if code and len(code) == 3:
        number = int.from_bytes(code[1:])
        return str(number) if number else None
    found = _ERR.search(text)
    error = found.group(1) if found else ""
    return error if error.strip("0") else None
