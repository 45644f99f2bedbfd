"""HTTP shapes of the suppression list. An addition to the contract."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph import audit
from heliograph.errors import BadRequest, NotFound, required
from heliograph.fields import Mail, UnixText, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Query
from heliograph.mail import suppressions

MOST_AT_ONCE = 1000
NO_RECORD = "There is no such address in your suppression list."


class Suppression(msgspec.Struct, kw_only=True):
    """An address that mails of the account do not go to. An address has an entry for each reason."""

    suppression_id: int
    email_address: Annotated[Mail, about("In small letters, the domain in the ASCII form of IDNA.")]
    reason: Annotated[suppressions.Reason, about("An unsubscribe counts for campaigns only, the others for all mails.")]
    detail: Annotated[str, about("What the other side said, or you.", "550 5.1.1 No such user here")]
    message_id: Annotated[str | None, about("The message that it came by; null for an entry by hand.", None)]
    date_added: UnixText


class SuppressionBody(msgspec.Struct):
    """Addresses to add: one as text, or a list of them."""

    email_address: Annotated[
        list[str] | str, about(f"Email address, or a list of at most {MOST_AT_ONCE}.", "jane@example.com")
    ]
    detail: Annotated[str | None, about("Why, for whoever reads the list.", maxLength=suppressions.LONGEST_DETAIL)] = (
        None
    )


class Removed(msgspec.Struct):
    """`data` of a removal."""

    deleted: Annotated[int, about("How many entries the address had.", 1)]


ADDRESS = Query("email_address", "The address to take off the list.", {"type": "string", "maxLength": 320})


@endpoint("Here is your suppression list.", Suppression, paged=True)
def view_suppressions(req: Request) -> Reply:
    """View the addresses that mails of the account do not go to, the newest first. An addition to the contract."""
    base = suppressions.of(req.who.user_id)
    return search.page(req, base, suppressions.COLUMNS, ("suppression_id", True), _entry)


@endpoint("The addresses are on your suppression list.", list[Suppression])
def add_suppressions(req: Request, body: SuppressionBody) -> Reply:
    """Put addresses on the suppression list by hand: no mail goes there any more. An addition to the contract."""
    given = [body.email_address] if isinstance(body.email_address, str) else body.email_address
    addresses = [one.strip() for one in given]
    _check(addresses, body.detail or "")
    user_id = req.who.user_id
    added = suppressions.add(req.tx, user_id, addresses, suppressions.MANUAL, detail=body.detail or "")
    if added:
        audit.record(req.tx, user_id, req.who.api_username, "suppression.added", ", ".join(addresses))
    found = suppressions.entries(req.tx, user_id, addresses)
    return Reply([_entry(row) for row in found if row["reason"] == suppressions.MANUAL])


@endpoint("The address is off your suppression list.", Removed, query=(ADDRESS,), refuses=(NotFound,))
def remove_suppression(req: Request) -> Reply:
    """Take an address off the suppression list, for whatever reason it is there. An addition to the contract."""
    address = req.query.get("email_address", "").strip()
    if not address:
        raise BadRequest({"email_address": required("email_address")})
    deleted = suppressions.remove(req.tx, req.who.user_id, address)
    if not deleted:
        raise NotFound(NO_RECORD)
    audit.record(req.tx, req.who.user_id, req.who.api_username, "suppression.removed", address)
    return Reply(Removed(deleted))


def _check(addresses: list[str], detail: str) -> None:
    if not addresses:
        raise BadRequest({"email_address": required("email_address")})
    if len(addresses) > MOST_AT_ONCE:
        raise BadRequest({"email_address": f"At most {MOST_AT_ONCE} addresses can be added at once."})
    for address in addresses:
        if not suppressions.is_stored(address):
            raise BadRequest({"email_address": f"{address[:100]!r} is no email address."})
    if len(detail) > suppressions.LONGEST_DETAIL:
        raise BadRequest({"detail": f"Detail is longer than {suppressions.LONGEST_DETAIL} characters."})


def _entry(row: Mapping[str, Any]) -> Suppression:
    values = {name: row[name] for name in ("suppression_id", "reason", "detail", "message_id")}
    return Suppression(**values, email_address=row["address"], date_added=str(row["date_added"]))
