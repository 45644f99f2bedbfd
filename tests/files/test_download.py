"""GET /files/{id}: whole, in part, not yet, no more. Both kinds of store; the bucket is that of a real S3 server."""

import asyncio
import base64
import io
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from files.fetching import fetch
from heliograph import doctor, settings
from heliograph.app import database_url
from heliograph.files import store
from heliograph.files.bucket import BucketStore
from heliograph.files.folder import FolderStore
from heliograph.files.store import FileStore
from heliograph.option import SettingsError
from support.server import Api, Running

CONTENT = bytes(range(256)) * 9000
"""More than two pieces that are read at a time."""


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an S3 server (moto) with the bucket `media`."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as out, subprocess.Popen(command, stderr=out, stdout=out) as process:
        try:
            url = ""
            while not url:
                assert process.poll() is None, log.read_text()
                found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())
                url = found.group(1) if found else ""
            urllib.request.urlopen(urllib.request.Request(url + "/media", method="PUT")).close()
            yield url
        finally:
            process.terminate()


def bucket_options(url: str) -> dict[str, str]:
    return {
        "file_store": "s3://media/test",
        "s3_endpoint": url,
        "s3_region": "eu-west-1",
        "s3_key_id": "key",
        "s3_secret": "secret",
    }


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    if request.param == "folder":
        return FolderStore(tmp_path)
    return BucketStore(settings.load(**bucket_options(request.getfixturevalue("s3"))))


def test_a_store_keeps_bytes(any_store: FileStore) -> None:
    any_store.put("AB-1", io.BytesIO(CONTENT))
    any_store.put("AB-2", io.BytesIO(b""))
    assert any_store.read("AB-1", 0, len(CONTENT) + 5) == CONTENT
    assert any_store.read("AB-1", 1000, 10) == CONTENT[1000:1010]
    any_store.put("AB-1", io.BytesIO(b"again"))
    assert any_store.read("AB-1", 0, 5) == b"again"
    any_store.remove("AB-1")
    any_store.remove("AB-1")
    with pytest.raises(FileNotFoundError):
        any_store.read("AB-1", 0, 5)


