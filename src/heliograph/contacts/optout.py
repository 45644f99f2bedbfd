"""Opting out and in again: who is in the Opt-Out List of an account, and the record of how that came."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from heliograph.db.tables import opt_outs
from heliograph.messaging import message
from heliograph.phone import msisdn
from heliograph.texts import letters

OUT, IN = "opt_out", "opt_in"
LONGEST_CAUSE = 300
LONGEST_WISH = 160
"""Characters of a text that may say nothing but a word, with what surrounds it."""

COLUMNS = {
    name: opt_outs.c[name]
    for name in ("opt_out_id", "recipient", "event", "cause", "message_id", "list_id", "date_added")
}
"""What the record can be searched and sorted by."""


class Wishes:
    """The words that opt out, or in again, when they are all that a text says; each as a list by commas."""

    def __init__(self, out: str, back: str) -> None:
        self.out = _words(out)
        self._back = _words(back)

    def of(self, text: str) -> str | None:
        """OUT, IN, or None: the text says something else. Only its letters count, without case and accents."""
        said = letters(text) if len(text) <= LONGEST_WISH else ""
        return OUT if said in self.out else IN if said in self._back else None


def _words(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(letters, text.split(","))))


def opt_out(tx: Tx, user_id: int, recipient: str, cause: str, *, message_id: str | None = None) -> bool:
    """Put a recipient (a number in E.164, or a mail address) into the Opt-Out List of an account; whether that is new.

    Its contact leaves the list that the message `message_id` went to; other lists are not touched. `cause` is for the
    customer to read. What is neither a number nor an address stays where it is. Source: facts G4, G9.
    """
    sent = message.find(tx, user_id, message_id) if message_id else None
    source = sent.list_id if sent else None
    moved = contact.move(tx, user_id, recipient, source, lists.opt_out_list(tx, user_id))
    if moved is None or moved.there:
        return False
    _record(tx, user_id, moved.recipient, OUT, cause, message_id, source if moved.left else None)
    return True


def opt_in(tx: Tx, user_id: int, recipient: str, cause: str, *, message_id: str | None = None) -> bool:
    """Take a recipient out of the Opt-Out List again; whether it was there.

    Its contact comes back to the list that it left by `opt_out`, as long as that list exists.
    """
    opt_out_list = lists.opt_out_list(tx, user_id)
    left = _left(tx, user_id, recipient)
    back = contact.move(tx, user_id, recipient, opt_out_list, left) if left else None
    if not (back.left if back else contact.leave(tx, user_id, recipient, opt_out_list)):
        return False
    _record(tx, user_id, back.recipient if back else recipient, IN, cause, message_id, left if back else None)
    return True


def of(user_id: int) -> Select[Any]:
    """The record of an account, to search and page through."""
    return select(opt_outs).where(opt_outs.c.user_id == user_id)


def listing(tx: Tx, user_id: int, limit: int) -> Sequence[Mapping[str, Any]]:
    """The newest entries of the record of an account, newest first."""
    return tx.rows(of(user_id).order_by(opt_outs.c.opt_out_id.desc()).limit(limit))


def _left(tx: Tx, user_id: int, recipient: str) -> int | None:
    """The list that a recipient left when it opted out the last time."""
    digits = msisdn(recipient)
    same = opt_outs.c.recipient == recipient if digits is None else opt_outs.c.msisdn == digits
    found = of(user_id).where(same, opt_outs.c.event == OUT).order_by(opt_outs.c.opt_out_id.desc()).limit(1)
    row = tx.row(found)
    return row["list_id"] if row else None


def _record(
    tx: Tx, user_id: int, recipient: str, event: str, cause: str, message_id: str | None, list_id: int | None
) -> None:
    names = ("user_id", "recipient", "msisdn", "event", "cause", "message_id", "list_id", "date_added")
    values = (user_id, recipient, msisdn(recipient), event, cause[:LONGEST_CAUSE], message_id, list_id, tx.now)
    tx.insert_rows("opt_outs", names, [values])
