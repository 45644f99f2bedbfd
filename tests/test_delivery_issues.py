"""Delivery issues: made and listed by customers, answered by the operator."""

import json
from pathlib import Path
from typing import Any

import pytest

from heliograph import delivery_issues
from heliograph.errors import NotFound
from support import program
from support.server import Api, Running

GIVEN = {
    "message_id": "B388828B-AD46-4366-8AD3-0305FF5E3FE5",
    "type": "SMS",
    "description": "It never came.",
    "client_comments": "Twice.",
    "email_address": "john@example.com",
}


def test_an_issue_is_made_and_listed(api: Api) -> None:
    made = api.post("/delivery-issues", GIVEN)
    assert made == {
        "issue_id": made["issue_id"],
        "user_id": api.user_id,
        "message_id": GIVEN["message_id"],
        "type": "SMS",
        "description": "It never came.",
        "date_added": made["date_added"],
        "email_address": "john@example.com",
    }
    page = api.get("/delivery-issues")
    waiting = {"client_comments": "Twice.", "support_comments": None, "status": None, "resolved": 0}
    assert page["data"] == [{**made, **waiting}]


def test_both_spellings_of_the_address_and_any_case_of_the_type(api: Api) -> None:
    body = {"type": "email_Marketing", "description": "ü", "email-address": "a@b.example"}
    made = api.post("/delivery-issues", body)
    assert (made["email_address"], made["type"], made["message_id"]) == ("a@b.example", "email_Marketing", "")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"type": None}, {"type"}),
        ({"type": "PIGEON"}, {"type"}),
        ({"type": 5}, {"type"}),
        ({"description": None}, {"description"}),
        ({"description": " "}, {"description"}),
        ({"description": "x" * 10_001}, {"description"}),
        ({"description": ["a"]}, {"description"}),
        ({"client_comments": "x" * 10_001}, {"client_comments"}),
        ({"client_comments": {}}, {"client_comments"}),
        ({"message_id": "x" * 101}, {"message_id"}),
        ({"message_id": [1]}, {"message_id"}),
        ({"email_address": None}, {"email_address"}),
        ({"email_address": "nobody"}, {"email_address"}),
        ({"email_address": "x" * 400 + "@example.com"}, {"email_address"}),
        ({"email_address": None, "email-address": []}, {"email-address"}),
    ],
)
def test_wrong_fields_are_refused(api: Api, changes: dict[str, Any], fields: set[str]) -> None:
    answer = api.call("POST", "/delivery-issues", {**GIVEN, **changes})
    assert answer.status == 400
    assert set(answer.data) == fields
    assert api.get("/delivery-issues")["total"] == 0


def test_issues_are_paged_searched_and_sorted(api: Api) -> None:
    for at in range(17):
        api.post("/delivery-issues", {**GIVEN, "description": f"number {at:02}", "type": "FAX" if at == 3 else "SMS"})
    assert len(api.get("/delivery-issues")["data"]) == 15
    assert len(api.get("/delivery-issues?page=2")["data"]) == 2
    assert [one["description"] for one in api.get("/delivery-issues?q=type:fax")["data"]] == ["number 03"]
    assert api.get("/delivery-issues?order_by=issue_id:desc")["data"][0]["description"] == "number 16"
    unfiltered = api.call("GET", "/delivery-issues?q=user_id:1")
    assert (unfiltered.data["total"], unfiltered.headers["x-search-ignored"]) == (17, "user_id")


def test_issues_of_others_are_not_seen(server: Running, api: Api) -> None:
    server.account().post("/delivery-issues", GIVEN)
    assert api.get("/delivery-issues")["total"] == 0


