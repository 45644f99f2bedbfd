"""Sender IDs that only the database can judge: numbers that another account has bought."""

from collections.abc import Collection, Sequence

from heliograph import phone
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.messaging.channel import Order
from heliograph.numbers import number


def refuse_foreign(tx: Tx, orders: Sequence[Order], shared: Collection[str]) -> None:
    """Refuse the drafts whose sender is the dedicated number of another account: it would get the replies.

    `shared` are the senders that nobody can buy.
    """
    named = [
        (order, sender, known.number)
        for order in orders
        for sender in {draft.sender for draft in order.drafts}.difference(shared)
        if (known := phone.parse(sender, order.principal.country)) and known.number not in order.principal.numbers
    ]
    owners = number.owners(tx, {e164 for _, _, e164 in named})
    for order, sender, e164 in named:
        mine = order.principal.user_id
        if owners.get(e164, mine) != mine:
            for draft in order.drafts:
                if draft.sender == sender and draft.refusal is None:
                    draft.refusal = Status.INVALID_SENDER_ID
