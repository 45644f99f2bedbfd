"""Links in texts: where they come from, what they cost, and what is no link."""

import re
from typing import Any

import msgspec
import pytest

from heliograph import webaddress
from heliograph.accounts.account import Principal
from heliograph.channels.sms.channel import Sms
from heliograph.channels.sms.shapes import CampaignText, ShortenedText
from heliograph.errors import Status
from heliograph.links.link import ALPHABET, NewLink, codes_at, mask, new_code, without
from heliograph.messaging.channel import Draft
from heliograph.settings import Settings
from links.telephone import TARGET, ask, paths, quick
from support.server import Running

MEMBER = {
    "contact_id": 1,
    "phone_number": "+61491570006",
    "first_name": "Ann",
    "last_name": "smsu.io/xxxxx",
    "custom_1": "(First Name)",
    "custom_2": "StopMsg.me/xxxxx",
    "custom_3": "https://example.org/3",
}
CODE = rf"[{ALPHABET}]{{7}}"


def sms(**options: Any) -> Sms:
    return Sms(Settings(**{"link_domain": "s.example", **options}))


@pytest.fixture
def who() -> Principal:
    given = {field.name: None for field in msgspec.structs.fields(Principal) if field.required}
    return Principal(**{**given, "country": "AU", "char_limit": 8, "numbers": ()})


def of_campaign(who: Principal, body: str, url: str = TARGET, channel: Sms | None = None) -> Draft:
    channel = channel or sms()
    asked = channel.personal(CampaignText(body=body, from_="Shop", url_to_shorten=url))(MEMBER)
    return channel.draft(who, asked, 0)


def of_request(who: Principal, body: str, channel: Sms | None = None) -> Draft:
    return (channel or sms()).draft(who, ShortenedText(to="+61491570006", from_="Shop", body=body), 0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Look: smsu.io/xxxxx.", rf"Look: s\.example/{CODE}\."),
        ("SMSG.IO/XXXXX", rf"s\.example/{CODE}"),
        ("http://sm-su.io/xxxxx", rf"http://s\.example/{CODE}"),
        ("https://smsu.io/xxxxx (First Name)", rf"https://s\.example/{CODE} Ann"),
        ("smsu.io/xxxxx smsg.io/xxxxx", rf"s\.example/({CODE}) s\.example/\1"),
        ("StopMsg.me/xxxxx smsu.io/xxxxx", rf"s\.example/{CODE} s\.example/{CODE}"),
    ],
)
def test_literals_of_a_campaign_are_filled(who: Principal, body: str, expected: str) -> None:
    draft = of_campaign(who, body)
    assert re.fullmatch(expected, draft.body)
    assert {link.code for link in draft.links} == set(re.findall(CODE + r"(?=\W|$)", draft.body)) - {"example"}
    assert {link.target for link in draft.links} == {"" if link.kind == "stop" else TARGET for link in draft.links}


@pytest.mark.parametrize("body", ["{last name}", "(Cust. 1)", "(Cust. 2) {custom 3}", "(Last Name) smsu.io/xxxxx"])
def test_what_a_contact_holds_is_searched_for_nothing(who: Principal, body: str) -> None:
    draft = of_campaign(who, body)
    for placeholder, value in (
        ("{last name}", "smsu.io/xxxxx"),
        ("(Last Name)", "smsu.io/xxxxx"),
        ("(Cust. 1)", "(First Name)"),
        ("(Cust. 2)", "StopMsg.me/xxxxx"),
    ):
        if placeholder in body:
            assert value in draft.body
    assert len(draft.links) == ("smsu" in body)


def test_only_campaigns_have_literals(who: Principal) -> None:
    body = "smsu.io/xxxxx StopMsg.me/xxxxx"
    assert of_request(who, body).body == body
    assert of_request(who, body).links == ()


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        ("See https://example.com/a?b=c#d.", "See {}."),
        ("(https://example.com/a_(b))!", "({})!"),
        ("HTTPS://EXAMPLE.com and https://example.com/2", "{} and https://example.com/2"),
        ("もhttps://example.com/x。です", "も{}。です"),
        ("https://example.com/" + "x" * 230, "{}"),
    ],
)
def test_the_first_url_is_shortened(who: Principal, body: str, rest: str) -> None:
    draft = of_request(who, body)
    (link,) = draft.links
    assert draft.body == rest.format(f"s.example/{link.code}")
    assert link.target in body
    assert webaddress.problem(link.target) is None


@pytest.mark.parametrize(
    "body",
    [
        "example.com/path",
        "www.example.com",
        "javascript:alert(1)",
        "ftp://example.com/x",
        "http:// example.com",
        "https://...",
        "https://example.com/" + "x" * 231,
        "mailto:ann@example.com",
    ],
)
def test_anything_else_stays_as_it_is(who: Principal, body: str) -> None:
    draft = of_request(who, body)
    assert draft.body == body
    assert draft.links == ()


def test_a_link_is_measured_and_no_longer_than_any_other(who: Principal) -> None:
    body = "x" * 140 + " https://example.com/" + "y" * 200
    made = {of_request(who, body).units for _ in range(20)}
    assert made == {1}
    assert {len(of_request(who, body).body) for _ in range(20)} == {len("x" * 140 + " s.example/1234567")}
    assert len(of_request(who, body, sms(link_code_length=12)).links[0].code) == 12


