"""An MMS from the API to a telephone and back: by the built-in MMSC, and by one at another place."""

import asyncio
import base64
import http.client
import io
import json
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from files.fetching import fetch
from files.test_attach import PNG, site
from heliograph.messaging.rows import media_of
from heliograph.transports.base import Media, Mms
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import Dialect
from heliograph.transports.mm7.package import packed
from heliograph.transports.sandbox.mmsc import SCENARIOS, SimulatedMmsc
from heliograph.transports.sandbox.mmsfolder import listing, mms_folder
from support import documents
from support.pictures import PICTURE, kept
from support.server import Api, Running

MMSC = """
[transports.mmsc]
kind = "mm7"
url = "http://127.0.0.1:{port}/"
inbound_username = "carrier"
inbound_password = "secret"
largest_bytes = 20_000

[transports.api]
kind = "http"
url = "http://127.0.0.1:{port}/"
carries = ["mms"]
inbound_username = "carrier"
inbound_password = "secret"
replies = {{ from = "from", to = "to", text = "text", media = "media", content = "content", id = "id" }}

[[routes]]
transport = "mmsc"
channel = "mms"
"""


def send(api: Api, to: str, media: str = "", body: str = "Grüße 😀", **more: Any) -> str:
    message = {"to": to, "subject": "Hällo 😀", "body": body, **more}
    (row,) = api.post("/mms/send", {"media_file": media or kept(api), "messages": [message]})["messages"]
    assert row["status"] == "SUCCESS"
    return str(row["message_id"])


def final(api: Api, key: str) -> dict[str, Any]:
    def there() -> list[dict[str, Any]]:
        return [
            row
            for row in api.get(f"/mms/history?q=message_id:{key}")["data"]
            if row["status"] in ("Completed", "Failed")
        ]

    return dict(api.until(there)[0])


def test_a_picture_reaches_the_built_in_mmsc_whole(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    key = send(api, "+61491570006")
    row = final(api, key)
    assert (row["status"], row["status_code"]) == ("Completed", "201")
    folder = mms_folder(sqlite_server.options.data)
    (stored,) = [one for one in listing(folder) if one.recipient == "+61491570006" and one.text == "Grüße 😀"]
    assert stored.subject == "Hällo 😀"
    assert [(folder / stored.id / name).read_bytes() for name in stored.files] == [PICTURE]
    steps = [step["detail"] for step in api.get(f"/mms/{key}/timeline")]
    assert steps[1].startswith("Taken by sandbox-mms: 1000 Success.")


@pytest.mark.parametrize(
    ("digits", "status", "words"),
    [
        ("999001", "Failed", "Rejected"),
        ("999004", "Failed", "2002 Address error"),
        ("999008", "Failed", "Expired"),
        ("999010", "Completed", "delivered"),
        ("999011", "Failed", "2004 Multimedia content refused"),
    ],
)
def test_scenarios(sqlite_server: Running, digits: str, status: str, words: str) -> None:
    api = sqlite_server.account()
    key = send(api, f"+61491{digits}")
    assert final(api, key)["status"] == status
    assert words in json.dumps(api.get(f"/mms/{key}/timeline"))


def test_every_scenario_is_in_the_manual() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    mms = page.partition("## The MMSC")[2]
    assert [digits for digits in SCENARIOS if f"| `{digits}` |" not in mms] == []


def test_an_answer_with_a_picture_comes_back(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    api.post("/automations/sms/inbound", {**RULE, "action": "POLL"})
    key = send(api, "+61491999007")
    (arrived,) = api.until(lambda: api.get("/mms/inbound")["data"])
    assert (arrived["body"], arrived["original_message_id"]) == ("Have a look", key)
    assert fetch(arrived["_media_file_url"]).raw == PICTURE


RULE = {
    "rule_name": "r",
    "dedicated_number": "*",
    "message_search_type": 0,
    "message_search_term": "",
    "action_address": "",
    "enabled": 1,
}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Running, SimulatedMmsc]]:
    """A server whose MMS go to an MMSC that knows it by its address alone."""
    mmsc = SimulatedMmsc(tmp_path / "mmsc", retry_delay=0.05)
    loop = asyncio.new_event_loop()
    port = loop.run_until_complete(_free())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "heliograph.toml").write_text(MMSC.format(port=port))
    running = Running(tmp_path / "data")
    running.call(lambda: mmsc.start(port))
    mmsc.report_to = (f"http://127.0.0.1:{running.port}/carriers/mmsc", "carrier", "secret")
    yield running, mmsc
    running.call(mmsc.stop)
    running.close_clients()
    running.stop()
    loop.close()


