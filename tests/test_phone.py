import random
import re
import subprocess
import sys

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.carrier import name_for_valid_number
from phonenumbers.carrierdata import CARRIER_DATA

from heliograph import phone
from heliograph.phone import Phone, parse

NOWHERE = (800, 808, 870, 878, 881, 882, 883, 888, 979)


def judge(text: str) -> Phone | None:
    try:
        found = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(found):
        return None
    country = phonenumbers.region_code_for_number(found)
    assert country is not None
    return Phone(phonenumbers.format_number(found, PhoneNumberFormat.E164), country)


def begins_with_trunk_prefix(number: str) -> bool:
    """Whether the library might drop the first digits, and so is asked: +7 8…, +370 80…, +375 80…, +250 06…, +81 00…"""
    found = phonenumbers.parse(number, None)
    assert found.country_code is not None
    main = phonenumbers.PhoneMetadata.metadata_for_region(phonenumbers.region_code_for_country_code(found.country_code))
    trunk = main.national_prefix_for_parsing if main else None
    return bool(trunk and re.match(trunk, phonenumbers.national_significant_number(found)))


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def example_numbers() -> list[str]:
    found = [phonenumbers.example_number_for_non_geo_entity(code) for code in NOWHERE]
    for country in sorted(phone.COUNTRIES):
        found += [phonenumbers.example_number_for_type(country, kind) for kind in PhoneNumberType.values()]
    return [phonenumbers.format_number(one, PhoneNumberFormat.E164) for one in found if one is not None]


def sample(chance: random.Random) -> set[str]:
    """Example numbers of every country and kind, the same with other last digits or another length, and plain noise."""
    numbers = set()
    for example in example_numbers():
        numbers |= {example, example[:-1], example + digits(chance, 1)}
        for _ in range(6):
            kept = chance.randrange(len(example) // 2, len(example))
            numbers.add(example[:kept] + digits(chance, len(example) - kept))
    for country in sorted(phone.COUNTRIES):
        code = phonenumbers.country_code_for_region(country)
        numbers |= {f"+{code}{digits(chance, chance.randint(5, 13))}" for _ in range(25)}
        numbers |= {f"+{code}{chance.choice('018')}{digits(chance, chance.randint(6, 10))}" for _ in range(5)}
    numbers |= {"+" + digits(chance, chance.randint(1, 15)) for _ in range(1000)}
    return numbers - phone.TEST_NUMBERS


def test_the_compiled_rules_agree_with_the_library_over_all_countries() -> None:
    numbers = sample(random.Random(random.getrandbits(64)))
    assert len(numbers) > 18_000
    expected = {number: judge(number) for number in numbers}
    assert {number: parse(number) for number in numbers} == expected

    by_rules = {number: found for number in numbers if len(number) > 4 and (found := phone.exact(number))}
    assert by_rules == {number: expected[number] for number in by_rules}
    left = {number for number, right in expected.items() if right and right.number == number} - by_rules.keys()
    assert {number for number in left if not begins_with_trunk_prefix(number)} == set()
    assert len(by_rules) > 8_000
    assert len({found.country for found in by_rules.values()}) > 235


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+12125550142", "US"),
        ("+14165550142", "CA"),
        ("+18765550142", "JM"),
        ("+17875550142", "PR"),
        ("+79123456789", "RU"),
        ("+77710009998", "KZ"),
        ("+447400123456", "GB"),
        ("+447781123456", "GG"),
        ("+447797712345", "JE"),
        ("+441624756789", "IM"),
        ("+61412345678", "AU"),
        ("+61891621234", "CC"),
        ("+61891641234", "CX"),
        ("+393123456789", "IT"),
        ("+390612345678", "IT"),
        ("+390669812345", "VA"),
        ("+4740612345", "NO"),
        ("+4779123456", "SJ"),
        ("+212650123456", "MA"),
        ("+212528812345", "MA"),
        ("+262692123456", "RE"),
        ("+262639012345", "YT"),
        ("+358412345678", "FI"),
        ("+358181234567", "AX"),
        ("+590690001234", "GP"),
        ("+59995181234", "CW"),
        ("+5993181234", "BQ"),
        ("+881612345678", "001"),
    ],
)
def test_common_calling_codes_give_the_right_country(number: str, country: str) -> None:
    assert parse(number) == Phone(number, country)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+61411000001", None),
        ("+61 411 000 001", None),
        ("(+61) 411-000.001", None),
        ("\u202a+61 411\u2011000\u2011001\u202c", None),
        ("+61 (0)411 000 001", None),
        ("0061 411 000 001", None),
        ("0061411000001", "AU"),
        ("0061411000001", "BR"),
        ("61411000001", None),
        ("61411000001", "AU"),
        ("61411000001", "GB"),
        ("0411 000 001", "AU"),
        ("0411/000/001", "au"),
        ("411000001", "AU"),
        ("0011 61 411 000 001", "AU"),
        ("011 61 411 000 001", "US"),
    ],
)
def test_all_spellings_of_one_number(text: str, country: str | None) -> None:
    assert parse(text, country) == Phone("+61411000001", "AU")


