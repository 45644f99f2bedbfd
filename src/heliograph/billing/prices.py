"""Prices per unit out of a rates file, and amounts as texts and numbers. Knows nothing of accounts or messages.

Money is an integer of 1/1,000,000 of the currency unit, everywhere ("micros").
"""

import re
import tomllib
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

from heliograph.billing.currencies import describe
from heliograph.phone import COUNTRIES

MICRO = 1_000_000

UNITS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sms": frozenset({"message"}),
        "mms": frozenset({"message"}),
        "voice": frozenset({"mobile", "landline"}),
        "fax": frozenset({"page"}),
        "email": frozenset({"recipient"}),
        "post": frozenset(
            {
                "letter_black",
                "letter_colour",
                "page_black",
                "page_colour",
                "letter_priority",
                "postcard",
                "direct_mail_dl",
                "direct_mail_a5",
            }
        ),
        "number": frozenset({"setup", "monthly"}),
    }
)
"""What is priced, by channel: one part of an SMS, an MMS, a part of a voice message, a fax page, a mail to one address.

Post: a letter with its first page, each page after it, a surcharge for priority, a postcard, a piece of direct mail.
Number: a dedicated number of a country, once and each month.
"""

_PLACES = 4
_LARGEST = Decimal(10**12)
_PLAIN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)").fullmatch
_STEP = Decimal("0.000001")
_EXACT = Context(prec=40)


class RatesError(Exception):
    """A rates file has a mistake, or lacks a price. The text says where and why."""


class Rates(msgspec.Struct, frozen=True):
    """A rates file. `prices` maps (channel, kind, currency) to micros by country, with "*" for all other countries.

    `packages` are what can be recharged: micros by package id, by currency; `discounts` the percentages by which
    messages are cheaper for an account that has bought one. `exchange` has what one US dollar is worth in each
    currency, in micros. All three may be empty.
    """

    version: str
    source: str
    prices: dict[tuple[str, str, str], dict[str, int]]
    packages: dict[str, dict[int, int]]
    discounts: dict[str, dict[int, int]]
    exchange: dict[str, int]

    @classmethod
    def parse(cls, text: str) -> "Rates":
        """Read a rates file (TOML, see rates.toml). Raises RatesError with the key and the reason."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise RatesError(f"This is no TOML: {problem}.") from None
        version, source = _sentence(document, "version"), _sentence(document, "source")
        exchange = _exchange(document.get("exchange"))
        prices: dict[tuple[str, str, str], dict[str, int]] = {}
        packages: dict[str, dict[int, int]] = {}
        discounts: dict[str, dict[int, int]] = {}
        for currency, given in document.items():
            if currency in ("version", "source", "exchange"):
                continue
            _check_currency(currency, currency)
            channels = dict(_table(currency, given))
            packages[currency], discounts[currency] = _packages(currency, channels.pop("packages", None))
            for channel, kind, by_country in _kinds(currency, channels):
                prices[channel, kind, currency] = by_country
        if not prices:
            raise RatesError("There is no price in this file.")
        return cls(version, source, prices, packages, discounts, exchange)

    def price(self, channel: str, kind: str, country: str, currency: str) -> int:
        """Micros for one unit sent to a country (ISO alpha-2; "" for an unknown one).

        Raises RatesError when the file has no price of this kind in this currency.
        """
        by_country = self.prices.get((channel, kind, currency))
        if by_country is None:
            raise RatesError(f"{currency}.{channel}.{kind}: version {self.version} of the rates has no such price.")
        found = by_country.get(country)
        return by_country["*"] if found is None else found

    def discount(self, currency: str, package_id: int | None) -> int:
        """The percentage by which messages are cheaper for an account whose last package this is."""
        return self.discounts.get(currency, {}).get(package_id or 0, 0)

    def converts(self, source: str, target: str) -> bool:
        """Whether the file says what an amount of one currency is in another one."""
        return source == target or (source in self.exchange and target in self.exchange)

    def convert(self, micros: int, source: str, target: str, *, up: bool = False) -> int:
        """An amount in another currency, rounded down or `up` to a micro. Raises RatesError without a rate for it."""
        if source == target:
            return micros
        if not self.converts(source, target):
            missing = source if source not in self.exchange else target
            raise RatesError(f"exchange.{missing}: version {self.version} of the rates has no rate for {missing}.")
        amount, divisor = micros * self.exchange[target], self.exchange[source]
        return -(-amount // divisor) if up else amount // divisor

    @property
    def currencies(self) -> frozenset[str]:
        """ISO 4217 codes of the currencies in which anything is priced."""
        return frozenset(currency for _, _, currency in self.prices)


@cache
def default() -> Rates:
    """The rates that come with the program."""
    return Rates.parse(files("heliograph.billing").joinpath("rates.toml").read_text(encoding="utf-8"))


def _sentence(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RatesError(f"{key}: a text is needed here.")
    return value


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise RatesError(f"{where}: a table with entries is needed here.")
    return value


def _check_currency(where: str, code: str) -> None:
    try:
        describe(code)
    except ValueError as problem:
        raise RatesError(f"{where}: {problem}") from None


def _exchange(given: Any) -> dict[str, int]:
    """The optional table of exchange rates."""
    rates = {}
    for currency, value in _table("exchange", given).items() if given is not None else ():
        where = f"exchange.{currency}"
        _check_currency(where, currency)
        rates[currency] = _amount(where, value, 6)
        if not rates[currency]:
            raise RatesError(f"{where} = {value!r}: a rate is not zero.")
    return rates


def _packages(currency: str, given: Any) -> tuple[dict[int, int], dict[int, int]]:
    """The optional table of recharge packages of a currency: prices, and percentages of those with a discount."""
    packages, discounts = {}, {}
    for key, value in _table(f"{currency}.packages", given).items() if given is not None else ():
        where = f"{currency}.packages.{key}"
        if not re.fullmatch(r"[1-9][0-9]{0,8}", key, re.ASCII):
            raise RatesError(f"{where}: the id of a package is a number from 1.")
        price, discount = (value.get("price"), value.get("discount")) if isinstance(value, dict) else (value, 0)
        packages[int(key)] = _amount(where, price, 2)
        if not packages[int(key)]:
            raise RatesError(f"{where} = {value!r}: a package is not free.")
        if type(discount) is not int or not 0 <= discount < 100:
            raise RatesError(f"{where} = {value!r}: a discount is a whole number of percent, from 0 to 99.")
        if discount:
            discounts[int(key)] = discount
    return packages, discounts


def _kinds(currency: str, channels: Any) -> list[tuple[str, str, dict[str, int]]]:
    """(channel, kind, prices by country) of one currency's table."""
    found = []
    for channel, kinds in _table(currency, channels).items():
        if channel not in UNITS:
            raise RatesError(f"{currency}.{channel}: unknown channel; there are: {', '.join(UNITS)}.")
        for kind, countries in _table(f"{currency}.{channel}", kinds).items():
            where = f"{currency}.{channel}.{kind}"
            if kind not in UNITS[channel]:
                raise RatesError(f"{where}: unknown kind; there are: {', '.join(sorted(UNITS[channel]))}.")
            found.append((channel, kind, _by_country(where, countries)))
    return found


