"""Search and sort: what is found, against a reading in Python; and that no search can break a database."""

import re
import string
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, literal, select

from heliograph.billing import prices
from heliograph.db.engine import Connector, Tx
from heliograph.db.shown import decimals
from heliograph.db.tables import rules as table
from heliograph.errors import BadRequest
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.paging import Window
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route
from support.server import Api

COLUMNS = {
    "key": table.c.rule_id,
    "name": table.c.rule_name,
    "term": table.c.message_search_term,
    "number": table.c.match_type,
}
ROUTE = Route(0, "GET /things", endpoint("", None, paged=True)(lambda req: Reply()), "")
Ask = Callable[..., list[str]]

LETTERS = string.ascii_letters + string.digits + " ,:*\\%_'\"()-ÉéŻżß😀"
TEXTS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda text: text == text.strip())
ROWS = st.lists(TEXTS, min_size=1, max_size=5)
examples = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


def request(tx: Tx, **query: str) -> Request:
    services: Any = None
    made = Request(
        route=ROUTE,
        request_id="r",
        params={},
        query=query,
        headers={},
        scheme="http",
        body=b"",
        services=services,
    )
    made.enter(tx, None)
    return made


@pytest.fixture
def connector(migrated_url: str) -> Iterator[Connector]:
    made = Connector(migrated_url, lambda: 1.0)
    yield made
    made.close()


def store(tx: Tx, names: Sequence[str], term: str | None = None) -> None:
    for number, name in enumerate(names):
        tx.execute(
            table.insert().values(
                user_id=1,
                family="f",
                rule_name=name,
                match_type=number,
                dedicated_number="*",
                message_search_type=0,
                message_search_term=term,
                action="NONE",
                enabled=1,
            )
        )


def names(tx: Tx, ignored: Sequence[str] | None = (), **query: str) -> list[str]:
    """The names of what is found."""
    base, req = table.select().where(table.c.user_id == 1), request(tx, **query)
    total, rows = search.select_rows(req, base, COLUMNS, Window(1, 100), ("key", False))
    assert total == len(rows)
    assert ignored is None or req.ignored == tuple(ignored)
    return [row["rule_name"] for row in rows]


def with_rows(connector: Connector, stored: Sequence[str], work: Callable[[Ask], None], **more: Any) -> None:
    tx = connector.begin_write()
    try:
        store(tx, stored, **more)
        work(partial(names, tx))
    finally:
        tx.driver("ROLLBACK")


def escaped(text: str) -> str:
    return re.sub(r"[\\,*]", r"\\\g<0>", text)


def folded(text: str) -> str:
    """ASCII letters in small: what every database can do."""
    return re.sub("[A-Z]", lambda found: found.group().lower(), text)


@examples
@given(stored=ROWS, data=st.data())
def test_every_text_is_found_by_itself_and_nothing_else_is(
    connector: Connector, stored: list[str], data: st.DataObject
) -> None:
    wanted = data.draw(st.sampled_from(stored) | TEXTS)
    spelled = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) if c.isascii() else c for c in wanted)

    def work(ask: Ask) -> None:
        found = ask(q=f"name:{escaped(spelled)}")
        assert set(found) >= {name for name in stored if folded(name) == folded(wanted)}
        assert all(name.lower() == wanted.lower() for name in found)

    with_rows(connector, stored, work)


@examples
@given(stored=ROWS, pieces=st.lists(st.text(LETTERS.translate({ord(c): "" for c in " ÉéŻżß"}), max_size=3), min_size=2))
def test_a_star_stands_for_any_text_and_nothing_else_does(
    connector: Connector, stored: list[str], pieces: list[str]
) -> None:
    pattern = re.compile(".*".join(re.escape(folded(piece)) for piece in pieces), re.DOTALL)

    def work(ask: Ask) -> None:
        found = ask(q="name:" + "*".join(escaped(piece) for piece in pieces))
        assert found == [name for name in stored if pattern.fullmatch(folded(name))]

    with_rows(connector, stored, work)


@examples
@given(stored=st.lists(st.sampled_from(["a", "b", "ab", "A,b"]), max_size=6), first=st.integers(0, 6))
def test_and_keeps_what_both_keep_and_or_what_either(connector: Connector, stored: list[str], first: int) -> None:
    def work(ask: Ask) -> None:
        one, other = ask(q="name:a*"), ask(q=f"number:{first}")
        both = [name for number, name in enumerate(stored) if folded(name)[0] == "a" and number == first]
        assert ask(q=f"name:a*,number:{first}") == ask(q=f" Name : a* , number:{first}", operator="and") == both
        either = ask(q=f"name:a*,number:{first}", operator="OR")
        assert sorted(either) == sorted([*one, *([] if both else other)])

    with_rows(connector, stored, work)


