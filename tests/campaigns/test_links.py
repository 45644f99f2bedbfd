"""Campaigns whose texts have short links: each recipient has one, the price is known before, clicks are counted."""

from campaigns.books import PRICE, check_books, ended, entries, messages, order, refused
from contacts.test_list_sends import OTHER, opt_out_list
from contacts.test_lists import NUMBER, added, made
from links.telephone import TARGET, ask, counted, paths, statistics
from support.server import Api


def test_each_recipient_has_a_link_and_a_way_out_of_its_own(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER, first_name="smsu.io/xxxxx")
    added(api, list_id, phone_number=OTHER, first_name="(Last Name)", last_name="Never")
    body = "Dear (First Name), look: http://smsu.io/xxxxx or StopMsg.me/xxxxx"
    quoted = api.post("/sms-campaigns/price", {"list_id": list_id, "name": "x", "body": body, "url_to_shorten": TARGET})
    assert (quoted["total_count"], quoted["total_price"]) == (2, "0.1430")
    row = order(api, list_id, body, url_to_shorten=TARGET)
    assert (row["url_to_shorten"], row["unsubscribe_link"]) == (TARGET, 1)
    assert entries(api) == [-2 * PRICE]
    ended(api, row)
    check_books(api, row)
    first, second = messages(api, row)
    assert first["body"].startswith("Dear smsu.io/xxxxx, look: http://"), "a name is filled in and searched no further"
    assert second["body"].startswith("Dear (Last Name), look: http://")
    codes = [paths(api.server, one["body"]) for one in (first, second)]
    assert len({code for pair in codes for code in pair}) == 4
    page = ask(api.server, codes[0][0])
    assert (page.status, page.headers["location"]) == (302, TARGET)
    assert counted(api, "sms_campaign", row["sms_campaign_id"], 1)["links"]["opened_total"] == 1
    asked = ask(api.server, codes[1][1])
    assert (asked.status, "<form" in asked.text) == (200, True)
    assert api.get(f"/lists/{opt_out_list(api)}/contacts")["total"] == 0, "to look is not to leave"
    assert ask(api.server, codes[1][1], "POST").status == 200
    (gone,) = api.get(f"/lists/{opt_out_list(api)}/contacts")["data"]
    assert gone["phone_number"] == OTHER
    assert statistics(api, "sms_campaign", row["sms_campaign_id"])["links"]["opened_total"] == 1


def test_a_link_without_a_target_or_a_target_without_a_link_is_a_mistake(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    assert list(refused(api, list_id, "Look: smsg.io/xxxxx").data) == ["url_to_shorten"]
    for url in ("javascript:alert(1)", "https://example.com/" + "x" * 2000, "ftp://example.com/"):
        assert list(refused(api, list_id, "Look: sm-su.io/xxxxx", url_to_shorten=url).data) == ["url_to_shorten"]
    assert refused(api, list_id, "No link", url_to_shorten=TARGET).status == 400
    assert entries(api) == []
