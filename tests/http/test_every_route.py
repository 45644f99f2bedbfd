"""What holds for each route of the table, also for those that will be added: who may, and whose records."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import text

from heliograph.accounts import account
from heliograph.http import search
from heliograph.http.route import Route
from support.http_walk import (
    BODY_IDS,
    ROUTES,
    body_of,
    cases,
    dummy,
    fill,
    ids_inside,
    maker,
    own,
    parameters,
    records_in,
)
from support.server import ONE_DATABASE, Answer, Api, Running

WITHOUT_MORE = {"/search/contacts-lists": 400, "/recharge/credit-card": 404}
"""Lists that need a word to look for, or a record that a new account has not."""

NO_RECORD = {int: 10**12, str: "01900000-0000-7000-8000-000000000000"}


def masked(answer: Answer, asked: Iterable[Any]) -> tuple[int, str]:
    """Status and body, without the ids of both questions and what is different each time.

    Both, since another record in both answers may happen to have one of the two ids.
    """
    raw = answer.raw.decode()
    for value in asked:
        raw = re.sub(rf"(?<![\w-])(?<!http_code\":){re.escape(str(value))}(?![\w-])", "ID", raw, flags=re.IGNORECASE)
    return answer.status, re.sub(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}|\d{6,}", "*", raw)


@cases(lambda route: bool(records_in(route.paths[0])))
def test_a_record_of_another_account_is_as_unknown_as_none(server: Running, route: Route) -> None:
    owner, stranger = server.account(), server.account()
    path = route.paths[0]
    theirs = {name: maker(path, name)(owner) for name in parameters(path)}
    unknown = {name: NO_RECORD[type(value)] for name, value in theirs.items()}
    unknown |= {name: 10**12 + place for place, name in enumerate(theirs) if type(theirs[name]) is int}
    body = body_of(route, owner)
    asked = [stranger.call(route.method, fill(path, ids), body) for ids in (theirs, unknown)]
    assert asked[0].status in (403, 404), asked[0].raw
    ids = (*theirs.values(), *unknown.values())
    assert masked(asked[0], ids) == masked(asked[1], ids)
    own = owner.call(route.method, fill(path, theirs), body)
    assert own.status == 200, f"the record is gone, or it never was one: {own.raw!r}"


@cases(lambda route: any(ids_inside(route)))
def test_an_id_in_a_body_is_one_that_the_walk_can_make(route: Route) -> None:
    for name in ids_inside(route):
        assert name in BODY_IDS, f"{route.at}: say in BODY_IDS how a {name} is made"
        if BODY_IDS[name] is None:
            makers = [one.at for one in ROUTES if name in parameters(one.paths[0])]
            assert not makers, f"{makers}: there are records with a {name} now; make them in BODY_IDS"


@cases(lambda route: any(name for name in ids_inside(route) if BODY_IDS.get(name)))
def test_an_id_of_another_account_in_a_body_is_as_unknown_as_none(server: Running, route: Route) -> None:
    owner, stranger = server.account(), server.account()
    for name in ids_inside(route):
        make = BODY_IDS[name]
        if make is None:
            continue
        theirs = make(owner)
        ids = (theirs, NO_RECORD[type(theirs)])
        bodies = [put(body_of(route, stranger), name, value) for value in ids]
        answers = [masked(stranger.call(route.method, dummy(route), body), ids) for body in bodies]
        assert answers[0] == answers[1]


def put(body: Any, name: str, value: Any) -> Any:
    """The body with every field of this name, on every level that has it or could, set to a value."""
    if isinstance(body, list):
        return [put(one, name, value) for one in body]
    if isinstance(body, dict):
        return {**{key: put(one, name, value) for key, one in body.items()}, name: value}
    return body


@ONE_DATABASE
@cases(lambda route: route.access is not None)
def test_nobody_comes_in_without_credentials(server: Running, route: Route) -> None:
    for user, key in (("", ""), ("nobody", "nothing")):
        answer = server.client(user, key).call(route.method, dummy(route), body_of(route))
        assert answer.status == 401
        assert answer.body == {
            "http_code": 401,
            "response_code": "UNAUTHORIZED",
            "response_msg": "Authorization failed.",
            "data": None,
        }


def change(server: Running, sql: str, **values: Any) -> None:
    def work(tx: Any) -> None:
        tx.execute(text(sql), values)
        account.touch(tx)

    server.write(work)


@ONE_DATABASE
@cases(lambda route: route.access is not None)
def test_a_dead_key_opens_no_route(server: Running, api: Api, route: Route) -> None:
    api.get("/account")  # the server remembers it
    new = server.house.vault.key_hash(api.username, "another")
    change(server, "UPDATE subaccounts SET key_hash = :new WHERE user_id = :user", new=new, user=api.user_id)
    assert api.call(route.method, dummy(route), body_of(route)).status == 401


def switch(server: Running, api: Api, route: Route, on: int) -> None:
    change(server, f"UPDATE subaccounts SET access_{route.access} = :on WHERE user_id = :user", on=on, user=api.user_id)


@ONE_DATABASE
@cases(lambda route: bool(route.access))
def test_without_the_flag_a_subaccount_is_forbidden_at_once(server: Running, api: Api, route: Route) -> None:
    api.get("/account")
    switch(server, api, route, 0)
    for _ in range(2):
        answer = api.call(route.method, dummy(route), body_of(route))
        assert (answer.status, answer.body["response_code"], answer.data) == (403, "FORBIDDEN", None)


@cases(lambda route: bool(route.access))
def test_with_the_flag_a_subaccount_is_allowed_at_once(server: Running, api: Api, route: Route) -> None:
    path = own(api, route)
    switch(server, api, route, 0)
    assert api.call(route.method, path, body_of(route, api)).status == 403
    switch(server, api, route, 1)
    assert api.call(route.method, path, body_of(route, api)).status != 403


@ONE_DATABASE
@cases(lambda route: route.access is not None)
def test_a_banned_account_is_forbidden(server: Running, api: Api, route: Route) -> None:
    api.get("/account")
    change(server, "UPDATE users SET banned = 1 WHERE user_id = :user", user=api.user_id)
    assert api.call(route.method, dummy(route), body_of(route)).status == 403


@ONE_DATABASE
@cases(lambda route: route.method == "GET" and not parameters(route.paths[0]))
def test_slashes_at_the_end_make_no_difference(api: Api, route: Route) -> None:
    for path in route.paths:
        statuses = {api.call("GET", path + end).status for end in ("", "/", "//")}
        assert statuses == {WITHOUT_MORE.get(path, 200)}


@ONE_DATABASE
@cases(lambda route: len(route.paths) > 1)
def test_every_spelling_is_the_same_endpoint(api: Api, route: Route) -> None:
    """Nothing is made by the call, since nobody has the id or nothing is in the body."""
    statuses = {
        api.call(
            route.method, fill(path, dict.fromkeys(parameters(path), "1")), {} if route.endpoint.body else None
        ).status
        for path in route.paths
    }
    assert len(statuses) == 1
    assert not statuses & {404, 405} or parameters(route.paths[0])


@cases(lambda route: route.endpoint.paged)
def test_every_list_is_paged_and_searched(api: Api, monkeypatch: pytest.MonkeyPatch, route: Route) -> None:
    path = fill(route.paths[0], {name: maker(route.paths[0], name)(api) for name in parameters(route.paths[0])})
    inside = (lambda answer: answer.body) if route.number == 98 else (lambda answer: answer.data)  # 98 has no envelope
    page = inside(api.call("GET", path))
    assert set(page) == {
        *("total", "per_page", "current_page", "last_page", "next_page_url", "prev_page_url", "from", "to", "data")
    }
    assert [page[name] for name in ("per_page", "current_page")] == [15, 1]
    assert inside(api.call("GET", path + "?page=2&limit=1000"))["per_page"] == 100
    for query in ("page=x", "limit=1.5", "operator=NOT"):
        answer = api.call("GET", f"{path}?{query}")
        assert (answer.status, list(answer.data)) == (400, [query.partition("=")[0]])
    assert "x-search-ignored" not in api.call("GET", path).headers
    answer = api.call("GET", f"{path}?q=field_name,no_such_field:1&order_by=no_such_order,x:desc")
    assert answer.headers["x-search-ignored"] == "field_name, no_such_field, no_such_order, x"
    assert inside(answer)["data"] == page["data"]
    read, known = search.read, []
    monkeypatch.setattr(search, "read", lambda req, columns: (known.append(columns), read(req, columns))[1])
    assert inside(api.call("GET", f"{path}?q=field_name")) == page
    for field in known[0]:
        for way in ("asc", "desc"):
            answer = api.call("GET", f"{path}?order_by={field}:{way}&q={field}:*")
            assert (answer.status, "x-search-ignored" in answer.headers) == (200, False)


def matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) is not None


@ONE_DATABASE
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.at)
def test_verbs_that_a_path_does_not_have_are_named(api: Api, route: Route) -> None:
    path = dummy(route)
    known = {one.method for one in ROUTES if any(matches(one_path, path) for one_path in one.paths)}
    for verb in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"} - known:
        answer = api.call(verb, path, b"") if verb != "HEAD" else None
        if answer is not None:
            assert answer.status == 405
            assert answer.body["response_code"] == "METHOD_NOT_ALLOWED"
