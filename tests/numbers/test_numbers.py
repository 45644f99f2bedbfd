"""Dedicated numbers through the API: found, bought once, used at once as sender and for what arrives."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from heliograph import phone
from heliograph.messaging.events import StoredEvents
from heliograph.numbers import number
from heliograph.numbers.supply import Pool
from heliograph.transports.base import Inbound
from support.server import Api, Running


def search(api: Api, country: str = "AU", **query: Any) -> Any:
    return api.get(f"/numbers/search/{country}?" + "&".join(f"{name}={quote(str(v))}" for name, v in query.items()))


def free(api: Api, country: str = "AU") -> str:
    return str(search(api, country)["data"][0]["dedicated_number"])


def buy(api: Api, wanted: str) -> Any:
    return api.post(f"/numbers/buy/{quote(wanted)}")


def balance(api: Api) -> float:
    return float(api.get("/account")["balance"])


def arrive(server: Running, sender: str, recipient: str, body: str) -> None:
    """A message from a carrier."""
    arrived = Inbound(
        transport="test", channel="sms", sender=sender, recipient=recipient, body=body, at=int(time.time())
    )
    events = StoredEvents(server.house.database, server.house.hooks)
    server.call(lambda: events.on_inbound(arrived))


def test_numbers_are_found_by_their_digits(api: Api) -> None:
    every = search(api)
    assert every["total"] > 100
    some = every["data"][3]["dedicated_number"]
    national = "0" + some[3:]
    for text, place in ((some[:9], 0), (some[1:9], ""), (national[:7], 0), (some[5:11], 1), (some[-3:], 2)):
        found = search(api, search=text, search_type=place)
        assert found["total"] >= 1
        assert some in {one["dedicated_number"] for one in api_pages(api, text, place)}
    assert search(api, search=some[-3:], search_type=0)["total"] == 0
    assert search(api, search=some, search_type=2)["total"] == 1


def api_pages(api: Api, text: str, place: Any) -> Iterator[Any]:
    page = 1
    while True:
        found = search(api, search=text, search_type=place, limit=100, page=page)
        yield from found["data"]
        page += 1
        if not found["next_page_url"]:
            return


def test_pages_show_each_number_once(api: Api) -> None:
    numbers = [one["dedicated_number"] for one in api_pages(api, "", 0)]
    assert len(numbers) == len(set(numbers)) == search(api)["total"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("XX", "country"),
        ("Australia", "country"),
        ("AU?search=abc", "search"),
        ("AU?search=" + "1" * 21, "search"),
        ("AU?search=%25", "search"),
        ("AU?search=%D9%A1", "search"),
        ("AU?search_type=3", "search_type"),
        ("AU?search_type=x", "search_type"),
        ("AU?page=x", "page"),
    ],
)
def test_bad_searches(api: Api, path: str, field: str) -> None:
    answer = api.call("GET", f"/numbers/search/{path}")
    assert (answer.status, set(answer.data)) == (400, {field})


def test_a_bought_number_is_paid_listed_and_gone_from_the_search(api: Api) -> None:
    wanted = free(api)
    offer = search(api, search=wanted)["data"][0]
    bought = buy(api, wanted)
    assert (bought["dedicated_number"], bought["country"]) == (wanted, "AU")
    assert float(bought["price_total"]) == float(offer["price_total"]) == 6.08 + 18.59
    assert balance(api) == pytest.approx(100 - 24.67)
    (row,) = api.get("/numbers?q=country:au,price:18.59")["data"]
    assert row == {"dedicated_number": wanted, "country": "AU", "price": "18.59", "_country_name": "Australia"}
    assert search(api, search=wanted)["total"] == 0


def test_a_number_is_sold_once(server: Running, api: Api) -> None:
    wanted = free(api)
    buy(api, wanted)
    again = api.call("POST", f"/numbers/buy/{quote(wanted)}")
    assert (again.status, again.body["response_code"]) == (400, "ALREADY_EXISTS")
    other = server.account()
    assert other.call("POST", f"/numbers/buy/{wanted[1:]}").status == 404
    assert (balance(api), balance(other)) == (pytest.approx(75.33), 100.0)
    assert other.get("/numbers")["total"] == 0


def test_a_purchase_with_a_key_is_made_once(api: Api) -> None:
    path = f"/numbers/buy/{quote(free(api))}"
    answers = [api.call("POST", path, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].raw == answers[1].raw
    assert balance(api) == pytest.approx(75.33)


def test_without_credit_nothing_is_sold(server: Running) -> None:
    poor = server.account(credit=24_669_999)
    wanted = free(poor)
    answer = poor.call("POST", f"/numbers/buy/{quote(wanted)}")
    assert (answer.status, answer.body["response_code"]) == (400, "INSUFFICIENT_CREDIT")
    assert poor.get("/numbers")["total"] == 0
    assert search(poor, search=wanted)["total"] == 1


@pytest.mark.parametrize("wanted", ["+61411111111", "+61481074190", "+61491570006", "nonsense", "0", "%00", "1" * 40])
def test_what_is_not_for_sale(api: Api, wanted: str) -> None:
    """Test numbers, the house's shared ones, and what no supply has."""
    assert api.call("POST", f"/numbers/buy/{quote(wanted, safe='%')}").status == 404


