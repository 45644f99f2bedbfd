"""Campaigns with what they have of templates and of tracking: bodies by id, openings and clicks in their counts."""

from campaigns.test_email_campaigns import BODY, asked, becomes, full_list, order, view
from heliograph.mail import uses
from heliograph.mail.uses import CLICK, OPEN, UNSUBSCRIBE, Use
from support.emails import arrived
from support.server import Api


def test_a_template_is_the_body_unless_there_is_one(api: Api) -> None:
    list_id, _ = full_list(api)
    made = api.post("/email/templates", {"template_name": "Mine", "template_id_master": 57})
    key, body = made["template_id"], made["body"]
    for given, shown in (({"body": None}, body), ({}, BODY)):
        answer = api.post("/email-campaigns/price", asked(api, list_id, template_id=float(key), **given))
        assert (answer["data"]["template_id"], answer["data"]["body"]) == (key, shown)
    row = order(api, list_id, draft=1)["data"]
    changed = api.put(f"/email-campaigns/{row['email_campaign_id']}", {"template_id": str(key)})
    assert (changed["template_id"], changed["body"]) == (key, body)
    other = api.server.account()
    list_id, _ = full_list(other)
    refused = other.call("POST", "/email-campaigns/send", asked(other, list_id, template_id=key))
    assert (refused.status, list(refused.data)) == (400, ["template_id"])


def test_what_readers_do_is_counted(api: Api) -> None:
    list_id, (ann, _) = full_list(api)
    key = order(api, list_id)["data"]["email_campaign_id"]
    becomes(api, key)
    (mail,) = arrived(api, ann)
    html = mail.get_body(("html",))
    assert html is not None
    assert "/e/c/" in html.get_content()
    assert "/e/o/" in html.get_content()
    first, second = (row["message_id"] for row in api.get(f"/email-campaigns/{key}/history")["data"])
    done = [(first, OPEN), (first, OPEN), (second, OPEN), (first, CLICK), (second, UNSUBSCRIBE)]
    api.server.write(lambda tx: uses.add(tx, [Use(key, message_id, kind, 0, tx.now) for message_id, kind in done]))
    row = view(api, key)
    assert [row[f"{name}_count"] for name in ("send", "open", "click", "unsubscribe")] == [2, 3, 1, 1]
    rows = api.get(f"/email-campaigns/{key}/history")["data"]
    assert [(one["open_count"], one["click_count"]) for one in rows] == [(2, 1), (1, 0)]
    assert api.get(f"/email-campaigns/{key}/history?q=open_count:2")["total"] == 1
