"""Changing an account: PUT /account, `heliograph account set`, and the audit log that both write."""

import re
from pathlib import Path
from typing import Any

import pytest

from heliograph import audit
from heliograph.accounts import preferences
from heliograph.accounts.preferences import Changes, OperatorChanges
from heliograph.settings import Settings
from support import program
from support.server import ONE_DATABASE, Api, Running

CHANGED = {
    "user_email": "new@example.com",
    "user_phone": "+61491570156",
    "user_first_name": "Ünïcode",
    "user_last_name": "Name",
    "account_name": "The Firm",
    "default_country_sms": "NZ",
    "timezone": "Pacific/Auckland",
    "reply_to": "replies@example.com",
    "delivery_to": "reports@example.com",
    "low_credit_amount": "1.50",
    "setting_unicode_sms": 1,
    "setting_email_sms_subject": 1,
    "setting_fix_sender_id": 1,
    "setting_email_tracking": 1,
    "setting_sms_message_char_limit": 2,
    "cors_origins": "https://a.example capacitor://localhost",
    "throttle_seconds": 60,
}


def entries(api: Api) -> list[tuple[str, str, str]]:
    found = api.server.read(lambda tx: audit.entries(tx, api.username))
    return [(entry["actor"], entry["what"], entry["detail"]) for entry in found]


def test_every_setting_can_be_changed_and_is_shown(api: Api) -> None:
    answer = api.put("/account", CHANGED)
    assert {name: answer[name] for name in CHANGED} == CHANGED
    shown = api.get("/account")
    assert {name: shown[name] for name in CHANGED} == CHANGED
    assert shown["_subaccount"]["email"] == "new@example.com"
    assert shown["_subaccount"]["first_name"] == "Ünïcode"


def test_what_is_not_named_stays(api: Api) -> None:
    before = api.get("/account")
    after = api.put("/account", {"account_name": "Other", "timezone": None, "unknown": 1, "balance": "999"})
    assert after == {**before, "account_name": "Other"}
    assert api.put("/account", {}) == after


def test_addresses_can_be_cleared(api: Api) -> None:
    api.put("/account", CHANGED)
    after = api.put("/account", {"reply_to": "", "delivery_to": ""})
    assert (after["reply_to"], after["delivery_to"]) == ("originalemail", None)


def test_changes_hold_for_the_next_message(api: Api) -> None:
    api.get("/account")
    assert api.send("07400 123456")["status"] == "INVALID_RECIPIENT"
    api.put("/account", {"default_country_sms": "gb", "setting_sms_message_char_limit": "1"})
    sent = api.send("07400 123456", "x" * 400)
    assert (sent["to"], sent["message_parts"]) == ("+447400123456", 1)


def test_unicode_is_as_the_account_wants_it_where_the_operator_says_so(tmp_path: Path) -> None:
    running = Running(tmp_path, unicode_sms="account")
    try:
        api = running.account()
        sent = api.send("+61491570006", "Żółw “ж” " * 10)
        assert (sent["body"], sent["message_parts"]) == ('Zolw "zh" ' * 10, 1)
        api.put("/account", {"setting_unicode_sms": 1})
        sent = api.send("+61491570006", "Żółw “ж” " * 10)
        assert (sent["body"], sent["message_parts"]) == ("Żółw “ж” " * 10, 2)
        api.put("/account", {"setting_unicode_sms": 0})
        assert api.send("+61491570006", "\u200b")["status"] == "EMPTY_MESSAGE"
    finally:
        running.close_clients()
        running.stop()


def test_unicode_is_always_there_by_default(api: Api) -> None:
    assert api.send("+61491570006", "Żółw")["body"] == "Żółw"


def test_a_request_that_is_prepared_again_stays_what_it_was(api: Api) -> None:
    """Sending and pricing share one merging function; whichever came first must not decide for the other."""
    for at in range(3):
        for path in ("/sms/price", "/sms/send", "/sms/price"):
            before = api.get("/account")["balance"]
            api.put("/account", {"setting_sms_message_char_limit": 1 + at})
            api.post(path, {"messages": [{"to": "+61491570006", "body": f"text {at}"}]})
            assert (api.get("/account")["balance"] == before) == (path == "/sms/price")
    assert api.get("/sms/history")["total"] == 3


