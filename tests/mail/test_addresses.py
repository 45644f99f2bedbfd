"""Addresses that mails come from: added, proved by what arrives there, and no other account's."""

import http.client
import re
import shutil
from pathlib import Path

import pytest

from heliograph import audit, seed
from heliograph.accounts import account
from heliograph.accounts.recovery import tokens
from heliograph.db.engine import Tx
from heliograph.mail import domains
from heliograph.mail.addresses import address
from heliograph.mail.addresses.address import own
from heliograph.mailaddress import in_ascii
from support.server import ONE_DATABASE, Api, Running

WRONG = {"activation_token": "Activation token is wrong, was used, or has expired."}


def added(api: Api, text: str) -> int:
    return int(api.post("/email/addresses", {"email_address": text})["email_address_id"])


def mailbox(api: Api, name: str = "ann") -> str:
    """An address that no other test has."""
    return f"{name}.{api.user_id}@example.com"


def asked(api: Api, key: int) -> tuple[str, str]:
    """(token, path of the link) of the mail that is sent now."""
    box = str(api.get(f"/email/addresses/{key}")["email_address"])
    before = len(api.server.mails(box))
    assert api.call("PUT", f"/email/address-verify/{key}/send").body["data"] is None
    api.until(lambda: len(api.server.mails(box)) > before)
    found = [re.findall(r"asked for it: (\S+)", mail.text)[0] for mail in api.server.mails(box)]
    (token,) = set(found) - vars(api).setdefault("tokens", set())
    vars(api)["tokens"].add(token)
    return token, f"/verify-email/{key}/{token}"


def tried(api: Api, key: int, token: str) -> int:
    answer = api.call("PUT", f"/email/address-verify/{key}/verify/{token}")
    if answer.status == 400:
        assert answer.data == WRONG
    return answer.status


def verified(api: Api, key: int) -> int:
    return int(api.get(f"/email/addresses/{key}")["verified"])


def age(api: Api, seconds: int) -> None:
    """Let time pass for what an account was sent."""
    sql = "UPDATE tokens SET expires_at = expires_at - ?, created_at = created_at - ? WHERE user_id = ?"
    api.server.write(lambda tx: tx.driver(sql, [seconds, seconds, api.user_id]))


