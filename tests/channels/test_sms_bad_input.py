"""Bad input: a documented refusal, never a 5xx, and nothing charged."""

import time
from typing import Any

import pytest

from support.server import Api, Running

NUMBER = "+61491570006"
VALUES = [None, "", 0, -1, 1e300, 10**30, 1.5, True, [], ["a"], {}, {"a": 1}, "x" * 5000, "\x00", "😀" * 50, "'; --"]


@pytest.mark.parametrize("field", ["to", "body", "from", "source", "schedule", "custom_string", "list_id", "country"])
def test_no_value_of_a_field_breaks_a_send(api: Api, field: str) -> None:
    spent = 0.0
    for value in VALUES:
        message: dict[str, Any] = {"to": NUMBER, "body": f"text for {field} {value!r}"[:100], field: value}
        answer = api.call("POST", "/sms/send", {"messages": [message]})
        assert answer.status in (200, 400), (value, answer.raw)
        if answer.status == 200:
            spent += answer.data["total_price"]
        else:
            assert answer.data
    assert float(api.get("/account")["balance"]) == pytest.approx(100 - spent)


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"body": "x"}, "MISSING_REQUIRED_FIELDS"),
        ({"to": "12", "body": "x"}, "INVALID_RECIPIENT"),
        ({"to": "+883510000000000", "body": "x"}, "INVALID_RECIPIENT"),
        ({"to": "abc", "body": "x", "from": "far too long a name"}, "INVALID_RECIPIENT"),
        ({"to": NUMBER, "body": "x", "from": "far too long a name"}, "INVALID_SENDER_ID"),
        ({"to": NUMBER, "body": "x", "from": "two words"}, "INVALID_SENDER_ID"),
        ({"to": NUMBER, "body": "  "}, "EMPTY_MESSAGE"),
        ({"to": NUMBER, "body": "x", "schedule": "tomorrow"}, "INVALID_SCHEDULE"),
        ({"to": NUMBER, "body": "x", "schedule": 9_999_999_999}, "INVALID_SCHEDULE"),
        ({"list_id": 999999999, "body": "x"}, "NOT_ENOUGH_PERMISSION_TO_LIST_ID"),
        ({"to": "0491 570 006", "body": "x", "schedule": 5}, "SUCCESS"),
        ({"to": 61491570006, "body": "x", "from": "Helio"}, "SUCCESS"),
    ],
)
def test_each_message_has_its_own_status(api: Api, entry: dict[str, Any], status: str) -> None:
    good = {"to": NUMBER, "body": f"good {time.time_ns()}"}
    found = api.post("/sms/send", {"messages": [entry, good]})
    assert [message["status"] for message in found["messages"]] == [status, "SUCCESS"]
    assert found["total_count"] == 2
    assert found["queued_count"] == (2 if status == "SUCCESS" else 1)


@pytest.mark.parametrize("path", ["/sms/price", "/sms/send"])
def test_numbers_and_countries_as_people_and_programs_write_them(api: Api, path: str) -> None:
    right: list[tuple[Any, str | None, str | None]] = [
        ("628123456789.0", None, "+628123456789"),
        (628123456789.0, None, "+628123456789"),
        ("6.28123E+11", None, None),
        (6.28123e11, None, None),
        ("0491570006 0491570156", None, None),
        ("tel:+61-491-570-006;ext=5", None, NUMBER),
        ("٠٥٥١٢٣٤٥٦٧", "SA", "+966551234567"),
        ("٠٥٥١٢٣٤٥٦٧", "ksa", "+966551234567"),
        ("7012345678", "India", "+917012345678"),
        ("7012345678", "भारत", "+917012345678"),
        ("7012345678", "IND", "+917012345678"),
        ("7012345678", "Atlantis", None),
        ("61491570006", "Atlantis", None),
        ("+61491570006", "Atlantis", NUMBER),
        ("0491570006", " ", NUMBER),
        ("+5215512345678", None, "+525512345678"),
    ]
    given = [{"to": to, "body": f"{at} {path}", "country": country} for at, (to, country, _) in enumerate(right)]
    fates = api.post(path, {"messages": given})["messages"]
    for fate, (to, _, number) in zip(fates, right, strict=True):
        status = "INVALID_RECIPIENT" if number is None else "SUCCESS"
        assert fate["status"] == status, to
        assert number is None or fate["to"] == number


def test_senders_as_people_write_them(api: Api) -> None:
    right = {
        **dict.fromkeys(("0491570156", "0491 570 156", "(0491) 570-156", "٠٤٩١٥٧٠١٥٦", "0491570156.0"), "+61491570156"),
        **dict.fromkeys(("61491570156", "+61 491 570 156", "+61 (0)491 570 156", "++61491570156"), "+61491570156"),
        **{one: one for one in ("1234", "123456", "0123", "Helio", "4YOU", "24&7", "+Plus")},
        "123-456": "123456",
        **dict.fromkeys(("04915701", "00491570156", "+0491570156", "123456789012345", "0491570156 0491570157"), ""),
        **dict.fromkeys(("+12345", "+61491", "+0", "6.28123E+11", "6e+11"), ""),
    }
    given = [{"to": NUMBER, "body": f"from {sender}", "from": sender} for sender in right]
    fates = api.post("/sms/price", {"messages": given})["messages"]
    for fate, (sender, goes_out) in zip(fates, right.items(), strict=True):
        seen = (fate["status"], fate["from"] if goes_out else "")
        assert seen == ("SUCCESS" if goes_out else "INVALID_SENDER_ID", goes_out), sender


