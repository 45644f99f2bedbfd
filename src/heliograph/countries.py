"""Countries: ISO 3166 codes, names, UN regions, and the numbers that the global sending endpoints give them."""

import gettext
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

import msgspec
import phonenumbers
from babel import Locale
from babel.languages import get_official_languages

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


_REGION_OF = {code: region for region, codes in _REGIONS for code in codes.split()}
_CODES = tuple(_REGION_OF)
ISO: tuple[str, ...] = tuple(code for code in _CODES if code not in _NOT_ISO)
"""All codes of ISO 3166-1 alpha-2."""

UNKNOWN = "ZZ"
"""What Unicode has for a country that is not known."""

_ALSO: Mapping[str, str] = {
    "AE": "UAE, Emirates, الإمارات",
    "BA": "Bosnia",
    "BI": "Uburundi",
    "BN": "بروني",
    "CD": "DRC, DR Congo, Congo Kinshasa",
    "CF": "CAR, Ködörösêse tî Bêafrîka",
    "CG": "Congo Brazzaville",
    "CH": "SUI, Schwiiz, Svizra",
    "CI": "Ivory Coast",
    "CN": "PRC, Mainland China, PR China, 中國",
    "CV": "Cape Verde",
    "CW": "Kòrsou",
    "CZ": "Czech Republic",
    "DE": "GER",
    "DK": "DEN",
    "ET": "ኢትዮጵያ",
    "GB": "UK, Great Britain, Britain, England, Scotland, Wales, Northern Ireland",
    "GH": "Gaana",
    "GL": "Kalaallit Nunaat",
    "GR": "GRE, Hellas",
    "HK": "Hong Kong SAR",
    "HR": "CRO",
    "IE": "Republic of Ireland, Eire",
    "IM": "Ellan Vannin",
    "IN": "భారతదేశం, Bharat",
    "IR": "ایران",
    "JP": "Nippon, Nihon",
    "KP": "DPRK, 북한",
    "KR": "ROK, Korea, 한국",
    "LI": "Liächteschtäi",
    "LU": "Lëtzebuerg",
    "MA": "Meṛṛuk",
    "MF": "Saint-Martin",
    "MG": "Madagasikara",
    "MK": "Macedonia, Северна Македонија",
    "MM": "Burma, မြန်မာ",
    "MO": "Macau, Macao SAR",
    "MV": "ދިވެހި ރާއްޖެ",
    "NL": "Holland, NED",
    "NO": "Norga",
    "PG": "Papua Niugini",
    "PH": "PHI",
    "PS": "Palestine, الأراضي الفلسطينية, فلسطين",
    "PT": "POR",
    "RE": "La Réunion",
    "RU": "Россия, РФ",
    "RW": "U Rwanda",
    "SA": "KSA, Saudi",
    "SY": "سوريا",
    "SZ": "Swaziland",
    "TH": "ประเทศไทย",
    "TL": "East Timor",
    "TR": "Turkey",
    "TW": "台灣",
    "UA": "Украина",
    "US": "America",
    "UZ": "Ўзбекистон",
    "VA": "Vatican, Città del Vaticano",
    "VG": "BVI",
    "VI": "USVI",
    "XK": "Kosovë, Kosova, Косово",
    "ZA": "RSA, Afrika Borwa, Aforika Borwa, iNingizimu Afrika, EMzantsi Afrika",
}
"""Names and abbreviations in use that ISO's lists (pycountry) do not have."""

_LOCALES = {"zh": "zh_CN", "zh_Hant": "zh_TW", "yue": "zh_HK", "nb": "nb_NO", "no": "nb_NO", "sr_Latn": "sr@latin"}
"""Language -> folder of pycountry, where it is not the same."""

_LONGEST = 100
_CALLING_CODE = re.compile(r"(?:\+|00)([0-9]{1,3})")
_SMALL_WORDS = frozenset({"the", "of", "and"})


def code(text: str) -> str:
    """ISO 3166 alpha-2 of a country; UNKNOWN for what is none.

    It is given as a code of ISO (alpha-2 or alpha-3), by its name in English or in a language of its own, by a usual
    abbreviation, or as a calling code with its plus. Case, accents, dots and the order of the words make no difference.
    """
    short = text.strip().upper()
    if short in _REGION_OF:
        return short
    return _read(short) if len(short) <= _LONGEST else UNKNOWN


@lru_cache(maxsize=4096)
def _read(text: str) -> str:
    calling = _CALLING_CODE.fullmatch(text)
    if calling is None:
        return _named().get(_key(text), UNKNOWN)
    found = phonenumbers.region_code_for_country_code(int(calling[1]))
    return found if found in _REGION_OF else UNKNOWN


@cache
def _named() -> dict[str, str]:
    """Code by name, as `_key` has it. A tenth of a second when it is first asked for; then it stays."""
    found: dict[str, str] = {}
    for name, country in _names():
        found.setdefault(_key(name), country)
    found.pop("", None)
    return found


def _names() -> Iterator[tuple[str, str]]:
    """(name or code, alpha-2 code); where two countries share one, the first has it."""
    import pycountry  # data that a server may never need

    for country, others in _ALSO.items():
        yield from ((name, country) for name in others.split(","))
    formal: dict[str, list[str]] = {}
    for one in pycountry.countries:
        given = (one.name, getattr(one, "common_name", ""), getattr(one, "official_name", ""))
        formal[one.alpha_2] = [name for name in given if name]
        yield from ((name, one.alpha_2) for name in (one.alpha_2, one.alpha_3, *formal[one.alpha_2]))
    english = Locale("en").territories
    yield from ((str(english[country]), country) for country in _CODES)
    for language, spoken in _languages().items():
        path = Path(pycountry.LOCALES_DIR) / _LOCALES.get(language, language) / "LC_MESSAGES" / "iso3166-1.mo"
        if path.exists():
            with path.open("rb") as file:
                own = gettext.GNUTranslations(file).gettext
            yield from ((own(name), country) for country in spoken for name in formal.get(country, ()))


def _languages() -> dict[str, list[str]]:
    """Languages that are official somewhere, with the countries where they are (Unicode's CLDR)."""
    found: dict[str, list[str]] = {}
    for country in ISO:
        for language in get_official_languages(country, regional=True, de_facto=True):
            found.setdefault(language, []).append(country)
    return found


def _key(name: str) -> str:
    """What the spellings of a name have in common: "Korea, Republic of" and "REPUBLIC OF KOREA" are one."""
    folded = re.sub(r"[.'\u2019`\u02bb\u02bc]", "", _plain(name.upper().casefold()))
    words = ("st" if word == "saint" else word for word in re.findall(r"\w+", folded))
    return " ".join(sorted(word for word in words if word not in _SMALL_WORDS))


def by_name(codes: Iterable[str]) -> list[tuple[str, str]]:
    """(code, English name as in Unicode's CLDR), sorted as a reader expects it: accents make no difference."""
    names = Locale("en").territories
    return sorted(((code, str(names[code])) for code in codes), key=lambda pair: _plain(pair[1]))


def _plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char)[0] != "M")


@cache
def reachable() -> dict[str, Country]:
    """By code, the countries that have telephone numbers, sorted by name."""
    ids = {code: at for at, code in enumerate(_CODES, 1)}
    return {code: Country(ids[code], name, code, _REGION_OF[code]) for code, name in by_name(phone.COUNTRIES)}
