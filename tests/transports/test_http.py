"""Carriers with an HTTP API of their own: the template, what its answers mean, receipts and replies."""

import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from heliograph.transports.base import (
    Failed,
    Inbound,
    Media,
    MessageKey,
    Mms,
    Outcome,
    Outgoing,
    Retry,
    Sent,
    SmsText,
    Told,
)
from heliograph.transports.http.client import LATER
from heliograph.transports.http.inbox import TemplateInbox
from heliograph.transports.http.template import every, fault, filled, found
from heliograph.transports.http.transport import TemplateTransport
from heliograph.transports.options import HttpOptions, HttpReceipts, HttpReplies
from heliograph.transports.sandbox.mmsc import Listener
from transports.conformance import Conformance, Fate, Peer, Recorder, run, sms, until
from transports.mmsc import answering, http
from transports.ports import free_port

JSON: dict[str, Any] = {
    "messages": [{"to": "{recipient}", "from": "{sender}", "body": "{text}", "ref": "our {message_id}"}],
    "until": "{valid_until}",
    "files": "{media_urls}",
    "static": [True, 3, None],
}
NUMBERS: Mapping[Fate, str] = {"taken": "+611", "refused": "+612", "put off": "+613", "cut": "+614"}


class Carrier(Peer):
    """A carrier whose answers depend on the recipient."""

    def __init__(self) -> None:
        self._port = free_port()
        self._taken = 0
        self._listener = Listener(self._answer)

    async def start(self) -> None:
        self._listener = Listener(self._answer)
        await self._listener.start(self._port)

    async def stop(self) -> None:
        await self._listener.stop()

    async def _answer(self, request: web.Request) -> web.Response:
        message = (await request.json())["messages"][0]
        if message["to"] == NUMBERS["refused"]:
            return web.json_response({"error": {"code": "21211"}}, status=400)
        if message["to"] == NUMBERS["put off"]:
            return web.json_response({"error": {"code": "busy"}}, status=503)
        self._taken += 1
        if message["to"] == NUMBERS["cut"] and request.transport is not None:
            request.transport.abort()
        return web.json_response({"data": [{"id": f"id-{self._taken}"}]}, status=201)

    def transport(self) -> TemplateTransport:
        options = HttpOptions(
            f"http://127.0.0.1:{self._port}/", json=JSON, id="data.0.id", error="error.code", timeout=20.0
        )
        return TemplateTransport("carrier", options, look_again=0.01)

    def message(self, fate: Fate, number: int) -> Outgoing:
        return sms(NUMBERS[fate], number=number)

    @property
    def taken(self) -> int:
        return self._taken


class TestConformance(Conformance):
    def peer(self) -> Peer:
        return Carrier()


REPLIES = HttpReplies(sender="from", recipient="to", text="text")


def an_mms(text: str = 'He said: "{text}" & more\n', url: str = "https://example.com/files/A.jpg") -> Outgoing:
    content = Mms("Grüße", text, (Media("a.jpg", "image/jpeg", b"", url),))
    return Outgoing(MessageKey(7, "mms", "ID-1"), "+61481074190", "+61411111111", content, 1_800_000_000)


def options(**given: Any) -> HttpOptions:
    return HttpOptions("https://api.example/v1", carries=("sms", "mms"), **given)


def test_values_in_json_keep_their_types_and_are_filled_once() -> None:
    request = filled(options(json=JSON), an_mms())
    assert not isinstance(request, Failed)
    assert (request.method, request.url) == ("POST", "https://api.example/v1")
    assert request.headers["Content-Type"] == "application/json"
    assert msgspec.json.decode(request.body or b"") == {
        "messages": [
            {
                "to": "+61411111111",
                "from": "+61481074190",
                "body": 'He said: "{text}" & more\n',
                "ref": "our ID-1",
            }
        ],
        "until": 1_800_000_000,
        "files": ["https://example.com/files/A.jpg"],
        "static": [True, 3, None],
    }


def test_a_form_is_encoded() -> None:
    request = filled(options(form={"to": "{recipient_digits}", "text": "{text}", "file": "{media_url}"}), an_mms())
    assert not isinstance(request, Failed)
    assert parse_qs((request.body or b"").decode()) == {
        "to": ["61411111111"],
        "text": ['He said: "{text}" & more\n'],
        "file": ["https://example.com/files/A.jpg"],
    }


