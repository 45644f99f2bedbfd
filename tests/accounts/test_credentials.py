"""Who may come in: keys, passwords, their change in force at once, test users, and what is kept of secrets."""

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from heliograph.accounts import account, vault
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault, hash_password, new_key, password_matches
from heliograph.db.database import Database
from heliograph.errors import Unauthorized
from heliograph.http.auth import Authenticator
from support.server import Api, Running

NUMBER = "+61491570006"
TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("user_id", "active", "banned", "account", "auto_recharge", "setting_unicode_sms"), int),
    **dict.fromkeys(("setting_email_sms_subject", "setting_fix_sender_id", "setting_sms_message_char_limit"), int),
    **dict.fromkeys(("old_dashboard", "private_uploads", "fax_quality", "setting_sms_hide_your_number"), int),
    "setting_sms_hide_business_name": int,
    **dict.fromkeys(("username", "user_email", "balance", "user_phone", "reply_to", "user_first_name"), str),
    **dict.fromkeys(("user_last_name", "account_name", "account_billing_email", "account_billing_mobile"), str),
    **dict.fromkeys(("country", "default_country_sms", "auto_recharge_amount", "low_credit_amount"), str),
    **dict.fromkeys(("balance_commission", "timezone", "cors_origins"), str),
    **dict.fromkeys(("throttle_seconds", "setting_email_tracking"), (int, type(None))),
    "delivery_to": (str, type(None)),
    **dict.fromkeys(("_currency", "_subaccount"), dict),
}


