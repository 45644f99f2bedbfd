"""What a click is, and that counting one holds nobody up and is not lost."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import maxminddb
import pytest

from heliograph.db.database import Database
from heliograph.errors import DatabaseAway
from heliograph.links import judge, notes
from heliograph.links.clicks import Clicks
from heliograph.option import SettingsError
from heliograph.settings import load
from links.telephone import IPHONE, TARGET, WINDOWS, ask
from support.server import Running

ANDROID = "Mozilla/5.0 (Linux; Android 14; {}) AppleWebKit/537.36 (KHTML, like Gecko) {} Safari/537.36"
PEOPLE = {
    IPHONE: ("mobile", "ios", "safari"),
    WINDOWS: ("desktop", "windows", "edge"),
    ANDROID.format("Pixel 8", "Chrome/126.0.0.0 Mobile"): ("mobile", "android", "chrome"),
    ANDROID.format("SM-X200", "Chrome/126.0.0.0"): ("tablet", "android", "chrome"),
    ANDROID.format("Pixel 8; wv", "Version/4.0 Chrome/124.0.0.0 Mobile"): ("mobile", "android", "chrome"),
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6"
    " Mobile/15E148 Safari/604.1": ("tablet", "ios", "safari"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " CriOS/125.0.6422.80 Mobile/15E148 Safari/604.1": ("mobile", "ios", "chrome"),
    "Mozilla/5.0 (Android 14; Mobile; rv:126.0) Gecko/126.0 Firefox/126.0": ("mobile", "android", "firefox"),
    "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0": ("desktop", "linux", "firefox"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
    " [FBAN/FBIOS;FBAV/466.0;FBDV/iPhone14,5;FBSN/iOS;FBSV/17.5]": ("mobile", "ios", "facebook"),
    "A browser that nobody knows": ("", "", ""),
}
MACHINES = [
    "",
    "  ",
    "curl/8.14.1",
    "Python-urllib/3.11",
    "okhttp/4.9.0",
    "facebookexternalhit/1.1",
    "WhatsApp/2.23.20.0 A",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "SkypeUriPreview Preview/0.5",
    "Viber/13.0",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0 Safari/537.36",
]


@pytest.mark.parametrize("agent", PEOPLE)
def test_what_people_open_links_with(agent: str) -> None:
    assert judge.client(agent) == PEOPLE[agent]


@pytest.mark.parametrize("agent", MACHINES)
def test_machines_are_no_people(agent: str) -> None:
    assert judge.client(agent) is None


def test_an_agent_without_end_is_judged_by_its_beginning() -> None:
    assert judge.client(IPHONE + " x" * 50_000) == PEOPLE[IPHONE]


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("139.130.4.5", "AU"),
        ("::ffff:139.130.4.5", "AU"),
        ("2a02:8108::1", "DE"),
        ("2a02:8108::1%eth0", "DE"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("10.1.2.3", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_the_country_of_an_address(address: str, country: str) -> None:
    assert judge.Country().of(address) == country


@pytest.mark.parametrize(
    ("record", "country"),
    [({"country": {"iso_code": "NZ"}}, "NZ"), ({"country": "FJ"}, "FJ"), ({"country_code": "TO"}, "TO"), ({}, "")],
)
def test_files_of_others_are_read(monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], country: str) -> None:
    """GeoLite2 and files like it have the code elsewhere."""

    class File:
        def get(self, address: str) -> Any:
            return record

    monkeypatch.setattr(maxminddb, "open_database", lambda path: File())
    assert judge.Country("given.mmdb").of("192.0.2.1") == country


def test_the_file_of_countries_is_what_its_origin_says() -> None:
    origin = (judge.OWN_FILE.parent / "ORIGIN.txt").read_text(encoding="utf-8")
    content = judge.OWN_FILE.read_bytes()
    assert hashlib.sha256(content).hexdigest() in origin
    assert f"{len(content)} bytes" in origin


def test_a_file_of_countries_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"HELIOGRAPH_COUNTRY_FILE.*no such file"):
        load(country_file=str(tmp_path / "none.mmdb"))
    path = tmp_path / "text.mmdb"
    path.write_text("AU\n")
    with pytest.raises(SettingsError, match=r"HELIOGRAPH_COUNTRY_FILE.*cannot be read"):
        judge.Country(str(path))


class Away:
    """A database that cannot be written for a while."""

    def __init__(self) -> None:
        self.tries = 0
        self.rows: list[Any] = []
        self.there = False
        self.tried = asyncio.Event()

    def clock(self) -> float:
        return 1_800_000_000.0

    async def write(self, work: Callable[[Any], Any], *, urgent: bool) -> None:
        assert not urgent
        self.tries += 1
        self.tried.set()
        if not self.there:
            raise DatabaseAway("test")
        work(self)

    def insert_rows(self, table: str, columns: Any, rows: Any) -> None:
        self.rows += rows


def run(work: Callable[[Clicks, Away], Any], **patches: Any) -> Away:
    """Count clicks with a database that is away at first."""
    database: Any = Away()

    async def counted() -> None:
        counter = Clicks(database)
        await work(counter, database)
        await counter.stop()

    with pytest.MonkeyPatch.context() as patch:
        for name, value in patches.items():
            patch.setattr(notes, name, value)
        asyncio.run(counted())
    assert isinstance(database, Away)
    return database


def note(counter: Clicks, number: int) -> None:
    counter.note(f"code{number}", 1, {b"user-agent": IPHONE.encode()}, "139.130.4.5")


def codes(database: Away) -> list[str]:
    return [row[1] for row in database.rows]


def test_clicks_wait_for_the_database() -> None:
    async def work(counter: Clicks, database: Away) -> None:
        note(counter, 1)
        await database.tried.wait()
        note(counter, 2)
        database.there = True

    database = run(work, GATHER=0.0, AWAY=0.0)
    assert codes(database) == ["code1", "code2"]
    assert database.rows[0] == (1_800_000_000, "code1", 1, "AU", "mobile", "ios", "safari")


def test_the_end_of_a_process_writes_what_waits_at_once() -> None:
    async def work(counter: Clicks, database: Away) -> None:
        database.there = True
        for number in range(1200):
            note(counter, number)

    database = run(work, GATHER=3600.0)
    assert codes(database) == [f"code{number}" for number in range(1200)]
    assert database.tries == 3


def test_the_end_does_not_wait_for_a_database_that_is_away() -> None:
    async def work(counter: Clicks, database: Away) -> None:
        note(counter, 1)
        await database.tried.wait()

    database = run(work, GATHER=0.0, AWAY=3600.0)
    assert database.tries == 2
    assert database.rows == []


def test_a_flood_does_not_fill_the_memory() -> None:
    async def work(counter: Clicks, database: Away) -> None:
        database.there = True
        for number in range(50):
            note(counter, number)

    assert len(codes(run(work, GATHER=3600.0, MOST_WAITING=10))) == 10


def test_a_server_that_ends_has_counted_its_clicks(tmp_path: Path) -> None:
    server = Running(tmp_path, link_domain="127.0.0.1")
    api = server.account()
    body = {"messages": [{"to": "+61491570006", "body": TARGET}], "shorten_urls": True}
    path = api.post("/sms/send", body)["messages"][0]["body"].removeprefix("127.0.0.1")
    for _ in range(3):
        ask(server, path)
    server.close_clients()
    server.stop()

    async def read() -> list[Any]:
        database = Database(f"sqlite:///{tmp_path / 'heliograph.db'}")
        try:
            found = await database.read(lambda tx: tx.driver("SELECT COUNT(*) FROM clicks").fetchone())
        finally:
            await database.close()
        return list(found)

    assert asyncio.run(read()) == [3]
