"""Phone numbers: any usual spelling to E.164 and country, the operator of a number range, the document's test numbers.

A number that already is E.164 is judged by rules compiled from the metadata of phonenumbers, everything else by the
library itself. Knows nothing of messages, accounts or prices.
"""

import re
import string
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Literal

import msgspec
import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, PhoneNumberType
from phonenumbers.phonemetadata import PhoneNumberDesc

from heliograph import written

COUNTRIES: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166 alpha-2 codes of all countries that have phone numbers."""

_Match = Callable[[str], re.Match[str] | None]


class Phone(msgspec.Struct, frozen=True, gc=False):
    """A valid number: E.164 with its plus sign, and ISO 3166 alpha-2 of its country.

    Numbers that belong to no country (+800, +881, +883, …) have the country "001", as in libphonenumber.
    """

    number: str
    country: str


_TESTS = {
    number: Phone(number, country)
    for country, numbers in {
        "AU": ("+61411111111", "+61422222222", "+61433333333", "+61444444444"),
        "US": ("+14055555555", "+14055555666"),
        "GB": ("+44777777777", "+447777777777"),
        "CN": ("+861555555555", "+8615555555555"),
    }.items()
    for number in numbers
}

TEST_NUMBERS: frozenset[str] = frozenset(_TESTS)
"""Numbers that are free and never leave the house. Source: api-v3, "Test SMS/MMS Numbers", in both lengths seen."""


def is_test(number: str) -> bool:
    """Whether an E.164 number is one of the document's test numbers."""
    return number in TEST_NUMBERS


def msisdn(text: str) -> int | None:
    """The key by which the tables find a subscriber: the digits of an E.164 number, spelt as `canonical` does.

    None for a text that is no such number.
    """
    if text[:1] != "+" or len(text) >= 20 or not text[1:].isdecimal():
        return None
    return int(canonical(text) if text[1] == "5" else text)


def canonical(number: str) -> str:
    """One spelling for all that an E.164 number may have; most have just one. Source: facts H13.

    Mexico's 1 before a mobile number ended in 2019, Argentina's 9 stands only in the international form, and Brazil put
    a 9 before its mobile numbers of eight digits (those with 6, 8 and 9; some that begin with 7 stay as they were).
    """
    start, length = number[:4], len(number)
    if length == 14 and start in ("+521", "+549"):
        return number[:3] + number[4:]
    if length == 13 and start[:3] == "+55" and number[5] in "689":
        return f"{number[:5]}9{number[5:]}"
    return number


def spellings(number: str) -> set[str]:
    """All spellings of the subscriber of an E.164 number."""
    one = canonical(number)
    others = {one}
    if len(one) == 13 and one[:3] in ("+52", "+54"):
        others.add(f"{one[:3]}{'1' if one[2] == '2' else '9'}{one[3:]}")
    elif len(one) == 14 and one[:3] == "+55" and one[5] == "9" and one[6] in "689":
        others.add(one[:5] + one[6:])
    return others


def identity(text: str) -> int | str:
    """What all spellings of one number, short code or sender ID have in common: to compare them, not to show."""
    found = parse(text)
    key = msisdn(found.number) if found else None
    return _SEPARATORS.sub("", text).lower() if key is None else key


_E164 = re.compile(r"\+[1-9][0-9]{3,18}").fullmatch
_DIALLED = re.compile(r"\+?[0-9]{3,24}").fullmatch
_SEPARATORS = re.compile(r"[\s+()./-]+")
_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_SERVICES = frozenset(
    {PhoneNumberType.TOLL_FREE, PhoneNumberType.SHARED_COST, PhoneNumberType.PREMIUM_RATE, PhoneNumberType.UAN}
)


def parse(text: str, country: str | None = None) -> Phone | None:
    """The number that `text` means, dialled in `country` (ISO alpha-2) unless it is international; None: not valid.

    How a number may be written is said by `written.dialled`. "+" and "00" lead an international number. Digits alone
    are read as a number of `country`, and as an international number when they are not valid there; `_alone` says
    what they are when they could be both. Spellings that have ended (`canonical`) are read too. In a country without
    numbers (`countries.UNKNOWN`) digits alone mean nothing. The document's test numbers are valid by definition.
    """
    if _E164(text) and (found := exact(text)):
        return found
    where = country.upper() if country else None
    found = _read(text, where)
    return None if found and not _DIALLED(text) and _is_two(written.plain(text), where, found) else found


def _read(text: str, country: str | None) -> Phone | None:
    dialled = text if _DIALLED(text) else written.dialled(text)
    if dialled is None:
        return None
    return _interpret(dialled, country) if _DIALLED(dialled) else _in_letters(dialled, country)


