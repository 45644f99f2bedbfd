"""SMS campaigns over HTTP: ordered, priced, changed, stopped; and the books at each end."""

from collections.abc import Iterator
from typing import Any

import pytest

from campaigns.books import PRICE, balance, check_books, ended, entries, later, messages, order, refused, view
from contacts.test_list_sends import OTHER, opt_out_list
from contacts.test_lists import NUMBER, added, bulk, made
from heliograph.transports.base import Retry
from support.carrier import Carrier
from support.server import Api, Running


def test_a_campaign_goes_to_each_contact_and_ends_as_sent(api: Api) -> None:
    list_id = made(api)
    one = added(api, list_id, phone_number=NUMBER, first_name="Ann", custom_1="VIP")
    added(api, list_id, phone_number=OTHER)
    body = "Hi (First Name), {CustomString1}!"
    before = balance(api)
    row = order(api, list_id, body, custom_string="ref", source="test", **{"from": "Heliograph"})
    assert (row["status"], row["body"], row["from"], row["name"]) == ("Queued", body, "Heliograph", "My Campaign")
    assert (row["_total_count"], row["_list_name"], row["list_id"]) == (2, "Customers", list_id)
    assert (row["url_to_shorten"], row["unsubscribe_link"], row["senders"]) == ("", 0, [])
    assert isinstance(row["schedule"], str)
    assert "ip_address" not in row
    assert balance(api) == before - 2 * PRICE
    assert entries(api) == [-2 * PRICE]
    last = ended(api, row)
    assert last == {**row, "status": "Sent", "ip_address": "127.0.0.1"}
    first, second = messages(api, row)
    assert (first["recipient"], first["body"], first["contact_id"]) == (NUMBER, "Hi Ann, VIP!", one["contact_id"])
    assert (first["custom_string"], first["source"], first["sender"]) == ("ref", "test", "Heliograph")
    assert (second["recipient"], second["body"]) == (OTHER, "Hi , !")
    check_books(api, row)


def test_the_price_is_what_the_order_debits(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, range(3), first_name="Ann")
    answer = api.post("/sms-campaigns/price", {"list_id": list_id, "name": "x", "body": "(First Name), hello"})
    assert (answer["total_count"], answer["total_price"]) == (3, "0.2145")
    assert answer["data"]["body"] == "Ann, hello"
    assert isinstance(answer["data"]["schedule"], int)
    assert answer["_currency"]["currency_name_short"] == "AUD"
    assert entries(api) == []
    row = order(api, list_id, "(First Name), hello")
    assert entries(api) == [-3 * PRICE]
    assert row["from"] == answer["data"]["from"] != ""
    ended(api, row)


def test_one_message_a_number_and_none_to_who_cannot_or_will_not_get_it(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER, first_name="first")
    added(api, list_id, phone_number=NUMBER, first_name="second")
    added(api, list_id, phone_number=OTHER)
    added(api, list_id, email="no.number@example.com")
    added(api, opt_out_list(api), phone_number=OTHER)
    row = order(api, list_id, "Hi (First Name)")
    assert (row["_total_count"], entries(api)) == (1, [-PRICE])
    ended(api, row)
    assert [one["body"] for one in messages(api, row)] == ["Hi first"]
    check_books(api, row)


def test_too_little_credit_sends_nothing(server: Running) -> None:
    api = server.account(credit=3 * PRICE - 1)
    list_id = made(api)
    bulk(api, list_id, range(3))
    answer = refused(api, list_id)
    assert (answer.status, answer.body["response_code"]) == (400, "INSUFFICIENT_CREDIT")
    assert (balance(api), entries(api), api.get("/sms-campaigns")["total"]) == (3 * PRICE - 1, [], 0)
    assert api.post("/sms-campaigns/price", {"list_id": list_id, "name": "x", "body": "x"})["total_count"] == 3
    ended(api, order(api, list_id, draft=1), "Draft")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"body": ""}, "body"),
        ({"body": "x" * 10_001}, "body"),
        ({"list_id": None}, "list_id"),
        ({"list_id": "x"}, "list_id"),
        ({"from": "more than eleven"}, "from"),
        ({"from": ["a"]}, "from"),
        ({"schedule": "tomorrow"}, "schedule"),
        ({"schedule": 4_000_000_000}, "schedule"),
        ({"schedule": -5}, "schedule"),
        ({"country": "XX"}, "country"),
        ({"draft": "maybe"}, "draft"),
        ({"senders": [{"recipient_country_code": "AU"}]}, "senders.0.sender_id"),
        ({"senders": [{"recipient_country_code": "AU", "sender_id": "more than eleven"}]}, "from"),
        ({"url_to_shorten": "https://example.com"}, "body"),
        ({"body": "See smsu.io/xxxxx"}, "url_to_shorten"),
        ({"body": "See smsu.io/xxxxx", "url_to_shorten": "javascript:alert(1)"}, "url_to_shorten"),
    ],
)
@pytest.mark.parametrize("kind", ["send", "price", "change"])
def test_what_is_wrong_is_said_and_costs_nothing(sqlite_server: Running, kind: str, wrong: Any, field: str) -> None:
    api = sqlite_server.account()
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    good = {"list_id": list_id, "name": "x", "body": "x"}
    if kind == "change":
        if None in wrong.values():
            return  # is as if it were not named
        row = order(api, list_id, schedule=later())
        answer = api.call("PUT", f"/sms-campaigns/{row['sms_campaign_id']}", wrong)
        assert view(api, row)["body"] == "Hello"
        assert entries(api) == [-PRICE]
    else:
        answer = api.call("POST", f"/sms-campaigns/{kind}", {**good, **wrong})
        assert (entries(api), api.get("/sms-campaigns")["total"]) == ([], 0)
    assert (answer.status, set(answer.data)) == (400, {field}), answer.raw


