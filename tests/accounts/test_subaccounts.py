"""Subaccounts: their keys, what they share with their account, and that they reach no further than they may."""

import asyncio
from typing import Any

import pytest

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.subaccounts import subaccount
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.errors import Unauthorized
from heliograph.webhooks.signature import new_secret
from support.server import ONE_DATABASE, Api, Running

GOOD = {
    "api_username": "good",
    "password": "secret",
    "email": "a@example.com",
    "phone_number": "+61411111111",
    "first_name": "A",
    "last_name": "B",
}
EVERY = {f"access_{flag}": 1 for flag in ACCESS_FLAGS}


def refused(api: Api, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = api.call(method, path, body)
    return answer.status, answer.body["response_code"]


def test_it_sends_at_the_cost_of_its_account(api: Api) -> None:
    sub = api.subaccount(sms=1, reporting=1)
    before = float(api.get("/account")["balance"])
    sent = sub.send("+61491570006")
    assert sent["subaccount_id"] == sub.subaccount_id != api.subaccount_id
    assert sent["user_id"] == api.user_id
    assert float(api.get("/account")["balance"]) == pytest.approx(before - float(sent["message_price"]))
    assert api.history(sent["message_id"])["_api_username"] == sub.username


def test_what_is_not_given_is_that_of_the_account(api: Api) -> None:
    made = api.post("/subaccounts", {**GOOD, "api_username": f"{api.username}.all"})
    assert {name: made[name] for name in EVERY} == EVERY
    assert (made["share_campaigns"], made["notes"]) == (0, None)


def test_it_logs_in_by_its_password(api: Api) -> None:
    sub = api.subaccount("own password", sms=1)
    by_password = api.server.client(sub.username, "own password", api.user_id)
    assert by_password.subaccount_id == sub.subaccount_id
    assert api.server.client(sub.username.upper(), "own password").call("GET", "/account").status == 200
    assert api.server.client(sub.username, "wrong").call("GET", "/account").status == 401
    api.put(f"/subaccounts/{sub.subaccount_id}", {"password": "new one"})
    assert by_password.call("GET", "/account").status == 401
    assert api.server.client(sub.username, "new one").call("GET", "/account").status == 200


def test_a_new_key_ends_the_old_one_at_once(api: Api) -> None:
    sub = api.subaccount(sms=1, reporting=1)
    key = sub.subaccount_id
    fresh = api.put(f"/subaccounts/{key}/regen-api-key")["api_key"]
    assert sub.call("POST", "/sms/send", {"messages": [{"to": "+61491570006", "body": "Hello"}]}).status == 401
    for path in ("/account", "/sms/history", "/sms/history/export"):
        assert sub.call("GET", path).status == 401
    again = api.server.client(sub.username, fresh)
    assert again.subaccount_id == key
    assert api.get(f"/subaccounts/{key}")["api_key"] == fresh


def test_an_overlap_lets_both_keys_work_and_then_ends(migrated_url: str) -> None:
    """Also for a principal that was remembered while the old key still worked."""
    asyncio.run(overlap(migrated_url))


async def overlap(address: str) -> None:
    moment = [1_800_000_000.0]
    database = Database(address, clock=lambda: moment[0])
    vault = Vault(b"test")
    new = NewAccount(
        username="u", email="a@example.com", phone="+61411111111", api_key="OLD", webhook_secret=new_secret()
    )
    try:
        user_id = await database.write(lambda tx: account.create(tx, vault, new))
        before = await database.read(lambda tx: account.by_key(tx, vault, "u", "OLD"))
        assert before is not None
        assert before.user_id == user_id
        key = before.subaccount_id
        fresh = await database.write(lambda tx: subaccount.new_api_key(tx, vault, before, key, 60))
        moment[0] += 59
        for name in ("OLD", fresh):
            found = await database.read(lambda tx, name=name: account.by_key(tx, vault, "u", name))
            assert found is not None
            assert found.subaccount_id == key
        old = await database.read(lambda tx: account.current(tx, before))
        assert old.expires == 1_800_000_060
        moment[0] += 1
        assert await database.read(lambda tx: account.by_key(tx, vault, "u", "OLD")) is None
        with pytest.raises(Unauthorized):
            await database.read(lambda tx: account.current(tx, old))
        found = await database.read(lambda tx: account.by_key(tx, vault, "u", fresh))
        assert found is not None
        assert found.expires is None
    finally:
        await database.close()


def test_a_deleted_one_is_locked_out_and_its_history_stays(api: Api) -> None:
    sub = api.subaccount("secret", sms=1, reporting=1)
    by_password = api.server.client(sub.username, "secret")
    key = by_password.subaccount_id
    sent = sub.send("+61491570006")["message_id"]
    api.final(sent)
    assert api.delete(f"/subaccounts/{key}") is True
    assert [sub.call("GET", "/account").status, by_password.call("GET", "/account").status] == [401, 401]
    assert sub.call("GET", "/sms/history/export").status == 401
    row = api.history(sent)
    assert (row["subaccount_id"], row["_api_username"]) == (key, sub.username)
    assert key not in {one["subaccount_id"] for one in api.get("/subaccounts")["data"]}
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "/regen-api-key")):
        assert refused(api, method, f"/subaccounts/{key}{path}", {}) == (404, "NOT_FOUND")
    assert api.call("POST", "/subaccounts", {**GOOD, "api_username": sub.username}).status == 400


