"""The command line. What concerns accounts that exist, money, numbers and delivery issues is in commands/."""

import asyncio
import io
import os
import re
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, NoReturn

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.text import Text

from heliograph import audit, carriers, logs, process
from heliograph.accounts import account, passwords
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import hash_password
from heliograph.app import database_url
from heliograph.billing import ledger, prices, tariff
from heliograph.commands import accounts as account_commands
from heliograph.commands import campaigns, domains, inboxes, issues, letters, links, messages, money, smpp, suppressions
from heliograph.commands.base import (
    EVERYTHING,
    STORE,
    WIRING,
    AsJson,
    Everything,
    Store,
    Username,
    Wiring,
    named,
    option,
    vault_of,
    within,
)
from heliograph.db import health
from heliograph.db import migrate as migrations
from heliograph.db.engine import Tx
from heliograph.errors import ApiError, Unfit
from heliograph.mailaddress import is_address
from heliograph.option import SettingsError
from heliograph.phone import COUNTRIES
from heliograph.process import Problem, make_server
from heliograph.settings import Settings
from heliograph.terminal import complain, moment, out, say, show, table
from heliograph.transports.sandbox.smsc import serve_alone
from heliograph.webhooks import outgoing
from heliograph.webhooks.signature import new_secret

__all__ = ["main", "make_server"]

USERNAME = re.compile(r"[\w.@+-]{2,100}")
MOST_CREDIT = 10**12 * prices.MICRO
"""A balance stays below it, so that micros keep within 64 bits."""

app = cyclopts.App(
    name="heliograph",
    help="A self-hosted messaging platform that speaks the ClickSend REST API v3.",
    help_epilogue="More options are read from the environment: see docs/settings.md.",
    console=out,
)
accounts = cyclopts.App(name="account", help="Accounts: make them, show them, give them credit.")
carrier_routes = cyclopts.App(name="routes", help="Carriers and routes of heliograph.toml.")
rates = cyclopts.App(name="prices", help="What messages cost.")
hooks = cyclopts.App(name="webhooks", help="Events pushed to customers' URLs.")
for part in (
    accounts,
    messages.app,
    carrier_routes,
    rates,
    hooks,
    domains.app,
    issues.app,
    links.app,
    money.paid,
    money.numbers,
    smpp.app,
    suppressions.app,
    campaigns.app,
):
    app.command(part)
accounts.command(account_commands.list_accounts, name="list")
accounts.command(account_commands.show_account, name="show")
accounts.command(account_commands.show_key, name="key")
accounts.command(account_commands.change, name="set")
accounts.command(account_commands.opt_out)
accounts.command(money.pay_out, name="payout")
app.command(account_commands.read_audit, name="audit")
for shown in (inboxes.mails, inboxes.mms, inboxes.phone):
    app.command(shown)
