"""Resellers: their clients, nobody else's; credit that moves and is neither made nor lost; what a margin earns."""

import itertools
import time
from typing import Any

import pytest

from heliograph.billing import ledger
from heliograph.db.tables import ACCESS_FLAGS
from support.server import ONE_DATABASE, Api, Running

_names = itertools.count(time.time_ns())
PERSON = {
    "user_email": "c@example.com",
    "user_phone": "+61411111111",
    "user_first_name": "C",
    "user_last_name": "D",
    "account_name": "E",
    "country": "AU",
    "password": "pass",
}


def client_of(reseller: Api, **more: Any) -> Api:
    """A client for a new client account of a reseller."""
    made = reseller.post("/reseller/accounts", {**PERSON, "username": f"client{next(_names)}", **more})
    return reseller.server.client(made["_subaccount"]["api_username"], made["_subaccount"]["api_key"], made["user_id"])


def balance(api: Api) -> float:
    return float(api.get("/account")["balance"])


def transfer(reseller: Api, client: Api, amount: Any, currency: Any = "AUD") -> Any:
    return reseller.call(
        "PUT", "/reseller/transfer-credit", {"client_user_id": client.user_id, "balance": amount, "currency": currency}
    )


def test_a_client_is_an_account_without_credit_that_cannot_resell(api: Api) -> None:
    client = client_of(api)
    account = client.get("/account")
    assert (account["active"], account["balance"]) == (1, "0.000000")
    flags = {flag for flag in ACCESS_FLAGS if account["_subaccount"][f"access_{flag}"]}
    assert flags == set(ACCESS_FLAGS) - {"reseller"}
    assert client.call("GET", "/reseller/accounts").status == 403
    assert client.send("+61491570006")["status"] == "INSUFFICIENT_CREDIT"


def test_credit_moves_between_both_ledgers(api: Api) -> None:
    client = client_of(api)
    answer = transfer(api, client, "12")
    assert (answer.status, answer.data["user_id"], answer.data["balance"]) == (200, client.user_id, "12.000000")
    assert (balance(api), balance(client)) == (88.0, 12.0)
    for one, micros, other in ((api, -12_000_000, client), (client, 12_000_000, api)):
        entry = one.server.read(lambda tx, one=one: ledger.entries(tx, one.user_id))[-1]
        assert (entry["kind"], entry["micros"]) == ("transfer", micros)
        assert str(other.user_id) in str(entry["reference"])
    assert client.send("+61491570006")["status"] == "SUCCESS"


def test_other_currencies_are_converted(server: Running) -> None:
    """A US dollar is 1.52 Australian ones in the rates that come with the program."""
    reseller = server.account()
    client = client_of(reseller, country="US", user_phone="518-481-1002")
    assert transfer(reseller, client, 10, "usd").status == 200
    assert (balance(reseller), balance(client)) == (84.8, 10.0)
    assert transfer(reseller, client, 10, "AUD").status == 200
    assert (balance(reseller), balance(client)) == (74.8, 16.578947)


@ONE_DATABASE
@pytest.mark.parametrize(
    "amount", [0, -5, "-5", 1.5, "1.5", "", None, "ten", True, [], 10**10, "1e400", float("1e300")]
)
def test_amounts_that_are_no_whole_positive_numbers(api: Api, amount: Any) -> None:
    client = client_of(api)
    answer = transfer(api, client, amount)
    assert (answer.status, set(answer.data)) == (400, {"balance"})
    assert (balance(api), balance(client)) == (100.0, 0.0)


@pytest.mark.parametrize("currency", ["", None, "dollar", 5, "XXX", "THB", "AU$", "ÄUD"])
def test_currencies_that_cannot_be_converted(api: Api, currency: Any) -> None:
    client = client_of(api)
    answer = transfer(api, client, 1, currency)
    assert (answer.status, set(answer.data)) == (400, {"currency"})
    assert (balance(api), balance(client)) == (100.0, 0.0)


def test_more_than_there_is_does_not_move(api: Api) -> None:
    client = client_of(api)
    answer = transfer(api, client, 101)
    assert (answer.status, answer.body["response_code"], answer.data) == (400, "INSUFFICIENT_CREDIT", None)
    assert (balance(api), balance(client)) == (100.0, 0.0)


def test_a_transfer_with_a_key_moves_once(api: Api) -> None:
    client = client_of(api)
    body = {"client_user_id": client.user_id, "balance": 7, "currency": "AUD"}
    for _ in range(2):
        assert api.call("PUT", "/reseller/transfer-credit", body, {"Idempotency-Key": "once"}).status == 200
    assert balance(client) == 7.0


