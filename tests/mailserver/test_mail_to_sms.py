"""Mails that become SMS, and those that do not."""

from typing import Any

import pytest

from mailserver.mails import DOMAIN, agree, allow, hand_in, mail, own, sent
from support.server import ONE_DATABASE, Api, Running

TO = "61491570156"
SHARED = "+61481074190"


def test_a_mail_becomes_an_sms(server: Running, api: Api) -> None:
    allow(api, **{"from": "+61411111111"})
    code, said = hand_in(server, mail(own(api), "Hello from a mail\n-- \nJane"), TO)
    assert (code, said) == (250, "2.0.0 1 SMS of 1")
    (row,) = sent(api)
    assert (row["to"], row["from"], row["body"], row["from_email"]) == (
        f"+{TO}",
        "+61411111111",
        "Hello from a mail",
        own(api),
    )
    api.final(row["message_id"])


@pytest.mark.parametrize("local", [TO, f"+{TO}", "0491570156"])
@ONE_DATABASE
def test_numbers_have_a_plus_or_none(server: Running, api: Api, local: str) -> None:
    allow(api)
    assert hand_in(server, mail(own(api)), f"{local}@{DOMAIN.upper()}")[0] == 250
    assert sent(api)[0]["to"] == f"+{TO}"


def test_a_mail_to_a_list_is_personal(server: Running, api: Api) -> None:
    allow(api)
    made = api.post("/lists", {"list_name": "l"})
    for number, name in (("+61491570156", "Ann"), ("+61491570157", "Bob")):
        api.post(f"/lists/{made['list_id']}/contacts", {"phone_number": number, "first_name": name})
    other = server.account()
    allow(other)
    assert hand_in(server, mail(own(other), "Hi"), made["list_email_id"])[0] == 550
    said = hand_in(server, mail(own(api), "Hi (First Name)"), made["list_email_id"].lower())
    assert said == (250, "2.0.0 2 SMS of 2")
    assert sorted(row["body"] for row in sent(api)) == ["Hi Ann", "Hi Bob"]
    assert hand_in(server, mail(own(api)), "0123456789ABCDEX")[0] == 550


def test_several_recipients_of_one_mail(server: Running, api: Api) -> None:
    allow(api)
    assert hand_in(server, mail(own(api)), TO, "61491570157", "12345") == (250, "2.0.0 2 SMS of 3")
    assert {row["to"] for row in sent(api)} == {f"+{TO}", "+61491570157"}


def test_the_same_mail_again_sends_nothing(server: Running, api: Api) -> None:
    allow(api)
    first = mail(own(api), "once", message_id="<1@x>")
    assert hand_in(server, first, TO)[0] == 250
    assert hand_in(server, first, f"+{TO}") == (250, "2.0.0 It was sent before")
    assert hand_in(server, first, TO, "61491570157") == (250, "2.0.0 1 SMS of 1")
    assert hand_in(server, mail(own(api), "twice", message_id="<2@x>"), TO)[0] == 250
    assert [row["body"] for row in sent(api)] == ["once", "once", "twice"]


@ONE_DATABASE
def test_a_refused_mail_may_come_again(server: Running) -> None:
    api = server.account(credit=0)
    allow(api)
    once = mail(own(api), message_id="<1@x>")
    assert hand_in(server, once, TO) == (550, "5.7.1 The balance of the account is too low")
    assert hand_in(server, once, TO) == (550, "5.7.1 The balance of the account is too low")


def test_the_newest_entry_of_an_address_counts(server: Running, api: Api) -> None:
    allow(api, **{"from": "First"})
    allow(api, **{"from": "Second"})
    hand_in(server, mail(own(api)), TO)
    assert sent(api)[0]["from"] == "Second"


@ONE_DATABASE
def test_the_subaccount_of_the_address_pays(server: Running, api: Api) -> None:
    sub = api.subaccount(sms=1)
    allow(api, "desk@example.com", subaccount_id=str(sub.subaccount_id))
    agree(api, "desk@example.com")
    assert hand_in(server, mail("Desk <DESK@example.com>"), TO)[0] == 250
    assert sent(api)[0]["subaccount_id"] == sub.subaccount_id
    api.put(f"/subaccounts/{sub.subaccount_id}", {"access_sms": 0})
    assert hand_in(server, mail("desk@example.com"), TO)[0] == 550
    api.delete(f"/subaccounts/{sub.subaccount_id}")
    assert hand_in(server, mail("desk@example.com"), TO)[0] == 550


def test_an_address_works_after_a_click(server: Running, api: Api) -> None:
    address = f"{api.username}@elsewhere.example"
    allow(api, address)
    assert hand_in(server, mail(address), TO) == (550, "5.7.1 Mail from this address does not become SMS here")
    api.until(lambda: server.mails(address))
    (asked,) = server.mails(address)
    assert asked.subject == "May your mails become text messages?"
    path = next(line for line in asked.text.splitlines() if "/confirm/" in line).partition("/confirm/")[2]
    assert "Yes, I agree" in page(server, "GET", path)
    assert hand_in(server, mail(address), TO)[0] == 550
    assert "become text messages of this account" in page(server, "POST", path)
    assert hand_in(server, mail(address), TO)[0] == 250
    assert "This link does not work" in page(server, "POST", path)


def page(server: Running, method: str, token: str) -> str:
    import urllib.error
    import urllib.request

    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}/confirm/{token}", method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "Auto-Generated; x=y"},
        {"Precedence": "Bulk"},
        {"Precedence": "list"},
        {"X_Autoreply": "yes"},
        {"List_Id": "<l.example.com>"},
    ],
)
@ONE_DATABASE
def test_what_machines_write_is_no_sms(server: Running, api: Api, headers: dict[str, str]) -> None:
    allow(api)
    assert hand_in(server, mail(own(api), **headers), TO)[0] == 550
    assert sent(api) == []