inboxes.mails.command(letters.show_mail, name="show")
app.command(account_commands.read_opt_outs, name="optouts")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs one command. What can go wrong outside of the program is told in one sentence.

    Whatever it makes (database, keys, files, logs of SQLite) is for its own user only.
    """
    os.umask(0o077)
    told = sys.argv[1:] if arguments is None else arguments
    try:
        "".join(told).encode()
    except UnicodeEncodeError:  # Python keeps bytes of another encoding as halves of surrogates
        _fail("An argument is no text in UTF-8.")
    if isinstance(sys.stdout, io.TextIOWrapper):  # whatever its encoding: a mark in place of what it does not have
        sys.stdout.reconfigure(errors="replace")
    try:
        app(told, exit_on_error=False, print_error=False)
    except cyclopts.UnusedCliTokensError as problem:
        _fail(f"There is no use for: {' '.join(problem.unused_tokens or ())}")
    except cyclopts.CycloptsError as problem:
        problem.verbose = False
        _fail(str(problem))
    except (SettingsError, Problem, prices.RatesError) as problem:
        _fail(str(problem))
    except ApiError as refused:
        detail = " ".join(refused.data.values()) if isinstance(refused.data, dict) else ""
        _fail(detail or refused.message)
    except Unfit as problem:
        _fail(f"The database does not fit this version of the program: {problem}.")
    except health.errors() as problem:
        _fail(f"The database cannot be used: {health.reason(problem)}.")
    except FileExistsError as problem:
        _fail(f"{problem.filename} is no folder.")
    except OSError as problem:
        _fail(f"{problem.filename}: {problem.strerror}." if problem.filename else f"{problem.strerror or problem}.")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(why: str) -> NoReturn:
    complain(why)
    sys.exit(1)


# The processes


@app.command
def serve(
    *,
    host: Annotated[str | None, option("host")] = None,
    port: Annotated[int | None, option("port")] = None,
    role: Annotated[str | None, option("role")] = None,
    where: Everything = EVERYTHING,
) -> None:
    """Run the server."""
    options = where.anywhere(host=host, port=port, role=role)
    logs.configure(options.log_level, options.log_format)
    if options.role == "worker":
        process.run(process.work(options))
    elif options.mode == "sandbox" and out.is_terminal:
        process.run(_shown(options))
    else:
        process.run(process.serve(options))


async def _shown(options: Settings, *, stay: bool | None = None) -> None:
    """Serve as a demonstration; with `stay`, after its tour. An import under a running loop loses no Ctrl-C."""
    from heliograph import demo as demonstration  # with an HTTP client, as doctor below

    await asyncio.sleep(0)  # who pressed it meanwhile is heard here
    await (demonstration.serve(options) if stay is None else demonstration.run(options, stay=stay))


@app.command
def worker(*, where: Everything = EVERYTHING) -> None:
    """Deliver only: the same as serve --role worker."""
    serve(role="worker", where=where)


@app.command
def demo(
    *,
    serve: Annotated[bool, Parameter(help="Keep serving until Ctrl-C.", negative="", show_default=False)] = False,
    port: Annotated[int | None, option("port")] = None,
    where: Store = STORE,
) -> None:
    """Start, send a first SMS through the public API, and watch it travel."""
    options = where.anywhere(port=port, role="all")
    logs.configure("warning", options.log_format)
    process.run(_shown(options, stay=serve))


@app.command
def smsc(
    *,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 takes a free one.")] = 2775,
    system_id: Annotated[str, Parameter(help="Name that clients must bind with; empty: any.")] = "",
    password: Annotated[str, Parameter(help="Password that goes with the name.")] = "",
) -> None:
    """Run the simulated SMSC alone, for other SMPP clients. It keeps nothing."""
    if not 0 <= port <= 65535:
        raise Problem(f"--port={port}: it must be an integer from 0 to 65535.")
    if password and not system_id:
        raise Problem("--password: it goes with a --system-id.")
    logs.configure("info", "auto")
    try:
        process.run(process.until_told(serve_alone(host, port, system_id, password, _heard)))
    except OSError as problem:
        raise process.cannot_listen(host, port, problem) from None


def _heard(sender: str, recipient: str, body: str) -> None:
    say(f"{sender} -> {recipient}: {body}")


# Accounts and money


def _amount(text: str, what: str) -> int:
    """An amount in micros, out of plain or scientific notation."""
    try:
        return prices.micros(Decimal(text))
    except InvalidOperation:
        raise Problem(f"{what}: {text!r} is not a number.") from None
    except ValueError as problem:
        raise Problem(f"{what}: {problem}") from None


def _new_account(
    username: str, email: str, api_key: str | None, password: str | None, credit: str, country: str
) -> NewAccount:
    """What the options of `account create` ask for. Raises Problem."""
    if not USERNAME.fullmatch(username):
        raise Problem(f"The username {username!r} must have 2 to 100 letters, digits or . @ + - _.")
    if country.upper() not in COUNTRIES:
        raise Problem(f"There is no country {country!r}: give its ISO code of two letters, as AU.")
    if password is not None and not 4 <= len(password) <= 200:
        raise Problem("A password has 4 to 200 characters.")
    if api_key is not None and not re.fullmatch(r"[!-~]{1,200}", api_key):
        raise Problem("An API key has 1 to 200 characters, without spaces or letters outside ASCII.")
    if email and not is_address(email):
        raise Problem(f"{email!r} is no email address.")
    micros = _amount(credit, "--credit")
    if micros < 0:
        raise Problem("--credit: an opening credit is not negative.")
    return NewAccount(
        username=username,
        email=email or f"{username}@localhost.localdomain",
        phone="",
        account_name=username,
        country=country.upper(),
        password_hash=hash_password(password) if password else None,
        api_key=api_key,
        webhook_secret=new_secret(),
        credit_micros=micros,
    )


@accounts.command
def create(
    username: Annotated[str, Parameter(help="Name for logging in.")],
    /,
    *,
    api_key: Annotated[str | None, Parameter(help="Key to give it; without one, a random key.")] = None,
    password: Annotated[str | None, Parameter(help="Password that works in place of the key.")] = None,
    credit: Annotated[str, Parameter(help="Opening credit in its currency.")] = "0",
    country: Annotated[str, Parameter(help="ISO code; national numbers are read by it.")] = "AU",
    currency: Annotated[str | None, Parameter(help="ISO code; without one, that of the country.")] = None,
    email: Annotated[str, Parameter(help="Address for replies.")] = "",
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Make an account with a main subaccount of the same name."""
    new = _new_account(username, email, api_key, password, credit, country)
    new = msgspec.structs.replace(new, currency=currency.upper() if currency else None)
    options = where.load()
    if password is not None and (fault := passwords.fault(password, options.strict)):
        raise Problem(fault)

    def work(tx: Tx) -> dict[str, Any]:
        vault = vault_of(tx, options)
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

    made = within(options, work)
    show(as_json, made, "\n".join(f"{name:9} {value}" for name, value in made.items()))


