"""HTTP shapes of the recharge section (endpoints 9 to 14)."""

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph import audit, phone
from heliograph.billing import currencies, invoice, payments, prices
from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, GatewayAway
from heliograph.billing.prices import Rates, RatesError
from heliograph.billing.tariff import rates_of
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, Unavailable, label
from heliograph.fields import Amount, Flag, UnixTime, about
from heliograph.files import store as files
from heliograph.http import idempotency, search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Query

COUNTRY = Query("country", "ISO 3166 code of two letters; empty: that of the account.", {"type": "string"})

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

UnitPrice = Annotated[int | float, about("Of one, in units of the currency; 0 when it is not sold.", 0.099)]
LARGEST_RECHARGE = 1_000_000 * prices.MICRO


class PaymentInfo(msgspec.Struct):
    """Body of an update of the card."""

    number: Annotated[str, about("Number of the card; it goes to the payment provider and nowhere else.")]
    expiry_month: Annotated[int, about("1 to 12.", 5)]
    expiry_year: Annotated[int, about("Year, with four digits or two.", 2099)]
    cvc: Annotated[str, about("The three or four digits of the security code.", "123")]
    name: Annotated[str, about("Name on the card.", "Roland Robot", maxLength=255)]
    bank_name: Annotated[str, about("Name of the bank.", "Robotic Banking", maxLength=255)]

    def __repr__(self) -> str:
        return "PaymentInfo(…)"


class RechargeSettings(msgspec.Struct):
    """Body of the settings of automatic recharges; what is not named stays."""

    auto_recharge: Annotated[bool | None, about("Whether the account is recharged by itself.", True)] = None
    auto_recharge_amount: Annotated[str | None, about("With how much, in units of the currency.", "20.00")] = None
    low_credit_amount: Annotated[str | None, about("Below which credit.", "5.00")] = None


class RechargeState(msgspec.Struct):
    """`data` of the settings of automatic recharges."""

    auto_recharge: Flag
    auto_recharge_amount: Amount
    low_credit_amount: Amount


class ShownCard(msgspec.Struct):
    """`data` of the card (9)."""

    display_number: Annotated[str, about("The last four digits.", "XXXX-XXXX-XXXX-0000")]
    expiry_month: int
    expiry_year: int
    name: str


class CardToken(msgspec.Struct):
    """`data` of an update of the card (10)."""

    token: Annotated[str, about("What the payment provider knows the card by.")]


class Package(msgspec.Struct, kw_only=True):
    """A package: its price, and what it buys at which price."""

    package_id: int
    package_price: Amount
    sms_price: UnitPrice
    sms_quantity: int
    voice_mobile_price: UnitPrice
    voice_mobile_quantity: int
    voice_landline_price: UnitPrice
    voice_landline_quantity: int
    fax_price: UnitPrice
    fax_quantity: int
    email_price: UnitPrice
    email_quantity: int
    post_letter_black_price: UnitPrice
    post_letter_colour_price: UnitPrice
    post_page_black_price: UnitPrice
    post_page_colour_price: UnitPrice
    post_letter_black_quantity: int
    post_letter_colour_quantity: int
    post_direct_mail_dl_price: UnitPrice
    post_direct_mail_a5_price: UnitPrice
    post_direct_mail_min_quantity: int
    postcard_price: UnitPrice
    postcard_quantity: int


class Packages(msgspec.Struct):
    """`data` of the packages (11). The official client calls the currency by another name."""

    packages: list[Package]
    currency: currencies.Currency
    documented_currency: currencies.Currency = msgspec.field(name="_currency")


class Purchase(msgspec.Struct):
    """`data` of a purchase (12)."""

    user_id: int
    amount: Amount
    currency: Annotated[str, about("ISO 4217 code.", "AUD")]
    amount_aud: Annotated[str | None, about("The same in Australian dollars, if the rates can convert it.", "20.00")]
    date: UnixTime


class Transaction(msgspec.Struct):
    """A payment (13 and 14)."""

    invoice_number: Annotated[str, about("Its id.", "cb726c65-1c65-47fa-aea2-3ded9ed57557")]
    amount: Amount
    currency: Annotated[str, about("ISO 4217 code.", "AUD")]
    date: UnixTime


