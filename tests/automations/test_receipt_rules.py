"""What rules do when a message gets its final receipt, and what the timeline tells of rules."""

from pathlib import Path
from typing import Any

import pytest

from automations.test_actions import CUSTOMER, DELIVERED, ECHO, OTHER, OURS, UNDELIVERED, Bench, on_bench, rule
from automations.test_contact_actions import list_of, put, texts, within
from automations.test_opting_out import sent_to_list
from heliograph.automations import rules
from heliograph.automations.families import ACTIONS, OF_ARRIVALS, SMS_INBOUND, SMS_RECEIPTS
from heliograph.contacts import lists, optout
from heliograph.messaging import message, rows
from heliograph.messaging.rows import Message
from support.server import Api


def reported(bench: Bench, sent: Message, code: str = "201") -> bool:
    """A message has got its receipt; whether that is to be polled."""
    values = dict.fromkeys(("status_text", "error_code", "error_text", "custom_string"), "")
    receipt = rows.Receipt(
        user_id=bench.user,
        channel=sent.channel,
        ordinal=None,
        message_id=sent.message_id,
        subaccount_id=sent.subaccount_id,
        timestamp_send=sent.date,
        timestamp=bench.tx.now,
        status="Delivered" if code == "201" else "Undelivered",
        status_code=code,
        **values,
    )
    return bench.actions.on_receipt(bench.tx, sent, receipt)


def told(bench: Bench, key: str) -> list[tuple[str, str]]:
    """Status and text of each line of a timeline, but for the first."""
    return [(status, detail) for _, status, detail in message.timeline(bench.tx, bench.user, key)[1:]]


