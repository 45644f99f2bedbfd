"""What is behind a short link: a redirect, of which clicks are counted and nothing else is."""

import re

import pytest

from links.telephone import (
    IPHONE,
    TARGET,
    WINDOWS,
    ask,
    campaign,
    counted,
    link,
    number_of,
    paths,
    people,
    quick,
    statistics,
)
from support.server import Api, Running


def test_a_link_leads_to_its_target(api: Api) -> None:
    path, _ = link(api)
    page = ask(api.server, path)
    assert (page.status, page.text, page.headers["location"]) == (302, "", TARGET)
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-robots-tag"] == "noindex"


@pytest.fixture
def one(sqlite_server: Running) -> Api:
    return sqlite_server.account()


@pytest.mark.parametrize("end", ["/", ".", ").", "?utm_source=x", "!", "%22"])
def test_what_a_telephone_takes_for_a_part_of_a_link_makes_no_difference(one: Api, end: str) -> None:
    path, _ = link(one)
    assert ask(one.server, path + end).headers["location"] == TARGET


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://example.com/a%20b?c=d+e&f=%2F~%7E#g", "https://example.com/a%20b?c=d+e&f=%2F~%7E#g"),
        ("https://bücher.example:8443/straße?q=ü", "https://xn--bcher-kva.example:8443/stra%C3%9Fe?q=%C3%BC"),
        ("HTTP://EXAMPLE.com", "HTTP://EXAMPLE.com"),
    ],
)
def test_a_target_is_as_it_was_given(one: Api, url: str, location: str) -> None:
    assert ask(one.server, link(one, url)[0]).headers["location"] == location


def test_a_query_does_not_change_where_a_link_leads(one: Api) -> None:
    path, _ = link(one)
    for attempt in (path + "?url=https://evil.example/", path + "//evil.example/", path + "/../evil", path + "@evil"):
        page = ask(one.server, attempt)
        assert page.status == 404 or page.headers["location"] == TARGET
    assert ask(one.server, path, Host="evil.example").headers["location"] == TARGET


def test_there_is_nothing_behind_other_codes(one: Api) -> None:
    path, _ = link(one)
    for unknown in (path[:-1], path + "b", path.swapcase(), "/bcdfghj", "/" + "b" * 16):
        page = ask(one.server, unknown)
        assert page.status == 404, unknown
        assert "location" not in page.headers
    assert "no such link" in ask(one.server, "/bcdfghj").text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_link_can_only_be_opened(one: Api, method: str) -> None:
    page = ask(one.server, link(one)[0], method)
    assert (page.status, page.headers["allow"]) == (405, "GET, HEAD")


def test_pages_of_the_house_are_no_links(one: Api) -> None:
    assert ask(one.server, "/healthz").text == "ok\n"
    assert ask(one.server, "/readyz").status == 200
    assert ask(one.server, "/nothing").status == 404


