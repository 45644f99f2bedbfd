"""The endpoints of rules: what is stored, changed, listed and refused, for both families."""

from typing import Any

import pytest

from support.server import ONE_DATABASE, Api

INBOUND, RECEIPTS = "/automations/sms/inbound", "/automations/sms/receipts"
KEYS = {INBOUND: "inbound_rule_id", RECEIPTS: "receipt_rule_id"}
GOOD: dict[str, Any] = {"rule_name": "My rule", "action": "POLL"}
both = pytest.mark.parametrize("path", [INBOUND, RECEIPTS])


@pytest.fixture
def api(api: Api) -> Api:
    """An account without the rule that it is born with."""
    (born,) = api.get(INBOUND)["data"]
    api.delete(f"{INBOUND}/{born['inbound_rule_id']}")
    return api


def make(api: Api, path: str, **more: Any) -> int:
    return int(api.post(path, {**GOOD, **more})[KEYS[path]])


def refused(api: Api, method: str, path: str, body: Any, *fields: str) -> dict[str, str]:
    answer = api.call(method, path, body)
    assert answer.status == 400, answer.raw
    assert sorted(answer.data) == sorted(fields)
    assert all(text.endswith(".") for text in answer.data.values())
    return dict(answer.data)


def test_defaults(api: Api) -> None:
    assert api.post(INBOUND, GOOD) | {"inbound_rule_id": 0} == {
        "inbound_rule_id": 0,
        "dedicated_number": "*",
        "rule_name": "My rule",
        "message_search_type": 0,
        "message_search_term": None,
        "action": "POLL",
        "action_address": None,
        "body": None,
        "enabled": 1,
        "webhook_type": None,
    }
    assert api.post(RECEIPTS, GOOD) | {"receipt_rule_id": 0} == {
        "receipt_rule_id": 0,
        "rule_name": "My rule",
        "match_type": 0,
        "action": "POLL",
        "action_address": None,
        "enabled": 1,
    }


@both
def test_what_is_stored_is_shown_alone_and_in_the_list(api: Api, path: str) -> None:
    key = make(api, path, action="EMAIL_FIXED", action_address="  jane@example.com ", enabled=0)
    one = api.get(f"{path}/{key}")
    assert (one["action_address"], one["enabled"]) == ("jane@example.com", 0)
    assert api.get(path)["data"] == [one]
    assert api.delete(f"{path}/{key}") == []
    assert api.get(path)["total"] == 0


@both
def test_a_deleted_or_impossible_id_is_not_found(api: Api, path: str) -> None:
    key = make(api, path)
    api.delete(f"{path}/{key}")
    for bad in (key, 10**18 - 1, 10**30, "abc", "-1", "1.5", "%20", "%EF%BC%91"):
        for method, body in (("GET", None), ("PUT", GOOD), ("DELETE", None)):
            answer = api.call(method, f"{path}/{bad}", body)
            assert (answer.status, answer.data) == (404, None)
            assert answer.body["response_msg"] == "Rule record not found."


def test_an_update_changes_only_what_it_names(api: Api) -> None:
    given = {
        "dedicated_number": "+61411111111",
        "message_search_type": 1,
        "message_search_term": "stop",
        "action": "URL",
        "action_address": "https://hooks.example/",
        "webhook_type": "json",
        "body": "text",
    }
    key = make(api, INBOUND, **given)
    before = api.get(f"{INBOUND}/{key}")
    assert api.put(f"{INBOUND}/{key}", {}) == before
    for name, value in (
        *(("rule_name", "Other"), ("dedicated_number", "*"), ("message_search_type", 3)),
        *(("message_search_term", ""), ("action", "NONE"), ("action_address", ""), ("body", ""), ("enabled", 0)),
        ("webhook_type", "get"),
    ):
        after = api.put(f"{INBOUND}/{key}", {name: value})
        assert after == before | {name: value}
        assert api.put(f"{INBOUND}/{key}", {name: None}) == after  # null is not a value
        before = after


