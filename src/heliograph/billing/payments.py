"""Kept cards and the charges of them: written down before the gateway is asked, credited once when it has answered."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, exists, select

from heliograph import audit
from heliograph.billing import currencies, ledger, prices
from heliograph.billing.gateways.base import Card, Charge
from heliograph.billing.tariff import rates_of
from heliograph.clock import HOUR
from heliograph.db import epochs
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns, decimals
from heliograph.db.tables import balances, cards, payments, users
from heliograph.errors import BadRequest, Conflict, NotFound
from heliograph.queue import jobs

SETTLE_JOB = "settle-payment"
PENDING, PAID, DECLINED, LOST = "pending", "paid", "declined", "lost"
REFUNDING, REFUNDED = "refunding", "refunded"
WAS_PAID = (PAID, REFUNDING, REFUNDED)
OPEN = "open"  # what a charge may be; its payment is PENDING

ASK_AGAIN = 60.0
"""Seconds after which a job asks the gateway again about a payment that still has no outcome."""

KEY_LIFE = 23 * HOUR
"""Seconds for which a charge is repeated with its idempotency key. A gateway (Stripe) remembers a key for a day only:
after that the same call would charge the card a second time."""

NO_RECORD = "Transaction record not found."
COLUMNS: Columns = {
    "invoice_number": payments.c.invoice_number,
    "amount": decimals(payments.c.micros, 2, prices.MICRO),
    "currency": payments.c.currency,
    "date": payments.c.settled_at,
    "payment_id": payments.c.payment_id,
}


def keep_card(tx: Tx, user_id: int, gateway: str, token: str, card: Card) -> None:
    """Remember what an account pays with: the token, and what may be shown of the card."""
    columns = ("gateway", "token", "display_number", "expiry_month", "expiry_year", "name", "updated_at")
    shown = (gateway, token, card.display_number, card.expiry_month, card.expiry_year, card.name, tx.now)
    tx.driver(
        f"INSERT INTO cards (user_id, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})"  # noqa: S608
        f" ON CONFLICT (user_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns)}",
        [user_id, *shown],
    )


def card_of(tx: Tx, user_id: int) -> Mapping[str, Any] | None:
    """What is kept of an account's card."""
    return tx.row(select(cards).where(cards.c.user_id == user_id))


def purchase(tx: Tx, user_id: int, package_id: int, gateway: str, request_key: str | None) -> Mapping[str, Any]:
    """Begin to buy a package of the account's currency; the row of the payment.

    A request that is repeated gets the payment that it began: by its key, or while the payment has no outcome.
    Raises NotFound: no such package; BadRequest: no card; Conflict: the key belongs to another package.
    """
    ledger.lock(tx, [user_id])  # so that the second of two purchases at once finds the row of the first
    if request_key:
        known = tx.row(_of(user_id).where(payments.c.request_key == request_key))
        if known is not None:
            if known["package_id"] != package_id:
                raise Conflict("This Idempotency-Key was used for another request.")
            return known
    else:
        under_way = tx.row(_of(user_id).where(payments.c.state == PENDING, payments.c.package_id == package_id))
        if under_way is not None:
            return under_way
    currency = _currency(tx, user_id)
    price = rates_of(tx).packages.get(currency, {}).get(package_id)
    if price is None:
        raise NotFound("Package record not found.")
    return _begin(tx, user_id, price, currency, gateway, package_id, request_key, ASK_AGAIN)


def recharge_all(tx: Tx, gateway: str, limit: int = 50) -> bool:
    """Begin the automatic recharges that are due; whether there may be more.

    A card that was declined, or whose last charge has no outcome, is left alone until it has paid for a purchase.
    """
    later = payments.alias()
    paid_later = exists().where(
        later.c.user_id == payments.c.user_id, later.c.state == PAID, later.c.payment_id > payments.c.payment_id
    )
    failed = payments.c.state.in_((DECLINED, LOST)) & (payments.c.token == cards.c.token) & ~paid_later
    held = exists().where(payments.c.user_id == users.c.user_id, (payments.c.state == PENDING) | failed)
    found = tx.rows(
        select(users.c.user_id, users.c.auto_recharge_micros, users.c.low_credit_micros, users.c.currency)
        .join_from(users, balances, balances.c.user_id == users.c.user_id)
        .join(cards, cards.c.user_id == users.c.user_id)
        .where(
            users.c.auto_recharge == 1,
            users.c.banned == 0,
            balances.c.micros < users.c.low_credit_micros,
            cards.c.gateway == gateway,
            ~held,
        )
        .limit(limit)
    )
    for row in found:
        user_id = row["user_id"]
        balance = ledger.lock(tx, [user_id])[user_id]  # another process may have begun a recharge since the query
        if balance < row["low_credit_micros"] and tx.row(_of(user_id).where(payments.c.state == PENDING)) is None:
            _begin(tx, user_id, row["auto_recharge_micros"], row["currency"], gateway, None, None, 0.0)
    return len(found) == limit


