"""What a connection does with octets that are no plain row of requests: trailers, pipelines, upgrades, defects."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from heliograph.connections import Connection
from heliograph.http import server as api_server
from support.raw import basic, opened, receive, send, until_closed
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


@contextmanager
def held(server: Running) -> Iterator[None]:
    """Nothing is written, and no send answered, until the end."""
    began, go = threading.Event(), threading.Event()
    holding = threading.Thread(target=lambda: server.write(lambda tx: (began.set(), go.wait(60)), slow=True))
    holding.start()
    began.wait(60)
    try:
        yield
    finally:
        go.set()
        holding.join()


def sent(api: Api, more: bytes = b"") -> bytes:
    return priced(api, more).replace(b"/price", b"/send")


BEHIND = {
    "no HTTP": b"\x00nonsense\r\n\r\n",
    "a head that is none": b"POST /v3/sms/send HTTP/1.1\r\na b\r\n\r\n",
    "half a head": b"POST /v3/sms/se",
    "a head without an end": b"GET /v3/account HTTP/1.1\r\nX: " + b"a" * 70_000,
    "half a body": b"Content-Length: 1000\r\n\r\n{",
    "half a body in chunks": CHUNKED + b"\r\n1\r\n{\r\n",
    "chunks that are none": CHUNKED + b"\r\nx\r\n",
    "trailers without an end": CHUNKED + b"\r\n1\r\n{\r\n0\r\nX: " + b"a" * 70_000,
}


LONG_WAY = b"Origin: https://example.com\r\n"


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path, head_seconds=1, body_seconds=1, connections_per_address=40)
    yield server
    server.close_clients()
    server.stop()


@pytest.mark.parametrize("more", [b"", LONG_WAY], ids=["short way", "long way"])
@pytest.mark.parametrize("whole", [1, 3])
def test_a_refusal_takes_the_place_of_no_answer(brief: Running, whole: int, more: bytes) -> None:
    """What came whole before it is accepted and answered, in order; then the connection is closed."""
    api = brief.account()
    api.get("/account")
    head = PRICE.replace(b"/price", b"/send") + whose(api) + more
    wires, found = {}, {}
    with held(brief):
        for name, behind in BEHIND.items():
            last = head + behind if "body" in name or "chunks" in name or "trailers" in name else behind
            wires[name] = socket.create_connection(("127.0.0.1", brief.port), timeout=60)
            wires[name].sendall(sent(api, more) * whole + last)
        while not all(one.deaf or one.pipeline for one in asking(brief)):
            pass
    for name, wire in wires.items():
        with wire:
            found[name] = re.findall(rb"HTTP/1.1 (\d+)", until_closed(wire))
    assert {name: answers[:whole] for name, answers in found.items()} == dict.fromkeys(BEHIND, [b"200"] * whole)
    assert {answer for answers in found.values() for answer in answers[whole:]} <= {b"400", b"408", b"431"}
    assert max(map(len, found.values())) <= whole + 1


def asking(server: Running) -> list[Connection]:
    """The connections whose answer is owed, or that are new."""
    return [one for one in tuple(server._server._gate._all) if one.cycle is None or not one.cycle.response_complete]


@pytest.mark.parametrize("more", [b"", LONG_WAY], ids=["short way", "long way"])
def test_time_does_not_run_while_we_do_not_read(brief: Running, more: bytes) -> None:
    """Half a request waits behind a whole one; its other half has come, and is not read before its turn."""
    api = brief.account()
    api.get("/account")
    asked = sent(api, more)
    with opened(brief) as wire:
        with held(brief):
            wire.sendall(asked + asked[:-7])
            while not any(one.pipeline for one in asking(brief)):
                pass
            wire.sendall(asked[-7:])
            for _ in range(2):
                with opened(brief) as slow:
                    slow.sendall(b"G")
                    until_closed(slow)  # as long as anybody's may take
        assert [receive(wire).status, receive(wire).status] == [200, 200]


@pytest.mark.parametrize("more", [b"", LONG_WAY], ids=["short way", "long way"])
@pytest.mark.parametrize("end", [CHUNKED + b"\r\n1\r\n{\r\nx", b"Content-Length: 70\r\n\r\n{"])
def test_a_request_that_becomes_none_is_not_run(brief: Running, more: bytes, end: bytes) -> None:
    api = brief.account()
    api.get("/account")
    with opened(brief) as wire:
        wire.sendall(PRICE.replace(b"/price", b"/send") + whose(api) + more + end)
        assert until_closed(wire)[:12] in (b"HTTP/1.1 400", b"")
    assert api.get("/sms/history")["total"] == 0


@ONE_DATABASE
@pytest.mark.parametrize("more", [b"", LONG_WAY], ids=["short way", "long way"])
@pytest.mark.parametrize("cut", [1, 30, len(SEND) - 1, len(SEND), len(SEND) + 1, len(SEND) + 60, 10**6])
@pytest.mark.parametrize("wish", [b"h2c", b"websocket"])
def test_who_wishes_for_another_protocol_is_answered_in_this_one(
    server: Running, api: Api, more: bytes, cut: int, wish: bytes
) -> None:
    """With its body; and so is what comes behind it."""
    api.get("/account")
    asked = priced(api, more + b"Connection: Upgrade\r\nUpgrade: " + wish + b"\r\n")
    with opened(server) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            wire.sendall(asked[:-cut])
            wire.sendall(asked[-cut:])
            found = receive(wire)
            assert (found.status, b'"total_count":1' in found.body) == (200, True), found.body
        wire.sendall(LAST)
        assert until_closed(wire).startswith(b"HTTP/1.1 404")


@ONE_DATABASE
def test_nothing_behind_a_tunnel_is_a_request(server: Running, api: Api) -> None:
    """Whoever asked for it sends something else there."""
    tunnel = b"CONNECT /v3/account HTTP/1.1\r\n" + HOST + whose(api) + b"\r\n"
    with opened(server) as wire:
        wire.sendall(tunnel + priced(api))
        assert until_closed(wire).count(b"HTTP/1.1") == 1