def test_a_contact_is_moved_and_made_for_whom_the_message_went_to(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        source, target, made = list_of(bench), list_of(bench), list_of(bench)
        put(bench, source, {"phone_number": CUSTOMER, "first_name": "Ann"})
        bench.rule(SMS_RECEIPTS.name, action="CREATE_CONTACT", action_address=str(made), match_type=2)
        bench.rule(SMS_RECEIPTS.name, action="MOVE_CONTACT", action_address=str(target), match_type=2)
        sent = sent_to_list(bench, source)
        reported(bench, sent)
        assert (within(bench, source), within(bench, target)) == ([(CUSTOMER, "Ann", "", None)], [])
        for _ in range(2):
            reported(bench, sent, "301")
        assert (within(bench, source), within(bench, target)) == ([], [(CUSTOMER, "Ann", "", None)])
        assert within(bench, made) == [(CUSTOMER, "", "", None)]
        assert told(bench, sent.message_id)[:2] == [
            ("Failed", f"Rule r (CREATE_CONTACT): {CUSTOMER} into list {made}."),
            ("Failed", f"Rule r (MOVE_CONTACT): {CUSTOMER} into list {target}."),
        ]

    on_bench(migrated_url, tmp_path, work)


def test_a_failed_number_can_be_opted_out(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        source, into = list_of(bench, CUSTOMER), lists.opt_out_list(bench.tx, bench.user)
        bench.rule(SMS_RECEIPTS.name, action="MOVE_CONTACT", action_address=str(into), rule_name="Dead", match_type=2)
        reported(bench, sent_to_list(bench, source), "301")
        assert (within(bench, source), within(bench, into)) == ([], [(CUSTOMER, "", "", None)])
        (row,) = bench.tx.rows(optout.of(bench.user))
        assert (row["cause"], row["list_id"]) == ("Rule Dead", source)

    on_bench(migrated_url, tmp_path, work, opt_out_reply="You are out.")


def test_what_needs_a_text_does_nothing(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        target = list_of(bench)
        for action in OF_ARRIVALS:
            bench.rule(SMS_RECEIPTS.name, action=action, action_address=str(target), body="a@example.com")
        sent = sent_to_list(bench, list_of(bench))
        assert not reported(bench, sent)
        assert (within(bench, target), bench.sent()) == ([], 1)
        assert bench.tx.driver("SELECT COUNT(*) FROM jobs WHERE kind = 'mail'").fetchone()[0] == 0
        expected = "nothing, since it is for arriving messages"
        assert told(bench, sent.message_id) == [("Completed", f"Rule r ({one}): {expected}.") for one in OF_ARRIVALS]

    on_bench(migrated_url, tmp_path, work)


def test_a_report_goes_to_a_group_and_the_reports_of_reports_do_not(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        group = list_of(bench, CUSTOMER, OTHER)
        bench.rule(SMS_RECEIPTS.name, action="GROUP_SMS", action_address=str(group))
        sent = sent_to_list(bench, group)
        reported(bench, sent)
        assert texts(bench, OTHER) == [f"Message to {CUSTOMER}: "]
        (key,) = (row[0] for row in bench.tx.driver("SELECT message_id FROM messages WHERE recipient = ?", [OTHER]))
        report = message.find(bench.tx, bench.user, key)
        assert report is not None
        reported(bench, report)
        assert (bench.sent(CUSTOMER), bench.sent(OTHER)) == (1, 1)
        assert told(bench, sent.message_id) == [("Completed", f"Rule r (GROUP_SMS): an SMS to {OTHER}.")]
        line = "Rule r (GROUP_SMS): no SMS, since the message is a rule's own."
        assert told(bench, key) == [("Completed", line)]

    on_bench(migrated_url, tmp_path, work)


LEFT = ("CREATE_CONTACT_PLUS_NAME_EMAIL", "CREATE_CONTACT_PLUS_EMAIL", "EMAIL_USER", "NONE")
"""Actions that are no others: no more than ten rules fire at once."""


def test_every_action_leaves_a_line_on_both_sides(api: Api) -> None:
    """Over the wire: the message that was sent, and the one that answers it."""
    group = str(api.post("/lists", {"list_name": "Group"})["list_id"])
    addresses = {"URL": "http://127.0.0.1:9/", "EMAIL_FIXED": "a@example.org", "SMS": DELIVERED, "AUTO_REPLY": "Hi"}
    asked = [one for one in ACTIONS if one not in LEFT]
    for action in asked:
        rule(api, "inbound", action, addresses.get(action, "" if action in ("POLL", "SMPP") else group))
    key = api.send(ECHO, "Ping")["message_id"]
    api.until(lambda: api.call("GET", f"/sms/inbound/{key}").status == 200)
    answer = api.get(f"/sms/inbound/{key}")["message_id"]
    lines = [one["detail"] for one in api.get(f"/sms/{answer}/timeline")]
    assert lines[0] == f"Arrived from {ECHO}."
    fired = [one for one in lines if one.startswith("Rule test (")]
    assert [one.partition("(")[2].partition(")")[0] for one in fired] == [one for one in asked if one != "POLL"]
    assert lines[-1] == message.LISTED
    on_original = [one["detail"] for one in api.get(f"/sms/{key.lower()}/timeline")]
    assert [one for one in on_original if one in fired] == fired
    assert {one["status"] for one in api.get(f"/sms/{answer}/timeline")} == {"Received"}
    assert f"Rule test (AUTO_REPLY): an SMS to {ECHO}." in fired
    assert "Rule test (EMAIL_FIXED): a mail to a@example.org." in fired


def test_an_answer_is_found_by_the_message_that_it_answers(api: Api) -> None:
    key = api.send(ECHO, "first")["message_id"]
    api.until(lambda: api.call("GET", f"/sms/inbound/{key}").status == 200)
    found = api.get(f"/sms/inbound/{key.lower()}")
    assert (found["body"], found["from"], found["original_message_id"]) == ("first", ECHO, key)
    silent = api.send(UNDELIVERED, "no answer")["message_id"]
    for unknown in (silent, found["message_id"], "x", "%20", "%00"):
        assert api.call("GET", f"/sms/inbound/{unknown}").status == 404


# Loops


@pytest.mark.parametrize("number", [OURS, OURS[1:], "+61 481 074-190"])
def test_a_rule_that_forwards_to_its_own_number_is_refused(api: Api, number: str) -> None:
    given = {"rule_name": "r", "action": "SMS", "action_address": OURS}
    answer = api.call("POST", "/automations/sms/inbound", {**given, "dedicated_number": number})
    assert (answer.status, answer.data) == (
        400,
        {"action_address": "Action address must not be the number that the rule watches."},
    )
    key = api.post("/automations/sms/inbound", given)["inbound_rule_id"]
    assert api.call("PUT", f"/automations/sms/inbound/{key}", {"dedicated_number": number}).status == 400


def test_a_rule_for_all_numbers_does_not_forward_to_the_one_that_was_written_to(
    migrated_url: str, tmp_path: Path
) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="SMS", action_address=OURS)
        bench.rule(action="GROUP_SMS", action_address=str(list_of(bench, OURS)))
        bench.rule(action="AUTO_REPLY", body="Thank you")
        bench.arrives(to=OURS)
        bench.arrives(sender=OURS, to=OURS)
        assert bench.sent(OURS) == 0
        bench.arrives(to=OTHER)
        assert bench.sent(OURS) == 1, "both rules have one text, which goes once a minute"

    on_bench(migrated_url, tmp_path, work)


def test_two_gateways_that_answer_and_forward_to_each_other_come_to_an_end(migrated_url: str, tmp_path: Path) -> None:
    """Two accounts of the house with a number each: whatever one sends to the other arrives there, without an end."""

    def work(bench: Bench) -> None:
        sides = {OURS: bench.user, OTHER: bench.account("second")}
        for mine, theirs in ((OURS, OTHER), (OTHER, OURS)):
            for action, address in (("AUTO_REPLY", f"Out of office {mine}"), ("SMS", theirs)):
                create(bench, sides[mine], action, address)
        seen: set[str] = set()
        bench.arrives("hello", sender=OTHER, to=OURS)
        for _ in range(2000):
            sql = "SELECT message_id, sender, recipient, body FROM messages ORDER BY date, message_id"
            fresh = [row for row in bench.tx.driver(sql).fetchall() if row[0] not in seen]
            if not fresh:
                break
            for key, sender, recipient, body in fresh:
                seen.add(key)
                if recipient in sides:
                    bench.arrives(body, sender=sender, to=recipient, user=sides[recipient])
            bench.pass_time(0.1)
        assert len(seen) <= 4, "the same text comes once a minute, and nothing is forwarded back"
        for _ in range(40):
            bench.pass_time(61)
            bench.arrives("hello", sender=OTHER, to=OURS)
        assert bench.sent(OTHER) <= 12

    on_bench(migrated_url, tmp_path, work)


def create(bench: Bench, user: int, action: str, address: str) -> None:
    values: dict[str, Any] = {"rule_name": "r", "action": action, "action_address": address}
    rules.create(bench.tx, user, SMS_INBOUND.name, values)
