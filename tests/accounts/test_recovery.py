"""Proving a phone number, and getting back into an account: the way that works, and the many that must not."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from heliograph.accounts import account
from heliograph.accounts.recovery import access, reminders
from heliograph.billing import ledger
from heliograph.db.engine import Tx
from support.server import Api, Running

PHONE = "+61491570156"
GIVEN = {"country": "AU", "user_phone": "0491 570 156", "type": "sms"}
WRONG = "Activation token is wrong, was used, or has expired."
NEW = "a new password"


def send_code(api: Api, **more: Any) -> str:
    return str(api.put("/account-verify/send", {**GIVEN, **more})["activation_token"])


def verify(api: Api, code: str) -> int:
    answer = api.call("PUT", f"/account-verify/verify/{code}")
    if answer.status == 400:
        assert answer.data == {"activation_token": WRONG}
    return answer.status


def age(server: Running, user_id: int, seconds: int) -> None:
    """Let time pass for what a user was sent."""
    sql = "UPDATE tokens SET expires_at = expires_at - ?, created_at = created_at - ? WHERE user_id = ?"
    server.write(lambda tx: tx.driver(sql, [seconds, seconds, user_id]))


def house_messages(server: Running, number: str) -> list[dict[str, Any]]:
    def find(tx: Tx) -> list[dict[str, Any]]:
        sql = (
            "SELECT m.body, m.status, m.price_micros, m.source, m.user_id FROM messages m"
            " JOIN users u ON u.user_id = m.user_id WHERE u.username = ? AND m.recipient = ? ORDER BY m.ordinal"
        )
        names = ("body", "status", "price_micros", "source", "user_id")
        return [dict(zip(names, row, strict=True)) for row in tx.driver(sql, [access.HOUSE, number]).fetchall()]

    return list(server.read(find))


def forget_number(server: Running, number: str = PHONE) -> None:
    """Other tests send to this number too."""
    server.write(lambda tx: tx.driver("DELETE FROM tokens WHERE target = ?", [number]))


@pytest.fixture(autouse=True)
def _fresh_number(server: Running) -> None:
    forget_number(server)


def test_a_code_goes_out_as_a_message_of_the_house_and_proves_the_number(server: Running, api: Api) -> None:
    data = api.put("/account-verify/send", GIVEN)
    assert {**data, "activation_token": ""} == {
        "user_phone": PHONE,
        "type": "sms",
        "country": "AU",
        "activation_token": "",
    }
    code = data["activation_token"]
    assert re.fullmatch("[1-9][0-9]{5}", code)
    sent = house_messages(server, PHONE)[-1]
    assert sent["body"].startswith(f"{code} is your verification code.")
    assert (sent["price_micros"], sent["source"]) == (0, "verification")
    api.until(lambda: house_messages(server, PHONE)[-1]["status"] == "Completed")
    shown = api.put(f"/account-verify/verify/{code}")
    assert (shown["user_phone"], shown["active"], shown["_subaccount"]["mobile"]) == (PHONE, 1, PHONE)
    assert api.get("/account")["user_phone"] == PHONE
    assert api.get("/account")["_subaccount"]["phone_number"] == PHONE


def test_a_code_costs_the_account_nothing_and_does_not_show_in_its_history(server: Running, api: Api) -> None:
    before = api.get("/account")["balance"]
    send_code(api)
    assert api.get("/account")["balance"] == before
    assert api.get("/sms/history")["total"] == 0
    assert api.get("/account/usage")["sms"] == []
    house = house_messages(server, PHONE)[-1]["user_id"]
    assert server.read(lambda tx: ledger.balance(tx, house)) == 0


def test_a_code_is_hashed_at_rest(server: Running, api: Api) -> None:
    code = send_code(api)
    sql = "SELECT hash, target, tries FROM tokens WHERE user_id = ?"
    (row,) = server.read(lambda tx: tx.driver(sql, [api.user_id]).fetchall())
    assert code not in row[0]
    assert len(row[0]) == 64
    assert tuple(row[1:]) == (PHONE, 0)


def test_a_code_is_good_once(api: Api) -> None:
    code = send_code(api)
    assert verify(api, code) == 200
    assert verify(api, code) == 400


def test_a_code_of_another_account_is_worth_nothing(server: Running, api: Api) -> None:
    code = send_code(api)
    assert verify(server.account(), code) == 400
    assert verify(api, code) == 200


def test_a_code_lives_ten_minutes(server: Running, api: Api) -> None:
    code = send_code(api)
    age(server, api.user_id, 590)
    early = send_code(api)
    age(server, api.user_id, 601)
    assert verify(api, early) == 400
    assert verify(api, code) == 400
    late = send_code(api)
    age(server, api.user_id, 590)
    assert verify(api, late) == 200


def test_five_wrong_tries_end_a_code(api: Api) -> None:
    code = send_code(api)
    wrong = str((int(code) + 1) % 900_000 + 100_000)
    assert [verify(api, wrong) for _ in range(5)] == [400] * 5
    assert verify(api, code) == 400


def test_the_fifth_try_may_still_be_right(api: Api) -> None:
    code = send_code(api)
    assert [verify(api, "000000") for _ in range(4)] == [400] * 4
    assert verify(api, code) == 200


def test_five_tries_are_five_when_they_come_at_once(server: Running, api: Api) -> None:
    code = send_code(api)
    wrong = str((int(code) + 1) % 900_000 + 100_000)
    guessers = [server.client(api.username, api.key) for _ in range(12)]
    with ThreadPoolExecutor(len(guessers)) as pool:
        assert set(pool.map(lambda one: verify(one, wrong), guessers)) == {400}
    sql = "SELECT tries FROM tokens WHERE user_id = ?"
    assert server.read(lambda tx: tx.driver(sql, [api.user_id]).fetchone()[0]) == 5
    assert verify(api, code) == 400


def test_a_key_used_twice_at_once_is_used_once(server: Running, api: Api) -> None:
    stranger(server).put("/forgot-password", {"username": api.username})
    given = key_in(mailed(api)[0].text)
    askers = [stranger(server) for _ in range(6)]

    def change(at: int) -> int:
        return askers[at].call("PUT", "/forgot-password/verify", {**given, "password": f"password {at}"}).status

    with ThreadPoolExecutor(len(askers)) as pool:
        answers = list(pool.map(change, range(len(askers))))
    assert sorted(answers) == [200, *[400] * 5]
    assert server.client(api.username, f"password {answers.index(200)}").call("GET", "/account").status == 200


def test_a_new_code_ends_the_one_before(api: Api) -> None:
    first, second = send_code(api), send_code(api)
    assert first == second or verify(api, first) == 400
    assert verify(api, second) == 200


def test_an_account_gets_five_codes_an_hour(server: Running, api: Api) -> None:
    for _ in range(5):
        send_code(api)
    refused = api.call("PUT", "/account-verify/send", {**GIVEN, "user_phone": "+61491570157"})
    assert (refused.status, refused.headers["retry-after"]) == (429, "3600")
    age(server, api.user_id, 3601)
    send_code(api)


def test_a_number_gets_five_codes_an_hour_whoever_asks(server: Running) -> None:
    for _ in range(5):
        send_code(server.account())
    assert server.account().call("PUT", "/account-verify/send", GIVEN).status == 429
    send_code(server.account(), user_phone="+61491570157")
    forget_number(server, "+61491570157")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"country", "user_phone", "type"}),
        ({**GIVEN, "country": None}, {"country"}),
        ({**GIVEN, "country": "AUS"}, {"country"}),
        ({**GIVEN, "country": "ZZ"}, {"country", "user_phone"} - {"user_phone"}),
        ({**GIVEN, "country": ["AU"]}, {"country"}),
        ({**GIVEN, "user_phone": "12"}, {"user_phone"}),
        ({**GIVEN, "user_phone": "☎" * 1000}, {"user_phone"}),
        ({**GIVEN, "user_phone": {"a": 1}}, {"user_phone"}),
        ({**GIVEN, "type": "pigeon"}, {"type"}),
        ({**GIVEN, "type": 7}, {"type"}),
    ],
)
def test_wrong_fields_of_a_verification(api: Api, body: Any, fields: set[str]) -> None:
    answer = api.call("PUT", "/account-verify/send", body)
    assert answer.status == 400
    assert set(answer.data) >= fields


def test_a_call_reads_the_code_out_twice(server: Running, api: Api) -> None:
    number = "+61491999005"  # it declines, so that nothing rings on after the test
    sent = api.put("/account-verify/send", {**GIVEN, "user_phone": number, "type": " Call "})
    code = sent["activation_token"]
    assert (sent["type"], sent["user_phone"]) == ("call", number)
    (message,) = house_messages(server, number)
    assert message["body"].count(", ".join(code)) == 2
    assert (message["price_micros"], message["source"]) == (0, "verification")
    assert api.get("/voice/history")["total"] == 0
    assert verify(api, code) == 200


@pytest.mark.parametrize("code", ["0", "abc", "%00", "9" * 5000, "%F0%9F%94%91", "%27%20OR%201=1", "-1", "1e5"])
def test_codes_that_are_none(api: Api, code: str) -> None:
    send_code(api)
    assert api.call("PUT", f"/account-verify/verify/{code}").status in (400, 404)


def test_a_subaccount_cannot_use_up_the_tries_of_the_owner(api: Api) -> None:
    code, other = send_code(api), api.subaccount(settings=1)
    assert [other.call("PUT", f"/account-verify/verify/{guess}").status for guess in range(7)] == [403] * 7
    assert verify(api, code) == 200


def test_verification_needs_credentials(server: Running) -> None:
    stranger = server.client("nobody", "wrong")
    assert stranger.call("PUT", "/account-verify/send", GIVEN).status == 401
    assert stranger.call("PUT", "/account-verify/verify/123456").status == 401


def test_an_inactive_account_sends_after_it_has_verified_its_number(server: Running) -> None:
    api = server.account(active=False)
    refused = api.call("POST", "/sms/send", {"messages": [{"to": PHONE, "body": "Hello"}]})
    assert (refused.status, refused.body["response_code"]) == (403, "ACCOUNT_NOT_ACTIVATED")
    assert verify(api, send_code(api)) == 200
    assert api.send(PHONE)["status"] == "SUCCESS"


def test_a_banned_account_cannot_verify(server: Running) -> None:
    assert server.account(banned=True).call("PUT", "/account-verify/send", GIVEN).status == 403


def test_a_revoked_key_cannot_use_a_code(server: Running, api: Api) -> None:
    code = send_code(api)

    def revoke(tx: Tx) -> None:
        tx.driver("UPDATE subaccounts SET key_hash = ? WHERE user_id = ?", [f"gone {api.user_id}", api.user_id])
        account.touch(tx)

    server.write(revoke)
    assert api.call("PUT", f"/account-verify/verify/{code}").status == 401


# Forgotten usernames and passwords


def mailed(api: Api, count: int = 1) -> list[Any]:
    """The mails to the owner of an account, when there are `count` of them."""
    address = f"{api.username}@example.com"
    api.until(lambda: len(api.server.mails(address)) >= count)
    return api.server.mails(address)


def key_in(text: str) -> dict[str, str]:
    return dict(re.findall(r"(subaccount_id|activation_token): *(\S+)", text))


def stranger(server: Running) -> Api:
    return server.client("", "")


def sent_keys(server: Running, user_id: int) -> int:
    sql = "SELECT COUNT(*) FROM tokens WHERE user_id = ?"
    return int(server.read(lambda tx: tx.driver(sql, [user_id]).fetchone()[0]))


def test_a_forgotten_password_is_replaced_and_the_old_one_ends(server: Running, api: Api) -> None:
    asker = stranger(server)
    assert asker.put("/forgot-password", {"username": api.username.upper()}) == []
    (mail,) = mailed(api)
    given = key_in(mail.text)
    assert "127.0.0.1" not in mail.text
    assert asker.put("/forgot-password/verify", {**given, "password": NEW}) == []
    assert server.client(api.username, NEW).get("/account")["username"] == api.username
    assert asker.put("/forgot-password", {"username": api.username}) == []
    again = key_in(mailed(api, 2)[-1].text)
    asker.put("/forgot-password/verify", {**again, "password": "another one"})
    assert server.client(api.username, NEW).call("GET", "/account").status == 401
    assert server.client(api.username, "another one").call("GET", "/account").status == 200
    assert api.call("GET", "/account").status == 200  # the API key is another secret


def test_the_mail_names_no_address_that_the_asker_chose(server: Running, api: Api) -> None:
    stranger(server).call("PUT", "/forgot-password", {"username": api.username}, {"Host": "evil.example"})
    assert "evil.example" not in mailed(api)[0].text


def test_a_key_is_good_once(server: Running, api: Api) -> None:
    asker = stranger(server)
    asker.put("/forgot-password", {"username": api.username})
    given = key_in(mailed(api)[0].text)
    asker.put("/forgot-password/verify", {**given, "password": NEW})
    answer = asker.call("PUT", "/forgot-password/verify", {**given, "password": "stolen"})
    assert (answer.status, answer.data) == (400, {"activation_token": WRONG})
    assert server.client(api.username, "stolen").call("GET", "/account").status == 401


def test_a_used_key_ends_the_others(server: Running, api: Api) -> None:
    asker = stranger(server)
    for _ in range(2):
        asker.put("/forgot-password", {"username": api.username})
    first, second = (key_in(mail.text) for mail in mailed(api, 2))
    asker.put("/forgot-password/verify", {**first, "password": NEW})
    assert asker.call("PUT", "/forgot-password/verify", {**second, "password": "stolen"}).status == 400


def test_a_key_lives_half_an_hour(server: Running, api: Api) -> None:
    asker = stranger(server)
    asker.put("/forgot-password", {"username": api.username})
    given = key_in(mailed(api)[0].text)
    age(server, api.user_id, 1801)
    assert asker.call("PUT", "/forgot-password/verify", {**given, "password": NEW}).status == 400


def test_a_key_of_another_account_is_worth_nothing(server: Running, api: Api) -> None:
    asker = stranger(server)
    asker.put("/forgot-password", {"username": api.username})
    given = key_in(mailed(api)[0].text)
    other = server.account().get("/account")["_subaccount"]["subaccount_id"]
    for subaccount_id in (other, 0, -1, 10**15 - 1):
        wrong = {**given, "subaccount_id": subaccount_id, "password": NEW}
        answer = asker.call("PUT", "/forgot-password/verify", wrong)
        assert (answer.status, answer.data) == (400, {"activation_token": WRONG})


def test_a_verification_code_sets_no_password(server: Running, api: Api) -> None:
    code = send_code(api)
    sub = api.get("/account")["_subaccount"]["subaccount_id"]
    body = {"subaccount_id": sub, "activation_token": code, "password": NEW}
    assert stranger(server).call("PUT", "/forgot-password/verify", body).status == 400


def test_a_key_is_hashed_at_rest(server: Running, api: Api) -> None:
    stranger(server).put("/forgot-password", {"username": api.username})
    key = key_in(mailed(api)[0].text)["activation_token"]
    sql = "SELECT hash FROM tokens WHERE user_id = ?"
    (row,) = server.read(lambda tx: tx.driver(sql, [api.user_id]).fetchall())
    assert key.lower() not in row[0].lower()

    def jobs() -> str:
        return str(server.read(lambda tx: tx.driver("SELECT payload FROM jobs").fetchall()))

    api.until(lambda: key not in jobs())  # the mail arrives a moment before its job is done with


def test_wrong_keys_do_not_take_the_right_one_away(server: Running, api: Api) -> None:
    asker = stranger(server)
    asker.put("/forgot-password", {"username": api.username})
    given = key_in(mailed(api)[0].text)
    for at in range(20):
        wrong = {**given, "activation_token": f"wrong {at}", "password": "stolen"}
        assert asker.call("PUT", "/forgot-password/verify", wrong).status == 400
    asker.put("/forgot-password/verify", {**given, "password": NEW})


@pytest.mark.parametrize("username", ["nobody-has-this-name", access.HOUSE, "", " ", "☎", "x" * 10_000, "a' OR '1'='1"])
def test_unknown_users_get_the_same_answer(server: Running, api: Api, username: str) -> None:
    send_code(api)  # so that the account of the house exists
    asker = stranger(server)
    known = asker.call("PUT", "/forgot-password", {"username": api.username})
    unknown = asker.call("PUT", "/forgot-password", {"username": username})
    assert (known.status, known.body) == (unknown.status, unknown.body)


def no_reminders(server: Running) -> bool:
    """Whether every reminder that was asked for has been written."""
    return not server.read(lambda tx: tx.driver("SELECT 1 FROM jobs WHERE kind = ?", [reminders.JOB]).fetchone())


def test_a_mailbox_is_not_flooded(server: Running, api: Api) -> None:
    asker = stranger(server)
    answers = [asker.call("PUT", "/forgot-password", {"username": api.username}).body for _ in range(8)]
    assert all(answer == answers[0] for answer in answers)
    api.until(lambda: no_reminders(server))
    assert sent_keys(server, api.user_id) == 5
    for _ in range(8):
        asker.put("/forgot-username", {"email": f"{api.username}@example.com"})
    api.until(lambda: no_reminders(server))
    assert sent_keys(server, api.user_id) == 10
    assert len(mailed(api, 10)) == 10


def test_a_request_does_the_same_for_a_name_that_nobody_has(tmp_path: Path) -> None:
    """What takes longer for somebody's name tells that there is such an account; so all of it is left to a job."""
    running = Running(tmp_path, role="api")  # nobody runs the jobs
    try:
        api = running.account()
        asker = stranger(running)
        address = f"{api.username}@example.com"
        asker.put("/forgot-password", {"username": api.username})
        asker.put("/forgot-password", {"username": "nobody"})
        asker.put("/forgot-username", {"email": address})
        asker.put("/forgot-username", {"email": "nobody@example.com"})
        rows = running.read(lambda tx: tx.driver("SELECT kind FROM jobs").fetchall())
        assert [row[0] for row in rows] == [reminders.JOB] * 4
        assert sent_keys(running, api.user_id) == 0
    finally:
        running.close_clients()
        running.stop()


