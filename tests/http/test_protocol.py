"""What a connection does with octets that are no plain row of requests: trailers, pipelines, upgrades, defects."""

import threading
from pathlib import Path

import pytest

from heliograph.connections import Connection
from heliograph.http import server as api_server
from support.raw import basic, opened, send, until_closed
from support.server import ONE_DATABASE, Api, Running

HOST = b"Host: localhost\r\n"
SEND = b'{"messages":[{"source":"sdk","to":"+61491570006","body":"x"}]}'
PRICE = b"POST /v3/sms/price HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b"%x\r\n" % len(SEND) + SEND + b"\r\n0\r\n"
"""A body up to its trailers."""


LAST = b"GET /v3/nothing HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"


def priced(api: Api, more: bytes = b"", body: bytes = SEND) -> bytes:
    """A request for a price, which goes the short way unless `more` keeps it from that."""
    return PRICE + whose(api) + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def whose(api: Api) -> bytes:
    return basic(api.username.encode(), api.key.encode())


@ONE_DATABASE
@pytest.mark.parametrize("trailer", [b"", b"Authorization: Bearer x\r\n", b"Expect: 100-continue\r\nHost: other\r\n"])
def test_trailers_are_read_over(server: Running, api: Api, trailer: bytes) -> None:
    """What stands behind a body neither logs in nor out, and is no second Host."""
    assert send(server, PRICE + CHUNKED + whose(api), IN_CHUNKS + trailer + b"\r\n").status == 200
    assert send(server, PRICE + CHUNKED, IN_CHUNKS + trailer + whose(api) + b"\r\n").status == 401


def test_a_trailer_does_not_say_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted proxy adds to the headers whom it asks for, and takes nothing out of the trailers."""
    asked = []
    monkeypatch.setattr(api_server, "network", lambda client: asked.append(client) or client)
    server = Running(tmp_path, trusted_proxies="127.0.0.1")
    head = b"POST /v3/account HTTP/1.1\r\nX-Forwarded-For: 198.51.100.1\r\n" + HOST + CHUNKED
    assert send(server, head, b"2\r\n{}\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").status == 400
    server.stop()
    assert set(asked) == {"198.51.100.1"}


@ONE_DATABASE
@pytest.mark.parametrize("kind", ["a stranger's", "the short way", "the long way", "both ways, in chunks"])
def test_few_of_many_requests_wait_in_memory(
    server: Running, api: Api, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are answered; but of those that come in one piece a hundred are begun at most."""
    api.get("/account")
    long = priced(api, b"Origin: https://example.com\r\n")
    chunked = PRICE + whose(api) + CHUNKED + b"\r\n" + IN_CHUNKS + b"\r\n"
    asked, count = {
        "a stranger's": (b"GET /v3/a HTTP/1.1\r\nHost:a\r\n\r\n", 4000),
        "the short way": (priced(api), 300),
        "the long way": (long, 300),
        "both ways, in chunks": (priced(api) + long + chunked, 100),
    }[kind]
    waiting = []
    begun = Connection.on_headers_complete

    def noted(connection: Connection) -> None:
        begun(connection)
        waiting.append(len(connection.pipeline))

    monkeypatch.setattr(Connection, "on_headers_complete", noted)
    with opened(server) as wire:
        sending = threading.Thread(target=wire.sendall, args=(asked * count + LAST,))
        sending.start()
        found = until_closed(wire)
        sending.join()
    assert found.count(b"HTTP/1.1 ") == asked.count(b"HTTP/1.1") * count + 1
    assert max(waiting) < 4096 / 30 + 2
    assert kind == "a stranger's" or max(waiting) < 30
