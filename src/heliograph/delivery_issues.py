"""Complaints about deliveries (endpoints 182 and 183), and the operator's answers to them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import delivery_issues as table
from heliograph.db.tables import users
from heliograph.errors import BadRequest, NotFound, label, required
from heliograph.fields import Flag, Mail, UnixTime, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mailaddress import is_address
from heliograph.queue import mail

TYPES = ("SMS", "MMS", "VOICE", "EMAIL_MARKETING", "EMAIL_TRANSACTIONAL", "FAX", "POST")
LONGEST = {"message_id": 100, "description": 10_000, "client_comments": 10_000}
ANSWERED, RESOLVED = "answered", "resolved"


class IssueBody(msgspec.Struct):
    """Body of 183. The document spells the address in two ways (facts L)."""

    type: Annotated[str, about("What it was.", "SMS", enum=[*TYPES, *map(str.lower, TYPES)])]
    description: Annotated[str, about("What happened.", "It never arrived.", maxLength=LONGEST["description"])]
    message_id: Annotated[str | None, about("Id of the message.", maxLength=LONGEST["message_id"])] = None
    client_comments: Annotated[str | None, about("Further words.", maxLength=LONGEST["client_comments"])] = None
    email_address: Annotated[str | None, about("Where the answer is mailed to.", "jane@example.com")] = None
    email_with_hyphen: Annotated[str | None, about("Another spelling of email_address.")] = msgspec.field(
        default=None, name="email-address"
    )


class CreatedIssue(msgspec.Struct):
    """`data` of 183."""

    issue_id: int
    user_id: int
    message_id: str
    type: str
    description: str
    date_added: UnixTime
    email_address: Mail


class Issue(msgspec.Struct):
    """A delivery issue (182)."""

    issue_id: int
    user_id: int
    message_id: str
    type: str
    description: str
    client_comments: str | None
    support_comments: Annotated[str | None, about("The operator's answer.")]
    status: Annotated[str | None, about("answered or resolved; null while it waits.")]
    date_added: UnixTime
    resolved: Flag
    email_address: Mail


CREATED, LISTED = CreatedIssue.__struct_fields__, Issue.__struct_fields__
COLUMNS = {name: table.c[name] for name in LISTED if name != "user_id"}


@endpoint("Delivery issue has been created.", CreatedIssue)
def create(req: Request, body: IssueBody) -> Reply:
    """Report a delivery issue. The message may be gone, so its id is not looked up."""
    address = (body.email_address or body.email_with_hyphen or "").strip()
    faults = {
        name: f"{label(name)} must have at most {most} characters."
        for name, most in LONGEST.items()
        if len(getattr(body, name) or "") > most
    }
    if body.type.strip().upper() not in TYPES:
        faults["type"] = f"Type must be one of {', '.join(TYPES)}."
    if not body.description.strip():
        faults["description"] = required("description")
    if not is_address(address):
        faults["email_address"] = "Email address must be an email address."
    if faults:
        raise BadRequest(faults)
    values = {
        "user_id": req.who.user_id,
        "message_id": body.message_id or "",
        "type": body.type.strip(),
        "description": body.description,
        "client_comments": body.client_comments,
        "date_added": req.tx.now,
        "resolved": 0,
        "email_address": address,
    }
    key = req.tx.scalar(table.insert().values(**values).returning(table.c.issue_id))
    row = {"issue_id": key, **values}
    return Reply(CreatedIssue(**{name: row[name] for name in CREATED}))


@endpoint("Here is your result.", Issue, paged=True)
def view(req: Request) -> Reply:
    """View the delivery issues."""
    base = select(*(table.c[name] for name in LISTED)).where(table.c.user_id == req.who.user_id)
    return search.page(req, base, COLUMNS, ("issue_id", False), lambda row: Issue(**row))


def listing(tx: Tx, *, everything: bool) -> Sequence[Mapping[str, Any]]:
    """The issues of all accounts for the operator, oldest first: those that wait, or all."""
    issues = select(table, users.c.username).join_from(table, users, users.c.user_id == table.c.user_id)
    return tx.rows((issues if everything else issues.where(table.c.resolved == 0)).order_by(table.c.issue_id))


def answer(tx: Tx, sender: str, issue_id: int, comment: str, *, resolve: bool) -> Mapping[str, Any]:
    """Write the operator's comment into an issue, and mail it to the customer. Raises NotFound.

    `sender` is the address that the mail comes from. Without a comment the one before stays, and nothing is mailed.
    """
    values: dict[str, Any] = {"status": RESOLVED if resolve else ANSWERED, "resolved": int(resolve)}
    if comment:
        values["support_comments"] = comment
    changed = table.update().where(table.c.issue_id == issue_id).values(**values).returning(table)
    row = tx.row(changed)
    if row is None:
        raise NotFound(f"There is no delivery issue {issue_id}.")
    if comment:
        subject = f"Your delivery issue {issue_id} is {values['status']}"
        mail.enqueue(tx, sender, row["email_address"], subject, f"{comment}\n\nYou wrote:\n\n{row['description']}\n")
    return row
