"""Packages that make messages cheaper: for the account that bought one, until it buys another. Source: facts I9."""

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from heliograph.billing import payments, tariff
from support.server import Api, Running

PACKAGES = 'packages = { 1 = "20.00", 2 = { price = "50.00", discount = 10 }, 3 = { price = "100.00", discount = 50 } }'
CARD = {"number": "4242424242424242", "expiry_month": 5, "expiry_year": 2099, "cvc": "123"}
MESSAGE = {"messages": [{"to": "+61491570006", "body": "Hello"}]}


def rates(packages: str = PACKAGES) -> str:
    """The rates that come with the program, with other packages."""
    text = files("heliograph.billing").joinpath("rates.toml").read_text(encoding="utf-8")
    return re.sub("(?m)^packages = .*$", packages, text)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Its rates are no other test's."""
    running = Running(tmp_path_factory.mktemp("discounts"))
    yield running
    running.stop()


@pytest.fixture
def buyer(own_server: Running) -> Iterator[Api]:
    own_server.write(lambda tx: tariff.import_rates(tx, rates()))
    made = own_server.account()
    made.put("/recharge/credit-card", {**CARD, "name": "Roland Robot", "bank_name": "Robotic Banking"})
    yield made
    own_server.close_clients()


def price(api: Api) -> Any:
    return api.post("/sms/price", MESSAGE)["total_price"]


def test_messages_cost_what_the_last_package_says(buyer: Api) -> None:
    assert price(buyer) == 0.0715
    for package, expected in ((3, 0.03575), (2, 0.06435), (1, 0.0715), (3, 0.03575)):
        buyer.put(f"/recharge/purchase/{package}")
        assert price(buyer) == expected
    before = float(buyer.get("/account")["balance"])
    sent = buyer.send("+61491570006")
    assert float(buyer.history(sent["message_id"])["message_price"]) == 0.03575
    assert float(buyer.get("/account")["balance"]) == pytest.approx(before - 0.03575)


def test_each_package_shows_its_prices(buyer: Api) -> None:
    shown = buyer.get("/recharge/packages")["packages"]
    assert [(one["sms_price"], one["sms_quantity"]) for one in shown] == [
        (0.0715, 279),
        (0.06435, 777),
        (0.03575, 2797),
    ]
    buyer.put("/recharge/purchase/3")
    assert buyer.get("/recharge/packages")["packages"] == shown


def test_automatic_recharges_keep_the_prices(buyer: Api) -> None:
    buyer.put("/recharge/purchase/2")
    enough = {"auto_recharge": 1, "auto_recharge_amount": 600, "low_credit_amount": 500}
    buyer.put("/recharge/auto-recharge", enough)  # the server's own duty finds nothing more to recharge
    buyer.server.write(lambda tx: payments.recharge_all(tx, "manual"))
    buyer.until(lambda: buyer.get("/recharge/transactions")["total"] == 2)
    assert price(buyer) == 0.06435


def test_a_declined_or_refunded_purchase_changes_no_price(buyer: Api) -> None:
    buyer.put("/recharge/purchase/2")
    buyer.put("/recharge/purchase/3")
    newest = buyer.get("/recharge/transactions")["data"][0]["invoice_number"]
    buyer.server.call(lambda: buyer.server.house.cashier.refund(newest))
    assert price(buyer) == 0.06435
    buyer.put("/recharge/credit-card", {**CARD, "number": "4000000000000341", "name": "R", "bank_name": "B"})
    assert buyer.call("PUT", "/recharge/purchase/3").status == 400
    assert price(buyer) == 0.06435


def test_other_rates_count_at_once(buyer: Api, own_server: Running) -> None:
    buyer.put("/recharge/purchase/3")
    other = PACKAGES.replace("50 }", "20 }")
    own_server.write(lambda tx: tariff.import_rates(tx, rates(other)))
    assert price(buyer) == 0.0572


def test_numbers_cost_the_same_for_all(buyer: Api) -> None:
    buyer.put("/recharge/purchase/3")
    wanted = buyer.get("/numbers/search/AU")["data"][0]
    assert buyer.post(f"/numbers/buy/{wanted['dedicated_number']}")["price_total"] == "24.67"


def test_a_client_pays_the_margin_on_what_is_left(buyer: Api, own_server: Running) -> None:
    person = {"user_email": "c@example.com", "user_phone": "+61411111111", "user_first_name": "C", "country": "AU"}
    more = {"user_last_name": "D", "account_name": "E", "password": "pass", "username": f"{buyer.username}.client"}
    made = buyer.post("/reseller/accounts", {**person, **more})
    client = own_server.client(made["username"], made["_subaccount"]["api_key"], made["user_id"])
    buyer.put("/reseller/settings", {"margin_percent": 100})
    client.put("/recharge/credit-card", {**CARD, "name": "Roland Robot", "bank_name": "Robotic Banking"})
    client.put("/recharge/purchase/3")
    client.send("+61491570006")
    assert float(client.get("/account")["balance"]) == pytest.approx(100 - 0.0715)
    assert buyer.get("/account")["balance_commission"] == "0.035750"
