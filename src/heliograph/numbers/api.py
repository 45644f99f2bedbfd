"""HTTP shapes of the number section (endpoints 100 to 102)."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

import msgspec
from babel import Locale

from heliograph import phone
from heliograph.billing import currencies, prices
from heliograph.billing.currencies import Currency
from heliograph.errors import BadRequest
from heliograph.fields import Amount, CountryCode, Price, about
from heliograph.http import paging, search
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import PAGING
from heliograph.http.request import Reply, Request
from heliograph.http.route import Query
from heliograph.numbers import number, supply
from heliograph.numbers.supply import Pool, Supply, Virtual, Wanted

LONGEST_PATTERN = 20
LOOKED_FOR = (
    Query("search", "Digits of a number.", {"type": "string"}),
    Query(
        "search_type",
        "Where the digits stand: 0 at the beginning, 1 anywhere, 2 at the end.",
        {"type": "string", "enum": ["0", "1", "2"], "default": "0"},
    ),
    *PAGING,
)
Number = Annotated[str, about("The number in E.164 format.", "+61411111111")]


class OwnedNumber(msgspec.Struct, kw_only=True):
    """A number of the account (100)."""

    dedicated_number: Number
    country: CountryCode
    price: Annotated[str, about("Each month, in units of the currency, two decimals.", "18.59")]
    country_name: Annotated[str, about("English name.", "Australia")] = msgspec.field(name="_country_name")


class BoughtNumber(msgspec.Struct, kw_only=True):
    """`data` of a purchase (101)."""

    dedicated_number: Number
    country: CountryCode
    price_total: Annotated[str, about("What was charged: the setup and the first month.", "8.98")]
    price_setup: Amount = msgspec.field(name="_price_setup")
    price_monthly: Amount = msgspec.field(name="_price_monthly")
    currency: Currency = msgspec.field(name="_currency")


class AvailableNumber(msgspec.Struct, kw_only=True):
    """A number that can be bought."""

    country: CountryCode
    country_name: Annotated[str, about("English name.", "Australia")]
    dedicated_number: Number
    price_setup: Price
    price_monthly: Price
    price_total: Price


class NumberPage(paging.Page, kw_only=True):
    """`data` of a search for numbers (102): a page with the currency of its prices."""

    data: list[AvailableNumber]
    currency: Currency = msgspec.field(name="_currency")


@endpoint("Here are you dedicated numbers.", OwnedNumber, paged=True)
def view_owned(req: Request) -> Reply:
    """View the account's dedicated numbers."""
    base = number.of(req.who.user_id)
    return search.page(req, base, number.COLUMNS, ("dedicated_number", False), _owned)


@endpoint("Here is your new number.", BoughtNumber, spends=True)
def buy(req: Request) -> Reply:
    """Buy a number. The setup and the first month are charged, and the number works at once."""
    row, setup = number.buy(req.tx, req.who, req.params["dedicated_number"], _supplies(req))
    return Reply(
        BoughtNumber(
            dedicated_number=row["number"],
            country=row["country"],
            price_total=prices.fixed(setup + row["monthly_micros"], 2),
            price_setup=prices.fixed(setup, 2),
            price_monthly=prices.fixed(row["monthly_micros"], 2),
            currency=currencies.describe(row["currency"]),
        )
    )


@endpoint("Here are some numbers.", NumberPage, query=LOOKED_FOR)
def view_available(req: Request) -> Reply:
    """Search for numbers of a country that can be bought."""
    wanted = _wanted(req)
    window = paging.window(req)
    setup, monthly = number.prices_for(req.tx, req.who, wanted.country)
    total, available = supply.search(req.tx, _supplies(req), wanted, window.offset, window.limit)
    rows = [{"number": one, "country": wanted.country} for one in available]
    page = paging.page(req, window, total, rows, _available(setup, monthly))
    return Reply(NumberPage(**msgspec.structs.asdict(page), currency=currencies.describe(req.who.currency)))


def _supplies(req: Request) -> list[Supply]:
    settings = req.services.settings
    return [Pool(), Virtual(supply.shared(settings))] if settings.mode == "sandbox" else [Pool()]


def _wanted(req: Request) -> Wanted:
    """What is looked for. Raises BadRequest."""
    country = req.params["country"].upper()
    digits = re.sub(r"[\s+().-]", "", req.query.get("search", ""))
    place = req.query.get("search_type", "").strip() or str(supply.STARTS)
    faults = {
        "country": country not in phone.COUNTRIES and "Country must be a two-letter ISO 3166 code.",
        "search": not re.fullmatch(f"[0-9]{{0,{LONGEST_PATTERN}}}", digits) and "Search must be digits of a number.",
        "search_type": place not in ("0", "1", "2")
        and "Search type must be 0 (starts with), 1 (anywhere) or 2 (ends with).",
    }
    refused = {name: text for name, text in faults.items() if text}
    if refused:
        raise BadRequest(refused)
    return Wanted(country, digits, int(place))


def _owned(row: Mapping[str, Any]) -> OwnedNumber:
    return OwnedNumber(
        dedicated_number=row["number"],
        country=row["country"],
        price=prices.fixed(row["monthly_micros"], 2),
        country_name=_country_name(row["country"]),
    )


def _available(setup: int, monthly: int) -> Callable[[Mapping[str, Any]], AvailableNumber]:
    def render(row: Mapping[str, Any]) -> AvailableNumber:
        return AvailableNumber(
            country=row["country"],
            country_name=_country_name(row["country"]),
            dedicated_number=row["number"],
            price_setup=prices.fixed(setup, 4),
            price_monthly=prices.fixed(monthly, 4),
            price_total=prices.fixed(setup + monthly, 4),
        )

    return render


@cache
def _country_name(country: str) -> str:
    return str(Locale("en").territories.get(country, country))
