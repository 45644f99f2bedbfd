"""The section Email To Sms (endpoints 31 to 37)."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.channels.sms.channel import NAME as SMS
from heliograph.errors import BadRequest, required
from heliograph.fields import Flag, Mail, Subaccount, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mailserver import senders, stripping
from heliograph.mailserver.senders import Addresses, Given

Sender = Annotated[str, about("What the SMS come from; empty: a shared number.", "+61411111111")]
Rule = Annotated[int, about("Id of the rule.", 18)]
Stripped = Annotated[str, about("What is cut out of mails, in any case and wherever it stands.", "Sent from my phone")]


class AddressBody(msgspec.Struct, kw_only=True):
    """Body of 32, and of the change of an address. `from_fax`, `subaccount_id`: clients 5."""

    email_address: Annotated[str | None, about("Whose mails become SMS.", "jane@example.com")] = None
    from_: Annotated[str | None, about("What the SMS come from; without it, a shared number.", "+61411111111")] = (
        msgspec.field(default=None, name="from")
    )
    from_fax: Annotated[str | None, about("Sender of faxes; it is kept and shown.")] = None
    subaccount_id: Annotated[
        int | None, about("The subaccount that pays; without it, the one whose credentials are used.")
    ] = None

    def given(self) -> Given:
        """As the noun has it."""
        return Given(
            email_address=self.email_address,
            sender=self.from_,
            from_fax=self.from_fax,
            subaccount_id=self.subaccount_id,
        )


class AddedAddress(msgspec.Struct, kw_only=True):
    """`data` of 32."""

    email_address_id: int
    email_address: Mail
    from_: Sender = msgspec.field(name="from")


class ListedAddress(msgspec.Struct, kw_only=True):
    """An allowed address (31)."""

    email_address_id: int
    email_address: Mail
    from_: Sender = msgspec.field(name="from")
    from_fax: str
    subaccount_id: Subaccount


class AllowedAddress(msgspec.Struct, kw_only=True):
    """An allowed address by its id. An addition to the contract."""

    email_address_id: int
    email_address: Mail
    from_: Sender = msgspec.field(name="from")
    from_fax: str
    subaccount_id: Subaccount
    confirmed: Annotated[Flag, about("Whether its owner has agreed, so that its mails become SMS.", 1)]


class StripBody(msgspec.Struct, kw_only=True):
    """Body of 34 and 36. The document spells the field in two ways, a client in a third (facts L; clients 5)."""

    strip_string: Annotated[str | None, about("What to cut out.", "Sent from my phone")] = None
    stripped_string: Annotated[str | None, about("Another spelling of strip_string.")] = None
    with_hyphen: Annotated[str | None, about("Another spelling of strip_string.")] = msgspec.field(
        default=None, name="stripped-string"
    )

    def text(self) -> str:
        """What is given. Raises BadRequest."""
        for one in (self.strip_string, self.stripped_string, self.with_hyphen):
            if one is not None and one.strip():
                return one
        raise BadRequest({"strip_string": required("strip_string")})


class StripRule(msgspec.Struct, kw_only=True):
    """A rule (33, 34)."""

    rule_id: Rule
    strip_string: Stripped


class ViewedStripRule(msgspec.Struct, kw_only=True):
    """A rule (35, 36), which a client reads by another name as well (clients 5)."""

    rule_id: Rule
    strip_string: Stripped
    stripped_string: Stripped


def _addresses(req: Request) -> Addresses:
    services = req.services
    return Addresses(services.settings, services.vault, services.channels[SMS])


def _named(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {"from_": row["sender"], **{name: row[name] for name in ("email_address_id", "email_address", *names)}}


def _allowed(req: Request, row: Mapping[str, Any]) -> AllowedAddress:
    confirmed: Any = int(senders.works(req.tx, row))
    return AllowedAddress(**_named(row, "from_fax", "subaccount_id"), confirmed=confirmed)


@endpoint("Here are some data.", ListedAddress, paged=True)
def view_addresses(req: Request) -> Reply:
    """View the addresses whose mails become SMS."""
    base = senders.of(req.who.user_id)
    return search.page(
        req,
        base,
        senders.COLUMNS,
        ("email_address_id", False),
        lambda row: ListedAddress(**_named(row, "from_fax", "subaccount_id")),
    )


@endpoint("New data has been saved.", AddedAddress)
def add_address(req: Request, body: AddressBody) -> Reply:
    """Allow the mails of an address to become SMS. Its owner is asked by a mail first, unless it is your own."""
    return Reply(AddedAddress(**_named(_addresses(req).add(req.tx, req.who, body.given()))))


@endpoint("Here is your data.", AllowedAddress)
def view_address(req: Request) -> Reply:
    """View an allowed address, and whether it works already."""
    return Reply(_allowed(req, senders.find(req.tx, req.who.user_id, _address_id(req))))


@endpoint("Your data has been updated.", AllowedAddress)
def change_address(req: Request, body: AddressBody) -> Reply:
    """Change an allowed address: what is given, the rest stays."""
    row = _addresses(req).change(req.tx, req.who, _address_id(req), body.given())
    return Reply(_allowed(req, row))


@endpoint("Your data has been deleted.", bool)
def remove_address(req: Request) -> Reply:
    """Allow the mails of an address no longer."""
    senders.remove(req.tx, req.who.user_id, _address_id(req))
    return Reply(True)


@endpoint("Here is your result.", StripRule, paged=True)
def view_rules(req: Request) -> Reply:
    """View what is cut out of mails."""
    base = stripping.of(req.who.user_id)
    return search.page(req, base, stripping.COLUMNS, ("rule_id", False), _listed)


@endpoint("Strip string has been created.", StripRule)
def create_rule(req: Request, body: StripBody) -> Reply:
    """Have a text cut out of mails."""
    return Reply(_listed(stripping.create(req.tx, req.who.user_id, body.text())))


@endpoint("Here is your result.", ViewedStripRule)
def view_rule(req: Request) -> Reply:
    """View a text that is cut out."""
    return Reply(_viewed(stripping.find(req.tx, req.who.user_id, _rule_id(req))))


@endpoint("Strip string has been updated.", ViewedStripRule)
def update_rule(req: Request, body: StripBody) -> Reply:
    """Change a text that is cut out."""
    return Reply(_viewed(stripping.update(req.tx, req.who.user_id, _rule_id(req), body.text())))


@endpoint("Strip string has been deleted.", bool)
def delete_rule(req: Request) -> Reply:
    """Cut a text out no longer."""
    stripping.delete(req.tx, req.who.user_id, _rule_id(req))
    return Reply(True)


def _listed(row: Mapping[str, Any]) -> StripRule:
    return StripRule(rule_id=row["rule_id"], strip_string=row["strip_string"])


def _viewed(row: Mapping[str, Any]) -> ViewedStripRule:
    text = row["strip_string"]
    return ViewedStripRule(rule_id=row["rule_id"], strip_string=text, stripped_string=text)


def _address_id(req: Request) -> int:
    return req.number("email_address_id", senders.NO_RECORD)


def _rule_id(req: Request) -> int:
    return req.number("rule_id", stripping.NO_RECORD)