def _begin(
    tx: Tx,
    user_id: int,
    micros: int,
    currency: str,
    gateway: str,
    package_id: int | None,
    request_key: str | None,
    ask_after: float,
) -> Mapping[str, Any]:
    card = card_of(tx, user_id)
    if card is None or card["gateway"] != gateway:
        raise BadRequest({"card": "Card is missing: update your payment info first."})
    if not currencies.payable(micros, currency):
        raise BadRequest({"amount": f"{currency} has no amount as small as the last digit of this one."})
    rates = rates_of(tx)
    made = tx.scalar(
        payments.insert()
        .values(
            user_id=user_id,
            invoice_number=str(uuid.uuid4()),
            request_key=request_key,
            package_id=package_id,
            micros=micros,
            currency=currency,
            aud_micros=rates.convert(micros, currency, "AUD") if rates.converts(currency, "AUD") else None,
            gateway=gateway,
            token=card["token"],
            state=PENDING,
            created_at=tx.now,
        )
        .returning(payments.c.payment_id)
    )
    jobs.enqueue(tx, SETTLE_JOB, {"payment_id": made}, after=ask_after)
    return find(tx, made)


def find(tx: Tx, payment_id: int) -> Mapping[str, Any]:
    """The row of a payment that exists."""
    row = tx.row(select(payments).where(payments.c.payment_id == payment_id))
    assert row is not None
    return row


def by_invoice(tx: Tx, invoice_number: str) -> Mapping[str, Any] | None:
    """The row of a payment by its invoice number, which is the key that the gateway has; None: unknown."""
    return tx.row(select(payments).where(payments.c.invoice_number == invoice_number))


def amount_of(row: Mapping[str, Any]) -> int:
    """What the gateway charges, in minor units."""
    return int(row["micros"]) // currencies.smallest(row["currency"])


def matches(row: Mapping[str, Any], charge: Charge) -> bool:
    """Whether a charge is the one of this payment: by its key, its amount and its currency."""
    return (charge.key, charge.amount, charge.currency) == (row["invoice_number"], amount_of(row), row["currency"])


def settle(tx: Tx, payment_id: int, charge: Charge) -> Mapping[str, Any]:
    """Record the outcome of a charge; the payment's row. The credit is given once, however often this is called: the
    request, the job and the gateway's event may all bring the same outcome, in any order.

    A charge that was declined can still be paid: the gateway's last word counts. One that is still open, or that is
    for something else than the payment, changes nothing.
    """
    before = find(tx, payment_id)
    if charge.state == OPEN or not matches(before, charge):
        return before
    upon = (PENDING, LOST, DECLINED) if charge.state == PAID else (PENDING, LOST)
    changed = tx.execute(
        payments.update()
        .where(payments.c.payment_id == payment_id, payments.c.state.in_(upon))
        .values(state=charge.state, charge_id=charge.charge_id, reason=charge.reason or None, settled_at=tx.now)
    )
    row = find(tx, payment_id)
    if changed.rowcount and row["state"] == PAID:
        ledger.post(tx, row["user_id"], row["micros"], "payment", row["invoice_number"])
        audit.record(tx, row["user_id"], row["gateway"], "payment", _told(row))
        _price_by_last_package(tx, row)
    elif changed.rowcount:
        audit.record(tx, row["user_id"], row["gateway"], "payment.declined", f"{_told(row)}: {row['reason']}")
    return row


def _price_by_last_package(tx: Tx, row: Mapping[str, Any]) -> None:
    """After a payment for a package, or its refund: prices follow the last one (facts I9)."""
    if row["package_id"] is None:
        return
    bought = _of(row["user_id"]).where(payments.c.state == PAID, payments.c.package_id.is_not(None))
    last = tx.row(bought.order_by(payments.c.settled_at.desc(), payments.c.payment_id.desc()).limit(1))
    package_id = last and last["package_id"]
    tx.execute(users.update().where(users.c.user_id == row["user_id"]).values(package_id=package_id))
    epochs.bump(tx, epochs.ACCESS)


