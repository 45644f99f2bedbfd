"""What waits for a bind: receipts and arriving messages as deliver_sm, kept until an ESME has acknowledged them.

Source: SMPP 3.4, 2.11, 4.6 and appendix B; facts E, K3.
"""

import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.esme import login
from heliograph.esme.reading import SOURCE, address_in, address_text
from heliograph.messaging import message, rows
from heliograph.transports.smpp import alphabet, parts, pdu
from heliograph.transports.smpp.address import address_of

KEPT: Final = 3 * DAY
"""Seconds for which a deliver_sm waits for a bind."""
WAKE: Final = "smpp"
"""Name under which those who send deliver_sm are woken."""
LONGEST_TEXT: Final = 20
"""Characters of the message in a receipt (appendix B)."""


OnReceipt = Callable[[Tx, rows.Message, rows.Receipt], bool]


class State(NamedTuple):
    """message_state (SMPP 3.4, 5.2.28) and its word in a receipt (appendix B)."""

    number: int
    word: str


ENROUTE: Final = State(1, "ENROUTE")
DELIVERED: Final = State(2, "DELIVRD")
EXPIRED: Final = State(3, "EXPIRED")
DELETED: Final = State(4, "DELETED")
UNDELIVERABLE: Final = State(5, "UNDELIV")
REJECTED: Final = State(8, "REJECTD")


class Submitted(msgspec.Struct, frozen=True):
    """A row of smpp_submits: an id that an ESME was given, and what its receipt needs.

    `registered` is the lower half of registered_delivery: 1 any receipt, 2 that of a failure.
    """

    smpp_id: str
    user_id: int
    system_id: str
    message_id: str | None
    long_id: str | None
    registered: int
    source: str
    dest: str
    state: int
    at: int


COLUMNS: Final = Submitted.__struct_fields__
SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM smpp_submits"  # noqa: S608


class Waiting(NamedTuple):
    """A deliver_sm that waits: its number and its body."""

    delivery_id: int
    body: bytes


def reporting(rules: OnReceipt) -> OnReceipt:
    """What a receipt calls (messaging/hooks.py): the ESME is told first, then the rules of the account run."""

    def on_receipt(tx: Tx, told: rows.Message, receipt: rows.Receipt) -> bool:
        tell(tx, told, receipt)
        return rules(tx, told, receipt)

    return on_receipt


def tell(tx: Tx, told: rows.Message, receipt: rows.Receipt) -> None:
    """Report the end of a message to the ESME that has submitted it, one receipt for each id that it was given."""
    if told.source == SOURCE:
        report(tx, of_message(tx, told.user_id, told.message_id), _ended(receipt), told.body, receipt.error_code)


def _ended(receipt: rows.Receipt) -> State:
    """The message_state of a message with this final receipt."""
    return DELIVERED if receipt.status == "Delivered" else state_of(message.FAILED, receipt.status_text)


def of_message(tx: Tx, user_id: int, message_id: str) -> list[Submitted]:
    """The ids that ESMEs were given for a message, in the order of its parts."""
    sql = f"{SELECT} WHERE user_id = ? AND (smpp_id = ? OR message_id = ?) ORDER BY smpp_id"
    return [Submitted(*row) for row in tx.driver(sql, [user_id, message_id, message_id]).fetchall()]


def state_of(status: str, told: str | None) -> State:
    """The message_state of a message in this status; `told` are the words beside it."""
    if status == message.COMPLETED:
        return DELIVERED
    if status == message.CANCELLED:
        return DELETED
    if status != message.FAILED:
        return ENROUTE
    return EXPIRED if "expired" in (told or "") else UNDELIVERABLE


def report(tx: Tx, given: Iterable[Submitted], state: State, text: str, error: str | None = None) -> None:
    """Queue the receipts that were asked for (registered_delivery 1: any, 2: of failures; SMPP 3.4, 5.2.17)."""
    wanted = [one for one in given if one.registered == 1 or (one.registered == 2 and state is not DELIVERED)]
    _queue(tx, [(one.system_id, _receipt(one, state, text, error, tx.now)) for one in wanted])


def deliver(tx: Tx, user_id: int, system_id: str, arrived: rows.Inbound) -> str:
    """Queue an arriving message for the ESME of a system_id of this account; an empty one means all of them.

    What became of it, in words. Source: facts E, the action SMPP.
    """
    ends = address_of(arrived.sender), address_of(arrived.recipient)
    bodies = parts.deliveries(*ends, arrived.with_links(), zlib.crc32(arrived.message_id.encode()))
    return _queue_for(tx, user_id, system_id, lambda name: bodies)


def deliver_receipt(tx: Tx, user_id: int, system_id: str, told: rows.Message, receipt: rows.Receipt) -> str:
    """Queue the receipt of a message that no ESME has submitted, as `deliver` does; its id is the message_id."""
    if told.source == SOURCE and of_message(tx, user_id, told.message_id):  # anybody may call a source so
        return "nothing, since it came over SMPP, where each message asks for its receipts itself"
    state = _ended(receipt)

    def body(name: str) -> list[bytes]:
        key = told.message_id
        source, dest = address_text(address_of(told.sender)), address_text(address_of(told.recipient))
        one = Submitted(key, user_id, name, key, None, 1, source, dest, state.number, told.date)
        return [_receipt(one, state, told.body, receipt.error_code, tx.now)]

    return _queue_for(tx, user_id, system_id, body)


