"""Countries by their codes, names and abbreviations."""

import pytest
from babel import Locale
from babel.languages import get_official_languages
from babel.localedata import exists

from heliograph import countries, phone
from heliograph.countries import UNKNOWN, code

NOT_READ = {"AC", "BQ", "BN", "CD", "CN", "GB", "GH", "MO", "PY", "SM", "AZ", "UZ"}
"""Countries one of whose languages has a name for them that the lists spell in another way."""


@pytest.mark.parametrize(
    ("name", "country"),
    [
        *(
            (name, "IN")
            for name in ("IN", "in", " In ", "IND", "India", "INDIA", "भारत", "Republic of India", "ＩＮＤＩＡ", "+91")
        ),
        *(
            (name, "US")
            for name in ("USA", "U.S.", "U.S.A.", "us", "United States", "The United States of America", "America")
        ),
        *((name, "GB") for name in ("UK", "U.K.", "GBR", "United Kingdom", "Great Britain", "England", "0044")),
        *((name, "AE") for name in ("UAE", "U.A.E.", "United Arab Emirates", "ARE", "الإمارات العربية المتحدة")),
        *(
            (name, "SA")
            for name in (
                "KSA",
                "SAU",
                "Saudi Arabia",
                "Kingdom of Saudi Arabia",
                "المملكة العربية السعودية",
                "السعودية",
            )
        ),
        *(
            (name, "KR")
            for name in ("Korea, Republic of", "REPUBLIC OF KOREA", "South Korea", "Korea (South)", "대한민국", "한국")
        ),
        *((name, "KP") for name in ("North Korea", "DPRK", "Democratic People's Republic of Korea")),
        *(
            (name, "CI")
            for name in ("Côte d'Ivoire", "Cote d\u2019Ivoire", "COTE D'IVOIRE", "Ivory Coast", "co\u0302te d'ivoire")
        ),
        *((name, "TR") for name in ("Türkiye", "TÜRKİYE", "turkiye", "Turkey", "TUR", "Türkiye Cumhuriyeti")),
        *(
            (name, "DE")
            for name in ("Deutschland", "GERMANY", "Federal Republic of Germany", "Bundesrepublik Deutschland")
        ),
        *((name, "CD") for name in ("DRC", "Congo, The Democratic Republic of the", "Congo - Kinshasa", "COD")),
        *((name, "VI") for name in ("Virgin Islands, U.S.", "US Virgin Islands", "VIR")),
        *((name, "LC") for name in ("Saint Lucia", "St. Lucia", "St Lucia")),
        *((name, "NL") for name in ("The Netherlands", "Nederland", "Holland", "NLD")),
        *((name, "BA") for name in ("Bosnia & Herzegovina", "Bosnia and Herzegovina", "Bosna i Hercegovina")),
        *(
            ("España", "ES"),
            ("Espana", "ES"),
            ("ESPAN\u0303A", "ES"),
            ("日本", "JP"),
            ("中国", "CN"),
            ("台灣", "TW"),
            ("Россия", "RU"),
        ),
        *(
            ("РОССИЯ", "RU"),
            ("Ελλάδα", "GR"),
            ("ΕΛΛΑΔΑ", "GR"),
            ("Suomi", "FI"),
            ("Österreich", "AT"),
            ("Schweiz", "CH"),
        ),
        *(
            ("Suisse", "CH"),
            ("Viet Nam", "VN"),
            ("Việt Nam", "VN"),
            ("México", "MX"),
            ("Brasil", "BR"),
            ("Kosovo", "XK"),
        ),
        *(("Czech Republic", "CZ"), ("Česko", "CZ"), ("Norge", "NO"), ("ישראל", "IL"), ("ไทย", "TH"), ("Éire", "IE")),
        *(("Gambia, The", "GM"), ("Russian Federation", "RU"), ("Hong Kong", "HK"), ("Antarctica", "AQ")),
    ],
)
def test_names(name: str, country: str) -> None:
    assert code(name) == country


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Atlantis",
        "91",
        "+999",
        "+",
        "N/A",
        "-",
        "Europe",
        "XX",
        "ZZ",
        "Indi",
        "India China",
        "x" * 10**6,
        "the",
    ],
)
def test_what_is_no_country(name: str) -> None:
    assert code(name) == UNKNOWN


def test_no_name_means_two_countries() -> None:
    meant: dict[str, set[str]] = {}
    for name, country in countries._names():
        meant.setdefault(countries._key(name), set()).add(country)
    assert {name: found for name, found in meant.items() if len(found) > 1} == {}


def test_every_country_is_known_by_its_names() -> None:
    for country in phone.COUNTRIES:
        assert code(str(Locale("en").territories[country])) == country
        languages = get_official_languages(country, de_facto=True)
        names = [Locale.parse(one).territories.get(country) for one in languages if exists(one)]
        assert country in NOT_READ or {code(name) for name in names if name} <= {country}, names


def test_a_region_without_numbers_dials_nothing() -> None:
    assert phone.parse("7012345678", code("Atlantis")) is None
    assert phone.parse("+917012345678", code("Atlantis")) == phone.Phone("+917012345678", "IN")
    assert phone.parse("7012345678", code("India")) == phone.Phone("+917012345678", "IN")
