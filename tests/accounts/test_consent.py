"""In production mode nobody gets the mails of an account before he has said that he wants them."""

import asyncio
import http.client
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.accounts import account, consent
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.settings import Settings
from heliograph.webhooks.signature import new_secret
from support import quiet
from support.clock import Clock
from support.server import Api, Running

PRODUCTION = {"mode": "production", "secret": "x" * 40, "public_url": "https://sms.example/"}
VAULT = Vault(b"x" * 40)
_numbers = itertools.count(1)


@pytest.fixture
def house(migrated_url: str, tmp_path: Path) -> Iterator[Running]:
    """A house in production mode that delivers nothing, so that its mails stay where they can be read."""
    running = Running(tmp_path, migrated_url, role="api", **PRODUCTION)
    yield running
    running.close_clients()
    running.stop()


def mails(server: Running, to: str) -> list[dict[str, Any]]:
    def work(tx: Tx) -> list[Any]:
        return tx.driver("SELECT payload FROM jobs WHERE kind = 'mail' ORDER BY job_id").fetchall()

    found = [json.loads(row[0]) for row in server.read(work)]
    return [mail for mail in found if mail["to"] == to]


def arrives(api: Api, text: str) -> None:
    def work(tx: Tx) -> None:
        who = account.by_user(tx, api.user_id)
        assert who is not None
        row = quiet.inbound(who, tx.now, sender="+61491570156", recipient="+61481074190", body=text)
        api.server.house.hooks.on_inbound(tx, row, None)

    api.server.write(work)


def stranger() -> str:
    return f"Stranger{next(_numbers)}@example.org"


def mailing(server: Running, address: str) -> Api:
    """An account with a rule that mails to an address."""
    api = server.account()
    given = {"rule_name": "test", "action": "EMAIL_FIXED", "action_address": address}
    api.post("/automations/sms/inbound", given)
    return api


def token_of(mail: dict[str, Any]) -> str:
    found = re.search(r"^https://sms\.example/confirm/([\w-]{27})$", mail["text"], re.MULTILINE)
    assert found is not None, mail["text"]
    return found[1]


def page(server: Running, method: str, token: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, f"/confirm/{token}")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def test_a_stranger_is_asked_before_anything_else_comes(house: Running) -> None:
    address = stranger()
    api = mailing(house, address)
    arrives(api, "Buy this now")
    arrives(api, "Buy that now")
    (question,) = mails(house, address)
    assert (question["from"], question["subject"]) == (house.options.mail_from, "May we send you mails?")
    assert "Buy" not in question["text"]
    token = token_of(question)
    for method in ("GET", "HEAD", "GET"):
        status, text, headers = page(house, method, token)
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert (text.count('<form method="post">'), text.count("<button>"), "<script" in text) == (1, 1, False)
    arrives(api, "Still too early")
    assert len(mails(house, address)) == 1, "a look at the page confirms nothing"
    status, text, _ = page(house, "POST", token)
    assert (status, "From now on" in text) == (200, True)
    assert [page(house, method, token)[0] for method in ("POST", "GET")] == [404, 404], "a link works once"
    arrives(api, "Welcome")
    assert "Welcome" in mails(house, address)[1]["text"]
    assert len(mails(house, address)) == 2


def test_consent_is_to_one_account(house: Running) -> None:
    address = stranger()
    first, second = mailing(house, address), mailing(house, address)
    arrives(first, "one")
    page(house, "POST", token_of(mails(house, address)[0]))
    arrives(second, "two")
    (_, question) = mails(house, address)
    assert question["subject"] == "May we send you mails?"
    arrives(first, "three")
    assert "three" in mails(house, address)[2]["text"]


def test_every_way_to_name_an_address_asks(house: Running) -> None:
    api = house.account()
    arrives(api, "to the account's own address")  # the rule of a new account takes only STOP
    api.put("/account", {"reply_to": f"reply-{api.username}@example.org"})
    arrives(api, "to reply_to")
    own = f"{api.username}@example.com"
    for address in (own, f"reply-{api.username}@example.org"):
        assert [mail["subject"] for mail in mails(house, address)] == ["May we send you mails?"]


def test_the_sandbox_asks_nobody(migrated_url: str, tmp_path: Path) -> None:
    server = Running(tmp_path, migrated_url, role="api")
    address = stranger()
    arrives(mailing(server, address), "Hello")
    (mail,) = mails(server, address)
    assert "Hello" in mail["text"]
    server.close_clients()
    server.stop()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a" * 27,
        "a" * 20_000,
        "%00",
        "a%00b",
        "%FF%FE",
        "%ED%A0%80",
        "..%2F..",
        "%2e%2e",
        "%3Cscript%3E",
        "%",
        "'--",
    ],
)
def test_hostile_links_find_nothing(house: Running, token: str) -> None:
    for method in ("GET", "POST"):
        status, text, _ = page(house, method, token)
        assert status == 404
        assert "script" not in text


def test_the_pages_are_counted(tmp_path: Path) -> None:
    server = Running(tmp_path, role="api", rate_limit="3/day")
    answers = [page(server, method, f"t{at}") for at, method in enumerate(("GET", "POST", "GET", "POST"))]
    assert [status for status, _, _ in answers] == [404, 404, 404, 429]
    assert "retry-after" in answers[3][2]
    server.stop()


