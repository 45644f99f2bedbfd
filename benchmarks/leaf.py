"""Speeds of the leaf functions of the send path, per second, on one core: `python benchmarks/leaf.py`."""

import random
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from heliograph import phone
from heliograph.billing.prices import default
from heliograph.channels.sms.segments import measure

ROUNDS = 5


def rate(call: Callable[[Any], object], values: Iterable[Any]) -> float:
    """Calls a second, the best of some rounds."""
    values = list(values)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for value in values:
            call(value)
        best = min(best, time.perf_counter() - start)
    return len(values) / best


def mobiles(country: str, count: int, chance: random.Random) -> list[str]:
    """Valid mobile numbers of a country: its example number with other last digits."""
    example = phonenumbers.example_number_for_type(country, PhoneNumberType.MOBILE)
    assert example is not None
    start = phonenumbers.format_number(example, PhoneNumberFormat.E164)[:-5]
    drawn = (start + "".join(chance.choices("0123456789", k=5)) for _ in range(count * 3))
    return [number for number in drawn if phone.parse(number)][:count]


def main() -> None:
    chance = random.Random(1)
    start = time.perf_counter()
    phone.warm_carriers()
    figures = {"carriers loaded, s": time.perf_counter() - start}
    everywhere = [number for country in sorted(phone.COUNTRIES - {"TA"}) for number in mobiles(country, 100, chance)]
    chance.shuffle(everywhere)
    figures[f"parse, {len(everywhere)} mobiles of all countries"] = rate(phone.parse, everywhere)
    for country in ("AU", "US", "CA", "JM", "GB", "RU", "IT"):
        figures[f"parse, mobiles of {country}"] = rate(phone.parse, mobiles(country, 10_000, chance))
    national = [f"04{number:08d}" for number in chance.sample(range(10**7), 10_000)]
    figures["parse, national AU, not cached"] = rate(uncached, national)
    figures["carrier, all countries"] = rate(phone.carrier, [phone.parse(number) for number in everywhere])
    text = "Your one-time code is 482913. It expires in 5 minute"
    figures[f"measure, GSM, {len(text)} characters"] = rate(lambda body: measure(body, 8), [text] * 20_000)
    figures["measure, GSM, 300 characters"] = rate(lambda body: measure(body, 8), ["x" * 300] * 5_000)
    figures["measure, Unicode, 60 characters"] = rate(lambda body: measure(body, 8), ["ж" * 60] * 5_000)
    figures["measure, GSM, 1224 septets, half escaped"] = rate(lambda body: measure(body, 8), ["xx€" * 306] * 500)
    rates = default()
    figures["price"] = rate(lambda country: rates.price("sms", "message", country, "AUD"), ["AU", "DE", "ZW"] * 5_000)
    for name, value in figures.items():
        sys.stdout.write(f"{name:50} {value:14,.2f}\n" if value < 100 else f"{name:50} {value:14,.0f}/s\n")


def uncached(text: str) -> object:
    """A national number that no cache knows: the library's own speed."""
    return phone._interpret.__wrapped__(text, "AU")


if __name__ == "__main__":
    main()
