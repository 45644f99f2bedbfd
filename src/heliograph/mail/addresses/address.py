"""Addresses that an account may send mails from: each is verified by whoever reads what arrives there."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, select

from heliograph.accounts.consent import public_name
from heliograph.accounts.recovery import tokens
from heliograph.accounts.vault import Vault
from heliograph.clock import HOUR
from heliograph.db.engine import Tx
from heliograph.db.tables import email_addresses
from heliograph.errors import BadRequest, NotFound
from heliograph.mailaddress import in_ascii, small
from heliograph.queue import mail
from heliograph.settings import Settings, own_url

NO_RECORD = "Email address record not found."
LONGEST_TOKEN = 100
"""Characters of a token that are looked at; ours have 36."""
COLUMNS = {
    "email_address_id": email_addresses.c.email_address_id,
    "email_address": email_addresses.c.email_address,
    "verified": email_addresses.c.verified,
    "date_added": email_addresses.c.created_at,
}


class Address(msgspec.Struct, frozen=True):
    """An address of an account, its domain in ASCII. Only from a verified one may mails come."""

    email_address_id: int
    user_id: int
    email_address: str
    verified: bool
    created_at: int


def of(user_id: int) -> Select[Any]:
    """The addresses of an account, to search and page through."""
    return select(email_addresses).where(email_addresses.c.user_id == user_id)


def own(tx: Tx, user_id: int, email_address_id: int) -> Address | None:
    """An address of this account; None: there is none, or it is another account's."""
    return _read(tx, (email_addresses.c.user_id == user_id) & (email_addresses.c.email_address_id == email_address_id))


def create(tx: Tx, user_id: int, text: str) -> Address:
    """Enter an address, not verified; one that the account has already stays as it is. Raises BadRequest."""
    address = in_ascii(text)
    if address is None:
        raise BadRequest({"email_address": "Email address must be an email address."})
    tx.driver(
        "INSERT INTO email_addresses (user_id, email_address, folded, verified, created_at) VALUES (?, ?, ?, 0, ?)"
        " ON CONFLICT DO NOTHING",
        (user_id, address, small(address), tx.now),
    )
    found = _read(tx, (email_addresses.c.user_id == user_id) & (email_addresses.c.folded == small(address)))
    assert found is not None
    return found


def delete(tx: Tx, user_id: int, email_address_id: int) -> Address:
    """Forget an address, and what was sent to prove it; what it was. Raises NotFound."""
    gone = owned(tx, user_id, email_address_id)
    tx.execute(email_addresses.delete().where(email_addresses.c.email_address_id == email_address_id))
    tokens.void_tokens(tx, user_id, small(gone.email_address))
    return gone


def ask(tx: Tx, vault: Vault, settings: Settings, address: Address) -> bool:
    """Mail a token and a link to an address; whether it was done: not when enough were sent lately."""
    token = tokens.issue(tx, vault, address.user_id, tokens.ADDRESS, settings, small(address.email_address))
    if token is None:
        return False
    link = f"{own_url(settings)}/verify-email/{address.email_address_id}/{token}"
    text = _text(public_name(tx, address.user_id), link, token)
    mail.enqueue(tx, settings.mail_from, address.email_address, "Is this your email address?", text)
    return True


def verify(tx: Tx, vault: Vault, address: Address, token: str) -> Address | None:
    """Try a token: the verified address; None for a wrong, used or old one.

    Every try counts, so the caller has to let this transaction commit whatever the outcome.
    """
    good = tokens.use_token(tx, vault, address.user_id, small(address.email_address), _written(token))
    if not good:
        return None
    mine = email_addresses.c.email_address_id == address.email_address_id
    tx.execute(email_addresses.update().where(mine).values(verified=1))
    return own(tx, address.user_id, address.email_address_id)


def question(tx: Tx, vault: Vault, email_address_id: int, token: str) -> tuple[str, Address] | None:
    """(name of the account, address) that a good link asks about; None for any other. It changes nothing."""
    address = _read(tx, email_addresses.c.email_address_id == email_address_id)
    if address is None:
        return None
    good = tokens.holds_token(tx, vault, address.user_id, small(address.email_address), _written(token))
    return (public_name(tx, address.user_id), address) if good else None


def confirm(tx: Tx, vault: Vault, email_address_id: int, token: str) -> Address | None:
    """Use the token of a link up: the verified address; None for any other.

    A wrong one counts as no try here: anybody can guess at a link, and must not use up the tries of the account.
    """
    asked = question(tx, vault, email_address_id, token)
    return None if asked is None else verify(tx, vault, asked[1], token)


def owned(tx: Tx, user_id: int, email_address_id: int) -> Address:
    """The same as `own`. Raises NotFound."""
    found = own(tx, user_id, email_address_id)
    if found is None:
        raise NotFound(NO_RECORD)
    return found


def seed(tx: Tx, user_id: int, text: str) -> None:
    """Enter an address of which nobody has to be asked: the demo account's."""
    made = create(tx, user_id, text)
    mine = email_addresses.c.email_address_id == made.email_address_id
    tx.execute(email_addresses.update().where(mine).values(verified=1))


def _written(token: str) -> str:
    """A token as somebody may have copied it."""
    return token[:LONGEST_TOKEN].strip().upper()


def _read(tx: Tx, condition: ColumnElement[bool]) -> Address | None:
    row = tx.row(select(email_addresses).where(condition))
    return None if row is None else from_row(row)


def from_row(row: Mapping[str, Any]) -> Address:
    """What a row says."""
    names = ("email_address_id", "user_id", "email_address", "created_at")
    return Address(**{name: row[name] for name in names}, verified=bool(row["verified"]))


def _text(name: str, link: str, token: str) -> str:
    return (
        f'The account "{name}" on this server wants to send mails with this address as their sender. If this is right,'
        f" say so on this page:\n\n{link}\n\nOr give this token to the program that asked for it: {token}\n\n"
        f"Link and token work once, for {tokens.LIFE[tokens.ADDRESS] // HOUR} hours. If you do not know this account,"
        " do nothing.\n"
    )
