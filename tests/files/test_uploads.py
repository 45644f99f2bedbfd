"""Endpoint 168 over HTTP, and what becomes of an uploaded file."""

import asyncio
import base64
import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clicksend_client as sdk
import pytest
from PIL import Image

from files.fetching import fetch
from heliograph.files import convert, store
from heliograph.files.task import Refused
from support import documents
from support.program import until
from support.server import Api, Running

PNG = documents.saved(documents.picture(60, 40), "PNG")
CSV = "a,ÿÿÿ~~~???>>>\r\n1,2\r\n".encode()
"""In Base64 it has what the two alphabets differ in, and padding."""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def form(*parts: tuple[str, str | None, bytes], boundary: str = "frontier") -> tuple[bytes, dict[str, str]]:
    """A multipart body (RFC 7578) of (field, file name, content) and its header."""
    body = b""
    for name, file_name, content in parts:
        head = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name else "")
        body += f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def refused(api: Api, body: Any, path: str = "/uploads?convert=mms", headers: dict[str, str] | None = None) -> Any:
    answer = api.call("POST", path, body, headers)
    assert answer.status == 400, answer.raw
    return answer.data


def test_uploaded_converted_and_downloaded(api: Api) -> None:
    made = api.post("/uploads?convert=mms", {"content": encoded(PNG)})
    assert made["user_id"] == api.user_id
    assert made["date_delete"] == made["date_added"] + 600
    assert abs(made["date_added"] - time.time()) < 60
    assert made["_url"] == f"http://127.0.0.1:{api.server.port}/files/{made['file_name']}"
    got = fetch(made["_url"])
    assert (got.status, got.headers["content-type"]) == (200, "image/jpeg")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == 'attachment; filename="upload.jpg"'
    assert Image.open(io.BytesIO(got.raw)).size == (60, 40)


def test_convert_may_stand_in_the_body_and_the_query_wins(api: Api) -> None:
    made = api.post("/uploads", {"content": encoded(PNG), "convert": "fax"})
    assert made["file_name"].endswith(".pdf")
    made = api.post("/uploads?convert=MMS", {"content": encoded(PNG), "convert": "fax"})
    assert made["file_name"].endswith(".jpg")


def test_a_link_leads_back_to_its_file() -> None:
    """Channels read what was uploaded from the store, not from themselves over HTTP."""
    base, key = "https://a.example", "161BFA93-3660-4B03-9BCB-7629166F2E91"
    link = f"{base}/files/{key.lower()}.jpg?filename=a.jpg"
    for url in (link, link.replace(base, base.upper()), f"{base}/files/{key}", f"/files/{key}.pdf", f"{key}.gif", key):
        assert store.named(url, base) == key
    for url in (
        f"https://b.example/files/{key}",
        f"{base}/files/",
        f"{base}/v3/account",
        f"{base}/files/{key}/x",
        "",
        "a",
    ):
        assert store.named(url, base) is None


def test_ids_of_uploads_go_up(api: Api) -> None:
    first, second = (api.post("/uploads?convert=mms", {"content": encoded(PNG)}) for _ in range(2))
    assert second["upload_id"] > first["upload_id"]
    assert second["file_name"] != first["file_name"]


@pytest.mark.parametrize("name", ["file", "content", "media_file", "x"])
def test_a_form_with_a_file(api: Api, name: str) -> None:
    body, headers = form((name, "Ferien 2026.png", PNG))
    answer = api.call("POST", "/uploads?convert=fax", body, headers)
    assert answer.status == 200, answer.raw
    got = fetch(answer.data["_url"])
    assert got.headers["content-disposition"] == 'attachment; filename="Ferien 2026.pdf"'
    assert documents.sizes_of(got.raw) == [(210, 297)]


def test_a_form_may_name_the_conversion_too(api: Api) -> None:
    body, headers = form(("convert", None, b"csv"), ("file", "a.csv", b"a;b\r\n1;2\r\n"))
    answer = api.call("POST", "/uploads", body, headers)
    assert fetch(answer.data["_url"]).raw == b"a,b\r\n1,2\r\n"


