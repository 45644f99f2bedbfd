"""The command line. What concerns accounts that exist, money, numbers and delivery issues is in commands/."""

import asyncio
import signal
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import cyclopts
import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table

from heliograph import audit, logs, settings
from heliograph import demo as demonstration
from heliograph import doctor as examination
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault, hash_password
from heliograph.app import House, build, database_url, mail_folder, web
from heliograph.billing import ledger, prices, tariff
from heliograph.commands import accounts as account_commands
from heliograph.commands import issues, money
from heliograph.commands.base import AsJson, Data, Problem, named, out, show, within
from heliograph.db import migrate as migrations
from heliograph.db.engine import Tx
from heliograph.settings import Settings, SettingsError
from heliograph.transports.sandbox import mailsink
from heliograph.transports.sandbox.smsc import serve_alone
from heliograph.webhooks import outgoing
from heliograph.webhooks.signature import new_secret

app = cyclopts.App(name="heliograph", help="A self-hosted messaging platform that speaks the ClickSend REST API v3.")
accounts = cyclopts.App(name="account", help="Accounts: make them, give them credit.")
carrier_routes = cyclopts.App(name="routes", help="Carriers and routes of heliograph.toml.")
rates = cyclopts.App(name="prices", help="What messages cost.")
hooks = cyclopts.App(name="webhooks", help="Events pushed to customers' URLs.")
for part in (accounts, carrier_routes, rates, hooks, issues.app, money.paid, money.numbers):
    app.command(part)
accounts.command(account_commands.change, name="set")
accounts.command(money.pay_out, name="payout")
app.command(account_commands.read_audit, name="audit")


def main() -> None:
    """The entry point."""
    try:
        app()
    except (SettingsError, Problem, prices.RatesError) as problem:
        Console(stderr=True).print(f"[bold red]heliograph:[/] {problem}", highlight=False, soft_wrap=True)
        sys.exit(1)


class _Server(uvicorn.Server):
    """uvicorn with SIGHUP: read heliograph.toml again."""

    def __init__(self, config: uvicorn.Config, house: "asyncio.Future[House]") -> None:
        super().__init__(config)
        self._house = house

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if threading.current_thread() is not threading.main_thread():
            return  # signals are the business of whoever runs the process
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: asyncio.ensure_future(_reload(self._house))
        )


async def _reload(house: "asyncio.Future[House]") -> None:
    made = await house
    try:
        await made.reload(settings.carriers(made.options))
    except SettingsError as problem:
        Console(stderr=True).print(f"heliograph: not reloaded: {problem}", highlight=False, soft_wrap=True)


def make_server(options: Settings, started: "asyncio.Future[House] | None" = None) -> _Server:
    """A server that runs until SIGTERM or Ctrl-C, and then finishes what is under way. Needs a running loop."""
    house = started or asyncio.get_running_loop().create_future()
    config = uvicorn.Config(
        web(options, house),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=30,
        server_header=False,
        proxy_headers=False,
    )
    return _Server(config, house)


async def _serve(options: Settings) -> None:
    await make_server(options).serve()


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    database: str | None = None,
    role: str | None = None,
    data: Data = None,
    config: str | None = None,
) -> None:
    """Run the server.

    Parameters
    ----------
    host: Address to listen on.
    port: Port to listen on.
    database: postgresql://… instead of SQLite.
    role: all, api or worker.
    config: Path of heliograph.toml.
    """
    options = settings.load(host=host, port=port, database=database, role=role, data=data, config=config)
    logs.configure(options.log_level, options.log_format)
    if options.role != "api":
        settings.carriers(options)
    if options.role == "worker":
        uvloop_run(_work(options))
        return
    Console(stderr=True).print(f"Heliograph listens on http://{options.host}:{options.port}/v3", highlight=False)
    uvloop_run(_serve(options))


@app.command
def worker(*, database: str | None = None, data: Data = None, config: str | None = None) -> None:
    """Deliver only: the same as serve --role worker."""
    serve(role="worker", database=database, data=data, config=config)