@accounts.command
def credit(
    username: Username,
    amount: Annotated[str, Parameter(help="In its currency; a negative amount takes away.")],
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Add credit to an account."""
    micros = _amount(amount, "amount")

    def work(tx: Tx) -> dict[str, Any]:
        user_id = int(named(tx, username)["user_id"])
        try:
            balance = ledger.post(tx, user_id, micros, "credit", "command line")
        except ledger.InsufficientCredit:
            raise Problem("That would take the balance below zero.") from None
        if balance >= MOST_CREDIT:
            raise Problem(f"A balance is less than {MOST_CREDIT // prices.MICRO:,}.")
        audit.record(tx, user_id, audit.CLI, "credit", amount)
        made = account.by_user(tx, user_id)
        assert made is not None
        return {"username": made.username, "balance": prices.fixed(balance, 4), "currency": made.currency}

    made = within(where.load(), work)
    show(as_json, made, f"{made['username']} now has {made['currency']} {made['balance']}.")


@rates.command(name="import")
def import_prices(
    file: Annotated[Path, Parameter(help="TOML, in the form of the file that comes with the program.")],
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Put a rates file in force."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Problem(f"{file}: this is no text in UTF-8.") from None

    def work(tx: Tx) -> prices.Rates:
        made = tariff.import_rates(tx, text)
        audit.record(tx, audit.HOUSE, audit.CLI, "prices.imported", made.version)
        return made

    try:
        made = within(where.load(), work)
    except prices.RatesError as problem:
        raise Problem(f"{file}: {problem}") from None
    show(as_json, {"version": made.version, "source": made.source}, f"Rates {made.version} are in force.")


# Carriers


@carrier_routes.command(name="list")
def list_routes(*, where: Wiring = WIRING, as_json: AsJson = False) -> None:
    """Show the routes in force, in the order in which they are tried."""
    found = carriers.read(where.load())
    names = ("channel", "transport", "kind", "country", "prefix", "sender", "account", "priority", "weight")
    rows = []
    for route in sorted(found.routes, key=lambda route: (route.medium, route.priority)):
        kind = found.transports[route.transport].__struct_config__.tag
        given = {**msgspec.to_builtins(route), "kind": kind}
        rows.append({name: given[name] for name in names})
    used = [name for name in names if any(row[name] for row in rows)]
    show(as_json, rows, table(rows, used) if rows else "There are no routes.")


@carrier_routes.command
def check(*, where: Wiring = WIRING, as_json: AsJson = False) -> None:
    """Read heliograph.toml and say whether it can be used."""
    options = where.load()
    found = carriers.read(options)
    path = carriers.path(options)
    counts = {"transports": len(found.transports), "routes": len(found.routes)}
    what = f"{path}: nothing is wrong;" if path.exists() else f"There is no {path};"
    text = f"{what} {counts['transports']} transports and {counts['routes']} routes are in force."
    show(as_json, {"file": str(path) if path.exists() else None, **counts}, text)


@carrier_routes.command
def init(*, where: Wiring = WIRING) -> None:
    """Write a commented example of heliograph.toml into the data folder."""
    options = where.load()
    path = carriers.path(options)
    if path.exists():
        raise Problem(f"{path} exists already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((Path(__file__).parent / "example.toml").read_text(encoding="utf-8"), encoding="utf-8")
    say(f"Wrote {path}. Edit it, and try it with: {process.told('routes check', options)}")


# Webhooks and mails


@hooks.command
def replay(
    username: Username,
    /,
    *ids: Annotated[int, Parameter(help="Deliveries; without any, all that were given up.")],
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Push again what was given up, or the deliveries named."""
    if any(not 0 < key < 2**63 for key in ids):
        raise Problem("The number of a delivery is positive, and has 18 digits at most.")

    def work(tx: Tx) -> int:
        found = outgoing.replay(tx, int(named(tx, username)["user_id"]), list(ids) or None)
        if found < len(set(ids)):
            raise Problem(f"{username} does not have all of these deliveries, so none is pushed.")
        return found

    count = within(where.load(), work)
    text = "1 delivery is pushed again." if count == 1 else f"{count} deliveries are pushed again."
    show(as_json, {"replayed": count}, text)


@hooks.command
def secret(
    username: Username,
    /,
    *,
    new: Annotated[
        bool, Parameter(help="Make a new one, and forget the old.", negative="", show_default=False)
    ] = False,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show the secret that an account's events are signed with."""

    def work(tx: Tx) -> str:
        user_id = int(named(tx, username)["user_id"])
        if new:
            audit.record(tx, user_id, audit.CLI, "webhook_secret.renewed")
            return account.renew_webhook_secret(tx, user_id, new_secret())
        row = account.find(tx, username)
        assert row is not None
        return str(row["webhook_secret"])

    found = within(where.load(), work)
    show(as_json, {"username": username, "secret": found}, found)


@hooks.command(name="list")
def list_hooks(username: Username, /, *, where: Store = STORE, as_json: AsJson = False) -> None:
    """Show the newest deliveries of an account and how they went."""

    def work(tx: Tx) -> list[dict[str, Any]]:
        found = [dict(delivery) for delivery in outgoing.listing(tx, int(named(tx, username)["user_id"]))]
        return [entry | {"attempts": [dict(a) for a in outgoing.attempts(tx, entry["delivery_id"])]} for entry in found]

    found = within(where.load(), work)
    rows = []
    for entry in found:
        last = entry["attempts"][-1] if entry["attempts"] else {}
        told = last.get("status") or last.get("error") or ""
        made = {"delivery": entry["delivery_id"], "made": moment(entry["created_at"]), "url": entry["url"]}
        rows.append(made | {"state": entry["state"], "tries": len(entry["attempts"]), "last answer": told})
    show(as_json, found, table(rows, rows[0]) if rows else "Nothing was pushed yet.")


# Upkeep


@app.command
def migrate(*, where: Store = STORE, as_json: AsJson = False) -> None:
    """Bring the database to the newest tables."""
    options = where.anywhere()
    options.data.mkdir(parents=True, exist_ok=True)
    done = migrations.upgrade(database_url(options))
    show(as_json, {"ran": done}, f"Ran {', '.join(done)}." if done else "Nothing to do.")


@app.command
def doctor(*, where: Everything = EVERYTHING, as_json: AsJson = False) -> None:
    """Say what is installed, configured and reachable. The exit code is 1 when something is wrong."""
    options = where.anywhere()

    async def examined() -> list[dict[str, Any]]:
        from heliograph import doctor as examination

        found = await examination.examine(options, database_url(options))
        return [{"what": f.what, "fine": f.fine, "detail": f.detail} for f in found]

    rows = asyncio.run(examined())
    marks = [Text("fine", "green") if row["fine"] else Text("wrong", "bold red") for row in rows]
    shown = [{**row, "state": mark} for row, mark in zip(rows, marks, strict=True)]
    show(as_json, rows, table(shown, ("what", "state", "detail")))
    if not all(row["fine"] for row in rows):
        sys.exit(1)