def test_it_is_the_sender_when_none_is_named(api: Api) -> None:
    american, australian = free(api, "US"), free(api)
    buy(api, american)
    assert api.send("+61491570006", "from afar")["from"] == american
    buy(api, australian)
    assert api.send("+61491570006", "from near")["from"] == australian
    assert api.send("+14155550123", "from near")["from"] == american
    assert api.send("+61491570006", "named", **{"from": "Robot"})["from"] == "Robot"


def test_it_is_nobody_elses_sender(server: Running, api: Api) -> None:
    mine = free(api)
    buy(api, mine)
    other = server.account()
    before = balance(other)
    for sender in (mine, mine[1:], "0" + mine[3:]):
        given = [
            {"to": "+61491570006", "body": sender, "from": sender},
            {"to": "+61491570006", "body": f"{sender} too"},
        ]
        for path in ("/sms/send", "/sms/price"):
            fates = other.post(path, {"messages": given})["messages"]
            assert [one["status"] for one in fates] == ["INVALID_SENDER_ID", "SUCCESS"]
        assert api.send("+61491570006", f"mine {sender}", **{"from": sender})["status"] == "SUCCESS"
    assert balance(other) == pytest.approx(before - 3 * 0.0715)


def test_what_arrives_is_its_owners(server: Running, api: Api) -> None:
    """Also when it answers nothing, and when somebody else has sent from this number."""
    api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    sub = api.subaccount(billing=1, sms=1)
    wanted = free(api)
    buy(sub, wanted)
    stranger = server.account()
    stranger.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    stranger.send("+61491570156", "I am not the owner", **{"from": wanted})
    arrive(server, "+61491570156", wanted, "Who is there?")
    (first,) = api.get("/sms/inbound")["data"]
    assert (first["body"], first["to"], first["original_message_id"]) == ("Who is there?", wanted, "")
    assert stranger.get("/sms/inbound")["total"] == 0
    sent = api.send("+61491570156", "It is me")
    arrive(server, "61491570156", wanted[1:], "Hello")
    last = next(one for one in api.get("/sms/inbound")["data"] if one["body"] == "Hello")
    assert (last["original_message_id"], last["original_body"]) == (sent["message_id"], "It is me")


@pytest.mark.parametrize(
    ("sent", "writes"),
    [
        ("+5491123456789", "541123456789"),
        ("+541123456789", "5491123456789"),
        ("+525512345678", "5215512345678"),
        ("+5511987654321", "551187654321"),
    ],
)
def test_who_writes_under_the_other_spelling_is_the_same_subscriber(
    server: Running, api: Api, sent: str, writes: str
) -> None:
    """An answer finds its message; STOP moves the contact, and nothing more is sent to the list's spelling."""
    api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    list_id = api.post("/lists", {"list_name": "Both"})["list_id"]
    api.post(f"/lists/{list_id}/contacts", {"phone_number": sent})
    first = api.send(sent, "Are you there?")
    assert first["to"] == sent
    arrive(server, writes, first["from"].removeprefix("+"), "Yes")
    (answer,) = api.get("/sms/inbound")["data"]
    assert (answer["original_message_id"], answer["original_body"]) == (first["message_id"], "Are you there?")
    (entry,) = api.post("/sms/send", {"messages": [{"list_id": list_id, "body": "To all"}]})["messages"]
    arrive(server, writes, entry["from"], "STOP")
    said_no = api.get("/lists")["data"][0]["list_id"]
    assert [api.get(f"/lists/{one}")["_contacts_count"] for one in (list_id, said_no)] == [0, 1]
    for spelling in (sent, "+" + writes):
        api.post(f"/lists/{list_id}/contacts", {"phone_number": spelling})
    both = api.post("/sms/send", {"messages": [{"list_id": list_id, "body": "Again"}]})["messages"]
    assert [one["status"] for one in both] == ["OPTED_OUT", "OPTED_OUT"]
    assert api.put(f"/lists/{list_id}/remove-duplicates", {"fields": ["phone_number"]})
    assert api.get(f"/lists/{list_id}")["_contacts_count"] == 1


