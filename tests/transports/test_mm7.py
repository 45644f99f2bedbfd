"""MM7: what the transport makes of an MMSC's answers, what the octets look like, and what comes in by itself."""

import asyncio
import base64
from contextlib import AsyncExitStack
from typing import Any

import pytest

from heliograph.transports.base import Failed, Media, Mms, Outcome, Retry, Sent, Told
from heliograph.transports.http.client import AWAY, LATER
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import SCHEMAS, Dialect, Malformed
from heliograph.transports.mm7.inbox import READ, Mm7Inbox
from heliograph.transports.mm7.package import opened, packed
from heliograph.transports.mm7.transport import submit_request
from heliograph.transports.options import Mm7Options
from transports.conformance import Recorder, run, until
from transports.mmsc import PICTURE, an_mms, answering, http, transport
from transports.ports import free_port

DIALECT = Dialect()
OPTIONS = Mm7Options("http://mmsc.test/", inbound_username="carrier", inbound_password="secret")


def said(code: int, words: str = "Words", message_id: str = "", *, fault: bool = False) -> bytes:
    """An answer of an MMSC, as octets of XML."""
    tree: list[Any] = [("MM7Version", "6.8.0"), ("Status", [("StatusCode", str(code)), ("StatusText", words)])]
    tree += [("MessageID", message_id)] if message_id else []
    return envelope.write(DIALECT, "RSErrorRsp" if fault else "SubmitRsp", "MESSAGE-1", tree, fault=fault)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http(said(1000, "Success", "id-1")), Sent(("id-1",), "1000 Success")),
        (http(said(1100, "Partial", "id-1")), Sent(("id-1",), "1100 Partial")),
        (http(said(1000, "Success")), Sent((), "1000 Success")),
        (http(said(1000, "Success", "x" * 501)), Sent((), "1000 Success")),
        (http(said(2002, "Address error")), Failed(2002, "2002 Address error")),
        (http(said(3001, "Blocked")), Failed(3001, "3001 Blocked")),
        (http(said(3000, "Busy")), Retry(LATER, "3000 Busy", 3000)),
        (http(said(4000, "Later"), more="Retry-After: 7\r\n"), Retry(7.0, "4000 Later", 4000)),
        (http(said(4006, "Away", fault=True), "500 Error"), Retry(LATER, "4006 Away", 4006)),
        (http(said(4001, "Who?", fault=True), "500 Error"), Failed(4001, "4001 Who?")),
        (http(b"", "503 Busy", more="Retry-After: 3\r\n"), Retry(3.0, "The carrier answered HTTP 503", 503)),
        (http(b"", "429 Slowly"), Retry(LATER, "The carrier answered HTTP 429", 429)),
        (http(b"", "404 Nothing"), Failed(404, "The carrier answered HTTP 404")),
        (http(b"<html/>"), Retry(AWAY, "The MMSC gave an answer that is no MM7", 200, maybe_sent=True)),
        (http(said(12345)), Retry(AWAY, "The MMSC gave an answer that is no MM7", 200, maybe_sent=True)),
        (b"", Retry(AWAY, "The carrier did not answer", maybe_sent=True)),
    ],
)
def test_what_an_answer_means(answer: bytes, outcome: Outcome) -> None:
    async def scenario() -> None:
        async with answering(lambda _: answer) as port, transport(port) as out:
            assert list(await out.send([an_mms()])) == [outcome]

    run(scenario())


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_an_mmsc_that_does_not_know_us_keeps_its_messages_waiting(status: str) -> None:
    async def scenario() -> None:
        async with answering(lambda _: http(b"", status)) as port, transport(port) as out:
            (outcome,) = await out.send([an_mms()])
            assert isinstance(outcome, Retry)
            assert outcome.waiting
            assert not out.ready

    run(scenario())


def test_an_mmsc_that_a_message_does_not_find_is_looked_for_at_once() -> None:
    async def scenario() -> None:
        port = free_port()
        async with AsyncExitStack() as stack:
            async with answering(lambda _: http(said(1000)), port):
                out = await stack.enter_async_context(transport(port))
            (outcome,) = await out.send([an_mms()])
            assert isinstance(outcome, Retry)
            assert outcome.waiting
            async with answering(lambda _: http(said(1000)), port):
                await until(lambda: out.ready)

    run(scenario())


