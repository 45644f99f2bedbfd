"""Commands for campaigns: what an account has, and letting one go on that stands still."""

from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter

from heliograph import audit
from heliograph.campaigns import campaign
from heliograph.channels.email.campaigns import counts
from heliograph.commands.accounts import check_limit
from heliograph.commands.base import STORE, AsJson, Store, Username, named, within
from heliograph.db.engine import Tx
from heliograph.terminal import moment, show, table

app = cyclopts.App(name="campaigns", help="Campaigns of accounts.")


@app.command(name="list")
def list_campaigns(
    username: Username,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most campaigns to show.")] = 100,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show an account's campaigns: status, why one stands still, and how many recipients; newest first."""
    check_limit(limit)

    def work(tx: Tx) -> list[dict[str, Any]]:
        names = ("campaign_id", "channel", "name", "status", "paused_why", "total_count", "date_added")
        found = campaign.newest(tx, named(tx, username)["user_id"], limit)
        return [{name: row[name] for name in names} for row in found]

    found = within(where.load(), work)
    rows = [{**row, "ordered": moment(row["date_added"]), "why": row["paused_why"] or ""} for row in found]
    columns = ("campaign_id", "ordered", "channel", "name", "status", "total_count", "why")
    show(as_json, found, table(rows, columns) if rows else "There are no campaigns.")


@app.command
def resume(
    campaign_id: Annotated[int, Parameter(help="Id of the campaign.")],
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Let a paused campaign go on. What was reported of it so far is not held against it again."""

    def work(tx: Tx) -> dict[str, Any]:
        forgiven = counts.counts(tx, [campaign_id])[campaign_id]
        row = campaign.resume(tx, campaign_id, msgspec.json.encode(forgiven).decode())
        audit.record(tx, row["user_id"], audit.CLI, "campaign.resumed", str(campaign_id))
        return {"campaign_id": campaign_id, "status": row["status"]}

    found = within(where.load(), work)
    show(as_json, found, f"Campaign {campaign_id} goes on. Its mails leave within a minute.")