def test_a_dedicated_number_is_its_owners_in_both_spellings(server: Running, api: Api) -> None:
    api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    wanted = free(api, "AR")
    buy(api, wanted)
    (other,) = phone.spellings(wanted) - {wanted}
    arrive(server, "+61491570156", other, "Hola")
    assert [one["body"] for one in api.get("/sms/inbound")["data"]] == ["Hola"]
    stranger = server.account()
    assert stranger.send("+61491570156", "x", **{"from": other})["status"] == "INVALID_SENDER_ID"


def test_a_released_number_receives_for_nobody_until_it_is_sold_again(server: Running) -> None:
    """Although its last owner has sent from it to whoever writes now."""
    first, second = server.account(credit=25_000_000), server.account()
    for one in (first, second):
        one.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    wanted = free(first)
    buy(first, wanted)
    first.send("+61491570156", "Mine", **{"from": wanted})
    arrive(server, "+61491570156", wanted, "one")
    server.write(
        lambda tx: tx.driver("UPDATE owned_numbers SET due_at = 0, unpaid_since = 1 WHERE number = ?", [wanted])
    )
    server.write(lambda tx: number.renew_due(tx, 7))
    assert first.get("/numbers")["total"] == 0
    arrive(server, "+61491570156", wanted, "two")
    assert [one["body"] for one in first.get("/sms/inbound")["data"]] == ["one"]
    assert first.send("+61491570156", "Whose?")["from"] != wanted
    buy(second, wanted)
    arrive(server, "+61491570156", wanted, "three")
    assert [one["body"] for one in second.get("/sms/inbound")["data"]] == ["three"]
    assert [one["body"] for one in first.get("/sms/inbound")["data"]] == ["one"]


def test_a_number_of_the_pool_receives_for_nobody_before_it_is_sold(server: Running, api: Api) -> None:
    """Whoever sends from it without having bought it gets no replies."""
    api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    pooled = phone.exact("+6785915000")
    assert pooled
    server.write(lambda tx: Pool.add(tx, [pooled]))
    api.send("+61491570156", "Mine?", **{"from": pooled.number})
    arrive(server, "+61491570156", pooled.number, "No")
    assert api.get("/sms/inbound")["total"] == 0


def test_a_reply_of_the_sandbox_comes_to_it(api: Api) -> None:
    api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    wanted = free(api)
    buy(api, wanted)
    api.send("+61491999007", "Say it again")
    (row,) = api.until(lambda: api.get("/sms/inbound")["data"])
    assert (row["to"], row["body"]) == (wanted, "Say it again")


def test_the_operators_pool_comes_first(server: Running, api: Api) -> None:
    mine = [known for number in ("+6785911000", "+6785911001") if (known := phone.exact(number))]
    assert len(mine) == 2
    assert server.write(lambda tx: Pool.add(tx, mine + mine)) == 2
    assert server.write(lambda tx: Pool.add(tx, mine)) == 0
    before = search(api, "VU")
    assert [one["dedicated_number"] for one in before["data"][:2]] == ["+6785911000", "+6785911001"]
    second = search(api, "VU", page=2)["data"]
    assert second[0]["dedicated_number"] not in {one["dedicated_number"] for one in before["data"]}
    assert search(api, "VU", search="5911001")["total"] == 1
    assert search(api, "VU", search="591100", search_type=1)["total"] == 2
    buy(api, "+6785911000")
    after = search(api, "VU")
    assert (after["total"], after["data"][0]["dedicated_number"]) == (before["total"] - 1, "+6785911001")


def test_a_client_pays_its_resellers_margin(api: Api) -> None:
    person = {"user_email": "c@example.com", "user_phone": "+61411111111", "user_first_name": "C", "country": "AU"}
    more = {"user_last_name": "D", "account_name": "E", "password": "pass", "username": f"client{time.time_ns()}"}
    made = api.post("/reseller/accounts", {**person, **more})
    client = api.server.client(made["username"], made["_subaccount"]["api_key"], made["user_id"])
    api.put("/reseller/transfer-credit", {"client_user_id": client.user_id, "balance": 60, "currency": "AUD"})
    api.put("/reseller/settings", {"margin_percent": 100})
    assert buy(client, free(client))["price_total"] == "49.34"
    assert balance(client) == pytest.approx(60 - 49.34)
    assert api.get("/account")["balance_commission"] == "24.670000"


def test_months_end_where_the_calendar_says() -> None:
    assert number.months_after(1_738_281_600, 1) == 1_740_700_800  # 31 January 2025 to 28 February
    assert number.months_after(1_738_281_600, 2) == 1_743_379_200  # to 31 March
    assert number.months_after(1_738_281_600, 13) == 1_772_236_800  # to 28 February of the next year
