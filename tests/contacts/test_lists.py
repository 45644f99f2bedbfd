"""Contact lists and contacts over HTTP: everything that can be done to them, and counts that stay right."""

import threading
import time
from typing import Any
from urllib.parse import quote

import pytest

from heliograph.contacts import cleaning, contact, lists
from heliograph.db.engine import Tx
from support.server import Api, Running

NUMBER = "+61491570006"


def made(api: Api, name: str = "Customers") -> int:
    return int(api.post("/lists", {"list_name": name})["list_id"])


def added(api: Api, list_id: int, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = api.post(f"/lists/{list_id}/contacts", fields)
    return row


def count(api: Api, list_id: int) -> int:
    """What the list says, after all places where it is counted were seen to agree."""

    def told() -> int:
        return int(api.get(f"/lists/{list_id}")["_contacts_count"])

    def counted(tx: Tx) -> list[int]:
        queries = ("SELECT COUNT(*) FROM contacts WHERE list_id = ?",)
        queries += ("SELECT COALESCE(SUM(count), 0) FROM contact_blocks WHERE list_id = ?",)
        return [int(tx.driver(query, [list_id]).fetchone()[0]) for query in queries]

    said, found = told(), api.server.read(counted)
    if told() != said:  # a reply came in meanwhile
        return count(api, list_id)
    assert found == [said, said]
    return said


def bulk(api: Api, list_id: int, numbers: Any, **fields: str) -> None:
    """Put many contacts into a list without HTTP."""

    def work(tx: Tx) -> None:
        into = lists.find(tx, api.user_id, list_id, lock=True)
        rows = [contact.columns({"phone_number": f"+61491{number:06}", **fields}, "AU") for number in numbers]
        contact.add(tx, into, rows)

    api.server.write(work)


def test_the_life_of_a_list(api: Api) -> None:
    row = api.post("/lists", {"list_name": "  Ünïcode 名簿 "})
    assert row["list_name"] == "Ünïcode 名簿"
    assert (row["_contacts_count"], row["_import_in_progress"], row["_optout_in_progress"]) == (0, 0, 0)
    assert len(row["list_email_id"]) == 16
    path = f"/lists/{row['list_id']}"
    assert api.get(path) == row
    changed = api.call("PUT", path, {"list_name": "Other"})
    assert changed.body["response_msg"] == f"List #{row['list_id']} has been updated."
    assert api.get(path)["list_name"] == "Other"
    assert [one["list_name"] for one in api.get("/lists?order_by=list_id:desc")["data"]] == ["Other", "Opt-Out List"]
    assert api.call("DELETE", path).body["response_msg"] == f"List #{row['list_id']} has been deleted."
    for method in ("GET", "PUT", "DELETE"):
        answer = api.call(method, path, {"list_name": "x"})
        assert (answer.status, answer.body["response_msg"]) == (404, "Your list is not found.")


def test_an_account_is_born_with_an_opt_out_list_and_its_rule(api: Api) -> None:
    (born,) = api.get("/lists")["data"]
    assert born["list_name"] == "Opt-Out List"
    (rule,) = api.get("/automations/sms/inbound")["data"]
    assert (rule["rule_name"], rule["action"]) == ("Opt Out", "MOVE_CONTACT")
    assert rule["action_address"] == str(born["list_id"])
    refused = api.call("DELETE", f"/lists/{born['list_id']}")
    assert (refused.status, set(refused.data)) == (400, {"list_id"})


def test_the_life_of_a_contact(api: Api) -> None:
    list_id = made(api)
    row = added(
        api, list_id, phone_number="0491 570 006", first_name="Ellen", custom_1="VIP", address_postal_code=36063
    )
    assert (row["phone_number"], row["first_name"], row["last_name"]) == (NUMBER, "Ellen", "")
    assert (row["address_postal_code"], row["email"], row["_list_name"]) == ("36063", None, "Customers")
    path = f"/lists/{list_id}/contacts/{row['contact_id']}"
    assert api.get(path) == row
    stored = api.server.read(lambda tx: contact.find(tx, api.user_id, list_id, row["contact_id"])[1])
    assert stored["phone_original"] == "0491 570 006"
    changed = api.call("PUT", path, {"last_name": "Diaz", "custom_1": "", "email": "ellen@example.com"})
    assert changed.body["response_msg"] == f"Contact #{row['contact_id']} has been updated."
    assert (changed.data["first_name"], changed.data["last_name"], changed.data["custom_1"]) == ("Ellen", "Diaz", "")
    assert changed.data["phone_number"] == NUMBER
    assert count(api, list_id) == 1
    assert api.call("DELETE", path).body["response_msg"] == f"Contact #{row['contact_id']} has been deleted."
    assert count(api, list_id) == 0
    assert api.call("GET", path).body["response_msg"] == "Contact record not found."


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"phone_number": "020 7946 0018", "address_country": "GB"}, "+442079460018"),
        ({"phone_number": "020 7946 0018", "address_country": "gb"}, "+442079460018"),
        ({"phone_number": "0491570006", "address_country": "Australia"}, NUMBER),
        ({"phone_number": "020 7946 0018", "address_country": "United Kingdom"}, "+442079460018"),
        ({"phone_number": "+61 491 570 006", "address_country": "Atlantis"}, NUMBER),
        ({"phone_number": "61491570006.0", "address_country": " "}, NUMBER),
        ({"phone_number": 61491570006}, NUMBER),
        ({"phone_number": "0011 1 650 253 0000"}, "+16502530000"),
        ({"email": "only@example.com"}, None),
        ({"fax_number": "02 9876 5432"}, None),
    ],
)
def test_national_numbers_are_those_of_the_contacts_country(api: Api, fields: dict[str, Any], number: str) -> None:
    assert added(api, made(api), **fields)["phone_number"] == number


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"phone_number"}),
        ({"phone_number": "", "email": None}, {"phone_number"}),
        ({"phone_number": "0491570006", "address_country": "US"}, {"phone_number"}),
        ({"phone_number": "0491570006", "address_country": "Atlantis"}, {"phone_number"}),
        ({"fax_number": "0298765432", "address_country": "Atlantis"}, {"fax_number"}),
        ({"first_name": "Nobody"}, {"phone_number"}),
        ({"phone_number": "12"}, {"phone_number"}),
        ({"phone_number": "not a number", "email": "x"}, {"phone_number", "email"}),
        ({"phone_number": NUMBER, "fax_number": "1"}, {"fax_number"}),
        ({"phone_number": NUMBER, "first_name": "x" * 256}, {"first_name"}),
        ({"phone_number": NUMBER, "first_name": "a\x00b"}, {"first_name"}),
        ({"phone_number": [NUMBER]}, {"phone_number"}),
        ({"phone_number": {"a": 1}}, {"phone_number"}),
        ({"phone_number": True}, {"phone_number"}),
        ({"phone_number": "9" * 10_000}, {"phone_number"}),
    ],
)
def test_what_a_contact_may_not_be(api: Api, body: Any, faults: set[str]) -> None:
    list_id = made(api)
    refused = api.call("POST", f"/lists/{list_id}/contacts", body)
    assert (refused.status, set(refused.data)) == (400, faults)
    assert count(api, list_id) == 0
    key = added(api, list_id, phone_number=NUMBER)["contact_id"]
    refused = api.call("PUT", f"/lists/{list_id}/contacts/{key}", {"phone_number": ""})
    assert (refused.status, set(refused.data)) == (400, {"phone_number"})


