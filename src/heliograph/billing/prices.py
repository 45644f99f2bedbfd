"""Rates: what a unit of a channel costs in a country and a currency. Money is integers of 1/1,000,000."""

import tomllib
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib.resources import files as package_files

import msgspec

from heliograph.billing import currencies

MICRO = 1_000_000
ANY = "*"
DIGITS = 4
"""A price has at most four decimals, so that the sum of prices as shown is the charge (facts I12)."""

KINDS = {
    "sms": ("message",),
    "mms": ("message",),
    "voice": ("part",),
    "fax": ("page",),
    "email": ("recipient",),
    "post": ("letter_black_page", "letter_colour_page", "letter_envelope", "postcard"),
}


class RatesError(Exception):
    """A rates file that cannot be used: where and why."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    currency: str
    channel: str
    kind: str
    prices: dict[str, str]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    source: str
    rates: list[_Entry]


class Rates:
    """A rates file in memory."""

    def __init__(self, version: str, table: dict[tuple[str, str, str, str], int]) -> None:
        self.version = version
        self._table = table

    @classmethod
    def parse(cls, text: str) -> "Rates":
        """Rates out of TOML. Every currency needs a price for every kind, at least for "*". Raises RatesError."""
        try:
            found = msgspec.convert(tomllib.loads(text), _File)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as problem:
            raise RatesError(str(problem)) from None
        table: dict[tuple[str, str, str, str], int] = {}
        for number, entry in enumerate(found.rates, 1):
            _read(entry, f"rates entry {number} ({entry.channel} {entry.kind} {entry.currency})", table)
        for currency in sorted(currencies.codes()):
            for channel, kinds in KINDS.items():
                for kind in kinds:
                    if (channel, kind, ANY, currency) not in table:
                        raise RatesError(f'There is no price of {channel} {kind} in {currency} for "*" (other countries).')
        return cls(found.version, table)

    def price(self, channel: str, kind: str, country: str, currency: str) -> int:
        """Micros for one unit."""
        found = self._table.get((channel, kind, country, currency))
        return self._table[channel, kind, ANY, currency] if found is None else found


def _read(entry: _Entry, where: str, table: dict[tuple[str, str, str, str], int]) -> None:
    if entry.kind not in KINDS.get(entry.channel, ()):
        raise RatesError(f"{where}: unknown channel or kind.")
    if entry.currency not in currencies.codes():
        raise RatesError(f"{where}: unknown currency; known: {', '.join(sorted(currencies.codes()))}.")
    for country, price in entry.prices.items():
        if country != ANY and not (len(country) == 2 and country.isascii() and country.isalpha() and country.isupper()):
            raise RatesError(f"{where}: {country!r} is no ISO alpha-2 country code.")
        try:
            amount = micros(price)
        except ValueError as problem:
            raise RatesError(f"{where}, {country}: {problem}") from None
        if amount < 0 or amount % (MICRO // 10**DIGITS):
            raise RatesError(f"{where}, {country}: {price} must not be negative nor have more than {DIGITS} decimals.")
        table[entry.channel, entry.kind, country, entry.currency] = amount


@lru_cache(maxsize=1)
def default() -> Rates:
    """The rates that come with the program."""
    return Rates.parse(package_files("heliograph.billing").joinpath("rates.toml").read_text(encoding="utf-8"))


def micros(amount: str | int | Decimal) -> int:
    """An exact amount in micros. Raises ValueError: no number, or more than six decimals."""
    try:
        exact = Decimal(amount) * MICRO
    except (InvalidOperation, TypeError):
        raise ValueError(f"{amount!r} is no amount.") from None
    if not exact.is_finite() or exact != exact.to_integral_value() or abs(exact) > 10**18:
        raise ValueError(f"{amount} must be a finite number with at most six decimals.")
    return int(exact)


def fixed(amount: int, digits: int) -> str:
    """Micros as text with this many decimals: "0.0715"."""
    return f"{Decimal(amount) / MICRO:.{digits}f}"


def number(amount: int) -> float | int:
    """Micros as a JSON number; nothing is the integer 0, as live answers have it (facts A19)."""
    return amount / MICRO if amount else 0
