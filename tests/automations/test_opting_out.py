"""Who opts out by a reply, who does not, who comes back, and what is told of it."""

from pathlib import Path

import pytest

from automations.test_actions import CUSTOMER, ECHO, OTHER, OURS, Bench, on_bench
from automations.test_contact_actions import list_of, put, texts, within
from heliograph.accounts import account
from heliograph.clock import DAY
from heliograph.contacts import lists, optout
from heliograph.messaging import accept, message
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from support import quiet
from support.program import command
from support.server import Running

# ruff: noqa: RUF001 - letters that are taken for others are what this is about

DEFAULTS = Settings()
WISHES = optout.Wishes(DEFAULTS.opt_out_words, DEFAULTS.opt_in_words)
OUT = [
    *("STOP", "stop", "Stop.", "  STOP\n", '"STOP"', "'stop'", "“STOP”", "„stop“", "«STOP»", "(stop)", "[STOP]"),
    *("ＳＴＯＰ", "S\u200bTOP", "\u2066stop\u2069", "STOP\ufe0f", "stop!!!", "STOP 🛑", "¡STOP!", "𝗦𝗧𝗢𝗣"),
    *("STOPALL", "Stop all", "UNSUBSCRIBE", "Cancel", "END", "quit", "Revoke", "OPTOUT", "opt-out", "Opt Out."),
    *("ARRET", "ARRÊT", "arre\u0302t", "Désabonner", "DESABONNER", "STOPP", "Abmelden", "kündigen", "KUENDIGEN"),
    *("ku\u0308ndigen", "BAJA", "cancelar", "Parar", "SAIR", "afmelden", "Uitschrijven", "DISISCRIVI", "cancellami"),
]
NOT = [
    "",
    "🛑",
    "Stopping by at 5?",
    "please stop",
    "the end",
    "stop " * 60,
    "START now",
    "s",
    "don't quit",
    "fine",
    "st op 1",
]


@pytest.mark.parametrize("text", OUT)
def test_a_word_that_is_all_of_a_text_opts_out(text: str) -> None:
    assert WISHES.of(text) == optout.OUT


@pytest.mark.parametrize("text", ["START", "start!", "Unstop", "“UNSTOP”"])
def test_two_words_opt_in_again(text: str) -> None:
    assert WISHES.of(text) == optout.IN


@pytest.mark.parametrize("text", NOT)
def test_other_texts_do_neither(text: str) -> None:
    assert WISHES.of(text) is None


def test_no_words_at_all() -> None:
    assert [optout.Wishes("-", "").of(text) for text in ("STOP", "START", "-", "")] == [None] * 4
    assert optout.Wishes(" İPTAL , Ende ", "").of("iptal") == optout.OUT


@pytest.mark.parametrize(
    ("text", "out"),
    [
        *((text, True) for text in ("Stop. Thank you", "STOP texting me", "'Stop', please", "(STOP) now", "STOPALL")),
        *((text, True) for text in ("ＳＴＯＰ it", "St\u00adop it", "stop\nnow")),
        *((text, False) for text in ("Stopping by at 5?", "stopped", "please stop", "Stop2", "stоp")),
    ],
)
def test_the_rule_that_accounts_are_born_with(migrated_url: str, tmp_path: Path, text: str, out: bool) -> None:
    def work(bench: Bench) -> None:
        bench.arrives(text)
        assert within(bench, lists.opt_out_list(bench.tx, bench.user)) == [(CUSTOMER, "", "", None)] * out
        assert [row["event"] for row in bench.tx.rows(optout.of(bench.user))] == [optout.OUT] * out

    on_bench(migrated_url, tmp_path, work)


def test_other_rules_with_that_term_are_as_documented(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="POLL", message_search_type=1, message_search_term="stop")
        into = str(lists.opt_out_list(bench.tx, bench.user))
        unsub = {"message_search_type": 2, "message_search_term": "unsub"}
        bench.rule(action="MOVE_CONTACT", action_address=into, **unsub)
        assert bench.arrives("Stopping by at 5?")
        assert within(bench, int(into)) == []
        bench.arrives("I want to unsubscribe", sender=OTHER)
        assert within(bench, int(into)) == [(OTHER, "", "", None)]

    on_bench(migrated_url, tmp_path, work)