def _is_two(text: str, country: str | None, whole: Phone) -> bool:
    """Whether a text has two numbers that would be one of another country, or another one at home.

    Before a slash stands at most the area code of what is behind it. Elsewhere both sides have to be numbers at home.
    """
    if whole.country == country and "/" not in text:
        return False
    for mark in written.MARKS.finditer(text.rstrip(written.BEHIND)):
        before = _read(text[: mark.start()], country)
        if before and "/" in mark[0]:
            return True
        if before and before.country == country != whole.country:
            behind = _read(text[mark.end() :], country)
            if behind and behind.country == country:
                return True
    return False


@lru_cache(maxsize=16384)
def _interpret(dialled: str, country: str | None) -> Phone | None:
    if dialled.startswith("+"):
        return _abroad(dialled) or _library(dialled, country)
    if dialled.startswith("00"):
        # The exact form first: Brazil's and Colombia's own prefixes (00 and a carrier) would cut into other numbers.
        # The forgiving form last: "0011" is Australia's prefix, and would be taken for +1 and a trunk prefix 1.
        number = "+" + dialled[2:]
        return _abroad(number) or _library(dialled, country) or _library(number, None)
    if country is not None and country not in COUNTRIES:
        return None
    home, abroad = _library(dialled, country), _abroad("+" + dialled) or _with_trunk(dialled, country)
    if home is None and (before := _library(dialled, country, ended=True)):
        return before if abroad in (None, before) else None
    return _alone(home, abroad)


def _with_trunk(dialled: str, country: str | None) -> Phone | None:
    """A number of `country` with its calling code and its trunk prefix: 49 (0)30 123456."""
    found = _library("+" + dialled, None)
    return found if found and found.country == country else None


def _alone(home: Phone | None, abroad: Phone | None) -> Phone | None:
    """What digits alone mean that can be a number at home, or an international one without its plus.

    Where a country has numbers of many lengths, 4915123978739 is a mobile number of Germany, and also a telephone of a
    German town without its 0. The mobile one is meant; where that is not enough to tell them apart, none is taken.
    """
    if home is None or abroad is None or home.number == abroad.number or _is_mobile(home):
        return home or abroad
    at_home = abroad.country == home.country
    if _is_mobile(abroad):
        return abroad if at_home else None
    return None if at_home else home


def _is_mobile(found: Phone) -> bool:
    """Whether a number can be of a mobile telephone."""
    return phonenumbers.number_type(phonenumbers.parse(found.number)) in _MOBILE


def _abroad(number: str) -> Phone | None:
    """An international number as it stands, or the one that took the place of its spelling."""
    return exact(number) or _today(number)


def _today(number: str) -> Phone | None:
    """What a number is by now that was valid before a country changed its plan."""
    now = canonical(number)
    return exact(now) if now != number else None


def _in_letters(dialled: str, country: str | None) -> Phone | None:
    """A number such as 1800FLOWERS: of a service, and none without its letters, which otherwise are a note."""
    digits = phonenumbers.convert_alpha_characters_in_number(dialled)
    found = _interpret(digits, country) if _DIALLED(digits) else None
    if found is None or _interpret(dialled.rstrip(string.ascii_uppercase), country):
        return None
    return found if phonenumbers.number_type(phonenumbers.parse(found.number)) in _SERVICES else None


def _library(dialled: str, country: str | None, *, ended: bool = False) -> Phone | None:
    """The library's reading; `ended`: only in a spelling that is valid no more."""
    try:
        found = phonenumbers.parse(dialled, country)
    except NumberParseException:
        return None
    number = phonenumbers.format_number(found, PhoneNumberFormat.E164)
    if ended:
        return _today(number)
    if not phonenumbers.is_valid_number(found):
        return None
    region = phonenumbers.region_code_for_number(found)
    return Phone(number, region) if region else None


def kept(text: str, country: str) -> str | None:
    """The number that `text` means, or at least its digits behind the calling code of `country`; None: no number.

    For what is kept and shown, and never called. Source: the document's example of a subaccount has such a number.
    """
    found = parse(text, country)
    if found:
        return found.number
    digits = written.dialled(text)
    if digits is None or not re.fullmatch(r"[0-9]{6,12}", digits):
        return None
    return f"+{phonenumbers.country_code_for_region(country)}{digits.removeprefix('0')}"


class _Rule(msgspec.Struct, frozen=True):
    """Decides on one country: `chosen` says that no later country is asked, `valid` that the number exists there."""

    country: str
    chosen: _Match | None
    valid: _Match | None


class _Plan(msgspec.Struct, frozen=True):
    """The rules for all numbers that share their first three digits and their length."""

    start: int
    rules: tuple[_Rule, ...]


_plans: dict[tuple[str, int], _Plan] = {}


def exact(number: str) -> Phone | None:
    """The number if it is valid just as it stands: "+" and digits, nothing to be added or dropped.

    None does not mean that it is wrong: the library may still find a trunk prefix to drop. Countries with a common
    calling code are asked in libphonenumber's order. The rules of a calling code are compiled when first needed.
    """
    key = (number[:4], len(number))
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = _compile(number)
    national = number[plan.start :]
    for rule in plan.rules:
        if rule.chosen is not None and not rule.chosen(national):
            continue
        if rule.valid is not None and rule.valid(national):
            return Phone(number, rule.country)
        if rule.chosen is not None:
            break
    return _TESTS.get(number)