async def _free() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port


def test_an_mmsc_reports_by_requests_of_its_own(elsewhere: tuple[Running, SimulatedMmsc]) -> None:
    running, mmsc = elsewhere
    api = running.account()
    key = send(api, "+61491570006")
    assert final(api, key)["status"] == "Completed"
    assert mmsc.counts["acknowledged"] == 1
    steps = [step["detail"] for step in api.get(f"/mms/{key}/timeline")]
    assert any(step.startswith("Taken by mmsc: 1000 Success.") for step in steps)


def test_a_carrier_gets_the_picture_as_small_as_it_takes_it(
    elsewhere: tuple[Running, SimulatedMmsc], tmp_path: Path
) -> None:
    """The first is made once for both messages; of the second nothing can be made, and its money comes back."""
    running, _ = elsewhere
    api = running.account()
    photo = kept(api, documents.saved(documents.picture(600, 400), "JPEG"), "jpg")
    before = api.get("/account")["balance"]
    keys = [send(api, number, photo) for number in ("+61491570006", "+61491570156")]
    assert [final(api, key)["status"] for key in keys] == ["Completed", "Completed"]
    got = [(tmp_path / "mmsc" / one.id / one.files[0]).read_bytes() for one in listing(tmp_path / "mmsc")]
    assert len(set(got)) == 1
    assert len(got[0]) <= 20_000
    assert Image.open(io.BytesIO(got[0])).size[0] > 300
    paid = api.get("/account")["balance"]
    assert paid != before
    broken = send(api, "+61491570157", kept(api, b"GIF89a" + bytes(20_000)))
    assert final(api, broken)["status"] == "Failed"
    steps = [step["detail"] for step in api.get(f"/mms/{broken}/timeline")]
    assert any("The picture cannot be made as small as the carrier takes it: " in step for step in steps), steps
    assert api.get("/account")["balance"] == paid


@pytest.mark.parametrize(
    ("path", "credentials", "body", "status"),
    [
        ("/carriers/mmsc", "", b"", 401),
        ("/carriers/mmsc", "carrier:wrong", b"", 401),
        ("/carriers/sandbox-sms", "carrier:secret", b"", 401),
        ("/carriers/nobody", "carrier:secret", b"", 401),
        ("/carriers/mmsc", "carrier:secret", b"no MM7", 400),
        ("/carriers/mmsc", "carrier:secret", bytes(9 * 1024 * 1024), 413),
    ],
)
def test_what_a_stranger_or_a_broken_carrier_is_told(
    elsewhere: tuple[Running, SimulatedMmsc], path: str, credentials: str, body: bytes, status: int
) -> None:
    running, _ = elsewhere
    assert _post(running, path, credentials, body, "text/xml") == status


def test_a_film_that_arrives_is_kept_as_a_file(elsewhere: tuple[Running, SimulatedMmsc]) -> None:
    running, _ = elsewhere
    api = running.account()
    api.post("/automations/sms/inbound", {**RULE, "action": "POLL"})
    api.post("/automations/sms/inbound", {**RULE, "action": "SMS", "action_address": "+61491570157"})
    to = f"{api.username}@example.net"
    api.post("/automations/sms/inbound", {**RULE, "action": "EMAIL_FIXED", "action_address": to})
    send(api, "+61491570006")
    sender = api.get("/mms/history")["data"][0]["from"]
    film = Media("film.mp4", "video/mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41" + bytes(300_000))
    kind, octets = asyncio.run(_arrival(sender, Mms("", "Look", (Media("a.gif", "image/gif", PICTURE), film))))
    assert _post(running, "/carriers/mmsc", "carrier:secret", octets, kind) == 200
    (arrived,) = api.get("/mms/inbound")["data"]
    assert (arrived["body"], fetch(arrived["_media_file_url"]).raw) == ("Look", PICTURE)
    steps = api.get(f"/mms/{arrived['message_id']}/timeline")
    assert steps[0]["detail"] == "Arrived from +61491570006."
    (mail,) = api.until(lambda: running.mails(to))
    assert arrived["_media_file_url"] in mail.text
    assert mail.files == ("a.gif", "film.mp4")
    raw = next((running.options.data / "mail").glob(f"*{mail.id}.eml")).read_bytes()
    sent = message_from_bytes(raw, policy=policy.default)
    assert [part.get_content() for part in sent.iter_attachments()] == [PICTURE, film.octets]
    (forwarded,) = api.get("/sms/history")["data"]
    assert forwarded["body"].startswith("+61491570006: Look\n" + arrived["_media_file_url"])