def _told(row: Mapping[str, Any]) -> str:
    """What the audit log says of a payment."""
    return f"{row['currency']} {prices.fixed(row['micros'], 2)}, invoice {row['invoice_number']}"


def give_up(tx: Tx, payment_id: int) -> Mapping[str, Any]:
    """Mark a payment as lost, since the gateway gave no answer for a day; its row. The operator has to compare our
    payments with the gateway's (`heliograph payments check`).
    """
    tx.execute(
        payments.update()
        .where(payments.c.payment_id == payment_id, payments.c.state == PENDING)
        .values(state=LOST, reason="The payment provider gave no answer.", settled_at=tx.now)
    )
    return find(tx, payment_id)


def begin_refund(tx: Tx, invoice_number: str, gateway: str) -> Mapping[str, Any]:
    """Take the credit of a payment back, before its money is given back; the row of the payment.

    A refund whose answer was lost can be begun again: the credit is not taken a second time. Raises NotFound,
    InsufficientCredit, Conflict: the money is not with this gateway.
    """
    row = by_invoice(tx, invoice_number)
    if row is None or row["state"] not in (PAID, REFUNDING):
        raise NotFound(NO_RECORD)
    if row["gateway"] != gateway:
        raise Conflict(f"The payment was made through the gateway {row['gateway']}, and {gateway} is in use.")
    if row["state"] == PAID:
        ledger.post(tx, row["user_id"], -row["micros"], "payment refund", invoice_number)
        audit.record(tx, row["user_id"], audit.CLI, "payment.refunded", _told(row))
        tx.execute(payments.update().where(payments.c.payment_id == row["payment_id"]).values(state=REFUNDING))
    return find(tx, row["payment_id"])


def end_refund(tx: Tx, payment_id: int, charge: Charge) -> Mapping[str, Any]:
    """Record the gateway's answer to a refund: when it refused, the credit comes back. The row after it."""
    state = REFUNDED if charge.state == PAID else PAID
    changed = tx.execute(
        payments.update()
        .where(payments.c.payment_id == payment_id, payments.c.state == REFUNDING)
        .values(state=state, reason=charge.reason or None)
    )
    row = find(tx, payment_id)
    if changed.rowcount and state == PAID:
        ledger.post(tx, row["user_id"], row["micros"], "payment", row["invoice_number"])
        audit.record(tx, row["user_id"], row["gateway"], "payment.refund_refused", _told(row))
    elif changed.rowcount:
        _price_by_last_package(tx, row)
    return row


def transactions(user_id: int) -> Select[Any]:
    """The payments of an account that were paid, refunded ones among them."""
    return _of(user_id).where(payments.c.state.in_(WAS_PAID))


def transaction(tx: Tx, user_id: int, invoice_number: str) -> Mapping[str, Any]:
    """One of these payments. Raises NotFound."""
    row = tx.row(transactions(user_id).where(payments.c.invoice_number == invoice_number.lower()))
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def unmatched(tx: Tx, charges: Sequence[Charge]) -> list[tuple[Charge, Mapping[str, Any] | None]]:
    """The charges of a gateway that are not paid or refunded payments here, each with the row of its payment and
    username.

    Such money was taken and not credited. The row is None when no payment here has the key of the charge.
    """
    found = select(payments, users.c.username).join(users, users.c.user_id == payments.c.user_id)
    keys = {charge.key for charge in charges}
    known = {row["invoice_number"]: row for row in tx.rows(found.where(payments.c.invoice_number.in_(keys)))}
    pairs = [(charge, known.get(charge.key)) for charge in charges]
    return [(charge, row) for charge, row in pairs if row is None or row["state"] not in WAS_PAID]


def recharge_settings(tx: Tx, user_id: int) -> Mapping[str, Any]:
    """Whether an account is recharged automatically, and with how much."""
    row = tx.row(
        select(users.c.auto_recharge, users.c.auto_recharge_micros, users.c.low_credit_micros, users.c.currency).where(
            users.c.user_id == user_id
        )
    )
    assert row is not None
    return row


def change_recharge_settings(tx: Tx, user_id: int, values: Mapping[str, int]) -> None:
    """Change the settings of the automatic recharge."""
    tx.execute(users.update().where(users.c.user_id == user_id).values(**values))


def _of(user_id: int) -> Select[Any]:
    return select(payments).where(payments.c.user_id == user_id)


def _currency(tx: Tx, user_id: int) -> str:
    return str(tx.scalar(select(users.c.currency).where(users.c.user_id == user_id)))
