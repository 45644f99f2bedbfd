"""MMS does what every channel does, and has a subject and a picture."""

import asyncio
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from channels.conformance import OTHER, TO, Conformance
from files.fetching import fetch
from heliograph.channels.mms.channel import LONGEST_GSM, LONGEST_UNICODE, MmsChannel
from heliograph.channels.mms.shapes import LARGEST_FILE
from heliograph.errors import Unavailable
from heliograph.files import store
from heliograph.files.convert import Busy
from heliograph.files.folder import FolderStore
from heliograph.files.shrink import Picture
from heliograph.files.task import Refused, Unfinished
from heliograph.settings import Settings
from heliograph.transports.base import UNLIMITED, Failed, Limits, Media, Mms, Outgoing, Retry
from support import quiet
from support.carrier import Carrier
from support.pictures import PICTURE, kept
from support.server import Api


class TestMms(Conformance):
    channel = "mms"
    price = "message_price"

    def message(self, to: str = TO, body: str = "", **more: Any) -> dict[str, Any]:
        return {"subject": "Hello", **super().message(to, body, **more)}

    def request(self, api: Api, messages: list[dict[str, Any]]) -> dict[str, Any]:
        return {"media_file": kept(api), "messages": messages}

    def carried(self, outgoing: Outgoing, body: str) -> None:
        assert outgoing.content == Mms("Hello", body, (Media("picture.gif", "image/gif", PICTURE),))


def send(api: Api, media: str | None = None, **message: Any) -> Any:
    """The answer to a send of one message."""
    given = {"to": TO, "subject": "Hello", "body": "Look!", **message}
    return api.post("/mms/send", {"media_file": media or kept(api), "messages": [given]})


def test_the_answer_has_the_documented_keys_and_types(carrier: Carrier) -> None:
    api = carrier.server.account()
    media = kept(api)
    answer = send(api, media, custom_string="ref", from_="")
    assert list(answer) == ["total_price", "total_count", "queued_count", "messages"]
    (row,) = answer["messages"]
    assert isinstance(answer["total_price"], float)
    assert (row["message_parts"], row["schedule"], row["list_id"], row["contact_id"]) == (1, "", None, None)
    assert row["message_price"] == f"{answer['total_price']:.4f}"
    assert row["_media_file_url"].endswith(f"/files/{media}")
    assert fetch(row["_media_file_url"]).raw == PICTURE
    (entry,) = api.get(f"/mms/history?q=message_id:{row['message_id']}")["data"]
    assert (entry["subject"], entry["_media_file_url"], entry["priority"]) == ("Hello", row["_media_file_url"], 1)
    assert entry["date"] == str(entry["date_added"])


@pytest.mark.parametrize(
    ("given", "subject", "body"),
    [
        ({"subject": "x" * 25}, "x" * 20, "Look!"),
        ({"subject": "Grüße und viel 😀😀😀😀😀😀😀😀"}, "Grüße und viel 😀😀😀😀😀", "Look!"),
        ({"body": "a" * 1600}, "Hello", "a" * LONGEST_GSM),
        ({"body": "ж" * 600}, "Hello", "ж" * LONGEST_UNICODE),
        ({"body": ""}, "Hello", ""),
        ({"body": None}, "Hello", ""),
    ],
)
def test_texts_are_cut_as_documented(carrier: Carrier, given: dict[str, Any], subject: str, body: str) -> None:
    api = carrier.server.account()
    (row,) = send(api, **given)["messages"]
    assert (row["status"], row["subject"], row["body"]) == ("SUCCESS", subject, body)
    content = carrier.next(api).content
    assert isinstance(content, Mms)
    assert (content.subject, content.text) == (subject, body)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"subject": ""}, "SUBJECT_REQUIRED"),
        ({"subject": "   "}, "SUBJECT_REQUIRED"),
        ({"subject": None}, "SUBJECT_REQUIRED"),
        ({"to": "123"}, "INVALID_RECIPIENT"),
        ({"to": ""}, "MISSING_REQUIRED_FIELDS"),
        ({"from": "far too long a name"}, "INVALID_SENDER_ID"),
        ({"schedule": 99_999_999_999}, "INVALID_SCHEDULE"),
        ({"to": None, "list_id": 1}, "NOT_ENOUGH_PERMISSION_TO_LIST_ID"),
    ],
)
def test_refusals_cost_nothing(carrier: Carrier, given: dict[str, Any], status: str) -> None:
    api = carrier.server.account()
    answer = send(api, **given)
    assert [row["status"] for row in answer["messages"]] == [status]
    assert (answer["total_price"], answer["queued_count"], answer["total_count"]) == (0, 0, 1)
    assert api.get("/account")["balance"] == "100.000000"
    assert api.get("/mms/history")["total"] == 0