def basic(user: str, secret: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"}


def change(server: Running, sql: str, **values: Any) -> None:
    """As a command would: and every process is told."""

    def work(tx: Any) -> None:
        tx.execute(text(sql), values)
        account.touch(tx)

    server.write(work)


def rotate(server: Running, api: Api, key: str) -> None:
    new = server.house.vault.key_hash(api.username, key)
    change(server, "UPDATE subaccounts SET key_hash = :new WHERE user_id = :user", new=new, user=api.user_id)


def test_the_account_has_the_documented_keys_and_types_and_three_of_ours(api: Api) -> None:
    seen = api.get("/account")
    assert set(seen) == set(TYPES)
    for name, kind in TYPES.items():
        assert isinstance(seen[name], kind), name
        assert not isinstance(seen[name], bool), name
    sub = seen["_subaccount"]
    assert sub["api_key"] == api.key
    flags = [name for name in sub if name.startswith("access_")]
    assert len(flags) == 13  # the documented ones, and access_smpp
    assert all(sub[flag] == 1 for flag in flags)
    assert seen["balance"] == "100.000000"
    assert seen["_currency"] == {
        "currency_name_short": "AUD",
        "currency_prefix_d": "$",
        "currency_prefix_c": "c",
        "currency_name_long": "Australian Dollars",
    }


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Bearer", "bearer"])
def test_key_and_password_in_both_forms(server: Running, scheme: str) -> None:
    password = "pässwörd: with a colon 😀"
    api = server.account(password_hash=hash_password(password))
    for user in (api.username, api.username.upper()):
        for secret in (api.key, password):
            answer = api.call("GET", "/account", headers=basic(user, secret, scheme))
            assert answer.data["user_id"] == api.user_id
    for secret in (api.key.upper(), password + " ", password[:-1], ""):
        assert api.call("GET", "/account", headers=basic(api.username, secret, scheme)).status == 401


@pytest.mark.parametrize("path", ["/account", "/sms/history", "/sms/templates"])
def test_a_new_key_is_in_force_at_once_and_the_old_one_dead(server: Running, api: Api, path: str) -> None:
    assert api.call("GET", path).status == 200
    rotate(server, api, "another key")
    assert api.call("GET", path).status == 401
    assert server.client(api.username, "another key").call("GET", path).status == 200
    rotate(server, api, api.key)
    assert api.call("GET", path).status == 200


def test_a_dead_key_sends_nothing(server: Running, api: Api) -> None:
    api.send(NUMBER)
    rotate(server, api, "another key")
    body = {"messages": [{"to": NUMBER, "body": "x"}]}
    for headers in ({}, {"Idempotency-Key": "k"}):
        assert api.call("POST", "/sms/send", body, headers).status == 401
    other = server.client(api.username, "another key")
    assert other.get("/sms/history")["total"] == 1


def test_a_new_password_is_in_force_at_once_and_does_not_touch_the_key(server: Running) -> None:
    api = server.account(password_hash=hash_password("old one"))
    old, new = server.client(api.username, "old one"), server.client(api.username, "new one")
    assert old.call("GET", "/account").status == 200
    sql = "UPDATE users SET password_hash = :hash WHERE user_id = :user"
    change(server, sql, hash=hash_password("new one"), user=api.user_id)
    assert [client.call("GET", "/account").status for client in (old, new, api)] == [401, 200, 200]
    change(server, sql, hash=None, user=api.user_id)
    assert [client.call("GET", "/account").status for client in (old, new, api)] == [401, 401, 200]


def test_a_ban_is_in_force_at_once(server: Running, api: Api) -> None:
    api.send(NUMBER)
    change(server, "UPDATE users SET banned = 1 WHERE user_id = :user", user=api.user_id)
    for method, path in (("GET", "/account"), ("POST", "/sms/send"), ("GET", "/sms/history")):
        answer = api.call(method, path, {"messages": [{"to": NUMBER, "body": "x"}]} if method == "POST" else None)
        assert (answer.status, answer.body["response_code"]) == (403, "FORBIDDEN")


def test_the_documented_test_users(server: Running) -> None:
    body = {"messages": [{"to": NUMBER, "body": "x"}]}
    no_credit = server.client("nocredit", account.TEST_KEY)
    answer = no_credit.call("POST", "/sms/send", body)
    assert (answer.status, answer.data["messages"][0]["status"]) == (200, "INSUFFICIENT_CREDIT")
    assert (answer.data["queued_count"], answer.data["total_price"]) == (0, 0)
    assert no_credit.get("/account")["balance"] == "0.000000"
    inactive = server.client("NotActive", account.TEST_KEY)
    assert inactive.get("/account")["active"] == 0
    answer = inactive.call("POST", "/sms/send", body)
    assert (answer.status, answer.body["response_code"]) == (403, "ACCOUNT_NOT_ACTIVATED")
    banned = server.client("banned", account.TEST_KEY)
    for method, path in (("GET", "/account"), ("POST", "/sms/send")):
        answer = banned.call(method, path, body if method == "POST" else None)
        assert (answer.status, answer.body["response_code"]) == (403, "FORBIDDEN")
    assert server.client("nocredit", account.TEST_KEY.lower()).call("GET", "/account").status == 401


def test_production_has_no_test_users_and_no_demo_account(tmp_path: Path) -> None:
    server = Running(tmp_path, mode="production", secret="x" * 40)
    for name in ("nocredit", "notactive", "banned"):
        assert server.client(name, account.TEST_KEY).call("GET", "/account").status == 401
    assert server.client("demo", "DEMO0000-0000-4000-8000-000000000000").call("GET", "/account").status == 401
    assert server.read(lambda tx: tx.driver("SELECT COUNT(*) FROM users").fetchone()[0]) == 0
    server.close_clients()
    server.stop()


def test_a_name_that_does_not_exist_takes_as_long_as_a_wrong_password(migrated_url: str, tmp_path: Path) -> None:
    """Else the time of an answer would tell which names exist."""

    async def scenario() -> None:
        database, keys = Database(migrated_url), Vault.open("", tmp_path)
        new = NewAccount(
            username="jane",
            email="j@example.com",
            phone="",
            webhook_secret="s",
            password_hash=hash_password("right"),
        )
        await database.write(lambda tx: account.create(tx, keys, new))
        authenticator = Authenticator(database, keys)

        async def seconds(name: str) -> float:
            """The processor's own: the machine may be busy with other tests."""
            begun = time.process_time()
            with pytest.raises(Unauthorized):
                await authenticator.by_password(basic(name, "wrong")["Authorization"].encode())
            return time.process_time() - begun

        await seconds("nobody")  # the first one makes the password that it is compared with
        taken = [(await seconds("jane"), await seconds("nobody")) for _ in range(5)]
        known, unknown = map(min, zip(*taken, strict=True))
        assert 0.3 < known / unknown < 3
        await database.close()

    asyncio.run(scenario())


def test_what_is_stored_of_keys_and_passwords_cannot_be_used(server: Running, api: Api) -> None:
    def rows(tx: Any) -> str:
        found = []
        for table in ("users", "subaccounts"):
            found += tx.driver(f"SELECT * FROM {table} WHERE user_id = ?", [api.user_id]).fetchall()
        return str(found)

    stored = server.read(rows)
    assert api.key not in stored
    assert base64.b64encode(api.key.encode()).decode() not in stored


def test_the_vault() -> None:
    one, other = Vault(b"one secret"), Vault(b"another secret")
    key = new_key()
    assert key == key.upper()
    assert len({new_key() for _ in range(100)}) == 100
    assert one.key_hash("Jane", key) == one.key_hash("JANE", key)
    hashes = {one.key_hash("jane", key), one.key_hash("jan", "e" + key), one.key_hash("jane", key.lower())}
    assert len(hashes | {other.key_hash("jane", key)}) == 4
    sealed = one.seal("Zażółć")
    assert sealed != one.seal("Zażółć")
    assert (one.unseal(sealed), other.unseal(sealed)) == ("Zażółć", "")


def test_the_key_of_the_vault_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    first = Vault.open("", tmp_path)
    sealed = first.seal("text")
    assert Vault.open("", tmp_path).unseal(sealed) == "text"
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "secret.key"]
    assert Vault.open("given", tmp_path).unseal(sealed) == ""


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=1", "$2b$12$abcdefghijklmnopqrstuv"])
def test_no_password_fits_a_hash_that_is_none(stored: str) -> None:
    assert not password_matches(stored, "")
    assert not password_matches(stored, stored)


def test_password_hashes_are_salted_argon2id() -> None:
    one, other = hash_password("same"), vault.hash_password("same")
    assert one != other
    assert one.startswith("$argon2id$")
    assert password_matches(one, "same")
    assert not password_matches(one, "other")