def test_an_update_is_checked_as_a_whole(api: Api) -> None:
    key = make(api, INBOUND, action="URL", action_address="https://hooks.example/")
    path = f"{INBOUND}/{key}"
    refused(api, "PUT", path, {"action": "EMAIL_FIXED"}, "action_address")
    refused(api, "PUT", path, {"action_address": "not a url"}, "action_address")
    refused(api, "PUT", path, {"rule_name": " "}, "rule_name")
    assert api.get(path)["action"] == "URL"
    assert api.put(path, {"action": "EMAIL_FIXED", "action_address": "a@example.com"})["action"] == "EMAIL_FIXED"


@pytest.mark.parametrize(
    ("given", "stored"),
    [(1, 1), (0, 0), ("1", 1), ("0", 0), (True, 1), (False, 0), ("true", 1), ("FALSE", 0), ("", 1), (1.0, 1)],
)
def test_flags_in_every_spelling(api: Api, given: Any, stored: int) -> None:
    assert api.post(INBOUND, {**GOOD, "enabled": given})["enabled"] == stored
    key = make(api, RECEIPTS)
    assert api.put(f"{RECEIPTS}/{key}", {"enabled": given})["enabled"] == stored


def test_numbers_as_texts_and_texts_as_numbers(api: Api) -> None:
    made = api.post(INBOUND, {**GOOD, "message_search_type": "3", "message_search_term": 123, "rule_name": 7})
    assert (made["message_search_type"], made["message_search_term"], made["rule_name"]) == (3, "123", "7")
    assert api.post(INBOUND, {**GOOD, "message_search_type": 2.0, "dedicated_number": ""})["dedicated_number"] == "*"
    for given, kept in ((61411111111, "61411111111"), ("0491 570 006", "+61491570006"), ("123 456", "123 456")):
        assert api.post(INBOUND, {**GOOD, "dedicated_number": given})["dedicated_number"] == kept
    for match_type in (0, 1, 2, 3, 1234, -1):
        assert api.post(RECEIPTS, {**GOOD, "match_type": str(match_type)})["match_type"] == match_type


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("rule_name", value) for value in (None, "", "  ", "x" * 201, [], {}, True, "a\x00b")),
        *(("action", value) for value in (None, "", "poll", "EXPLODE", 5, ["POLL"])),
        *(("message_search_type", value) for value in (4, -1, 1.5, "x", True, [0], 2**60)),
        *(("message_search_term", value) for value in ("x" * 501, {}, False)),
        *(("dedicated_number", value) for value in ("1" * 31, ["*"])),
        *(("enabled", value) for value in (2, -1, "maybe", [], {})),
        *(("webhook_type", value) for value in ("xml", "POST", 1, [])),
        *(("body", value) for value in ("x" * 2001, ["text"])),
    ],
)
def test_bad_fields_of_an_inbound_rule(api: Api, field: str, value: Any) -> None:
    refused(api, "POST", INBOUND, {**GOOD, field: value}, field)
    key = make(api, INBOUND)
    if value is not None:
        refused(api, "PUT", f"{INBOUND}/{key}", {field: value}, field)
    assert api.get(INBOUND)["total"] == 1


@pytest.mark.parametrize("value", ["EMAIL_FIXED", 1.5, 2**31 + 1, -(2**40), 10**30, True, [], "\uff11"])
def test_bad_match_types(api: Api, value: Any) -> None:
    refused(api, "POST", RECEIPTS, {**GOOD, "match_type": value}, "match_type")


@ONE_DATABASE
@both
@pytest.mark.parametrize(
    ("action", "address"),
    [
        *(("URL", value) for value in (None, "", "hooks.example", "ftp://hooks.example/", "http://", "http://[::1")),
        *(("URL", value) for value in ("http://a b/", "https://hooks.example/" + "x" * 2000)),
        *(("EMAIL_FIXED", value) for value in (None, "", "jane", "jane@", "@x", "a@b@c", "a b@c", "<a@b>", "a@b\nc")),
        *(("EMAIL_FIXED", value) for value in ("x" * 65 + "@example.com", "a\u0001@b", "a;b@c", "a@[1.2.3.4]")),
        *(("SMS", value) for value in (None, "", "0411", "+999", "jane@example.com", "+61491570006y5")),
        *(("AUTO_REPLY", value) for value in (None, "", "   ")),
    ],
)
def test_addresses_that_do_not_fit_the_action(api: Api, path: str, action: str, address: str | None) -> None:
    refused(api, "POST", path, {**GOOD, "action": action, "action_address": address}, "action_address")


