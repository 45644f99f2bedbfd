"""Where dedicated numbers come from: the operator's pool, and in sandbox mode numbers that no carrier knows."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import msgspec
import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from sqlalchemy import func, or_, select

from heliograph import phone
from heliograph.db.engine import Tx
from heliograph.db.tables import number_pool, owned_numbers
from heliograph.settings import Settings

STARTS, ANYWHERE, ENDS = 0, 1, 2
"""Where a pattern must stand in a number. Source: endpoint 102."""

VARIED = 3
"""Last digits of an example number that are varied: 1000 numbers of each example."""


class Wanted(msgspec.Struct, frozen=True):
    """Numbers of a country (ISO alpha-2) with these digits; "" for any. The start is that of either form, +61… or 0…"""

    country: str
    digits: str = ""
    place: int = STARTS

    @property
    def patterns(self) -> list[str]:
        """What a number in E.164 must be like, in SQL's notation."""
        if not self.digits:
            return ["%"]
        if self.place == ANYWHERE:
            return [f"%{self.digits}%"]
        if self.place == ENDS:
            return [f"%{self.digits}"]
        national = f"+{phonenumbers.country_code_for_region(self.country)}{self.digits.removeprefix('0')}"
        return [f"+{self.digits}%", f"{national}%"]

    def fits(self, number: str) -> bool:
        """Whether a number in E.164 fits this."""
        return any(_like(number, pattern) for pattern in self.patterns)


class Supply(Protocol):
    """A source of numbers that no account owns yet."""

    def search(self, tx: Tx, wanted: Wanted, offset: int, limit: int) -> tuple[int, Sequence[str]]:
        """(how many there are, those of a page), in a fixed order."""
        ...

    def has(self, tx: Tx, number: phone.Phone) -> bool:
        """Whether this number can be had here."""
        ...


class Pool:
    """Numbers that the operator has rented from carriers (`heliograph numbers import`)."""

    def search(self, tx: Tx, wanted: Wanted, offset: int, limit: int) -> tuple[int, Sequence[str]]:
        """By the table."""
        free = select(number_pool.c.number).where(
            number_pool.c.country == wanted.country,
            or_(*(number_pool.c.number.like(pattern) for pattern in wanted.patterns)),
            number_pool.c.number.not_in(select(owned_numbers.c.number)),
        )
        total = tx.scalar(select(func.count()).select_from(free.subquery()))
        rows = tx.execute(free.order_by(number_pool.c.number).limit(limit).offset(offset))
        return int(total), list(rows.scalars())

    def has(self, tx: Tx, number: phone.Phone) -> bool:
        """By the table."""
        return tx.scalar(select(number_pool.c.country).where(number_pool.c.number == number.number)) is not None

    @staticmethod
    def add(tx: Tx, numbers: Sequence[phone.Phone]) -> int:
        """Put numbers into the pool; how many are new."""
        known = tx.driver_in("SELECT number FROM number_pool WHERE number IN ({})", [], [n.number for n in numbers])
        old = {row[0] for row in known}
        fresh = {one.number: one.country for one in numbers if one.number not in old}
        rows = [(number, country, tx.now) for number, country in fresh.items()]
        tx.insert_rows("number_pool", ("number", "country", "added_at"), rows)
        return len(rows)


class Virtual:
    """Valid numbers of every country, counted up from the examples of libphonenumber."""

    def __init__(self, reserved: Sequence[str]) -> None:
        self._reserved = frozenset(reserved)

    def search(self, tx: Tx, wanted: Wanted, offset: int, limit: int) -> tuple[int, Sequence[str]]:
        """Search the numbers that no account owns."""
        mine = select(owned_numbers.c.number).where(owned_numbers.c.country == wanted.country)
        owned = set(tx.execute(mine).scalars())
        free = [
            number
            for number in _counted(wanted.country)
            if number not in owned and number not in self._reserved and wanted.fits(number)
        ]
        return len(free), free[offset : offset + limit]

    def has(self, tx: Tx, number: phone.Phone) -> bool:
        """Whether this is a virtual number; its owner, if any, is not looked up."""
        return number.number in _counted(number.country) and number.number not in self._reserved


def shared(settings: Settings) -> list[str]:
    """The senders of accounts without a number of their own, which nobody can buy."""
    return [number for part in settings.shared_senders.split(",") if (number := part.strip())]


def _like(text: str, pattern: str) -> bool:
    digits = pattern.strip("%")
    if not pattern.endswith("%"):
        return text.endswith(digits)
    return digits in text if pattern.startswith("%") else text.startswith(digits)


@lru_cache(maxsize=32)
def _counted(country: str) -> tuple[str, ...]:
    """Numbers of a country, mobile ones if it has any: those of an example's last digits that are valid.

    A country that has no range of its own (Saint Martin, Western Sahara) gets those of the one that it shares with.
    """
    others = ""
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.FIXED_LINE):
        example = phonenumbers.example_number_for_type(country, kind)
        if example is None:
            continue
        stem = phonenumbers.format_number(example, PhoneNumberFormat.E164)[:-VARIED]
        known = [phone.parse(f"{stem}{last:0{VARIED}d}") for last in range(10**VARIED)]
        valid = [one for one in known if one and not phone.is_test(one.number)]
        own = tuple(one.number for one in valid if one.country == country)
        if own:
            return own
        others = others or (valid[0].country if valid else "")
    return _counted(others) if others else ()


def search(tx: Tx, supplies: Sequence[Supply], wanted: Wanted, offset: int, limit: int) -> tuple[int, list[str]]:
    """(how many, a page) of several supplies, one after the other."""
    total = 0
    page: list[str] = []
    for supply in supplies:
        count, found = supply.search(tx, wanted, max(0, offset - total), limit - len(page))
        page += found
        total += count
    return total, page