def test_a_csv_is_in_the_code_page_of_the_account(server: Running) -> None:
    """As in an import: both have one reader. A byte that does not fit stays where it is, as a mark."""
    russian = server.account(country="RU")
    text = 'имя;телефон;заметка\nИван;+79161234567;"две\nстроки, и ещё"\n'  # noqa: RUF001
    sent = encoded(text.encode("cp1251") + b"\x98;1;2\n")
    made = fetch(russian.post("/uploads?convert=csv", {"content": sent})["_url"]).raw.decode()
    assert made.replace("\r\n", "\n") == ('имя,телефон,заметка\nИван,+79161234567,"две\nстроки, и ещё"\n\ufffd,1,2\n')  # noqa: RUF001


def test_a_form_keeps_every_byte(api: Api) -> None:
    """Bytes that look like the border, line ends of all kinds, and a file above the parser's own memory limit."""
    lines = [f"--frontie{n},--" for n in range(60_000)]
    body, headers = form(("file", "a.csv", "\n\r\n".join(lines).encode()))
    answer = api.call("POST", "/uploads?convert=csv", body, headers)
    assert fetch(answer.data["_url"]).raw.decode().splitlines() == lines


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/abs.png",
        "a\rb.png",
        'quo"te.png',
        "nul\0.png",
        "😀.png",
        "x" * 500,
        ".",
        "",
    ],
)
def test_a_file_name_is_only_a_name(api: Api, name: str) -> None:
    body, headers = form(("file", name.replace("\r", "%0D").replace('"', "%22") or None, PNG))
    answer = api.call("POST", "/uploads?convert=mms", body, headers)
    if not name:
        assert answer.status == 400, "without a name it is a field"
        return
    got = fetch(answer.data["_url"])
    shown = got.headers["content-disposition"]
    assert got.status == 200
    assert not any(mark in shown for mark in ("/", "\\", "..", "\0"))
    assert shown.endswith('.jpg"')
    assert len(shown) < 150


def test_the_download_may_be_given_a_name(api: Api) -> None:
    url = api.post("/uploads?convert=mms", {"content": encoded(PNG)})["_url"]
    got = fetch(url + "?filename=..%2Fa%22b%0D%0Ac.exe")
    assert got.headers["content-disposition"] == 'attachment; filename="a_b__c.exe"'
    assert got.headers["content-type"] == "image/jpeg", "a name does not change what it is"


@pytest.mark.parametrize(
    "text",
    [
        "data:text/csv;charset=utf-8;base64," + encoded(CSV),
        "\n data:text/csv;base64, " + encoded(CSV),
        base64.encodebytes(CSV).decode(),
        base64.encodebytes(CSV).decode().replace("\n", "\r\n"),
        base64.urlsafe_b64encode(CSV).decode(),
        base64.urlsafe_b64encode(CSV).decode().rstrip("="),
        encoded(CSV).rstrip("="),
    ],
    ids=["data URI", "after a break", "lines", "lines of Windows", "safe alphabet", "safe, unpadded", "unpadded"],
)
def test_base64_as_it_is_commonly_written(api: Api, text: str) -> None:
    assert fetch(api.post("/uploads?convert=csv", {"content": text})["_url"]).raw == CSV


@pytest.mark.parametrize("text", ["%%%", "a" * 1001, encoded(PNG) + "!", "ä", "data:image/png,x", "a===b", "AA==AA=="])
def test_broken_base64_is_refused(api: Api, text: str) -> None:
    assert refused(api, {"content": text}) == {"content": "Content must be Base64."}


@pytest.mark.parametrize("text", ["=", "data:,", "data:image/png;base64,", " \n"])
def test_base64_of_nothing_is_nothing(api: Api, text: str) -> None:
    assert refused(api, {"content": text}) == {"content": "Content field is required."}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (None, {"content"}),
        ({}, {"content"}),
        ({"content": ""}, {"content"}),
        ({"content": None}, {"content"}),
        ({"content": ["a"]}, {"content"}),
        ({"content": {"a": 1}}, {"content"}),
        ({"content": True}, {"content"}),
        ({"content": "\u0000"}, {"content"}),
        (b"not json", {"body"}),
        (b"[1]", {"body"}),
        (b"\xff\xfe", {"body"}),
    ],
)
def test_a_wrong_body_is_refused(api: Api, body: Any, fields: set[str]) -> None:
    assert set(refused(api, body)) == fields