@examples
@given(
    q=st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
    | st.lists(st.sampled_from(["name:", "key:", "*", ",", "\\", ":", "%", "a", "\x00"]), max_size=60).map("".join),
    order=st.sampled_from(["", "name", "NAME:DESC", "key:asc", "term:desc", "nothing", "name:up", ":", "\x00"]),
    operator=st.sampled_from(["", "AND", "or", "XOR", "\x00"]),
)
def test_no_search_breaks_the_database(connector: Connector, q: str, order: str, operator: str) -> None:
    blamed: dict[str, str] = {}

    def work(ask: Ask) -> None:
        try:
            ask(None, q=q, order_by=order, operator=operator)
        except BadRequest as refused:
            blamed.update(refused.data)

    with_rows(connector, ["a", "b"], work)
    assert set(blamed) <= {"q", "order_by", "operator"}


@examples
@given(stored=st.lists(TEXTS, max_size=8), descending=st.booleans())
def test_sorting_is_complete_and_has_one_order(connector: Connector, stored: list[str], descending: bool) -> None:
    way = "desc" if descending else "asc"

    def work(ask: Ask) -> None:
        assert ask(order_by=f"number:{way}") == (stored[::-1] if descending else stored)
        assert ask(order=f"number:{way}") == ask(order_by=f"number:{way}")
        by_name = ask(order_by=f"name:{way}")
        assert sorted(by_name) == sorted(stored)
        assert by_name == ask(order_by=f"name:{way}")
        assert ask(order_by=f"term:{way}") == (stored[::-1] if descending else stored)

    with_rows(connector, stored, work)


def test_what_a_database_takes_for_wildcards_is_text(connector: Connector) -> None:
    stored = ["a_b", "axb", "a%b", "a\\b", "axxb", "a*b"]

    def work(ask: Ask) -> None:
        for text in stored:
            assert ask(q=f"name:{escaped(text)}*") == ask(q=f"name:*{escaped(text)}") == [text]
        assert ask(q="name:a*b") == stored

    with_rows(connector, stored, work)


def test_what_is_absent_is_found_as_empty(connector: Connector) -> None:
    def work(ask: Ask) -> None:
        assert ask(q="term:*") == ask(q="term:**") == ["a"]
        assert ask(q="term:x") == []

    with_rows(connector, ["a"], work)


@pytest.mark.parametrize(
    ("q", "sentence"),
    [
        ("name:\x00", "The search contains characters that cannot be stored."),
        ("name:" + "a" * 2000, "A search has at most 2000 characters and 50 pairs."),
        (" " * 2001, "A search has at most 2000 characters and 50 pairs."),
        ("name:a," * 51, "A search has at most 2000 characters and 50 pairs."),
    ],
)
def test_what_is_no_search_is_refused_with_a_sentence(connector: Connector, q: str, sentence: str) -> None:
    def work(ask: Ask) -> None:
        with pytest.raises(BadRequest) as refused:
            ask(q=q)
        assert refused.value.data["q"].startswith(sentence)

    with_rows(connector, [], work)


def test_fifty_pairs_and_two_thousand_characters_are_no_burden(connector: Connector) -> None:
    def work(ask: Ask) -> None:
        assert ask(q=",".join(["name:a"] * 50)) == ["a"]
        assert ask(q=",".join(["name:a"] * 50), operator="OR") == ["a"]
        assert ask(q="name:" + "*a" * 990 + "b") == []
        assert ask(q="," * 2000) == ["a", "a" * 2000]

    with_rows(connector, ["a", "a" * 2000], work)


@pytest.mark.parametrize(
    ("q", "ignored"),
    [
        ("colour:red", ["colour"]),
        ("field_name", ["field_name"]),  # the vendor's Go SDK, in every list
        ("name", ["name"]),
        ("name:", ["name"]),
        (" Name : ", ["Name"]),
        ("term: ,colour:red,colour:blue", ["term", "colour"]),
        (":value", [":value"]),
        ("a b", ["a b"]),
        ("\x00:a", ["\x00"]),
        ("*", ["*"]),
        (" , ,,", []),
    ],
)
@pytest.mark.parametrize("operator", ["AND", "OR"])
def test_what_a_search_does_not_know_filters_nothing_and_is_named(
    connector: Connector, q: str, ignored: list[str], operator: str
) -> None:
    def work(ask: Ask) -> None:
        assert ask(q=q, operator=operator, ignored=ignored) == ["a", "b"]
        assert ask(q=q + ",name:b", operator=operator, ignored=ignored) == ["b"]
        assert ask(q="name:b," + q, operator=operator, ignored=ignored) == ["b"]

    with_rows(connector, ["a", "b"], work)