class Desk:
    """Accounts in a database, on a clock that only the test moves."""

    def __init__(self, tx: Tx, clock: Clock) -> None:
        self.tx, self.clock = tx, clock
        self.settings = Settings(**PRODUCTION)

    def account(self, **more: Any) -> int:
        new = NewAccount(username=f"desk{next(_numbers)}", email="", phone="", webhook_secret=new_secret(), **more)
        return account.create(self.tx, VAULT, new)

    def ask(self, user: int, address: str) -> bool:
        return consent.ask(self.tx, VAULT, self.settings, user, address)

    def token(self) -> str:
        newest = self.tx.driver("SELECT payload FROM jobs ORDER BY job_id DESC LIMIT 1").fetchone()
        return token_of(json.loads(newest[0]))

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.tx.clock, self.tx.now = self.clock.now, int(self.clock.now)
        self.tx.memo.clear()


def at_a_desk(url: str, work: Callable[[Desk], None]) -> None:
    async def run() -> None:
        clock = Clock()
        database = Database(url, clock=clock)
        await database.write(lambda tx: work(Desk(tx, clock)))
        await database.close()

    asyncio.run(run())


def test_nobody_is_asked_twice_in_a_week(emptied_url: str) -> None:
    def work(desk: Desk) -> None:
        user = desk.account()
        assert [desk.ask(user, "a@example.org"), desk.ask(user, "A@EXAMPLE.org")] == [True, False]
        old = desk.token()
        desk.pass_time(consent.LIFE - 1)
        assert not desk.ask(user, "a@example.org")
        assert consent.question(desk.tx, VAULT, old) is not None
        desk.pass_time(1)
        assert consent.question(desk.tx, VAULT, old) is None
        assert not consent.confirm(desk.tx, VAULT, old), "it is too old"
        assert desk.ask(user, "a@example.org")
        assert consent.confirm(desk.tx, VAULT, desk.token())
        desk.pass_time(100 * consent.LIFE)
        assert consent.allows(desk.tx, user, "A@example.org")
        assert not desk.ask(user, "a@example.org")

    at_a_desk(emptied_url, work)


def test_processes_that_ask_at_once_send_one_mail(emptied_url: str) -> None:
    settings = Settings(**PRODUCTION)

    async def run() -> None:
        clock = Clock()
        databases = [Database(emptied_url, clock=clock) for _ in range(3)]
        user = await databases[0].write(lambda tx: Desk(tx, clock).account())
        for number in range(10):
            address = f"{number}@example.org"
            asked = await asyncio.gather(
                *(one.write(lambda tx: consent.ask(tx, VAULT, settings, user, address)) for one in databases)  # noqa: B023
            )
            assert sorted(asked) == [False, False, True]
        sent = await databases[0].read(lambda tx: tx.driver("SELECT COUNT(*) FROM jobs").fetchone()[0])
        assert sent == 10
        for one in databases:
            await one.close()

    asyncio.run(run())


def test_a_link_that_is_used_twice_at_once_works_once(emptied_url: str) -> None:
    async def run() -> None:
        clock = Clock()
        databases = [Database(emptied_url, clock=clock) for _ in range(3)]

        def asked(tx: Tx) -> str:
            desk = Desk(tx, clock)
            desk.ask(desk.account(), "a@example.org")
            return desk.token()

        token = await databases[0].write(asked)
        good = await asyncio.gather(*(one.write(lambda tx: consent.confirm(tx, VAULT, token)) for one in databases))
        assert sorted(map(bool, good)) == [False, False, True]
        for one in databases:
            await one.close()

    asyncio.run(run())


def test_only_the_case_of_ascii_makes_no_difference(emptied_url: str) -> None:
    def work(desk: Desk) -> None:
        user = desk.account()
        desk.ask(user, "k@example.org")
        consent.confirm(desk.tx, VAULT, desk.token())
        assert consent.allows(desk.tx, user, "K@example.org")
        assert not consent.allows(desk.tx, user, "\N{KELVIN SIGN}@example.org")

    at_a_desk(emptied_url, work)


def test_questions_of_a_day_are_few(emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "MOST_OF_ACCOUNT", 2)
    monkeypatch.setattr(consent, "MOST_OF_HOUSE", 3)

    def work(desk: Desk) -> None:
        first, second = desk.account(), desk.account()
        asked = [desk.ask(first, f"{number}@example.org") for number in range(3)]
        assert asked == [True, True, False], "of the account"
        asked = [desk.ask(second, f"{number}@example.org") for number in range(2)]
        assert asked == [True, False], "of the house"
        desk.pass_time(86400)
        assert [desk.ask(first, "2@example.org"), desk.ask(second, "1@example.org")] == [True, True]

    at_a_desk(emptied_url, work)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Smith & Sons", "Smith & Sons"),
        ("A\r\nBcc: x@evil.example\x07\u202e", "A Bcc x evil example"),
        ("Win at https://evil.example/now", "Win at https evil example now"),
        ("<b>bold</b>", "b bold b"),
        ("n" * 100, "n" * consent.LONGEST_NAME),
    ],
)
def test_a_name_is_no_way_to_write_to_strangers(emptied_url: str, name: str, shown: str) -> None:
    def work(desk: Desk) -> None:
        user = desk.account(account_name=name)
        desk.ask(user, "a@example.org")
        payload = json.loads(desk.tx.driver("SELECT payload FROM jobs").fetchone()[0])
        assert f'The account "{shown}" on' in payload["text"]
        token = desk.token()
        assert consent.question(desk.tx, VAULT, token) == (shown, "a@example.org", consent.MAILS)
        kept = desk.tx.driver("SELECT token_hash FROM mail_consents").fetchone()[0]
        assert token not in kept

    at_a_desk(emptied_url, work)