def test_codes_to_try_again_are_a_setting() -> None:
    async def scenario() -> None:
        async with answering(lambda _: http(said(3001))) as port, transport(port, retry=(3001,)) as out:
            (outcome,) = await out.send([an_mms()])
            assert isinstance(outcome, Retry)

    run(scenario())


def test_the_request_as_the_carrier_gets_it() -> None:
    requests: list[bytes] = []

    async def scenario() -> None:
        def keep(request: bytes) -> bytes:
            requests.append(request)
            return http(said(1000, "Success", "id-1"))

        options = {"username": "ann", "password": "köln", "vasp_id": "VP", "vas_id": "V", "service_code": "gold"}
        async with answering(keep) as port, transport(port, **options) as out:
            await out.send([an_mms(subject="Grüße 😀", text="Schön 😀")])

    run(scenario())
    head, _, body = requests[0].partition(b"\r\n\r\n")
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    }
    assert headers["authorization"] == "Basic " + base64.b64encode("ann:köln".encode()).decode()
    assert headers["soapaction"] == '""'
    assert headers["content-type"].startswith("multipart/related; boundary=")
    assert headers["content-type"].endswith('; type="text/xml"; start="<soap>"')
    soap, message = opened(headers["content-type"], body)
    asked = envelope.read(soap)
    assert (asked.name, asked.transaction_id, envelope.misplaced(asked)) == ("SubmitReq", "MESSAGE-1", None)
    assert asked.text("Subject") == "Grüße 😀"
    assert asked.text("SenderIdentification", "VASPID") == "VP"
    assert asked.text("SenderIdentification", "SenderAddress", "Number") == "+61481074190"
    assert asked.text("Recipients", "To", "Number") == "+61411111111"
    assert asked.text("ServiceCode") == "gold"
    assert (message.text, message.media) == ("Schön 😀", (PICTURE,))
    assert b'<img src="cid:picture.gif"' in body
    content = asked.child("Content")
    assert content is not None
    assert content.get("href") == "cid:content"
    assert b"Content-ID: <content>" in body


@pytest.mark.parametrize("optional", ["MessageClass", "TimeStamp", "ExpiryDate", "DeliveryReport", "Priority"])
def test_optional_elements_can_be_left_out_one_by_one(optional: str) -> None:
    names = [name for name, _ in submit_request(OPTIONS, an_mms(), "Hello")]
    assert optional in names
    without = Mm7Options("http://mmsc.test/", omit=(optional,))  # type: ignore[arg-type]
    assert [name for name, _ in submit_request(without, an_mms(), "Hello")] == [n for n in names if n != optional]


@pytest.mark.parametrize(
    ("options", "sender", "address"),
    [
        ({}, "+61481074190", ("Number", "+61481074190")),
        ({"plus": False}, "+61481074190", ("Number", "61481074190")),
        ({}, "12345", ("ShortCode", "12345")),
        ({"sender_form": "number"}, "12345", ("Number", "+12345")),
        ({"sender_form": "short-code"}, "+61481074190", ("ShortCode", "61481074190")),
    ],
)
def test_forms_of_the_sender(options: dict[str, Any], sender: str, address: tuple[str, str]) -> None:
    tree = dict(submit_request(Mm7Options("http://mmsc.test/", **options), an_mms(sender=sender), ""))
    assert dict(tree["SenderIdentification"])["SenderAddress"] == [address]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("release", "version", "namespace", "told"),
    [
        ("REL-5-MM7-1-0", "", SCHEMAS + "REL-5-MM7-1-0", "5.3.0"),
        ("REL-6-MM7-1-4", "6.5.0", SCHEMAS + "REL-6-MM7-1-4", "6.5.0"),
        ("http://carrier.test/mm7", "5.1", "http://carrier.test/mm7", "5.1"),
    ],
)
def test_releases(release: str, version: str, namespace: str, told: str) -> None:
    seen: list[envelope.Envelope] = []

    async def scenario() -> None:
        def keep(request: bytes) -> bytes:
            head, _, body = request.partition(b"\r\n\r\n")
            kind = next(line for line in head.decode().split("\r\n") if line.startswith("Content-Type"))
            seen.append(envelope.read(opened(kind.partition(": ")[2], body)[0], namespace))
            return http(said(1000, "", "1").replace(DIALECT.namespace.encode(), namespace.encode()))

        async with answering(keep) as port, transport(port, release=release, version=version) as out:
            (outcome,) = await out.send([an_mms()])
            assert isinstance(outcome, Sent)

    run(scenario())
    assert seen[0].dialect == (namespace, told)


