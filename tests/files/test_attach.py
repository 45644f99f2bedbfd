"""The one call by which a channel takes a file for its message, and the one by which it keeps it."""

import asyncio
import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from files.fetching import fetch
from files.test_uploads import moved_clock
from heliograph.files import attach, store
from heliograph.files.attach import Attachment
from heliograph.files.task import Refused
from heliograph.webhooks.fetch import WebClient
from support import documents
from support.server import Api, Running

A4, LETTER = (595.276, 841.89), (612, 792)
PNG = documents.saved(documents.picture(60, 40), "PNG")


class Pages(BaseHTTPRequestHandler):
    """A web site of files: what the path names, or what it says to do."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to?"))
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Type", "image/svg+xml")
        self.end_headers()
        if self.path == "/endless":
            self.answer_for_ever()
        self.wfile.write({"/letter.png": documents.pdf(A4, LETTER), "/a.pdf": PNG}.get(self.path, b"<html>"))

    def answer_for_ever(self) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(b"x" * 65536)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@contextmanager
def site() -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the paths that were asked for."""
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Noted", (Pages,), {"asked": asked})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def base(api: Api) -> str:
    return f"http://127.0.0.1:{api.server.port}"


def take(api: Api, url: str, target: str) -> Attachment:
    house = api.server.house
    taken: Attachment = api.server.call(lambda: house.attachments.take(api.user_id, url, target, base(api)))
    return taken


def refused(api: Api, url: str, target: str = "mms") -> str:
    with pytest.raises(Refused) as why:
        take(api, url, target)
    return str(why.value)


def upload(api: Api, data: bytes, target: str) -> dict[str, str]:
    made: dict[str, str] = api.post(f"/uploads?convert={target}", {"content": base64.b64encode(data).decode()})
    return made


def content(api: Api, taken: Attachment) -> bytes:
    into = io.BytesIO()
    store.copy(api.server.house.files, taken.file_id, taken.size, into)
    return into.getvalue()


def test_an_upload_is_taken_as_it_is(api: Api) -> None:
    made = upload(api, documents.pdf(A4, LETTER, A4), "fax")
    for spelling in (made["_url"], made["_url"] + "?filename=a.pdf", made["file_name"], made["_url"].lower()):
        taken = take(api, spelling, "fax")
        assert (taken.upload_id, taken.file_name, taken.pages) == (made["upload_id"], made["file_name"], 3)
        assert (taken.created_at, taken.expires_at) == (made["date_added"], made["date_delete"])
        assert taken.content_type == "application/pdf"
    assert documents.sizes_of(content(api, taken)) == [(210, 297)] * 3


def test_an_upload_for_another_channel_is_converted_for_this_one(api: Api) -> None:
    made = upload(api, documents.pdf(A4), "fax")
    taken = take(api, made["_url"], "postcard")
    assert taken.file_name != made["file_name"]
    assert (taken.pages, documents.sizes_of(content(api, taken))) == (2, [(148, 210)] * 2)
    assert "is pdf, which cannot be converted for mms" in refused(api, made["_url"])


def test_a_file_behind_a_url_is_fetched_and_is_what_its_bytes_are(api: Api) -> None:
    with site() as (url, asked):
        letter = take(api, f"{url}/letter.png", "post")
        picture = take(api, f"{url}/to?/a.pdf", "mms")
    assert asked == ["/letter.png", "/to?/a.pdf", "/a.pdf"]
    assert (letter.pages, letter.content_type) == (2, "application/pdf")
    assert documents.sizes_of(content(api, letter)) == [(210, 297)] * 2
    assert Image.open(io.BytesIO(content(api, picture))).size == (60, 40)
    got = fetch(f"{base(api)}/files/{picture.file_name}")
    assert (got.headers["content-type"], got.raw) == ("image/jpeg", content(api, picture))
    assert take(api, picture.file_name, "mms") == picture, "it may be named again, as an upload"


def test_a_url_that_gives_no_file_is_refused_with_the_reason(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.server.house.attachments, "_largest", 1_000_000)
    with site() as (url, _):
        assert refused(api, f"{url}/none") == "127.0.0.1 answered with status 404."
        assert refused(api, f"{url}/endless") == "The file is larger than 1000000 bytes."
        assert "is HTML, XML or SVG" in refused(api, f"{url}/page")
        assert "redirects more than" in refused(api, f"{url}/to?/to?" * 9)
        assert refused(api, f"{url}/to?file:///etc/passwd") == "The scheme of the URL must be http or https."
    assert "could not be connected to" in refused(api, url)
    for nonsense in ("", "letter.pdf", "ftp://a/b", "http://", "http://[", "\x00", "x" * 3000, "http://a b/"):
        assert refused(api, nonsense).startswith("The ")


def test_no_url_leads_to_a_private_address(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production mode. That redirects are checked as well is tested in tests/webhooks/test_fetch_to_file.py."""
    web = WebClient(allow_private=False, timeout=5)
    monkeypatch.setattr(api.server.house.attachments, "_download", web.download)
    with site() as (url, asked):
        assert refused(api, f"{url}/a.pdf") == "The address 127.0.0.1 is private and not allowed."
    assert asked == []
    api.server.call(web.close)


def test_a_url_that_gives_nothing_is_given_up_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "FETCH_SECONDS", 0.3)

    over = threading.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    server = api.server.call(lambda: asyncio.start_server(silent, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    assert refused(api, f"http://127.0.0.1:{port}/") == "127.0.0.1 did not answer within 0.3 seconds."
    assert over.wait(10)
    api.server.loop.call_soon_threadsafe(server.close)


def test_files_of_others_and_lost_ones_are_not_there(api: Api) -> None:
    other = api.server.account()
    made = upload(other, PNG, "mms")
    assert refused(api, made["_url"]) == attach.GONE
    assert refused(api, "161BFA93-3660-4B03-9BCB-7629166F2E91.gif") == attach.GONE
    taken = take(other, made["_url"], "mms")
    assert not api.server.write(lambda tx: store.keep(tx, api.user_id, taken.file_id, 2**40))
    other.server.house.files.remove(taken.file_id)
    assert "There is no such file." in refused(other, made["_url"], "fax")


def test_a_message_keeps_its_file(api: Api) -> None:
    """Until the time that its channel names; a file whose time is over cannot be kept any more."""
    kept, left = (take(api, upload(api, PNG, "mms")["_url"], "mms") for _ in range(2))
    until = kept.expires_at + 3600
    for time in (until, until - 7200):
        assert api.server.write(lambda tx, time=time: store.keep(tx, api.user_id, kept.file_id, time))
    clock = api.server.house.database.clock()
    with moved_clock(api.server, kept.expires_at - clock + 5):
        assert refused(api, left.file_name) == attach.GONE
        assert not api.server.write(lambda tx: store.keep(tx, api.user_id, left.file_id, until))
        assert take(api, kept.file_name, "mms").expires_at == until
    with moved_clock(api.server, until - clock + 5):
        assert refused(api, kept.file_name) == attach.GONE


def test_a_process_that_only_answers_takes_files_too(tmp_path: Path) -> None:
    running = Running(tmp_path, role="api")
    try:
        with site() as (url, _):
            assert take(running.account(), f"{url}/a.pdf", "mms").content_type == "image/jpeg"
    finally:
        running.close_clients()
        running.stop()