@pytest.mark.parametrize("name", [None, "", "  ", "x" * 256, [], {}, True, "a\x00b"])
def test_what_a_list_may_not_be_called(api: Api, name: Any) -> None:
    for method, path in (("POST", "/lists"), ("PUT", f"/lists/{made(api)}")):
        refused = api.call(method, path, {"list_name": name})
        assert (refused.status, set(refused.data)) == (400, {"list_name"})


def test_copy_and_transfer(api: Api) -> None:
    one, two = made(api, "One"), made(api, "Two")
    row = added(api, one, phone_number=NUMBER, first_name="Ellen", custom_4="four")
    copied = api.call("PUT", f"/lists/{one}/contacts/{row['contact_id']}/copy/{two}")
    assert copied.body["response_msg"] == f"Contact #{row['contact_id']} has been copied to List #{two}"
    assert (copied.data["list_id"], copied.data["_list_name"], copied.data["custom_4"]) == (two, "Two", "four")
    assert copied.data["contact_id"] != row["contact_id"]
    assert (count(api, one), count(api, two)) == (1, 1)
    moved = api.call("PUT", f"/lists/{one}/contacts/{row['contact_id']}/transfer/{two}")
    assert moved.body["response_msg"] == f"Contact #{row['contact_id']} has been transferred to List #{two}"
    assert (moved.data["contact_id"], moved.data["list_id"]) == (row["contact_id"], two)
    assert (count(api, one), count(api, two)) == (0, 2)
    again = api.call("PUT", f"/lists/{two}/contacts/{row['contact_id']}/transfer/{two}")
    assert (again.status, count(api, two)) == (200, 2)


