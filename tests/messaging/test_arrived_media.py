"""The files of arriving messages that have to be fetched: what is kept, and what is told of the others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from heliograph.files import store
from heliograph.files.folder import FolderStore
from heliograph.messaging import arrived_media
from heliograph.messaging.arrived_media import Keeper, Kept
from heliograph.settings import Settings
from heliograph.transports.base import Media
from heliograph.webhooks.fetch import WebClient
from support.pictures import PICTURE
from support.steps import Steps, taken

pytestmark = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)


@pytest.fixture
def steps(migrated_url: str) -> Iterator[Steps]:
    with taken(migrated_url) as opened:
        yield opened


@asynccontextmanager
async def web(answer: bytes) -> AsyncIterator[str]:
    """A web site that says these octets to everybody, and hangs up; with none, it says nothing for ever."""
    asked: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        if answer:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in asked:
            writer.close()
        await server.wait_closed()


def page(body: bytes, head: str = "HTTP/1.1 200 OK\r\n", length: int | None = None) -> bytes:
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def keep(
    steps: Steps, folder: Path, answer: bytes, *, paths: int = 1, private: bool = True, quota: int = 0
) -> tuple[Kept, list[bytes]]:
    """What becomes of a message with one file of its own and these to fetch; the octets that are kept."""
    files = FolderStore(folder)
    settings = Settings(public_url="https://example.com", storage_quota=quota)

    async def kept() -> Kept:
        client = WebClient(private, 5)
        keeper = Keeper(settings, steps.database, files, client.download)
        try:
            async with web(answer) as url:
                own = [Media("a.gif", "image/gif", PICTURE)]
                return await keeper.keep(user_id, own, [f"{url}/{number}" for number in range(paths)])
        finally:
            await client.close()

    user_id = steps.account().user_id
    found = steps.run(kept())
    ids = [link.removeprefix("https://example.com/files/").partition(".")[0] for link in found.links]
    rows = [steps.write(lambda tx, key=key: store.find(tx, key)) for key in ids]  # type: ignore[misc]
    assert all(row is not None and row["user_id"] == user_id for row in rows)
    return found, [files.read(key, 0, 10**7) for key in ids]


def test_files_are_fetched_and_called_what_they_are(steps: Steps, tmp_path: Path) -> None:
    found, octets = keep(steps, tmp_path, page(PICTURE), paths=2)
    assert octets == [PICTURE] * 3
    assert [link[-4:] for link in found.links] == [".gif"] * 3
    assert found.lost == []


@pytest.mark.parametrize(
    ("answer", "private", "why"),
    [
        (page(b"", "HTTP/1.1 404 Not Found\r\n"), True, "127.0.0.1 answered with status 404."),
        (page(PICTURE), False, "The address 127.0.0.1 is private and not allowed."),
        (page(PICTURE, length=10**6), True, "127.0.0.1 closed the connection"),
        (page(bytes(2000)), True, "The file is larger than 1000 bytes."),
        (b"", True, "127.0.0.1 did not answer within 0.2 seconds."),
    ],
)
def test_a_link_that_fails_costs_the_message_nothing_but_its_file(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, private: bool, why: str
) -> None:
    monkeypatch.setattr(arrived_media, "LARGEST_FETCHED", 1000)
    monkeypatch.setattr(arrived_media, "FETCH_SECONDS", 0.2 if not answer else 5.0)
    found, octets = keep(steps, tmp_path, answer, private=private)
    assert octets == [PICTURE]
    (line,) = found.lost
    assert line.startswith(f"A file did not arrive: {why}")


def test_no_more_than_ten_are_fetched(steps: Steps, tmp_path: Path) -> None:
    found, octets = keep(steps, tmp_path, page(PICTURE), paths=12)
    assert len(octets) == 11
    assert found.lost == [
        "A file did not arrive: A message may have 10 files that have to be fetched, and this one has 12."
    ]


def test_no_more_are_fetched_at_once_than_memory_is_given(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait for their turn, but not for ever."""
    monkeypatch.setattr(arrived_media, "MOST_FETCHED", 1)
    monkeypatch.setattr(arrived_media, "FETCH_SECONDS", 0.2)
    found, octets = keep(steps, tmp_path, b"", paths=3)
    assert octets == [PICTURE]
    assert found.lost == [
        "A file did not arrive: 127.0.0.1 did not answer within 0.2 seconds.",
        *["A file did not arrive: Too many files are fetched at the moment."] * 2,
    ]


def test_what_has_no_room_is_told(steps: Steps, tmp_path: Path) -> None:
    found, octets = keep(steps, tmp_path, page(bytes(900)), quota=500)
    assert octets == [PICTURE]
    (line,) = found.lost
    assert line.startswith("A file did not arrive: There is no room for this file of 900 bytes")