def test_lists_of_others_deleted_unknown_and_empty_ones(server: Running) -> None:
    api, other = server.account(), server.account()
    theirs, gone, empty = made(other), made(api), made(api)
    bulk(other, theirs, [1])
    bulk(api, gone, [1])
    api.delete(f"/lists/{gone}")
    for kind in ("send", "price"):
        for list_id in (theirs, gone, 10**9, -1, 0):
            answer = refused(api, list_id, kind=kind)
            assert (answer.status, answer.body["response_msg"]) == (404, "Your list is not found.")
    answer = refused(api, empty)
    assert (answer.status, answer.data) == (
        400,
        {"list_id": "No message can be sent to this list: it has no contacts."},
    )
    added(api, empty, phone_number=NUMBER)
    added(api, opt_out_list(api), phone_number=NUMBER)
    added(api, empty, email="jane@example.com")
    added(api, empty, fax_number="+61261111111")
    why = "No message can be sent to this list: 2 INVALID_RECIPIENT, 1 OPTED_OUT."
    assert refused(api, empty).data == {"list_id": why}
    assert api.post("/sms-campaigns/price", {"list_id": empty, "name": "x", "body": "x"})["total_count"] == 0


def test_a_scheduled_campaign_can_be_changed_and_cancelled(api: Api) -> None:
    list_id, other = made(api), made(api, "Others")
    bulk(api, list_id, range(2), first_name="Ann")
    bulk(api, other, range(3))
    before, at = balance(api), later()
    row = order(api, list_id, schedule=at)
    path = f"/sms-campaigns/{row['sms_campaign_id']}"
    assert (row["status"], row["schedule"], entries(api)) == ("Scheduled", str(at), [-2 * PRICE])
    bulk(api, list_id, [77])
    changed = api.put(path, {"name": "Awesome campaign."})
    assert changed == {**view(api, row), "name": "Awesome campaign.", "body": "Hello", "_total_count": 2}
    assert entries(api) == [-2 * PRICE]
    assert api.put(path, {"body": "x" * 161})["_total_count"] == 2
    assert entries(api) == [-2 * PRICE] * 2
    assert api.put(path, {"list_id": other, "from": "Heliograph"})["_list_name"] == "Others"
    assert balance(api) == before - 6 * PRICE
    assert api.put(path, {"body": "short", "schedule": str(at + 60)})["schedule"] == str(at + 60)
    assert balance(api) == before - 3 * PRICE
    stopped = api.put(f"{path}/cancel")
    assert (stopped["status"], stopped["from"], stopped["body"]) == ("Cancelled", "Heliograph", "short")
    assert (balance(api), messages(api, row)) == (before, [])
    for again in (api.call("PUT", f"{path}/cancel"), api.call("PUT", path, {"name": "x"})):
        assert (again.status, "Cancelled" in again.body["response_msg"]) == (400, True)
    check_books(api, row)


