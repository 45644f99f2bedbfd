"""The page of a StopMsg link: whoever looks at it changes nothing, and only its button opts out."""

import pytest

from links.telephone import IPHONE, TARGET, ask, campaign, number_of, paths, people, statistics
from support.server import Api, Running

ANN, BOB = "+61491570006", "+61491570156"


def stop_link(api: Api, number: str = ANN) -> str:
    key = people(api, {"phone_number": number})
    (fate,) = campaign(api, key, "Bye: StopMsg.me/xxxxx")
    assert fate.status == "SUCCESS"
    (path,) = paths(api.server, fate.draft.body)
    return path


def opted_out(api: Api) -> list[str]:
    """The numbers in the account's Opt-Out List."""
    (key,) = [one["list_id"] for one in api.get("/lists")["data"] if one["list_name"] == "Opt-Out List"]
    return [one["phone_number"] for one in api.get(f"/lists/{key}/contacts")["data"]]


def test_only_the_button_opts_out(api: Api) -> None:
    path = stop_link(api)
    for method, agent in (("GET", IPHONE), ("HEAD", IPHONE), ("GET", "WhatsApp/2.23.20.0 A"), ("GET", None)):
        assert ask(api.server, path, method, agent=agent).status == 200
    assert opted_out(api) == []
    page = ask(api.server, path)
    assert '<form method="post"><button>' in page.text
    assert "<script" not in page.text
    assert "006" in page.text
    assert ANN not in page.text

    done = ask(api.server, path, "POST")
    assert done.status == 200
    assert "no more" in done.text
    assert opted_out(api) == [ANN]
    assert ask(api.server, path, "POST").status == 200
    assert opted_out(api) == [ANN]
    key = people(api, {"phone_number": ANN}, {"phone_number": BOB})
    sent = api.post("/sms/send", {"messages": [{"list_id": key, "body": "News"}]})["messages"]
    assert [one["status"] for one in sent] == ["OPTED_OUT", "SUCCESS"]


@pytest.fixture
def one(sqlite_server: Running) -> Api:
    return sqlite_server.account(account_name='A&B <b>"Shop"</b>')


def test_the_page_is_safe_and_is_kept_by_nobody(one: Api) -> None:
    page = ask(one.server, stop_link(one))
    assert "A&amp;B" in page.text
    assert "<b>&quot;" not in page.text
    assert 'name="viewport"' in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-robots-tag"] == "noindex"
    assert page.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "form-action 'self'" in policy


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_nothing_else_can_be_done(one: Api, method: str) -> None:
    page = ask(one.server, stop_link(one), method)
    assert (page.status, page.headers["allow"]) == (405, "GET, HEAD, POST")
    assert opted_out(one) == []


def test_a_stop_link_is_not_counted_and_leads_nowhere(one: Api) -> None:
    key = people(one, {"phone_number": ANN}, {"phone_number": BOB})
    fates = campaign(one, key, "smsu.io/xxxxx StopMsg.me/xxxxx", TARGET)
    _, stop = paths(one.server, fates[0].draft.body)
    assert "location" not in ask(one.server, stop).headers
    assert statistics(one, "sms_campaign", number_of(one))["links"]["total"] == 2
    ask(one.server, stop, "POST")
    assert opted_out(one) == [ANN]


def test_a_code_that_does_not_exist_opts_nobody_out(one: Api) -> None:
    assert ask(one.server, "/bcdfghj", "POST").status == 404
    assert opted_out(one) == []