@ONE_DATABASE
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("user_email", ["", "nobody", "a b@c.example", "@", "x" * 400 + "@example.com", [], 7.5]),
        ("user_phone", ["", "12", "abc", {}, "9" * 70]),
        ("user_first_name", ["x" * 256, ["a"], "nul\x00"]),
        ("user_last_name", ["x" * 256, {}, True]),
        ("account_name", ["x" * 256, []]),
        ("default_country_sms", ["", "XX", "Australia", 61]),
        ("timezone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", 7]),
        ("reply_to", ["nobody", "x y"]),
        ("delivery_to", ["nobody", "sms"]),
        ("low_credit_amount", ["-1", "NaN", "1e5", "1,5", "9" * 40, "0.00000001", [], True]),
        ("setting_unicode_sms", [2, "maybe", [], -1]),
        ("setting_email_sms_subject", ["x"]),
        ("setting_fix_sender_id", [{}]),
        ("setting_sms_message_char_limit", [0, 9, -1, 1.5, "many", 2**70, []]),
        (
            "cors_origins",
            ["a.example", "https://", "https://a.example/", "*", "null", [], " ".join(["https://a"] * 21)],
        ),
        ("cors_origins", ["https://" + "a" * 256, "https://a b", "javascript:alert(1)"]),
        ("throttle_seconds", [-2, 86_401, "long", 1.5, []]),
    ],
)
def test_wrong_values_are_refused_and_nothing_is_changed(api: Api, field: str, values: list[Any]) -> None:
    before = api.get("/account")
    for value in values:
        answer = api.call("PUT", "/account", {"account_name": "not stored", field: value})
        if value == "" and answer.status == 200:
            raise AssertionError(f"an empty {field} was taken")
        assert answer.status == 400, (value, answer.raw)
        assert set(answer.data) == {field}
    assert api.get("/account") == before


def test_a_password_or_a_name_is_not_changed_here(api: Api) -> None:
    api.put("/account", {"password": "stolen", "username": "other", "active": 0, "banned": 1})
    shown = api.get("/account")
    assert (shown["username"], shown["active"], shown["banned"]) == (api.username, 1, 0)
    assert api.server.client(api.username, "stolen").call("GET", "/account").status == 401


def test_a_subaccount_without_the_flag_cannot_change_the_account(api: Api) -> None:
    api.server.write(
        lambda tx: tx.driver("UPDATE subaccounts SET access_settings = 0 WHERE user_id = ?", [api.user_id])
    )
    assert api.call("PUT", "/account", {"account_name": "x"}).status == 403
    assert api.call("POST", "/user-countries", {"country_list_ids": [1]}).status == 403
    assert api.get("/account")["account_name"] == ""


def test_only_the_main_subaccount_speaks_for_the_owner(server: Running, api: Api) -> None:
    other = server.subaccount(api)
    for field in ("user_email", "user_phone", "user_first_name", "user_last_name"):
        assert other.call("PUT", "/account", {field: CHANGED[field]}).status == 403
    given = {"country": "AU", "user_phone": "0491570159", "type": "sms"}
    assert other.call("PUT", "/account-verify/send", given).status == 403
    assert other.put("/account", {"timezone": "Europe/Warsaw"})["timezone"] == "Europe/Warsaw"
    assert api.get("/account")["user_email"] == f"{api.username}@example.com"
    assert entries(api)[0] == (other.username, "account.changed", "timezone=Europe/Warsaw")


@pytest.mark.parametrize(
    ("mode", "given", "usual"),
    [
        ("sandbox", "auto", True),
        ("production", "auto", False),
        ("sandbox", "off", False),
        ("production", "on", True),
    ],
)
def test_campaigns_are_tracked_as_the_account_wants(sqlite_server: Running, mode: Any, given: Any, usual: bool) -> None:
    one, settings = sqlite_server.account(), Settings(mode=mode, email_tracking=given)

    def tracks() -> bool:
        found: bool = one.server.read(lambda tx: preferences.tracks_emails(tx, settings, one.user_id))
        return found

    assert one.get("/account")["setting_email_tracking"] is None
    assert tracks() is usual
    for chosen in (False, True):
        assert one.put("/account", {"setting_email_tracking": chosen})["setting_email_tracking"] == int(chosen)
        assert tracks() is chosen


def test_an_account_may_have_its_own_throttle(api: Api) -> None:
    def throttle(seconds: int) -> None:
        shown = api.put("/account", {"throttle_seconds": seconds})
        assert shown["throttle_seconds"] == (None if seconds < 0 else seconds)

    def twice(text: str) -> list[str]:
        return [api.send("+61491570006", text)["status"] for _ in range(2)]

    assert twice("as the server is set") == ["SUCCESS", "THROTTLED"]
    throttle(0)
    assert twice("never") == ["SUCCESS", "SUCCESS"]
    throttle(-1)
    assert twice("as before") == ["SUCCESS", "THROTTLED"]


def test_a_ban_holds_at_once(server: Running, api: Api) -> None:
    assert api.get("/account")["banned"] == 0
    server.write(lambda tx: preferences.change(tx, api.user_id, audit.CLI, OperatorChanges(banned=True)))
    assert api.call("GET", "/account").status == 403
    server.write(lambda tx: preferences.change(tx, api.user_id, audit.CLI, OperatorChanges(banned=False)))
    assert api.get("/account")["banned"] == 0