NOT_COUNTED = {
    "HEAD": ("HEAD", IPHONE, {}),
    "a crawler": ("GET", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", {}),
    "a preview": ("GET", "WhatsApp/2.23.20.0 A", {}),
    "a preview that says it is a browser": ("GET", f"{IPHONE} facebookexternalhit/1.1 Facebot Twitterbot/1.0", {}),
    "a program": ("GET", "curl/8.14.1", {}),
    "nobody": ("GET", None, {}),
    "ahead": ("GET", IPHONE, {"Sec_Purpose": "prefetch;prerender"}),
    "ahead, by an older browser": ("GET", IPHONE, {"Purpose": "prefetch"}),
    "ahead, by Safari": ("GET", IPHONE, {"X_Purpose": "preview"}),
    "ahead, by Firefox": ("GET", IPHONE, {"X_Moz": "prefetch"}),
}


def test_clicks_of_people_are_counted(api: Api) -> None:
    """Whatever is no click is asked before those that are: once they are there, it would be there as well."""
    path, message_id = link(api)
    for method, agent, headers in NOT_COUNTED.values():
        assert ask(api.server, path, method, agent=agent, **headers).status == 302
    for agent in (IPHONE, WINDOWS, IPHONE):
        ask(api.server, path, agent=agent)
    found = counted(api, "quick_sms", message_id, 3)
    assert found["links"] == {"total": 1, "opened_unique": 1, "opened_total": 3, "unopened": 0}
    assert found["device"] == [{"label": "mobile", "count": 2}, {"label": "desktop", "count": 1}]
    assert found["os"] == [{"label": "ios", "count": 2}, {"label": "windows", "count": 1}]
    assert found["browser"] == [{"label": "safari", "count": 2}, {"label": "edge", "count": 1}]
    assert found["country"] == [{"label": "unknown", "count": 3}]
    assert found["region"] == []


def test_no_address_is_kept(api: Api) -> None:
    path, message_id = link(api)
    ask(api.server, path)
    counted(api, "quick_sms", message_id, 1)
    rows = api.server.read(lambda tx: tx.driver("SELECT * FROM clicks").fetchall())
    assert rows
    assert "127.0.0.1" not in repr(rows)


def test_each_recipient_of_a_campaign_has_a_link_of_its_own(api: Api) -> None:
    key = people(
        api,
        {"phone_number": "+61491570006", "first_name": "Ann", "last_name": "Lee"},
        {"phone_number": "+61491570156", "first_name": "Bob"},
        {"phone_number": "+61491570157"},
    )
    fates = campaign(api, key, "Hi (First Name), look: https://smsu.io/xxxxx", TARGET)
    found = [paths(api.server, fate.draft.body)[0] for fate in fates]
    assert len(set(found)) == 3
    assert re.fullmatch(r"Hi Ann, look: https://[\w.:]+/\w{7}", fates[0].draft.body)
    for path in (found[0], found[0], found[1]):
        assert ask(api.server, path).headers["location"] == TARGET
    total = counted(api, "sms_campaign", number_of(api), 3)
    assert total["links"] == {"total": 3, "opened_unique": 2, "opened_total": 3, "unopened": 1}

    answer = api.call("GET", f"/short-url/tracking/{total['long_url_id']}").body
    assert {name: answer[name] for name in answer if name != "data"} == {
        "total": 3,
        "per_page": 15,
        "current_page_size": 3,
    }
    ann, bob, third = sorted(answer["data"], key=lambda one: one["contact"]["phone_number"])
    assert (ann["open_count"], bob["open_count"], third["open_count"]) == (2, 1, 0)
    assert (ann["user_device"], ann["user_os"], ann["user_browser"]) == ("mobile", "ios", "safari")
    assert ann["date_opened"] >= fates[0].date
    assert ann["contact"]["first_name"] == "Ann"
    assert ann["contact"]["last_name"] == "Lee"
    assert ann["contact"]["contact_id"].isdigit()
    assert bob["contact"]["last_name"] is None
    told = {name: value for name, value in third.items() if name not in ("open_count", "contact")}
    assert set(told.values()) == {None}


def test_the_recipients_of_a_link_are_paged(one: Api) -> None:
    key = people(one, *({"phone_number": f"+6149157{number:04}"} for number in range(120, 137)))
    campaign(one, key, "smsu.io/xxxxx", TARGET)
    path = f"/short-url/tracking/{statistics(one, 'sms_campaign', number_of(one))['long_url_id']}"
    first = one.call("GET", path).body
    assert (first["total"], first["per_page"], first["current_page_size"]) == (17, 15, 15)
    assert "prev_page_url" not in first
    last = one.call("GET", first["next_page_url"].partition("/v3")[2]).body
    assert last["current_page_size"] == 2
    assert "next_page_url" not in last
    numbers = {row["contact"]["phone_number"] for page in (first, last) for row in page["data"]}
    assert len(numbers) == 17
    assert one.call("GET", last["prev_page_url"].partition("/v3")[2]).body == first


def test_statistics_belong_to_an_account(server: Running) -> None:
    owner, other = server.account(), server.account()
    _, message_id = link(owner)
    key = statistics(owner, "quick_sms", message_id)["long_url_id"]
    for path in (
        f"/short-url/statistics/quick_sms/{message_id}",
        f"/short-url/tracking/{key}",
    ):
        assert owner.call("GET", path).status == 200
        assert other.call("GET", path).status == 404
    for path in (
        "/short-url/statistics/quick_sms/unknown",
        f"/short-url/statistics/sms_campaign/{message_id}",
        f"/short-url/statistics/nothing/{message_id}",
        "/short-url/tracking/999999999",
        "/short-url/tracking/nonsense",
        "/short-url/tracking/" + "9" * 40,
    ):
        assert owner.call("GET", path).status == 404


def test_a_subaccount_sees_the_campaigns_of_others_only_when_they_are_shared(one: Api) -> None:
    key = people(one, {"phone_number": "+61491570006"})
    campaign(one, key, "smsu.io/xxxxx", TARGET)
    path = f"/short-url/statistics/sms_campaign/{number_of(one)}"
    tracking = f"/short-url/tracking/{statistics(one, 'sms_campaign', number_of(one))['long_url_id']}"
    apart = one.subaccount(reporting=1)
    assert [apart.call("GET", at).status for at in (path, tracking)] == [404, 404]
    _, message_id = link(one)
    assert statistics(apart, "quick_sms", message_id)["links"]["total"] == 1
    one.put(f"/subaccounts/{apart.subaccount_id}", {"share_campaigns": 1})
    assert [apart.call("GET", at).status for at in (path, tracking)] == [200, 200]


def test_each_message_of_a_request_is_counted_by_itself(one: Api) -> None:
    first, second, without = quick(one, f"A {TARGET}", f"B {TARGET}", "No link")
    ask(one.server, paths(one.server, first["body"])[0])
    assert counted(one, "quick_sms", first["message_id"], 1)["links"]["opened_unique"] == 1
    assert statistics(one, "quick_sms", second["message_id"])["links"]["unopened"] == 1
    assert one.call("GET", f"/short-url/statistics/quick_sms/{without['message_id']}").status == 404