class Breaking(io.BytesIO):
    """Breaks off in the middle, as a full disk or a lost source does."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError("no more")
        return super().read(10)


def test_nothing_is_left_of_a_file_that_broke_off(tmp_path: Path) -> None:
    """Nor, once it is removed, of one whose process was killed while it wrote."""
    folder = FolderStore(tmp_path)
    with pytest.raises(OSError, match="no more"):
        folder.put("AB-1", Breaking(CONTENT))
    assert list(tmp_path.rglob("AB-*")) == []
    (tmp_path / "AB" / "AB-1.0123.part").touch()
    (tmp_path / "AB" / "AB-12.0123.part").touch()
    folder.remove("AB-1")
    assert [path.name for path in tmp_path.rglob("AB-*")] == ["AB-12.0123.part"]


def test_a_large_file_goes_up_in_parts(any_store: FileStore, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(CONTENT * 6)
    with path.open("rb") as file:
        any_store.put("CD-1", file)
    assert any_store.read("CD-1", len(CONTENT) * 6 - 4, 10) == CONTENT[-4:]


def test_a_bucket_that_is_away_is_an_oserror(s3: str) -> None:
    lost = BucketStore(settings.load(**{**bucket_options(s3), "file_store": "s3://no-such-bucket"}))
    with pytest.raises(OSError, match=r"(?i)bucket|not found|404"):
        lost.put("AB-1", io.BytesIO(b"x"))


@pytest.mark.parametrize("text", ["/tmp/files", "s3://", "gs://bucket", "s3:bucket"])
def test_a_wrong_store_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="s3://bucket/prefix"):
        BucketStore(settings.load(file_store=text))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("bucket-server"), **bucket_options(s3))
    yield running
    running.stop()


@pytest.fixture(params=["sqlite_server", "s3_server"])
def shop(request: pytest.FixtureRequest) -> Iterator[Api]:
    """An account on a server with each kind of store."""
    running: Running = request.getfixturevalue(request.param)
    yield running.account()
    running.close_clients()


def stored(api: Api, content: bytes = CONTENT, content_type: str = "text/plain", *, ready: bool = True) -> str:
    """The URL of a new file."""
    house = api.server.house
    file_id = api.server.write(lambda tx: store.create(tx, api.user_id, "a file.txt", content_type, 600))
    if ready:
        house.files.put(file_id, io.BytesIO(content))
        api.server.write(lambda tx: store.finish(tx, file_id, len(content)))
    return f"http://127.0.0.1:{api.server.port}/files/{file_id}"


def test_a_whole_file(shop: Api) -> None:
    url = stored(shop)
    for spelling in (url, url + ".txt", url.replace(url.rsplit("/", 1)[1], url.rsplit("/", 1)[1].lower())):
        got = fetch(spelling)
        assert (got.status, got.raw == CONTENT) == (200, True)
    assert got.headers["content-length"] == str(len(CONTENT))
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["content-disposition"] == 'attachment; filename="a file.txt"'
    assert got.headers["x-content-type-options"] == "nosniff"


def test_its_head(shop: Api) -> None:
    got = fetch(stored(shop), "HEAD")
    assert (got.status, got.raw, got.headers["content-length"]) == (200, b"", str(len(CONTENT)))


def test_an_empty_file(shop: Api) -> None:
    url = stored(shop, b"")
    assert (fetch(url).status, fetch(url).raw) == (200, b"")
    assert fetch(url, Range="bytes=0-").status == 416


LAST = len(CONTENT) - 1


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=1048570-1048580", 1048570, 1048581),
        (f"bytes=100-{10**15}", 100, LAST + 1),
        ("bytes=2000000-", 2_000_000, LAST + 1),
        ("bytes=-7", LAST - 6, LAST + 1),
        (f"bytes=-{10**15}", 0, LAST + 1),
        ("bytes = 5 - 9", 5, 10),
    ],
)
def test_a_range(shop: Api, asked: str, start: int, stop: int) -> None:
    got = fetch(stored(shop), Range=asked)
    assert got.status == 206
    assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert got.headers["content-length"] == str(stop - start)
    assert got.raw == CONTENT[start:stop]


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=٣-٤", "x" * 999]
)
def test_a_range_that_is_none_is_answered_with_all(sqlite_server: Running, asked: str) -> None:
    got = fetch(stored(sqlite_server.account()), Range=asked.encode("utf-8").decode("latin-1"))
    assert (got.status, got.raw == CONTENT) == (200, True)


@pytest.mark.parametrize("asked", [f"bytes={LAST + 1}-", "bytes=-0", f"bytes={10**17}-{10**17 + 1}"])
def test_a_range_behind_the_end(sqlite_server: Running, asked: str) -> None:
    got = fetch(stored(sqlite_server.account()), Range=asked)
    assert (got.status, got.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


def test_a_range_of_another_file_is_not_glued_to_this_one(sqlite_server: Running) -> None:
    url = stored(sqlite_server.account())
    assert fetch(url, Range="bytes=0-4", If_Range='"another"').status == 200
    assert fetch(url, Range="bytes=0-4", If_Range=fetch(url).headers["etag"]).status == 206


def test_a_file_that_is_being_made(sqlite_server: Running) -> None:
    got = fetch(stored(sqlite_server.account(), ready=False))
    assert (got.status, got.headers["retry-after"]) == (503, "2")


def test_a_lost_file_is_a_404(shop: Api) -> None:
    url = stored(shop)
    shop.server.house.files.remove(url.rsplit("/", 1)[1])
    assert fetch(url).status == 404


@pytest.mark.parametrize(
    "path",
    ["unknown", "%00", "..%2F..%2Fheliograph.db", "%2e%2e", ".txt", "A" * 5000, "%F0%9F%98%80", "'%20OR%201=1--"],
)
def test_an_unknown_file_is_a_404(server: Running, path: str) -> None:
    assert fetch(f"http://127.0.0.1:{server.port}/files/{path}").status == 404


@pytest.fixture
def lost_bucket(tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server whose bucket is not there; each export is a job, and tried again soon."""
    monkeypatch.setattr(store, "AWAY", 0.1)
    options = {**bucket_options(s3), "file_store": "s3://lost/test"}
    running = Running(tmp_path, export_at_once=1, throttle_seconds=0, **options)
    yield running
    running.close_clients()
    running.stop()


