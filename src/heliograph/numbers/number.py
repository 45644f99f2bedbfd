"""Dedicated numbers: bought from a supply, paid by the month, released when they are not paid; who owns a number."""

import calendar
import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from heliograph import audit, phone
from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.billing import commission, ledger, prices
from heliograph.billing.prices import RatesError
from heliograph.billing.tariff import rates_of
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns, decimals
from heliograph.db.tables import owned_numbers
from heliograph.errors import ApiError, BadRequest, NotFound, TooLittleCredit
from heliograph.messaging.hooks import NOBODY
from heliograph.numbers.supply import Supply

NO_RECORD = "Number record not found."
COLUMNS: Columns = {
    "dedicated_number": owned_numbers.c.number,
    "country": owned_numbers.c.country,
    "price": decimals(owned_numbers.c.monthly_micros, 2, prices.MICRO),
}


def of(user_id: int) -> Select[Any]:
    """The numbers of an account."""
    return select(owned_numbers).where(owned_numbers.c.user_id == user_id)


def owner(tx: Tx, number: str) -> tuple[int, int] | None:
    """(user_id, subaccount_id) of the owner of a number (E.164). NOBODY: a dedicated number without an owner, for sale
    in the pool or released by an earlier owner. None: no dedicated number.
    """
    spelt = phone.spellings(number)
    for row in tx.driver_in("SELECT user_id, subaccount_id FROM owned_numbers WHERE number IN ({})", [], spelt):
        return row[0], row[1]
    dedicated = [f"SELECT 1 FROM {table} WHERE number IN ({{}})" for table in ("number_pool", "released_numbers")]  # noqa: S608
    return NOBODY if any(row for sql in dedicated for row in tx.driver_in(sql, [], spelt)) else None


def owners(tx: Tx, numbers: Collection[str]) -> dict[str, int]:
    """Number -> user_id of its owner, for those of these numbers (E.164) that have one, in whatever spelling."""
    spelt = {spelling: number for number in numbers for spelling in phone.spellings(number)}
    found = tx.driver_in("SELECT number, user_id FROM owned_numbers WHERE number IN ({})", [], spelt)
    return {spelt[number]: user_id for number, user_id in found}


def prices_for(tx: Tx, who: Principal, country: str) -> tuple[int, int]:
    """(price once, price each month) of a number, in micros of the account's currency. Raises BadRequest: the rates do
    not price numbers.
    """
    rates = rates_of(tx)
    try:
        setup, monthly = (rates.price("number", kind, country, who.currency) for kind in ("setup", "monthly"))
    except RatesError:
        raise BadRequest({"country": f"Numbers are not sold in {who.currency}."}) from None
    return who.terms.full_price(setup), who.terms.full_price(monthly)


def buy(tx: Tx, who: Principal, text: str, supplies: Sequence[Supply]) -> tuple[Mapping[str, Any], int]:
    """Buy a number: its row, and what was paid once beside the first month.

    Raises NotFound: not for sale; ApiError ALREADY_EXISTS: the account has it already; TooLittleCredit.
    """
    number = phone.parse(text)
    if number is None or not any(supply.has(tx, number) for supply in supplies):
        raise NotFound(NO_RECORD)
    setup, monthly = prices_for(tx, who, number.country)
    bought = tx.driver(
        "INSERT INTO owned_numbers (number, user_id, subaccount_id, country, currency, monthly_micros, bought_at,"
        " months, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (number) DO NOTHING",
        [
            number.number,
            who.user_id,
            who.subaccount_id,
            number.country,
            who.currency,
            monthly,
            tx.now,
            months_after(tx.now, 1),
        ],
    )
    if bought.rowcount == 0:
        holder = owner(tx, number.number)
        if holder and holder[0] == who.user_id:
            raise ApiError("You have this number already.", code="ALREADY_EXISTS")
        raise NotFound(NO_RECORD)
    _pay(tx, who, number.number, setup + monthly)
    account.touch(tx)
    audit.record(tx, who.user_id, who.api_username, "number.bought", number.number)
    row = tx.row(of(who.user_id).where(owned_numbers.c.number == number.number))
    assert row is not None
    return row, setup


def _pay(tx: Tx, who: Principal, number: str, micros: int) -> None:
    """Take the price of a number from the credit. Raises TooLittleCredit."""
    try:
        ledger.post(tx, who.user_id, -micros, "number", number)
    except ledger.InsufficientCredit:
        raise TooLittleCredit("Your balance is too low for this number.") from None
    commission.book(tx, who.user_id, who.currency, who.terms, micros, tx.now // DAY, referral=False)


def renew_due(tx: Tx, grace_days: int, limit: int = 50) -> bool:
    """Charge the numbers whose month is over; whether there may be more.

    One that cannot be paid is tried again each day, and released when it is not paid after the days of grace.
    """
    due = (
        select(owned_numbers)
        .where(owned_numbers.c.due_at <= tx.now)
        .order_by(owned_numbers.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = tx.rows(due)
    for row in rows:
        _renew(tx, row, grace_days)
    return len(rows) == limit


def _renew(tx: Tx, row: Mapping[str, Any], grace_days: int) -> None:
    who = account.by_user(tx, row["user_id"])
    assert who is not None
    mine = owned_numbers.c.number == row["number"]
    try:
        _, monthly = prices_for(tx, who, row["country"])
        _pay(tx, who, row["number"], monthly)
    except BadRequest:  # the rates no longer have such a price: try again when they may have one
        tx.execute(owned_numbers.update().where(mine).values(due_at=tx.now + DAY))
    except TooLittleCredit:
        since = row["unpaid_since"] or tx.now
        last = since + grace_days * DAY
        if tx.now >= last:
            tx.execute(owned_numbers.delete().where(mine))
            known = "INSERT INTO released_numbers (number, released_at) VALUES (?, ?) ON CONFLICT (number) DO NOTHING"
            tx.driver(known, [row["number"], tx.now])
            audit.record(tx, who.user_id, audit.UPKEEP, "number.released", row["number"])
            account.touch(tx)
        else:
            tx.execute(owned_numbers.update().where(mine).values(unpaid_since=since, due_at=min(tx.now + DAY, last)))
    else:
        months = row["months"] + 1
        due_at = months_after(row["bought_at"], months)
        values = {"months": months, "due_at": due_at, "monthly_micros": monthly, "unpaid_since": None}
        tx.execute(owned_numbers.update().where(mine).values(values))


def months_after(start: int, months: int) -> int:
    """The Unix time a number of calendar months (UTC) later; the end of a month that has no such day."""
    began = datetime.datetime.fromtimestamp(start, datetime.UTC)
    years, month = divmod(began.month - 1 + months, 12)
    year, month = began.year + years, month + 1
    day = min(began.day, calendar.monthrange(year, month)[1])
    return int(began.replace(year=year, month=month, day=day).timestamp())
