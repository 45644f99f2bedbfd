"""What the life of a message calls in higher rooms. app.py makes one object of it."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from heliograph.db.engine import Tx
from heliograph.messaging import rows
from heliograph.messaging.channel import Channel

NOBODY = (0, 0)
"""What `Hooks.owner` answers for a dedicated number that no account has."""


class Hooks(msgspec.Struct, frozen=True):
    """The channel table, and the five calls upwards. All of them run inside the transaction of the event."""

    channels: Mapping[str, Channel]
    on_receipt: Callable[[Tx, rows.Message, rows.Receipt], bool]
    """Runs the account's receipt rules once for a final receipt; whether it is to be polled."""
    on_inbound: Callable[[Tx, rows.Inbound, rows.Message | None], bool]
    """Runs the account's inbound rules for an arriving message, and the message that it answers; whether to poll it."""
    owner: Callable[[Tx, str], tuple[int, int] | None]
    """Who has bought a number (E.164): (user_id, subaccount_id), NOBODY, or None for a number that is not for sale."""
    opted_out: Callable[[Tx, Sequence[rows.Message]], set[rows.Key]]
    """Which of these messages must not go out, since their recipients opted out after they were accepted."""
    held: Callable[[Tx, Sequence[rows.Message]], set[rows.Key]]
    """Which of these messages have to wait, since what they belong to was told to stand still."""