def test_a_message_that_the_mmsc_says_again_counts_once(elsewhere: tuple[Running, SimulatedMmsc]) -> None:
    """Its answer was lost, so the carrier sends the same request again; another text is another message."""
    running, _ = elsewhere
    api = running.account()
    api.post("/automations/sms/inbound", {**RULE, "action": "POLL"})
    send(api, "+61491570006")
    sender = api.get("/mms/history")["data"][0]["from"]
    stamp = "2026-11-30T10:00:00Z"
    for text in ("first", "first", "second"):
        kind, octets = asyncio.run(_arrival(sender, Mms("", text, (Media("a.gif", "image/gif", PICTURE),)), stamp))
        assert _post(running, "/carriers/mmsc", "carrier:secret", octets, kind) == 200
    assert [one["body"] for one in api.get("/mms/inbound")["data"]] == ["second", "first"]

    def files(tx: Any) -> int:
        return int(tx.driver("SELECT count(*) FROM files WHERE user_id = ?", [api.user_id]).fetchone()[0])

    assert running.read(files) == 3  # what was sent, and what arrived twice


def test_files_of_a_carrier_over_http_are_fetched_before_the_message_is_stored(
    elsewhere: tuple[Running, SimulatedMmsc],
) -> None:
    """One that cannot be had is told in the timeline, and what comes again is not fetched again."""
    running, _ = elsewhere
    api = running.account()
    api.post("/automations/sms/inbound", {**RULE, "action": "POLL"})
    send(api, "+61491570006")
    ends = {"from": "+61491570006", "to": api.get("/mms/history")["data"][0]["from"], "text": "Look", "id": "7"}
    with site() as (url, asked):
        links = [f"{url}/a.pdf", f"{url}/none", "ftp://example.com/"]
        told = {**ends, "media": links, "content": base64.b64encode(PICTURE).decode()}
        for _ in range(2):
            octets = json.dumps(told).encode()
            assert _post(running, "/carriers/api", "carrier:secret", octets, "application/json") == 200
    assert sorted(asked) == ["/a.pdf", "/none"]
    (arrived,) = api.get("/mms/inbound")["data"]
    assert (arrived["body"], fetch(arrived["_media_file_url"]).raw) == ("Look", PICTURE)

    def details(tx: Any) -> str:
        return str(tx.driver("SELECT details FROM inbound WHERE user_id = ?", [api.user_id]).fetchone()[0])

    assert [fetch(link).raw for link in media_of(running.read(details))] == [PICTURE, PNG]
    steps = [step["detail"] for step in api.get(f"/mms/{arrived['message_id']}/timeline")]
    assert steps[1:3] == [
        "A file did not arrive: 127.0.0.1 answered with status 404.",
        "A file did not arrive: The scheme of the URL must be http or https.",
    ]


async def _arrival(to: str, message: Mms, stamp: str = "") -> tuple[str, bytes]:
    tree: Any = [
        ("MM7Version", "6.8.0"),
        ("Sender", [("Number", "61491570006")]),
        ("Recipients", [("To", [("Number", to)])]),
        *([("TimeStamp", stamp)] if stamp else []),
        ("Content", {"href": "cid:content"}),
    ]
    return await packed(envelope.write(Dialect(), "DeliverReq", "t1", tree), message)


def _post(running: Running, path: str, credentials: str, body: bytes, kind: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    token = base64.b64encode(credentials.encode()).decode()
    headers = {"Content-Type": kind, **({"Authorization": f"Basic {token}"} if credentials else {})}
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        return 413  # the server hung up in the middle of too much
    finally:
        connection.close()
