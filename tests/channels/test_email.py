"""Mails that are sent one by one, from the request to the relay and what is heard of them later."""

import base64
import csv
import io
import time
from typing import Any

import pytest

from files.fetching import fetch
from heliograph.accounts import account
from heliograph.channels.email.channel import with_inline_styles
from heliograph.db.engine import Tx
from heliograph.mail import suppressions
from heliograph.messaging import receipts
from heliograph.messaging.rows import Message
from heliograph.transports.base import MessageKey, Receipt
from support.clock import usage_path
from support.emails import SENDER, a_mail, arrived, sender
from support.server import Api, Running

LATER = 24 * 3600
PRICE = 0.005


def send(api: Api, **other: Any) -> dict[str, Any]:
    return dict(api.post("/email/send", a_mail(api, **other)))


def entry(api: Api, message_id: str) -> dict[str, Any]:
    (found,) = api.get(f"/email/history?q=message_id:{message_id}")["data"]
    return dict(found)


def becomes(api: Api, message_id: str, status: str) -> dict[str, Any]:
    return dict(api.until(lambda: [row for row in [entry(api, message_id)] if row["status"] == status])[0])


def messages(api: Api, send_id: str) -> list[Message]:
    """The messages of a send, in order."""

    def work(tx: Tx) -> list[Any]:
        return tx.driver(
            "SELECT message_id, recipient, status, status_code, price_micros FROM messages"
            " WHERE user_id = ? AND details LIKE ? ORDER BY ordinal",
            [api.user_id, f"%{send_id}%"],
        ).fetchall()

    return list(api.server.read(work))


def hears(api: Api, message_id: str, state: Any, **more: Any) -> None:
    """A report about a message comes in."""
    key = MessageKey(api.user_id, "email", message_id)
    receipt = Receipt("mail", "", state, int(time.time()), key=key, **more)
    api.server.write(lambda tx: receipts.apply(tx, [receipt], api.server.house.hooks))


