"""Which carrier gets a message: what a route asks for, who is tried first, how equals share, who stands in."""

from collections import Counter
from typing import Any

import pytest

from heliograph.messaging.routing import Router
from heliograph.transports.options import RouteOptions
from support.quiet import Carrier

MESSAGE = {"country": "AU", "recipient": "+61491570006", "sender": "Acme", "account": "jane"}


def route(transport: str = "one", **given: Any) -> RouteOptions:
    return RouteOptions(transport=transport, **given)


def router(*routes: RouteOptions, asleep: tuple[str, ...] = (), room: int = 10) -> Router:
    """A router over the carriers that the routes name."""
    names = {one.transport for one in routes}
    return Router(routes, {name: Carrier(name, ready=name not in asleep, capacity=room) for name in names})


def chosen(by: Router, medium: Any = "sms", attempt: int = 1, **given: str) -> str | None:
    """The name of the carrier that gets a message."""
    found = by.choose(medium, attempt=attempt, **{**MESSAGE, **given})
    return found.name if found else None


# What fits.


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"country": "AU"},
        {"country": "au"},
        {"prefix": "+614"},
        {"prefix": "+61491570006"},
        {"sender": "Acme"},
        {"account": "jane"},
        {"account": "JANE"},
        {"country": "AU", "prefix": "+61", "sender": "Acme", "account": "jane"},
    ],
)
def test_a_route_gets_what_has_all_that_it_asks_for(asked: dict[str, str]) -> None:
    assert chosen(router(route(**asked))) == "one"


@pytest.mark.parametrize(
    "asked",
    [
        {"medium": "email"},
        {"country": "NZ"},
        {"prefix": "+615"},
        {"prefix": "+614915700061"},
        {"sender": "ACME"},
        {"sender": "Acm"},
        {"account": "jan"},
        {"country": "AU", "prefix": "+61", "sender": "Acme", "account": "joe"},
    ],
)
def test_a_route_gets_nothing_that_lacks_a_thing_it_asks_for(asked: dict[str, Any]) -> None:
    assert chosen(router(route(**asked))) is None
    assert chosen(router(route(**asked), route("two"))) == "two"


def test_without_routes_nobody_gets_anything() -> None:
    assert chosen(router()) is None


def test_a_route_for_a_country_gets_no_number_of_an_unknown_one() -> None:
    assert chosen(router(route(country="AU")), country="") is None


@pytest.mark.parametrize(("account", "asked"), [("Jane", True), ("", False)])
def test_the_account_is_asked_for_only_where_a_route_depends_on_it(account: str, asked: bool) -> None:
    assert router(route(), route("two", account=account)).by_account is asked


# Who is tried first.


def test_the_lowest_priority_goes_first_wherever_it_stands() -> None:
    by = router(route("last", priority=30), route("first", priority=1), route("second", priority=20))
    assert {chosen(by) for _ in range(50)} == {"first"}


def test_each_later_try_goes_to_the_next_and_after_the_last_to_the_first_again() -> None:
    by = router(route("last", priority=30), route("first", priority=1), route("second", priority=20))
    assert [chosen(by, attempt=attempt) for attempt in range(1, 6)] == ["first", "second", "last", "first", "second"]


def test_a_later_try_stays_where_there_is_no_other_route() -> None:
    assert {chosen(router(route()), attempt=attempt) for attempt in range(1, 5)} == {"one"}


def test_a_later_try_goes_to_no_route_that_does_not_fit() -> None:
    by = router(route("one"), route("mail", medium="email"), route("abroad", country="NZ"))
    assert {chosen(by, attempt=attempt) for attempt in range(1, 5)} == {"one"}


# How equals share.


def drawn(by: Router, count: int = 2000) -> Counter[str | None]:
    return Counter(chosen(by) for _ in range(count))


def test_routes_of_one_priority_share_by_their_weights() -> None:
    """Of 2000 a third of the weight gets 667, give or take 21 (one standard deviation): these bounds are six wide."""
    found = drawn(router(route("light"), route("heavy", weight=2)))
    assert 540 < found["light"] < 794
    assert found["light"] + found["heavy"] == 2000


def test_a_weight_is_nothing_against_a_lower_priority() -> None:
    assert drawn(router(route("heavy", weight=1000), route("first", priority=1)), 200) == {"first": 200}


# Who stands in.


def test_a_carrier_that_is_not_ready_is_passed_over() -> None:
    by = router(route("down", priority=1), route("second"), route("third", priority=20), asleep=("down",))
    assert [chosen(by, attempt=attempt) for attempt in (1, 2, 3)] == ["second", "third", "second"]


def test_when_no_carrier_is_ready_the_first_gets_it_all_the_same() -> None:
    """It says itself when to try again."""
    by = router(route("one", priority=1), route("two"), asleep=("one", "two"))
    assert [chosen(by, attempt=attempt) for attempt in (1, 2)] == ["one", "two"]


def test_a_carrier_that_comes_back_is_first_again() -> None:
    carriers = {name: Carrier(name) for name in ("one", "two")}
    by = Router([route("one", priority=1), route("two")], carriers)
    carriers["one"].ready = False
    assert chosen(by) == "two"
    carriers["one"].ready = True
    assert chosen(by) == "one"


# How many may be on their way.


def test_the_room_of_a_medium_is_that_of_its_carriers_each_counted_once() -> None:
    by = router(
        route("one", country="AU"), route("one", country="NZ"), route("two"), route("mail", medium="email"), room=7
    )
    assert [by.capacity(medium) for medium in ("sms", "email", "voice")] == [14, 7, 0]


# Where nothing of a message matters.


def test_the_only_route_of_a_medium_gets_all_of_it() -> None:
    by = router(route("one"), route("two", medium="email"), asleep=("one",))
    assert (by.only("sms"), by.only("email"), by.only("mms")) == ("one", "two", None)
    assert chosen(by) == by.only("sms"), "it waits for its carrier, and for no other"


@pytest.mark.parametrize("asked", [{"country": "AU"}, {"prefix": "+61"}, {"sender": "Acme"}, {"account": "jane"}])
def test_a_route_that_asks_for_something_does_not(asked: dict[str, str]) -> None:
    assert router(route(**asked)).only("sms") is None
    assert router(route("one"), route("two", **asked)).only("sms") is None


def test_neither_of_two_routes_gets_all() -> None:
    assert router(route("one"), route("two")).only("sms") is None
