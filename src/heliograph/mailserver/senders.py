"""Allowed addresses: whose mails become SMS, from which sender, and at the cost of which subaccount.

An address works when its owner has agreed by a click in a mail, or when it is the address of the subaccount itself.
Source: endpoints 31 and 32; facts H2.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Select, select

from heliograph.accounts import account, consent
from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault
from heliograph.channels.sms.shapes import SmsMessage
from heliograph.db.engine import Tx
from heliograph.db.tables import email_sms_addresses as table
from heliograph.db.tables import subaccounts
from heliograph.errors import BadRequest, NotFound, Status, required
from heliograph.mailaddress import is_address, small
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings

NO_RECORD = "Email address record not found."
NEEDED = "sms"
"""Permission of the subaccount that pays."""
LONGEST = 255
MOST = 1000
"""Addresses of an account."""
PROBE = "+61411111111"
"""A number to try a sender with."""
COLUMNS = {
    "email_address_id": table.c.email_address_id,
    "email_address": table.c.email_address,
    "from": table.c.sender,
    "subaccount_id": table.c.subaccount_id,
}
"""What they can be searched and sorted by."""


class Given(msgspec.Struct, kw_only=True):
    """What is asked for: None keeps what was there, or is nothing yet."""

    email_address: str | None = None
    sender: str | None = None
    from_fax: str | None = None
    subaccount_id: int | None = None


def of(user_id: int) -> Select[Any]:
    """The addresses of an account, to search and page through."""
    return select(table).where(table.c.user_id == user_id)


def find(tx: Tx, user_id: int, key: int) -> Mapping[str, Any]:
    """One address. Raises NotFound."""
    row = tx.row(of(user_id).where(table.c.email_address_id == key))
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def works(tx: Tx, row: Mapping[str, Any]) -> bool:
    """Whether mails of this address become SMS already."""
    own = tx.scalar(select(subaccounts.c.email).where(subaccounts.c.subaccount_id == row["subaccount_id"]))
    mine = small(own or "") == row["address"]
    return mine or consent.allows(tx, row["user_id"], row["address"], consent.SENDING)


class Addresses:
    """Adds and changes addresses; new ones are asked whether they agree."""

    def __init__(self, settings: Settings, vault: Vault, sms: Channel) -> None:
        self._settings = settings
        self._vault = vault
        self._sms = sms

    def add(self, tx: Tx, who: Principal, given: Given) -> Mapping[str, Any]:
        """Allow an address; an account may have one twice (api-v3, "View Allowed Emails"). Raises BadRequest."""
        if not (given.email_address or "").strip():
            raise BadRequest({"email_address": required("email_address")})
        values = {"subaccount_id": who.subaccount_id, "sender": "", "from_fax": "", **self._checked(tx, who, given)}
        if len(tx.rows(select(table.c.email_address_id).where(table.c.user_id == who.user_id).limit(MOST))) >= MOST:
            raise BadRequest({"email_address": f"An account has at most {MOST} allowed addresses."})
        made = table.insert().values(user_id=who.user_id, **values).returning(table.c.email_address_id)
        return self._asked(tx, find(tx, who.user_id, int(tx.scalar(made))))

    def change(self, tx: Tx, who: Principal, key: int, given: Given) -> Mapping[str, Any]:
        """Change what is given. Raises NotFound, BadRequest."""
        find(tx, who.user_id, key)
        values = self._checked(tx, who, given)
        if values:
            tx.execute(table.update().where(table.c.email_address_id == key).values(values))
        return self._asked(tx, find(tx, who.user_id, key))

    def _asked(self, tx: Tx, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if not works(tx, row):
            consent.ask(tx, self._vault, self._settings, row["user_id"], row["email_address"], consent.SENDING)
        return row

    def _checked(self, tx: Tx, who: Principal, given: Given) -> dict[str, Any]:
        faults: dict[str, str] = {}
        values: dict[str, Any] = {}
        if given.email_address is not None:
            address = given.email_address.strip()
            values |= {"email_address": address, "address": small(address)}
            if not is_address(address) or len(address) > LONGEST:
                faults["email_address"] = "Email address must be an email address."
        if given.sender is not None:
            values["sender"] = given.sender.strip()
            if not self._may_be_sender(tx, who, values["sender"]):
                faults["from"] = "From must be a sender that the account may use."
        if given.from_fax is not None:
            values["from_fax"] = given.from_fax.strip()
            if len(values["from_fax"]) > LONGEST:
                faults["from_fax"] = f"From fax must have at most {LONGEST} characters."
        if given.subaccount_id is not None:
            values["subaccount_id"] = given.subaccount_id
            if not _may_charge(tx, who, given.subaccount_id):
                faults["subaccount_id"] = "Subaccount id must be one of your subaccounts."
        if faults:
            raise BadRequest(faults)
        return values

    def _may_be_sender(self, tx: Tx, who: Principal, sender: str) -> bool:
        if not sender:
            return True
        draft = self._sms.draft(who, SmsMessage(to=PROBE, from_=sender, body="x"), tx.clock)
        return draft.refusal != Status.INVALID_SENDER_ID


def plant(tx: Tx, who: Principal, address: str) -> None:
    """Allow an address of an account that has allowed none, without asking."""
    if tx.row(of(who.user_id).limit(1)) is None:
        values = {"email_address": address, "address": small(address), "sender": "", "from_fax": ""}
        tx.execute(table.insert().values(user_id=who.user_id, subaccount_id=who.subaccount_id, **values))


def remove(tx: Tx, user_id: int, key: int) -> None:
    """Allow an address no longer. Raises NotFound."""
    find(tx, user_id, key)
    tx.execute(table.delete().where(table.c.email_address_id == key))


def payers(tx: Tx, address: str) -> Iterator[tuple[Mapping[str, Any], Principal]]:
    """The entries of an address that work, the newest first, with the subaccounts that pay and may send."""
    wanted = select(table).where(table.c.address == small(address)).order_by(table.c.email_address_id.desc())
    for row in tx.rows(wanted):
        who = account.by_subaccount(tx, row["subaccount_id"])
        if who is not None and may_send(who) and works(tx, row):
            yield row, who


def may_send(who: Principal) -> bool:
    """Whether a subaccount may send SMS by mail."""
    return who.active and not who.banned and NEEDED in who.access


def _may_charge(tx: Tx, who: Principal, subaccount_id: int) -> bool:
    """Itself, or with the permission for users any subaccount of its account."""
    if subaccount_id == who.subaccount_id:
        return True
    other = account.by_subaccount(tx, subaccount_id)
    return other is not None and other.user_id == who.user_id and "users" in who.access
