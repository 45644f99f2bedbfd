"""HTTP shapes of the addresses that mails come from (endpoints 48 to 53)."""

from typing import Annotated

import msgspec

from heliograph import audit
from heliograph.accounts import account
from heliograph.accounts.recovery import tokens
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, TooManyRequests, required
from heliograph.fields import Flag, Mail, Null, UnixText, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mail.addresses import address
from heliograph.mail.addresses.address import Address

LONGEST = 1000
"""Characters of an address that are looked at."""


class EmailAddressBody(msgspec.Struct):
    """Body of 49. The example has the address in `email_address`, the table in `body` (facts N)."""

    email_address: Annotated[str, about("The address, in any case; IDN domains as well.", "jane@example.com")] = ""
    body: Annotated[str, about("The address, when `email_address` is empty.", "jane@example.com")] = ""


class EmailAddress(msgspec.Struct):
    """An address that mails may come from once it is verified (48, 49, 51, 52)."""

    email_address_id: Annotated[int, about("For `from` of mails and campaigns.", 5)]
    email_address: Mail
    verified: Flag
    date_added: UnixText


def shown(found: Address) -> EmailAddress:
    """The documented form of an address."""
    return EmailAddress(found.email_address_id, found.email_address, 1 if found.verified else 0, str(found.created_at))


@endpoint("Here are your email addresses", EmailAddress, paged=True)
def view_all(req: Request) -> Reply:
    """View the addresses that mails may come from."""
    base, order = address.of(req.who.user_id), ("email_address_id", False)
    return search.page(req, base, address.COLUMNS, order, lambda row: shown(address.from_row(row)))


@endpoint("Email address has been created.", EmailAddress)
def create(req: Request, body: EmailAddressBody) -> Reply:
    """Add an address. Mails may come from it once it is verified. One that is there already is answered as it is."""
    given = body.email_address.strip() or body.body.strip()
    if not given:
        raise BadRequest({"email_address": required("email_address")})
    made = address.create(req.tx, req.who.user_id, given[:LONGEST])
    audit.record(req.tx, req.who.user_id, req.who.api_username, "email_address.created", made.email_address)
    return Reply(shown(made))


@endpoint("Verification email has been sent.", Null)
def ask(req: Request) -> Reply:
    """Mail a token and a link to an address, to prove that it is read there. Three an hour; each is good for a day."""
    found = _owned(req)
    if not address.ask(req.tx, req.services.vault, req.services.settings, found):
        raise TooManyRequests(headers={"retry-after": str(tokens.WINDOW)})
    audit.record(req.tx, req.who.user_id, req.who.api_username, "email_address.asked", found.email_address)
    return Reply(None)


@endpoint("Email address verified.", EmailAddress)
async def verify(req: Request) -> Reply:
    """Verify an address with the token that was mailed to it. After five wrong ones it takes a new mail."""
    done = await req.services.database.write(lambda tx: _verified(tx, req))
    if done is None:  # after the commit, so that the try is counted
        raise BadRequest({"activation_token": "Activation token is wrong, was used, or has expired."})
    return Reply(shown(done))


def _verified(tx: Tx, req: Request) -> Address | None:
    who = account.current(tx, req.who)
    key = req.number("email_address_id", address.NO_RECORD)
    found = address.owned(tx, who.user_id, key)
    done = address.verify(tx, req.services.vault, found, req.params["activation_token"])
    if done is not None:
        audit.record(tx, who.user_id, who.api_username, "email_address.verified", done.email_address)
    return done


@endpoint("Here is your email address.", EmailAddress)
def view(req: Request) -> Reply:
    """View an address."""
    return Reply(shown(_owned(req)))


@endpoint("Email address deleted.", Null)
def delete(req: Request) -> Reply:
    """Delete an address. No mail can come from it any more."""
    gone = address.delete(req.tx, req.who.user_id, req.number("email_address_id", address.NO_RECORD))
    audit.record(req.tx, req.who.user_id, req.who.api_username, "email_address.deleted", gone.email_address)
    return Reply(None)


def _owned(req: Request) -> Address:
    return address.owned(req.tx, req.who.user_id, req.number("email_address_id", address.NO_RECORD))