def test_a_mail_goes_out_and_is_answered_as_documented(api: Api) -> None:
    jane = f"jane@{api.username}.example"
    before = float(api.get("/account")["balance"])
    sent = send(api, custom_string="ref", body="<p>Good <b>day</b></p>")
    assert (sent["to"], sent["cc"], sent["bcc"]) == ([{"email": jane, "name": "Jane"}], None, None)
    assert (sent["status"], sent["status_text"]) == ("Queued:WaitSend", "Accepted for delivery")
    assert (sent["body"], sent["body_plain_text"]) == ("<p>Good <b>day</b></p>", "Good day")
    assert isinstance(sent["schedule"], int)
    assert isinstance(sent["date_added"], int)
    assert float(sent["price"]) == pytest.approx(before - float(api.get("/account")["balance"]))
    found = becomes(api, sent["message_id"], "Sent")
    assert found["status_text"] == "Accepted for delivery"
    assert (found["schedule"], found["date_added"]) == (str(sent["schedule"]), str(sent["date_added"]))
    assert (found["custom_string"], found["from_name"], found["_currency"]) == ("ref", "Ann", sent["_currency"])
    (mail,) = arrived(api, jane)
    assert str(mail["From"]) == f"Ann <{SENDER}>"
    assert str(mail["To"]) == f"Jane <{jane}>"
    assert mail["Message-ID"] == f"<{sent['message_id'].lower()}@sender.example>"
    ((key, *_),) = messages(api, sent["message_id"])
    assert str(mail["Return-Path"]).startswith(f"<b+{key.lower()}-")
    html, text = (mail.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None
    assert (html.get_content().strip(), text.get_content().strip()) == ("<p>Good <b>day</b></p>", "Good day")


def test_every_recipient_is_a_message_and_bcc_stands_in_no_header(api: Api) -> None:
    names = [f"{local}@{api.username}.example" for local in ("to", "cc", "bcc")]
    people = {field: [{"email": name}] for field, name in zip(("to", "cc", "bcc"), names, strict=True)}
    people["cc"].append({"email": names[0].upper()})  # it has the mail already
    sent = send(api, **people)
    assert float(sent["price"]) == pytest.approx(3 * PRICE, abs=0.0001)
    becomes(api, sent["message_id"], "Sent")
    rows = messages(api, sent["message_id"])
    assert [row[1].lower() for row in rows] == names
    octets = set()
    for name in names:
        (mail,) = arrived(api, name)
        assert (str(mail["To"]), mail["Bcc"]) == (names[0], None)
        assert names[2] not in str(mail["Cc"])
        octets.add(str(mail["Message-ID"]))
    assert len(octets) == 1
    used = api.get(usage_path(int(sent["date_added"])))
    assert (used["email_transactional_total"]["count"], used["email_total"]["count"]) == (3, 0)
    assert api.get("/statistics/email")["total"]["outbound"]["count"] == 3


def test_files_go_along_and_can_be_looked_at(api: Api) -> None:
    jane = f"jane@{api.username}.example"
    files = [
        {
            "content": base64.b64encode(b"\x89PNG picture").decode(),
            "type": "image/png",
            "filename": "logo.png",
            "disposition": "inline",
            "content_id": given,
        }
        for given in ("a", "<b>", "cid:c", "<cid:PHP-CID-1>")
    ]
    files.append({"content": "ZmlsZSBjb250ZW50cw==", "type": "text/plain", "filename": "text.txt"})
    sent = send(api, body='<img src="cid:a"><img src="cid:b">', attachments=files)
    assert [one["content_id"] for one in sent["_attachments"]] == ["a", "<b>", "cid:c", "<cid:PHP-CID-1>", ""]
    assert sent["_attachments"][4]["content_disposition"] == "attachment"
    assert fetch(sent["_attachments"][4]["_attachment_file_url"]).raw == b"file contents"
    becomes(api, sent["message_id"], "Sent")
    (mail,) = arrived(api, jane)
    inside = [part["Content-ID"] for part in mail.walk() if part["Content-ID"]]
    assert inside == ["<a>", "<b>", "<c>", "<PHP-CID-1>"]
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content().strip()) == ("text.txt", "file contents")


def test_what_is_heard_later_changes_a_mail_and_runs_its_rules(api: Api) -> None:
    api.post("/automations/email/receipts", {"rule_name": "r", "action": "POLL", "action_address": "", "match_type": 0})
    sent = send(api, to=[{"email": f"{local}@{api.username}.example"} for local in ("one", "two", "three")])
    becomes(api, sent["message_id"], "Sent")
    one, two, _ = (row[0] for row in messages(api, sent["message_id"]))
    hears(api, one, "delayed", raw="452 4.2.2 full", error="4.2.2")
    hears(api, one, "failed", raw="550 5.1.1 nobody", error="5.1.1")
    hears(api, one, "delivered")
    found = entry(api, sent["message_id"])
    assert (found["status"], found["soft_bounce_count"], found["hard_bounce_count"]) == ("Sent", 1, 1)
    hears(api, two, "complaint", raw="abuse")
    assert entry(api, sent["message_id"])["status"] == "SpamReport"
    hears(api, two, "failed", raw="late", error="5.0.0")
    assert entry(api, sent["message_id"])["hard_bounce_count"] == 1
    listed = api.get("/email/receipts")["data"]
    assert {one["message_id"] for one in listed} == {sent["message_id"]}
    codes = [(one["to"].partition("@")[0], one["status"], one["status_code"]) for one in listed]
    assert sorted(codes[:3]) == [(name, "Delivered", "201") for name in ("one", "three", "two")]
    assert codes[3:] == [("one", "Undelivered", "300"), ("one", "Undelivered", "301"), ("two", "Undelivered", "301")]
    assert api.get(f"/email/receipts/{sent['message_id']}")["error_code"] == "complaint"
    api.put("/email/receipts-read")
    assert api.get("/email/receipts")["total"] == 0
    steps = [step["detail"] for step in api.get(f"/email/{sent['message_id']}/timeline")]
    assert any(step.startswith("one@") and "452 4.2.2 full" in step for step in steps)