class InvoiceLink(msgspec.Struct):
    """`data` of an invoice."""

    url: Annotated[str, about("Where the PDF can be downloaded for a day, without credentials.")]


class Thanks(msgspec.Struct):
    """`data` of an event of the payment gateway: nothing."""


@endpoint("Customer payment info.", ShownCard, refuses=(NotFound,))
def view_card(req: Request) -> Reply:
    """View the card that the account pays with."""
    card = payments.card_of(req.tx, req.who.user_id)
    if card is None:
        raise NotFound("Payment info record not found.")
    return Reply(ShownCard(card["display_number"], card["expiry_month"], card["expiry_year"], card["name"]))


@endpoint("Your payment info has been updated.", CardToken)
async def change_card(req: Request, body: PaymentInfo) -> Reply:
    """Change the card that the account pays with. Its number goes to the payment provider and nowhere else."""
    card = _card(body)
    try:
        token = await req.services.cashier.keep_card(req.who.user_id, card, req.who.api_username)
    except CardRefused as refused:
        raise BadRequest({"number": str(refused)}, message=str(refused)) from None
    except GatewayAway:
        raise _away() from None
    return Reply(CardToken(token))


@endpoint("List of Packages.", Packages, query=(COUNTRY,))
def view_packages(req: Request) -> Reply:
    """View the packages, and what they buy in the account's country or in the one of the query."""
    country = (req.query.get("country", "").strip() or req.who.country).upper()
    if country not in phone.COUNTRIES:
        raise BadRequest({"country": "Country must be a two-letter ISO 3166 code."})
    code, rates = req.who.currency, rates_of(req.tx)
    listed = {name: _price(rates, *kind, country, code) for name, kind in (PRICED | PRICED_ONLY).items()}
    packages = []
    for key, price in sorted(rates.packages.get(code, {}).items()):
        terms = msgspec.structs.replace(req.who.terms, discount=rates.discount(code, key))
        packages.append(_package(key, price, {name: terms.price(unit) for name, unit in listed.items()}))
    currency = currencies.describe(code)
    return Reply(Packages(packages, currency, currency))


@endpoint("", Purchase, spends=True)
async def purchase(req: Request) -> Reply:
    """Buy a package. Repeated while its outcome is not known, or with the same key, it is the same purchase."""
    key = req.number("package_id", "Package record not found.")
    try:
        row = await req.services.cashier.purchase(req.who.user_id, key, idempotency.key_of(req))
    except GatewayAway:
        raise _away() from None
    if row["state"] == payments.PENDING:
        # the bank takes its time, or the payment was begun at a gateway that is no longer in use
        raise _away("The payment has no outcome yet.")
    if row["state"] != payments.PAID:
        why = row["reason"] or "The payment was refunded."
        raise BadRequest({"card": why}, message=why)
    aud = row["aud_micros"]
    bought = Purchase(
        user_id=row["user_id"],
        amount=prices.fixed(row["micros"], 2),
        currency=row["currency"],
        amount_aud=None if aud is None else prices.fixed(aud, 2),
        date=row["settled_at"],
    )
    return Reply(bought, message=f"Successfully purchased a package #{key}")


@endpoint("Here are your transactions.", Transaction, paged=True)
def view_transactions(req: Request) -> Reply:
    """View the transactions."""
    base = payments.transactions(req.who.user_id)
    return search.page(req, base, payments.COLUMNS, ("payment_id", True), _transaction)


@endpoint("Here is your transaction.", Transaction)
def view_transaction(req: Request) -> Reply:
    """View a transaction. Its id is the invoice number."""
    return Reply(_transaction(payments.transaction(req.tx, req.who.user_id, req.params["transaction_id"])))


@endpoint("Download your invoice here.", InvoiceLink)
async def make_invoice(req: Request) -> Reply:
    """Make the invoice of a transaction as PDF. An addition to the contract."""
    user_id, key, settings = req.who.user_id, req.params["transaction_id"], req.services.settings
    paid = await req.services.database.read(lambda tx: invoice.facts(tx, user_id, key))
    drawn = await asyncio.to_thread(invoice.draw, paid, settings)
    name, database = f"invoice-{paid.number}.pdf", req.services.database

    def record(tx: Tx) -> str:
        return files.create(tx, user_id, name, "application/pdf", files.EXPORT_LIFE)

    file_id = await files.save(database, req.services.files, drawn, record)
    return Reply(InvoiceLink(f"{req.base_url}/files/{file_id}?filename={name}"))


