"""What a connection does with octets that are no plain row of requests: trailers, pipelines, upgrades, defects."""

from pathlib import Path

import pytest

from heliograph.http import server as api_server
from support.raw import basic, send
from support.server import ONE_DATABASE, Api, Running

HOST = b"Host: localhost\r\n"
SEND = b'{"messages":[{"source":"sdk","to":"+61491570006","body":"x"}]}'
PRICE = b"POST /v3/sms/price HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b"%x\r\n" % len(SEND) + SEND + b"\r\n0\r\n"
"""A body up to its trailers."""


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
