"""Sends to contact lists: one message for each contact, texts that speak to them, and people who said no."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from contacts.test_lists import NUMBER, added, bulk, count, made
from heliograph.accounts import account
from heliograph.channels import audience as channel_audience
from heliograph.channels.sms.channel import Sms
from heliograph.contacts import audience, contact
from heliograph.db.engine import Tx
from heliograph.messaging import accept
from support.server import Api, Running

OTHER = "+61491570156"


def send(api: Api, list_id: Any, body: str = "Hello", kind: str = "send", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = api.post(f"/sms/{kind}", {"messages": [{"list_id": list_id, "body": body, **more}]})
    return answer


def opt_out_list(api: Api) -> int:
    return int(api.get("/lists")["data"][0]["list_id"])


def test_each_contact_gets_a_message_of_its_own(api: Api) -> None:
    list_id = made(api)
    one = added(api, list_id, phone_number=NUMBER, first_name="Ann", custom_1="VIP")
    added(api, list_id, phone_number=OTHER)
    added(api, list_id, email="no.number@example.com")
    answer = send(api, list_id, "Hi (First Name), {CustomString1}!", custom_string="ref", source="test")
    assert (answer["total_count"], answer["queued_count"]) == (3, 2)
    first, second, third = answer["messages"]
    assert (first["to"], first["body"], first["list_id"], first["contact_id"]) == (
        *(NUMBER, "Hi Ann, VIP!"),
        *(list_id, one["contact_id"]),
    )
    assert (second["to"], second["body"], second["custom_string"]) == (OTHER, "Hi , !", "ref")
    assert (third["to"], third["status"]) == ("", "INVALID_RECIPIENT")
    row = api.final(first["message_id"])
    assert (row["list_id"], row["contact_id"], row["body"]) == (list_id, one["contact_id"], "Hi Ann, VIP!")


def test_lists_and_numbers_in_one_request_keep_their_order(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, [1, 2])
    entries = [{"to": NUMBER, "body": "a"}, {"list_id": str(list_id), "body": "b"}, {"to": OTHER, "body": "c"}]
    found = api.post("/sms/send", {"messages": entries})["messages"]
    assert [one["body"] for one in found] == ["a", "b", "b", "c"]
    assert [one["list_id"] for one in found] == [None, list_id, list_id, None]


def test_a_number_wins_over_a_list(api: Api) -> None:
    (one,) = send(api, made(api), to=NUMBER)["messages"]
    assert (one["to"], one["status"], one["list_id"]) == (NUMBER, "SUCCESS", None)


def test_a_price_of_a_list_is_the_price_of_its_messages(api: Api) -> None:
    list_id = made(api)
    bulk(api, list_id, range(3))
    quoted = send(api, list_id, kind="price")
    assert (quoted["total_count"], float(api.get("/account")["balance"])) == (3, 100.0)
    sent = send(api, list_id)
    assert sent["total_price"] == quoted["total_price"] == pytest.approx(3 * 0.0715)
    assert float(api.get("/account")["balance"]) == pytest.approx(100 - sent["total_price"])


def test_lists_of_others_deleted_and_unknown_ones(server: Running) -> None:
    api, other = server.account(), server.account()
    theirs, gone = made(other), made(api)
    bulk(other, theirs, [1])
    bulk(api, gone, [1])
    api.delete(f"/lists/{gone}")
    for list_id in (theirs, gone, 10**9, -1, 0):
        answer = send(api, list_id)
        assert [one["status"] for one in answer["messages"]] == ["NOT_ENOUGH_PERMISSION_TO_LIST_ID"]
        assert (answer["total_count"], answer["queued_count"], answer["total_price"]) == (1, 0, 0)
    assert send(api, made(api))["messages"] == []
    for wrong in ("x", [1], {}, 1.5, True):
        assert api.call("POST", "/sms/send", {"messages": [{"list_id": wrong, "body": "x"}]}).status == 400


def test_credit_ends_in_the_middle_of_a_list(server: Running) -> None:
    api = server.account(credit=160_000)
    list_id = made(api)
    bulk(api, list_id, range(4))
    statuses = [one["status"] for one in send(api, list_id)["messages"]]
    assert statuses == ["SUCCESS"] * 2 + ["INSUFFICIENT_CREDIT"] * 2


def test_a_send_to_the_same_list_again_is_throttled(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    added(api, list_id, phone_number=NUMBER)
    assert [one["status"] for one in send(api, list_id)["messages"]] == ["SUCCESS", "THROTTLED"]
    assert [one["status"] for one in send(api, list_id)["messages"]] == ["THROTTLED"] * 2


def test_an_idempotent_send_to_a_list_happens_once(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    body = {"messages": [{"list_id": list_id, "body": "once"}]}
    answers = [api.call("POST", "/sms/send", body, {"Idempotency-Key": f"k{list_id}"}).raw for _ in range(2)]
    assert answers[0] == answers[1]
    assert api.get("/sms/history")["total"] == 1


def test_too_many_contacts_in_one_request(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_audience, "MOST_CONTACTS", 5)
    list_id = made(api)
    bulk(api, list_id, range(3))
    entry = {"list_id": list_id, "body": "x"}
    refused = api.call("POST", "/sms/send", {"messages": [entry, entry]})
    assert (refused.status, set(refused.data)) == (400, {"messages"})
    singles = [{"to": NUMBER, "body": f"single {number}"} for number in range(7)]
    refused = api.call("POST", "/sms/send", {"messages": [*singles, entry]})
    assert (refused.status, set(refused.data)) == (400, {"messages"})
    assert send(api, list_id)["queued_count"] == 3


def test_opted_out_contacts_get_nothing_from_lists_but_single_sends(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    added(api, list_id, phone_number=OTHER)
    added(api, opt_out_list(api), phone_number=NUMBER)
    answer = send(api, list_id)
    assert [one["status"] for one in answer["messages"]] == ["OPTED_OUT", "SUCCESS"]
    assert (answer["total_count"], answer["queued_count"], answer["total_price"]) == (2, 1, 0.0715)
    assert [one["status"] for one in send(api, list_id, kind="price")["messages"]] == ["OPTED_OUT", "SUCCESS"]
    assert api.send(NUMBER, "single")["status"] == "SUCCESS"
    assert send(api, opt_out_list(api))["queued_count"] == 0


def test_a_strict_account_sends_nothing_to_who_said_no(api: Api) -> None:
    added(api, opt_out_list(api), phone_number=NUMBER)
    for strict, status in ((True, "OPTED_OUT"), (False, "SUCCESS")):
        api.server.write(lambda tx, strict=strict: account.set_strict_opt_out(tx, api.user_id, strict))
        assert api.send(NUMBER, f"strict: {strict}")["status"] == status
        assert api.send(OTHER, f"strict: {strict}")["status"] == "SUCCESS"


@pytest.mark.parametrize("strict", [True, False])
def test_who_says_no_before_a_scheduled_message_is_due_does_not_get_it(api: Api, strict: bool) -> None:
    api.server.write(lambda tx: account.set_strict_opt_out(tx, api.user_id, strict))
    list_id, later = made(api), int(time.time()) + 3600
    for number in (NUMBER, OTHER):
        added(api, list_id, phone_number=number)
    said_no, other = send(api, list_id, "to the list", schedule=later)["messages"]
    single = api.send(NUMBER, "single", schedule=later)
    assert {one["status"] for one in (said_no, other, single)} == {"SUCCESS"}
    balance = float(api.get("/account")["balance"])
    added(api, opt_out_list(api), phone_number=NUMBER)
    api.server.write(lambda tx: tx.driver("UPDATE queue SET due_at = 0 WHERE user_id = ?", [api.user_id]))
    row = api.final(said_no["message_id"], "Failed")
    assert (row["status_code"], row["error_text"]) == ("301", "The recipient opted out before the message was sent.")
    api.final(other["message_id"])
    api.final(single["message_id"], "Failed" if strict else "Completed")
    assert float(api.get("/account")["balance"]) == pytest.approx(balance + 0.0715 * (1 + strict))


def test_stop_moves_the_contact_out_of_the_list_it_was_reached_by(api: Api) -> None:
    replies = "+61491999006"
    one, two = made(api), made(api)
    row = added(api, one, phone_number=replies, first_name="Ann")
    added(api, two, phone_number=replies)
    send(api, one)
    api.until(lambda: count(api, one) == 0)
    assert (count(api, one), count(api, two), count(api, opt_out_list(api))) == (0, 1, 1)
    moved = api.get(f"/lists/{opt_out_list(api)}/contacts/{row['contact_id']}")
    assert moved["first_name"] == "Ann"
    assert [entry["status"] for entry in send(api, two)["messages"]] == ["OPTED_OUT"]


def move(api: Api, source: int | None, target: int, number: str = NUMBER) -> None:
    api.server.write(lambda tx: contact.move(tx, api.user_id, number, source, target))


def test_a_sender_of_no_list_is_noted_only_in_an_opt_out_list(api: Api) -> None:
    target = made(api)
    move(api, None, target)
    move(api, target, target)
    assert count(api, target) == 0
    for _ in range(2):
        move(api, None, opt_out_list(api))
    assert count(api, opt_out_list(api)) == 1
    for sender in ("Alpha", "", "12345", "+12345678", "+" + "9" * 30):
        move(api, None, opt_out_list(api), sender)
    assert count(api, opt_out_list(api)) == 1


def test_a_sender_who_is_there_already_only_leaves(api: Api) -> None:
    source, target = made(api), made(api)
    for list_id in (source, source, target):
        added(api, list_id, phone_number=NUMBER)
    move(api, source, target)
    assert (count(api, source), count(api, target)) == (0, 1)


def test_nothing_moves_into_or_out_of_other_accounts_lists(server: Running) -> None:
    api, other = server.account(), server.account()
    mine, theirs = made(api), made(other)
    added(api, mine, phone_number=NUMBER)
    added(other, theirs, phone_number=NUMBER)
    move(api, mine, theirs)
    move(api, theirs, mine)
    assert (count(api, mine), count(other, theirs)) == (1, 1)


def test_a_rule_may_name_own_lists_only(server: Running) -> None:
    api, other = server.account(), server.account()
    rule = {"rule_name": "move", "action": "MOVE_CONTACT", "action_address": str(made(api))}
    key = api.post("/automations/sms/inbound", rule)["inbound_rule_id"]
    for address in (str(made(other)), "", "x", "1" * 30, "-1", "²"):
        for call in (("POST", "/automations/sms/inbound"), ("PUT", f"/automations/sms/inbound/{key}")):
            refused = api.call(*call, {**rule, "action_address": address})
            assert (refused.status, set(refused.data)) == (400, {"action_address"})


MEMBER = {
    "first_name": "Ann",
    "last_name": "Lee",
    **{f"custom_{number}": f"c{number}" for number in (1, 2, 3, 4)},
    "organization_name": None,
    "email": "a@example.com",
    "phone_number": NUMBER,
}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("(First Name) (Last Name)", "Ann Lee"),
        ("{FirstName}{first name}{LastName}", "AnnAnnLee"),
        ("(Cust. 1)(Cust1)(Custom 2)(Custom3)(Cust. 4)", "c1c1c2c3c4"),
        ("{CustomString1}{customstring4}{custom 2}", "c1c4c2"),
        ("[(Company Name)] (Email) (Phone)", f"[] a@example.com {NUMBER}"),
        (
            "(first name) (email) (Cust. 5) {nothing} (First Name",
            "(first name) (email) (Cust. 5) {nothing} (First Name",
        ),
        ("((First Name))", "(Ann)"),
        ("(First\u00a0Name) {first\u202fname} {LAST\u200bNAME} (Cust.\u00a01) {custom\u2009 2}", "Ann Ann Lee c1 c2"),
        ("(First Name\u00a0) { FirstName }(\u200bEmail)(Cust\u00ad1)", "Ann Ann" + "a@example.com" + "c1"),
        ("(First\u200eName)\u2066{custom 2\u2069}", "Ann\u2066c2"),
        ("(First\nName) (First    Name) (FirstName)", "(First\nName) (First    Name) (FirstName)"),
        ("{F\u0130RST NAME}{f\u0131rstname}{la\u017ftname}", "AnnAnnLee"),
    ],
)
def test_placeholders(text: str, written: str) -> None:
    assert audience.personal(text)(MEMBER) == written


def test_a_value_that_looks_like_a_placeholder_is_not_filled_in(api: Api) -> None:
    assert audience.personal("(First Name)")({**MEMBER, "first_name": "(Email)"}) == "(Email)"


def test_list_sends_at_once_are_written_one_by_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged as single sends are, they would make one transaction for which everybody has to wait."""
    list_id, senders = made(api), 4
    bulk(api, list_id, range(3))
    asked, together = threading.Semaphore(0), []
    draft, accepting = Sms.draft, accept.accept

    def drafting(self: Sms, who: Any, given: Any, now: float) -> Any:
        if given.list_id is not None:
            asked.release()
        return draft(self, who, given, now)

    def counting(tx: Tx, orders: Any) -> Any:
        together.append(sum(bool(order.lists) for order in orders))
        return accepting(tx, orders)

    monkeypatch.setattr(Sms, "draft", drafting)
    monkeypatch.setattr(accept, "accept", counting)
    clients = [api.server.client(api.username, api.key, api.user_id) for _ in range(senders)]
    with ThreadPoolExecutor(senders) as pool, busy(api):
        sent = [pool.submit(send, one, list_id, f"text {at}") for at, one in enumerate(clients)]
        for _ in range(senders):
            assert asked.acquire(timeout=10)
    assert [answer.result()["queued_count"] for answer in sent] == [3] * senders
    assert together == [1] * senders


