"""Commands for the delivery issues that customers report."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from heliograph import delivery_issues
from heliograph.commands.base import STORE, AsJson, Store, within
from heliograph.process import Problem
from heliograph.terminal import moment, show, table

app = cyclopts.App(name="issues", help="Delivery issues that customers have reported.")
Issue = Annotated[int, Parameter(help="Its number.")]


@app.command(name="list")
def list_issues(
    *,
    everything: Annotated[
        bool, Parameter(help="Those that are resolved too.", negative="", show_default=False)
    ] = False,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show the issues that wait for an answer, oldest first."""
    found = within(where.load(), lambda tx: [dict(row) for row in delivery_issues.listing(tx, everything=everything)])
    rows = [
        {**row, "issue": row["issue_id"], "added": moment(row["date_added"]), "account": row["username"]}
        | {"status": row["status"] or "", "message": row["message_id"]}
        for row in found
    ]
    shown = table(rows, ("issue", "added", "account", "type", "message", "description", "status"))
    show(as_json, found, shown if rows else "There are no issues.")


@app.command
def answer(
    issue: Issue,
    comment: Annotated[str, Parameter(help="What the customer reads.")],
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Answer an issue and leave it open. The customer gets the comment by mail."""
    if not comment.strip():
        raise Problem("An answer needs a text: it is what the customer reads.")
    _write(where, issue, comment, as_json, resolve=False)


@app.command
def resolve(
    issue: Issue,
    comment: Annotated[str, Parameter(help="What the customer reads.")] = "",
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Close an issue; with a comment, the customer gets it by mail."""
    _write(where, issue, comment, as_json, resolve=True)


def _write(where: Store, issue: int, comment: str, as_json: bool, *, resolve: bool) -> None:
    if not 0 < issue < 2**63:
        raise Problem("The number of an issue is positive, and has 18 digits at most.")
    options = where.load()
    row = within(
        options, lambda tx: delivery_issues.answer(tx, options.mail_from, issue, comment.strip(), resolve=resolve)
    )
    show(as_json, {"issue": issue, "status": row["status"]}, f"Issue {issue} is {row['status']}.")
