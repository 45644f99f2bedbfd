"""Commands about money and numbers: payments of the gateway, commission, the pool of numbers."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import cyclopts
from rich.table import Table

from heliograph import audit, phone, settings
from heliograph.app import database_url, gateway
from heliograph.billing import commission, ledger, payments, prices
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways.base import GatewayAway
from heliograph.billing.tariff import rates_of
from heliograph.commands.base import AsJson, Data, Problem, named, out, show, within
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import NotFound
from heliograph.numbers.supply import Pool
from heliograph.settings import Settings

T = TypeVar("T")
paid = cyclopts.App(name="payments", help="Charges of cards.")
numbers = cyclopts.App(name="numbers", help="Dedicated numbers.")


def pay_out(username: str, *, data: Data = None, as_json: AsJson = False) -> None:
    """Turn what an account has earned by referrals and margins into credit.

    Parameters
    ----------
    username: The account.
    """

    def work(_: Settings, tx: Tx) -> dict[str, Any]:
        row = named(tx, username)
        micros = commission.pay_out(tx, row, rates_of(tx))
        audit.record(tx, row["user_id"], audit.CLI, "commission.paid", f"{row['currency']} {prices.fixed(micros, 4)}")
        balance = ledger.balance(tx, row["user_id"])
        return {"username": row["username"], "paid": prices.fixed(micros, 4), "balance": prices.fixed(balance, 4)}

    made = within(data, work)
    show(as_json, made, f"{made['username']} got {made['paid']} of commission and now has {made['balance']}.")


@paid.command
def refund(invoice: str, *, data: Data = None) -> None:
    """Give the money of a payment back to the card, and take the credit off the account.

    Parameters
    ----------
    invoice: The invoice number.
    """
    try:
        row = _with_cashier(data, lambda cashier, _: cashier.refund(invoice.lower()))
    except NotFound:
        raise Problem(f"There is no payment {invoice!r} to refund.") from None
    except ledger.InsufficientCredit:
        raise Problem("The account has spent that credit: its balance would be below zero.") from None
    if row["state"] != payments.REFUNDED:
        raise Problem(f"The gateway refused: {row['reason']}")
    out.print(f"{row['currency']} {prices.fixed(row['micros'], 2)} went back.", highlight=False)


@paid.command
def check(*, limit: int = 100, data: Data = None, as_json: AsJson = False) -> None:
    """List charges that the gateway has and no account got credit for.

    Parameters
    ----------
    limit: How many of the newest charges to compare, up to 100.
    """

    async def work(cashier: Cashier, database: Database) -> list[dict[str, Any]]:
        charges = await cashier.gateway.list(limit)
        found = await database.read(lambda tx: payments.unmatched(tx, charges))
        return [
            {"charge": one.charge_id, "amount": one.amount, "currency": one.currency, "key": one.key} for one in found
        ]

    found = _with_cashier(data, work)
    table = Table("charge", "amount (minor units)", "currency", "key")
    for one in found:
        table.add_row(one["charge"], str(one["amount"]), one["currency"], one["key"])
    show(as_json, found, table)


def _with_cashier(data: str | None, work: Callable[[Cashier, Database], Awaitable[T]]) -> T:
    """Run `work` with the gateway of the settings. Raises Problem when the gateway is away."""
    options = settings.load(data=data)

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
def import_numbers(file: Path, *, data: Data = None) -> None:
    """Put numbers into the pool that accounts buy from: one a line in E.164, # begins a comment.

    Parameters
    ----------
    file: The list.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise Problem(f"{file}: {problem}") from None
    found = []
    for place, line in enumerate(lines, 1):
        text = re.sub("#.*", "", line).strip()
        if text:
            number = phone.parse(text)
            if number is None:
                raise Problem(f"{file}, line {place}: {text!r} is no number in E.164 format.")
            found.append(number)
    new = within(data, lambda _, tx: Pool.add(tx, found))
    out.print(f"{new} new numbers are in the pool, {len(found) - new} were there already.", highlight=False)
