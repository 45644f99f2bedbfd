"""Flags of subaccounts, by the route table: routes that come later are covered by themselves."""

import re
from collections.abc import Iterator

import pytest

from heliograph import routes
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.http.route import Route
from support.server import Api

TABLE = routes.ROUTES
CHANNELS = ("sms", "mms", "email", "voice", "fax", "post")
SECTIONS = {
    "automations": "settings",
    "lists": "contacts",
    "recharge": "billing",
    "reseller": "reseller",
    "statistics": "reporting",
    "subaccounts": "users",
}


def documented(path: str) -> str | None:
    """The flag that facts J3 names for a path, None where it names none."""
    first = path.split("/")[1].removesuffix("-campaigns")
    if re.search(r"/(history|export)(/|$)", path):
        return "reporting"
    return first if first in CHANNELS else SECTIONS.get(first)


def gated() -> Iterator[tuple[Route, str]]:
    for route in TABLE:
        for path in route.paths:
            if route.access:
                yield route, path


def test_routes_have_the_flags_of_the_contract() -> None:
    wrong = [
        f"{route.method} {path}: {route.access!r}, not {documented(path)!r}"
        for route in TABLE
        for path in route.paths
        if route.access is not None and documented(path) not in (None, route.access)
    ]
    assert not wrong


def test_every_flag_of_a_route_exists() -> None:
    assert {route.access for route in TABLE if route.access} <= set(ACCESS_FLAGS)


@pytest.mark.parametrize("flag", sorted({route.access for route in TABLE if route.access}))
def test_without_its_flag_a_subaccount_is_refused_everywhere(api: Api, flag: str) -> None:
    """Although it has all the others."""
    without = api.subaccount(**{one: int(one != flag) for one in ACCESS_FLAGS})
    mine = [(route, path) for route, path in gated() if route.access == flag]
    assert mine
    for route, path in mine:
        answer = without.call(route.method, re.sub(r"\{\w+\}", "1", path), {})
        assert (answer.status, answer.body["response_code"]) == (403, "FORBIDDEN"), f"{route.method} {path}"
    assert without.get("/account")["_subaccount"][f"access_{flag}"] == 0


def test_with_its_flag_a_subaccount_comes_through(api: Api) -> None:
    for flag, path in (("sms", "/sms/templates"), ("reporting", "/sms/history"), ("users", "/subaccounts")):
        assert api.subaccount(**{flag: 1}).call("GET", path).status == 200
        assert api.subaccount().call("GET", path).status == 403


def test_a_flag_that_is_taken_away_is_gone_at_once(api: Api) -> None:
    sub = api.subaccount(sms=1)
    key = sub.subaccount_id
    assert sub.call("GET", "/sms/templates").status == 200
    api.put(f"/subaccounts/{key}", {"access_sms": 0})
    assert sub.call("GET", "/sms/templates").status == 403
    assert sub.call("POST", "/sms/send", {"messages": [{"to": "+61411111111", "body": "x"}]}).status == 403


def test_before_its_activation_an_account_may_only_look_after_itself() -> None:
    own = ("/account", "/account-verify")
    mine = {route.at for route in TABLE if route.access is not None and route.paths[0].startswith(own)}
    assert {route.at for route in TABLE if route.endpoint.before_activation} == mine