def test_a_mail_without_word_stays_sent(api: Api) -> None:
    sent = send(api)
    becomes(api, sent["message_id"], "Sent")
    assert (
        api.server.read(lambda tx: tx.driver("SELECT COUNT(*) FROM handovers WHERE channel = 'email'").fetchone()[0])
        == 0
    )


def test_a_relay_that_refuses_is_a_hard_bounce_and_is_paid_back(api: Api) -> None:
    before = api.get("/account")["balance"]
    sent = send(api, to=[{"email": f"bounce@{api.username}.example"}])
    found = becomes(api, sent["message_id"], "Failed")
    assert "no mailbox" in found["status_text"]
    assert found["hard_bounce_count"] == 1
    assert api.get("/account")["balance"] == before


def test_a_scheduled_mail_can_be_cancelled(api: Api) -> None:
    before = api.get("/account")["balance"]
    sent = send(api, schedule=int(time.time()) + LATER, to=[{"email": f"{n}@{api.username}.example"} for n in "ab"])
    assert entry(api, sent["message_id"])["status"] == "Scheduled"
    api.put(f"/email/{sent['message_id']}/cancel")
    assert entry(api, sent["message_id"])["status"] == "Cancelled"
    assert api.get("/account")["balance"] == before
    assert api.call("PUT", f"/email/{sent['message_id']}/cancel").status == 404
    assert api.call("PUT", "/email/unknown/cancel").status == 404


def test_suppressed_recipients_get_nothing_and_cost_nothing(api: Api) -> None:
    gone, there = f"Gone@{api.username}.example", f"there@{api.username}.example"
    api.server.write(lambda tx: suppressions.add(tx, api.user_id, [gone], "bounce"))
    sent = send(api, to=[{"email": gone.lower()}, {"email": there}])
    assert float(sent["price"]) == pytest.approx(PRICE, abs=0.0001)
    becomes(api, sent["message_id"], "Sent")
    assert [row[1] for row in messages(api, sent["message_id"])] == [there]
    nobody = send(api, to=[{"email": gone}])
    assert (nobody["status"], nobody["price"]) == ("Failed", "0.0000")
    assert api.post("/email/price", a_mail(api, to=[{"email": gone}]))["price"] == 0
    later = send(api, to=[{"email": there}], schedule=int(time.time()) + LATER)
    api.server.write(lambda tx: suppressions.add(tx, api.user_id, [there], "manual"))
    ((key, *_),) = messages(api, later["message_id"])

    def due(tx: Tx) -> None:
        tx.driver("UPDATE queue SET due_at = 0 WHERE message_id = ?", [key])
        tx.wake("queue:email")

    balance = float(api.get("/account")["balance"])
    api.server.write(due)
    assert becomes(api, later["message_id"], "Failed")["status_text"].startswith("Failed: The recipient opted out")
    assert float(api.get("/account")["balance"]) == pytest.approx(balance + float(later["price"]), abs=1e-6)


def test_test_addresses_are_free_and_never_sent(api: Api) -> None:
    before = api.get("/account")["balance"]
    sent = send(api, to=[{"email": f"Test{n}@test.com"} for n in "123"])
    assert (sent["price"], sent["status"]) == ("0.0000", "Sent")
    assert api.get("/account")["balance"] == before
    assert arrived(api, "Test1@test.com") == arrived(api, "test1@test.com") == []


def test_without_credit_nothing_is_sent(server: Running) -> None:
    api = server.account(credit=8000)
    answer = api.call("POST", "/email/send", a_mail(api, to=[{"email": f"{n}@x.example"} for n in "ab"]))
    assert (answer.status, answer.body["response_code"]) == (400, "INSUFFICIENT_CREDIT")
    assert api.get("/email/history")["total"] == 0
    assert api.get("/account")["balance"] == "0.008000"
    assert send(api)["status"] == "Queued:WaitSend"


