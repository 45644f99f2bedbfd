import tomllib
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.billing.currencies import payable
from heliograph.billing.prices import MICRO, UNITS, Rates, RatesError, default, fixed, micros, number

SMALL = """
version = "7"
source = "A test."
[AUD.sms.message]
"*" = "0.1"
AU = "0.0715"
CX = "0"
[AUD.post]
letter_black = { "*" = "2", AU = "1.397" }
[BRL.sms.message]
"*" = "0.0"
"""

amounts = st.integers(-(10**18) + MICRO, 10**18 - MICRO)


def file_with(body: str) -> str:
    return f'version = "1"\nsource = "A test."\n{body}'


def test_a_price_is_that_of_the_country_or_of_all_others() -> None:
    rates = Rates.parse(SMALL)
    assert (rates.version, rates.source) == ("7", "A test.")
    assert rates.currencies == {"AUD", "BRL"}
    assert rates.price("sms", "message", "AU", "AUD") == 71_500
    assert rates.price("sms", "message", "NZ", "AUD") == 100_000
    assert rates.price("sms", "message", "", "AUD") == 100_000
    assert rates.price("sms", "message", "CX", "AUD") == 0
    assert rates.price("post", "letter_black", "AU", "AUD") == 1_397_000
    assert rates.price("sms", "message", "AU", "BRL") == 0


@pytest.mark.parametrize(
    ("channel", "kind", "currency"),
    [("sms", "message", "USD"), ("fax", "page", "AUD"), ("post", "postcard", "AUD"), ("sms", "page", "AUD")],
)
def test_what_the_file_does_not_price_is_never_free(channel: str, kind: str, currency: str) -> None:
    with pytest.raises(RatesError, match=rf"^{currency}\.{channel}\.{kind}: version 7"):
        Rates.parse(SMALL).price(channel, kind, "AU", currency)


@pytest.mark.parametrize(
    ("body", "where", "why"),
    [
        ('[AUD.pigeon.message]\n"*" = "1"', "AUD.pigeon", "unknown channel; there are: sms, mms"),
        ('[AUD.sms.page]\n"*" = "1"', "AUD.sms.page", "unknown kind; there are: message"),
        ('[AUD.sms.message]\nAU = "1"', "AUD.sms.message", '"*", the price of all other countries, is missing'),
        ('[AUD.sms.message]\n"*" = "1"\nAU = "-0.01"', "AUD.sms.message.AU", "not negative"),
        ('[AUD.sms.message]\n"*" = "0.00001"', "AUD.sms.message.*", "4 decimals at most"),
        ('[AUD.sms.message]\n"*" = "0.0000001"', "AUD.sms.message.*", "6 decimals at most"),
        ('[AUD.sms.message]\n"*" = "1"\nXX = "1"', "AUD.sms.message.XX", "unknown country code"),
        ('[AUD.sms.message]\n"*" = "1"\nau = "1"', "AUD.sms.message.au", "unknown country code"),
        ('[AUD.sms.message]\n"*" = 0.07', "AUD.sms.message.*", "write a price as a text"),
        ('[AUD.sms.message]\n"*" = "cheap"', "AUD.sms.message.*", "not a number"),
        ('[AUD.sms.message]\n"*" = "nan"', "AUD.sms.message.*", "not a number"),
        ('[QQQ.sms.message]\n"*" = "1"', "QQQ", "There is no currency"),
        ('AUD = "1"', "AUD", "a table with entries is needed"),
        ('[AUD]\nsms = "1"', "AUD.sms", "a table with entries is needed"),
        ("[AUD.sms.message]", "AUD.sms.message", "a table with entries is needed"),
        ('[AUD]\npackages = ["20.00"]', "AUD.packages", "a table with entries is needed"),
        ('[AUD]\npackages = { 0 = "20.00" }', "AUD.packages.0", "a number from 1"),
        ('[AUD]\npackages = { small = "20.00" }', "AUD.packages.small", "a number from 1"),
        ('[AUD]\npackages = { 1 = "20.001" }', "AUD.packages.1", "2 decimals at most"),
        ('[AUD]\npackages = { 1 = "0" }', "AUD.packages.1", "not free"),
        ("[AUD]\npackages = { 1 = 20 }", "AUD.packages.1", "as a text"),
        ("[AUD]\npackages = { 1 = {} }", "AUD.packages.1", "as a text"),
        ('[AUD]\npackages = { 1 = { price = "20.00", discount = 100 } }', "AUD.packages.1", "from 0 to 99"),
        ('[AUD]\npackages = { 1 = { price = "20.00", discount = "5" } }', "AUD.packages.1", "from 0 to 99"),
        ('[AUD]\npackages = { 1 = { price = "20.00", discount = true } }', "AUD.packages.1", "from 0 to 99"),
        ('[exchange]\nQQQ = "1"', "exchange.QQQ", "There is no currency"),
        ('[exchange]\nUSD = "0"', "exchange.USD", "not zero"),
        ('[exchange]\nUSD = "-1"', "exchange.USD", "not negative"),
        ('exchange = "USD"', "exchange", "a table with entries is needed"),
        ("", "There is no price", "in this file"),
        ('[AUD.sms.message]\n"*" = "1"\n"*" 2', "This is no TOML", "line 5"),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_reason(body: str, where: str, why: str) -> None:
    with pytest.raises(RatesError) as caught:
        Rates.parse(file_with(body))
    assert str(caught.value).startswith(where)
    assert why in str(caught.value)


def test_a_file_without_packages_and_exchange_rates_is_good() -> None:
    rates = Rates.parse(SMALL)
    assert (rates.packages, rates.exchange) == ({"AUD": {}, "BRL": {}}, {})
    assert rates.convert(5, "AUD", "AUD") == 5
    assert not rates.converts("AUD", "BRL")
    with pytest.raises(RatesError, match=r"^exchange\.AUD: version 7"):
        rates.convert(5, "AUD", "BRL")


@given(st.integers(0, 10**15), st.sampled_from(["AUD", "USD", "JPY", "INR"]), st.sampled_from(["AUD", "GBP", "ZAR"]))
def test_nothing_is_gained_by_changing_money_and_back(amount: int, source: str, target: str) -> None:
    rates = default()
    there = rates.convert(amount, source, target)
    assert rates.convert(there, target, source) <= amount
    assert 0 <= rates.convert(amount, source, target, up=True) - there <= 1


def test_the_default_packages_can_be_paid_by_card() -> None:
    rates = default()
    for currency in rates.currencies:
        assert len(rates.packages[currency]) == 6
        assert currency in rates.exchange
        assert all(payable(price, currency) for price in rates.packages[currency].values())


@pytest.mark.parametrize("missing", ["version", "source"])
def test_a_file_says_its_version_and_source(missing: str) -> None:
    text = "\n".join(line for line in SMALL.splitlines() if not line.startswith(missing))
    with pytest.raises(RatesError, match=f"^{missing}: "):
        Rates.parse(text)
    with pytest.raises(RatesError, match=f"^{missing}: "):
        Rates.parse(f"{missing} = 3\n{text}")


def test_the_default_rates_price_everything_in_every_currency() -> None:
    rates = default()
    for currency in rates.currencies:
        for channel, kinds in UNITS.items():
            for kind in kinds:
                assert rates.price(channel, kind, "ZZ", currency) > 0
    assert rates.version
    assert len(rates.currencies) >= 8
    assert 56_600 <= rates.price("sms", "message", "AU", "AUD") <= 99_000


def test_the_default_rates_are_written_with_four_decimals() -> None:
    document = tomllib.loads(files("heliograph.billing").joinpath("rates.toml").read_text(encoding="utf-8"))
    prices = [
        price
        for name, channels in document.items()
        if name not in ("version", "source", "exchange")
        for channel, kinds in channels.items()
        if channel != "packages"
        for countries in kinds.values()
        for price in countries.values()
    ]
    assert len(prices) > 400
    assert all(len(price.partition(".")[2]) == 4 for price in prices)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.0715", 71_500),
        ("1117.461060", 1_117_461_060),
        ("-0.5", -500_000),
        ("+3", 3 * MICRO),
        (".25", 250_000),
        ("1.0000000000", MICRO),
        ("999999999999.999999", 10**18 - 1),
        (Decimal("1E+2"), 100 * MICRO),
        (Decimal("0.000001"), 1),
        (Decimal("-0"), 0),
        (Decimal("0E+99"), 0),
    ],
)
def test_amounts_are_read_exactly(amount: str | Decimal, expected: int) -> None:
    assert micros(amount) == expected