def test_a_new_name_keeps_the_key(api: Api) -> None:
    sub = api.subaccount(sms=1)
    key = sub.subaccount_id
    changed = api.put(f"/subaccounts/{key}", {"api_username": sub.username + ".new", "notes": "renamed"})
    assert (changed["api_key"], changed["notes"]) == (sub.key, "renamed")
    assert sub.call("GET", "/account").status == 401
    assert api.server.client(sub.username + ".NEW", sub.key).subaccount_id == key


def test_the_main_subaccount_cannot_be_deleted_or_lamed(api: Api) -> None:
    main = api.subaccount_id
    assert refused(api, "DELETE", f"/subaccounts/{main}") == (403, "FORBIDDEN")
    assert api.put(f"/subaccounts/{main}", {"access_users": 0, "password": "for the user"})["access_users"] == 1
    assert api.server.client(api.username, "for the user").call("GET", "/account").status == 200


def test_other_accounts_have_no_subaccounts_here(server: Running, api: Api) -> None:
    foreign = server.account().subaccount(sms=1)
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "/regen-api-key")):
        assert refused(api, method, f"/subaccounts/{foreign.subaccount_id}{path}", {}) == (404, "NOT_FOUND")
        assert refused(api, method, f"/subaccounts/nonsense{path}", {}) == (404, "NOT_FOUND")


def test_it_cannot_raise_itself(api: Api) -> None:
    """By no way: its own flags, those of a new one, the key or the password of a stronger one."""
    weak = api.subaccount(users=1, sms=1)
    strong = api.subaccount(users=1, sms=1, billing=1)
    own = weak.subaccount_id
    assert refused(weak, "PUT", f"/subaccounts/{own}", {"access_billing": 1}) == (403, "FORBIDDEN")
    assert refused(weak, "POST", "/subaccounts", {**GOOD, "access_billing": 1}) == (403, "FORBIDDEN")
    for target in (strong.subaccount_id, api.subaccount_id):
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "/regen-api-key")):
            assert refused(weak, method, f"/subaccounts/{target}{path}", {}) == (404, "NOT_FOUND")
    assert [one["subaccount_id"] for one in weak.get("/subaccounts")["data"]] == [own]
    made = weak.post("/subaccounts", {**GOOD, "api_username": f"{weak.username}.child"})
    assert {flag for flag in ACCESS_FLAGS if made[f"access_{flag}"]} == {"users", "sms"}
    assert weak.put(f"/subaccounts/{made['subaccount_id']}", {"access_sms": 0})["access_sms"] == 0


def test_lists_are_searched_and_sorted(api: Api) -> None:
    names = sorted(api.subaccount(sms=1).username for _ in range(3))
    found = api.get("/subaccounts?order_by=api_username:desc&q=access_sms:1,access_voice:0")["data"]
    assert [one["api_username"] for one in found] == names[::-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_username", ""),
        ("api_username", "x"),
        ("api_username", "a b"),
        ("api_username", "n" * 101),
        ("api_username", ["a"]),
        ("password", "123"),
        ("password", "p" * 1001),
        ("email", "nobody"),
        ("email", 5),
        ("phone_number", "none"),
        ("phone_number", "+1" * 40),
        ("first_name", "n" * 256),
        ("first_name", {"a": 1}),
        ("last_name", "\x00"),
        ("access_sms", 2),
        ("access_sms", "maybe"),
        ("share_campaigns", []),
        ("notes", "n" * 2001),
        ("notes", True),
    ],
)
def test_bad_values_are_refused_by_name(api: Api, field: str, value: Any) -> None:
    for method, path in (("POST", "/subaccounts"), ("PUT", f"/subaccounts/{api.subaccount_id}")):
        if method == "PUT" and value == "":
            continue  # in an update, empty means: not given
        answer = api.call(method, path, {**GOOD, "api_username": f"{api.username}.bad", field: value})
        assert (answer.status, set(answer.data)) == (400, {field}), answer.raw


@ONE_DATABASE
@pytest.mark.parametrize("field", GOOD)
def test_fields_that_a_creation_needs(api: Api, field: str) -> None:
    for body in ({**GOOD, field: None}, {name: value for name, value in GOOD.items() if name != field}):
        answer = api.call("POST", "/subaccounts", body)
        assert (answer.status, set(answer.data)) == (400, {field})


def test_names_in_any_script(api: Api) -> None:
    made = api.post(
        "/subaccounts", {**GOOD, "api_username": f"{api.username}.ü", "first_name": "Ωμέγα", "last_name": "李"}
    )
    assert (made["first_name"], made["last_name"]) == ("Ωμέγα", "李")
    assert api.server.client(made["api_username"], made["api_key"]).subaccount_id == made["subaccount_id"]


def test_a_name_is_taken_once(server: Running, api: Api) -> None:
    taken = server.account()
    for name in (taken.username, taken.username.upper(), taken.subaccount().username):
        answer = api.call("POST", "/subaccounts", {**GOOD, "api_username": name})
        assert (answer.status, set(answer.data)) == (400, {"api_username"})