def test_other_accounts_lists_and_contacts_are_not_there(server: Running) -> None:
    mine, theirs = server.account(), server.account()
    my_list, their_list = made(mine), made(theirs)
    my_contact = added(mine, my_list, phone_number=NUMBER)["contact_id"]
    their_contact = added(theirs, their_list, phone_number=NUMBER)["contact_id"]
    body = {"phone_number": NUMBER, "list_name": "x", "file_url": "http://127.0.0.1:9/", "field_order": "phone"}
    for list_id, key in ((their_list, their_contact), (10**9, 10**9), (10**17, 10**17), ("x", "-1"), ("1e3", "²")):
        one = f"/lists/{list_id}"
        for call in (
            *(f"{verb} {one}" for verb in ("GET", "PUT", "DELETE")),
            *(f"{verb} {one}/contacts/{key}" for verb in ("GET", "PUT", "DELETE")),
            *(f"GET {one}/contacts", f"POST {one}/import", f"GET {one}/imports/{key}"),
            *(f"PUT {one}/remove-duplicates", f"PUT {one}/remove-opted-out-contacts/{my_list}"),
            f"PUT /lists/{my_list}/remove-opted-out-contacts/{list_id}",
            *(f"{verb} /lists/{my_list}/contacts/{key}" for verb in ("GET", "PUT", "DELETE")),
            *(f"PUT {one}/contacts/{key}/{way}/{my_list}" for way in ("copy", "transfer")),
        ):
            verb, _, path = call.partition(" ")
            answer = mine.call(verb, path.replace("²", "%C2%B2"), body)
            assert (call, answer.status, answer.data) == (call, 404, None)
        for way in ("copy", "transfer"):
            path = f"/lists/{my_list}/contacts/{my_contact}/{way}/{list_id}".replace("²", "%C2%B2")
            assert mine.call("PUT", path).status in (403, 404)
    refused = mine.call("POST", f"/lists/{their_list}/contacts", {"phone_number": NUMBER})
    assert (refused.status, refused.body["response_code"]) == (403, "FORBIDDEN")
    assert (count(mine, my_list), count(theirs, their_list)) == (1, 1)