@pytest.mark.parametrize(
    "amount",
    [
        *("", "-", ".", "1,5", "1_000", " 1", "1e3", "٣", "nan", "inf", "0x10", "1.0000001", "1000000000000"),
        *("9" * 5000, "0." + "0" * 5000 + "1", Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")),
        *(Decimal("1E+999999"), Decimal("1E-999999"), Decimal("1E-7"), Decimal("-1E12")),
    ],
)
def test_amounts_that_are_refused(amount: str | Decimal) -> None:
    with pytest.raises(ValueError, match=r"^(This is not|An amount)"):
        micros(amount)


@pytest.mark.parametrize(
    ("amount", "digits", "expected"),
    [
        (71_500, 4, "0.0715"),
        (1_117_461_060, 6, "1117.461060"),
        (0, 4, "0.0000"),
        (MICRO, 2, "1.00"),
        (1_500_000, 0, "2"),
        (999_950, 4, "1.0000"),
        (999_949, 4, "0.9999"),
        (-71_500, 4, "-0.0715"),
        (-50, 4, "-0.0001"),
        (-49, 4, "0.0000"),
        (-1, 6, "-0.000001"),
    ],
)
def test_fixed_decimals(amount: int, digits: int, expected: str) -> None:
    assert fixed(amount, digits) == expected


@given(amounts)
def test_six_decimals_are_the_whole_amount(amount: int) -> None:
    assert micros(fixed(amount, 6)) == amount


@given(amounts, st.integers(0, 5))
def test_fewer_decimals_are_within_half_of_the_last(amount: int, digits: int) -> None:
    assert abs(micros(fixed(amount, digits)) - amount) * 2 <= 10 ** (6 - digits)


@pytest.mark.parametrize(("amount", "expected"), [(280_000, "0.28"), (0, "0"), (11 * MICRO, "11"), (-70_000, "-0.07")])
def test_json_numbers(amount: int, expected: str) -> None:
    assert repr(number(amount)) == expected


@given(st.integers(-(10**13), 10**13))
def test_json_numbers_read_back_as_the_same_amount(amount: int) -> None:
    assert micros(Decimal(repr(number(amount)))) == amount
