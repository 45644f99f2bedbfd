"""MMS campaigns: the same engine, with a picture and a subject, and the document's other shapes."""

from typing import Any

import pytest

from campaigns.books import balance, later
from contacts.test_list_sends import OTHER, opt_out_list
from contacts.test_lists import NUMBER, added, made
from heliograph.files import store
from links.telephone import TARGET, ask, paths
from support.pictures import kept
from support.server import Api


def order(api: Api, to: int, kind: str = "send", **more: Any) -> Any:
    body = {
        "list_id": to,
        "name": "Koalas",
        "body": "Hey (First Name)",
        "subject": "For (First Name)",
        "media_file": kept(api),
    }
    return api.call("POST", f"/mms-campaigns/{kind}", {**body, **more})


def view(api: Api, key: int) -> Any:
    return api.get(f"/mms-campaigns/{key}")


def test_the_life_of_a_campaign(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER, first_name="Ann")
    added(api, list_id, phone_number=OTHER)
    added(api, list_id, phone_number="+61411000009")
    added(api, opt_out_list(api), phone_number="+61411000009")
    before = balance(api)
    quoted = order(api, list_id, "price").data
    assert quoted["total_count"] == 2
    assert isinstance(quoted["total_price"], str)
    assert quoted["data"]["body"] == "Hey Ann"
    media = kept(api)
    row = order(api, list_id, media_file=media, schedule=0).data
    assert (row["status"], row["file_name"], row["subject"]) == ("Queued", media, "For (First Name)")
    assert row["_media_file_url"].endswith(f"/files/{media}")
    assert "custom_string" not in row
    assert before - balance(api) == round(float(quoted["total_price"]) * 1_000_000)
    key = row["mms_campaign_id"]
    last = api.until(lambda: [one for one in [view(api, key)] if one["status"] == "Sent"])[0]
    assert (last["custom_string"], last["country"], last["unsubscribe_link"], last["_total_count"]) == (
        None,
        None,
        0,
        2,
    )
    assert api.get(f"/mms-campaign/{key}") == last
    rows = api.get("/mms/history")["data"]
    assert [(one["to"], one["subject"], one["body"]) for one in rows] == [
        (NUMBER, "For Ann", "Hey Ann"),
        (OTHER, "For", "Hey "),
    ]
    again = api.call("PUT", f"/mms-campaigns/{key}/cancel")
    assert again.status == 404
    assert api.call("PUT", f"/mms-campaigns/{key}", {"name": "Too late"}).status == 400


def test_a_scheduled_one_is_changed_in_part_cancelled_once_and_paid_back(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    before = balance(api)
    row = order(api, list_id, schedule=later()).data
    key = row["mms_campaign_id"]
    assert row["status"] == "Scheduled"
    file_id = row["file_name"].partition(".")[0]
    kept_until = api.server.read(lambda tx: store.find(tx, file_id))["expires_at"]
    assert kept_until > row["schedule"] + 29 * 24 * 3600
    changed = api.put(f"/mms-campaigns/{key}", {"list_id": str(list_id), "name": "Other", "from": "", "body": "New"})
    assert (changed["name"], changed["body"], changed["subject"], changed["file_name"]) == (
        "Other",
        "New",
        row["subject"],
        row["file_name"],
    )
    listed = api.call("GET", "/mms-campaigns").body
    assert listed["total"] == 1, "this list has no envelope"
    assert [one["mms_campaign_id"] for one in listed["data"]] == [key]
    assert api.put(f"/mms-campaigns/{key}/cancel")["status"] == "Cancelled"
    assert balance(api) == before
    assert api.call("PUT", f"/mms-campaigns/{key}/cancel").status == 404


def test_links_are_each_recipients_own(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    row = order(api, list_id, body="Look: smsu.io/xxxxx, or StopMsg.me/xxxxx", url_to_shorten=TARGET).data
    api.until(lambda: view(api, row["mms_campaign_id"])["status"] == "Sent")
    assert view(api, row["mms_campaign_id"])["unsubscribe_link"] == 1
    (sent,) = api.get("/mms/history")["data"]
    click, _ = paths(api.server, sent["body"])
    assert ask(api.server, click).headers["location"] == TARGET


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"media_file": None}, "media_file"),
        ({"media_file": "  "}, "media_file"),
        ({"media_file": "http://127.0.0.1:1/never.gif"}, "media_file"),
        ({"subject": None}, "subject"),
        ({"subject": " "}, "subject"),
        ({"body": None}, "body"),
        ({"name": " "}, "name"),
        ({"list_id": None}, "list_id"),
        ({"body": "smsu.io/xxxxx"}, "url_to_shorten"),
        ({"schedule": 99_999_999_999}, "schedule"),
    ],
)
def test_what_is_wrong_is_named_and_costs_nothing(api: Api, given: dict[str, Any], field: str) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    before = balance(api)
    answer = order(api, list_id, **given)
    assert answer.status == 400
    assert field in answer.data
    assert balance(api) == before
    assert api.call("GET", "/mms-campaigns").body["total"] == 0


def test_an_unknown_list_is_told_as_documented(api: Api) -> None:
    answer = order(api, 987654)
    assert (answer.status, answer.body["response_msg"]) == (404, "Your list is not found.")