def _noise(side: int, kind: str) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(out, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return out.getvalue()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (_noise(40, "PNG"), "The file is png."),
        (b"%PDF-1.7\n%%EOF", "The file is pdf."),
        (b"", "The file is empty."),
        (PICTURE + bytes(LARGEST_FILE), f"The file has {LARGEST_FILE + len(PICTURE):,} bytes"),
        (PICTURE[:20], "damaged"),
    ],
)
def test_a_file_that_phones_do_not_take_refuses_every_message_and_says_why(
    carrier: Carrier, octets: bytes, why: str
) -> None:
    """It was uploaded for something else, so it is judged as a file from elsewhere is."""
    api = carrier.server.account()
    media = kept(api, octets, "gif", target="post")
    messages = [{"to": to, "subject": "Hello", "body": "Look!"} for to in (TO, OTHER)]
    answer = api.post("/mms/send", {"media_file": media, "messages": messages})
    assert [row["status"] for row in answer["messages"]] == ["INVALID_MEDIA_FILE"] * 2
    assert api.get("/account")["balance"] == "100.000000"
    for row in answer["messages"]:
        ((told),) = api.get(f"/mms/{row['message_id']}/timeline")
        assert told["status"] == "INVALID_MEDIA_FILE"
        assert why in told["detail"]


def test_a_picture_as_large_as_allowed_arrives_octet_by_octet(carrier: Carrier) -> None:
    api = carrier.server.account()
    photo = _noise(260, "JPEG")
    assert 50_000 < len(photo) < LARGEST_FILE
    media = kept(api, photo, "jpg")
    (row,) = send(api, media)["messages"]
    assert row["status"] == "SUCCESS"
    content = carrier.next(api).content
    assert isinstance(content, Mms)
    assert content.media == (Media("picture.jpg", "image/jpeg", photo),)


@pytest.mark.parametrize("media", ["", "   ", None])
def test_without_a_file_nothing_is_sent(carrier: Carrier, media: str | None) -> None:
    api = carrier.server.account()
    answer = api.call("POST", "/mms/send", {"media_file": media, "messages": [{"to": TO, "subject": "Hello"}]})
    assert (answer.status, list(answer.data)) == (400, ["media_file"])


@pytest.mark.parametrize("count", [0, 1001])
def test_too_many_messages_or_none_fetch_nothing(carrier: Carrier, count: int) -> None:
    api = carrier.server.account()
    messages = [{"to": TO, "subject": "Hello"}] * count
    answer = api.call("POST", "/mms/send", {"media_file": "http://127.0.0.1:1/never.gif", "messages": messages})
    assert (answer.status, list(answer.data)) == (400, ["messages"])


def test_a_file_of_another_account_is_none(carrier: Carrier) -> None:
    api, other = carrier.server.account(), carrier.server.account()
    (row,) = send(api, kept(other))["messages"]
    assert row["status"] == "INVALID_MEDIA_FILE"
    ((told),) = api.get(f"/mms/{row['message_id']}/timeline")
    assert told["detail"] == "The file cannot be sent: There is no such file."
    assert other.call("GET", f"/mms/{row['message_id']}/timeline").status == 404


def test_the_picture_of_a_scheduled_message_outlives_its_upload(carrier: Carrier) -> None:
    api = carrier.server.account()
    media = kept(api)
    send(api, media)
    row = api.server.read(lambda tx: store.find(tx, media.partition(".")[0]))
    assert row["expires_at"] > row["created_at"] + 29 * 24 * 3600


def test_placeholders_are_filled_in_text_and_subject(carrier: Carrier) -> None:
    api = carrier.server.account()
    list_id = api.post("/lists", {"list_name": "Readers"})["list_id"]
    api.post(f"/lists/{list_id}/contacts", {"phone_number": TO, "first_name": "Ann"})
    given = {"list_id": list_id, "subject": "For (First Name)", "body": "Dear (First Name)!"}
    answer = api.post("/mms/send", {"media_file": kept(api), "messages": [given]})
    (row,) = answer["messages"]
    assert (row["subject"], row["body"], row["to"]) == ("For Ann", "Dear Ann!", TO)
    assert row["contact_id"]


