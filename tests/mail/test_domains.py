"""Keys of sending domains: sealed at rest, found for the domain and those below it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import sending_domains
from heliograph.errors import ApiError
from heliograph.mail import domains

T = TypeVar("T")
KEY = domains.new_key()
VAULT = Vault(b"secret")
Write = Callable[[Callable[[Tx], T]], T]


@pytest.fixture
def write(migrated_url: str) -> Iterator[Write]:
    with asyncio.Runner() as runner:

        async def opened() -> Database:
            return Database(migrated_url)

        async def written(work: Callable[[Tx], object]) -> object:
            return await database.write(work)

        database = runner.run(opened())
        yield lambda work: runner.run(written(work))
        runner.run(database.close())


def test_the_nearest_domain_with_a_key_signs(write: Write) -> None:
    def work(tx: Tx) -> None:
        for domain, selector in (("example.com", "up"), ("News.Example.com", "low"), ("bücher.example", "idn")):
            domains.add(tx, VAULT, domain, selector, KEY)
        found = {
            asked: (key.domain, key.selector)
            for asked in ("example.com", "EXAMPLE.com", "a.b.example.com", "x.news.example.com", "Bücher.example")
            if (key := domains.key_of(tx, VAULT, asked))
        }
        assert found == {
            "example.com": ("example.com", "up"),
            "EXAMPLE.com": ("example.com", "up"),
            "a.b.example.com": ("example.com", "up"),
            "x.news.example.com": ("news.example.com", "low"),
            "Bücher.example": ("xn--bcher-kva.example", "idn"),
        }
        for other in (
            "notexample.com",
            "com",
            "example.org",
            "example.com.evil.example",
            "",
            ".",
            "no domain",
            "1.2.3.4",
        ):
            assert domains.key_of(tx, VAULT, other) is None
        assert domains.remove(tx, "NEWS.example.com") == "news.example.com"
        nearest = domains.key_of(tx, VAULT, "x.news.example.com")
        assert nearest is not None
        assert nearest.domain == "example.com"

    write(work)


def test_the_private_key_is_sealed(write: Write) -> None:
    def work(tx: Tx) -> None:
        domains.add(tx, VAULT, "example.com", "hg", KEY)
        row = tx.row(sending_domains.select())
        assert row is not None
        body = KEY.private.splitlines()[1]
        assert not any(body in str(value) for value in row.values())
        assert domains.key_of(tx, Vault(b"another secret"), "example.com") is None
        key = domains.key_of(tx, VAULT, "example.com")
        assert key is not None
        assert key.private_key.key_size == 2048

    write(work)


WRONG = {
    ("taken.example", "hg"): "has a key already",
    ("TAKEN.example", "other"): "has a key already",
    ("localhost", "hg"): "is no domain",
    ("", "hg"): "is no domain",
    ("a b.example", "hg"): "is no domain",
    ("192.0.2.1", "hg"): "is no domain",
    ("a@b.example", "hg"): "is no domain",
    ("\ud800.example", "hg"): "is no domain",
    ("new.example", ""): "A selector has",
    ("new.example", "a.b"): "A selector has",
    ("new.example", "a; p=x"): "A selector has",
    ("new.example", "x" * 64): "A selector has",
}


def test_what_cannot_be_added_is_said(write: Write) -> None:
    write(lambda tx: domains.add(tx, VAULT, "taken.example", "hg", KEY))
    for (domain, selector), sentence in WRONG.items():
        with pytest.raises(ApiError) as refused:
            write(lambda tx: domains.add(tx, VAULT, domain, selector, KEY))  # noqa: B023
        assert sentence in str(refused.value.data)
    with pytest.raises(ApiError) as refused:
        write(lambda tx: domains.remove(tx, "unknown.example"))
    assert "no sending domain" in refused.value.message
    assert [row["domain"] for row in write(domains.listing)] == ["taken.example"]
