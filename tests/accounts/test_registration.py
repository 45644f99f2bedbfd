"""POST /account: what it makes, and what it refuses with the name of the field."""

import base64
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from heliograph import phone
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.billing import currencies, prices, tariff
from heliograph.db import engine
from heliograph.errors import BadRequest
from heliograph.option import SettingsError
from heliograph.settings import load
from support.server import Answer, Api, Running

_numbers = itertools.count(1)
GOOD = {
    "password": "a long sentence",
    "user_phone": "+61411111111",
    "user_email": "jane@example.com",
    "user_first_name": "Jane",
    "user_last_name": "Doe",
    "account_name": "Jane & Söhne",
    "country": "AU",
}


def new_name() -> str:
    return f"reg.{next(_numbers)}+x"


def register(server: Running, **more: Any) -> Answer:
    body = {"username": new_name(), **GOOD, **more}
    return server.client("", "").call("POST", "/account", body, {"Authorization": "Basic nonsense"})


def test_a_new_account_works_by_password_and_by_key(server: Running) -> None:
    made = register(server, user_phone="0411 111 111", country="au").data
    assert (made["country"], made["default_country_sms"], made["user_phone"]) == ("AU", "AU", "+61411111111")
    assert (made["balance"], made["_currency"]["currency_name_short"]) == ("5.000000", "AUD")
    assert (made["user_first_name"], made["account_name"]) == ("Jane", "Jane & Söhne")
    sub = made["_subaccount"]
    assert sub["api_username"] == made["username"]
    assert all(sub[f"access_{flag}"] == 1 for flag in ("sms", "billing", "users", "settings"))
    for secret in (GOOD["password"], sub["api_key"]):
        seen = server.client(made["username"], secret).get("/account")
        assert {name: seen[name] for name in made} == made
    assert server.client(made["username"], sub["api_key"].lower()).call("GET", "/account").status == 401
    sent = server.client(made["username"], GOOD["password"]).send("+61491570006")
    assert sent["status"] == "SUCCESS"


def test_two_accounts_have_their_own_keys_secrets_and_money(server: Running) -> None:
    one, other = register(server).data, register(server).data
    assert one["user_id"] != other["user_id"]
    assert one["_subaccount"]["api_key"] != other["_subaccount"]["api_key"]
    rows = [server.read(lambda tx, made=made: account.find(tx, made["username"])) for made in (one, other)]
    assert rows[0]["webhook_secret"] != rows[1]["webhook_secret"]
    for row in rows:
        assert GOOD["password"] not in str(dict(row))
    assert server.client(one["username"], other["_subaccount"]["api_key"]).call("GET", "/account").status == 401


@pytest.mark.parametrize(
    ("country", "number", "currency"),
    [
        *(("US", "518-481-1001", "USD"), ("GB", "020 7946 0018", "GBP"), ("DE", "+49 30 123456", "EUR")),
        *(("NZ", "+6421123456", "NZD"), ("JP", "+81312345678", "JPY"), ("CH", "+41446681800", "USD")),
    ],
)
def test_the_country_decides_on_the_currency(server: Running, country: str, number: str, currency: str) -> None:
    made = register(server, country=country, user_phone=number).data
    assert made["_currency"]["currency_name_short"] == currency
    assert made["balance"] == "5.000000"


def test_every_country_has_a_currency_that_is_priced() -> None:
    priced = prices.default().currencies
    assert {currencies.of_country(country) for country in phone.COUNTRIES} <= priced


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("username", *GOOD) for value in (None, "", [], {}, True, "a\x00b")),
        *((field, "  ") for field in ("username", "user_email", "user_phone", "user_first_name", "country")),
        *(("username", value) for value in ("a", "x" * 101, "a b", "a:b", "a/b", "a\tb", "name\n", "😀😀")),
        *(("password", value) for value in ("abc", "x" * 201, 123)),
        *(("user_email", value) for value in ("jane", "jane@", "@example.com", "a@b@c", "a b@c.example", "a@b\nc")),
        *(("user_phone", value) for value in ("12", "+61", "jane", "+999123456789", "1" * 65, "+61411111111y2")),
        *((field, "x" * 201) for field in ("user_first_name", "user_last_name", "account_name")),
        *(("country", value) for value in ("XX", "ZZ", "A", "AUS", "Australia", "A1", "ÄU", 61)),
    ],
)
def test_bad_fields(server: Running, field: str, value: Any) -> None:
    answer = register(server, **{field: value})
    assert answer.status == 400, answer.raw
    assert field in answer.data
    assert set(answer.data) <= {field, "user_phone"}, "a phone number cannot be read without a country"
    label = field.capitalize().replace("_", " ")
    assert answer.data[field].startswith(label)
    assert answer.body["response_code"] == "BAD_REQUEST"


