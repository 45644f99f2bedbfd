"""Lists that do not depend on an account: countries and time zones (endpoints 30 and 184)."""

from functools import cache
from importlib.resources import files

from heliograph import countries
from heliograph.http import paging
from heliograph.http.request import Reply, Request


def view_countries(req: Request) -> Reply:
    """30. All countries of ISO 3166-1."""
    return Reply([{"code": code, "value": name} for code, name in countries.by_name(countries.ISO)])


def view_timezones(req: Request) -> Reply:
    """184. All time zones; `page` and `limit` cut a slice, which the document names without showing it."""
    names = timezones()
    if req.query.get("page") or req.query.get("limit"):
        shown = paging.window(req)
        names = names[shown.offset : shown.offset + shown.limit]
    return Reply(names)


@cache
def timezones() -> list[str]:
    """The names of the tz database (zone.tab) and UTC: those that people choose from, without aliases."""
    table = files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return [*sorted(row[2] for row in rows), "UTC"]