@contextmanager
def busy(api: Api) -> Iterator[None]:
    """The writer has something else to do meanwhile."""
    begun, over = threading.Event(), threading.Event()

    def work(_: Tx) -> None:
        begun.set()
        assert over.wait(20)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(api.server.write, work, slow=True)
        assert begun.wait(10)
        try:
            yield
        finally:
            over.set()
            held.result()


def test_a_text_that_is_nothing_without_its_values_is_empty(api: Api) -> None:
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER)
    assert send(api, list_id, "{firstname}")["messages"][0]["status"] == "EMPTY_MESSAGE"


def test_a_subaccount_without_contacts_reaches_nobody_by_a_list(api: Api) -> None:
    """Else a price would tell it how many they are, and a message what they are called."""
    list_id = made(api)
    added(api, list_id, phone_number=NUMBER, first_name="Ann")
    without, shared = api.subaccount(sms=1), api.subaccount(sms=1, contacts=1)
    for kind in ("send", "price"):
        (one,) = send(without, list_id, "Hi (First Name)", kind)["messages"]
        assert (one["status"], one["to"]) == ("NOT_ENOUGH_PERMISSION_TO_LIST_ID", "")
    (one,) = send(shared, list_id, "Hi (First Name)")["messages"]
    assert (one["status"], one["body"]) == ("SUCCESS", "Hi Ann")
