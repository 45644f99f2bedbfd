"""Inbound rules that make contacts, speak to them, and pass messages on to whole lists."""

import time
from pathlib import Path
from typing import Any

import pytest

from automations.test_actions import CUSTOMER, DELIVERED, ECHO, OTHER, OURS, Bench, mails, on_bench, rule
from heliograph.accounts import account
from heliograph.automations.actions import said_of_oneself
from heliograph.automations.sending import MOST_IN_A_GROUP
from heliograph.contacts import contact, lists
from support import quiet
from support.server import Api, Running

INBOUND = "/automations/sms/inbound"
OF_LISTS = ("GROUP_SMS", "CREATE_CONTACT", "CREATE_CONTACT_PLUS_EMAIL", "CREATE_CONTACT_PLUS_NAME")
OF_LISTS += ("CREATE_CONTACT_PLUS_NAME_EMAIL",)


def list_of(bench: Bench, *numbers: str, user: int = 0) -> int:
    key = int(lists.create(bench.tx, user or bench.user, "List")["list_id"])
    put(bench, key, *({"phone_number": number} for number in numbers), user=user)
    return key


def put(bench: Bench, list_id: int, *given: dict[str, str | None], user: int = 0) -> None:
    into = contact.target(bench.tx, user or bench.user, list_id)
    contact.add(bench.tx, into, [contact.columns(one, "AU") for one in given])


def within(bench: Bench, list_id: int) -> list[tuple[Any, ...]]:
    rows = bench.tx.rows(contact.of(list_id).order_by("place"))
    return [(row["phone_number"], row["first_name"], row["last_name"], row["email"]) for row in rows]


def texts(bench: Bench, to: str) -> list[str]:
    found = bench.tx.driver("SELECT body FROM messages WHERE recipient = ? ORDER BY ordinal", [to])
    return [row[0] for row in found.fetchall()]


@pytest.mark.parametrize(
    ("kind", "term", "text", "said"),
    [
        (1, "join", "JOIN Ann Lee", ("Ann", "Lee", "")),
        (1, "join", "Join: Ann van der Lee, ann@example.com!", ("Ann", "van der Lee", "ann@example.com")),
        (1, "join", "joining Ann", ("Ann", "", "")),
        (1, "join", "JOIN:Ann", ("Ann", "", "")),
        (1, "join", "“J\u200boin” Ann", ("Ann", "", "")),
        (1, "kat\u0131l", "KATIL Şule Öz", ("Şule", "Öz", "")),
        (2, "straße", "Die STRASSE: Ann", ("Ann", "", "")),
        (1, "bei\u0301", "BEÍ A\u0301nn", ("Ánn", "", "")),
        (2, "opt in", "I opt\u00a0in Ann", ("Ann", "", "")),
        (2, "join", "please join ann@example.com Ann", ("Ann", "", "ann@example.com")),
        (2, "join", "Ann wants to join", ("", "", "")),
        (2, "50%+", "the 50%+ Ann", ("Ann", "", "")),
        (0, "join", "join Ann", ("join", "Ann", "")),
        (3, "join", "Ann Lee", ("Ann", "Lee", "")),
        (1, None, "Ann", ("Ann", "", "")),
        (0, "", "", ("", "", "")),
        (0, "", "@ a@b@c one@example.com two@example.com", ("", "", "one@example.com")),
        (0, "", "x" * 300 + " " + "y " * 300, ("x" * 255, ("y " * 128)[:255], "")),
        (0, "", "王 小明", ("王", "小明", "")),
    ],
)
def test_what_a_text_says_of_its_sender(kind: int, term: str | None, text: str, said: tuple[str, ...]) -> None:
    found = said_of_oneself({"message_search_type": kind, "message_search_term": term}, text)
    assert found == {
        name: value for name, value in zip(("first_name", "last_name", "email"), said, strict=True) if value
    }


