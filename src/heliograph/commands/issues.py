"""Commands for the delivery issues that customers report."""

import time
from typing import Any

import cyclopts
from rich.table import Table

from heliograph import delivery_issues
from heliograph.commands.base import AsJson, Data, out, show, within

app = cyclopts.App(name="issues", help="Delivery issues that customers have reported.")


@app.command(name="list")
def list_issues(*, everything: bool = False, data: Data = None, as_json: AsJson = False) -> None:
    """Show the issues that wait for an answer, oldest first.

    Parameters
    ----------
    everything: Those that are resolved too.
    """
    found = within(data, lambda _, tx: delivery_issues.listing(tx, everything=everything))
    table = Table("issue", "added (UTC)", "account", "type", "message", "description", "status")
    for row in found:
        table.add_row(*_line(dict(row)))
    show(as_json, [dict(row) for row in found], table)


def _line(row: dict[str, Any]) -> list[str]:
    added = time.strftime("%Y-%m-%d %H:%M", time.gmtime(row["date_added"]))
    names = ("username", "type", "message_id", "description", "status")
    return [str(row["issue_id"]), added, *(row[name] or "" for name in names)]


@app.command
def answer(issue: int, comment: str, *, data: Data = None) -> None:
    """Answer an issue and leave it open. The customer gets the comment by mail.

    Parameters
    ----------
    issue: Its number.
    comment: What the customer reads.
    """
    _write(data, issue, comment, resolve=False)


@app.command
def resolve(issue: int, comment: str = "", *, data: Data = None) -> None:
    """Close an issue; with a comment, the customer gets it by mail.

    Parameters
    ----------
    issue: Its number.
    comment: What the customer reads.
    """
    _write(data, issue, comment, resolve=True)


def _write(data: str | None, issue: int, comment: str, *, resolve: bool) -> None:
    row = within(
        data,
        lambda options, tx: delivery_issues.answer(tx, options.mail_from, issue, comment.strip(), resolve=resolve),
    )
    out.print(f"Issue {issue} is {row['status']}.", highlight=False)