def test_a_subaccount_gets_a_new_password_of_its_own(server: Running, api: Api) -> None:
    sub = api.subaccount(password="the old one", sms=1)
    asker = stranger(server)
    asker.put("/forgot-password", {"username": sub.username.upper()})
    (mail,) = api.until(lambda: server.mails(f"{sub.username}@example.com"))
    given = key_in(mail.text)
    assert sub.username in mail.text
    owner = api.subaccount_id
    assert (
        asker.call("PUT", "/forgot-password/verify", {**given, "subaccount_id": owner, "password": NEW}).status == 400
    )
    asker.put("/forgot-password/verify", {**given, "password": NEW})
    assert server.client(sub.username, NEW).call("GET", "/account").status == 200
    assert server.client(sub.username, "the old one").call("GET", "/account").status == 401
    assert server.client(api.username, NEW).call("GET", "/account").status == 401
    assert mailed(api, 0) == []


def test_keys_of_a_subaccount_leave_those_of_the_owner(server: Running, api: Api) -> None:
    sub = api.subaccount()
    asker = stranger(server)
    for name in [*[sub.username] * 6, api.username]:
        asker.put("/forgot-password", {"username": name})
    owners = key_in(mailed(api)[0].text)
    (first, *_) = api.until(lambda: server.mails(f"{sub.username}@example.com"))
    asker.put("/forgot-password/verify", {**key_in(first.text), "password": NEW})
    asker.put("/forgot-password/verify", {**owners, "password": NEW})


