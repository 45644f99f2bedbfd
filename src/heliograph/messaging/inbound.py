"""Messages that arrive (MO): which account they are for, what they answer, and the rules they meet."""

import uuid
from collections.abc import Sequence

import msgspec

from heliograph import phone
from heliograph.billing import usage
from heliograph.db import reached
from heliograph.db.engine import Tx
from heliograph.ids import new_ids
from heliograph.messaging import message, rows
from heliograph.messaging.hooks import NOBODY, Hooks
from heliograph.transports.base import Inbound

COLUMNS = rows.Inbound.__struct_fields__
LOOKED_AT = 50
"""Newest messages to a number among which the one is looked for that was answered."""


def store(tx: Tx, arrived: Inbound, hooks: Hooks, told: Sequence[str] = ()) -> str | None:
    """Store an MO for the account it is for and run its rules; its message_id, or None when no account is found.

    One that the carrier says again is there already, and nothing happens.

    It belongs to the account that has bought the number that it was sent to, also when it answers nothing; else, if
    it is no dedicated number, to the account that sent the newest message from that number to that number. `told` are
    lines for its timeline.
    """
    channel = hooks.channels[arrived.channel]
    holder, original = holder_of(tx, arrived, hooks)
    if holder is None:
        return None
    user_id, subaccount_id = holder
    message_id = _id_of(arrived) or new_ids(1, tx.clock)[0]
    if arrived.reference and _is_there(tx, user_id, message_id):
        return message_id
    row = rows.Inbound(
        user_id=user_id,
        subaccount_id=subaccount_id,
        channel=channel.name,
        message_id=message_id,
        timestamp=arrived.at,
        sender=e164(arrived.sender),
        recipient=e164(arrived.recipient),
        body=arrived.body,
        original_message_id=original.message_id if original else "",
        original_body=original.body if original else "",
        custom_string=original.custom_string if original else "",
        details=None if arrived.details is None else msgspec.json.encode(arrived.details).decode(),
    )
    message.record(tx, [(user_id, row.message_id, message.RECEIVED, line) for line in told])
    row.unread = int(hooks.on_inbound(tx, row, original))
    tx.insert_rows("inbound", COLUMNS, [msgspec.structs.astuple(row)])
    if row.unread:
        message.record(tx, [(user_id, row.message_id, message.RECEIVED, message.LISTED)])
    tally = usage.Tally()
    tally.of(user_id, channel.counted_as, tx.now, subaccount_id).received += 1
    tally.write(tx)
    return row.message_id


def is_repeated(tx: Tx, arrived: Inbound, user_id: int) -> bool:
    """Whether the carrier says a message again that this account has."""
    return bool(arrived.reference) and _is_there(tx, user_id, _id_of(arrived))


def _id_of(arrived: Inbound) -> str:
    """The message_id of a message that may come again: the same each time (UUID version 5). Empty for any other."""
    if not arrived.reference:
        return ""
    told = (arrived.transport, arrived.reference, arrived.sender, arrived.recipient, arrived.body)
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(told))).upper()


def _is_there(tx: Tx, user_id: int, message_id: str) -> bool:
    sql = "SELECT 1 FROM inbound WHERE user_id = ? AND message_id = ? LIMIT 1"
    return tx.driver(sql, [user_id, message_id]).fetchone() is not None


def holder_of(tx: Tx, arrived: Inbound, hooks: Hooks) -> tuple[tuple[int, int] | None, rows.Message | None]:
    """((user_id, subaccount_id) of whom a message is for, or None; the message that it answers, or None)."""
    holder = hooks.owner(tx, e164(arrived.recipient))
    if holder == NOBODY:
        return None, None
    original = hooks.channels[arrived.channel].original(tx, arrived, None if holder is None else holder[0])
    return (holder if original is None else (original.user_id, original.subaccount_id)), original


def e164(address: str) -> str:
    """A number with its plus, which carriers leave out; anything else (a short code, a name) as it is."""
    if not (address.isdigit() and len(address) > 6):
        return address
    known = phone.parse(address)
    return known.number if known else address if address.startswith("0") else "+" + address


def by_number(tx: Tx, arrived: Inbound, holder: int | None) -> rows.Message | None:
    """The newest message from `recipient` to `sender`, of the account `holder` if there is one.

    This is `Channel.original` of the channels whose addresses are numbers.
    """
    number = phone.msisdn(e164(arrived.sender))
    sent = reached.newest(tx, "user_id, message_id, sender", number, arrived.channel, holder, LOOKED_AT)
    asked = phone.identity(arrived.recipient)
    for user_id, message_id, sender in sent:
        if phone.identity(sender) == asked:
            return message.find(tx, user_id, message_id)
    return None
