"""Commands for sending domains: a key for each, the records to publish, and whether they are there."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.text import Text

from heliograph import audit
from heliograph.accounts.vault import Vault
from heliograph.commands.base import STORE, AsJson, Store, vault_of, within
from heliograph.db.engine import Row, Tx
from heliograph.mail import domains
from heliograph.process import Problem
from heliograph.settings import Settings
from heliograph.terminal import moment, say, show, table

if TYPE_CHECKING:
    from heliograph.mail.records import Plan, Record, Verdict

app = cyclopts.App(name="domains", help="Sending domains: their keys (DKIM), and the records that the DNS must have.")
Domain = Annotated[str, Parameter(help="The domain, as example.com.")]
STYLES = {"right": "green", "wrong": "bold red", "missing": "bold red", "unanswered": "yellow"}
WRONG, UNANSWERED = 1, 2
"""Exit codes of a check: something is wrong or missing; nothing is, but not every question was answered."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Sending:
    """Options about this installation that the records depend on."""

    host: Annotated[
        str, Parameter(help="Name of the server that takes bounces; without one, that of the public URL.")
    ] = ""
    senders: Annotated[
        str, Parameter(help="What SPF allows to send, as ip4:192.0.2.1 or include:spf.example.net; mx: that server.")
    ] = "mx"

    def plan(self, options: Settings) -> "Plan":
        """What all domains share."""
        from heliograph.mail.records import Plan

        host = self.host or urlsplit(options.public_url).hostname or options.bounce_domain
        return Plan(options.bounce_domain.lower(), host.lower().rstrip("."), " ".join(self.senders.split()))


SENDING = Sending()


@app.command
def add(
    domain: Domain,
    /,
    *,
    selector: Annotated[
        str | None, Parameter(help="Name of the key within the domain; without one, hg and today's date.")
    ] = None,
    sending: Sending = SENDING,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Make a key for a domain, and print the records to publish. Its mails are signed from now on."""
    options = where.load()
    key = domains.new_key()
    named = selector or time.strftime("hg%Y%m%d", time.gmtime())

    def work(tx: Tx) -> Row:
        made = domains.add(tx, vault_of(tx, options), domain, named, key)
        audit.record(tx, audit.HOUSE, audit.CLI, "domain.added", f"{made['domain']} {named}")
        return made

    _print_records([within(options, work)], sending.plan(options), as_json)


@app.command(name="list")
def list_domains(
    *,
    records: Annotated[bool, Parameter(help="Print the records to publish.", negative="", show_default=False)] = False,
    sending: Sending = SENDING,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show the domains whose mails are signed."""
    options = where.load()
    found = within(options, domains.listing)
    if records and found:
        _print_records(found, sending.plan(options), as_json)
        return
    names = ("domain", "selector", "created_at")
    rows = [{name: row[name] for name in names} for row in found]
    shown = [{**row, "made": moment(row["created_at"])} for row in rows]
    show(as_json, rows, table(shown, ("domain", "selector", "made")) if rows else "There are no sending domains.")


@app.command
def check(
    *names: Annotated[str, Parameter(help="Domains; without any, all.")],
    sending: Sending = SENDING,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Ask the DNS for the records of domains, and say what is right, wrong or missing.

    The exit code is 1 when something is wrong or missing, 2 when a question had no answer.
    """
    from heliograph.mail import records
    from heliograph.mail.nameservers import NameServers

    options = where.load()

    def work(tx: Tx) -> tuple[Vault, Sequence[Row]]:
        return vault_of(tx, options), [domains.find(tx, name) for name in names] if names else domains.listing(tx)

    vault, found = within(options, work)
    plan, servers = sending.plan(options), NameServers(options.dns)
    verdicts = [one for row in found for one in records.check(servers, row, plan)]
    locked = [row["domain"] for row in found if domains.opened(vault, row) is None]
    _print_verdicts(verdicts, as_json)
    if locked:
        raise Problem(f"The keys of {', '.join(locked)} were sealed under another secret: their mails are not signed.")
    states = {one.state for one in verdicts}
    if states & {"wrong", "missing"}:
        sys.exit(WRONG)
    if "unanswered" in states:
        sys.exit(UNANSWERED)


@app.command
def remove(domain: Domain, /, *, where: Store = STORE, as_json: AsJson = False) -> None:
    """Forget the key of a domain: its mails are not signed any more. Leave its DKIM record for some days."""

    def work(tx: Tx) -> str:
        name = domains.remove(tx, domain)
        audit.record(tx, audit.HOUSE, audit.CLI, "domain.removed", name)
        return name

    name = within(where.load(), work)
    text = f"Mails from {name} are not signed any more. Leave the DKIM record for a week: mails are still under way."
    show(as_json, {"domain": name}, text)


def _print_records(found: Any, plan: "Plan", as_json: bool) -> None:
    from heliograph.mail import records

    wanted = {record: None for row in found for record in records.wanted(row, plan)}  # some are those of all domains
    text = "Publish these records (one a line, as zone files have them), then run: heliograph domains check\n\n"
    show(as_json, msgspec.to_builtins(list(wanted)), text + "\n\n".join(map(_published, wanted)))


def _published(record: "Record") -> str:
    return f"; {record.what}: {record.purpose}\n{record.zone_line()}"


def _print_verdicts(verdicts: "list[Verdict]", as_json: bool) -> None:
    rows = [
        {"record": one.record.what, "name": one.record.name, "detail": one.detail, "state": one.state}
        for one in verdicts
    ]
    shown = [{**row, "state": Text(row["state"], STYLES[row["state"]])} for row in rows]
    if as_json or not rows:
        show(as_json, msgspec.to_builtins(verdicts), "There are no sending domains.")
        return
    show(False, rows, table(shown, ("state", "record", "name", "detail")))
    unfit = {one.record: None for one in verdicts if one.state in ("wrong", "missing")}
    if unfit:
        say("\nTo publish:\n\n" + "\n\n".join(map(_published, unfit)))