def test_a_deleted_subaccount_is_forgotten(server: Running, api: Api) -> None:
    sub = api.subaccount(sms=1)
    asker, address = stranger(server), f"{sub.username}@example.com"
    asker.put("/forgot-password", {"username": sub.username})
    (mail,) = api.until(lambda: server.mails(address))
    api.delete(f"/subaccounts/{key_in(mail.text)['subaccount_id']}")
    assert asker.call("PUT", "/forgot-password/verify", {**key_in(mail.text), "password": NEW}).status == 400
    asker.put("/forgot-password", {"username": sub.username})
    asker.put("/forgot-username", {"email": address})
    api.until(lambda: no_reminders(server))
    assert len(server.mails(address)) == 1


def test_a_forgotten_username_is_mailed(server: Running, api: Api) -> None:
    asker = stranger(server)
    known = asker.call("PUT", "/forgot-username", {"email": f"{api.username.upper()}@Example.com"})
    (mail,) = mailed(api)
    assert api.username in mail.text.split()
    unknown = asker.call("PUT", "/forgot-username", {"email": "nobody@example.com", "phone_number": "3108147982"})
    assert (known.status, known.body) == (unknown.status, unknown.body)


def test_a_username_is_found_by_the_phone_number_too(server: Running) -> None:
    api = server.account(phone="+61491570158")
    stranger(server).put("/forgot-username", {"phone_number": "+61 491 570 158"})
    assert api.username in mailed(api)[0].text