@pytest.mark.parametrize(
    ("action", "made"),
    [
        ("CREATE_CONTACT", ("", "", None)),
        ("CREATE_CONTACT_PLUS_EMAIL", ("", "", "ann@example.com")),
        ("CREATE_CONTACT_PLUS_NAME", ("Ann", "Lee", None)),
        ("CREATE_CONTACT_PLUS_NAME_EMAIL", ("Ann", "Lee", "ann@example.com")),
    ],
)
def test_the_sender_becomes_a_contact_once(
    migrated_url: str, tmp_path: Path, action: str, made: tuple[str, str, str | None]
) -> None:
    def work(bench: Bench) -> None:
        target = list_of(bench, OTHER)
        bench.rule(action=action, action_address=str(target), message_search_type=1, message_search_term="join")
        for text in ("JOIN Ann Lee ann@example.com", "join"):
            bench.arrives(text)
        assert within(bench, target) == [(OTHER, "", "", None), (CUSTOMER, *made)]
        assert lists.find(bench.tx, bench.user, target)["contacts_count"] == 2
        bench.arrives("Join Bea")
        changed = ("Bea", "Lee") if "NAME" in action else made[:2]
        assert within(bench, target)[1] == (CUSTOMER, *changed, made[2])
        for sender in ("HELIO", "12345", ""):
            bench.arrives("join", sender=sender)
        assert len(within(bench, target)) == 2

    on_bench(migrated_url, tmp_path, work)


def test_lists_that_are_gone_or_of_others_get_nobody(migrated_url: str, tmp_path: Path) -> None:
    """A rule was made when the list was there."""

    def work(bench: Bench) -> None:
        other = bench.account("other")
        theirs, gone = list_of(bench, OTHER, user=other), list_of(bench, OTHER)
        lists.delete(bench.tx, bench.user, gone)
        for action in OF_LISTS:
            for list_id in (theirs, gone, 10**9):
                bench.rule(action=action, action_address=str(list_id))
        bench.arrives()
        assert within(bench, theirs) == [(OTHER, "", "", None)]
        assert len(within(bench, gone)) == 1
        assert bench.sent(OTHER) == 0

    on_bench(migrated_url, tmp_path, work)


def test_a_message_goes_to_a_group_but_neither_to_its_sender_nor_to_who_said_no(
    migrated_url: str, tmp_path: Path
) -> None:
    said_no = "+61491570158"

    def work(bench: Bench) -> None:
        group = list_of(bench, CUSTOMER, OTHER, OTHER, said_no)
        put(bench, group, {"email": "no.number@example.com"})
        put(bench, lists.opt_out_list(bench.tx, bench.user), {"phone_number": said_no})
        bench.rule(action="GROUP_SMS", action_address=str(group))
        bench.arrives("Dinner at (First Name)?")
        assert texts(bench, OTHER) == [f"{CUSTOMER}: Dinner at (First Name)?"]
        assert (bench.sent(CUSTOMER), bench.sent(said_no)) == (0, 0)
        row = bench.tx.driver("SELECT list_id, sender FROM messages WHERE recipient = ?", [OTHER]).fetchone()
        assert tuple(row) == (group, OURS)
        bench.arrives("Yes", sender=OTHER)
        assert texts(bench, CUSTOMER) == [f"{OTHER}: Yes"]

    on_bench(migrated_url, tmp_path, work)