@endpoint("Here are your recharge settings.", RechargeState)
def view_settings(req: Request) -> Reply:
    """View when and with how much the account is recharged by itself. An addition to the contract."""
    return Reply(_state(req))


def _state(req: Request) -> RechargeState:
    row = payments.recharge_settings(req.tx, req.who.user_id)
    amount, low = prices.fixed(row["auto_recharge_micros"], 2), prices.fixed(row["low_credit_micros"], 2)
    return RechargeState(row["auto_recharge"], amount, low)


@endpoint("Your recharge settings have been updated.", RechargeState)
def change_settings(req: Request, body: RechargeSettings) -> Reply:
    """Change when and with how much the account is recharged by itself. An addition to the contract."""
    faults: dict[str, str] = {}
    values: dict[str, int] = {}
    if body.auto_recharge is not None:
        values["auto_recharge"] = int(body.auto_recharge)
    for name, text, least in (
        ("auto_recharge", body.auto_recharge_amount, prices.MICRO),
        ("low_credit", body.low_credit_amount, 0),
    ):
        if text is not None:
            micros = _amount(text)
            if micros is None or not least <= micros <= LARGEST_RECHARGE:
                limits = f"{least // prices.MICRO} to {LARGEST_RECHARGE // prices.MICRO}"
                faults[f"{name}_amount"] = f"{label(name)} amount must be {limits}."
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
    return Reply(_state(req))


@endpoint("Thank you.", Thanks, most_body=256 * 1024)
async def take_event(req: Request) -> Reply:
    """Take news of the payment gateway, with its signature. An addition to the contract."""
    try:
        await req.services.cashier.event(req.body, req.header("stripe-signature"))
    except BadEvent:
        raise BadRequest(message="This is no event of the payment gateway.") from None
    return Reply(Thanks())


def _away(why: str = "The payment provider gave no answer.") -> Unavailable:
    text = f"{why} The same request goes on with the same payment."
    return Unavailable(text, headers={"Retry-After": "2"})


def _card(body: PaymentInfo) -> Card:
    """The card, checked. Raises BadRequest; no sentence repeats what was body."""
    number = re.sub(r"[ -]", "", body.number)
    cvc = body.cvc.strip().zfill(3)  # sent as a number, it has lost its zeros
    year = body.expiry_year + (2000 if 0 <= body.expiry_year < 100 else 0)
    faults = {
        "number": not _is_card_number(number) and "Number must be a card number.",
        "expiry_month": not 1 <= body.expiry_month <= 12 and "Expiry month must be 1 to 12.",
        "expiry_year": not 2000 <= year <= 2999 and "Expiry year must be a year.",
        "cvc": not re.fullmatch("[0-9]{3,4}", cvc) and "Cvc must have three or four digits.",
        "name": not 0 < len(body.name) <= 255 and "Name must have 1 to 255 characters.",
        "bank_name": len(body.bank_name) > 255 and "Bank name must have at most 255 characters.",
    }
    refused = {name: text for name, text in faults.items() if text}
    if refused:
        raise BadRequest(refused)
    return Card(number, body.expiry_month, year, cvc, body.name)


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


def _package(key: int, price: int, units: Mapping[str, int]) -> Package:
    shape: dict[str, Any] = {"package_id": key, "package_price": prices.fixed(price, 2)}
    for name, unit in units.items():
        shape[f"{name}_price"] = prices.number(unit)
        if name in PRICED:
            shape[f"{name}_quantity"] = price // unit if unit else 0
    return Package(**shape, post_direct_mail_min_quantity=LEAST_DIRECT_MAIL)


def _transaction(row: Mapping[str, Any]) -> Transaction:
    return Transaction(row["invoice_number"], prices.fixed(row["micros"], 2), row["currency"], row["settled_at"])


def _amount(text: str) -> int | None:
    try:
        return prices.micros(text.strip())
    except ValueError:
        return None
