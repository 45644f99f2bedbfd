"""Endpoints 31 to 37, and the additions for one address."""

from typing import Any

import pytest

from mailserver.mails import agree, allow, own
from support.server import ONE_DATABASE, Api, Running


def test_addresses_are_listed_changed_and_removed(api: Api) -> None:
    first = allow(api, "my@email.com", **{"from": "+13523944199", "from_fax": "+61290000000"})
    second = allow(api, "my@email.com")
    assert api.get("/sms/email-sms")["data"] == [
        {
            "email_address_id": first,
            "email_address": "my@email.com",
            "from": "+13523944199",
            "from_fax": "+61290000000",
            "subaccount_id": api.subaccount_id,
        },
        {
            "email_address_id": second,
            "email_address": "my@email.com",
            "from": "",
            "from_fax": "",
            "subaccount_id": api.subaccount_id,
        },
    ]
    changed = api.put(f"/sms/email-sms/{second}", {"from": "Shop"})
    assert (changed["from"], changed["email_address"], changed["confirmed"]) == ("Shop", "my@email.com", 0)
    assert api.put(f"/sms/email-sms/{second}", {"email_address": own(api).upper()})["confirmed"] == 1
    agree(api, "my@email.com")
    assert api.get(f"/sms/email-sms/{first}")["confirmed"] == 1
    assert api.delete(f"/sms/email-sms/{first}") is True
    assert api.call("GET", f"/sms/email-sms/{first}").status == 404
    assert [row["email_address_id"] for row in api.get("/sms/email-sms")["data"]] == [second]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "email_address"),
        ({"email_address": " "}, "email_address"),
        ({"email_address": "no address"}, "email_address"),
        ({"email_address": "a@b\r\nBcc: c@d"}, "email_address"),
        ({"email_address": "a@b.c,d@e.f"}, "email_address"),
        ({"email_address": "a" * 60 + "@" + "b" * 250}, "email_address"),
        ({"from": "longer than eleven"}, "from"),
        ({"from_fax": "1" * 256}, "from_fax"),
        ({"subaccount_id": 999_999_999}, "subaccount_id"),
    ],
)
@ONE_DATABASE
def test_bad_addresses(api: Api, given: dict[str, Any], field: str) -> None:
    body = {"email_address": "a@example.org", **given} if "email_address" not in given and given else given
    for method, path in (("POST", "/sms/email-sms"), ("PUT", f"/sms/email-sms/{allow(api)}")):
        if method == "PUT" and not given:
            continue
        refused = api.call(method, path, body)
        assert refused.status == 400
        assert set(refused.data) == {field}


@ONE_DATABASE
def test_who_pays_is_a_subaccount_of_ones_own(server: Running, api: Api) -> None:
    other, plain, sub = server.account(), api.subaccount(sms=1), api.subaccount(sms=1)
    body = {"email_address": "a@example.org", "subaccount_id": sub.subaccount_id}
    assert api.call("POST", "/sms/email-sms", body).status == 200
    assert other.call("POST", "/sms/email-sms", body).status == 400
    assert plain.call("POST", "/sms/email-sms", body).status == 400
    assert plain.call("POST", "/sms/email-sms", {**body, "subaccount_id": plain.subaccount_id}).status == 200


def test_stripped_strings(server: Running, api: Api) -> None:
    rules = "/sms/email-sms-stripped-strings"
    keys = [
        api.post(rules, {name: text})["rule_id"]
        for name, text in (("strip_string", "a"), ("stripped_string", "b"), ("stripped-string", "c"))
    ]
    assert [row["strip_string"] for row in api.get(rules)["data"]] == ["a", "b", "c"]
    assert api.get(f"{rules}/{keys[1]}") == {"rule_id": keys[1], "strip_string": "b", "stripped_string": "b"}
    changed = api.put(f"{rules}/{keys[1]}", {"stripped_string": "B"})
    assert changed == {"rule_id": keys[1], "strip_string": "B", "stripped_string": "B"}
    for bad in ({}, {"strip_string": "  "}, {"strip_string": "x" * 501}):
        assert api.call("POST", rules, bad).status == 400
        assert api.call("PUT", f"{rules}/{keys[0]}", bad).status == 400
    assert server.account().call("PUT", f"{rules}/{keys[0]}", {"strip_string": "x"}).status == 404
    assert api.delete(f"{rules}/{keys[0]}") is True
    assert api.call("DELETE", f"{rules}/{keys[0]}").status == 404


@ONE_DATABASE
def test_an_account_has_only_so_many(api: Api) -> None:
    def fill(tx: Any) -> None:
        rows = [(api.user_id, f"x{number}") for number in range(100)]
        tx.insert_rows("email_sms_strings", ("user_id", "strip_string"), rows)
        addresses = [(api.user_id, 1, "a@b.c", "a@b.c", "", "") for _ in range(1000)]
        columns = ("user_id", "subaccount_id", "email_address", "address", "sender", "from_fax")
        tx.insert_rows("email_sms_addresses", columns, addresses)

    api.server.write(fill)
    assert api.call("POST", "/sms/email-sms-stripped-strings", {"strip_string": "x"}).status == 400
    assert api.call("POST", "/sms/email-sms", {"email_address": "a@example.org"}).status == 400