@pytest.mark.parametrize(
    ("action", "address"),
    [
        *(("URL", "https://user:pw@hooks.example:8443/a?b=c"), ("URL", "http://żółć.example/")),
        *(("EMAIL_FIXED", "jane.doe+tag@mail.example.com"), ("EMAIL_FIXED", "zoë@exämple.com")),
        *(("SMS", "+61 491 570 006"), ("SMS", "+61491570006"), ("EMAIL_USER", ""), ("NONE", "whatever"), ("POLL", "")),
        ("AUTO_REPLY", "Thank you"),
    ],
)
@both
def test_addresses_that_fit(api: Api, path: str, action: str, address: str) -> None:
    assert api.post(path, {**GOOD, "action": action, "action_address": address})["action_address"] == address


@both
def test_a_national_address_is_one_of_the_accounts_country(api: Api, path: str) -> None:
    """As it is for a message: what is checked is what it is sent to."""
    made = api.post(path, {**GOOD, "action": "SMS", "action_address": "0491 570 156"})
    assert made["action_address"] == "+61491570156"
    american = api.server.account(country="US")
    made = american.post(path, {**GOOD, "action": "SMS", "action_address": "6592345678"})
    assert made["action_address"] == "+16592345678"
    key = next(name for name in made if name.endswith("_rule_id"))
    changed = american.put(f"{path}/{made[key]}", {"action_address": "61491570156"})
    assert changed["action_address"] == "61491570156"


def test_an_auto_reply_may_have_its_text_in_the_body(api: Api) -> None:
    assert api.post(INBOUND, {**GOOD, "action": "AUTO_REPLY", "body": "Thank you"})["body"] == "Thank you"


@both
def test_several_faults_are_named_at_once(api: Api, path: str) -> None:
    refused(api, "POST", path, {}, "rule_name", "action")
    refused(api, "POST", path, {"rule_name": [], "action": {}, "enabled": "x"}, "rule_name", "action", "enabled")


@both
def test_lists_are_paged_searched_and_sorted(api: Api, path: str) -> None:
    for number in range(17):
        action = {"action": "URL", "action_address": "https://hooks.example/"} if number % 2 else {"action": "POLL"}
        make(api, path, rule_name=f"Rule {number:02}", enabled=number % 3 == 0, **action)
    key = KEYS[path]
    first = api.get(f"{path}?limit=15")
    assert [first[name] for name in ("total", "last_page", "from", "to")] == [17, 2, 1, 15]
    assert [row["rule_name"] for row in first["data"]] == [f"Rule {number:02}" for number in range(15)]
    second = api.get(first["next_page_url"].partition("/v3")[2])
    assert [row["rule_name"] for row in second["data"]] == ["Rule 15", "Rule 16"]
    assert api.get(f"{path}?q=action:url")["total"] == 8
    assert api.get(f"{path}?q=action:url,enabled:1")["total"] == 3
    assert api.get(f"{path}?q=action:url,enabled:1&operator=OR")["total"] == 11
    assert [row["rule_name"] for row in api.get(f"{path}?q=rule_name:*03")["data"]] == ["Rule 03"]
    ids = [row[key] for row in api.get(f"{path}?order_by={key}:desc&limit=100")["data"]]
    assert ids == sorted(ids, reverse=True)
    names = [row["rule_name"] for row in api.get(f"{path}?order_by=rule_name:desc&limit=100")["data"]]
    assert names == sorted(names, reverse=True)
    answer = api.call("GET", f"{path}?q=colour:red")
    assert (answer.status, answer.data["total"]) == (200, 17)
    assert answer.headers["x-search-ignored"] == "colour"


def test_the_families_are_apart(api: Api) -> None:
    key = make(api, INBOUND)
    assert api.call("GET", f"{RECEIPTS}/{key}").status == 404
    assert api.get(RECEIPTS)["total"] == 0
