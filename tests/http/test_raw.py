"""What odd clients send: marks before JSON, doubled slashes, no Host or two, credentials in Latin-1."""

import json

import pytest

from heliograph.accounts.vault import hash_password
from support.raw import basic, send
from support.server import ONE_DATABASE, Api, Running

pytestmark = ONE_DATABASE
SEND = b'{"messages":[{"to":"+61491570006","body":"x"}]}'
MARK = b"\xef\xbb\xbf"
HOST = b"Host: localhost\r\n"


def whose(api: Api) -> bytes:
    return basic(api.username.encode(), api.key.encode())


@pytest.mark.parametrize(
    "body",
    [
        MARK + SEND,
        MARK + b'{"messages":[{"to":61491570006,"body":1}]}',
        MARK + b'{"messages":[{"to":"+61491570006","body":"x","custom_string":12345678901234567}]}',
        MARK + b'  \r\n{"messages":[{"to":"+61491570006","body":"x","custom_string":7}]}',
    ],
    ids=["exact", "loose", "a long number", "space after it"],
)
def test_a_byte_order_mark_before_json_is_read_over(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/sms/send", body)
    assert (answer.status, answer.data["queued_count"]) == (200, 1)


@pytest.mark.parametrize("body", [MARK * 2 + SEND, MARK[:2] + SEND, SEND.decode().encode("utf-16"), b" " + MARK + SEND])
def test_other_marks_are_no_json(api: Api, body: bytes) -> None:
    assert list(api.call("POST", "/sms/send", body).data) == ["body"]


def test_nothing_but_a_mark_is_an_empty_body(api: Api) -> None:
    assert list(api.call("POST", "/sms/send", MARK).data) == ["messages"]


@pytest.mark.parametrize(
    "path", ["//v3/sms/history", "/v3//sms///history", "///v3/sms/history//", "/v3/sms//history?page=1"]
)
def test_doubled_slashes_are_one(server: Running, api: Api, path: str) -> None:
    assert send(server, f"GET {path} HTTP/1.1\r\n".encode() + HOST + whose(api)).status == 200


@pytest.mark.parametrize("path", ["//healthz", "/v3//openapi.json", "//v3/docs", "//readyz"])
def test_doubled_slashes_of_pages_are_one(server: Running, path: str) -> None:
    assert send(server, f"GET {path} HTTP/1.1\r\n".encode() + HOST).status == 200


@pytest.mark.parametrize("path", [b"/v3/account", b"/healthz", b"/v3/openapi.json", b"/files/x", b"/v3/nothing"])
@pytest.mark.parametrize(
    "hosts",
    [
        b"",
        HOST + HOST,
        b"Host: a\r\nhOST: b\r\n",
        b"Host: a b\r\n",
        b"Host: a/b\r\n",
        b"Host: user@a\r\n",
        b"Host: \xff\r\n",
    ],
)
def test_a_request_has_one_host(server: Running, path: bytes, hosts: bytes) -> None:
    answer = send(server, b"GET " + path + b" HTTP/1.1\r\n" + hosts)
    assert answer.status == 400
    assert b"Host" in answer.body


@pytest.mark.parametrize("host", [b"Host:\r\n", b"Host: [::1]:8310\r\n", b"Host: sms_1.example:80\r\n"])
def test_hosts_of_many_kinds(server: Running, api: Api, host: bytes) -> None:
    assert send(server, b"GET /v3/account HTTP/1.1\r\nX-A: 1\r\nX-A: 2\r\n" + host + whose(api)).status == 200


def test_http_1_0_needs_no_host(server: Running, api: Api) -> None:
    assert send(server, b"GET /v3/account HTTP/1.0\r\n" + whose(api)).status == 200


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
@pytest.mark.parametrize("secret", ["pässwörd", "Ã©té secret", "ÿ÷þ¿ with more"])
def test_credentials_in_either_charset(server: Running, charset: str, secret: str) -> None:
    """The second secret in Latin-1 is UTF-8 as well, of another text."""
    api = server.account(api_key=f"key {secret}", password_hash=hash_password(secret))
    for one in (f"key {secret}", secret):
        token = basic(api.username.encode(), one.encode(charset))
        assert send(server, b"GET /v3/account HTTP/1.1\r\n" + HOST + token).status == 200
        wrong = basic(api.username.encode(), one.encode(charset) + b"\xe9")
        assert send(server, b"GET /v3/account HTTP/1.1\r\n" + HOST + wrong).status == 401


def test_a_mark_and_slashes_together(server: Running, api: Api) -> None:
    head = b"POST //v3//sms/send HTTP/1.1\r\n" + HOST + whose(api)
    answer = send(server, head + b"Content-Length: %d\r\n" % len(MARK + SEND), MARK + SEND)
    assert json.loads(answer.body)["data"]["queued_count"] == 1