def page(server: Running, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_an_address_is_verified_by_the_token_that_arrives_there_once(server: Running, api: Api) -> None:
    key = added(api, mailbox(api))
    token, _ = asked(api, key)
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", token)
    (mail,) = server.mails(mailbox(api))
    assert f'The account "{api.username}' in mail.text
    (row,) = server.read(lambda tx: tx.driver("SELECT hash FROM tokens WHERE user_id = ?", [api.user_id]).fetchall())
    assert token not in row[0]
    assert tried(api, key, token[:-1]) == 400
    assert verified(api, key) == 0
    assert tried(api, key, token.lower()) == 200
    assert verified(api, key) == 1
    assert tried(api, key, token) == 400
    assert verified(api, key) == 1


def test_the_page_of_the_link_asks_first_and_works_once(server: Running, api: Api) -> None:
    key = added(api, mailbox(api))
    token, path = asked(api, key)
    for method in ("GET", "HEAD", "GET"):
        status, text = page(server, method, path)
        assert status == 200
    assert f"<b>{mailbox(api)}</b>" in text
    assert '<form method="post"><button>' in text
    assert verified(api, key) == 0
    assert page(server, "POST", path)[0] == 200
    assert verified(api, key) == 1
    assert page(server, "POST", path)[0] == page(server, "GET", path)[0] == 404
    assert tried(api, key, token) == 400
    sql = "SELECT what, actor FROM audit WHERE user_id = ? ORDER BY audit_id DESC"
    last = server.read(lambda tx: tx.driver(sql, [api.user_id]).fetchone())
    assert tuple(last) == ("email_address.verified", audit.LINK)


def test_a_token_takes_five_tries_and_links_of_strangers_none(server: Running, api: Api) -> None:
    key = added(api, mailbox(api))
    token, path = asked(api, key)
    for number in range(6):
        assert page(server, "POST", f"/verify-email/{key}/WRONG-{number}")[0] == 404
    assert page(server, "GET", path)[0] == 200
    assert [tried(api, key, "wrong") for _ in range(5)] == [400] * 5
    assert tried(api, key, token) == 400
    assert page(server, "GET", path)[0] == page(server, "POST", path)[0] == 404
    token, _ = asked(api, key)
    assert tried(api, key, token) == 200, "a new mail has tries of its own"


def test_a_token_lives_for_a_day_and_a_new_one_takes_its_place(api: Api) -> None:
    key = added(api, mailbox(api))
    first, _ = asked(api, key)
    second, _ = asked(api, key)
    assert tried(api, key, first) == 400
    age(api, 86_390)
    assert api.server.read(lambda tx: tokens.holds_token(tx, api.server.house.vault, api.user_id, mailbox(api), second))
    age(api, 20)
    assert tried(api, key, second) == 400


def test_three_mails_an_hour_go_to_an_address(api: Api) -> None:
    key = added(api, mailbox(api))
    for _ in range(3):
        asked(api, key)
    refused = api.call("PUT", f"/email/address-verify/{key}/send")
    assert refused.status == 429
    assert refused.headers["retry-after"] == "3600"
    api.call("DELETE", f"/email/addresses/{key}")
    again = added(api, mailbox(api).upper())
    assert again != key
    assert api.call("PUT", f"/email/address-verify/{again}/send").status == 429, "a new entry is no way around it"
    other = added(api, mailbox(api, "bob"))
    asked(api, other)
    age(api, 3601)
    asked(api, again)


@ONE_DATABASE
def test_an_account_and_an_address_get_few_mails_a_day(
    server: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_OF_ACCOUNT", 2)
    monkeypatch.setattr(tokens, "MOST_TO_ADDRESS", 2)
    keys = [added(api, mailbox(api, name)) for name in ("a", "b", "c")]
    sent = [api.call("PUT", f"/email/address-verify/{key}/send").status for key in keys]
    assert sent == [200, 200, 429]
    others = [server.account() for _ in range(2)]
    at_others = [other.call("PUT", f"/email/address-verify/{added(other, mailbox(api, 'a'))}/send") for other in others]
    assert [answer.status for answer in at_others] == [200, 429]


def test_each_verification_stands_for_its_account(server: Running, api: Api) -> None:
    other, text = server.account(), mailbox(api)
    mine, theirs = added(api, text), added(other, text)
    my_token, my_path = asked(api, mine)
    assert tried(api, mine, my_token) == 200
    assert verified(other, theirs) == 0
    vars(other)["tokens"] = {my_token}
    their_token, their_path = asked(other, theirs)
    assert page(server, "GET", my_path.replace(str(mine), str(theirs)))[0] == 404
    for method, path in (
        ("GET", f"/email/addresses/{theirs}"),
        ("DELETE", f"/email/addresses/{theirs}"),
        ("PUT", f"/email/address-verify/{theirs}/send"),
        ("PUT", f"/email/address-verify/{theirs}/verify/{their_token}"),
    ):
        assert api.call(method, path).status == 404
    assert [row["email_address_id"] for row in api.get("/email/addresses")["data"]] == [mine]
    assert server.read(lambda tx: own(tx, api.user_id, theirs)) is None
    assert page(server, "POST", their_path)[0] == 200
    found = server.read(lambda tx: own(tx, other.user_id, theirs))
    assert found.verified
    assert api.call("DELETE", f"/email/addresses/{mine}").body["data"] is None
    assert verified(other, theirs) == 1


def test_a_deleted_address_is_proved_by_nothing(server: Running, api: Api) -> None:
    key = added(api, mailbox(api))
    token, path = asked(api, key)
    api.call("DELETE", f"/email/addresses/{key}")
    again = added(api, mailbox(api))
    assert tried(api, again, token) == 400
    assert page(server, "POST", path)[0] == page(server, "POST", path.replace(str(key), str(again)))[0] == 404


def test_the_same_address_is_entered_once(api: Api) -> None:
    box = mailbox(api)
    assert len({added(api, text) for text in (box, box.upper(), f" {box} ", box)}) == 1
    assert api.get("/email/addresses")["total"] == 1
    assert api.get(f"/email/addresses?q=email_address:{box}")["total"] == 1


@ONE_DATABASE
def test_the_address_is_in_either_field(api: Api) -> None:
    for body, written in (
        ({"email_address": "", "body": "two@example.com"}, "two@example.com"),
        ({"body": " three@Example.com "}, "three@example.com"),
        ({"email_address": "four@example.com", "body": "test"}, "four@example.com"),
    ):
        assert api.post("/email/addresses", body)["email_address"] == written
    for empty in ({}, {"email_address": " ", "body": ""}, {"email_address": None}):
        refused = api.call("POST", "/email/addresses", empty)
        assert (refused.status, list(refused.data)) == (400, ["email_address"])


GOOD = {
    "Ann@EXAMPLE.com": "Ann@example.com",
    "ann@bücher.example": "ann@xn--bcher-kva.example",
    "ann@BÜCHER.example": "ann@xn--bcher-kva.example",
    "ann@xn--bcher-kva.example": "ann@xn--bcher-kva.example",
    "grüße@例え.テスト": "grüße@xn--r8jz45g.xn--zckzah",
    "a+tag.b-c_d'e@sub.example.com": "a+tag.b-c_d'e@sub.example.com",
    "x" * 64 + "@example.com": "x" * 64 + "@example.com",
}
BAD = [
    "",
    "ann",
    "ann@",
    "@example.com",
    "a@b@example.com",
    "ann@example..com",
    "ann@-example.com",
    "ann@exa_mple.com",
    "ann@192.0.2.1",
    "ann@[192.0.2.1]",
    '"ann b"@example.com',
    "Ann <ann@example.com>",
    "ann@example.com,bob@example.com",
    "ann@example.com;bob@example.com",
    "ann@example.com\r\nBcc: bob@example.com",
    "ann\n@example.com",
    "ann\0@example.com",
    "a\u202enna@example.com",
    "a\u200bnn@example.com",
    "ann\ud800@example.com",
    "ann@\ud800.example.com",
    "x" * 65 + "@example.com",
    "ü" * 33 + "@example.com",
    "ann@" + "x" * 64 + ".com",
    "ann@" + ".".join(["x" * 60] * 5),
    "ann@" + "ü" * 10_000,
    "ann@xn--zz.com",
]


@pytest.mark.parametrize(("text", "written"), GOOD.items())
def test_a_domain_is_kept_in_ascii(text: str, written: str) -> None:
    assert in_ascii(text) == written


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_address(text: str) -> None:
    assert in_ascii(text) is None


@ONE_DATABASE
def test_what_is_no_address_is_refused(api: Api) -> None:
    for text in BAD[1:]:
        refused = api.call("POST", "/email/addresses", {"email_address": text})
        field = "body" if "\ud800" in text else "email_address"  # what is no Unicode is refused as a whole
        assert (refused.status, list(refused.data or ())) == (400, [field]), refused.raw
    for text, written in GOOD.items():
        assert api.post("/email/addresses", {"email_address": text})["email_address"] == written


@ONE_DATABASE
@pytest.mark.parametrize(
    "path",
    ["0/x", "1/x", f"{2**63}/x", f"{'9' * 400}/x", "-1/x", "%F0%9F%98%80/x", "1/%00", "1/%ED%A0%80", f"1/{'x' * 5000}"],
)
def test_hostile_links_find_nothing(server: Running, path: str) -> None:
    assert page(server, "GET", f"/verify-email/{path}")[0] == page(server, "POST", f"/verify-email/{path}")[0] == 404


def test_the_demo_account_may_send_from_an_address_of_a_domain_with_a_key(server: Running) -> None:
    def work(tx: Tx) -> None:
        vault = server.house.vault
        who = account.by_key(tx, vault, seed.DEMO_USER, seed.DEMO_KEY)
        assert who is not None
        rows = tx.rows(address.of(who.user_id))
        assert [(row["email_address"], row["verified"]) for row in rows] == [(seed.DEMO_ADDRESS, 1)]
        key = domains.key_of(tx, vault, f"news.{seed.DEMO_DOMAIN}")
        assert key is not None
        assert key.domain == seed.DEMO_DOMAIN
        address.delete(tx, who.user_id, rows[0]["email_address_id"])
        seed.plant(tx, vault)
        assert tx.rows(address.of(who.user_id)) == [], "what was deleted stays away"
        address.seed(tx, who.user_id, seed.DEMO_ADDRESS)

    server.write(work)


def test_production_has_no_domain(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "heliograph.db")
    options = {"mode": "production", "secret": "x" * 40, "public_url": "https://sms.example/", "role": "api"}
    house = Running(tmp_path, **options)
    try:
        assert house.read(domains.listing) == []
    finally:
        house.stop()
