"""Email campaigns: the same engine, with mails that differ from recipient to recipient and are counted."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from campaigns.books import balance, later
from contacts.test_list_sends import opt_out_list
from contacts.test_lists import added, made
from files.fetching import fetch
from heliograph.mail import suppressions
from support.emails import SENDER, arrived, sender
from support.server import ONE_DATABASE, Api, Running

BODY = "<p>Dear {FirstName}, <a href='https://example.com/'>look</a></p>"


def asked(api: Api, to: int, **more: Any) -> dict[str, Any]:
    usual = {"name": "Spring", "subject": "For (First Name)", "body": BODY, "from_name": "Ann's shop"}
    return {**usual, "from_email_address_id": sender(api), "list_id": to, **more}


def order(api: Api, list_id: int, **more: Any) -> dict[str, Any]:
    return dict(api.post("/email-campaigns/send", asked(api, list_id, **more)))


def view(api: Api, key: int) -> dict[str, Any]:
    return dict(api.get(f"/email-campaigns/{key}"))


def becomes(api: Api, key: int, status: str = "Sent") -> dict[str, Any]:
    return dict(api.until(lambda: [row for row in [view(api, key)] if row["status"] == status])[0])


def full_list(api: Api) -> tuple[int, list[str]]:
    """A list with two who get a mail, and five who do not."""
    list_id = made(api)
    ann, bob = f"ann@{api.username}.example", f"bob@{api.username}.example"
    added(api, list_id, email=ann, first_name="Ann <b>", last_name="Müller")
    added(api, list_id, email=bob)
    added(api, list_id, email=ann.upper().replace(".EXAMPLE", ".example"), first_name="Twice")
    added(api, list_id, phone_number="+61411000001")
    added(api, list_id, email=f"out@{api.username}.example")
    added(api, opt_out_list(api), email=f"out@{api.username}.example")
    for name, reason in (("dead", suppressions.BOUNCE), ("gone", suppressions.UNSUBSCRIBE)):
        address = f"{name}@{api.username}.example"
        added(api, list_id, email=address)
        api.server.write(
            lambda tx, address=address, reason=reason: suppressions.add(tx, api.user_id, [address], reason)
        )
    return list_id, [ann, bob]


def test_the_life_of_a_campaign(api: Api) -> None:
    list_id, (ann, bob) = full_list(api)
    before = balance(api)
    quoted = api.post("/email-campaigns/price", asked(api, list_id))
    assert (quoted["total_count"], quoted["queued_count"]) == (7, 2)
    assert quoted["data"] == {
        "name": "Spring",
        "subject": "For (First Name)",
        "from_email_address_id": sender(api),
        "from_name": "Ann's shop",
        "template_id": None,
        "body": BODY,
        "list_id": list_id,
    }
    answer = order(api, list_id, custom_string="ref")
    assert (answer["total_count"], answer["totlal_count"], answer["queued_count"]) == (7, 7, 2)
    assert answer["total_price"] == quoted["total_price"]
    assert before - balance(api) == round(float(answer["total_price"]) * 1_000_000)
    row = answer["data"]
    assert (row["schedule"], row["status"], row["custom_string"]) == ("", "Queued", "ref")
    assert (row["body"], row["body_plain_text"]) == (BODY, "Dear {FirstName}, [look](https://example.com/)")
    key = row["email_campaign_id"]
    last = becomes(api, key)
    assert {**last, "send_count": 0, "status": "Queued"} == row
    assert last["send_count"] == 2
    found = api.get(f"/email-campaigns/{key}/history")
    assert found["total"] == 2
    assert [(one["to_name"], one["to_address"], one["subject"], one["status"]) for one in found["data"]] == [
        ("Ann <b> Müller", ann, "For Ann <b>", "Sent"),
        (bob, bob, "For", "Sent"),
    ]
    assert {one["from_address"] for one in found["data"]} == {str(sender(api))}
    assert all(int(one["processed_at"]) >= int(row["date_added"]) for one in found["data"])
    assert api.get("/email/history")["total"] == 0, "that lists what is sent one by one"
    again = api.call("PUT", f"/email-campaigns/{key}/cancel")
    assert again.status == 400
    assert api.call("PUT", f"/email-campaigns/{key}", {"name": "Too late"}).status == 400


def test_the_mail_of_each_recipient(api: Api) -> None:
    list_id, (ann, bob) = full_list(api)
    key = order(api, list_id)["data"]["email_campaign_id"]
    becomes(api, key)
    (mail,) = arrived(api, ann)
    (other,) = arrived(api, bob)
    first = api.get(f"/email-campaigns/{key}/history")["data"][0]
    assert str(mail["From"]) == f"Ann's shop <{SENDER}>"
    assert str(mail["To"]) == f'"Ann <b> Müller" <{ann}>'
    assert (str(other["To"]), str(other["Subject"])) == (bob, "For")
    assert str(mail["Subject"]) == "For Ann <b>"
    assert mail["Message-ID"] == f"<{first['message_id'].lower()}@sender.example>"
    assert str(mail["Return-Path"]).startswith(f"<b+{first['message_id'].lower()}-")
    assert str(mail["List-Unsubscribe"]).startswith("<http://")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Feedback-ID"] == f"{key}:{api.user_id}:campaign:heliograph"
    assert mail["List-Id"] == other["List-Id"]
    html, text = (mail.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None
    assert "Dear Ann &lt;b&gt;, <a href=" in html.get_content()
    assert "Dear Ann <b>, [look](" in text.get_content()
    assert "Unsubscribe" in html.get_content()
    assert "/e/u/" in text.get_content()


def test_a_plain_text_stays_one(api: Api) -> None:
    list_id, (ann, _) = full_list(api)
    body = "Dear (First Name),\n\nhave a look.\n.\nStop: (Unsubscribe)"
    becomes(api, order(api, list_id, body=body)["data"]["email_campaign_id"])
    (mail,) = arrived(api, ann)
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith("Dear Ann <b>,\n\nhave a look.\n.\nStop: http://")


def test_no_break_spaces_of_editors_stand_in_placeholders(api: Api) -> None:
    list_id, (ann, _) = full_list(api)
    body = "<p>Dear (First&nbsp;Name)&nbsp;(Last&#160;Name), {Email}</p>"
    becomes(api, order(api, list_id, body=body)["data"]["email_campaign_id"])
    (mail,) = arrived(api, ann)
    html, text = (mail.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None
    assert f"Dear Ann &lt;b&gt;\u00a0Müller, {ann}" in html.get_content()
    assert " ".join(f"Dear Ann <b> Müller, {ann}".split()) in " ".join(text.get_content().split())


@pytest.mark.parametrize(("url", "status"), [("http://sms.example", 400), ("https://sms.example", 200)])
def test_in_production_campaigns_need_https(tmp_path: Path, url: str, status: int) -> None:
    server = Running(tmp_path / "data", mode="production", secret="s" * 32, role="api", public_url=url)
    api = server.account()
    list_id = made(api)
    added(api, list_id, email="ann@x.example")
    answer = api.call("POST", "/email-campaigns/send", asked(api, list_id))
    assert answer.status == status, answer.raw
    assert ("begins with https" in answer.body["response_msg"]) is (status == 400)
    server.close_clients()
    server.stop()


def test_a_scheduled_one_is_changed_in_part_cancelled_and_paid_back(api: Api) -> None:
    list_id, _ = full_list(api)
    before = balance(api)
    at = later()
    row = order(api, list_id, schedule=at)["data"]
    key = row["email_campaign_id"]
    assert (row["status"], row["schedule"]) == ("Scheduled", str(at))
    changed = api.put(f"/email-campaigns/{key}", {"subject": "Other", "template_id": None})
    assert changed == {**row, "subject": "Other"}
    assert api.put(f"/email-campaigns/{key}", {"body": "Plain"})["body_plain_text"] == "Plain"
    assert [one["email_campaign_id"] for one in api.get("/email-campaigns")["data"]] == [key]
    assert api.get(f"/email-campaigns/{key}/history")["total"] == 0
    assert api.put(f"/email-campaigns/{key}/cancel")["status"] == "Cancelled"
    assert balance(api) == before


def test_a_draft_costs_nothing_until_it_is_sent(api: Api) -> None:
    list_id, _ = full_list(api)
    before = balance(api)
    answer = order(api, list_id, draft=1)
    assert (answer["data"]["status"], answer["queued_count"], balance(api)) == ("Draft", 2, before)
    key = answer["data"]["email_campaign_id"]
    api.put(f"/email-campaigns/{key}", {"draft": 0})
    assert becomes(api, key)["send_count"] == 2
    assert before - balance(api) == round(float(answer["total_price"]) * 1_000_000)


@ONE_DATABASE
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"subject": None}, "subject"),
        ({"subject": "a\r\nBcc: x@example.com"}, "subject"),
        ({"subject": "a" * 901}, "subject"),
        ({"from_name": " "}, "from_name"),
        ({"from_name": "a\nb"}, "from_name"),
        ({"from_email_address_id": None}, "from_email_address_id"),
        ({"from_email_address_id": 987654}, "from_email_address_id"),
        ({"template_id": 987654}, "template_id"),
        ({"template_id": 987654, "body": None}, "template_id"),
        ({"body": None}, "body"),
        ({"body": "a\x00b"}, "body"),
        ({"list_id": None}, "list_id"),
        ({"schedule": 99_999_999_999}, "schedule"),
    ],
)
def test_what_is_wrong_is_named_and_costs_nothing(api: Api, given: dict[str, Any], field: str) -> None:
    list_id = made(api)
    added(api, list_id, email="ann@x.example")
    before = balance(api)
    answer = api.call("POST", "/email-campaigns/send", asked(api, list_id, **given))
    assert answer.status == 400, answer.raw
    assert field in answer.data
    assert balance(api) == before
    assert api.get("/email-campaigns")["total"] == 0


def test_an_address_that_is_not_verified_or_not_ours_sends_nothing(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, email="ann@x.example")
    raw = api.post("/email/addresses", {"email_address": "new@sender.example"})["email_address_id"]
    for other in (raw, sender(api.server.account())):
        answer = api.call("POST", "/email-campaigns/price", asked(api, list_id, from_email_address_id=other))
        assert (answer.status, list(answer.data)) == (400, ["from_email_address_id"])


def test_the_history_is_exported_alone(api: Api) -> None:
    list_id, (ann, bob) = full_list(api)
    other = order(api, list_id)["data"]["email_campaign_id"]
    becomes(api, other)
    row = order(api, list_id)["data"]
    key = row["email_campaign_id"]
    becomes(api, key)
    link = api.get(f"/email-campaigns/{key}/history/export?filename=mine.csv")["url"]
    assert link.endswith("filename=mine.csv")
    rows = list(csv.DictReader(io.StringIO(fetch(link).raw.decode())))
    assert [one["to_address"] for one in rows] == [ann, bob]
    assert {one["email_campaign_id"] for one in rows} == {str(key)}
    assert list(rows[0]) == list(api.get(f"/email-campaigns/{key}/history")["data"][0])
    at = int(row["date_added"])
    assert api.get(f"/email-campaigns/{key}/history?date_from={at}&date_to={at + 60}")["total"] == 2
    assert api.get(f"/email-campaigns/{key}/history?date_from={at + 60}")["total"] == 0