def test_origins_of_an_account_are_allowed_to_this_account(server: Running, api: Api) -> None:
    origin, other = f"https://{api.username}.example", server.account()

    def allowed(who: Api, method: str = "GET", path: str = "/account") -> str | None:
        answer = who.call(method, path, headers={"Origin": origin})
        return answer.headers.get("access-control-allow-origin")

    assert allowed(api) is None
    api.put("/account", {"cors_origins": f"https://another.example, {origin.upper()}"})
    assert allowed(api) == origin
    assert allowed(api, path="/sms/unknown/timeline") == origin  # a refusal has to be read too
    assert allowed(other, "OPTIONS") == origin  # a preflight says not who will ask
    assert allowed(other) is None
    assert allowed(other, path="/sms/unknown/timeline") is None
    assert allowed(server.client("nobody", "wrong")) == origin
    api.put("/account", {"cors_origins": ""})
    assert (allowed(api), allowed(api, "OPTIONS")) == (None, None)


def test_changes_are_audited_without_what_was_refused(api: Api) -> None:
    api.put("/account", {"timezone": "UTC", "low_credit_amount": "2"})
    api.call("PUT", "/account", {"timezone": "nowhere"})
    api.put("/account", {})
    api.post("/user-countries", {"country_list_ids": [2, 1]})
    assert entries(api) == [
        (api.username, "countries.selected", "AU NZ"),
        (api.username, "account.changed", "timezone=UTC, low_credit_amount=2"),
    ]


def test_recovery_is_audited_without_a_secret(server: Running, api: Api) -> None:
    code = api.put("/account-verify/send", {"country": "AU", "user_phone": "0491570159", "type": "sms"})[
        "activation_token"
    ]
    api.put(f"/account-verify/verify/{code}")
    server.client("", "").put("/forgot-password", {"username": api.username})
    server.client("", "").put("/forgot-username", {"email": f"{api.username}@example.com"})
    found = api.until(lambda: entries(api) if len(entries(api)) == 4 else None)
    assert [what for _, what, _ in found][2:] == ["phone.verified", "phone.code_sent"]
    assert {what for _, what, _ in found} >= {"username.reminded", "password.key_sent"}
    address = f"{api.username}@example.com"
    api.until(lambda: len(server.mails(address)) == 2)
    mails = server.mails(address)
    (key,) = re.findall(r"activation_token: (\S+)", "".join(mail.text for mail in mails))
    assert code not in str(found)
    assert key not in str(found)
    server.write(lambda tx: tx.driver("DELETE FROM tokens WHERE target = ?", ["+61491570159"]))


def test_the_log_of_all_accounts_is_newest_first(server: Running, api: Api) -> None:
    other = server.account()
    for one in (api, other):
        server.write(lambda tx, one=one: audit.record(tx, one.user_id, audit.CLI, "test", "x" * 2000))
    server.write(lambda tx: audit.record(tx, audit.HOUSE, audit.CLI, "test", "house"))
    found = server.read(lambda tx: audit.entries(tx, None, 3))
    assert [entry["username"] for entry in found] == [None, other.username, api.username]
    assert len(found[1]["detail"]) == 1000


def run(*words: str) -> Any:
    return program.command(*words, "--json").value


def test_the_command_line_changes_and_shows(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    run("migrate", *data)
    run("account", "create", "alice", "--credit", "5", *data)
    before = run("account", "set", "alice", *data)
    after = run(
        *("account", "set", "Alice", "--timezone", "Europe/Warsaw", "--unicode", "--throttle-seconds", "9"),
        "--no-email-tracking",
        *("--cors-origins", "https://a.example, http://b.example:8080", "--low-credit", "2.5", *data),
    )
    changed = {
        "timezone": "Europe/Warsaw",
        "setting_unicode_sms": 1,
        "email_tracking": 0,
        "throttle_seconds": 9,
        "cors_origins": "https://a.example http://b.example:8080",
        "low_credit_amount": "2.50",
    }
    assert after == {**before, **changed}
    cleared = run("account", "set", "alice", "--no-unicode", "--throttle-seconds", "-1", *data)
    assert (cleared["setting_unicode_sms"], cleared["throttle_seconds"]) == (0, None)
    log = run("audit", "alice", *data)
    assert [entry["what"] for entry in log] == ["account.changed", "account.changed", "account.created"]
    assert {entry["actor"] for entry in log} == {"command line"}
    assert run("audit", *data) == log


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "set", "alice", "--cors-origins", "https://a.example/path"),
        ("account", "set", "alice", "--cors-origins", "a.example"),
        ("account", "set", "alice", "--throttle-seconds", "86401"),
        ("account", "set", "alice", "--char-limit", "9"),
        ("account", "set", "bob", "--char-limit", "2"),
        ("audit", "bob"),
        ("audit", "--limit", "0"),
    ],
)
def test_the_command_line_refuses(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    run("migrate", "--data", str(tmp_path))
    run("account", "create", "alice", "--data", str(tmp_path))
    done = program.command(*arguments, "--data", str(tmp_path))
    assert (done.code, done.err.startswith("heliograph: ")) == (1, True)


def test_every_change_has_a_check() -> None:
    flags = {
        "setting_unicode_sms",
        "setting_email_sms_subject",
        "setting_fix_sender_id",
        "setting_email_tracking",
        "active",
        "banned",
    }
    names = {*Changes.__struct_fields__, *OperatorChanges.__struct_fields__}
    assert names - flags == preferences._CHECKS.keys()
