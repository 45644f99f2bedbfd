"""Mails without a rule: replies by `from_email` and `reply_to`, reports by `delivery_to`, times by `timezone`."""

import datetime
import zoneinfo
from typing import Any

import pytest

from support.server import Api, Running

ECHO, DELIVERED, UNDELIVERED, REJECTED = "+61491999007", "+61491570006", "+61491999001", "+61491999004"


def rule(api: Api, family: str, action: str, address: str = "") -> None:
    api.post(f"/automations/sms/{family}", {"rule_name": "test", "action": action, "action_address": address})


def answered(api: Api, text: str, **more: Any) -> None:
    """Send to a number that answers with the same text, and wait for all that comes of it."""
    api.send(ECHO, text, **more)
    sql = "SELECT 1 FROM inbound WHERE user_id = ? AND body = ?"
    api.until(lambda: api.server.read(lambda tx: tx.driver(sql, [api.user_id, text]).fetchone()))
    settled(api)


def reported(api: Api, to: str, text: str, status: str, **more: Any) -> str:
    key = str(api.send(to, text, **more)["message_id"])
    api.final(key, status)
    settled(api)
    return key


def settled(api: Api) -> None:
    sql = "SELECT 1 FROM jobs WHERE kind = 'mail' AND payload LIKE ?"
    api.until(lambda: not api.server.read(lambda tx: tx.driver(sql, [f"%{api.username}%"]).fetchone()))


def texts(api: Api, to: str) -> list[str]:
    return [mail.text for mail in api.server.mails(to)]


def owner(api: Api) -> str:
    return f"{api.username}@example.com"


def elsewhere(api: Api) -> str:
    return f"{api.username}@elsewhere.example"


def test_a_reply_that_no_rule_takes_goes_to_who_sent_the_message(server: Running, api: Api) -> None:
    sub = server.subaccount(api)
    answered(sub, f"first of {sub.username}")
    assert len(texts(api, owner(sub))) == 1
    assert texts(api, owner(api)) == []


def test_a_rule_takes_the_reply(api: Api) -> None:
    answered(api, "STOP")  # the rule that every account is born with
    rule(api, "inbound", "POLL")
    answered(api, "hello")
    assert texts(api, owner(api)) == []


def test_replies_go_to_the_address_of_the_account(api: Api) -> None:
    api.put("/account", {"reply_to": elsewhere(api)})
    answered(api, "one")
    rule(api, "inbound", "POLL")
    answered(api, "two")
    rule(api, "inbound", "EMAIL_USER")
    answered(api, "three")
    assert [text.split("\n")[2] for text in texts(api, elsewhere(api))] == ["one", "two", "three"]
    assert texts(api, owner(api)) == []


def test_the_address_of_a_message_comes_first(api: Api) -> None:
    api.put("/account", {"reply_to": elsewhere(api)})
    mine = f"{api.username}@message.example"
    rule(api, "inbound", "NONE")
    answered(api, "one", from_email=mine)
    assert (len(texts(api, mine)), texts(api, elsewhere(api)), texts(api, owner(api))) == (1, [], [])


def test_an_address_that_is_none_gets_nothing(server: Running, api: Api) -> None:
    answered(api, "one", from_email=f"{api.username}@a.example\r\nBcc: {owner(api)}")
    assert texts(api, owner(api)) == []


def test_reports_go_to_the_address_of_the_account(api: Api) -> None:
    reported(api, DELIVERED, "before", "Completed")
    api.put("/account", {"delivery_to": elsewhere(api)})
    good = reported(api, DELIVERED, "one", "Completed")
    bad = reported(api, UNDELIVERED, "two", "Failed")
    lost = reported(api, REJECTED, "three", "Failed")
    found = "".join(texts(api, elsewhere(api)))
    assert [found.count(key) for key in (good, bad, lost)] == [1, 1, 1]
    assert "before" not in found
    rule(api, "receipts", "EMAIL_FIXED", elsewhere(api))
    four = reported(api, DELIVERED, "four", "Completed")
    assert "".join(texts(api, elsewhere(api))).count(four) == 1
    api.put("/account", {"delivery_to": ""})
    assert texts(api, owner(api)) == []


def test_reports_can_go_to_who_sent_the_message(api: Api) -> None:
    api.put("/account", {"delivery_to": "originalemail"})
    reported(api, DELIVERED, "one", "Completed")
    reported(api, DELIVERED, "two", "Completed", from_email=elsewhere(api))
    assert (len(texts(api, owner(api))), len(texts(api, elsewhere(api)))) == (1, 1)


@pytest.mark.parametrize("zone", ["UTC", "Australia/Melbourne", "America/St_Johns"])
def test_times_in_mails_are_those_of_the_account(api: Api, zone: str) -> None:
    api.put("/account", {"timezone": zone, "delivery_to": elsewhere(api), "reply_to": elsewhere(api)})
    rule(api, "inbound", "NONE")
    answered(api, "one")
    key = reported(api, DELIVERED, "two", "Completed")
    sent = datetime.datetime.fromtimestamp(int(api.history(key)["date"]), zoneinfo.ZoneInfo(zone))
    found = "".join(texts(api, elsewhere(api)))
    assert f"Sent:     {sent:%Y-%m-%d %H:%M %Z}\n" in found
    assert f"{sent:%Z}:\n\none" in found