def test_the_leading_zero_of_italy_is_kept() -> None:
    assert parse("06 1234 5678", "IT") == parse("0039 06 1234 5678") == Phone("+390612345678", "IT")


def test_a_national_number_wins_over_an_international_one() -> None:
    assert parse("2125550142", "US") == Phone("+12125550142", "US")
    assert parse("212650123456", "US") == Phone("+212650123456", "MA")


def test_the_prefix_for_abroad_of_a_country_is_not_read_as_a_foreign_one() -> None:
    # 0011 from Australia, then Singapore; read as 00 and 1 it would be a valid number of Jamaica.
    assert parse("0011 65 8923 4567", "AU") == Phone("+6589234567", "SG")
    assert parse("+1 1 658 923 4567") == Phone("+16589234567", "JM")


def test_a_carrier_prefix_does_not_cut_into_an_international_number() -> None:
    # 00 22 and 009 choose a carrier in Brazil and Colombia; read so, a valid number of another country is left.
    assert parse("00 224 601 123 456", "BR") == Phone("+224601123456", "GN")
    assert parse("00 91 81234 56789", "CO") == Phone("+918123456789", "IN")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "+",
            "00",
            "0",
            "abc",
            "+61abc",
            "12",
            "+6141100000",
            "+614110000012345",
            "+999123456789",
            "++61411000001",
        ),
        *("+61411000001x5", "+61411000001,+61411000002", "1800 MICROSOFT", "+61411000001\x00", "+61411+000001"),
        *("+" + "1" * 100, "4" * 100_000, "+" + " " * 100 + "61411000001", "+٦١٤١١٠٠٠٠٠١", "tel:+61411000001"),
    ],
)
@pytest.mark.parametrize("country", [None, "US", "XX", "not a country"])
def test_what_is_no_number(text: str, country: str | None) -> None:
    assert parse(text, country) is None


def test_a_national_number_needs_its_country() -> None:
    assert parse("0411 000 001") is None
    assert parse("0411 000 001", "XX") is None
    assert parse("0411 000 001", "US") is None


def test_test_numbers_are_valid_by_definition() -> None:
    assert len(phone.TEST_NUMBERS) == 10
    for number in phone.TEST_NUMBERS:
        found = parse(number)
        assert found is not None
        assert found.number == number
        assert phone.is_test(number)
        assert parse(number[1:]) == found
    assert parse("+44 777 777 777") == Phone("+44777777777", "GB")
    assert parse("+861555555555") == Phone("+861555555555", "CN")
    assert not phone.is_test("+61411000001")


def test_carriers_are_those_of_the_library() -> None:
    phone.warm_carriers()
    chance = random.Random(random.getrandbits(64))
    ranges = chance.sample(sorted(CARRIER_DATA), 4000)
    numbers = [f"+{start}{digits(chance, chance.randint(0, 6))}" for start in ranges]
    valid = [found for number in numbers if (found := parse(number))]
    assert len(valid) > 300
    named = {found.number: phone.carrier(found) for found in valid}
    assert named == {found.number: name_for_valid_number(phonenumbers.parse(found.number), "en") for found in valid}
    assert sum(1 for name in named.values() if name) > len(named) * 0.9
    assert phone.carrier(Phone("+61411000001", "AU")) == "Optus"
    assert phone.carrier(Phone("+61291234567", "AU")) == ""


def test_importing_loads_neither_places_nor_carriers() -> None:
    program = (
        "import sys\n"
        "from heliograph.phone import carrier, parse\n"
        "assert carrier(parse('+61411000001')) == ''\n"
        "heavy = [name for name in sys.modules if 'geocoder' in name or 'geodata' in name or 'carrierdata' in name]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)


def test_kinds_of_lines_agree_with_the_library() -> None:
    kinds = {
        PhoneNumberType.PREMIUM_RATE: "premium",
        PhoneNumberType.SHARED_COST: "premium",
        PhoneNumberType.PERSONAL_NUMBER: "premium",
        PhoneNumberType.MOBILE: "mobile",
        PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",
    }
    seen = set()
    for number in sample(random.Random(random.getrandbits(64))):
        found = phone.exact(number)
        if found is None or found.country == "001":
            continue
        judged = phonenumbers.number_type(phonenumbers.parse(number, None))
        assert phone.line(found) == kinds.get(judged, "landline"), number
        seen.add(judged)
    assert len(seen) >= 10
    assert {
        phone.line(Phone(number, country)) for number, country in (("+61411111111", "AU"), ("+44777777777", "GB"))
    } == {"mobile"}
