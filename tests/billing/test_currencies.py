import subprocess
import sys

import msgspec
import pytest
from babel.numbers import get_territory_currencies

from heliograph.billing.currencies import BILLED, Currency, describe, of_country
from heliograph.billing.prices import default
from heliograph.phone import COUNTRIES

# Bulgaria took the euro in 2026; Haiti, Panama and Zimbabwe use the US dollar beside their own.
NEWER_THAN_BABEL = {"BG": "EUR"}


@pytest.mark.parametrize(
    ("code", "unit", "hundredth", "name"),
    [
        ("AUD", "$", "c", "Australian Dollars"),
        ("USD", "$", "¢", "US Dollars"),
        ("GBP", "£", "p", "British Pounds"),
        ("PHP", "₱", "c", "Philippine Peso"),
    ],
)
def test_currencies_of_the_document(code: str, unit: str, hundredth: str, name: str) -> None:
    assert msgspec.to_builtins(describe(code)) == {
        "currency_name_short": code,
        "currency_prefix_d": unit,
        "currency_prefix_c": hundredth,
        "currency_name_long": name,
    }


def test_a_currency_of_an_operators_own_rates() -> None:
    assert describe("BRL") == Currency("BRL", "R$", "c", "Brazilian Reals")


@pytest.mark.parametrize("code", ["", "usd", "QQQ", "Dollars"])
def test_unknown_currencies(code: str) -> None:
    with pytest.raises(ValueError, match="There is no currency"):
        describe(code)


def test_countries_are_billed_in_their_own_currency_where_there_is_one() -> None:
    for country in COUNTRIES:
        try:
            own = get_territory_currencies(country) or []
        except KeyError:
            own = []
        priced = set(own) & set(BILLED) or {NEWER_THAN_BABEL.get(country, "USD")}
        assert of_country(country) in priced, country
    assert of_country("au") == "AUD"
    assert of_country("XX") == of_country("") == "USD"


def test_every_billed_currency_has_rates() -> None:
    assert default().currencies == set(BILLED)
    assert {describe(code).currency_name_short for code in BILLED} == set(BILLED)


def test_the_known_currencies_need_no_locale_data() -> None:
    program = (
        "import sys\n"
        "from heliograph.billing import currencies, prices\n"
        "assert currencies.describe(currencies.of_country('AU')).currency_name_short == 'AUD'\n"
        "prices.default()\n"
        "assert 'babel' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)