def test_the_price_is_what_a_send_takes(api: Api) -> None:
    given = a_mail(api, cc=[{"email": "user1@test.example", "name": "cc1"}])
    price = api.post("/email/price", {**given, "from": [given["from"]]})
    assert price["to_array"] == given["to"]
    assert (price["cc_array"], price["bcc_array"]) == ([{"email": "user1@test.example", "name": "cc1"}], None)
    assert price["price"] == pytest.approx(2 * PRICE, abs=0.0001)
    assert float(api.post("/email/send", given)["price"]) == pytest.approx(price["price"], abs=0.0001)


@pytest.mark.parametrize("given", [str, float, lambda key: f" {key} ", lambda key: f"{key}.0"])
def test_ids_of_addresses_come_in_many_forms(api: Api, given: Any) -> None:
    assert send(api, **{"from": {"email_address_id": given(sender(api))}})["from_name"] == ""


BAD: list[tuple[str, Any]] = [
    ("to", []),
    ("to", [{"name": "Jane"}]),
    ("to", [{"email": "jane"}]),
    ("to", [{"email": "a@b.example, c@d.example"}]),
    ("to", [{"email": "a@b.example\r\nBcc: c@d.example"}]),
    ("to", [{"email": "a@b.example", "name": "Jane\r\nBcc: c@d.example"}]),
    ("to", [{"email": f"{n}@b.example"} for n in range(101)]),
    ("to", [{"email": "a@b.example"}] * 10_000),
    ("cc", [{"email": "\ud800@b.example"}]),
    ("bcc", [{"email": "a@b.example", "name": "x" * 301}]),
    ("subject", "a\nBcc: c@d.example"),
    ("subject", "x" * 901),
    ("subject", "\ud800"),
    ("body", ""),
    ("body", "  "),
    ("body", "half \ud83d"),
    ("schedule", "next week"),
    ("schedule", 99_999_999_999),
    ("custom_string", "x" * 1001),
    ("from", None),
    ("from", []),
    ("from", {"name": "Ann"}),
    ("from", {"email_address_id": "ann@sender.example"}),
    ("from", {"email_address_id": -1}),
    ("from", {"email_address_id": 10**15}),
    ("attachments", [{"filename": "a.txt", "content": "not base64!"}]),
    ("attachments", [{"filename": "a.txt"}]),
    ("attachments", [{"content": "eHg="}]),
    ("attachments", [{"content": "eHg=", "filename": "virus.EXE"}]),
    ("attachments", [{"content": "eHg=", "filename": "page.js "}]),
    ("attachments", [{"content": "eHg=", "filename": "a\r\nX: y.txt"}]),
    ("attachments", [{"content": "eHg=", "filename": "a.txt", "type": "text/plain\r\nX: y"}]),
    ("attachments", [{"content": "eHg=", "filename": "a.txt", "content_id": "a\r\nX: y"}]),
]


@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{field} {str(value)[:40]!a}" for field, value in BAD])
def test_what_is_wrong_is_named_and_nothing_is_sent(api: Api, field: str, value: Any) -> None:
    answer = api.call("POST", "/email/send", a_mail(api, **{field: value}))
    assert answer.status == 400
    unreadable = "\\ud" in ascii(value)
    assert any(name.startswith("body" if unreadable else field) for name in answer.body["data"]), answer.body
    assert api.get("/email/history")["total"] == 0


def test_addresses_that_are_not_verified_or_of_others_send_nothing(server: Running, api: Api) -> None:
    other = server.account()
    theirs = sender(other)
    mine = sender(api)
    api.server.write(lambda tx: tx.driver("UPDATE email_addresses SET verified = 0 WHERE email_address_id = ?", [mine]))
    for key in (theirs, mine):
        given = {**a_mail(other), "from": {"email_address_id": key}}
        assert api.call("POST", "/email/send", given).body["data"].keys() == {"from"}


