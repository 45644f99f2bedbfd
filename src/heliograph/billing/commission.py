"""What others earn when an account spends: the reseller its margin, the referrer a percentage.

It is booked once per account and transaction, apart from the balances, in the currency that was spent; shown and paid
out, it is converted. What is refunded is taken back from the day of the charge, so that nothing is earned by it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from heliograph.billing import ledger
from heliograph.billing.prices import Rates
from heliograph.db.engine import Tx
from heliograph.db.tables import commission_balances

MARGIN, REFERRAL = "margin", "referral"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an account pays, and who earns by it. `discount` (percent) is taken off the house's prices of messages;
    `margin` (percent) is added to what is left and is what the reseller earns; `percentage` of what the account spends
    on messages is what its referrer earns, out of the house's pocket.
    """

    discount: int = 0
    margin: int = 0
    reseller_id: int | None = None
    percentage: int = 0
    referrer_id: int | None = None

    @property
    def shared(self) -> bool:
        """Whether anybody earns anything."""
        return bool(self.margin or self.percentage)

    def price(self, micros: int) -> int:
        """The account's price for a message that the house prices at `micros`.

        Exact but for discounts with a margin (rounded down to a micro): prices have four decimals at most.
        """
        return self.full_price(micros * (100 - self.discount) // 100)

    def full_price(self, micros: int) -> int:
        """The same for what has no discount: numbers."""
        return micros * (100 + self.margin) // 100

    def shares(self, *, referral: bool) -> Iterator[tuple[int, str, int]]:
        """(who earns, kind, percent)."""
        if self.margin and self.reseller_id is not None:
            yield self.reseller_id, MARGIN, self.margin
        if referral and self.percentage and self.referrer_id is not None:
            yield self.referrer_id, REFERRAL, self.percentage


def _part(kind: str, percent: int, micros: int) -> int:
    """What is earned of `micros` spent: a margin lies inside of the price, a referral's percentage is of it.

    Rounded down, and so up for what is taken back (a negative amount).
    """
    return micros * percent // (100 + percent if kind == MARGIN else 100)


def book(tx: Tx, user_id: int, currency: str, terms: Terms, micros: int, day: int, *, referral: bool = True) -> None:
    """Share out what an account has spent on a day (of `date // DAY`). `referral`: it was spent on messages."""
    for earner, kind, percent in terms.shares(referral=referral):
        earned = _part(kind, percent, micros)
        tx.driver(
            "INSERT INTO commissions (source_user_id, day, user_id, kind, currency, percent, cost_micros, micros)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source_user_id, day, user_id, kind) DO UPDATE SET"
            " percent = CASE WHEN commissions.percent > excluded.percent THEN commissions.percent"
            " ELSE excluded.percent END, cost_micros = commissions.cost_micros + excluded.cost_micros,"
            " micros = commissions.micros + excluded.micros",
            [user_id, day, earner, kind, currency, percent, micros, earned],
        )
        _add(tx, earner, currency, earned)


def take_back(tx: Tx, user_id: int, micros: int, day: int) -> None:
    """An account got `micros` back that it had spent on a day: take back what others have earned by it.

    When the percentage changed on that day the highest one counts, so that raising it after a purchase earns nothing.
    """
    found = tx.driver(
        "SELECT user_id, kind, currency, percent FROM commissions WHERE source_user_id = ? AND day = ?", [user_id, day]
    ).fetchall()
    for earner, kind, currency, percent in found:
        lost = _part(kind, percent, -micros)
        tx.driver(
            "UPDATE commissions SET cost_micros = cost_micros - ?, micros = micros + ?"
            " WHERE source_user_id = ? AND day = ? AND user_id = ? AND kind = ?",
            [micros, lost, user_id, day, earner, kind],
        )
        _add(tx, earner, currency, lost)


def _add(tx: Tx, user_id: int, currency: str, micros: int) -> None:
    tx.driver(
        "INSERT INTO commission_balances (user_id, currency, micros) VALUES (?, ?, ?)"
        " ON CONFLICT (user_id, currency) DO UPDATE SET micros = commission_balances.micros + excluded.micros",
        [user_id, currency, micros],
    )


def balances(tx: Tx, user_id: int) -> dict[str, int]:
    """What an account has earned and not been paid, in micros by currency."""
    found = tx.driver("SELECT currency, micros FROM commission_balances WHERE user_id = ?", [user_id]).fetchall()
    return {currency: micros for currency, micros in found if micros}


def total(tx: Tx, user_id: int, currency: str, rates: Rates) -> int:
    """The same in one currency; what the rates cannot convert is left out."""
    micros = 0
    for earned, amount in balances(tx, user_id).items():
        if rates.converts(earned, currency):
            micros += rates.convert(amount, earned, currency)
    return micros


def pay_out(tx: Tx, user: Mapping[str, Any], rates: Rates) -> int:
    """Turn what a user (its row) has earned into credit; how much, in micros of its currency, 0 when there is nothing.

    Raises RatesError when a currency cannot be converted. Debts (by refunds) are settled with the rest.
    """
    ledger.lock(tx, [user["user_id"]])
    held = f"SELECT currency, micros FROM commission_balances WHERE user_id = ? {tx.dialect.for_update}"  # noqa: S608
    earned = dict(tx.driver(held, [user["user_id"]]).fetchall())  # what another process is adding is waited for
    micros = sum(rates.convert(amount, currency, user["currency"]) for currency, amount in earned.items() if amount)
    if micros <= 0:
        return 0
    paid = (commission_balances.c.user_id == user["user_id"]) & commission_balances.c.currency.in_(earned)
    tx.execute(commission_balances.delete().where(paid))
    ledger.post(tx, user["user_id"], micros, "commission", "pay-out")
    return micros