def report(status: str = "Retrieved", name: str = "DeliveryReportReq", message_id: str = "id-1") -> bytes:
    tree: list[Any] = [("MM7Version", "5.3.0")]
    tree += [("MessageID", message_id)] if message_id else []
    tree += [("Recipient", [("Number", "61411111111")]), ("Sender", [("Number", "123")])]
    tree += [("Date", "2026-11-30T10:00:00+01:00"), ("MMStatus", status), ("StatusText", "as the phone says")]
    return envelope.write(Dialect(SCHEMAS + "REL-5-MM7-1-0", "5.3.0"), name, "tx-9", tree)


async def receive(octets: bytes, kind: str = "text/xml") -> tuple[Any, Recorder]:
    events = Recorder()
    return await Mm7Inbox("mmsc", OPTIONS).receive(Told("POST", "", {"content-type": kind}, octets), events), events


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        ("Retrieved", "delivered", None),
        ("Expired", "expired", "Expired"),
        ("Rejected", "failed", "Rejected"),
        ("Deferred", "enroute", None),
        ("Indeterminate", "enroute", None),
        ("Forwarded", "enroute", None),
        ("Unrecognised", "enroute", None),
        ("Something new", "enroute", None),
    ],
)
def test_a_report_is_stored_and_acknowledged_in_its_own_release(status: str, state: str, error: str | None) -> None:
    answer, events = asyncio.run(receive(report(status)))
    (receipt,) = events.receipts
    assert (receipt.transport, receipt.remote_id, receipt.state, receipt.error) == ("mmsc", "id-1", state, error)
    assert receipt.at == 1796029200
    assert receipt.raw == f"{status} as the phone says"
    told = envelope.read(answer.octets)
    assert (answer.status, told.name, told.transaction_id) == (200, "DeliveryReportRsp", "tx-9")
    assert told.status == (1000, "Success")
    assert told.dialect == Dialect(SCHEMAS + "REL-5-MM7-1-0", "5.3.0")


def test_a_read_reply_changes_nothing_and_is_noted() -> None:
    answer, events = asyncio.run(receive(report("Indeterminate", "ReadReplyReq")))
    assert [(receipt.state, receipt.raw) for receipt in events.receipts] == [("enroute", READ)]
    assert envelope.read(answer.octets).name == "ReadReplyRsp"


def test_a_report_that_cannot_be_stored_is_not_acknowledged() -> None:
    events = Recorder()
    events.failures.append(RuntimeError("the database is away"))
    with pytest.raises(RuntimeError):
        asyncio.run(Mm7Inbox("mmsc", OPTIONS).receive(Told("POST", "", {}, report()), events))


@pytest.mark.parametrize(
    ("sender", "number"),
    [
        ([("Number", "61411111111")], "+61411111111"),
        ([("Number", "+61411111111/TYPE=PLMN")], "+61411111111"),
        ([("ShortCode", "12345")], "12345"),
        ([("RFC2822Address", "ann@example.com")], "ann@example.com"),
    ],
)
def test_a_message_arrives_with_all_its_parts(sender: list[tuple[str, str]], number: str) -> None:
    video = Media("film.mp4", "video/mp4", bytes(range(256)) * 1200)
    tree: Any = [
        ("MM7Version", "6.8.0"),
        ("LinkedID", "l"),
        ("Sender", sender),
        ("Recipients", [("To", [("Number", "+61481074190")])]),
        ("Subject", "Holiday"),
        ("Content", {"href": "cid:content"}),
    ]
    soap = envelope.write(DIALECT, "DeliverReq", "tx-1", tree)

    async def scenario() -> tuple[Any, Recorder]:
        kind, octets = await packed(soap, Mms("", "Grüße 😀", (PICTURE, PICTURE, video)))
        return await receive(octets, kind)

    answer, events = asyncio.run(scenario())
    (arrived,) = events.inbound
    assert (arrived.channel, arrived.sender, arrived.recipient) == ("mms", number, "+61481074190")
    assert (arrived.body, arrived.details) == ("Grüße 😀", {"subject": "Holiday"})
    assert arrived.media == (PICTURE, PICTURE, video)
    assert envelope.read(answer.octets).name == "DeliverRsp"


