"""Commands for the suppression list of an account: addresses that its mails do not go to."""

from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from heliograph import audit
from heliograph.commands.accounts import check_limit
from heliograph.commands.base import STORE, AsJson, Store, Username, named, within
from heliograph.db.engine import Tx
from heliograph.mail import suppressions
from heliograph.process import Problem
from heliograph.terminal import moment, show, table

app = cyclopts.App(name="suppressions", help="Addresses that an account's mails do not go to.")
Addresses = Annotated[tuple[str, ...], Parameter(help="Email addresses.", negative="")]


@app.command(name="list")
def list_suppressions(
    username: Username,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most entries to show.")] = 100,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show an account's suppression list: which addresses, why and since when; newest first."""
    check_limit(limit)

    def work(tx: Tx) -> list[dict[str, Any]]:
        found = suppressions.newest(tx, named(tx, username)["user_id"], limit)
        return [{name: row[column.name] for name, column in suppressions.COLUMNS.items()} for row in found]

    found = within(where.load(), work)
    rows = [{**row, "at": moment(row["date_added"]), "message": row["message_id"] or ""} for row in found]
    shown = table(rows, ("at", "email_address", "reason", "detail", "message"))
    show(as_json, found, shown if rows else "The list is empty.")


@app.command
def add(
    username: Username,
    addresses: Addresses,
    /,
    *,
    detail: Annotated[str, Parameter(help="Why, for whoever reads the list.")] = "",
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Put addresses on an account's suppression list: no mail of it goes there any more."""
    _check(addresses)
    if len(detail) > suppressions.LONGEST_DETAIL:
        raise Problem(f"--detail is longer than {suppressions.LONGEST_DETAIL} characters.")

    def work(tx: Tx) -> int:
        user_id = named(tx, username)["user_id"]
        added = suppressions.add(tx, user_id, addresses, suppressions.MANUAL, detail=detail)
        if added:
            audit.record(tx, user_id, audit.CLI, "suppression.added", ", ".join(addresses))
        return added

    added = within(where.load(), work)
    show(as_json, {"added": added}, f"{added} added, {len(addresses) - added} there before.")


@app.command
def remove(
    username: Username,
    addresses: Addresses,
    /,
    *,
    reason: Annotated[
        suppressions.Reason | None, Parameter(help="Only what is there for this reason; without it, for any.")
    ] = None,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Take addresses off an account's suppression list: mails go there again."""
    _check(addresses)

    def work(tx: Tx) -> int:
        user_id = named(tx, username)["user_id"]
        removed = sum(suppressions.remove(tx, user_id, address, reason=reason) for address in addresses)
        if removed:
            audit.record(tx, user_id, audit.CLI, "suppression.removed", ", ".join(addresses))
        return removed

    removed = within(where.load(), work)
    show(as_json, {"removed": removed}, f"{removed} removed." if removed else "None of them was on the list.")


def _check(addresses: tuple[str, ...]) -> None:
    """Raises Problem."""
    if not addresses:
        raise Problem("Name the addresses.")
    for address in addresses:
        if not suppressions.is_stored(address):
            raise Problem(f"{address!r} is no email address.")