def test_a_draft_costs_nothing_until_it_is_started(api: Api) -> None:
    list_id = made(api)
    row = order(api, list_id, "Hi (First Name)", draft=1)
    path = f"/sms-campaigns/{row['sms_campaign_id']}"
    assert (row["status"], row["_total_count"], entries(api)) == ("Draft", 0, [])
    assert api.call("PUT", path, {"draft": 0}).status == 400
    bulk(api, list_id, range(2), first_name="Ann")
    assert api.put(path, {"name": "Ready", "draft": "1"})["status"] == "Draft"
    started = api.put(path, {"draft": 0})
    assert (started["status"], started["_total_count"], entries(api)) == ("Queued", 2, [-2 * PRICE])
    ended(api, row)
    assert [one["body"] for one in messages(api, row)] == ["Hi Ann"] * 2
    check_books(api, row)


def test_a_scheduled_campaign_can_become_a_draft_again_or_go_out_at_once(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, range(2))
    row = order(api, list_id, schedule=later())
    path = f"/sms-campaigns/{row['sms_campaign_id']}"
    assert api.put(path, {"draft": 1})["status"] == "Draft"
    assert sum(entries(api)) == 0
    assert api.put(path, {"draft": 0})["status"] == "Scheduled"
    assert api.put(path, {"schedule": 1})["status"] == "Queued"
    ended(api, row)
    assert len(messages(api, row)) == 2
    check_books(api, row)
    answer = api.call("PUT", path, {"name": "x"})
    assert (answer.status, "Sent" in answer.body["response_msg"]) == (400, True)
    assert api.call("PUT", f"{path}/cancel").status == 400


def test_a_change_that_cannot_be_paid_changes_nothing(server: Running) -> None:
    api = server.account(credit=3 * PRICE)
    list_id = made(api)
    bulk(api, list_id, range(2))
    row = order(api, list_id, schedule=later())
    answer = api.call("PUT", f"/sms-campaigns/{row['sms_campaign_id']}", {"body": "x" * 161, "name": "Longer"})
    assert (answer.status, answer.body["response_code"]) == (400, "INSUFFICIENT_CREDIT")
    assert (view(api, row)["name"], balance(api)) == ("My Campaign", PRICE)


def test_the_list_of_campaigns(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, range(1))
    names = ["Alpha", "beta", "Gamma, with comma"]
    keys = [order(api, list_id, f"body {name}", name=name, draft=1)["sms_campaign_id"] for name in names]
    assert (
        order(api, list_id, schedule=later(), name="Later", source="web", custom_string="ref")["status"] == "Scheduled"
    )
    page = api.get("/sms-campaigns")
    assert (page["total"], page["per_page"], page["current_page"], page["last_page"]) == (4, 15, 1, 1)
    assert [one["sms_campaign_id"] for one in page["data"]][:3] == keys
    assert page["data"][0]["ip_address"] == "127.0.0.1"

    def found(query: str) -> list[str]:
        return [one["name"] for one in api.get(f"/sms-campaigns?{query}")["data"]]

    assert found("order_by=name:desc")[-1] == "Alpha"
    assert found("order_by=date_added:desc") == ["Later", *reversed(names)]
    assert found("q=status:scheduled") == ["Later"]
    assert found("q=name:b*") == ["beta"]
    assert found("q=body:*comma*") == ["Gamma, with comma"]
    assert found(f"q=sms_campaign_id:{keys[1]}") == ["beta"]
    assert found("q=source:web,custom_string:ref") == ["Later"]
    assert found(f"q=list_id:{list_id}&limit=15&page=2") == []
    assert found("q=unsubscribe_link:0,url_to_shorten:") == [*names, "Later"]
    assert found("q=from:*&order_by=schedule:desc")[0] == "Later"
    assert found(f"date_from={later()}") == []
    assert len(found(f"date_from={later(-600)}&date_to={later()}")) == 4
    for query in ("q=unknown:x", "order_by=price"):
        assert api.call("GET", f"/sms-campaigns?{query}").status == 200
    assert api.call("GET", "/sms-campaigns?date_from=x").status == 400


def test_campaigns_of_others_and_unknown_ones(server: Running) -> None:
    api, other = server.account(), server.account()
    list_id = made(other)
    bulk(other, list_id, [1])
    theirs = order(other, list_id, draft=1)["sms_campaign_id"]
    for key in (theirs, 10**9, 0, "x", "-1", "9" * 30):
        for method, path, body in (
            ("GET", f"/sms-campaigns/{key}", None),
            ("PUT", f"/sms-campaigns/{key}", {"name": "mine"}),
            ("PUT", f"/sms-campaigns/{key}/cancel", None),
        ):
            assert api.call(method, path, body).status == 404, (method, path)
    assert view(other, theirs)["name"] == "My Campaign"