LAUGHS = b"".join(
    [b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">']
    + [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">'.encode() for n in range(1, 10)]
    + [b"]><x>&a9;</x>"]
)


NESTED = b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(500))


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        ("text/xml", b""),
        ("text/xml", b"\x00\xff" * 1000),
        ("text/xml", LAUGHS),
        ("text/xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'),
        ("text/xml", b"<a>" * 100_000),
        ("text/xml", report().replace(b"MM7-1-0", b"X").replace(SCHEMAS.encode(), b"urn:other")),
        ("text/xml", report(message_id="")),
        ("text/xml", report(message_id="x" * 501)),
        ("text/xml", report(name="SubmitReq")),
        ("text/xml", report().replace(b"</env:Body>", b"<other/></env:Body>")),
        ("text/xml", b"\x1f\x8b" + bytes(100)),
        ("multipart/related", b"no boundary"),
        ("multipart/related; boundary=x", b"--x\r\n\r\n" * 500 + b"--x--"),
        ("multipart/related; boundary=x", b"--x\r\n\r\n" * 50_000 + b"--x--"),
        (
            "multipart/related; boundary=b0",
            NESTED,
        ),
        ("multipart/related; boundary=x\r\ny", b"--x--"),
    ],
)
def test_what_is_broken_is_refused_and_stored_nowhere(kind: str, octets: bytes) -> None:
    answer, events = asyncio.run(receive(octets, kind))
    assert answer.status == 400
    told = envelope.read(answer.octets)
    assert (told.name, told.status[0]) == ("RSErrorRsp", envelope.CORRUPT)
    assert not events.receipts
    assert not events.inbound


@pytest.mark.parametrize("wrong", [report(message_id=""), report(name="SubmitReq")])
def test_what_is_refused_is_answered_by_its_own_transaction_and_release(wrong: bytes) -> None:
    answer, _ = asyncio.run(receive(wrong))
    told = envelope.read(answer.octets)
    assert (answer.status, told.name, told.transaction_id) == (400, "RSErrorRsp", "tx-9")
    assert told.dialect == Dialect(SCHEMAS + "REL-5-MM7-1-0", "5.3.0")


@pytest.mark.parametrize(
    ("header", "admitted"),
    [
        ("Basic " + base64.b64encode(b"carrier:secret").decode(), True),
        ("basic " + base64.b64encode(b"carrier:secret").decode(), True),
        ("Basic " + base64.b64encode(b"carrier:wrong").decode(), False),
        ("Bearer " + base64.b64encode(b"carrier:secret").decode(), False),
        ("Basic %%%", False),
        ("Basic é", False),
        ("", False),
    ],
)
def test_who_may_report(header: str, admitted: bool) -> None:
    assert Mm7Inbox("mmsc", OPTIONS).admits(header) is admitted


def test_without_a_password_nobody_may_report() -> None:
    header = "Basic " + base64.b64encode(b":").decode()
    assert not Mm7Inbox("mmsc", Mm7Options("http://mmsc.test/")).admits(header)


def test_a_message_that_stands_at_a_wrong_place_is_told() -> None:
    tree: Any = [("MM7Version", "6.8.0"), ("Subject", "x"), ("Priority", "Normal")]
    read = envelope.read(envelope.write(DIALECT, "SubmitReq", "t", tree))
    assert envelope.misplaced(read) == "Priority stands at a wrong place in SubmitReq"


def test_a_fault_without_mm7_is_told_by_its_words() -> None:
    fault = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>'
        b"<faultcode>x</faultcode><faultstring>Out of order</faultstring></e:Fault></e:Body></e:Envelope>"
    )
    with pytest.raises(Malformed, match="SOAP Fault: Out of order"):
        envelope.read(fault)
