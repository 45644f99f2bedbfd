"""Lists that do not depend on an account: countries and time zones (endpoints 30 and 184)."""

from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec

from heliograph import countries
from heliograph.fields import CountryCode, about
from heliograph.http import paging
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import PAGING
from heliograph.http.request import Reply, Request


class NamedCountry(msgspec.Struct):
    """A country."""

    code: CountryCode
    value: Annotated[str, about("English name.", "Australia")]


NamedCountries = Annotated[list[NamedCountry], about("All countries of ISO 3166-1, by name.")]
Timezones = Annotated[list[str], about("Names in the IANA database.", ["Australia/Perth", "UTC"])]


@endpoint("List of Countries.", NamedCountries)
def view_countries(req: Request) -> Reply:
    """View the countries."""
    return Reply([NamedCountry(code, name) for code, name in countries.by_name(countries.ISO)])


@endpoint("List of timezones.", Timezones, query=PAGING)
def view_timezones(req: Request) -> Reply:
    """View the time zones. With `page` or `limit`, a slice of them."""
    return Reply(paging.cut(req, timezones()))


@cache
def timezones() -> list[str]:
    """The names of the tz database (zone.tab) and UTC: those that people choose from, without aliases."""
    table = files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return [*sorted(row[2] for row in rows), "UTC"]