@pytest.mark.parametrize("target", ["", "pdf", "MP3", "😀", "fax,mms", "../fax", "%00"])
def test_an_unknown_conversion_is_refused_by_naming_the_known(api: Api, target: str) -> None:
    path = "/uploads?convert=" + target if target.isascii() else "/uploads"
    found = refused(api, {"content": encoded(PNG), "convert": target}, path)
    assert found == {"convert": "Convert must be one of fax, mms, csv, post, postcard."}


def test_two_files_in_a_form_are_refused(api: Api) -> None:
    body, headers = form(("a", "a.png", PNG), ("b", "b.png", PNG))
    assert refused(api, body, headers=headers) == {"content": "Send one file at a time."}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=frontier"),
        (b"nonsense", "multipart/form-data; boundary=frontier"),
        (b"--frontier\r\n\r\n", "multipart/form-data"),
        (form(("f", "a.png", PNG))[0][:-30], "multipart/form-data; boundary=frontier"),
        (form(("f", "a.png", PNG))[0], "multipart/form-data; boundary=other"),
        (form(("f", "a.png", b""))[0], "multipart/form-data; boundary=frontier"),
        (b"--frontier\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", "multipart/form-data; boundary=frontier"),
    ],
    ids=["empty", "no form", "no border", "torn", "another border", "empty file", "many headers"],
)
def test_a_broken_form_is_refused(api: Api, body: bytes, kind: str) -> None:
    assert "content" in refused(api, body, headers={"Content-Type": kind})


@pytest.mark.parametrize("data", [os.urandom(3000), b"<svg onload=alert(1)>", documents.pdf((595, 842))[:300]])
def test_a_bad_file_is_a_400_with_a_reason(api: Api, data: bytes) -> None:
    answer = api.call("POST", "/uploads?convert=fax", {"content": encoded(data)})
    assert answer.status == 400
    assert answer.data == {"content": answer.body["response_msg"]}


def test_an_upload_may_be_larger_than_other_bodies_but_not_endless(api: Api) -> None:
    settings = api.server.options
    large = documents.saved(Image.effect_noise((3000, 2400), 90).convert("RGB"), "BMP")[: settings.max_body + 10_000]
    assert len(encoded(large)) > settings.max_body
    answer = api.call("POST", "/uploads?convert=csv", {"content": encoded(large)})
    assert (answer.status, "is bmp" in answer.data["content"]) == (400, True), "it was read"
    answer = api.call("POST", "/uploads?convert=csv", b" " * (settings.max_upload + 1))
    assert answer.status == 413
    api.close()
    assert api.call("POST", "/sms/price", b" " * (settings.max_body + 1)).status == 413


def test_it_needs_credentials(server: Running) -> None:
    answer = server.client("nobody", "nothing").call("POST", "/uploads?convert=mms", {"content": encoded(PNG)})
    assert answer.status == 401


def test_the_sdk_uploads(server: Running, api: Api) -> None:
    configuration = sdk.Configuration()
    configuration.host = f"http://127.0.0.1:{server.port}/v3"
    configuration.username, configuration.password = api.username, api.key
    client = sdk.ApiClient(configuration)
    answer = sdk.UploadApi(client).uploads_post(sdk.UploadFile(content=encoded(PNG)), "mms")
    assert "Your file has been uploaded." in answer
    client.rest_client.pool_manager.clear()
    client.pool.close()
    client.pool.join()


