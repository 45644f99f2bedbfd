"""Phone numbers in E.164: a fast path compiled from the metadata of `phonenumbers`, the library for everything else."""

import re
from functools import lru_cache

import msgspec
import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneMetadata

TEST_NUMBERS = frozenset(
    {
        "+61411111111",
        "+61422222222",
        "+61433333333",
        "+61444444444",
        "+14055555555",
        "+14055555666",
        "+44777777777",
        "+861555555555",
        "+447777777777",
        "+8615555555555",
    }
)
"""Free, and never sent anywhere. Source: api-v3, "Test SMS/MMS Numbers"; facts L for the last two."""

_TEST_COUNTRIES = {"+61": "AU", "+14": "US", "+44": "GB", "+86": "CN"}
_PLUS_DIGITS = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_NOISE = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]+")
_KINDS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)

Regions = tuple[tuple[str, "re.Pattern[str] | None", "re.Pattern[str]"], ...]
_compiled: dict[str, Regions] = {}
_carriers: list[tuple[dict[str, dict[str, str]], int]] = []


class Phone(msgspec.Struct, frozen=True, gc=False):
    """A valid number: E.164 with the plus, and the ISO 3166 alpha-2 code of its country."""

    number: str
    country: str


def is_test(number: str) -> bool:
    """Whether this E.164 number is one of the documented test numbers."""
    return number in TEST_NUMBERS


def parse(text: str, country: str | None = None) -> Phone | None:
    """The valid number in `text`, or None.

    Spaces, dots, dashes, brackets and a leading 00 do not matter. Without a plus it is read as a national number of
    `country` (ISO alpha-2) first, then as an international one.
    """
    if _PLUS_DIGITS.fullmatch(text):
        if text in TEST_NUMBERS:
            return Phone(text, _TEST_COUNTRIES[text[:3]])
        fast = _fast(text)
        if fast is not None:
            return Phone(text, fast)
    return None if len(text) > 60 else _slow(text, country)


def _fast(text: str) -> str | None:
    """The region of `+digits`, or None when the tables do not know (then the library is asked)."""
    for size in (2, 3, 4):
        code = text[1:size]
        regions = _compiled.get(code)
        if regions is None:
            regions = _compiled[code] = _compile(code)
        if regions:
            national = text[size:]
            for region, leading, valid in regions:
                if leading is not None:
                    if leading.match(national):
                        return region if valid.fullmatch(national) else None
                elif valid.fullmatch(national):
                    return region
            return None
    return None


def _compile(code: str) -> Regions:
    """Patterns of the regions of a calling code, in the library's order of precedence; empty for no code."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
    made = []
    for region in regions:
        facts = PhoneMetadata.metadata_for_region(region, None) if region != "001" else None
        if facts is None:
            return ()
        patterns = {getattr(getattr(facts, kind), "national_number_pattern", None) for kind in _KINDS}
        valid = "|".join(f"(?:{pattern})" for pattern in sorted(filter(None, patterns)))
        leading = re.compile(facts.leading_digits) if facts.leading_digits else None
        made.append((region, leading if len(regions) > 1 else None, re.compile(valid)))
    return tuple(made)


@lru_cache(maxsize=10_000)
def _slow(text: str, country: str | None) -> Phone | None:
    bare = _NOISE.sub("", text.strip())
    if bare.startswith("00"):
        bare = "+" + bare[2:]
    if not re.fullmatch(r"\+?\d{3,17}", bare, re.ASCII):
        return None
    if bare in TEST_NUMBERS or "+" + bare in TEST_NUMBERS:
        return parse("+" + bare.lstrip("+"))
    tries = [(bare, country)] if country or bare.startswith("+") else []
    if not bare.startswith("+"):
        tries.append(("+" + bare, None))
    for digits, region in tries:
        found = _judge(digits, region)
        if found is not None:
            return found
    return None


def _judge(digits: str, region: str | None) -> Phone | None:
    """What the library says of a number."""
    try:
        number = phonenumbers.parse(digits, region)
    except NumberParseException:
        return None
    country = phonenumbers.region_code_for_number(number)
    if country is None or country == "001" or not phonenumbers.is_valid_number(number):
        return None
    return Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), country)


def warm_carriers() -> None:
    """Load the names of network operators (half a second, 44 MB): call it from a thread after the start."""
    from phonenumbers.carrierdata import CARRIER_DATA, CARRIER_LONGEST_PREFIX

    _carriers[:] = [(CARRIER_DATA, CARRIER_LONGEST_PREFIX)]


def carrier(phone: Phone) -> str:
    """English name of the operator that the number's range was given to; "" when unknown or not loaded yet."""
    if not _carriers:
        return ""
    data, longest = _carriers[0]
    digits = phone.number[1:]
    for size in range(min(longest, len(digits)), 0, -1):
        names = data.get(digits[:size])
        if names is not None:
            return names.get("en", "")
    return ""
