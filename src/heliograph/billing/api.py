"""HTTP shapes of the recharge section (endpoints 9 to 14)."""

import asyncio
import io
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph import audit, phone
from heliograph.billing import currencies, invoice, payments, prices
from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, GatewayAway
from heliograph.billing.prices import Rates, RatesError
from heliograph.billing.tariff import rates_of
from heliograph.errors import BadRequest, NotFound, Unavailable
from heliograph.files import store as files
from heliograph.http import idempotency, paging, search
from heliograph.http.request import Reply, Request

LEAST_DIRECT_MAIL = 5000
"""Pieces that an order of direct mail has at least. Source: the example of endpoint 11."""

PRICED = {
    "sms": ("sms", "message"),
    "voice_mobile": ("voice", "mobile"),
    "voice_landline": ("voice", "landline"),
    "fax": ("fax", "page"),
    "email": ("email", "recipient"),
    "post_letter_black": ("post", "letter_black"),
    "post_letter_colour": ("post", "letter_colour"),
    "postcard": ("post", "postcard"),
}
"""Names that a package shows a price and a quantity under, and what the rates call it."""

PRICED_ONLY = {
    "post_page_black": ("post", "page_black"),
    "post_page_colour": ("post", "page_colour"),
    "post_direct_mail_dl": ("post", "direct_mail_dl"),
    "post_direct_mail_a5": ("post", "direct_mail_a5"),
}
"""Names without a quantity."""

LARGEST_RECHARGE = 1_000_000 * prices.MICRO


class PaymentInfo(msgspec.Struct):
    """Body of an update of the card."""

    number: str
    expiry_month: int
    expiry_year: int
    cvc: str
    name: str
    bank_name: str

    def __repr__(self) -> str:
        return "PaymentInfo(…)"


class RechargeSettings(msgspec.Struct):
    """Body of the settings of automatic recharges; what is not named stays."""

    auto_recharge: bool | None = None
    auto_recharge_amount: str | None = None
    low_credit_amount: str | None = None


def view_card(req: Request) -> Reply:
    """9."""
    card = payments.card_of(req.tx, req.who.user_id)
    if card is None:
        raise NotFound("Payment info record not found.")
    return Reply({name: card[name] for name in ("display_number", "expiry_month", "expiry_year", "name")})


async def change_card(req: Request) -> Reply:
    """10. The number goes to the gateway and nowhere else."""
    card = _card(req.decode(PaymentInfo))
    try:
        token = await req.services.cashier.keep_card(req.who.user_id, card, req.who.api_username)
    except CardRefused as refused:
        raise BadRequest({"number": str(refused)}, message=str(refused)) from None
    except GatewayAway:
        raise _away() from None
    return Reply({"token": token})


def view_packages(req: Request) -> Reply:
    """11. The packages of the account's currency, and what they buy in its country or in the one of the query."""
    country = (req.query.get("country", "").strip() or req.who.country).upper()
    if country not in phone.COUNTRIES:
        raise BadRequest({"country": "Country must be a two-letter ISO 3166 code."})
    rates = rates_of(req.tx)
    found = rates.packages.get(req.who.currency, {})
    units = {
        name: req.who.terms.price(_price(rates, channel, kind, country, req.who.currency))
        for name, (channel, kind) in (PRICED | PRICED_ONLY).items()
    }
    return Reply(
        {
            "packages": [_package(key, price, units) for key, price in sorted(found.items())],
            "_currency": currencies.describe(req.who.currency),
        }
    )


async def purchase(req: Request) -> Reply:
    """12. Repeated while its outcome is not known (or with the same Idempotency-Key), it is the same purchase."""
    key = req.number("package_id", "Package record not found.")
    try:
        row = await req.services.cashier.purchase(req.who.user_id, key, idempotency.key_of(req))
    except GatewayAway:
        raise _away() from None
    if row["state"] != payments.PAID:
        why = row["reason"] or "The payment was refunded."
        raise BadRequest({"card": why}, message=why)
    aud = row["aud_micros"]
    data = {
        "user_id": row["user_id"],
        "amount": prices.fixed(row["micros"], 2),
        "currency": row["currency"],
        "amount_aud": None if aud is None else prices.fixed(aud, 2),
        "date": row["settled_at"],
    }
    return Reply(data, message=f"Successfully purchased a package #{key}")


def view_transactions(req: Request) -> Reply:
    """13."""
    shown = paging.window(req)
    base = payments.transactions(req.who.user_id)
    total, rows = search.rows(req, base, payments.COLUMNS, shown, default=("payment_id", True))
    return Reply(paging.page(req, shown, total, rows, _transaction))


def view_transaction(req: Request) -> Reply:
    """14. The id is the invoice number."""
    return Reply(_transaction(payments.transaction(req.tx, req.who.user_id, req.params["transaction_id"])))