def test_test_numbers_are_free_and_go_nowhere(carrier: Carrier) -> None:
    api = carrier.server.account()
    answer = send(api, to="+61411111111")
    assert (answer["total_price"], answer["queued_count"]) == (0, 1)
    (row,) = api.get(f"/mms/history?q=message_id:{answer['messages'][0]['message_id']}")["data"]
    assert row["status"] == "Completed"
    assert carrier.was_given(api) == []


def test_stop_by_mms_opts_out(carrier: Carrier) -> None:
    api = carrier.server.account()
    send(api, to=OTHER)
    sender = carrier.next(api).sender
    carrier.brings("mms", OTHER, sender, "STOP")
    (opt_out,) = [one["list_id"] for one in api.get("/lists")["data"] if one["list_name"] == "Opt-Out List"]
    assert [row["phone_number"] for row in api.get(f"/lists/{opt_out}/contacts")["data"]] == [OTHER]


def test_a_carrier_that_fetches_gets_the_link_to_what_was_made_smaller(tmp_path: Path) -> None:
    files = FolderStore(tmp_path)
    name = "8EA5FA8C-3216-4A5D-86EA-6BE78050E439"
    files.put(name, io.BytesIO(PICTURE))
    row = quiet.message(details=f'{{"subject":"Hello","file":"{name}.gif","type":"image/gif"}}')
    asked: list[tuple[Picture, Limits]] = []

    async def shrink(picture: Picture, limits: Limits) -> Picture:
        asked.append((picture, limits))
        return Picture("SMALL.jpg", "image/jpeg", b"small")

    channel = MmsChannel(Settings(public_url="https://example.com/"), files, shrink)
    (made,) = asyncio.run(channel.contents([row], Limits(10_000)))
    assert asked == [(Picture(f"{name}.gif", "image/gif", PICTURE), Limits(10_000))]
    media = Media("picture.jpg", "image/jpeg", b"small", "https://example.com/files/SMALL.jpg")
    assert made == Mms("Hello", row.body, (media,))


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (Refused("Too fine."), Failed(None, "The picture cannot be made as small as the carrier takes it: Too fine")),
        (Unfinished("Stopped."), Retry(30.0, "The picture cannot be made smaller at the moment")),
        (Busy(), Retry(30.0, "The picture cannot be made smaller at the moment")),
        (Unavailable("Away."), Retry(30.0, "The picture cannot be read at the moment")),
    ],
)
def test_a_picture_that_cannot_be_made_smaller(tmp_path: Path, problem: Exception, outcome: Failed | Retry) -> None:
    files = FolderStore(tmp_path)
    files.put("A", io.BytesIO(PICTURE))
    row = quiet.message(details='{"subject":"Hello","file":"A.gif","type":"image/gif"}')

    async def shrink(picture: Picture, limits: Limits) -> Picture:
        raise problem

    assert asyncio.run(MmsChannel(Settings(), files, shrink).contents([row, row], Limits(10_000))) == [outcome] * 2


class CountedStore(FolderStore):
    """A folder that counts how often each file is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reads: Counter[str] = Counter()

    def read(self, file_id: str, start: int, length: int) -> bytes:
        self.reads[file_id] += 1
        return super().read(file_id, start, length)


def test_a_batch_reads_each_picture_once(tmp_path: Path) -> None:
    files = CountedStore(tmp_path)
    names = ("8EA5FA8C-3216-4A5D-86EA-6BE78050E439", "8EA5FA8C-3216-4A5D-86EA-6BE78050E43A")
    for name in names:
        files.put(name, io.BytesIO(PICTURE))
    details = [f'{{"subject":"Hello","file":"{name}.gif","type":"image/gif"}}' for name in names]
    batch = [quiet.message(details=details[number % 2]) for number in range(100)]
    made = asyncio.run(MmsChannel(Settings(), files, quiet.as_it_is).contents(batch, UNLIMITED))
    assert files.reads == dict.fromkeys(names, 1)
    assert {content.media[0].octets for content in made if isinstance(content, Mms)} == {PICTURE}
    assert len(made) == 100