def test_a_link_that_is_cut_off_is_none(who: Principal) -> None:
    short = msgspec.structs.replace(who, char_limit=1)
    draft = of_request(short, "x" * 152 + f" {TARGET}")
    assert draft.links == ()
    assert of_request(short, "x" * 140 + f" {TARGET}").links


def test_a_house_without_a_domain_makes_no_links(who: Principal) -> None:
    bare = sms(mode="production", link_domain="")
    assert of_request(who, f"Look: {TARGET}", bare).refusal == Status.SOMETHING_IS_WRONG
    assert of_campaign(who, "smsu.io/xxxxx", channel=bare).refusal == Status.SOMETHING_IS_WRONG
    assert of_request(who, "No link", bare).refusal is None
    assert of_request(who, TARGET, sms(mode="production", link_domain="", public_url="https://sms.example/")).links


@pytest.mark.parametrize(
    ("options", "domain"),
    [
        ({}, "127.0.0.1:8310"),
        ({"host": "0.0.0.0", "port": 80}, "127.0.0.1:80"),
        ({"host": "::1"}, "[::1]:8310"),
        ({"public_url": "https://sms.example:8443/api"}, "sms.example:8443"),
        ({"public_url": "https://sms.example", "link_domain": "s.example"}, "s.example"),
        ({"mode": "production"}, ""),
    ],
)
def test_the_domain_of_links(options: dict[str, Any], domain: str) -> None:
    assert Settings(**options).links_at == domain


def test_codes_cannot_be_guessed() -> None:
    codes = {new_code(7) for _ in range(2000)}
    assert len(codes) == 2000
    assert set("".join(codes)) == set(ALPHABET)
    assert not set(ALPHABET) & set("aeiouAEIOU01lI")


def test_texts_are_compared_without_their_codes() -> None:
    links = [NewLink("bcdfghj", "url"), NewLink("kmnpqrs", "stop")]
    here = mask("a/bcdfghj b/kmnpqrs a/bcdfghj", links)
    targets = {"bcdfghj": "T", "2345678": "T", "9876543": "U"}
    same = without("a/2345678 b/3456789 a/2345678", here, targets)
    assert same == without("a/bcdfghj b/kmnpqrs a/bcdfghj", here, targets)
    for other in ("a/2345678 c/3456789 a/2345678", "a/9876543 b/3456789 a/9876543", "a/2345678 b/3456789", ""):
        assert without(other, here, targets) != same
    assert without("text", mask("text", []), {}) == "text"
    assert codes_at("a/2345678 b/3456789 a/2345678", here) == ["2345678", "3456789", "2345678"]
    assert codes_at("short", here) == []


def test_a_price_is_that_of_the_text_with_its_link(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    body = {"messages": [{"to": "+61491570006", "body": "x" * 100 + " " + TARGET + "y" * 100}], "shorten_urls": True}
    priced = api.post("/sms/price", body)["messages"][0]
    sent = api.post("/sms/send", body)["messages"][0]
    whole = api.post("/sms/price", {**body, "shorten_urls": False})["messages"][0]
    assert (priced["message_parts"], sent["message_parts"], whole["message_parts"]) == (1, 1, 2)
    assert priced["message_price"] == sent["message_price"] < whole["message_price"]
    (quoted,) = paths(sqlite_server, priced["body"])
    assert ask(sqlite_server, quoted).status == 404, "a price makes no link"
    assert api.history(sent["message_id"])["body"] == sent["body"]


@pytest.mark.parametrize("given", [True, 1, "true", "1"])
def test_the_flag_is_taken_in_any_spelling(sqlite_server: Running, given: Any) -> None:
    api = sqlite_server.account()
    entry = api.post("/sms/send", {"messages": [{"to": "+61491570006", "body": TARGET}], "shorten_urls": given})
    assert paths(sqlite_server, entry["messages"][0]["body"])


def test_a_list_gets_a_link_for_each_contact(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    key = int(api.post("/lists", {"list_name": "People"})["list_id"])
    for number in ("+61491570006", "+61491570156"):
        api.post(f"/lists/{key}/contacts", {"phone_number": number, "custom_1": "https://example.org/1"})
    body = {"messages": [{"list_id": key, "body": "Yours: (Cust. 1)"}], "shorten_urls": True}
    entries = api.post("/sms/send", body)["messages"]
    found = [paths(sqlite_server, entry["body"]) for entry in entries]
    assert [len(one) for one in found] == [1, 1]
    assert found[0] != found[1]
    assert ask(sqlite_server, found[0][0]).headers["location"] == "https://example.org/1"


def test_the_same_text_twice_is_throttled_whatever_its_link_is_called(server: Running) -> None:
    api = server.account()
    first, again, other = (quick(api, text)[0]["status"] for text in (f"A {TARGET}", f"A {TARGET}", f"B {TARGET}"))
    assert (first, again, other) == ("SUCCESS", "THROTTLED", "SUCCESS")
    assert [entry["status"] for entry in quick(api, f"C {TARGET}", f"C {TARGET}")] == ["SUCCESS", "THROTTLED"]
    assert quick(api, f"A {TARGET}", to="+61491570156")[0]["status"] == "SUCCESS"
    assert [entry["status"] for entry in quick(api, f"A {TARGET}&b=1", f"A {TARGET}&b=2")] == ["SUCCESS", "SUCCESS"]
