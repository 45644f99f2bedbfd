"""What comes over the wire: bodies of every size and kind, verbs, slashes, and that a refusal leaves no trace."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.messaging import polling
from support.server import ONE_DATABASE, Api, Running
from support.unjudged import ask, ask_once, connect, token

NUMBER = "+61491570006"
SEND = {"messages": [{"to": NUMBER, "body": "Hello"}]}
ENVELOPE = ["http_code", "response_code", "response_msg", "data"]


@pytest.fixture
def wire(api: Api) -> Iterator[http.client.HTTPConnection]:
    made = connect(api)
    yield made
    made.close()


def pieces(raw: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_chunked_body_is_a_body(wire: http.client.HTTPConnection, api: Api, size: int) -> None:
    raw = json.dumps(SEND).encode()
    status, answer, _ = ask(wire, api, "POST", "/v3/sms/send", pieces(raw, size))
    assert (status, answer["data"]["queued_count"]) == (200, 1)


@pytest.mark.parametrize("chunked", [False, True])
def test_ten_megabytes_are_refused_and_the_next_request_is_served(api: Api, chunked: bool) -> None:
    raw = json.dumps({"messages": [{"to": NUMBER, "body": "x" * 10_000_000}]}).encode()
    body: Any = pieces(raw, 65536) if chunked else raw
    try:
        status, answer, _ = ask_once(api, "POST", "/v3/sms/send", body)
    except (BrokenPipeError, ConnectionResetError):
        status, answer = 413, None  # it hung up on us before we were done
    assert status == 413
    if answer is not None:
        assert answer["response_code"] == "BAD_REQUEST"
        assert answer["data"] is None
    assert api.get("/sms/history")["total"] == 0


def test_the_largest_body_that_is_read(tmp_path: Path) -> None:
    server = Running(tmp_path, max_body=2000)
    api = server.account()
    for length, status in ((2000, 200), (2001, 413)):
        raw = json.dumps({"template_name": "a", "body": ""}).encode()
        raw = raw[:-2] + b"x" * (length - len(raw)) + raw[-2:]
        assert len(raw) == length
        assert api.call("POST", "/sms/templates", raw).status == status
    server.close_clients()
    server.stop()


def test_a_thousand_messages_and_one_more(api: Api) -> None:
    many = [{"to": NUMBER, "body": f"text {number}"} for number in range(1001)]
    refused = api.call("POST", "/sms/send", {"messages": many})
    assert (refused.status, list(refused.data)) == (400, ["messages"])
    assert api.get("/sms/history")["total"] == 0
    assert api.call("POST", "/sms/price", {"messages": many[:1000]}).data["total_count"] == 1000


@ONE_DATABASE
@pytest.mark.parametrize(
    ("raw", "field"),
    [
        *((raw, "body") for raw in (b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"{}{}", b"{'a':1}", b"\x00")),
        *((raw, "body") for raw in (b"[" * 200_000, b'{"messages":' * 200_000, b'{"a":' * 50_000 + b"1")),
        *((raw, "body") for raw in (b'{"messages":[{"to":"\\ud800"}]}', '{"messages":[]}'.encode("utf-16"))),
        *((raw, "messages") for raw in (b"", b"{}", b'{"messages":[]}', b'{"messages":null}', b'{"messages":""}')),
        *((raw, "messages") for raw in (b'{"messages":{}}', b'{"messages":"x"}', b'{"messages":1}')),
        *((raw, "messages.0") for raw in (b'{"messages":[1]}', b'{"messages":[null]}', b'{"messages":[[]]}')),
        (b'{"messages":[{"to":"+61491570006","body":"\\u0000"}]}', "messages.0.body"),
        (b'{"messages":[{"to":{},"body":"x"}]}', "messages.0.to"),
    ],
)
def test_bodies_that_are_none(api: Api, raw: bytes, field: str) -> None:
    answer = api.call("POST", "/sms/send", raw)
    assert (answer.status, answer.body["response_code"], list(answer.data)) == (400, "BAD_REQUEST", [field])
    assert list(answer.body) == ENVELOPE
    assert api.get("/sms/history")["total"] == 0
    assert api.get("/account")["balance"] == "100.000000"


def test_a_body_of_nothing_but_faults_has_a_short_answer(api: Api) -> None:
    answer = api.call("POST", "/sms/send", b'{"messages":[' + b"1," * 1_000_000 + b"1]}")
    assert answer.status == 400
    assert len(answer.raw) < 20_000


def test_the_last_of_doubled_keys_counts(api: Api) -> None:
    raw = b'{"template_name": "first", "body": "b", "template_name": "last"}'
    assert api.call("POST", "/sms/templates", raw).data["template_name"] == "last"


@pytest.mark.parametrize(
    "kind",
    ["", "applicaiton/json", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"],
)
def test_the_content_type_does_not_matter(wire: http.client.HTTPConnection, api: Api, kind: str) -> None:
    raw = json.dumps({"template_name": "Zażółć", "body": "b"}, ensure_ascii=False).encode()
    status, answer, headers = ask(
        wire, api, "POST", "/v3/sms/templates", raw, **({"Content-Type": kind} if kind else {})
    )
    assert (status, answer["data"]["template_name"]) == (200, "Zażółć")
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("accept", ["text/json", "text/html", "*/*", "image/png"])
def test_what_is_accepted_does_not_matter(api: Api, accept: str) -> None:
    assert api.call("GET", "/account", headers={"Accept": accept}).status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_where_none_belongs_is_ignored(api: Api, method: str) -> None:
    key = api.post("/sms/templates", {"template_name": "a", "body": "b"})["template_id"]
    path = "/account" if method == "GET" else f"/sms/templates/{key}"
    assert api.call(method, path, b"{nonsense").status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/account", 200), ("/account/", 200), ("/account///", 200), ("/account?x=1", 200), ("/account/?", 200)),
        *(("//account", 200), ("/sms//history", 200), ("/Account", 404), ("/account/x", 404), ("/.", 404)),
        *(
            ("/%61ccount", 200),
            ("/account%2F", 200),
            ("/sms%2Fhistory", 200),
            ("/account%00", 404),
            ("/account.json", 404),
        ),
        *(("/sms/templates/%2e%2e", 405), ("/../v3/account", 404), ("/sms/history;x", 404), ("/%F0%9F%98%80", 404)),
        ("/%FF%FE", 404),
    ],
)
def test_paths(api: Api, path: str, status: int) -> None:
    found, answer, _ = ask_once(api, "GET", "/v3" + path)
    assert found == status
    if status == 404:
        assert answer == {
            "http_code": 404,
            "response_code": "NOT_FOUND",
            "response_msg": "Invalid endpoint. Please try again.",
            "data": None,
        }


@ONE_DATABASE
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *(("GET", "/sms/send", "POST"), ("POST", "/sms/history", "GET"), ("PATCH", "/sms/templates", "GET, POST")),
        *(
            ("GET", "/sms/templates/1", "DELETE, PUT"),
            ("DELETE", "/account", "GET, POST, PUT"),
        ),
    ],
)
def test_a_wrong_verb(api: Api, method: str, path: str, allowed: str) -> None:
    answer = api.call(method, path, b"")
    assert answer.status == 405
    assert answer.body == {
        "http_code": 405,
        "response_code": "METHOD_NOT_ALLOWED",
        "response_msg": "Method doesn't exist or is not allowed.",
        "data": None,
    }
    assert answer.headers["allow"] == allowed


def test_a_head_has_no_body_and_the_connection_lives_on(wire: http.client.HTTPConnection, api: Api) -> None:
    for path in ("/v3/account", "/v3/nothing", "/v3/sms/send"):
        wire.request("HEAD", path, headers={"Authorization": token(api)})
        answer = wire.getresponse()
        assert answer.status == (404 if path == "/v3/nothing" else 405)
        assert answer.read() == b""
    assert ask(wire, api, "GET", "/v3/account")[0] == 200


@ONE_DATABASE
@pytest.mark.parametrize("path", ["/v3/account", "/v3/sms/send", "/v3/nothing"])
def test_options_ask_for_nothing_and_get_nothing(wire: http.client.HTTPConnection, api: Api, path: str) -> None:
    for headers in ({}, {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}):
        wire.request("OPTIONS", path, headers=headers)
        answer = wire.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
        assert "access-control-allow-origin" not in answer.headers
    assert ask(wire, api, "GET", "/v3/account")[0] == 200


def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    answers = [api.call("GET", path) for path in ("/account", "/account", "/nothing", "/sms/send")]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 4
    sent = api.call("POST", "/sms/send", SEND)
    steps = api.get(f"/sms/{sent.data['messages'][0]['message_id']}/timeline")
    assert sent.headers["x-request-id"] in steps[0]["detail"]


@pytest.mark.parametrize(
    "query",
    ["%", "%zz", "a=%FF", "a=%00", "=&=", "&" * 2000, "a=" + "b" * 5000, "page=1&page=x&page=2", "?", "%E2%82%AC"],
)
def test_query_strings(api: Api, query: str) -> None:
    answer = api.call("GET", f"/sms/templates?{query}")
    assert answer.status == (400 if query in ("a=%FF", "&" * 2000) else 200), answer.raw


def test_a_hundred_and_one_fields_of_a_query_are_refused(api: Api) -> None:
    answer = api.call("GET", "/sms/templates?" + "&".join(f"f{n}=1" for n in range(101)))
    assert (answer.status, answer.body["response_code"]) == (400, "BAD_REQUEST")


@ONE_DATABASE
@pytest.mark.parametrize(
    "head",
    [
        b"GET /v3/account HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"GET /v3/account HTTP/1.1\r\nHost: x\r\nAuthorization: " + b"x" * 200_000 + b"\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    ],
)
def test_what_is_no_http_harms_nobody(api: Api, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=30) as raw:
        try:
            raw.sendall(head)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(100)
        except OSError:
            answer = b""
    assert answer in (b"",) or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 4"))
    assert api.get("/account")["user_id"] == api.user_id


@pytest.mark.parametrize("left", [0, 1, 20])
def test_a_request_that_breaks_off_does_nothing(api: Api, left: int) -> None:
    """With nothing left of the JSON, only the announced length says that it is not whole."""
    raw = json.dumps(SEND).encode()
    head = f"POST /v3/sms/send HTTP/1.1\r\nHost: x\r\nAuthorization: {token(api)}\r\nContent-Length: {len(raw) + 2}"
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + raw[: len(raw) - left])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    assert api.get("/sms/history")["total"] == 0


@ONE_DATABASE
@pytest.mark.parametrize(
    "sent",
    [b"Content-Length: 27\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1b\r\n"],
)
def test_a_request_that_breaks_off_before_its_body_does_nothing(
    api: Api, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a body it would mark all receipts."""
    assert marked(api, sent, monkeypatch) == []


@ONE_DATABASE
def test_a_request_whose_client_hangs_up_has_its_own_body_or_is_not_run(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert marked(api, b'Content-Length: 27\r\n\r\n{"date_before": 1700000000}', monkeypatch) in ([], [1700000000])


def marked(api: Api, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Up to when receipts were marked as read by a request whose client hung up after this."""
    found: list[int | None] = []
    monkeypatch.setattr(polling, "mark_receipts", lambda tx, user_id, channel, before: found.append(before))
    head = f"PUT /v3/sms/receipts-read HTTP/1.1\r\nHost: x\r\nAuthorization: {token(api)}\r\n".encode()
    api.get("/account")  # its key is known, so the request is not waited for
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=30) as connection:
        connection.sendall(head + sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    api.get("/account")
    api.server.write(lambda tx: None, slow=True)
    return found