def test_a_get_has_its_form_in_the_query_and_values_in_the_path_are_quoted() -> None:
    made = HttpOptions("https://api.example/{text}/x?a=1", method="GET", form={"to": "{recipient}"})
    request = filled(made, sms("+61411111111", text="a/b?c=d&é"))
    assert not isinstance(request, Failed)
    assert request.body is None
    path, _, query = request.url.partition("?")
    assert unquote(path) == "https://api.example/a/b?c=d&é/x"
    assert "/a%2Fb%3Fc%3Dd%26" in path
    assert parse_qs(query) == {"a": ["1"], "to": ["+61411111111"]}


def test_headers_and_the_login() -> None:
    made = options(headers={"X-Key": "secret", "X-Id": "{message_id}"}, username="ann", password="x:y")
    request = filled(made, an_mms())
    assert not isinstance(request, Failed)
    assert request.headers["X-Id"] == "ID-1"
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"ann:x:y").decode()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (options(headers={"X-Text": "{text}"}), an_mms("a\r\nX-Evil: 1")),
        (options(headers={"X-Text": "{text}"}), an_mms("é")),
        (options(form={"text": "{text}"}), an_mms("\ud83d")),
        (options(form={"text": "{text}"}), an_mms(url="")),
        (HttpOptions("https://api.example/"), an_mms()),
        (HttpOptions("https://api.example/", carries=("mms",)), sms("+61411111111")),
    ],
)
def test_what_cannot_be_asked_fails_before_the_carrier_sees_it(made: HttpOptions, message: Outgoing) -> None:
    refused = filled(made, message)
    assert isinstance(refused, Failed)
    assert refused.code is None


def test_a_long_message_is_whole() -> None:
    message = Outgoing(MessageKey(7, "sms", "1"), "1", "+611", SmsText(("a" * 153, "b" * 20), False), int(time.time()))
    request = filled(options(json={"text": "{text}"}), message)
    assert not isinstance(request, Failed)
    assert msgspec.json.decode(request.body or b"") == {"text": "a" * 153 + "b" * 20}


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (options(json={"a": {"b": ["{nobody}"]}}), "json"),
        (options(form={"a": "{}"}), "form"),
        (options(headers={"a": "{Text}"}), "headers"),
        (options(json={"a": 1}, form={"a": "1"}), "json"),
        (options(json={"a": 1}, method="GET"), "json"),
        (HttpOptions("https://{sender}.example/"), "url"),
        (HttpOptions("https://api.example/{recipients}"), "url"),
        (HttpOptions("https://api.example/", carries=()), "carries"),
        (HttpOptions("https://api.example/", replies=replace(REPLIES, content="c")), "replies"),
        (HttpOptions("https://api.example/", replies=replace(REPLIES, media="m")), "replies"),
        (HttpOptions("https://api.example/", replies=REPLIES), ""),
        (options(replies=replace(REPLIES, media="m")), ""),
        (options(json=JSON), ""),
    ],
)
def test_a_wrong_template_is_found_before_it_is_used(made: HttpOptions, key: str) -> None:
    wrong = fault(made)
    assert (wrong[0] if wrong else "") == key


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.0.id", "7"),
        ("data.1.id", ""),
        ("data.00000000000000000000001.id", ""),
        ("data.x", ""),
        ("data", ""),
        ("flag", ""),
        ("number", "1.5"),
        ("none", ""),
        ("", ""),
        ("word.x", ""),
    ],
)
def test_paths(path: str, value: str) -> None:
    document = {"data": [{"id": 7}], "flag": True, "number": 1.5, "none": None, "word": "text"}
    assert found(document, path) == value


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("media.*.url", ["a", "b"]),
        ("media.2.url", ["b"]),
        ("links", ["x", "7"]),
        ("links.*", ["x", "7"]),
        ("one", ["1"]),
        ("MediaUrl*", ["m0", "m2", "m10"]),
        ("parts.*.*.url", ["c", "d"]),
        ("media.*", ["text"]),
        ("none.*", []),
        ("one.*", []),
        ("*", []),
        ("", []),
    ],
)
def test_paths_with_a_star(path: str, values: list[str]) -> None:
    document = {
        "media": [{"url": "a"}, {"size": 3}, {"url": "b"}, "text"],
        "links": ["x", None, True, 7, {}],
        "one": 1,
        "MediaUrl10": "m10",
        "MediaUrl0": "m0",
        "MediaUrl2": "m2",
        "MediaUrlX": "no",
        "MediaUrl": "no",
        "MediaUrl" + "1" * 5000: "no",
        "parts": [[{"url": "c"}], [{"url": "d"}]],
    }
    assert every(document, path) == values


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http(b'{"data":{"id":7}}', kind="application/json"), Sent(("7",), "HTTP 200")),
        (http(b"OK", "202 Accepted"), Sent((), "HTTP 202")),
        (http(b'{"error":"x1"}'), Failed(200, "The carrier answered HTTP 200 x1")),
        (http(b'{"error":"12"}'), Retry(LATER, "The carrier answered HTTP 200 12", 12)),
        (http(b'{"error":"x1"}', "400 Bad"), Failed(400, "The carrier answered HTTP 400 x1")),
        (http(b'{"data":{"id":"%s"}}' % (b"x" * 501)), Sent((), "HTTP 200")),
        (http(b"", "404 No"), Failed(404, "The carrier answered HTTP 404")),
        (http(b"", "503 Busy", more="Retry-After: 9\r\n"), Retry(9.0, "The carrier answered HTTP 503", 503)),
        (http(b"", "302 Found", more="Location: http://127.0.0.1/\r\n"), Failed(302, "The carrier answered HTTP 302")),
        (http(b"[" * 100_000, kind="application/json"), Sent((), "HTTP 200")),
    ],
)
def test_what_an_answer_means(answer: bytes, outcome: Outcome) -> None:
    async def scenario() -> None:
        async with answering(lambda _: answer) as port:
            made = HttpOptions(f"http://127.0.0.1:{port}/", id="data.id", error="error", retry=("503", "12"))
            transport = TemplateTransport("carrier", made)
            await transport.open(Recorder())
            await until(lambda: transport.ready)
            assert list(await transport.send([sms("+61411111111")])) == [outcome]
            await transport.close()

    run(scenario())