async def _work(options: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    house = await build(options)
    await house.start()
    await stop.wait()
    await house.stop()


def uvloop_run(work: Any) -> None:
    """Run a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@app.command
def demo(*, serve: bool = False, port: int | None = None, data: Data = None) -> None:
    """Start, send a first SMS through the public API, and watch it travel.

    Parameters
    ----------
    serve: Keep serving until Ctrl-C.
    port: Port to listen on.
    """
    options = settings.load(port=port, data=data)
    logs.configure("warning", options.log_format)
    uvloop_run(demonstration.run(options, make_server, out, stay=serve))


@accounts.command
def create(
    username: str,
    *,
    api_key: str | None = None,
    password: str | None = None,
    credit: Decimal = Decimal(0),
    country: str = "AU",
    currency: str | None = None,
    email: str = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an account with a main subaccount of the same name.

    Parameters
    ----------
    username: Name for logging in.
    api_key: Key to give it; without one, a random key.
    password: Password that works in place of the key.
    credit: Opening credit in its currency.
    country: ISO code; national numbers are read by it.
    currency: ISO code; without one, that of the country.
    email: Address for replies.
    """
    hashed = hash_password(password) if password else None

    def work(options: Settings, tx: Tx) -> dict[str, Any]:
        vault = Vault.open(options.secret, options.data)
        new = NewAccount(
            username=username,
            email=email or f"{username}@localhost.localdomain",
            phone="",
            account_name=username,
            country=country.upper(),
            currency=currency.upper() if currency else None,
            password_hash=hashed,
            api_key=api_key,
            webhook_secret=new_secret(),
            credit_micros=_amount(credit),
        )
        user_id = account.create(tx, vault, new)
        made = account.by_user(tx, user_id)
        assert made is not None
        audit.record(tx, user_id, audit.CLI, "account.created", f"credit {credit}")
        _, sub = account.profile(tx, user_id, made.subaccount_id)
        return {
            "user_id": user_id,
            "username": made.username,
            "api_key": vault.unseal(sub["key_sealed"]),
            "currency": made.currency,
            "balance": prices.fixed(ledger.balance(tx, user_id), 4),
        }

    made = within(data, work)
    show(as_json, made, "\n".join(f"{name:9} {value}" for name, value in made.items()))


def _amount(value: Decimal) -> int:
    try:
        return prices.micros(value)
    except ValueError as problem:
        raise Problem(str(problem)) from None


@accounts.command
def credit(username: str, amount: Decimal, *, data: Data = None, as_json: AsJson = False) -> None:
    """Add credit to an account (or take it away, with a negative amount).

    Parameters
    ----------
    username: The account.
    amount: In its currency.
    """

    def work(_: Settings, tx: Tx) -> dict[str, Any]:
        row = named(tx, username)
        try:
            balance = ledger.post(tx, row["user_id"], _amount(amount), "credit", "command line")
        except ledger.InsufficientCredit:
            raise Problem("That would take the balance below zero.") from None
        audit.record(tx, row["user_id"], audit.CLI, "credit", str(amount))
        return {"username": row["username"], "balance": prices.fixed(balance, 4), "currency": row["currency"]}

    made = within(data, work)
    show(as_json, made, f"{made['username']} now has {made['currency']} {made['balance']}.")


@accounts.command(name="opt-out")
def opt_out(username: str, *, strict: bool, data: Data = None, as_json: AsJson = False) -> None:
    """Choose what an opt-out binds: sends to lists only, or (strict) every SMS send to a number in the Opt-Out List.

    Parameters
    ----------
    username: The account.
    strict: --strict or --no-strict.
    """

    def work(_: Settings, tx: Tx) -> None:
        row = named(tx, username)
        account.set_strict_opt_out(tx, row["user_id"], strict)
        audit.record(tx, row["user_id"], audit.CLI, "opt-out", "every send" if strict else "lists")

    within(data, work)
    bound = "every send" if strict else "sends to lists"
    show(as_json, {"username": username, "strict": strict}, f"An opt-out of {username} now binds {bound}.")


@carrier_routes.command(name="list")
def list_routes(*, config: str | None = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show the transports and routes in force."""
    found = settings.carriers(settings.load(data=data, config=config))
    names = ("channel", "transport", "kind", "country", "prefix", "sender", "account", "priority", "weight")
    rows = []
    for route in sorted(found.routes, key=lambda route: (route.channel, route.priority)):
        kind = type(found.transports[route.transport]).__name__.removesuffix("Options").lower()
        rows.append({name: kind if name == "kind" else str(getattr(route, name)) for name in names})
    used = [name for name in names if any(row[name] for row in rows)]
    table = Table(*used)
    for row in rows:
        table.add_row(*(row[name] for name in used))
    show(as_json, rows, table)


@carrier_routes.command
def check(*, config: str | None = None, data: Data = None) -> None:
    """Read heliograph.toml and say whether it can be used."""
    found = settings.carriers(settings.load(data=data, config=config))
    out.print(f"{len(found.transports)} transports, {len(found.routes)} routes: fine.", highlight=False)


@carrier_routes.command
def init(*, data: Data = None) -> None:
    """Write a commented example of heliograph.toml into the data folder."""
    options = settings.load(data=data)
    path = options.data / "heliograph.toml"
    if path.exists():
        raise Problem(f"{path} exists already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((Path(__file__).parent / "example.toml").read_text(encoding="utf-8"), encoding="utf-8")
    out.print(f"Wrote {path}.", highlight=False, soft_wrap=True)


@rates.command(name="import")
def import_prices(file: Path, *, data: Data = None) -> None:
    """Put a rates file in force.

    Parameters
    ----------
    file: TOML, in the form of the file that comes with the program.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise Problem(f"{file}: {problem}") from None

    def work(_: Settings, tx: Tx) -> prices.Rates:
        made = tariff.import_rates(tx, text)
        audit.record(tx, audit.HOUSE, audit.CLI, "prices.imported", made.version)
        return made

    made = within(data, work)
    out.print(f"Rates {made.version} are in force.", highlight=False)


@hooks.command
def replay(username: str, *ids: int, data: Data = None) -> None:
    """Push again what was given up, or the deliveries named.

    Parameters
    ----------
    username: The account.
    ids: Deliveries; without any, all that were given up.
    """

    def work(_: Settings, tx: Tx) -> int:
        row = named(tx, username)
        return outgoing.replay(tx, row["user_id"], list(ids) or None)

    out.print(f"{within(data, work)} deliveries are pushed again.", highlight=False)


@hooks.command(name="list")
def list_hooks(username: str, *, data: Data = None, as_json: AsJson = False) -> None:
    """Show the newest deliveries of an account and how they went.

    Parameters
    ----------
    username: The account.
    """

    def work(_: Settings, tx: Tx) -> list[dict[str, Any]]:
        row = named(tx, username)
        found = [dict(delivery) for delivery in outgoing.listing(tx, row["user_id"])]
        return [entry | {"attempts": [dict(a) for a in outgoing.attempts(tx, entry["delivery_id"])]} for entry in found]

    found = within(data, work)
    table = Table("delivery", "url", "state", "attempts", "last")
    for entry in found:
        last = entry["attempts"][-1] if entry["attempts"] else {}
        table.add_row(
            str(entry["delivery_id"]),
            entry["url"],
            entry["state"],
            str(len(entry["attempts"])),
            str(last.get("status") or last.get("error") or ""),
        )
    show(as_json, found, table)


@app.command
def mail(*, data: Data = None, as_json: AsJson = False) -> None:
    """Show what the built-in mail carrier holds."""
    found = mailsink.listing(mail_folder(settings.load(data=data)))
    table = Table("at", "from", "to", "subject", "text")
    for entry in found:
        table.add_row(str(entry.at), entry.sender, entry.recipient, entry.subject, entry.text[:200])
    show(
        as_json,
        [
            {"id": m.id, "at": m.at, "from": m.sender, "to": m.recipient, "subject": m.subject, "text": m.text}
            for m in found
        ],
        table,
    )


@app.command
def migrate(*, database: str | None = None, data: Data = None) -> None:
    """Bring the database to the newest tables."""
    options = settings.load(data=data, database=database)
    options.data.mkdir(parents=True, exist_ok=True)
    done = migrations.upgrade(database_url(options))
    out.print(f"Ran {', '.join(done)}." if done else "Nothing to do.", highlight=False)


@app.command
def doctor(*, data: Data = None, config: str | None = None, as_json: AsJson = False) -> None:
    """Say what is installed, configured and reachable."""
    options = settings.load(data=data, config=config)
    found = asyncio.run(examination.examine(options, database_url(options)))
    table = Table("what", "state", "detail")
    for finding in found:
        table.add_row(finding.what, "[green]fine[/]" if finding.fine else "[red]wrong[/]", finding.detail)
    show(as_json, [{"what": f.what, "fine": f.fine, "detail": f.detail} for f in found], table)
    if not all(finding.fine for finding in found):
        sys.exit(1)


@app.command
def smsc(*, host: str = "127.0.0.1", port: int = 2775, system_id: str = "", password: str = "") -> None:
    """Run the simulated SMSC alone, for other SMPP clients.

    Parameters
    ----------
    host: Address to listen on.
    port: Port to listen on.
    system_id: Name that clients must bind with; empty: any.
    password: Their password.
    """
    logs.configure("info", "auto")
    out.print(f"Simulated SMSC on {host}:{port}; the numbers are described in docs/sandbox.md.", highlight=False)
    uvloop_run(serve_alone(host, port, system_id, password, _heard))


def _heard(sender: str, recipient: str, body: str) -> None:
    out.print(f"{sender} -> {recipient}: {body}", highlight=False, markup=False, soft_wrap=True)