def test_while_the_store_is_away_it_is_said_and_tried_again(lost_bucket: Running, s3: str) -> None:
    """A 503 and no defect: the bucket is made in the end, and the export that waits for it is written."""
    api = lost_bucket.account()
    body = {"content": base64.b64encode(b"a,b").decode()}
    for answer in (api.call("POST", "/uploads?convert=csv", body), api.call("GET", "/sms/history/export?filename=a")):
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    for _ in range(2):
        api.final(api.send("+61491570006")["message_id"])
    url = api.get("/sms/history/export?filename=a.csv")["url"]
    assert fetch(url).status == 503
    assert fetch(stored(api, ready=False)).status == 503
    api.until(lambda: lost_bucket.read(lambda tx: tx.driver("SELECT MAX(attempts) FROM jobs").fetchone()[0]) > 1)
    urllib.request.urlopen(urllib.request.Request(s3 + "/lost", method="PUT")).close()
    api.until(lambda: fetch(url).status == 200)
    assert fetch(url).raw.count(b"\r\n") == 3


def test_a_file_in_a_store_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(tmp_path)
    api = running.account()
    url = stored(api)

    def away(*_: object) -> bytes:
        raise OSError("input/output error")

    monkeypatch.setattr(running.house.files, "read", away)
    got = fetch(url)
    assert (got.status, got.headers["retry-after"]) == (503, "10")
    monkeypatch.setattr(running.house.files, "remove", away)
    monkeypatch.setattr(store, "AWAY", 0.1)
    running.write(lambda tx: store.discard(tx, [url.rsplit("/", 1)[1]]))
    api.until(lambda: running.read(lambda tx: tx.driver("SELECT MAX(attempts) FROM jobs").fetchone()[0]) > 1)
    running.close_clients()
    running.stop()


def test_uploads_exports_and_their_end(shop: Api) -> None:
    shop.final(shop.send("+61491570006")["message_id"])
    content = base64.b64encode(b"name;phone\r\nZo\xc3\xab;61411111111\r\n").decode()
    upload = shop.post("/uploads?convert=csv", {"content": content})["_url"]
    assert fetch(upload).raw.decode() == "name,phone\r\nZoë,61411111111\r\n"
    export = shop.get("/sms/history/export?filename=all.csv")["url"]
    assert fetch(export).raw.count(b"\r\n") == 2
    server = shop.server
    server.write(lambda tx: tx.driver("UPDATE files SET expires_at = 0 WHERE user_id = ?", [shop.user_id]).rowcount)
    server.write(store.expire)
    for url in (upload, export):
        key = store.named(url, f"http://127.0.0.1:{server.port}")
        assert key is not None
        shop.until(lambda key=key: is_gone(server.house.files, key))  # type: ignore[misc]


def is_gone(files: FileStore, key: str) -> bool:
    try:
        files.read(key, 0, 1)
    except FileNotFoundError:
        return True
    return False


def findings(data: Path, **options: str) -> dict[str, tuple[bool, str]]:
    given = settings.load(data=data, **options)
    found = asyncio.run(doctor.examine(given, database_url(given)))
    return {one.what: (one.fine, one.detail) for one in found}


def test_the_doctor_looks_at_the_store_and_at_the_conversions(tmp_path: Path, s3: str) -> None:
    found = findings(tmp_path, soffice="no-such-program")
    assert found["file store"] == (True, "the data folder")
    assert found["libreoffice"] == (True, "not installed: doc, docx, rtf and txt files cannot be converted")
    assert findings(tmp_path, **bucket_options(s3))["file store"] == (True, "s3://media/test")
    lost = {**bucket_options(s3), "file_store": "s3://no-such-bucket"}
    assert not findings(tmp_path, **lost)["file store"][0]
    assert not findings(tmp_path, file_store="ftp://a")["file store"][0]
    fine, told = found["conversions"]
    assert told.startswith("without a network, by ") if fine else "cannot keep them" in told
    if shutil.which("soffice"):
        assert findings(tmp_path)["libreoffice"][1].startswith("LibreOffice ")
