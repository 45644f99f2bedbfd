"""Countries: ISO 3166 codes, English names, UN regions, and the numbers that the global sending endpoints give them."""

import unicodedata
from collections.abc import Iterable
from functools import cache

import msgspec
from babel import Locale

from heliograph import phone

_REGIONS: tuple[tuple[str, str], ...] = (
    (
        "Oceania",
        "AU NZ CX CC HM NF FJ NC PG SB VU GU KI MH FM NR MP PW UM AS CK PF NU PN WS TK TO TV WF",
    ),
    (
        "Africa",
        "DZ EG LY MA SD TN EH IO BI KM DJ ER ET TF KE MG MW MU YT MZ RE RW SC SO SS UG TZ ZM ZW AO CM CF TD CG CD GQ "
        "GA ST BW SZ LS NA ZA BJ BF CV CI GM GH GN GW LR ML MR NE NG SH SN SL TG",
    ),
    (
        "Americas",
        "AI AG AW BS BB BQ VG KY CU CW DM DO GD GP HT JM MQ MS PR BL KN LC MF VC SX TT TC VI BZ CR SV GT HN MX NI PA "
        "AR BO BV BR CL CO EC FK GF GY PY PE GS SR UY VE BM CA GL PM US",
    ),
    (
        "Asia",
        "KZ KG TJ TM UZ CN HK MO KP JP MN KR TW BN KH ID LA MY MM PH SG TH TL VN AF BD BT IN IR MV NP PK LK AM AZ BH "
        "CY GE IQ IL JO KW LB OM QA SA PS SY TR AE YE",
    ),
    (
        "Europe",
        "BY BG CZ HU PL MD RO RU SK UA AX DK EE FO FI GG IS IE IM JE LV LT NO SJ SE GB AL AD BA HR GI GR VA IT MT ME "
        "MK PT SM RS SI ES AT BE FR DE LI LU MC NL CH",
    ),
    ("Antarctica", "AQ"),
    ("Europe", "XK"),
    ("Africa", "AC TA"),
)
"""Codes by the region of UN M49 (which has no Taiwan). The place of a code in this list is the id that customers store:
new codes go into rows of their own at the end."""

_NOT_ISO = frozenset({"XK", "AC", "TA"})
"""Kosovo, Ascension and Tristan da Cunha have telephone numbers of their own and no code in ISO 3166-1."""


class Country(msgspec.Struct, frozen=True):
    """A country that messages can be sent to. `code` is ISO 3166 alpha-2, `id` our own number."""

    id: int
    name: str
    code: str
    region: str


_CODES = tuple(code for _, codes in _REGIONS for code in codes.split())
ISO: tuple[str, ...] = tuple(code for code in _CODES if code not in _NOT_ISO)
"""All codes of ISO 3166-1 alpha-2."""


def by_name(codes: Iterable[str]) -> list[tuple[str, str]]:
    """(code, English name as in Unicode's CLDR), sorted as a reader expects it: accents make no difference."""
    names = Locale("en").territories
    return sorted(((code, str(names[code])) for code in codes), key=lambda pair: _plain(pair[1]))


def _plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


@cache
def reachable() -> dict[str, Country]:
    """By code, the countries that have telephone numbers, sorted by name."""
    ids = {code: at for at, code in enumerate(_CODES, 1)}
    regions = {code: region for region, codes in _REGIONS for code in codes.split()}
    return {code: Country(ids[code], name, code, regions[code]) for code, name in by_name(phone.COUNTRIES)}
