"""Currencies as the contract describes them, and the currency in which an account of a country is billed."""

import msgspec


class Currency(msgspec.Struct, frozen=True):
    """The `_currency` object. Source: api-v3, "View Account Details"."""

    currency_name_short: str
    currency_prefix_d: str
    currency_prefix_c: str
    currency_name_long: str


_KNOWN = {
    "AUD": Currency("AUD", "$", "c", "Australian Dollars"),
    "CAD": Currency("CAD", "$", "¢", "Canadian Dollars"),
    "CHF": Currency("CHF", "Fr.", "Rp.", "Swiss Francs"),
    "EUR": Currency("EUR", "€", "c", "Euros"),
    "GBP": Currency("GBP", "£", "p", "British Pounds"),
    "HKD": Currency("HKD", "$", "c", "Hong Kong Dollars"),
    "NZD": Currency("NZD", "$", "c", "New Zealand Dollars"),
    "SGD": Currency("SGD", "$", "c", "Singapore Dollars"),
    "USD": Currency("USD", "$", "¢", "US Dollars"),
}

_EURO = "AT BE CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK".split()
_OF_COUNTRY = {
    "AU": "AUD",
    "CA": "CAD",
    "CH": "CHF",
    "LI": "CHF",
    "GB": "GBP",
    "HK": "HKD",
    "NZ": "NZD",
    "SG": "SGD",
    **dict.fromkeys(_EURO, "EUR"),
}


def codes() -> frozenset[str]:
    """The currencies that an account can have."""
    return frozenset(_KNOWN)


def of_country(iso: str) -> str:
    """The currency of accounts of a country (ISO alpha-2); US dollars where it has none of its own here."""
    return _OF_COUNTRY.get(iso.upper(), "USD")


def describe(code: str) -> Currency:
    """The `_currency` object of a code. Raises KeyError for one that accounts cannot have."""
    return _KNOWN[code]
