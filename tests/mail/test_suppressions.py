"""Who gets no mail: the list as a noun, over HTTP and by commands."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from heliograph.db.engine import Tx
from heliograph.mail import suppressions
from heliograph.mail.suppressions import BOUNCE, COMPLAINT, MANUAL, UNSUBSCRIBE
from heliograph.mailaddress import folded
from support.program import Done, command
from support.server import Api, Running

PATH = "/email/suppressions"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("Jane.Doe@Example.COM", "jane.doe@example.com"),
        ("jane@example.com.", "jane@example.com"),
        ("jane@BÜCHER.example", "jane@xn--bcher-kva.example"),
        ("jane@bu\u0308cher.example", "jane@xn--bcher-kva.example"),
        ("jane@xn--BCHER-kva.example", "jane@xn--bcher-kva.example"),
        ("jane@bücher。example", "jane@xn--bcher-kva.example"),
        ("JÜRGEN@example.com", "jürgen@example.com"),
        ("ju\u0308rgen@example.com", "jürgen@example.com"),
        ("straße@example.com", "strasse@example.com"),
        ("jane@a_b.example", "jane@a_b.example"),
        ("jane@ü_b.example", "jane@ü_b.example"),
        ("jane@" + "ü" * 250, "jane@" + "ü" * 250),
        ("jane@\ud800.example", "jane@\ud800.example"),
        ("a@b@Example.com", "a@b@example.com"),
    ],
)
def test_addresses_are_compared_without_case_and_with_domains_in_ascii(written: str, form: str) -> None:
    assert folded(written) == folded(form) == form


def work(api: Api, what: Callable[..., Any], *given: Any, **more: Any) -> Any:
    def run(tx: Tx) -> Any:
        return what(tx, api.user_id, *given, **more)

    return api.server.write(run)


def test_a_mail_is_kept_from_whoever_is_on_the_list(api: Api) -> None:
    for reason in (BOUNCE, COMPLAINT, UNSUBSCRIBE, MANUAL):
        work(api, suppressions.add, [f"{reason}@Bücher.example"], reason)
    written = ["BOUNCE@bücher.example", "bounce@xn--bcher-kva.example", "complaint@Bücher.example"]
    asked = [*written, "manual@BÜCHER.example", "unsubscribe@bücher.example", "free@bücher.example"]
    assert work(api, suppressions.suppressed, asked, campaign=True) == set(asked[:-1])
    assert work(api, suppressions.suppressed, asked, campaign=False) == set(asked[:-2])
    assert work(api.server.account(), suppressions.suppressed, asked, campaign=True) == set()


def test_what_is_no_address_is_on_no_list(api: Api) -> None:
    asked = ["", "x", "a@\ud800.example", "a\x00@example.com", "a b@example.com", "@", "a" * 100_000]
    assert work(api, suppressions.suppressed, asked, campaign=True) == set()
    assert not any(map(suppressions.is_stored, asked))
    assert work(api, suppressions.remove, "a@\ud800.example") == 0


def test_twenty_thousand_are_asked_for_in_few_statements(api: Api) -> None:
    addresses = [f"Person{number}@example.com" for number in range(20_000)]
    work(api, suppressions.add, addresses[::100], BOUNCE)
    statements = []

    def count(tx: Tx) -> set[str]:
        real = tx.driver

        def driver(text: str, parameters: Any = ()) -> Any:
            statements.append(text)
            return real(text, parameters)

        tx.driver = driver  # type: ignore[method-assign]
        return suppressions.suppressed(tx, api.user_id, addresses, campaign=False)

    assert api.server.write(count) == set(addresses[::100])
    assert sum("suppressions" in text for text in statements) <= 40


def test_each_reason_is_an_entry_of_its_own_and_the_first_one_stays(api: Api) -> None:
    assert (
        work(api, suppressions.add, ["a@example.com", "A@example.com"], BOUNCE, detail="550\n no", message_id="M") == 1
    )
    assert work(api, suppressions.add, ["a@example.com"], BOUNCE, detail="other") == 0
    assert work(api, suppressions.add, ["a@example.com"], UNSUBSCRIBE) == 1
    first, second = work(api, suppressions.entries, ["A@EXAMPLE.com"])
    assert (first["detail"], first["message_id"], second["reason"]) == ("550 no", "M", UNSUBSCRIBE)
    assert work(api, suppressions.remove, "a@example.com", reason=UNSUBSCRIBE) == 1
    assert [row["reason"] for row in work(api, suppressions.entries, ["a@example.com"])] == [BOUNCE]
    work(api, suppressions.add, ["b@example.com"], COMPLAINT, detail="x " * 1000)
    assert len(work(api, suppressions.entries, ["b@example.com"])[0]["detail"]) <= suppressions.LONGEST_DETAIL


def test_the_list_over_http(api: Api) -> None:
    made = api.post(PATH, {"email_address": " Jane@Example.com ", "detail": "She called."})
    assert [(one["email_address"], one["reason"], one["detail"]) for one in made] == [
        ("jane@example.com", "manual", "She called.")
    ]
    again = api.post(PATH, {"email_address": ["jane@example.com", "joe@example.com"]})
    assert [(one["email_address"], one["detail"]) for one in again] == [
        ("jane@example.com", "She called."),
        ("joe@example.com", ""),
    ]
    work(api, suppressions.add, ["joe@example.com"], BOUNCE, detail="550 5.1.1")
    assert [row["reason"] for row in api.get(PATH)["data"]] == ["bounce", "manual", "manual"]
    assert api.get(f"{PATH}?q=email_address:jane*")["total"] == 1
    assert api.get(f"{PATH}?q=reason:bounce&order_by=date_added:asc")["data"][0]["detail"] == "550 5.1.1"
    assert api.server.account().get(PATH)["total"] == 0
    assert api.delete(f"{PATH}?email_address={quote('JOE@example.com')}") == {"deleted": 2}
    gone = api.call("DELETE", f"{PATH}?email_address=joe@example.com")
    assert (gone.status, gone.body["response_code"]) == (404, "NOT_FOUND")
    assert [row["email_address"] for row in api.get(PATH)["data"]] == ["jane@example.com"]


def test_what_another_account_suppressed_stays(api: Api) -> None:
    other = api.server.account()
    other.post(PATH, {"email_address": "jane@example.com"})
    assert api.call("DELETE", f"{PATH}?email_address=jane@example.com").status == 404
    assert other.get(PATH)["total"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email_address"),
        ({"email_address": []}, "email_address"),
        ({"email_address": ""}, "email_address"),
        ({"email_address": "jane"}, "email_address"),
        ({"email_address": ["jane@example.com", "joe@example.com, x@example.com"]}, "email_address"),
        ({"email_address": ["jane@example.com\r\nBcc: x@example.com"]}, "email_address"),
        ({"email_address": [f"{number}@example.com" for number in range(1001)]}, "email_address"),
        ({"email_address": {"a": 1}}, "email_address"),
        ({"email_address": "jane@example.com", "detail": "x" * 301}, "detail"),
    ],
)
def test_bad_bodies_are_refused_by_field_and_add_nothing(sqlite_server: Running, body: Any, field: str) -> None:
    api = sqlite_server.account()
    answer = api.call("POST", PATH, body)
    assert (answer.status, list(answer.data)) == (400, [field])
    assert api.get(PATH)["total"] == 0


def test_a_removal_names_its_address(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    for query in ("", "?email_address=", "?email_address=%20"):
        answer = api.call("DELETE", PATH + query)
        assert (answer.status, list(answer.data)) == (400, ["email_address"])


def run(server: Running, *words: str) -> Done:
    return command("suppressions", *words, "--data", str(server.options.data))


def test_commands_show_and_change_the_list(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    assert run(sqlite_server, "list", api.username).out == "The list is empty.\n"
    done = run(sqlite_server, "add", api.username, "A@example.com", "b@example.com", "--detail", "old list")
    assert (done.code, done.out) == (0, "2 added, 0 there before.\n")
    work(api, suppressions.add, ["a@example.com"], BOUNCE, detail="550 gone")
    found = run(sqlite_server, "list", api.username, "--json").value
    assert [(row["email_address"], row["reason"], row["detail"]) for row in found] == [
        ("a@example.com", "bounce", "550 gone"),
        ("b@example.com", "manual", "old list"),
        ("a@example.com", "manual", "old list"),
    ]
    assert "550 gone" in run(sqlite_server, "list", api.username, "--limit", "1").out
    gone = run(sqlite_server, "remove", api.username, "a@example.com", "--reason", "bounce", "--json")
    assert gone.value == {"removed": 1}
    assert run(sqlite_server, "remove", api.username, "x@example.com").out == "None of them was on the list.\n"
    assert run(sqlite_server, "remove", api.username, "a@example.com", "b@example.com").out == "2 removed.\n"
    entries = command("audit", api.username, "--json", "--data", str(sqlite_server.options.data)).value
    assert [(row["actor"], row["what"]) for row in entries[:2]] == [
        ("command line", "suppression.removed"),
        ("command line", "suppression.removed"),
    ]


@pytest.mark.parametrize(
    "words",
    [("add", "{}"), ("add", "{}", "jane"), ("add", "nobody", "a@example.com"), ("remove", "{}"), ("list", "nobody")],
)
def test_commands_say_in_a_sentence_what_is_wrong(sqlite_server: Running, words: tuple[str, ...]) -> None:
    api = sqlite_server.account()
    done = run(sqlite_server, *(word.format(api.username) for word in words))
    assert done.code == 1
    assert done.err.strip()
    assert "Traceback" not in done.err
