"""Countries and time zones."""

import zoneinfo

import phonenumbers
import pytest

from heliograph import countries
from support.server import Api, Running


def test_countries_need_no_credentials_and_are_complete(server: Running) -> None:
    data = server.client("nobody", "wrong").get("/countries")
    assert len(data) == len({one["code"] for one in data}) == 249
    named = {one["code"]: one["value"] for one in data}
    assert (named["AF"], named["AU"], named["FI"], named["GB"]) == (
        "Afghanistan",
        "Australia",
        "Finland",
        "United Kingdom",
    )
    assert not {"XK", "EU", "UN", "ZZ", "AC"} & named.keys()
    assert [one["code"] for one in data][:4] == ["AF", "AX", "AL", "DZ"]  # Åland stands where a reader looks for it


def test_every_country_has_a_region_and_its_own_id() -> None:
    found = countries.reachable()
    assert found.keys() == set(phonenumbers.SUPPORTED_REGIONS)
    assert len({one.id for one in found.values()}) == len(found)
    assert {one.region for one in found.values()} == {"Africa", "Americas", "Asia", "Europe", "Oceania"}
    regions = {one.code: one.region for one in found.values()}
    assert [regions[code] for code in ("AU", "US", "EG", "RU", "TR")] == [
        "Oceania",
        "Americas",
        "Africa",
        "Europe",
        "Asia",
    ]


@pytest.mark.parametrize(("code", "number"), [("AU", 1), ("NZ", 2), ("DZ", 30), ("AF", 171), ("XK", 250), ("TA", 252)])
def test_ids_stay_what_they_are(code: str, number: int) -> None:
    """Customers store them: a new country goes to the end of the list."""
    assert countries.reachable()[code].id == number


def test_timezones_are_complete(api: Api) -> None:
    names = api.get("/timezones")
    assert names[:7] == [
        "Africa/Abidjan",
        "Africa/Accra",
        "Africa/Addis_Ababa",
        "Africa/Algiers",
        "Africa/Asmara",
        "Africa/Bamako",
        "Africa/Bangui",
    ]
    assert len(names) > 400
    assert names[-1] == "UTC"
    assert set(names) <= zoneinfo.available_timezones()
    assert {"Australia/Melbourne", "America/New_York", "Europe/Warsaw", "Asia/Kolkata"} <= set(names)


def test_timezones_can_be_read_in_pages(api: Api) -> None:
    names = api.get("/timezones")
    pages = [api.get(f"/timezones?page={page}&limit=100") for page in range(1, 6)]
    assert [name for page in pages for name in page] == names
    assert api.get("/timezones?limit=15") == names[:15]
    assert api.get("/timezones?page=1000000000&limit=100") == []
    assert api.call("GET", "/timezones?page=x").status == 400


def test_timezones_need_credentials(server: Running) -> None:
    assert server.client("nobody", "wrong").call("GET", "/timezones").status == 401