def test_a_file_goes_when_its_time_is_over_unless_it_is_kept(api: Api) -> None:
    """The clock of the database is moved; upkeep removes the record, a job the bytes."""
    server, clock = api.server, api.server.house.database.clock
    gone, kept = (api.post("/uploads?convert=mms", {"content": encoded(PNG)}) for _ in range(2))
    until = kept["date_delete"] + 3600
    key = kept["file_name"].partition(".")[0]
    assert server.write(lambda tx: store.keep(tx, api.user_id, key, until))
    folder = server.options.data / "files"
    path = folder / gone["file_name"][:2] / gone["file_name"].partition(".")[0]
    assert path.exists()
    with moved_clock(server, gone["date_delete"] - clock() + 5):
        assert fetch(gone["_url"]).status == 404, "at once, not when upkeep comes by"
        assert fetch(kept["_url"]).status == 200
        while server.write(store.expire):
            pass
        api.until(lambda: not path.exists())
        assert fetch(kept["_url"]).status == 200
    with moved_clock(server, until - clock() + 5):
        assert fetch(kept["_url"]).status == 404


def test_an_import_keeps_the_upload_that_it_waits_for(api: Api) -> None:
    made = api.post("/uploads?convert=csv", {"content": encoded(b"+61491570006,Ann\r\n")})
    list_id = api.post("/lists", {"list_name": "Friends"})["list_id"]
    body = {"file_url": made["file_name"], "field_order": ["phone", "first_name"]}
    assert api.call("POST", f"/lists/{list_id}/import", body).status == 200
    row = api.server.read(lambda tx: store.find(tx, made["file_name"].partition(".")[0]))
    assert row["expires_at"] >= made["date_added"] + store.EXPORT_LIFE


@contextmanager
def moved_clock(server: Running, seconds: float) -> Iterator[None]:
    """While open, the server's database lives some seconds in the future."""
    database = server.house.database
    with pytest.MonkeyPatch.context() as patch:
        for connector in (database._connector, *database._read_connectors):
            patch.setattr(connector, "_clock", lambda: time.time() + seconds)
        yield


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Running]:
    """A server whose LibreOffice never answers, one conversion at a time."""
    program = tmp_path / "soffice"
    program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    program.chmod(0o700)
    running = Running(tmp_path / "data", soffice=str(program), convert_seconds=10, conversions=1)
    yield running
    running.close_clients()
    running.stop()


def test_the_server_goes_on_while_a_conversion_hangs(slow_server: Running) -> None:
    api, other = slow_server.account(), slow_server.account()
    hanging = slow_server.client(api.username, api.key)
    body = json.dumps({"content": encoded(b"{\\rtf1 x}")}).encode()
    token = {"Authorization": "Basic " + base64.b64encode(f"{api.username}:{api.key}".encode()).decode()}
    hanging._connection.request("POST", "/v3/uploads?convert=fax", body, token)
    api.until(lambda: slow_server.house.converter._running)
    assert other.send("+61491570006")["status"] == "SUCCESS"
    assert slow_server.house.converter._running, "that took as long as the conversion"
    response = hanging._connection.getresponse()
    answer = json.loads(response.read())
    assert (response.status, answer["response_msg"]) == (400, "The file took too long to convert.")
    assert other.post("/uploads?convert=mms", {"content": encoded(PNG)})["file_name"].endswith(".jpg")


def test_too_many_waiting_files_are_sent_away(slow_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "LONGEST_LINE", 0)
    api = slow_server.account()
    work = slow_server.house.converter.convert(b"{\\rtf1 x}", "a", "fax")
    hanging = asyncio.run_coroutine_threadsafe(work, slow_server.loop)
    api.until(lambda: slow_server.house.converter._running)
    answer = api.call("POST", "/uploads?convert=mms", {"content": encoded(PNG)})
    assert (answer.status, answer.headers["retry-after"]) == (429, "10")
    with pytest.raises(Refused):
        hanging.result(30)


def test_a_stop_does_not_wait_for_a_conversion(tmp_path: Path) -> None:
    program = tmp_path / "soffice"
    program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    program.chmod(0o700)
    running = Running(tmp_path / "data", soffice=str(program))
    converter = running.house.converter
    work = converter.convert(b"{\\rtf1 x}", "a", "fax")
    future = asyncio.run_coroutine_threadsafe(work, running.loop)
    until(lambda: converter._running)
    running.stop()  # fails after half of the time that the conversion may take
    assert future.done()
    assert future.exception() is not None