def _compile(number: str) -> _Plan:
    for start in (2, 3, 4):
        code = int(number[1:start])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE and number[1] != "0":
            return _Plan(start, _rules(code, len(number) - start))
    return _Plan(4, ())


@cache
def _rules(code: int, length: int) -> tuple[_Rule, ...]:
    """The rules of all countries of a calling code, for national numbers of one length, in the order of asking."""
    countries = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    main = PhoneMetadata.metadata_for_region_or_calling_code(code, countries[0])
    trunk = main.national_prefix_for_parsing if main else None
    rules = []
    for country in countries:
        plan = PhoneMetadata.metadata_for_region_or_calling_code(code, country)
        if plan is None:
            continue
        leading = plan.leading_digits if len(countries) > 1 else None
        chosen = re.compile(leading).match if leading else None
        valid = _valid(plan, trunk, length)
        if chosen or valid:
            rules.append(_Rule(country, chosen, valid))
    return tuple(rules)


def _valid(plan: PhoneMetadata, trunk: str | None, length: int) -> _Match | None:
    """A pattern of the numbers of a country that have this length; None when there are none.

    A number that begins with the calling code's trunk prefix is left out, since the library would drop the prefix.
    """
    kinds = (
        plan.mobile,
        plan.fixed_line,
        plan.toll_free,
        plan.premium_rate,
        plan.shared_cost,
        plan.voip,
        plan.personal_number,
        plan.pager,
        plan.uan,
        plan.voicemail,
    )
    patterns = [pattern for kind in kinds if (pattern := _pattern(kind, length))]
    general = _pattern(plan.general_desc, length)
    if not patterns or not general:
        return None
    untouched = rf"(?!(?:{trunk})(?!\A))" if trunk else ""
    return re.compile(rf"{untouched}(?=(?:{general})\Z)(?:{'|'.join(dict.fromkeys(patterns))})").fullmatch


def _pattern(kind: PhoneNumberDesc | None, length: int) -> str | None:
    if kind is None or (kind.possible_length and length not in kind.possible_length):
        return None
    return kind.national_number_pattern


Line = Literal["mobile", "landline", "premium"]
"""What a call to a number costs like; premium: a call costs its caller more than the way to it."""


def line(phone: Phone) -> Line:
    """The kind of line that a valid number is.

    The kinds are asked in libphonenumber's order. What can be a mobile counts as one, as do the test numbers; numbers
    of premium rate, shared cost and personal ones are premium.
    """
    number = phone.number
    plan = _plans.get((number[:4], len(number))) or _compile(number)
    national = number[plan.start :]
    for kind, belongs in _lines(int(number[1 : plan.start]), phone.country, len(national)):
        if belongs(national):
            return kind
    return "mobile" if number in TEST_NUMBERS else "landline"


@cache
def _lines(code: int, country: str, length: int) -> tuple[tuple[Line, _Match], ...]:
    """What tells the kinds of lines of a country apart, for national numbers of one length."""
    plan = PhoneMetadata.metadata_for_region_or_calling_code(code, country)
    if plan is None:
        return ()
    kinds: tuple[tuple[Line, PhoneNumberDesc | None], ...] = (
        ("premium", plan.premium_rate),
        ("landline", plan.toll_free),
        ("premium", plan.shared_cost),
        ("landline", plan.voip),
        ("premium", plan.personal_number),
        *(("landline", kind) for kind in (plan.pager, plan.uan, plan.voicemail)),
        ("mobile", plan.mobile),
    )
    patterns = ((kind, _pattern(numbers, length)) for kind, numbers in kinds)
    return tuple((kind, re.compile(pattern).fullmatch) for kind, pattern in patterns if pattern)


_operators: dict[str, str] = {}
_lengths: dict[str, tuple[int, ...]] = {}
"""How many digits the ranges have that begin with these two, the longest first."""


def warm_carriers() -> None:
    """Load the number ranges of the operators (up to half a second): until then `carrier` answers ""."""
    from phonenumbers.carrierdata import CARRIER_DATA  # tens of MB: not for a process that never asks

    ranges = {digits: names["en"] for digits, names in CARRIER_DATA.items() if "en" in names}
    lengths: dict[str, set[int]] = {}
    for digits in ranges:
        lengths.setdefault(digits[:2], set()).add(len(digits))
    _operators.update(ranges)
    _lengths.update({digits: tuple(sorted(found, reverse=True)) for digits, found in lengths.items()})


def carrier(phone: Phone) -> str:
    """The operator to which the number's range was allotted, in English; "" when unknown or not loaded yet.

    A number that was ported since is still named after its first operator.
    """
    digits = phone.number[1:]
    for length in _lengths.get(digits[:2], ()):
        name = _operators.get(digits[:length])
        if name is not None:
            return name
    return ""