def test_machines_in_a_group_cannot_talk_for_ever(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        members = [CUSTOMER, OTHER, "+61491570158"]
        bench.rule(action="GROUP_SMS", action_address=str(list_of(bench, *members)))
        for number in range(12):
            bench.arrives(f"text {number}", sender=members[number % 2])
        assert [bench.sent(one) for one in members] == [4, 4, 4]
        bench.pass_time(3601)
        bench.arrives("later")
        assert [bench.sent(one) for one in members] == [4, 5, 5]

    on_bench(migrated_url, tmp_path, work, rule_forwards=4)


def test_a_group_that_is_too_large_is_not_written_to(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        group = list_of(bench, *(f"+6149157{number:04}" for number in range(MOST_IN_A_GROUP)))
        bench.rule(action="GROUP_SMS", action_address=str(group))
        bench.arrives()
        count = "SELECT COUNT(*) FROM messages"
        assert bench.tx.driver(count).fetchone()[0] == MOST_IN_A_GROUP - 1, "all but the sender"
        put(bench, group, {"phone_number": "+61491999001"})
        bench.arrives("again")
        assert bench.tx.driver(count).fetchone()[0] == MOST_IN_A_GROUP - 1

    on_bench(migrated_url, tmp_path, work)


def test_an_automatic_reply_speaks_to_who_wrote(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="AUTO_REPLY", body="Hey {first name}, great choice (Cust. 1)!")
        other = bench.account("other")
        put(bench, list_of(bench, user=other), {"phone_number": OTHER, "first_name": "Theirs"}, user=other)
        gone, first, second = list_of(bench), list_of(bench), list_of(bench)
        for list_id, name in ((gone, "Gone"), (first, "Ann"), (second, "Annie")):
            put(bench, list_id, {"phone_number": CUSTOMER, "first_name": name})
        lists.delete(bench.tx, bench.user, gone)
        bench.arrives()
        bench.arrives(answers=quiet.message(list_id=second))
        bench.arrives(sender=OTHER)
        assert texts(bench, CUSTOMER) == ["Hey Ann, great choice !", "Hey Annie, great choice !"]
        assert texts(bench, OTHER) == ["Hey , great choice !"]

    on_bench(migrated_url, tmp_path, work)


def test_rules_name_own_lists_and_addresses(server: Running) -> None:
    api, other = server.account(), server.account()
    mine = api.post("/lists", {"list_name": "Mine"})["list_id"]
    theirs = other.post("/lists", {"list_name": "Theirs"})["list_id"]
    for action in OF_LISTS:
        given = {"rule_name": "r", "action": action, "action_address": str(mine), "body": "test@test.com"}
        made = api.post(INBOUND, given)
        assert (made["action"], made["action_address"], made["body"]) == (action, str(mine), "test@test.com")
        assert api.post(INBOUND, {**given, "body": None, "action_address": mine})["action_address"] == str(mine)
        path = f"{INBOUND}/{made['inbound_rule_id']}"
        for address in (str(theirs), "", "john@doe.com", "-1", "²", "1" * 30):
            for call in (("POST", INBOUND), ("PUT", path)):
                refused = api.call(*call, {**given, "action_address": address})
                assert (refused.status, set(refused.data)) == (400, {"action_address"})
        if action.endswith("_EMAIL"):
            refused = api.call("PUT", path, {"body": "not an address"})
            assert (refused.status, set(refused.data)) == (400, {"body"})


def test_a_reply_makes_a_contact_and_is_mailed_on(server: Running, api: Api) -> None:
    """Over the wire: the sandbox carrier answers with the text that it was sent."""
    target = api.post("/lists", {"list_name": "Joined"})["list_id"]
    to = f"joined-{api.username}@example.org"
    rule(api, "inbound", "CREATE_CONTACT_PLUS_NAME_EMAIL", str(target), body=to, message_search_type=1)
    rule(api, "inbound", "GROUP_SMS", str(api.post("/lists", {"list_name": "Group"})["list_id"]))
    group = api.get("/lists?order_by=list_id:desc")["data"][0]["list_id"]
    api.post(f"/lists/{group}/contacts", {"phone_number": DELIVERED})
    api.send(ECHO, "Ann Lee ann@example.com")
    (mail,) = api.until(lambda: mails(server, to))
    assert (mail.subject, "Ann Lee ann@example.com" in mail.text) == (f"Reply from {ECHO}", True)
    (made,) = api.get(f"/lists/{target}/contacts")["data"]
    assert (made["phone_number"], made["first_name"], made["last_name"], made["email"]) == (
        *(ECHO, "Ann", "Lee"),
        "ann@example.com",
    )
    assert int(made["date_added"]) <= time.time()
    sent = api.until(lambda: api.get(f"/sms/history?q=list_id:{group}")["data"])
    assert [(one["to"], one["body"]) for one in sent] == [(DELIVERED, f"{ECHO}: Ann Lee ann@example.com")]


def test_a_group_costs_and_ends_with_the_credit(server: Running) -> None:
    api = server.account(credit=71_500)
    group = api.post("/lists", {"list_name": "Group"})["list_id"]
    for number in (CUSTOMER, OTHER):
        api.post(f"/lists/{group}/contacts", {"phone_number": number})
    rule(api, "inbound", "GROUP_SMS", str(group))
    rule(api, "inbound", "POLL")

    def arrives(tx: Any) -> bool:
        who = account.by_user(tx, api.user_id)
        assert who is not None
        row = quiet.inbound(who, tx.now, sender=ECHO, recipient=OURS, body="hi")
        return api.server.house.hooks.on_inbound(tx, row, None)

    assert api.server.write(arrives) is True
    assert (api.get("/sms/history")["total"], api.get("/account")["balance"]) == (1, "0.000000")