INBOX = TemplateInbox(
    "carrier",
    HttpOptions(
        "https://api.example/",
        inbound_username="carrier",
        inbound_password="secret",
        receipts=HttpReceipts(id="message.id", status="message.state", error="message.code", failed=("dead",)),
        replies=REPLIES,
    ),
)


def told(octets: bytes, kind: str = "application/json", query: str = "") -> tuple[int, Recorder]:
    events = Recorder()
    answer = asyncio.run(INBOX.receive(Told("POST", query, {"content-type": kind}, octets), events))
    return answer.status, events


@pytest.mark.parametrize(("word", "state"), [("delivered", "delivered"), ("dead", "failed"), ("sent", "enroute")])
def test_a_receipt_is_read_by_the_mapping(word: str, state: str) -> None:
    status, events = told(msgspec.json.encode({"message": {"id": 7, "state": word, "code": 30003}}))
    (receipt,) = events.receipts
    assert status == 200
    assert (receipt.remote_id, receipt.state, receipt.error, receipt.raw) == ("7", state, "30003", word)


@pytest.mark.parametrize(
    ("octets", "kind", "query"),
    [
        (b'{"from":"+61411111111","to":"+61481074190","text":"STOP"}', "application/json", ""),
        (b"from=%2B61411111111&to=%2B61481074190&text=STOP", "application/x-www-form-urlencoded", ""),
        (b"", "", "from=%2B61411111111&to=%2B61481074190&text=STOP"),
    ],
)
def test_a_reply_comes_as_json_as_a_form_or_in_the_query(octets: bytes, kind: str, query: str) -> None:
    status, events = told(octets, kind, query)
    (arrived,) = events.inbound
    assert status == 200
    assert (arrived.channel, arrived.sender, arrived.recipient, arrived.body) == (
        "sms",
        "+61411111111",
        "+61481074190",
        "STOP",
    )


@pytest.mark.parametrize(
    "octets",
    [
        b'{"message":{"id":"' + b"x" * 501 + b'","state":"delivered"}}',
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"{" * 100_000,
        b'{"message":{"id":7}}',
        b"a&" * 200,
    ],
)
def test_what_is_neither_is_refused_and_stored_nowhere(octets: bytes) -> None:
    status, events = told(octets)
    assert status == 400
    assert not events.receipts
    assert not events.inbound


