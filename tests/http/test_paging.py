"""Pages: what is asked for in whatever spelling, and what the eight keys say."""

import math
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.errors import BadRequest
from heliograph.http import paging
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route
from heliograph.settings import Settings
from support.server import Api, Running

ROUTE = Route(0, "GET /things/{thing_id:int}/parts", endpoint("", None, paged=True)(lambda req: Reply()), "")


def request(params: dict[str, str] | None = None, **query: str) -> Request:
    class Services:
        settings = Settings(public_url="https://api.example/")

    services: Any = Services()
    return Request(
        route=ROUTE,
        request_id="r",
        params=params or {"thing_id": "7"},
        query=query,
        headers={},
        scheme="http",
        body=b"",
        services=services,
    )


def keys(url: str | None) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url or "").query, keep_blank_values=True))


@pytest.mark.parametrize(
    ("text", "page"),
    [
        *(("", 1), (" ", 1), ("0", 1), ("-1", 1), ("-" + "9" * 999, 1), ("+2", 2), (" 3 ", 3), ("007", 7)),
        ("9" * 1000, paging.FARTHEST),
    ],
)
def test_pages_that_are_taken(text: str, page: int) -> None:
    assert paging.window(request(page=text)).page == page


@pytest.mark.parametrize(
    ("text", "limit"),
    [("", 15), ("0", 15), ("-5", 15), ("14", 15), ("16", 16), ("100", 100), ("101", 100), ("9" * 99, 100)],
)
def test_limits_are_clamped(text: str, limit: int) -> None:
    assert paging.window(request(limit=text)).limit == limit


@pytest.mark.parametrize("name", ["page", "limit"])
@pytest.mark.parametrize(
    "text", ["x", "1.5", "1e2", "1_0", "0x10", "\uff11", "1 2", "--1", "-", "NaN", "1,2", "9" * 5000]
)
def test_what_is_no_number_is_named(name: str, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        paging.window(request(**{name: text}))
    assert refused.value.data == {name: f"{name.title()} must be an integer."}


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(15, 100))
def test_the_keys_fit_together(total: int, number: int, limit: int) -> None:
    req = request(page=str(number), limit=str(limit), q="a:b,c", operator="")
    window = paging.window(req)
    rows = [{"n": at} for at in range(min(max(0, total - window.offset), limit))]
    page = paging.page(req, window, total, rows, lambda row: row["n"])
    assert (page.total, page.per_page, page.current_page) == (total, limit, number)
    assert page.last_page == math.ceil(total / limit)
    assert len(page.data) == (page.to - page.from_ + 1 if rows else 0)
    if rows:
        assert 1 <= page.from_ <= page.to <= total
    assert (page.next_page_url is not None) == (number < page.last_page)
    assert (page.prev_page_url is not None) == (number > 1 and total > 0)
    if page.next_page_url:
        assert keys(page.next_page_url) == {"page": str(number + 1), "limit": str(limit), "q": "a:b,c", "operator": ""}
    if page.prev_page_url:
        assert 1 <= int(keys(page.prev_page_url)["page"]) == min(number - 1, page.last_page)


def test_a_url_is_where_the_page_is() -> None:
    req = request({"thing_id": "a/b?c=ü"}, q="x:y&z", page="2")
    page = paging.page(req, paging.window(req), 100, [{}], lambda row: row)
    assert page.next_page_url == ("https://api.example/v3/things/a%2Fb%3Fc%3D%C3%BC/parts?q=x%3Ay%26z&page=3&limit=15")


@pytest.mark.parametrize(
    "host", ["example.com", "api.example:8310", "[::1]:8310", "evil.example/path", "a b", "", "x" * 300, 'a"><script>']
)
def test_addresses_are_made_of_a_host_only_if_it_is_one(api: Api, host: str) -> None:
    for number in range(16):
        api.post("/sms/templates", {"template_name": str(number), "body": "b"})
    answer = api.call("GET", "/sms/templates", headers={"Host": host})
    if answer.status == 400:  # the HTTP server itself refuses what is no header
        return
    url = answer.data["next_page_url"]
    good = host in ("example.com", "api.example:8310", "[::1]:8310")
    assert url == f"http://{host if good else 'localhost'}/v3/sms/templates?page=2&limit=15"


def test_walking_the_links_shows_every_record_once(server: Running, api: Api) -> None:
    made = [api.post("/sms/templates", {"template_name": f"n{n}", "body": "b"})["template_id"] for n in range(47)]
    for query in ("", "?limit=16&order_by=template_id:desc", "?q=body:b&limit=23", "?page=2"):
        seen: list[int] = []
        path: str | None = "/sms/templates" + query
        if query == "?page=2":
            seen += [row["template_id"] for row in api.get("/sms/templates")["data"]]
        while path:
            page = api.get(path)
            seen += [row["template_id"] for row in page["data"]]
            path = page["next_page_url"] and page["next_page_url"].partition("/v3")[2]
        assert seen == (sorted(made, reverse=True) if "desc" in query else made)


@pytest.mark.parametrize("page", [3, 10**9, 10**18, 10**40])
def test_a_page_behind_the_last_is_empty_and_leads_back(api: Api, page: int) -> None:
    for number in range(16):
        api.post("/sms/templates", {"template_name": str(number), "body": "b"})
    for path in ("/sms/templates", "/sms/templates?q=body:b"):
        found = api.get(f"{path}{'&' if '?' in path else '?'}page={page}")
        assert (found["data"], found["from"], found["to"], found["next_page_url"]) == ([], 0, 0, None)
        assert (found["total"], found["last_page"]) == (16, 2)
        assert keys(found["prev_page_url"])["page"] == "2"
    for path in ("/sms/history", "/sms/receipts", "/sms/inbound"):
        assert api.get(f"{path}?page={page}")["data"] == []