def test_a_national_number_is_one_of_the_account_s_country(server: Running) -> None:
    """The document's example has no country code: 3108147982."""
    here = server.account(phone="+13108147982", country="US")
    abroad = server.account(phone="+13108147982", country="AU")
    for number in ("3108147982", "(310) 814-7982", "8147982", "0", "☎"):
        assert stranger(server).put("/forgot-username", {"phone_number": number}) == []
    api_mails = mailed(here, 2)
    assert [here.username in mail.text for mail in api_mails] == [True, True]
    here.until(lambda: no_reminders(server))
    assert len(mailed(here, 2)) == 2
    assert mailed(abroad, 0) == []


def test_all_usernames_of_an_address_stand_in_the_mails(server: Running) -> None:
    first = server.account()
    second = server.account(email=f"{first.username}@example.com")
    stranger(server).put("/forgot-username", {"email": f"{first.username}@example.com"})
    words = {word for mail in mailed(first, 2) for word in mail.text.split()}
    assert {first.username, second.username} <= words


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/forgot-username", {}, {"email", "phone_number"}),
        ("/forgot-username", {"email": "", "phone_number": " "}, {"email", "phone_number"}),
        ("/forgot-username", {"email": "no address"}, {"email"}),
        ("/forgot-username", {"email": ["a@b.example"]}, {"email"}),
        ("/forgot-username", {"phone_number": {}}, {"phone_number"}),
        ("/forgot-password", {}, {"username"}),
        ("/forgot-password", {"username": None}, {"username"}),
        ("/forgot-password", {"username": ["demo"]}, {"username"}),
        ("/forgot-password/verify", {}, {"subaccount_id", "activation_token", "password"}),
        ("/forgot-password/verify", {"subaccount_id": "x", "activation_token": "", "password": NEW}, {"subaccount_id"}),
        (
            "/forgot-password/verify",
            {"subaccount_id": 1, "activation_token": [], "password": NEW},
            {"activation_token"},
        ),
        ("/forgot-password/verify", {"subaccount_id": 1, "activation_token": "a", "password": "abc"}, {"password"}),
        (
            "/forgot-password/verify",
            {"subaccount_id": 1, "activation_token": "a", "password": "a" * 1001},
            {"password"},
        ),
        ("/forgot-password/verify", {"subaccount_id": 1, "activation_token": "a", "password": None}, {"password"}),
    ],
)
def test_wrong_fields_of_the_forgetful(server: Running, path: str, body: Any, fields: set[str]) -> None:
    answer = stranger(server).call("PUT", path, body)
    assert answer.status == 400
    assert set(answer.data) == fields


