"""Commands about money and numbers: payments of the gateway, commission, the pool of numbers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cyclopts
from cyclopts import Parameter

from heliograph import audit, phone
from heliograph.app import database_url
from heliograph.billing import commission, ledger, payments, prices
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways.base import Charge, GatewayAway
from heliograph.billing.gateways.chosen import gateway
from heliograph.billing.tariff import rates_of
from heliograph.commands.base import STORE, AsJson, Store, Username, named, within
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import Conflict, NotFound
from heliograph.numbers import supply
from heliograph.numbers.supply import Pool
from heliograph.phone import Phone
from heliograph.process import Problem
from heliograph.terminal import show, table

T = TypeVar("T")
MOST_COMPARED = 20_000
"""Charges that one transaction looks for; a day has fewer."""

paid = cyclopts.App(name="payments", help="Charges of cards.")
numbers = cyclopts.App(name="numbers", help="Dedicated numbers.")


def pay_out(username: Username, /, *, where: Store = STORE, as_json: AsJson = False) -> None:
    """Turn what an account has earned by referrals and margins into credit."""

    def work(tx: Tx) -> dict[str, Any]:
        row = named(tx, username)
        micros = commission.pay_out(tx, row, rates_of(tx))
        if micros:
            said = f"{row['currency']} {prices.fixed(micros, 4)}"
            audit.record(tx, row["user_id"], audit.CLI, "commission.paid", said)
        balance = ledger.balance(tx, row["user_id"])
        return {"username": row["username"], "paid": prices.fixed(micros, 4), "balance": prices.fixed(balance, 4)}

    made = within(where.load(), work)
    show(as_json, made, f"{made['username']} got {made['paid']} of commission and now has {made['balance']}.")


@paid.command
def refund(
    invoice: Annotated[str, Parameter(help="The invoice number.")],
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Give the money of a payment back to the card, and take the credit off the account."""
    try:
        row = _with_cashier(where, lambda cashier, _: cashier.refund(invoice.lower()))
    except NotFound:
        raise Problem(f"There is no payment {invoice!r} to refund.") from None
    except Conflict as problem:
        raise Problem(problem.message) from None
    except ledger.InsufficientCredit:
        raise Problem("The account has spent that credit: its balance would be below zero.") from None
    if row["state"] != payments.REFUNDED:
        raise Problem(f"The gateway refused: {row['reason']}")
    back = f"{row['currency']} {prices.fixed(row['micros'], 2)}"
    show(as_json, {"invoice": row["invoice_number"], "state": row["state"]}, f"{back} went back.")


@paid.command
def check(
    *,
    limit: Annotated[int, Parameter(help="How many of the newest charges to compare.")] = 1000,
    credit: Annotated[bool, Parameter(help="Give the accounts their credit.", negative="")] = False,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """List charges that the gateway has and no account got credit for."""
    if not 0 < limit <= MOST_COMPARED:
        raise Problem(f"--limit={limit}: it must be an integer from 1 to {MOST_COMPARED}.")

    async def work(cashier: Cashier, database: Database) -> list[dict[str, Any]]:
        charges = await cashier.gateway.list(limit)
        return await database.write(lambda tx: _compared(tx, charges, credit=credit))

    found = _with_cashier(where, work)
    rows = [
        {**one, "amount (minor units)": one["amount"], "credited": "yes" if one["credited"] else ""} for one in found
    ]
    shown = table(rows, ("charge", "amount (minor units)", "currency", "key", "username", "credited"))
    show(as_json, found, shown if rows else "Each charge has its credit.")


def _compared(tx: Tx, charges: Sequence[Charge], *, credit: bool) -> list[dict[str, Any]]:
    found = []
    for one, row in payments.unmatched(tx, charges):
        credited = credit and row is not None and payments.settle(tx, row["payment_id"], one)["state"] == payments.PAID
        about = {"charge": one.charge_id, "amount": one.amount, "currency": one.currency, "key": one.key}
        found.append({**about, "username": row and row["username"], "credited": credited})
    return found


def _with_cashier(where: Store, work: Callable[[Cashier, Database], Awaitable[T]]) -> T:
    """Run `work` with the gateway of the settings. Raises Problem when the gateway is away."""
    options = where.load()

    async def run() -> T:
        migrate.upgrade(database_url(options))
        database = Database(database_url(options))
        try:
            return await work(Cashier(database, gateway(options)), database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except GatewayAway as silent:
        raise Problem(f"The gateway gave no answer ({silent}). Run the command again.") from None


@numbers.command(name="import")
def import_numbers(
    file: Annotated[Path, Parameter(help="The list.")], /, *, where: Store = STORE, as_json: AsJson = False
) -> None:
    """Put numbers into the pool that accounts buy from: one a line in E.164, # begins a comment."""
    found, options = _listed(file), where.load()
    if shared := {one.number for one in found} & set(supply.shared(options)):
        raise Problem(f"{file}: all accounts share {', '.join(sorted(shared))} (HELIOGRAPH_SHARED_SENDERS).")
    new = within(options, lambda tx: Pool.add(tx, found))
    known = len(found) - new
    show(as_json, {"new": new, "known": known}, f"{new} new numbers are in the pool, {known} were there already.")


def _listed(file: Path) -> list[Phone]:
    """The numbers of a list. Raises Problem, OSError."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise Problem(f"{file}: this is no text in UTF-8.") from None
    found = []
    for place, line in enumerate(lines, 1):
        text = re.sub("#.*", "", line).strip()
        if text:
            number = phone.parse(text)
            if number is None:
                raise Problem(f"{file}, line {place}: {text!r} is no number in E.164 format.")
            found.append(number)
    return found
