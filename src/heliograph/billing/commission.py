"""What others earn when an account spends: the reseller its margin, the referrer a percentage.

Commission is booked once per account and transaction, apart from the credit, in the currency that was spent. It is
converted only when it is shown or paid out. A refund takes the commission back from the day of the charge.
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
    """What an account pays, and who earns by it. `discount` (percent) is taken off the prices of messages in the rates;
    `margin` (percent) is added to what is left and is what the reseller earns; `percentage` of what the account spends
    on messages is what its referrer earns: the operator pays it, the account's price stays the same.
    """

    discount: int = 0
    margin: int = 0
    reseller_id: int | None = None
    percentage: int = 0
    referrer_id: int | None = None

    @property
    def shared(self) -> bool:
        """Whether anybody earns commission by this account."""
        return bool(self.margin or self.percentage)

    def price(self, micros: int) -> int:
        """The account's price for a message that costs `micros` in the rates.

        Prices have four decimals at most, so only a discount together with a margin has to be rounded (down, to a
        micro).
        """
        return self.full_price(micros * (100 - self.discount) // 100)

    def full_price(self, micros: int) -> int:
        """The account's price for what has no discount (dedicated numbers)."""
        return micros * (100 + self.margin) // 100

    def shares(self, *, referral: bool) -> Iterator[tuple[int, str, int]]:
        """(who earns, kind, percent)."""
        if self.margin and self.reseller_id is not None:
            yield self.reseller_id, MARGIN, self.margin
        if referral and self.percentage and self.referrer_id is not None:
            yield self.referrer_id, REFERRAL, self.percentage


def _part(kind: str, percent: int, micros: int) -> int:
    """The commission for `micros` spent. A margin is already part of the price; a referral is a percentage of the
    price.

    It is rounded down, also for a refund (negative `micros`): at least as much is taken back as was earned.
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
    """Take back what others have earned by `micros` that an account spent on a day, and got back now.

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
    """These balances as one sum in a currency; those that the rates cannot convert are left out."""
    micros = 0
    for earned, amount in balances(tx, user_id).items():
        if rates.converts(earned, currency):
            micros += rates.convert(amount, earned, currency)
    return micros


def pay_out(tx: Tx, user: Mapping[str, Any], rates: Rates) -> int:
    """Turn what a user (its row) has earned into credit; how much, in micros of its currency, 0 when there is nothing.

    Balances below zero (after refunds) are subtracted. Raises RatesError when a currency cannot be converted.
    """
    ledger.lock(tx, [user["user_id"]])
    held = f"SELECT currency, micros FROM commission_balances WHERE user_id = ? {tx.dialect.for_update}"  # noqa: S608
    # The rows are locked: this waits until another process that is adding to them has committed.
    earned = dict(tx.driver(held, [user["user_id"]]).fetchall())
    micros = sum(rates.convert(amount, currency, user["currency"]) for currency, amount in earned.items() if amount)
    if micros <= 0:
        return 0
    paid = (commission_balances.c.user_id == user["user_id"]) & commission_balances.c.currency.in_(earned)
    tx.execute(commission_balances.delete().where(paid))
    ledger.post(tx, user["user_id"], micros, "commission", "pay-out")
    return micros
