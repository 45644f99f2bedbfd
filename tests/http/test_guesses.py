"""Guessing passwords and keys: as many at once as one after another, from one address or from many."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from heliograph.accounts.vault import hash_password
from heliograph.http.throttle import ACCOUNTS, KEYS
from heliograph.http.windows import MOST_WINDOWS, OwnThrottle
from heliograph.limited import network
from support.raw import basic, send
from support.server import Running

HEAD = b"GET /v3/account HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path, login_limit="5/day", trusted_proxies="127.0.0.1")
    yield server
    server.close_clients()
    server.stop()


def ask(server: Running, name: str, secret: str, address: str = "203.0.113.1") -> int:
    forwarded = f"X-Forwarded-For: {address}\r\n".encode()
    return send(server, HEAD + forwarded + basic(name.encode(), secret.encode())).status


async def at_once(server: Running, name: str, secrets: Sequence[str], addresses: Sequence[str]) -> list[int]:
    """The statuses of requests that are all sent before the first answer is read."""

    async def one(secret: str, address: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        forwarded = f"X-Forwarded-For: {address}\r\n".encode()
        writer.write(HEAD + forwarded + basic(name.encode(), secret.encode()) + b"\r\n")
        await writer.drain()
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    return await asyncio.gather(*(one(*pair) for pair in zip(secrets, addresses, strict=True)))


@pytest.mark.parametrize(
    ("addresses", "tried"),
    [
        (["203.0.113.1"] * 40, 5),
        ([f"2001:db8::{number:x}" for number in range(40)], 5),
        ([f"203.0.113.{number}" for number in range(40)], 5 * ACCOUNTS),
        ([f"2001:db8:0:{number:x}::1" for number in range(40)], 5 * ACCOUNTS),
    ],
    ids=["one address", "one subscriber", "many addresses", "many subscribers"],
)
def test_guesses_at_once_are_no_more_than_one_after_another(strict: Running, addresses: list[str], tried: int) -> None:
    api = strict.account(password_hash=hash_password("the right one"))
    guesses = [*(f"guess {number}" for number in range(39)), "the right one"]
    statuses = asyncio.run(at_once(strict, api.username, guesses, addresses))
    assert statuses.count(401) == tried
    assert statuses.count(429) == 40 - tried
    assert statuses[-1] == 429


def test_other_accounts_and_keys_do_not_suffer_from_guesses(strict: Running) -> None:
    api = strict.account(password_hash=hash_password("the right one"))
    asyncio.run(at_once(strict, api.username, [f"guess {number}" for number in range(20)], ["203.0.113.1"] * 20))
    assert ask(strict, api.username, "the right one") == 429
    assert ask(strict, api.username, api.key) == 200
    assert ask(strict, api.username, "the right one", "203.0.113.2") == 200


def test_who_was_in_before_is_not_locked_out_by_guesses_from_elsewhere(strict: Running) -> None:
    api = strict.account(password_hash=hash_password("the right one"))
    assert ask(strict, api.username, "the right one", "198.51.100.1") == 200
    guesses = [f"guess {number}" for number in range(40)]
    asyncio.run(at_once(strict, api.username, guesses, [f"203.0.113.{number}" for number in range(40)]))
    assert ask(strict, api.username, "the right one", "198.51.100.2") == 200
    assert ask(strict, api.username, "guess 1", "198.51.100.3") == 429


def test_good_passwords_are_not_counted(strict: Running) -> None:
    names = [strict.account(password_hash=hash_password("good")).username for _ in range(8)]
    assert [ask(strict, name, "good") for name in names] == [200] * 8
    together = asyncio.run(at_once(strict, names[0], ["good"] * 30, ["203.0.113.1"] * 30))
    assert together == [200] * 30


def test_keys_are_guessed_at_with_more_patience(strict: Running) -> None:
    """Passwords end after 5; keys, that nobody guesses, are looked up until 50, and a good one is never held up."""
    api = strict.account()
    most = 5 * KEYS
    guesses = [f"guess {number}" for number in range(most + 10)]
    statuses = asyncio.run(at_once(strict, api.username, guesses, ["203.0.113.1"] * len(guesses)))
    assert set(statuses) == {401, 429}
    assert ask(strict, api.username, api.key) == 429, "a key that was never seen, after so many guesses"
    assert ask(strict, api.username, api.key, "203.0.113.2") == 200
    assert ask(strict, api.username, api.key) == 200, "by now it was seen"
    other = strict.account()
    assert ask(strict, other.username, other.key) == 200


def test_no_credentials_are_no_account(strict: Running) -> None:
    answers = [send(strict, HEAD + b"Authorization: " + text + b"\r\n").status for text in (b"", b"Basic", b"x y")]
    assert answers == [401] * 3


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_address(client: str, counted: str) -> None:
    assert network(client) == counted


def test_a_crowd_of_addresses_is_not_walked_at_each_call() -> None:
    async def scenario() -> None:
        throttle = OwnThrottle("5/day")
        for number in range(MOST_WINDOWS + 1000):
            await throttle.hit(str(number))
        for _ in range(5):
            await throttle.hit("one")

    asyncio.run(scenario())