def test_pages_follow_the_order_in_which_contacts_came_whatever_was_removed(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, range(3500))
    first = api.get(f"/lists/{list_id}/contacts?limit=100")
    ids = list(range(first["data"][0]["contact_id"], first["data"][0]["contact_id"] + 3500))
    # A hundred are left of the first thousand places, so that a page begins where a block does.
    gone = [*ids[5:895], *ids[990:1010], *ids[2000:3000], ids[3499]]

    def remove(tx: Tx) -> int:
        lists.find(tx, api.user_id, list_id, lock=True)
        return contact.remove(tx, list_id, gone)

    assert api.server.write(remove) == len(gone)
    added(api, list_id, phone_number=NUMBER)
    kept = sorted(set(ids) - set(gone))
    seen = []
    page = api.get(f"/lists/{list_id}/contacts?limit=100")
    assert page["total"] == len(kept) + 1
    for number in range(1, page["last_page"] + 1):
        page = api.get(f"/lists/{list_id}/contacts?limit=100&page={number}")
        assert (page["from"], page["to"]) == (len(seen) + 1, len(seen) + len(page["data"]))
        seen += [row["contact_id"] for row in page["data"]]
    assert seen[:-1] == kept
    assert api.get(f"/lists/{list_id}/contacts?page={page['last_page'] + 1}&limit=100")["data"] == []
    assert count(api, list_id) == len(kept) + 1


def test_search_sort_and_updated_after(api: Api) -> None:
    list_id = made(api)
    old = added(api, list_id, phone_number=NUMBER, first_name="Ann")
    added(api, list_id, phone_number="+61491570156", first_name="Bea")
    api.server.write(lambda tx: tx.driver("UPDATE contacts SET date_updated = 1000 WHERE list_id = ?", [list_id]))
    api.put(f"/lists/{list_id}/contacts/{old['contact_id']}", {"custom_1": "new"})
    path = f"/lists/{list_id}/contacts"
    assert [row["first_name"] for row in api.get(f"{path}?updated_after=1000")["data"]] == ["Ann"]
    assert api.get(f"{path}?updated_after=999")["total"] == 2
    assert api.get(f"{path}?updated_after={int(time.time()) + 60}")["total"] == 0
    assert [row["first_name"] for row in api.get(f"{path}?order_by=first_name:desc")["data"]] == ["Bea", "Ann"]
    assert [row["first_name"] for row in api.get(f"{path}?q=first_name:b*")["data"]] == ["Bea"]
    api.server.write(lambda tx: tx.driver("UPDATE contacts SET date_updated = 1000 WHERE list_id = ?", [list_id]))
    bulk(api, list_id, range(20))
    pages = [api.get(f"{path}?updated_after=999&page={number}") for number in (1, 2, 3)]
    assert [(page["total"], len(page["data"])) for page in pages] == [(22, 15), (22, 7), (22, 0)]
    seen = [(int(row["date_updated"]), row["contact_id"]) for page in pages for row in page["data"]]
    assert seen == sorted(seen)
    assert [row["first_name"] for row in api.get(f"{path}?updated_after=999&q=first_name:ann")["data"]] == ["Ann"]
    for query in ("updated_after=soon", "page=x"):
        assert api.call("GET", f"{path}?{query}").status == 400