def test_who_opts_in_again_is_in_the_list_again(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        group = list_of(bench)
        put(bench, group, {"phone_number": CUSTOMER, "first_name": "Ann"})
        answers = sent_to_list(bench, group)
        key = answers.message_id
        bench.arrives("stop", answers=answers)
        assert within(bench, group) == []
        bench.arrives("STOP", answers=answers)
        bench.arrives("Start", answers=answers)
        assert within(bench, group) == [(CUSTOMER, "Ann", "", None)]
        bench.arrives("START")
        rows = bench.tx.rows(optout.of(bench.user).order_by("opt_out_id"))
        found = [(row["event"], row["cause"], row["message_id"], row["list_id"]) for row in rows]
        assert found == [("opt_out", "Reply stop", key, group), ("opt_in", "Reply Start", key, group)]
        told = [detail for _, _, detail in message.timeline(bench.tx, bench.user, key)]
        assert told[1] == f"{CUSTOMER} opted out. Cause: Reply stop"
        assert f"{CUSTOMER} opted in again by the reply." in told

    on_bench(migrated_url, tmp_path, work)


def sent_to_list(bench: Bench, list_id: int) -> Message:
    """A message that has gone to the customer in a list."""
    who = account.by_user(bench.tx, bench.user)
    assert who is not None
    ((fate,),) = accept.accept(bench.tx, [quiet.order(who, quiet.draft(CUSTOMER, list_id=list_id))])
    row = message.find(bench.tx, bench.user, fate.message_id)
    assert row is not None
    return row


def test_an_opt_out_is_confirmed_once_a_day_and_number(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        for text in ("STOP", "STOP", "Stop. Thank you", "START", "STOP", "UNSTOP", "hello"):
            bench.arrives(text)
            bench.pass_time(61)
        assert texts(bench, CUSTOMER) == ["You are out.", "You are in."]
        bench.arrives("Stop it", sender=OTHER)
        assert texts(bench, OTHER) == ["You are out."]
        bench.pass_time(DAY)
        bench.arrives("STOP")
        assert texts(bench, CUSTOMER) == ["You are out.", "You are in.", "You are out."]
        row = bench.tx.driver("SELECT sender, source FROM messages WHERE recipient = ?", [OTHER]).fetchone()
        assert tuple(row) == (OURS, "opt-out")

    on_bench(migrated_url, tmp_path, work, opt_out_reply="You are out.", opt_in_reply="You are in.")


def test_nothing_is_confirmed_by_default(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        bench.arrives("STOP")
        bench.arrives("START")
        assert bench.sent() == 0

    on_bench(migrated_url, tmp_path, work)


def test_the_record_over_http_and_on_the_command_line(server: Running) -> None:
    api, other = server.account(), server.account()
    assert api.get("/opt-outs")["total"] == 0
    key = api.send(ECHO, "Stop")["message_id"]
    api.until(lambda: api.get("/opt-outs")["total"] == 1)
    api.send(ECHO, "unstop")
    first, second = api.until(lambda: api.get("/opt-outs")["total"] == 2 and api.get("/opt-outs")["data"])
    assert (first["event"], first["cause"], first["recipient"]) == ("opt_in", "Reply unstop", ECHO)
    assert (second["event"], second["cause"], second["message_id"]) == ("opt_out", "Reply Stop", key)
    assert api.get("/opt-outs?q=event:opt_out")["data"] == [second]
    assert api.get("/opt-outs?order_by=opt_out_id:asc&limit=15")["data"] == [second, first]
    assert api.get("/opt-outs?page=2")["data"] == []
    assert other.get("/opt-outs")["total"] == 0
    assert api.subaccount(sms=1).call("GET", "/opt-outs").status == 403
    place = ["--data", str(server.options.data)]
    place += ["--database", server.options.database] if server.options.database else []
    shown = command("optouts", api.username, *place)
    assert (shown.code, "Reply Stop" in shown.out, ECHO in shown.out) == (0, True, True)
    listed = command("optouts", api.username, "--json", "--limit", "1", *place)
    assert listed.value[0]["cause"] == "Reply unstop"
    assert "Nobody has opted out" in command("optouts", other.username, *place).out
    assert command("optouts", "nobody", *place).code == 1
    assert command("optouts", api.username, "--limit", "0", *place).code == 1
