"""What production mode is careful with until its operator says otherwise: strangers, credit, passwords, messages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.accounts import passwords
from support.server import Answer, Running

REGISTRATION = {
    "username": "jane.doe",
    "password": "a long sentence",
    "user_phone": "+61411111111",
    "user_email": "jane@example.com",
    "user_first_name": "Jane",
    "user_last_name": "Doe",
    "account_name": "Doe",
    "country": "AU",
}


def production(folder: Path, **options: Any) -> Running:
    return Running(folder, mode="production", secret="x" * 40, role="api", **options)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Running]:
    server = production(tmp_path)
    yield server
    server.close_clients()
    server.stop()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Running]:
    server = production(tmp_path, registration="open", codes_per_number=2, codes_per_day=3, codes_per_address=5)
    yield server
    server.close_clients()
    server.stop()


def register(server: Running, **changed: str) -> Answer:
    return server.client("", "").call("POST", "/account", {**REGISTRATION, **changed})


def test_strangers_make_no_accounts(closed: Running) -> None:
    answer = register(closed)
    assert (answer.status, answer.body["response_code"]) == (403, "FORBIDDEN")
    assert "operator" in answer.body["response_msg"]


def test_an_opened_house_gives_no_credit(opened: Running) -> None:
    assert register(opened).data["balance"] == "0.000000"


def test_a_sandbox_can_be_closed_too(tmp_path: Path) -> None:
    server = Running(tmp_path, registration="closed", role="api")
    assert register(server).status == 403
    server.close_clients()
    server.stop()


@pytest.mark.parametrize("password", ["1234", "7 chars", "password", "PassWord", " password ", "12345678", "football1"])
def test_production_takes_no_weak_password(opened: Running, password: str) -> None:
    """At every place where one is set."""
    api = opened.account()
    sub = {"api_username": "sub", "password": password, "email": "s@example.com", "phone_number": "+61411111111"}
    sub |= {"first_name": "S", "last_name": "S"}
    places = [
        register(opened, password=password),
        api.call("POST", "/subaccounts", sub),
        api.call("POST", "/reseller/accounts", {**REGISTRATION, "password": password}),
        api.call("PUT", "/forgot-password/verify", {"subaccount_id": 1, "activation_token": "x", "password": password}),
    ]
    assert [(answer.status, list(answer.data)) for answer in places] == [(400, ["password"])] * 4


def test_the_list_of_common_passwords() -> None:
    assert not passwords.fault("a long sentence", True)
    assert not passwords.fault("1234", False), "the document's example"
    assert len(passwords._common()) > 3000
    assert all(len(word) >= passwords.SHORTEST_STRICT and word == word.lower() for word in passwords._common())


def test_codes_are_few_for_a_number_for_an_address_and_for_the_house(opened: Running) -> None:
    def send(number: str) -> int:
        body = {"country": "AU", "user_phone": number, "type": "sms"}
        return opened.account().call("PUT", "/account-verify/send", body).status

    assert [send("+61491570006") for _ in range(3)] == [200, 200, 429], "of the number"
    assert [send("+61491570156"), send("+61491570157")] == [200, 429], "of the house"
    refused = opened.account().call("PUT", "/account-verify/send", {})
    assert (refused.status, refused.headers["x-ratelimit-limit"]) == (429, "5"), "of the address"