def test_one_bad_recipient_is_named_and_nobody_gets_a_mail(api: Api) -> None:
    given = a_mail(api, to=[{"email": "good@b.example"}, {"email": "bad@"}])
    assert api.call("POST", "/email/send", given).body["data"] == {"to": "'bad@' is no email address."}


def test_odd_addresses_arrive(api: Api) -> None:
    local = f"{api.username}-jürgen"
    sent = send(api, to=[{"email": f"{local}@müller.example"}])
    becomes(api, sent["message_id"], "Sent")
    assert len(arrived(api, f"{local}@xn--mller-kva.example")) == 1


def test_the_history_is_searched_paged_and_exported(api: Api) -> None:
    keys = [send(api, subject=f"mail {n}")["message_id"] for n in range(3)]
    for key in keys:
        becomes(api, key, "Sent")
    page = api.get("/email/history?limit=15&page=1")
    assert (page["total"], [one["subject"] for one in page["data"]]) == (3, ["mail 0", "mail 1", "mail 2"])
    assert api.get("/email/history?limit=15&page=2")["data"] == []
    assert api.get("/email/history?order_by=date:desc")["data"][0]["subject"] == "mail 2"
    assert api.get("/email/history?q=subject:mail%201")["total"] == 1
    assert api.get("/email/history?q=status:Sent")["total"] == 3
    assert api.get(f"/email/history?date_from={int(time.time()) + 60}")["total"] == 0
    url = api.get("/email/history/export?filename=mails.csv")["url"]
    rows = list(csv.DictReader(io.StringIO(fetch(url).raw.decode())))
    assert [row["message_id"] for row in rows] == keys


def test_a_repeated_key_sends_once(api: Api) -> None:
    given = a_mail(api)
    first, again = (
        api.call("POST", "/email/send", given, {"Idempotency-Key": f"k-{api.username}"}).body["data"]["message_id"]
        for _ in range(2)
    )
    assert first == again
    assert api.get("/email/history")["total"] == 1


def test_mails_of_a_strict_account_obey_its_opt_out_list(api: Api) -> None:
    api.server.write(lambda tx: account.set_strict_opt_out(tx, api.user_id, True))
    (opt_out,) = [one["list_id"] for one in api.get("/lists")["data"] if one["list_name"] == "Opt-Out List"]
    api.post(f"/lists/{opt_out}/contacts", {"email": "no@b.example"})
    assert send(api, to=[{"email": "no@b.example"}])["status"] == "Failed"


STYLED = f"<style>{'.a{color:red}' * 2000}</style>{'<table><tr><td>' * 5000}"
"""HTML that the library that writes styles into elements would die of."""


def test_deep_html_and_long_lines_are_carried(api: Api) -> None:
    for body in (
        "<div>" * 20_000 + "deep",
        "x" * 1_000_000,
        "<style>@import url(http://127.0.0.1:9/a.css);</style><p>a",
    ):
        sent = send(api, body=body)
        becomes(api, sent["message_id"], "Sent")


def test_principals_know_their_mail_flag(server: Running, api: Api) -> None:
    sub = api.subaccount(email=0)
    assert sub.call("POST", "/email/send", a_mail(api)).status == 403


def test_rules_are_written_into_elements_and_nothing_is_loaded() -> None:
    html = (
        "<style>@media (max-width:9px){p{color:red}} p{color:blue} @import url(http://127.0.0.1:9/a.css);</style><p>a"
    )
    made = with_inline_styles(f'<link rel="stylesheet" href="http://127.0.0.1:9/b.css">{html}')
    assert '<p style="color: blue;">a' in made
    assert "@media (max-width:9px)" in made
    assert with_inline_styles(STYLED) == STYLED