def test_no_text_has_what_databases_refuse() -> None:
    _, events = told(b'{"message":{"id":"7\\u0000","state":"dead\\u0000","code":"a\\u0000b"}}')
    assert [(one.remote_id, one.raw, one.error) for one in events.receipts] == [("7", "dead", "ab")]
    found = arrived({"from": "+611\0", "to": "\0+612", "text": "a\0b", "media": [{"url": "https://m.example/\0"}]})
    assert (found.sender, found.recipient, found.body, found.links) == ("+611", "+612", "ab", ("https://m.example/",))


def arrived(document: dict[str, Any] | bytes, kind: str = "application/json", **options: Any) -> Inbound:
    """What a carrier of MMS brings, whose files stand in `media` and `content`."""
    replies = replace(REPLIES, media="media.*.url", content="content", subject="subject")
    usual: dict[str, Any] = {"carries": ("sms", "mms"), "replies": replies}
    inbox = TemplateInbox("carrier", HttpOptions("https://api.example:443/v1/{recipient}", **{**usual, **options}))
    events = Recorder()
    octets = document if isinstance(document, bytes) else msgspec.json.encode(document)
    assert asyncio.run(inbox.receive(Told("POST", "", {"content-type": kind}, octets), events)).status == 200
    (found,) = events.inbound
    return found


def test_a_message_with_files_is_an_mms_and_one_without_is_not() -> None:
    ends = {"from": "+61411111111", "to": "+61481074190", "text": "Look"}
    plain = arrived(ends)
    assert (plain.channel, plain.media, plain.links, plain.details) == ("sms", (), (), None)
    links = [{"url": "https://media.example/1"}, {"url": "https://media.example/2"}]
    found = arrived({**ends, "text": "", "subject": "Holiday", "media": links})
    assert (found.channel, found.body, found.details) == ("mms", "Holiday", {"subject": "Holiday"})
    assert found.links == ("https://media.example/1", "https://media.example/2")


@pytest.mark.parametrize("given", ["R0lGODlh", "data:image/gif;base64,R0lGODlh"])
def test_files_that_come_along_are_read(given: str) -> None:
    found = arrived({"from": "+611", "to": "+612", "text": "", "content": [given, "no base64!", "é", given]})
    assert (found.channel, found.media) == ("mms", (Media("file", "", b"GIF89a"),) * 2)


def test_a_field_of_a_form_may_come_several_times_or_have_a_number() -> None:
    told = b"from=%2B611&to=%2B612&text=a&media=https%3A%2F%2Fm.example%2F1&media=https%3A%2F%2Fm.example%2F2"
    kind = "application/x-www-form-urlencoded"
    both = ("https://m.example/1", "https://m.example/2")
    assert arrived(told, kind, replies=replace(REPLIES, media="media")).links == both
    told = (
        b"from=%2B611&to=%2B612&text=a&NumMedia=2&MediaUrl1=https%3A%2F%2Fm.example%2F2&MediaUrl0=" + both[0].encode()
    )
    assert arrived(told, kind, replies=replace(REPLIES, media="MediaUrl*")).links == both


@pytest.mark.parametrize(
    ("link", "fetched"),
    [
        ("https://api.example/m/1?x=@", "https://us%40er:p%3A%2F@api.example/m/1?x=@"),
        ("https://API.example:443/m", "https://us%40er:p%3A%2F@API.example:443/m"),
        ("http://api.example/m", "http://api.example/m"),
        ("https://api.example:8443/m", "https://api.example:8443/m"),
        ("https://api.example.evil/m", "https://api.example.evil/m"),
        ("https://evil/@api.example/m", "https://evil/@api.example/m"),
        ("https://x@api.example/m", "https://x@api.example/m"),
        ("https://[/m", "https://[/m"),
        ("no link", "no link"),
    ],
)
def test_only_the_carriers_own_server_gets_our_login(link: str, fetched: str) -> None:
    ends = {"from": "+611", "to": "+612", "text": "", "media": [{"url": link}]}
    assert arrived(ends, username="us@er", password="p:/").links == (fetched,)
    assert arrived(ends).links == (link,)
