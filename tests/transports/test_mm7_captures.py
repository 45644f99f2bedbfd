"""MM7 as real MMSCs write it: their octets are read here, and ours keep to the schema that they have.

The files in `captures` have the structure, prefixes, headers and oddities of what was published (facts O), and values
of our own.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from lxml import etree

from heliograph.transports.base import Answer, Failed, Inbound, Media, Mms, Outcome, Receipt, Sent, Told
from heliograph.transports.http.client import LATER, HttpAnswer
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import SCHEMAS, Dialect, Envelope
from heliograph.transports.mm7.inbox import Mm7Inbox
from heliograph.transports.mm7.package import opened
from heliograph.transports.mm7.transport import Mm7Transport, submit_request
from heliograph.transports.options import Mm7Options
from heliograph.transports.sandbox.mmsc import SimulatedMmsc
from heliograph.transports.sandbox.mmsfolder import listing
from transports.conformance import Recorder
from transports.mmsc import PICTURE, an_mms

CAPTURES = Path(__file__).parent / "captures"
SCHEMA = etree.XMLSchema(etree.parse(CAPTURES / "written.xsd"))
GIF = PICTURE.octets
PHONE = "+61491570006"


def capture(name: str) -> tuple[str, Mapping[str, str], bytes]:
    """(first line, headers with names in small letters, body) of a request or an answer."""
    head, _, body = (CAPTURES / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}, body


def received(name: str) -> tuple[Answer, Recorder, Envelope]:
    """What is answered to a request, what is stored, and the answer as it is read."""
    _, headers, body = capture(name)
    events = Recorder()
    answer = asyncio.run(
        Mm7Inbox("mmsc", Mm7Options("http://mmsc.test/")).receive(Told("POST", "", headers, body), events)
    )
    return answer, events, envelope.read(answer.octets)


@pytest.mark.parametrize(
    ("name", "arrived", "transaction_id", "dialect"),
    [
        (
            "nokia-deliver",
            ("70707", "Grüße", "Soap", (Media("bubbles.gif", "image/gif", GIF),), "2026-11-30T10:07:07Z"),
            "7V4Y1FL7Z69B4CA9D607R62UPAP5182P",
            ("REL-5-MM7-1-2", "5.3.0"),
        ),
        (
            "skycore-deliver",
            ("222211", "Test message", "", (Media("image_0.gif", "image/gif", GIF),), "2026-11-30T16:15:23.414Z"),
            "2000001",
            ("REL-6-MM7-1-4", "6.8.0"),
        ),
        (
            "vibes-deliver",
            ("222211", "Look", "Grüße", (), "2026-11-30T10:00:00+0000"),
            "aecc3e4a6e065bd6",
            ("REL-6-MM7-1-4", "6.8.0"),
        ),
        (
            "unicom-deliver",
            ("4444", "你好", "你好", (Media("SimpleTeam.gif", "image/gif", GIF),), "2026-11-30T11:57:10+08:00"),
            "50567875009767375926",
            ("REL-6-MM7-1-0", "6.3.0"),
        ),
        (
            "comcel-deliver",
            ("4567", "Hola", "", (), "2026-11-30T10:00:00Z"),
            "0cc175b9c0f1b6a831c399e269772661",
            ("REL-5-MM7-1-2", "5.3.0"),
        ),
        (
            "mbuni-deliver",
            (
                "+61481074190",
                "",
                "",
                (Media("c1796029200.719885386.Wn.msg", "image/gif", GIF),),
                "2026-11-30T10:00:00Z",
            ),
            "local.1796029200.x1.1",
            ("REL-5-MM7-1-0", "5.3.0"),
        ),
    ],
)
def test_messages(name: str, arrived: tuple[Any, ...], transaction_id: str, dialect: tuple[str, str]) -> None:
    answer, events, read = received(name)
    recipient, body, subject, media, stamp = arrived
    (found,) = events.inbound
    assert found == Inbound(
        transport="mmsc",
        channel="mms",
        sender=PHONE,
        recipient=recipient,
        body=body,
        at=found.at,
        details={"subject": subject} if subject else None,
        media=media,
        reference=f"{transaction_id} {stamp}",
    )
    assert abs(found.at - 1_796_032_800) < 24 * 3600
    assert (answer.status, read.name, read.transaction_id) == (200, "DeliverRsp", transaction_id)
    assert read.dialect == Dialect(SCHEMAS + dialect[0], dialect[1])


@pytest.mark.parametrize(
    ("name", "remote_id", "state", "error", "raw", "at", "transaction_id"),
    [
        (
            "lgu-report",
            "65_20261130101500_B_412_346",
            "delivered",
            None,
            "Retrieved 성공",
            1_796_001_300,
            "-575086d4:181221270e3:-15b6",
        ),
        (
            "malaysia-report",
            "13316115@mmsc1",
            "expired",
            "Expired",
            "Expired Message Expired",
            1_796_035_563,
            "13316115",
        ),
        (
            "skycore-report",
            "269500617770864640",
            "failed",
            "Rejected",
            "Rejected Content blocked",
            1_796_047_431,
            "20000001",
        ),
    ],
)
def test_reports(
    name: str, remote_id: str, state: Any, error: str | None, raw: str, at: int, transaction_id: str
) -> None:
    answer, events, read = received(name)
    assert events.receipts == [Receipt("mmsc", remote_id, state, at, error, raw)]
    assert (answer.status, read.name, read.transaction_id) == (200, "DeliveryReportRsp", transaction_id)
    assert read.status == (1000, "Success")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("sinch-taken", Sent(("269500617770864640",), "1000 Request taken")),
        ("sinch-fault", Failed(2007, "2007 Request not understood Message format corrupt")),
        ("skt-error", Failed(6102, "6102 Number is ported")),
        ("skt-refused", Failed(2101, "2101 Content not valid")),
    ],
)
def test_answers(name: str, outcome: Outcome) -> None:
    first, headers, body = capture(name)
    answer = HttpAnswer(int(first.split()[1]), headers["content-type"], body, LATER)
    assert Mm7Transport("mmsc", Mm7Options("http://mmsc.test/")).outcome(answer) == outcome


def test_the_built_in_mmsc_takes_what_other_vasps_send(tmp_path: Path) -> None:
    async def scenario() -> list[Envelope]:
        mmsc = SimulatedMmsc(tmp_path)
        port = await mmsc.start()
        answers = []
        async with ClientSession() as session:
            for name in ("savon-submit", "momentum-submit"):
                _, headers, body = capture(name)
                async with session.post(
                    f"http://127.0.0.1:{port}/", data=body, headers={"Content-Type": headers["content-type"]}
                ) as response:
                    answers.append(envelope.read(await response.read()))
        await mmsc.stop()
        return answers

    answers = asyncio.run(scenario())
    assert [(one.name, one.status[0], one.transaction_id) for one in answers] == [
        ("SubmitRsp", 1000, "1011012713535811111111111"),
        ("SubmitRsp", 1000, "a_transaction_id"),
    ]
    texts = {(one.subject, one.text, one.recipient, len(one.files)) for one in listing(tmp_path)}
    assert texts == {("A test", "Hello", "61491570006", 0), ("Test", "the text", "61491570006", 1)}


def checked(octets: bytes) -> Envelope:
    """A message that was written here, once the schema has found it right."""
    read = envelope.read(octets)
    SCHEMA.assertValid(etree.ElementTree(etree.fromstring(etree.tostring(read.body))))
    assert envelope.misplaced(read) is None
    return read


EVERYTHING: dict[str, Any] = {"vasp_id": "VP", "vas_id": "V", "service_code": "gold", "read_reply": True}


@pytest.mark.parametrize(
    "options",
    [
        {},
        EVERYTHING,
        {**EVERYTHING, "omit": ("ExpiryDate", "DeliveryReport", "TimeStamp")},
        {"sender_form": "short-code", "plus": False},
        {"version": "6.5.0"},
    ],
)
def test_what_is_sent_keeps_to_the_schema(options: dict[str, Any]) -> None:
    tree = submit_request(Mm7Options("http://mmsc.test/", **options), an_mms(), "Grüße 😀")
    read = checked(envelope.write(Dialect(), "SubmitReq", "t", tree))
    assert [envelope.local(child) for child in read.body][:3] == ["MM7Version", "SenderIdentification", "Recipients"]


def test_the_schema_of_these_tests_finds_what_is_wrong() -> None:
    tree: Any = submit_request(Mm7Options("http://mmsc.test/"), an_mms(), "")
    for wrong in (list(reversed(tree)), [*tree, ("Subject", "x")], [("Priority", "Urgent")], tree[1:]):
        body = envelope.read(envelope.write(Dialect(), "SubmitReq", "t", wrong)).body
        assert not SCHEMA.validate(etree.ElementTree(etree.fromstring(etree.tostring(body))))


@pytest.mark.parametrize("name", ["skycore-report", "skycore-deliver"])
def test_what_is_answered_keeps_to_the_schema(name: str) -> None:
    answer, _, _ = received(name)
    checked(answer.octets)


def test_what_cannot_be_understood_is_answered_by_the_schema_too() -> None:
    inbox = Mm7Inbox("mmsc", Mm7Options("http://mmsc.test/"))
    answer = asyncio.run(inbox.receive(Told("POST", "", {}, b"no XML"), Recorder()))
    assert checked(answer.octets).name == "RSErrorRsp"


def test_an_envelope_alone_may_say_that_it_has_parts_but_not_what_is_none() -> None:
    assert opened("multipart/related", b" <a/>") == (b" <a/>", Mms("", "", ()))
    with pytest.raises(envelope.Malformed):
        opened("multipart/related", b"a")
