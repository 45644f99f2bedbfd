"""Addresses that a reply by mail goes to: which of the house's numbers writes to whom, and for whom. Source: facts E.

`r+<subaccount>-<number of ours>-<their number>-<proof>@domain`. The proof covers the mail address that the reply was
sent to as well, so that only its owner can use it, and is in small letters, since capitals are lost on the way.
"""

import hmac
import re

import msgspec

from heliograph.accounts.vault import Vault
from heliograph.mailaddress import small

_FORM = re.compile(r"r\+([0-9]{1,18})-([0-9]{3,15})-([0-9]{5,15})-([0-9a-f]{16})", re.ASCII)
_NUMBER = re.compile(r"\+?([0-9]{3,15})", re.ASCII)


class Conversation(msgspec.Struct, frozen=True):
    """`ours` and `theirs` are numbers; `ours` is a short code when it is short."""

    subaccount_id: int
    ours: str
    theirs: str


def address(vault: Vault, domain: str, subaccount_id: int, ours: str, theirs: str, mailbox: str) -> str:
    """Where to answer an SMS from `theirs` to `ours` that was mailed to `mailbox`; "" when nothing can go back."""
    numbers = [_NUMBER.fullmatch(one) for one in (ours, theirs)]
    if not all(numbers):
        return ""
    text = "-".join((str(subaccount_id), *(found[1] for found in numbers if found)))
    return f"r+{text}-{_proof(vault, text, mailbox)}@{domain}"


def is_one(local: str) -> bool:
    """Whether the local part of an address has this form."""
    return _FORM.fullmatch(local.lower()) is not None


def read(vault: Vault, local: str, mailbox: str) -> Conversation | None:
    """The conversation that the local part names, if `mailbox` is where it was mailed to."""
    found = _FORM.fullmatch(local.lower())
    if found is None:
        return None
    subaccount_id, ours, theirs, proof = found.groups()
    good = _proof(vault, f"{subaccount_id}-{ours}-{theirs}", mailbox)
    return Conversation(int(subaccount_id), ours, theirs) if hmac.compare_digest(proof, good) else None


def _proof(vault: Vault, text: str, mailbox: str) -> str:
    return vault.key_hash("mail conversation", f"{text} {small(mailbox)}")[:16]