@ONE_DATABASE
def test_what_outlook_writes_is(server: Running, api: Api) -> None:
    allow(api)
    headers = {"X_Auto_Response_Suppress": "All", "Auto_Submitted": "no", "Precedence": "normal"}
    assert hand_in(server, mail(own(api), **headers), TO)[0] == 250


@ONE_DATABASE
def test_notices_and_own_mails_are_refused(server: Running, api: Api) -> None:
    allow(api)
    assert hand_in(server, mail(own(api)), TO, sender="") == (550, "5.7.1 Automatic mail does not become SMS")
    assert hand_in(server, mail(own(api)), TO, sender=f"x@{DOMAIN}")[0] == 550
    assert hand_in(server, mail(f"x@{DOMAIN.upper()}"), TO)[0] == 550
    assert hand_in(server, mail(own(api)), "someone", "x@elsewhere.example")[0] == 550
    assert sent(api) == []


@ONE_DATABASE
def test_the_subject_stands_in_front_when_the_account_wants_it(server: Running, api: Api) -> None:
    allow(api)
    api.post("/sms/email-sms-stripped-strings", {"strip_string": "Re:"})
    api.post("/sms/email-sms-stripped-strings", {"stripped-string": "Sent by ACME (tm)"})
    hand_in(server, mail(own(api), "One\nsent by acme (TM)\n", subject="Re: Gone"), TO)
    api.put("/account", {"setting_email_sms_subject": True})
    hand_in(server, mail(own(api), "Two", subject="re: Grüße"), TO)
    hand_in(server, mail(own(api), "", subject="Alone"), TO)
    assert [row["body"] for row in sent(api)] == ["One", "Grüße\nTwo", "Alone"]
    assert hand_in(server, mail(own(api), "Sent by Acme (tm)", subject="Re:"), TO)[0] == 550


@ONE_DATABASE
def test_an_address_has_enough_for_an_hour(tmp_path_factory: Any, server: Running, api: Api) -> None:
    allow(api)

    def fill(tx: Any) -> None:
        rows = [(f"{api.username}-{one}", api.user_id, own(api), tx.now) for one in range(99)]
        tx.insert_rows("email_sms_mails", ("mark", "user_id", "address", "at"), rows)

    server.write(fill)
    assert hand_in(server, mail(own(api), "last"), TO)[0] == 250
    assert hand_in(server, mail(own(api), "too many"), TO)[0] == 450
    drop = "UPDATE email_sms_mails SET at = at - 3700 WHERE user_id = ?"
    server.write(lambda tx: tx.driver(drop, [api.user_id]))
    assert hand_in(server, mail(own(api), "next hour"), TO)[0] == 250


@ONE_DATABASE
def test_a_login_pays_only_for_its_own_account(server: Running, api: Api) -> None:
    other = server.account()
    allow(api)
    assert hand_in(server, mail(own(api)), TO, login=(other.username, other.key))[0] == 550
    assert hand_in(server, mail(own(api)), TO, login=(api.username, api.key))[0] == 250


@ONE_DATABASE
def test_mails_that_cannot_be_read(server: Running, api: Api) -> None:
    allow(api)
    good = mail(own(api))
    for bad, code in (
        (b"", 550),
        (b"no header at all\r\n", 550),
        (b"From: " + own(api).encode() + b", x@example.com\r\n\r\nHi\r\n", 550),
        (b"From: x@example.com\r\n" + good, 550),
        (b"From: " + b"(" * 3000 + b"\r\n\r\nHi\r\n", 550),
        (b"X: a\rFrom: x@example.com\r\n" + good, 550),
        (good.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", 550),
        (nested(own(api), 60), 550),
        (nested(own(api), 2000), 552),
    ):
        assert hand_in(server, bad, TO)[0] == code, bad[:80]
    assert sent(api) == []


def nested(sender: str, depth: int) -> bytes:
    """Parts within parts, and no text."""
    head = f"From: {sender}\r\nMIME-Version: 1.0\r\n"
    return (
        head + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth))
    ).encode()


ECHO = "+61491999007"


def replied(api: Api, address: str) -> Any:
    """The mail of a reply that went to an address, with the number that was written to."""
    api.post("/automations/sms/inbound", {"rule_name": "r", "action": "EMAIL_FIXED", "action_address": address})
    api.send(ECHO, "ping", **{"from": "+61411222333"})
    api.until(lambda: api.server.mails(address))
    return api.server.mails(address)[0]


def test_a_reply_to_a_mailed_reply_goes_from_the_number_that_was_written_to(server: Running, api: Api) -> None:
    helper = f"{api.username}@helpdesk.example"
    told = replied(api, helper)
    assert told.sender == f"{ECHO}@{DOMAIN}"
    assert told.reply_to.endswith(f"@{DOMAIN}")
    assert len(told.reply_to.partition("@")[0]) <= 64
    answer = "Thanks!\n\nOn Monday someone wrote:\n> You've received a reply from +61491999007:\n> ping\n"
    assert hand_in(server, mail(f"Help <{helper}>", answer), told.reply_to.upper())[0] == 250
    row = sent(api)[-1]
    assert (row["to"], row["from"], row["body"]) == (ECHO, "+61411222333", "Thanks!")
    # nobody else's, and no other conversation
    assert hand_in(server, mail("x@helpdesk.example", answer), told.reply_to)[0] == 550
    assert hand_in(server, mail(helper, answer), told.reply_to.replace("61491999007", "61491999008"))[0] == 550
    assert hand_in(server, mail(helper, answer), TO)[0] == 550
