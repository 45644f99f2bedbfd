"""Commands that show accounts, keys and messages to whoever runs the server."""

from typing import Any

import pytest
from rich.console import Console

from heliograph import terminal
from support.emails import a_mail
from support.program import Done, command
from support.server import Api, Running


def place(server: Running) -> list[str]:
    database = ["--database", server.options.database] if server.options.database else []
    return ["--data", str(server.options.data), *database]


def good(server: Running, *words: str) -> Done:
    done = command(*words, *place(server))
    assert done.code == 0, done  # the server of the test runs in this process, and may log meanwhile
    return done


def bad(server: Running, *words: str) -> str:
    done = command(*words, *place(server))
    assert (done.code, done.out) == (1, ""), done
    return done.err


def test_accounts_are_listed_and_shown_with_their_balances(server: Running, api: Api) -> None:
    good(server, "account", "set", api.username, "--banned", "--account-name", "Süd [b]GmbH[/b]")
    rows = {row["username"]: row for row in good(server, "account", "list", "--json").value}
    assert {**rows[api.username], "email": ""} == {
        "user_id": api.user_id,
        "username": api.username,
        "account_name": "Süd [b]GmbH[/b]",
        "email": "",
        "country": "AU",
        "currency": "AUD",
        "balance": "100.0000",
        "state": "banned",
    }
    assert rows["notactive"]["state"] == "not active"
    text = good(server, "account", "list").out
    assert len(text.splitlines()) == 1 + len(rows)
    assert "Süd [b]GmbH[/b]" in text
    found = good(server, "account", "show", api.username.upper(), "--json").value
    assert (found["balance"], found["banned"], found["subaccounts"]) == ("100.0000", 1, [api.username])
    lines = dict(
        line.split(maxsplit=1) for line in good(server, "account", "show", api.username).out.splitlines() if " " in line
    )
    assert (lines["balance"], lines["currency"]) == ("100.0000", "AUD")
    assert "There is no account 'nobody'." in bad(server, "account", "show", "nobody")


def test_a_key_is_shown_and_renewed_for_accounts_and_subaccounts(server: Running) -> None:
    api = server.account()
    person = {"phone_number": "+61491570156", "first_name": "Ann", "last_name": "Shop", "password": "open sesame 7"}
    sub = api.post("/subaccounts", {"api_username": f"{api.username}.shop", "email": "s@example.com", **person})
    assert good(server, "account", "key", api.username.upper()).out == f"{api.key}\n"
    found = good(server, "account", "key", f"{api.username}.shop", "--json").value
    assert found == {"username": api.username, "api_username": f"{api.username}.shop", "api_key": sub["api_key"]}
    new = good(server, "account", "key", f"{api.username}.shop", "--new").out.strip()
    assert new != sub["api_key"]
    assert server.client(f"{api.username}.shop", sub["api_key"]).call("GET", "/account").status == 401
    assert server.client(f"{api.username}.shop", new).call("GET", "/account").status == 200
    last = good(server, "audit", api.username, "--json").value[0]
    assert (last["actor"], last["what"]) == ("command line", "subaccount.new_key")
    api.delete(f"/subaccounts/{sub['subaccount_id']}")
    assert "There is no account" in bad(server, "account", "key", f"{api.username}.shop")