def _by_country(where: str, countries: Any) -> dict[str, int]:
    prices = {}
    for country, value in _table(where, countries).items():
        if country != "*" and country not in COUNTRIES:
            raise RatesError(f"{where}.{country}: unknown country code.")
        # few decimals, so that a price times a number of units never has to be rounded
        prices[country] = _amount(f"{where}.{country}", value, _PLACES)
    if "*" not in prices:
        raise RatesError(f'{where}: "*", the price of all other countries, is missing.')
    return prices


def _amount(where: str, value: Any, places: int) -> int:
    """Micros of an amount in the file, with a number of decimals at the most."""
    if not isinstance(value, str):
        raise RatesError(f'{where} = {value!r}: write a price as a text, like "0.0990".')
    try:
        price = micros(value)
    except ValueError as problem:
        raise RatesError(f"{where} = {value!r}: {problem}") from None
    if price < 0:
        raise RatesError(f"{where} = {value!r}: a price is not negative.")
    if price % 10 ** (6 - places):
        raise RatesError(f"{where} = {value!r}: a price has {places} decimals at most.")
    return price


def micros(text: str | Decimal) -> int:
    """An amount in micros, exactly. A text is plain decimal notation ("12", "-0.5"), without exponent or separators.

    Raises ValueError when it is no finite number, has more than 6 decimals, or is 10**12 units or more (micros are
    kept in 64 bits).
    """
    if isinstance(text, str) and not _PLAIN(text):
        raise ValueError("This is not a number.")
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("This is not a finite number.")
    if not -_LARGEST < value < _LARGEST:
        raise ValueError(f"An amount is less than {_LARGEST:,}.")
    rounded = value.quantize(_STEP, context=_EXACT)
    if rounded != value:
        raise ValueError("An amount has 6 decimals at most.")
    return int(rounded.scaleb(6, context=_EXACT))


@lru_cache(maxsize=4096)  # the same few prices are formatted for every message
def fixed(micros: int, digits: int) -> str:
    """An amount with a fixed number of decimals (0 to 6), "0.0715"; half a last digit is rounded away from zero."""
    step = 10 ** (6 - digits)
    whole, part = divmod((abs(micros) + step // 2) // step, 10**digits)
    sign = "-" if micros < 0 and (whole or part) else ""
    return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


def exact(micros: int) -> str:
    """An amount that is never rounded, with two decimals or as many as it needs: "0.17", "0.0715"."""
    whole, _, part = fixed(micros, 6).partition(".")
    return f"{whole}.{part[:2]}{part[2:].rstrip('0')}"


def grouped(micros: int) -> str:
    """An amount to be read on paper: two decimals, thousands apart, "1,234,567.00"."""
    whole, part = fixed(micros, 2).split(".")
    return f"{int(whole):,}.{part}"


def number(micros: int) -> float | int:
    """An amount as a JSON number: 0.28, and an integer when it is whole (0, 11)."""
    whole, part = divmod(micros, MICRO)
    return micros / MICRO if part else whole