def test_too_many_messages_none_and_the_most(api: Api) -> None:
    many = [{"to": NUMBER, "body": f"text {number}"} for number in range(1001)]
    for messages in (many, []):
        answer = api.call("POST", "/sms/send", {"messages": messages})
        assert (answer.status, list(answer.data)) == (400, ["messages"])
    assert api.post("/sms/send", {"messages": many[:1000]})["queued_count"] == 1000


def test_the_same_text_to_another_spelling_is_throttled(api: Api) -> None:
    assert [api.send(to, "same")["status"] for to in ("+5491123456789", "+541123456789")] == ["SUCCESS", "THROTTLED"]


def test_the_same_text_to_the_same_number_is_throttled(api: Api) -> None:
    assert api.send(NUMBER, "same")["status"] == "SUCCESS"
    assert api.send(NUMBER, "same")["status"] == "THROTTLED"
    twins = {"messages": [{"to": NUMBER, "body": "twin"}] * 2}
    assert [entry["status"] for entry in api.post("/sms/send", twins)["messages"]] == ["SUCCESS", "THROTTLED"]
    assert float(api.get("/account")["balance"]) == pytest.approx(100 - 2 * 0.0715)


def test_credit_ends_exactly(server: Running) -> None:
    api = server.account(credit=3 * 71_500 + 1)
    found = api.post("/sms/send", {"messages": [{"to": NUMBER, "body": f"text {n}"} for n in range(5)]})
    statuses = [message["status"] for message in found["messages"]]
    assert statuses == ["SUCCESS"] * 3 + ["INSUFFICIENT_CREDIT"] * 2
    assert api.get("/account")["balance"] == "0.000001"


def test_other_accounts_ids_are_unknown(server: Running, api: Api) -> None:
    other = server.account()
    message = other.send(NUMBER, "theirs", schedule=int(time.time()) + 600)["message_id"]
    template = other.post("/sms/templates", {"template_name": "a", "body": "b"})["template_id"]
    rule = {"rule_name": "r", "action": "POLL", "action_address": "", "match_type": 0}
    receipt_rule = other.post("/automations/sms/receipts", rule)["receipt_rule_id"]
    inbound_rule = other.post("/automations/sms/inbound", rule)["inbound_rule_id"]
    calls = [
        ("PUT", f"/sms/{message}/cancel", None),
        ("GET", f"/sms/{message}/timeline", None),
        ("GET", f"/sms/receipts/{message}", None),
        ("PUT", f"/sms/inbound-read/{message}", None),
        ("PUT", f"/sms/templates/{template}", {"template_name": "x", "body": "y"}),
        ("DELETE", f"/sms/templates/{template}", None),
        *((verb, f"/automations/sms/receipts/{receipt_rule}", rule) for verb in ("GET", "PUT", "DELETE")),
        *((verb, f"/automations/sms/inbound/{inbound_rule}", rule) for verb in ("GET", "PUT", "DELETE")),
        ("DELETE", "/sms/templates/abc", None),
        ("DELETE", "/sms/templates/99999999999999999999", None),
    ]
    for method, path, body in calls:
        answer = api.call(method, path, body)
        assert (answer.status, answer.data) == (404, None), path
    assert api.get("/sms/history")["total"] == 0
    assert other.history(message)["status"] == "Scheduled"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"action": "DANCE"}, "action"),
        ({"action": "URL", "action_address": "ftp://x"}, "action_address"),
        ({"action": "EMAIL_FIXED", "action_address": "nobody"}, "action_address"),
        ({"action": "SMS", "action_address": "12"}, "action_address"),
        ({"message_search_type": 4}, "message_search_type"),
        ({"webhook_type": "xml"}, "webhook_type"),
        ({"enabled": "maybe"}, "enabled"),
        ({"rule_name": ""}, "rule_name"),
    ],
)
def test_rules_name_the_wrong_field(api: Api, values: dict[str, Any], field: str) -> None:
    body = {"rule_name": "r", "action": "POLL", "dedicated_number": "*", "enabled": "1", **values}
    answer = api.call("POST", "/automations/sms/inbound", body)
    assert (answer.status, list(answer.data)) == (400, [field])


def test_registration_gives_credit_and_refuses_a_taken_name(server: Running, api: Api) -> None:
    body = {
        "username": f"new{time.time_ns()}",
        "user_email": "new@example.com",
        "user_phone": "518-481-1001",
        "user_first_name": "New",
        "user_last_name": "User",
        "country": "US",
        "password": "pass",
        "account_name": "New",
    }
    made = api.post("/account", body)
    assert (made["user_phone"], made["balance"], made["_currency"]["currency_name_short"]) == (
        "+15184811001",
        "5.000000",
        "USD",
    )
    answer = api.call("POST", "/account", body)
    assert (answer.status, list(answer.data)) == (400, ["username"])
    answer = api.call("POST", "/account", {**body, "username": "x", "user_phone": "1", "country": "XYZ"})
    assert set(answer.data) == {"username", "user_phone", "country"}