@pytest.mark.parametrize("field", ["username", *GOOD])
def test_missing_fields(server: Running, field: str) -> None:
    body = {"username": new_name(), **GOOD}
    del body[field]
    answer = server.client("", "").call("POST", "/account", body)
    assert (answer.status, set(answer.data)) == (400, {field})
    assert answer.data[field].endswith("field is required.")


def test_all_faults_at_once(server: Running) -> None:
    answer = server.client("", "").call("POST", "/account", {})
    assert set(answer.data) == {"username", *GOOD}
    answer = register(server, username="?", password="x", user_email="x", user_phone="x", country="x")
    assert set(answer.data) == {"username", "password", "user_email", "user_phone", "country"}


@pytest.mark.parametrize("spell", [str, str.upper, str.title])
def test_a_name_is_given_once_in_whatever_case(server: Running, spell: Any) -> None:
    made = register(server, username=f"Jörg.{next(_numbers)}").data
    answer = register(server, username=spell(made["username"]))
    assert (answer.status, answer.data) == (400, {"username": "Username has already been taken."})
    for name in (made["username"], spell(made["username"])):
        assert server.client(name, GOOD["password"]).get("/account")["user_id"] == made["user_id"]


def test_a_name_that_many_want_at_once_is_given_once(server: Running) -> None:
    name = new_name()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(register(server, username=name))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]


def test_another_process_may_give_the_name_away_first(migrated_url: str, tmp_path: Path) -> None:
    """On PostgreSQL both look before either writes; SQLite lets one writer in at a time."""
    vault = Vault.open("", tmp_path)
    first, second = (engine.Connector(migrated_url, lambda: 1.0) for _ in range(2))
    waiting = threading.Event()
    outcome: list[Any] = []

    def new(name: str) -> NewAccount:
        return NewAccount(username=name, email="j@example.com", phone="", webhook_secret="s")

    def other() -> None:
        waiting.set()
        tx = second.begin_write()
        try:
            outcome.append(account.create(tx, vault, new("JANE")))
        except BadRequest as refused:
            outcome.append(refused.data)
        tx.driver("ROLLBACK")

    tx = first.begin_write()
    account.create(tx, vault, new("jane"))
    thread = threading.Thread(target=other)
    thread.start()
    waiting.wait(10)
    thread.join(0.3)  # it has to be held up by the first
    assert not outcome
    tx.driver("COMMIT")
    thread.join(20)
    assert outcome == [{"username": "Username has already been taken."}]
    for one in (first, second):
        one.close()


def test_a_currency_without_prices_is_refused(server: Running) -> None:
    new = NewAccount(
        username=new_name(), email="j@example.com", phone="", webhook_secret="s", country="CH", currency="CHF"
    )
    with pytest.raises(BadRequest) as refused:
        server.write(lambda tx: account.create(tx, server.house.vault, new))
    assert refused.value.data == {"country": "The rates have no prices in CHF."}


def test_the_prices_of_the_operator_decide(tmp_path: Path) -> None:
    server = Running(tmp_path, mode="production", secret="x" * 40, trial_credit="0.25", registration="open")
    rates = 'version = "1"\nsource = "test"\n[EUR.sms.message]\n"*" = "0.1000"\n'
    server.write(lambda tx: tariff.import_rates(tx, rates))
    refused = register(server)
    assert (refused.status, refused.data) == (400, {"country": "The rates have no prices in AUD."})
    made = register(server, country="IE", user_phone="+353851234567").data
    assert (made["_currency"]["currency_name_short"], made["balance"]) == ("EUR", "0.250000")
    server.close_clients()
    server.stop()


@pytest.mark.parametrize("text", ["", "abc", "-1", "1e3", "1.1234567", "1 000", "NaN", "1" * 10])
def test_a_trial_credit_that_is_none_stops_the_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not text:
        assert load(data=".").first_credit == "5.00"
        assert load(data=".", mode="production", secret="x" * 40).first_credit == "0"
        return
    with pytest.raises(SettingsError, match="trial"):
        load(trial_credit=text)


def test_credentials_are_not_asked_for(server: Running) -> None:
    body = {"username": new_name(), **GOOD}
    token = base64.b64encode(b"nobody:nothing").decode()
    for header in ({}, {"Authorization": f"Basic {token}"}):
        answer = server.client("x", "y").call("POST", "/account", {**body, "username": new_name()}, header)
        assert answer.status == 200


def test_an_account_that_was_just_made_may_do_what_others_may(server: Running) -> None:
    made = register(server).data
    api: Api = server.client(made["username"], made["_subaccount"]["api_key"], made["user_id"])
    assert api.post("/sms/templates", {"template_name": "a", "body": "b"})["template_name"] == "a"
    assert api.get("/sms/history")["total"] == 0