async def make_invoice(req: Request) -> Reply:
    """A link to the invoice of a transaction as PDF. An addition to the contract."""
    user_id, key, settings = req.who.user_id, req.params["transaction_id"], req.services.settings
    paid = await req.services.database.read(lambda tx: invoice.facts(tx, user_id, key))
    drawn = await asyncio.to_thread(invoice.draw, paid, settings)
    name, database = f"invoice-{paid.number}.pdf", req.services.database
    file_id = await database.write(lambda tx: files.create(tx, user_id, name, "application/pdf", files.EXPORT_LIFE))
    await asyncio.to_thread(req.services.files.put, file_id, io.BytesIO(drawn))
    await database.write(lambda tx: files.finish(tx, file_id, len(drawn)))
    return Reply({"url": f"{req.base_url}/files/{file_id}?filename={name}"})


def view_settings(req: Request) -> Reply:
    """When and with how much the account is recharged by itself. An addition to the contract."""
    row = payments.recharge_settings(req.tx, req.who.user_id)
    return Reply(
        {
            "auto_recharge": row["auto_recharge"],
            "auto_recharge_amount": prices.fixed(row["auto_recharge_micros"], 2),
            "low_credit_amount": prices.fixed(row["low_credit_micros"], 2),
        }
    )


def change_settings(req: Request) -> Reply:
    """Change that."""
    given = req.decode(RechargeSettings)
    faults: dict[str, str] = {}
    values: dict[str, int] = {}
    if given.auto_recharge is not None:
        values["auto_recharge"] = int(given.auto_recharge)
    for name, text, least in (
        ("auto_recharge", given.auto_recharge_amount, prices.MICRO),
        ("low_credit", given.low_credit_amount, 0),
    ):
        if text is not None:
            micros = _amount(text)
            if micros is None or not least <= micros <= LARGEST_RECHARGE:
                limits = f"{least // prices.MICRO} to {LARGEST_RECHARGE // prices.MICRO}"
                faults[f"{name}_amount"] = f"{name.capitalize().replace('_', ' ')} amount must be {limits}."
            elif least and not currencies.payable(micros, req.who.currency):
                faults[f"{name}_amount"] = f"{req.who.currency} has no amount as small as that."
            else:
                values[f"{name}_micros"] = micros
    if faults:
        raise BadRequest(faults)
    if values:
        payments.change_recharge_settings(req.tx, req.who.user_id, values)
        changed = ", ".join(f"{name}={value}" for name, value in values.items())
        audit.record(req.tx, req.who.user_id, req.who.api_username, "recharge.changed", changed)
    return view_settings(req)


async def take_event(req: Request) -> Reply:
    """News of the payment gateway, with its signature. An addition to the contract."""
    try:
        await req.services.cashier.event(req.body, req.header("stripe-signature"))
    except BadEvent:
        raise BadRequest(message="This is no event of the payment gateway.") from None
    except GatewayAway:
        raise _away() from None
    return Reply({})


def _away() -> Unavailable:
    text = "The payment provider gave no answer. The same request goes on with the same payment."
    return Unavailable(text, headers={"Retry-After": "2"})


def _card(given: PaymentInfo) -> Card:
    """The card, checked. Raises BadRequest; no sentence repeats what was given."""
    number = re.sub(r"[ -]", "", given.number)
    cvc = given.cvc.strip().zfill(3)  # sent as a number, it has lost its zeros
    year = given.expiry_year + (2000 if 0 <= given.expiry_year < 100 else 0)
    faults = {
        "number": not _is_card_number(number) and "Number must be a card number.",
        "expiry_month": not 1 <= given.expiry_month <= 12 and "Expiry month must be 1 to 12.",
        "expiry_year": not 2000 <= year <= 2999 and "Expiry year must be a year.",
        "cvc": not re.fullmatch("[0-9]{3,4}", cvc) and "Cvc must have three or four digits.",
        "name": not 0 < len(given.name) <= 255 and "Name must have 1 to 255 characters.",
        "bank_name": len(given.bank_name) > 255 and "Bank name must have at most 255 characters.",
    }
    found = {name: text for name, text in faults.items() if text}
    if found:
        raise BadRequest(found)
    return Card(number, given.expiry_month, year, cvc, given.name)


def _is_card_number(text: str) -> bool:
    """Whether the check digit is right. Source: ISO/IEC 7812-1, annex B (Luhn)."""
    if not re.fullmatch("[0-9]{12,19}", text):
        return False
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(text))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def _price(rates: Rates, channel: str, kind: str, country: str, currency: str) -> int:
    try:
        return rates.price(channel, kind, country, currency)
    except RatesError:
        return 0  # the operator's file has no such price: nothing of it can be bought


def _package(key: int, price: int, units: Mapping[str, int]) -> dict[str, Any]:
    shape: dict[str, Any] = {"package_id": key, "package_price": prices.fixed(price, 2)}
    for name, unit in units.items():
        shape[f"{name}_price"] = prices.number(unit)
        if name in PRICED:
            shape[f"{name}_quantity"] = price // unit if unit else 0
    return shape | {"post_direct_mail_min_quantity": LEAST_DIRECT_MAIL}


def _transaction(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "invoice_number": row["invoice_number"],
        "amount": prices.fixed(row["micros"], 2),
        "currency": row["currency"],
        "date": row["settled_at"],
    }


def _amount(text: str) -> int | None:
    try:
        return prices.micros(text.strip())
    except ValueError:
        return None