def test_a_key_that_was_sealed_with_another_secret_is_no_key(
    server: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one made: the server would not know it, and the old one would be gone."""
    monkeypatch.setenv("HELIOGRAPH_SECRET", "y" * 32)
    for words in (
        f"account key {api.username}",
        f"account key {api.username} --new",
        f"account create {api.username}2",
        f"smpp add {api.username}3 {api.username}",
        "domains add sealed.example.com",
    ):
        assert "sealed with another secret" in bad(server, *words.split()), words
    assert api.get("/account")["username"] == api.username
    monkeypatch.delenv("HELIOGRAPH_SECRET")
    key = good(server, "account", "key", api.username, "--new").out.strip()
    assert server.client(api.username, key, api.user_id).get("/account")["username"] == api.username


def test_messages_are_listed_and_shown_with_what_happened(server: Running, api: Api) -> None:
    sent = [
        api.send(to, text)
        for to, text in (("+61491570156", "one\ntwo"), ("+61491999001", "fails"), ("+61491570156", "x" * 99))
    ]
    for entry, status in zip(sent, ("Completed", "Failed", "Completed"), strict=True):
        api.final(entry["message_id"], status)
    ids = [entry["message_id"] for entry in sent]

    def listed(*words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = good(server, "messages", "list", api.username, *words, "--json").value
        return found

    assert [row["message_id"] for row in listed()] == ids[::-1]
    assert [row["message_id"] for row in listed("--limit", "2")] == ids[:0:-1]
    assert [row["message_id"] for row in listed("--to", "+61491570156")] == [ids[2], ids[0]]
    for same in ("+61 491 570 156", "0491570156", "61491570156", "(04) 9157 0156"):
        assert [row["message_id"] for row in listed("--to", same)] == [ids[2], ids[0]]
    assert listed("--to", "nobody@example.com") == []
    for wrong in ("", "nobody", "0491", "a@"):
        told = bad(server, "messages", "list", api.username, "--to", wrong)
        assert told == "heliograph: --to: this is no number and no address.\n"
    assert good(server, "messages", "list", server.account().username).out == "There are no messages.\n"
    text = good(server, "messages", "list", api.username).out
    assert ("one two" in text, "x" * 39 + "…" in text, "x" * 40 in text) == (True, True, False)
    shown = good(server, "messages", "show", ids[1].lower()).out
    for part in (ids[1], api.username, "+61491999001", "Failed", "Accepted in request", "UNDELIV", "0.0715 AUD"):
        assert part in shown
    whole = good(server, "messages", "show", ids[0], "--json").value
    assert (whole["body"], whole["account"], whole["status_code"]) == ("one\ntwo", api.username, "201")
    steps = api.get(f"/sms/{ids[0]}/timeline")
    assert whole["timeline"] == steps
    assert "There is no message 'ABC'." in bad(server, "messages", "show", "abc")
    assert "--limit=0: it must be an integer from 1 to 10000." in bad(
        server, "messages", "list", api.username, "--limit", "0"
    )
    assert "There is no account 'nobody'." in bad(server, "messages", "list", "nobody")


@pytest.mark.parametrize(("wide", "rows"), [(60, False), (80, False), (110, True), (200, True)])
def test_a_terminal_of_any_width_shows_ids_in_one_piece(
    server: Running, api: Api, monkeypatch: pytest.MonkeyPatch, wide: int, rows: bool
) -> None:
    """Where the words do not fit beside each other, each cell has a line."""
    sent = api.send("+61491570156", "A text that is long enough to give way.")
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "out", Console(force_terminal=True, width=wide, color_system=None))
        told = good(server, "messages", "list", api.username).out
    for part in (sent["message_id"], "+61491570156", sent["from"], "enough"):
        assert part in told
    assert "…" not in told
    assert (f"message_id  {sent['message_id']}\n" not in told) is rows
    assert max(map(len, told.splitlines())) <= wide


def test_a_mail_is_shown_by_the_id_of_its_send(server: Running, api: Api) -> None:
    people = [{"email": f"{name}@{api.username}.example"} for name in ("Ann", "bob")]
    sent = api.post("/email/send", a_mail(api, to=people, bcc=people[:1]))
    api.until(lambda: api.get(f"/email/history?q=status:Sent,message_id:{sent['message_id']}")["data"])
    for same in (people[0]["email"].upper(), people[0]["email"].title(), people[0]["email"]):
        rows = good(server, "messages", "list", api.username, "--to", same, "--json").value
        assert {row["recipient"] for row in rows} == {people[0]["email"]}
    found = good(server, "messages", "show", sent["message_id"].lower(), "--json").value
    assert (found["account"], found["to"]) == (api.username, ", ".join(one["email"] for one in people))
    assert (found["subject"], found["status"], found["price"]) == ("Hello", "Sent", "0.0100 AUD")
    assert [step["status"] for step in found["timeline"]] == ["Queued", "Queued", "Sent", "Sent"]
    assert "Ann@" in good(server, "messages", "show", sent["message_id"]).out