def test_counts_stay_right_under_concurrency(server: Running) -> None:
    owner = server.account()
    one, two = made(owner), made(owner)
    failures: list[BaseException] = []

    def customer(number: int) -> None:
        api = server.client(owner.username, owner.key, owner.user_id)
        try:
            for at in range(10):
                row = added(api, one, phone_number=f"+6149157{number}{at:03}")
                path = f"/lists/{one}/contacts/{row['contact_id']}"
                if at % 3 == 0:
                    api.delete(path)
                elif at % 3 == 1:
                    api.put(f"{path}/transfer/{two}")
                else:
                    api.put(f"{path}/copy/{two}")
        except BaseException as problem:  # noqa: BLE001 - the test fails with it
            failures.append(problem)

    threads = [threading.Thread(target=customer, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (count(owner, one), count(owner, two)) == (6 * 3, 6 * 6)


def test_a_deleted_list_is_gone_at_once_and_swept_in_slices(api: Api) -> None:
    list_id, other = made(api), made(api)
    bulk(api, list_id, range(2500))
    bulk(api, other, range(10))
    api.delete(f"/lists/{list_id}")
    assert api.call("GET", f"/lists/{list_id}/contacts").status == 404
    assert api.get("/search/contacts-lists?q=61491")["total"] == 10
    left = api.server.read(
        lambda tx: tx.driver("SELECT COUNT(*) FROM contacts WHERE list_id = ?", [list_id]).fetchone()
    )
    assert left[0] in (0, 500, 1500, 2500), "the whole list went in one transaction"
    while api.server.write(lists.sweep):
        pass
    for table in ("contacts", "contact_blocks", "contact_lists"):
        sql = f"SELECT COUNT(*) FROM {table} WHERE list_id = ?"
        assert api.server.read(lambda tx, sql=sql: tx.driver(sql, [list_id]).fetchone()[0]) == 0
    assert count(api, other) == 10


def test_duplicates_by_any_fields(api: Api) -> None:
    list_id = made(api)
    kept = added(api, list_id, phone_number=NUMBER, first_name="Ellen", email="A@example.com")
    added(api, list_id, phone_number=NUMBER, first_name="Other", email="a@example.com")
    added(api, list_id, phone_number="0491 570 006", first_name="Ellen", email="b@example.com")
    for _ in range(2):
        added(api, list_id, email="c@example.com")
    path = f"/lists/{list_id}/remove-duplicates"
    assert api.put(path, {"fields": ["phone", "first_name", "email"]}) == {"deleted": 1}
    assert api.put(path, {"fields": "phone_number, first_name"}) == {"deleted": 1}
    assert api.put(path, {"fields": {"email": "email"}}) == {"deleted": 1}
    assert api.put(path + "/", {"fields": ["email"]}) == {"deleted": 0}
    assert api.get(f"/lists/{list_id}/contacts")["data"][0]["contact_id"] == kept["contact_id"]
    assert count(api, list_id) == 2
    added(api, list_id, phone_number=NUMBER)
    for body in ({"fields": ["nonsense"]}, {"fields": "contact_id"}, {"fields": 5}, {"fields": [""]}, {"fields": [[]]}):
        refused = api.call("PUT", path, body)
        assert refused.status == 400
        assert all(name.startswith("fields") for name in refused.data)
    assert api.put(path, {"fields": []}) == {"deleted": 1}


def test_a_duplicate_that_changed_meanwhile_stays(api: Api) -> None:
    list_id = made(api)
    rows = [added(api, list_id, phone_number=NUMBER) for _ in range(3)]
    names = ["phone_number"]
    pairs = api.server.read(lambda tx: cleaning.duplicates(tx, api.user_id, list_id, names))
    assert list(pairs) == [key for row in rows[1:] for key in (row["contact_id"], rows[0]["contact_id"])]
    api.put(f"/lists/{list_id}/contacts/{rows[1]['contact_id']}", {"phone_number": "+61491570156"})
    removed = api.server.write(lambda tx: cleaning.remove_duplicates(tx, api.user_id, list_id, names, pairs))
    assert removed == 1
    api.delete(f"/lists/{list_id}/contacts/{rows[0]['contact_id']}")
    assert api.server.write(lambda tx: cleaning.remove_duplicates(tx, api.user_id, list_id, names, pairs)) == 0
    assert count(api, list_id) == 1


def test_opted_out_contacts_are_removed(api: Api) -> None:
    opt_out = api.get("/lists")["data"][0]["list_id"]
    list_id = made(api)
    bulk(api, list_id, range(5100))
    bulk(api, opt_out, [0, 3, 3, 5050, 9999])
    added(api, list_id, email="no.number@example.com")
    added(api, opt_out, email="no.number@example.com")
    answer = api.call("PUT", f"/lists/{list_id}/remove-opted-out-contacts/{opt_out}")
    assert answer.data == {"deleted": 3}
    assert count(api, list_id) == 5098
    assert api.get(f"/lists/{list_id}")["_optout_in_progress"] == 0
    assert api.call("PUT", f"/lists/{opt_out}/remove-opted-out-contacts/{opt_out}").status == 400


def test_the_opt_out_flag_shows_between_slices_and_lapses(api: Api) -> None:
    opt_out = api.get("/lists")["data"][0]["list_id"]
    list_id = made(api)
    bulk(api, list_id, range(cleaning.PLACES_AT_ONCE))
    _, following = api.server.write(lambda tx: cleaning.remove_opted_out(tx, api.user_id, list_id, opt_out, 0))
    assert following is not None
    assert api.get(f"/lists/{list_id}")["_optout_in_progress"] == 1
    api.server.write(lambda tx: lists.opting_out(tx, list_id, tx.now - 1))
    assert api.get(f"/lists/{list_id}")["_optout_in_progress"] == 0


def test_a_keyword_finds_contacts_and_lists_on_one_page(api: Api) -> None:
    list_id = made(api, "Gorne ÉCOLE")
    row = added(
        api, list_id, phone_number=NUMBER, first_name="Jürgen", last_name="GORNE", organization_name="Acme 100%"
    )
    found = api.get("/search/contacts-lists?q=gorne")
    assert found["data"] == [
        {"id": row["contact_id"], "name": "Jürgen GORNE", "contact": NUMBER, "type": "contact", "contacts_count": None},
        {"id": list_id, "name": "Gorne ÉCOLE", "contact": api.get(f"/lists/{list_id}")["list_email_id"]}
        | {"type": "list", "contacts_count": 1},
    ]
    for word, total in (("%C3%A9cole", 1), ("J%C3%9CRGEN", 1), ("570%20006", 1), ("100%25", 1), ("_", 0), ("acme", 1)):
        assert (word, api.get(f"/search/contacts-lists?q={word}")["total"]) == (word, total)
    assert api.server.account().get("/search/contacts-lists?q=gorne")["data"] == []
    for query in ("", "?q=", "?q=%20", "?q=%E2%80%8B", "?q=a%00b"):
        assert api.call("GET", f"/search/contacts-lists{query}").status == 400


def test_a_keyword_is_found_in_any_form_of_its_letters(api: Api) -> None:
    list_id = made(api, "Çal\u0131şkanlar İPEK")
    added(
        api,
        list_id,
        phone_number=NUMBER,
        first_name="Strauß",
        last_name="Nun\u0303ez",
        organization_name="\uff21\uff23ME",
    )
    words = {"STRAUSS": 1, "straußnu": 0, "nuñez": 1, "ÑEZ": 1, "n\u0303e": 1, "acme": 1, "ipek": 1, "\u0131pek": 1}
    words |= {"ÇALIŞKANLAR": 1, "c\u0327al": 1, "strau\u00adß  nu": 1, "calis": 0, "strauss": 1}
    for word, total in words.items():
        found = api.get(f"/search/contacts-lists?q={quote(word)}")
        assert (word, found["total"]) == (word, total)


def test_a_search_pages_over_the_border_between_contacts_and_lists(api: Api) -> None:
    list_id = made(api, "Acme 0")
    bulk(api, list_id, range(20), last_name="Acme")
    for number in range(1, 20):
        made(api, f"Acme {number}")
    pages = [api.get(f"/search/contacts-lists?q=acme&page={number}") for number in (1, 2, 3, 4)]
    assert [page["total"] for page in pages] == [40] * 4
    kinds = [[row["type"] for row in page["data"]] for page in pages]
    assert kinds == [["contact"] * 15, ["contact"] * 5 + ["list"] * 10, ["list"] * 10, []]
    assert len({(row["type"], row["id"]) for page in pages for row in page["data"]}) == 40