def test_subaccounts_see_what_they_may(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, [1])
    alone, sharing = api.subaccount(sms=1, contacts=1), api.subaccount(sms=1, contacts=1)
    api.put(f"/subaccounts/{sharing.subaccount_id}", {"share_campaigns": 1})
    mine, own = order(api, list_id, draft=1), order(alone, list_id, draft=1)
    keys = {mine["sms_campaign_id"], own["sms_campaign_id"]}
    assert own["subaccount_id"] == alone.subaccount_id
    for who, seen in ((api, keys), (sharing, keys), (alone, {own["sms_campaign_id"]})):
        assert {one["sms_campaign_id"] for one in who.get("/sms-campaigns")["data"]} == seen
        for key in keys:
            found = 200 if key in seen else 404
            assert who.call("GET", f"/sms-campaigns/{key}").status == found
            assert who.call("PUT", f"/sms-campaigns/{key}", {"name": "x"}).status == found
    assert alone.call("PUT", f"/sms-campaigns/{mine['sms_campaign_id']}/cancel").status == 404
    blind = api.subaccount(sms=1)
    for answer in (
        refused(blind, list_id),
        refused(blind, list_id, kind="price"),
        blind.call("PUT", f"/sms-campaigns/{mine['sms_campaign_id']}", {"name": "x"}),
    ):
        assert answer.status in (403, 404)
    assert refused(blind, list_id).status == 403
    assert api.subaccount(contacts=1).call("GET", "/sms-campaigns").status == 403


def test_an_idempotent_order_happens_once_even_when_its_list_is_gone(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, range(2))
    body, header = {"list_id": list_id, "name": "once", "body": "x"}, {"Idempotency-Key": f"campaign {list_id}"}
    first = api.call("POST", "/sms-campaigns/send", body, header)
    ended(api, first.data)
    api.delete(f"/lists/{list_id}")
    assert api.call("POST", "/sms-campaigns/send", body, header).raw == first.raw
    assert (api.get("/sms-campaigns")["total"], entries(api)) == (1, [-2 * PRICE])


def test_senders_for_countries(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    added(api, list_id, phone_number="+64211111111")
    senders = [{"recipient_country_code": "nz", "sender_id": "Kiwi", "sender_type": "alpha_tag"}]
    row = order(api, list_id, senders=senders, **{"from": "Aussie"})
    assert row["senders"] == [{**senders[0], "sender_country_code": ""}]
    ended(api, row)
    assert [one["sender"] for one in messages(api, row)] == ["Aussie", "Kiwi"]
    check_books(api, row)


def test_a_name_that_looks_like_a_placeholder_or_a_link_is_a_name(api: Api) -> None:
    list_id = made(api)
    names = ("(Last Name)", "{FirstName}", "smsu.io/xxxxx", "StopMsg.me/xxxxx", "\\g<0> \\1")
    for number, name in enumerate(names):
        added(api, list_id, phone_number=f"+6149157{number:04}", first_name=name, last_name="Example")
    row = order(api, list_id, "Hi (First Name)")
    ended(api, row)
    assert [one["body"] for one in messages(api, row)] == [f"Hi {name}" for name in names]
    check_books(api, row)


def test_who_says_no_before_a_scheduled_campaign_is_sent_gets_nothing(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    added(api, list_id, phone_number=OTHER)
    row = order(api, list_id, schedule=later())
    added(api, opt_out_list(api), phone_number=OTHER)
    api.put(f"/sms-campaigns/{row['sms_campaign_id']}", {"schedule": 0, "name": "Now"})
    ended(api, row)
    assert [one["recipient"] for one in messages(api, row)] == [NUMBER]
    check_books(api, row)
    again = order(api, list_id)
    assert again["_total_count"] == 1


@pytest.fixture
def refusing(server: Running) -> Iterator[Carrier]:
    """The only way out: a carrier that takes nothing at the moment."""
    before, made = server.house.router, Carrier(server)
    made.answer = lambda _: Retry(after=600.0, why="not now")
    made.carry("sms")
    yield made
    server.house.router = before


def test_a_campaign_that_is_stopped_while_its_messages_wait_gives_all_back(api: Api, refusing: Carrier) -> None:
    list_id = made(api)
    bulk(api, list_id, range(700))
    before = balance(api)
    row = order(api, list_id)
    path = f"/sms-campaigns/{row['sms_campaign_id']}"
    api.until(lambda: len(messages(api, row)) == 700)
    assert view(api, row)["status"] == "Sending"
    assert api.call("PUT", path, {"name": "x"}).status == 400
    assert api.put(f"{path}/cancel")["status"] == "Cancelled"
    api.until(lambda: {one["status"] for one in messages(api, row)} == {"Cancelled"})
    assert balance(api) == before
    check_books(api, row)
