"""Opting out: entering a recipient in the Opt-Out List of an account."""

from heliograph.contacts import audience, contact, lists
from heliograph.db.engine import Tx


def opt_out(tx: Tx, user_id: int, recipient: str, cause: str, *, message_id: str | None = None) -> bool:
    """Enter a recipient (a number in E.164) in the Opt-Out List of an account; whether it was not there before."""
    if audience.opted_out(tx, user_id, [recipient]):
        return False
    contact.move_sender(tx, user_id, recipient, None, lists.opt_out_list(tx, user_id))
    return True