def test_another_resellers_client_does_not_exist(server: Running, api: Api) -> None:
    foreign = client_of(server.account())
    stranger = server.account()
    for user_id in (foreign.user_id, stranger.user_id, api.user_id, 0, "nonsense", 10**30):
        for method, body in (("GET", None), ("PUT", {"account_name": "mine"})):
            answer = api.call(method, f"/reseller/accounts/{user_id}", body)
            assert (answer.status, answer.body["response_code"]) == (404, "NOT_FOUND")
    for other in (foreign, stranger, api):
        assert transfer(api, other, 1).status == 404
    assert api.get("/reseller/accounts")["total"] == 0
    assert foreign.get("/account")["account_name"] == "E"


def test_an_update_changes_what_it_names(api: Api) -> None:
    client = client_of(api)
    path = f"/reseller/accounts/{client.user_id}"
    name = f"renamed{next(_names)}"
    changed = api.put(path, {"username": name.upper(), "account_name": "New", "password": "other", "country": "us"})
    assert (changed["username"], changed["account_name"], changed["country"]) == (name, "New", "US")
    assert (changed["user_email"], changed["_currency"]["currency_name_short"]) == ("c@example.com", "AUD")
    assert client.get("/account")["username"] == name
    assert api.server.client(name, "other").call("GET", "/account").status == 200
    assert api.put(path, {"username": client.username})["username"] == client.username
    taken = api.call("PUT", path, {"username": api.username})
    assert (taken.status, set(taken.data)) == (400, {"username"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "a b"),
        ("password", "123"),
        ("user_email", "nobody"),
        ("user_phone", "12"),
        ("country", "Australia"),
        ("country", "ÄÖ"),
        ("account_name", []),
        ("account_name", "n" * 201),
        ("user_first_name", "n" * 201),
        ("user_last_name", " \u2003 "),
        ("user_first_name", {}),
        ("user_last_name", "\x00"),
    ],
)
def test_bad_values_of_a_client_are_refused_by_name(api: Api, field: str, value: Any) -> None:
    client = client_of(api)
    created = api.call("POST", "/reseller/accounts", {**PERSON, "username": f"client{next(_names)}", field: value})
    changed = api.call("PUT", f"/reseller/accounts/{client.user_id}", {field: value})
    for answer in (created, changed):
        assert answer.status == 400
        assert field in answer.data


def test_clients_are_listed_searched_and_sorted(api: Api) -> None:
    first, second = client_of(api, account_name="Alpha"), client_of(api, account_name="Beta")
    listed = api.get("/reseller/accounts")
    assert [one["user_id"] for one in listed["data"]] == [first.user_id, second.user_id]
    assert listed["data"][0]["_subaccount"]["api_key"] == first.key
    assert [one["account_name"] for one in api.get("/reseller/accounts?q=account_name:b*")["data"]] == ["Beta"]
    assert api.get("/reseller/accounts?order_by=account_name:desc")["data"][0]["user_id"] == second.user_id


def test_a_margin_is_on_every_price_and_earned_on_every_send(api: Api) -> None:
    client = client_of(api)
    transfer(api, client, 10)
    assert api.put("/reseller/settings", {"margin_percent": "25"}) == {"margin_percent": 25}
    message = {"messages": [{"to": "+61491570006", "body": "Hello"}]}
    assert client.post("/sms/price", message)["total_price"] == pytest.approx(0.0715 * 1.25)
    sent = client.send("+61491570006")
    assert client.history(sent["message_id"])["message_price"] == "0.089375"
    assert balance(client) == pytest.approx(10 - 0.089375)
    assert api.get("/account")["balance_commission"] == "0.017875"
    assert api.post("/sms/price", message)["total_price"] == 0.0715
    package = client.get("/recharge/packages")["packages"][0]
    assert (package["sms_price"], package["sms_quantity"]) == (0.089375, 223)


def test_what_is_refunded_is_not_earned(api: Api) -> None:
    """Neither by cancelling nor by raising the margin before it."""
    client = client_of(api)
    transfer(api, client, 10)
    api.put("/reseller/settings", {"margin_percent": 10})
    later = int(time.time()) + 600
    kept = client.send("+61491570006", "kept", schedule=later)
    gone = [client.send("+61491570006", f"gone {number}", schedule=later) for number in range(3)]
    assert api.get("/account")["balance_commission"] == "0.028600"
    for one in gone:
        client.put(f"/sms/{one['message_id']}/cancel")
    assert api.get("/account")["balance_commission"] == "0.007150"
    api.put("/reseller/settings", {"margin_percent": 100})
    client.send("+61491570006", "dear")
    client.put(f"/sms/{kept['message_id']}/cancel")
    assert float(api.get("/account")["balance_commission"]) <= 0.0715


@pytest.mark.parametrize("value", [-1, 1001, "much", None, 1.5, [], 10**20])
def test_margins_that_are_refused(api: Api, value: Any) -> None:
    answer = api.call("PUT", "/reseller/settings", {"margin_percent": value})
    assert (answer.status, set(answer.data)) == (400, {"margin_percent"})
    assert api.get("/reseller/settings") == {"margin_percent": 0}