def test_an_answer_reaches_the_customer_by_api_and_mail(server: Running, api: Api) -> None:
    address = f"{api.username}@example.net"
    issue = api.post("/delivery-issues", {**GIVEN, "email_address": address})["issue_id"]

    def answer(comment: str, resolve: bool) -> dict[str, Any]:
        server.write(
            lambda tx: delivery_issues.answer(tx, "house@example.com", issue, comment, resolve=resolve),
        )
        return dict(api.get("/delivery-issues")["data"][0])

    first = answer("We look into it.", False)
    assert (first["support_comments"], first["status"], first["resolved"]) == ("We look into it.", "answered", 0)
    (mail,) = api.until(lambda: server.mails(address))
    assert "We look into it." in mail.text
    assert "It never came." in mail.text
    last = answer("", True)
    assert (last["support_comments"], last["status"], last["resolved"]) == ("We look into it.", "resolved", 1)
    listed = server.read(lambda tx: delivery_issues.listing(tx, everything=False))
    assert issue not in [one["issue_id"] for one in listed]
    every = server.read(lambda tx: delivery_issues.listing(tx, everything=True))
    assert (issue, api.username) in [(one["issue_id"], one["username"]) for one in every]


def test_an_issue_that_is_none_cannot_be_answered(server: Running) -> None:
    with pytest.raises(NotFound, match="There is no delivery issue 999999999"):
        server.write(lambda tx: delivery_issues.answer(tx, "h@example.com", 999_999_999, "x", resolve=True))


def command(data: Path, *words: str) -> str:
    """What a command that goes well prints."""
    done = program.command(*words, "--data", str(data))
    assert done.code == 0, done.err
    return done.out


def test_the_command_line_lists_answers_and_resolves(tmp_path: Path) -> None:
    running = Running(tmp_path)
    try:
        api = running.account()
        issue = api.post("/delivery-issues", GIVEN)["issue_id"]
    finally:
        running.close_clients()
        running.stop()
    (listed,) = json.loads(command(tmp_path, "issues", "list", "--json"))
    assert (listed["issue_id"], listed["username"]) == (issue, api.username)
    command(tmp_path, "issues", "answer", str(issue), "Soon.")
    assert "answered" in command(tmp_path, "issues", "list")
    assert f"Issue {issue} is resolved." in command(tmp_path, "issues", "resolve", str(issue), "Done.")
    assert json.loads(command(tmp_path, "issues", "list", "--json")) == []
    assert command(tmp_path, "issues", "list") == "There are no issues.\n"
    (listed,) = json.loads(command(tmp_path, "issues", "list", "--everything", "--json"))
    assert (listed["support_comments"], listed["resolved"]) == ("Done.", 1)


def test_what_a_customer_writes_does_not_command_the_terminal(tmp_path: Path) -> None:
    running = Running(tmp_path)
    try:
        api = running.account()
        text = "a\x1b[2Jb\x9bc\u202ed\re"
        api.post("/delivery-issues", {**GIVEN, "description": text})
        api.put("/account", {"account_name": text})
    finally:
        running.close_clients()
        running.stop()
    shown = "a\ufffd[2Jb\ufffdc\ufffdd\ufffde"
    for words in (("issues", "list"), ("audit",), ("account", "set", api.username)):
        printed = command(tmp_path, *words)
        assert shown in printed
        assert "\x1b" not in printed
    assert json.loads(command(tmp_path, "issues", "list", "--json"))[0]["description"] == text


def test_an_answer_needs_a_text(tmp_path: Path) -> None:
    done = program.command("issues", "answer", "1", " ", "--data", str(tmp_path))
    assert (done.code, done.err) == (1, "heliograph: An answer needs a text: it is what the customer reads.\n")


@pytest.mark.parametrize(
    ("number", "why"), [("77", "There is no delivery issue 77."), ("0", "The number of an issue is positive")]
)
def test_the_command_line_knows_no_other_issues(tmp_path: Path, number: str, why: str) -> None:
    command(tmp_path, "migrate")
    done = program.command("issues", "resolve", number, "--data", str(tmp_path))
    assert (done.code, why in done.err) == (1, True)