def _queue_for(tx: Tx, user_id: int, system_id: str, bodies: Callable[[str], Sequence[bytes]]) -> str:
    names = [name for name in login.of_account(tx, user_id) if system_id in ("", name)]
    if not names:
        missing = f"system_id {system_id}" if system_id else "SMPP login"
        return f"nothing, since the account has no {missing}"
    _queue(tx, [(name, body) for name in names for body in bodies(name)])
    return f"a deliver_sm to {', '.join(names)}"


def claim(tx: Tx, system_id: str, limit: int, lease: float) -> list[Waiting]:
    """Take the oldest that are due, for `lease` seconds; others may not send them meanwhile."""
    sql = (
        "SELECT delivery_id, body FROM smpp_deliveries WHERE system_id = ? AND due_at <= ? AND valid_until > ?"
        " ORDER BY delivery_id LIMIT ? "
    )
    due = tx.driver(sql + tx.dialect.skip_locked, [system_id, tx.clock, tx.now, limit]).fetchall()
    _due_at(tx, [row[0] for row in due], tx.clock + lease)
    return [Waiting(row[0], b64decode(row[1])) for row in due]


def free(tx: Tx) -> None:
    """Make due at once what another process has claimed. Only where that process is known to be gone (db/holder.py)."""
    tx.driver("UPDATE smpp_deliveries SET due_at = ? WHERE due_at > ?", [tx.clock, tx.clock])


def is_any_due(tx: Tx, system_id: str) -> bool:
    """Whether something could be claimed."""
    sql = "SELECT 1 FROM smpp_deliveries WHERE system_id = ? AND due_at <= ? AND valid_until > ? LIMIT 1"
    return tx.driver(sql, [system_id, tx.clock, tx.now]).fetchone() is not None


def settle(tx: Tx, done: Sequence[int], again: Sequence[int], pause: float) -> None:
    """Forget what was acknowledged; the rest is due again after `pause` seconds."""
    tx.driver_in("DELETE FROM smpp_deliveries WHERE delivery_id IN ({})", [], done)
    _due_at(tx, again, tx.clock + pause)


def forget(tx: Tx, limit: int = 1000) -> bool:
    """Forget what no bind has taken in time; whether more is left."""
    sql = "SELECT delivery_id FROM smpp_deliveries WHERE valid_until <= ? LIMIT ?"
    late = [row[0] for row in tx.driver(sql, [tx.now, limit]).fetchall()]
    tx.driver_in("DELETE FROM smpp_deliveries WHERE delivery_id IN ({})", [], late)
    return len(late) == limit


def _due_at(tx: Tx, ids: Sequence[int], at: float) -> None:
    tx.driver_in("UPDATE smpp_deliveries SET due_at = ? WHERE delivery_id IN ({})", [at], ids)


def _queue(tx: Tx, made: Sequence[tuple[str, bytes]]) -> None:
    waiting = [(system_id, b64encode(body).decode(), tx.clock, tx.now + KEPT) for system_id, body in made]
    tx.insert_rows("smpp_deliveries", ("system_id", "body", "due_at", "valid_until"), waiting)
    if waiting:
        tx.wake(WAKE)


def _receipt(one: Submitted, state: State, text: str, error: str | None, now: int) -> bytes:
    """Body of the deliver_sm of a receipt, from the recipient to the sender."""
    code = error if error and error.isascii() and error.isalnum() and len(error) <= 8 else "0"
    delivered = "001" if state is DELIVERED else "000"
    words = (
        f"id:{one.smpp_id} sub:001 dlvrd:{delivered} submit date:{_minute(one.at)} done date:{_minute(now)} "
        f"stat:{state.word} err:{code:>03} text:"
    )
    tlvs = [
        (pdu.TAG_RECEIPTED_MESSAGE_ID, pdu.c_string(one.smpp_id)),
        (pdu.TAG_MESSAGE_STATE, bytes((state.number,))),
    ]
    if code.isdecimal() and 0 < int(code) <= 0xFFFF:
        tlvs.append((pdu.TAG_NETWORK_ERROR_CODE, b"\3" + int(code).to_bytes(2, "big")))
    return pdu.encode_short_message(
        pdu.encode_address(address_in(one.dest)),
        pdu.encode_address(address_in(one.source)),
        words.encode("ascii") + _beginning(text),
        esm_class=pdu.RECEIPT,
        tlvs=tlvs,
    )


def _beginning(text: str) -> bytes:
    """The first characters of a text in GSM 03.38, with a `?` for what that lacks."""
    kept = []
    for char in text[:LONGEST_TEXT]:
        try:
            kept.append(alphabet.encode_gsm(char))
        except UnicodeEncodeError:
            kept.append(b"?")
    return b"".join(kept)


def _minute(at: int) -> str:
    return time.strftime("%y%m%d%H%M", time.gmtime(at))
