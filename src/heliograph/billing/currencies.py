"""Currencies as the answers show them (`_currency`), and the currency that a country is billed in."""

from functools import cache
from typing import Annotated

import msgspec
from msgspec import Meta


class Currency(msgspec.Struct, frozen=True):
    """The `_currency` object of the contract: ISO 4217 code, signs of the unit and of its hundredth, plural name."""

    currency_name_short: Annotated[str, Meta(description="ISO 4217 code.", examples=["AUD"])]
    currency_prefix_d: Annotated[str, Meta(description="Sign of the unit.", examples=["$"])]
    currency_prefix_c: Annotated[str, Meta(description="Sign of its hundredth.", examples=["c"])]
    currency_name_long: Annotated[str, Meta(description="Plural name.", examples=["Australian Dollars"])]


# Code, signs and name; then the countries whose accounts are billed in it. AUD, USD, GBP and PHP read as in api-v3
# (whose "?" is a peso sign that got lost); signs of hundredths are in no library.
_TABLE: tuple[tuple[Currency, str], ...] = (
    (Currency("USD", "$", "¢", "US Dollars"), "AS BQ EC FM GU IO MH MP PR PW TC TL UM US VG VI"),
    (Currency("AUD", "$", "c", "Australian Dollars"), "AU CC CX HM KI NF NR TV"),
    (Currency("GBP", "£", "p", "British Pounds"), "GB GG GS IM JE TA"),
    (
        Currency("EUR", "€", "c", "Euros"),
        "AD AT AX BE BG BL CY DE EE ES FI FR GF GP GR HR IE IT LT LU LV "
        "MC ME MF MQ MT NL PM PT RE SI SK SM TF VA XK YT",
    ),
    (Currency("NZD", "$", "c", "New Zealand Dollars"), "CK NU NZ PN TK"),
    (Currency("CAD", "$", "¢", "Canadian Dollars"), "CA"),
    (Currency("SGD", "$", "¢", "Singapore Dollars"), "SG"),
    (Currency("HKD", "$", "¢", "Hong Kong Dollars"), "HK"),
    (Currency("PHP", "₱", "c", "Philippine Peso"), "PH"),
    (Currency("INR", "₹", "p", "Indian Rupees"), "BT IN"),
    (Currency("ZAR", "R", "c", "South African Rand"), "LS NA ZA"),
    (Currency("JPY", "¥", "", "Japanese Yen"), "JP"),
)

BILLED: tuple[str, ...] = tuple(currency.currency_name_short for currency, _ in _TABLE)
"""ISO 4217 codes of the currencies that `of_country` can answer; the default rates price them all."""

_KNOWN = {currency.currency_name_short: currency for currency, _ in _TABLE}
_OF_COUNTRY = {country: currency.currency_name_short for currency, countries in _TABLE for country in countries.split()}


def of_country(iso: str) -> str:
    """ISO 4217 code of the currency that accounts of a country (ISO 3166 alpha-2) are billed in; USD for the rest."""
    return _OF_COUNTRY.get(iso.upper(), "USD")


def describe(code: str) -> Currency:
    """The `_currency` object of an ISO 4217 code. Raises ValueError when there is no such currency."""
    return _KNOWN.get(code) or _other(code)


def payable(micros: int, code: str) -> bool:
    """Whether a card can be charged this amount: a whole number of the currency's smallest unit (a cent, a yen)."""
    return micros % smallest(code) == 0


@cache
def smallest(code: str) -> int:
    """The smallest amount of a currency (ISO 4217, its minor unit) in micros: a cent, a yen."""
    from babel.numbers import get_currency_precision  # locale data, rarely needed

    return int(10 ** (6 - get_currency_precision(code)))


@cache
def _other(code: str) -> Currency:
    """A currency that only an operator's own rates file has: Unicode's names, and "c" for a hundredth."""
    from babel.numbers import get_currency_name, get_currency_symbol, is_currency  # locale data, rarely needed

    if not is_currency(code):
        raise ValueError(f"There is no currency {code!r}.")
    words = get_currency_name(code, count=2, locale="en").split()
    name = " ".join(word[0].upper() + word[1:] for word in words)
    return Currency(code, get_currency_symbol(code, locale="en"), "c", name)