def test_not_json_is_refused(server: Running) -> None:
    for path in ("/forgot-username", "/forgot-password", "/forgot-password/verify"):
        assert stranger(server).call("PUT", path, b"{").status == 400
        assert stranger(server).call("PUT", path, b'{"username":"a\\u0000"}').status in (200, 400)


# What an operator can set


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, login_limit="3/minute", new_accounts="verify")
    yield running
    running.close_clients()
    running.stop()


def test_guessing_is_limited_by_address(strict: Running) -> None:
    asker = stranger(strict)
    body = {"subaccount_id": 1, "activation_token": "guess", "password": NEW}
    answers = [asker.call("PUT", "/forgot-password/verify", body) for _ in range(4)]
    assert [answer.status for answer in answers] == [400, 400, 400, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert [asker.call("PUT", "/forgot-password", {"username": "x"}).status for _ in range(4)] == [200] * 3 + [429]
    assert [asker.call("PUT", "/forgot-username", {"email": "x@y.example"}).status for _ in range(4)][-1] == 429
    assert asker.call("GET", "/countries").status == 200


def test_registered_accounts_wait_for_their_verification(strict: Running) -> None:
    body = {
        "username": "newcomer",
        "password": "secret",
        "user_phone": "+61491570156",
        "user_email": "new@example.com",
        "user_first_name": "New",
        "user_last_name": "Comer",
        "account_name": "Us",
        "country": "AU",
    }
    made = stranger(strict).post("/account", body)
    assert made["active"] == 0
    api = strict.client("newcomer", made["_subaccount"]["api_key"])
    assert api.call("GET", "/sms/history").status == 403
    assert verify(api, send_code(api)) == 200
    assert api.get("/sms/history")["total"] == 0


def test_production_keeps_the_code_to_itself(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(
        '[transports.out]\nkind = "smpp"\nhost = "127.0.0.1"\nport = 1\n\n[[routes]]\ntransport = "out"\n'
    )
    running = Running(tmp_path, mode="production", secret="s" * 40)
    try:
        api = running.account()
        assert api.put("/account-verify/send", GIVEN) == {"user_phone": PHONE, "type": "sms", "country": "AU"}
    finally:
        running.close_clients()
        running.stop()