@pytest.mark.parametrize(
    ("order", "ignored"),
    [
        ("nothing", ["nothing"]),
        ("nothing:asc", ["nothing"]),
        (":desc", [":desc"]),
        ("name:up", ["name"]),
        ("name:asc:desc", ["name"]),
        ("name:desc/asc", ["name"]),
        ("name;asc", ["name;asc"]),
        ("Colour:desc,colour", ["Colour", "colour"]),
        (",", []),
    ],
)
def test_an_order_that_a_list_does_not_know_sorts_nothing_and_is_named(
    connector: Connector, order: str, ignored: list[str]
) -> None:
    def work(ask: Ask) -> None:
        assert ask(order_by=order, ignored=ignored) == ["b", "a", "c"]
        assert ask(order_by=order + ",name:desc", ignored=ignored) == ["c", "b", "a"]
        assert ask(order_by="name:," + order, ignored=ignored) == ["a", "b", "c"]

    with_rows(connector, ["b", "a", "c"], work)


@examples
@given(
    stored=st.lists(st.sampled_from("abc"), max_size=8),
    ways=st.tuples(*(st.booleans() for _ in range(2))),
)
def test_several_orders_are_all_kept_the_first_one_first(
    connector: Connector, stored: list[str], ways: tuple[bool, bool]
) -> None:
    def work(ask: Ask) -> None:
        numbered = sorted(enumerate(stored), key=lambda one: one[0], reverse=ways[1])
        wanted = [name for _, name in sorted(numbered, key=lambda one: one[1], reverse=ways[0])]
        name, number = (
            f"{field}:{'desc' if way else 'asc'}" for field, way in zip(("name", "number"), ways, strict=True)
        )
        assert ask(order_by=f"{name},{number}") == ask(order=f" {name.upper()} , {number},{name}") == wanted
        assert ask(order_by=f"term,{name},{number}") == wanted

    with_rows(connector, stored, work)


def test_a_search_is_as_long_as_the_database_takes_it_in_its_order_too(connector: Connector) -> None:
    def work(ask: Ask) -> None:
        assert ask(order_by=",".join(["name:desc"] * 50)) == ["b", "a"]
        for order in (",".join(["name"] * 51), "n" * 2001, "\v" * 2001):
            with pytest.raises(BadRequest) as refused:
                ask(order_by=order)
            assert list(refused.value.data) == ["order_by"]

    with_rows(connector, ["a", "b"], work)


def test_the_header_of_what_was_ignored_is_short_and_plain() -> None:
    name, value = search.header(["field_name", "a b", "é,\r\nx: y"])
    assert (name, value) == (b"x-search-ignored", b"field_name, a%20b, %C3%A9%2C%0D%0Ax%3A%20y")
    assert len(search.header(["é" * 2000] * 100)[1]) < 2000
    assert search.header(list("abcdefghijklmnopqrstuvwxyz"))[1].endswith(b"s, t, ...")


@examples
@given(
    stored=st.integers(-(10**12), 10**12) | st.integers(-10_000_000, 10_000_000),
    digits=st.integers(1, 6),
    unit=st.sampled_from([1, 100, 10**6]),
)
def test_decimals_are_what_python_makes_of_them(connector: Connector, stored: int, digits: int, unit: int) -> None:
    tx = connector.begin_write()
    try:
        shown = decimals(literal(stored, BigInteger), digits, unit)
        assert tx.scalar(select(shown.text)) == prices.fixed(stored * (prices.MICRO // unit), digits)
    finally:
        tx.driver("ROLLBACK")


def test_a_search_over_http(api: Api) -> None:
    bodies = ["Zażółć gęślą", "ZAŻÓŁĆ GĘŚLĄ", "100%", "100 percent", "a+b", "a b", "x,y", "x\\y", "*"]
    for number, body in enumerate(bodies):
        api.post("/sms/templates", {"template_name": f"Name {number}", "body": body})

    def found(q: str) -> list[str]:
        return [row["body"] for row in api.get(f"/sms/templates?q={quote(q, safe='')}")["data"]]

    for body in bodies:
        assert body in found("body:" + escaped(body))
        assert body in found("body:" + escaped(body).swapcase()) or not body.isascii()
    assert found("body:100%") == ["100%"]
    assert found("body:100*") == ["100%", "100 percent"]
    assert found("body:a+b") == ["a+b"]
    assert found("body:x\\,y") == ["x,y"]
    assert found("body:x\\\\y") == found("body:x\\y") == ["x\\y"]
    assert found("body:\\*") == ["*"]
    assert found("body:*,template_name:name 3") == ["100 percent"]
    assert found("") == bodies
    refused = api.call("GET", "/sms/templates?q=body:a&operator=NOT")
    assert (refused.status, list(refused.data)) == (400, ["operator"])
    for query in ("q=body:%FF", "q=%", "q=body:%00", "q=body:\\", "order_by=%00", "&&&=&", "q=" + "a" * 3000):
        assert api.call("GET", "/sms/templates?" + query).status in (200, 400)
