"""Connections that ask for nothing, or for something without an end: they are few, and they end."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.raw import Got, basic, opened, receive, send, until_closed
from support.server import ONE_DATABASE, Running

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path, head_seconds=1, body_seconds=1, connections=40, connections_per_address=10)
    yield server
    server.close_clients()
    server.stop()


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: loc", HEALTH + b"\r\n" + HEALTH])
def test_a_head_that_does_not_end_is_given_up(brief: Running, sent: bytes) -> None:
    with opened(brief) as wire:
        wire.sendall(sent)
        until_closed(wire)


def test_a_head_that_trickles_is_given_up(brief: Running) -> None:
    """Each byte on time, and all of them never."""
    with opened(brief) as wire:
        wire.settimeout(0.1)
        wire.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        ended = False
        until = time.monotonic() + 60
        while not ended and time.monotonic() < until:
            try:
                wire.sendall(b"x")
                ended = wire.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended


def test_a_body_that_does_not_end_is_given_up(brief: Running) -> None:
    api = brief.account()
    head = b"POST /v3/sms/price HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    with opened(brief) as wire:
        wire.sendall(head + basic(api.username.encode(), api.key.encode()) + b'\r\n{"messages":')
        until_closed(wire)
    assert api.call("GET", "/account").status == 200


def test_an_idle_connection_may_stay(brief: Running) -> None:
    """While another one is given up, this one waits for its next request."""
    with opened(brief) as idle, opened(brief) as slow:
        idle.sendall(HEALTH + b"\r\n")
        assert receive(idle).status == 200
        slow.sendall(b"G")
        until_closed(slow)
        idle.sendall(HEALTH + b"\r\n")
        assert receive(idle).status == 200


def test_one_address_does_not_have_all_connections(brief: Running) -> None:
    with opened(brief) as first:
        first.sendall(HEALTH + b"\r\n")
        assert receive(first).status == 200
        others = [socket.create_connection(("127.0.0.1", brief.port), timeout=60) for _ in range(12)]
        refused = [wire for wire in others if b"503" in _first_line(wire)]
        assert len(refused) >= 3
        first.sendall(HEALTH + b"\r\n")
        assert receive(first).status == 200
        for wire in others:
            wire.close()
    assert _sooner_or_later(brief).status == 200


def _first_line(wire: socket.socket) -> bytes:
    """What a connection is told before it asks; one that may ask is told that it is too slow."""
    return until_closed(wire)[:30]


def _sooner_or_later(server: Running) -> Got:
    """The first answer that is no refusal: the server hears of a closed connection a moment later."""
    while True:
        try:
            found = send(server, HEALTH)
        except ConnectionError:
            continue
        if found.status != 503:
            return found


def test_a_trusted_proxy_has_as_many_as_it_likes(tmp_path: Path) -> None:
    server = Running(tmp_path, connections=40, connections_per_address=8, trusted_proxies="127.0.0.0/8")
    wires = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(20)]
    for wire in wires:
        wire.sendall(HEALTH + b"\r\n")
    assert [receive(wire).status for wire in wires] == [200] * 20
    for wire in wires:
        wire.close()
    server.stop()


def test_headers_without_an_end_are_refused(brief: Running) -> None:
    with opened(brief) as wire:
        try:
            wire.sendall(HEALTH)
            for number in range(300_000):
                wire.sendall(b"X-%d: y\r\n" % number)
        except OSError:
            pass
        else:
            pytest.fail("three megabytes of headers were taken")
    assert send(brief, HEALTH).status == 200


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("begun", [b"0\r\nX-Trailer: ", b"1;extension=", b"0\r\n" + b"X: y\r\n" * 30])
def test_trailers_and_lines_of_chunks_without_an_end_are_refused(brief: Running, begun: bytes, known: bool) -> None:
    """Whether their request was answered before, for want of credentials, or waits for the rest of its body."""
    api = brief.account()
    head = b"POST /v3/sms/price HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    with opened(brief) as wire:
        wire.sendall(head + basic(api.username.encode(), api.key.encode() * known) + b"\r\n1\r\n{\r\n" + begun)
        assert known or receive(wire).status == 401
        try:
            for _ in range(3_000):
                wire.sendall(b"X: y\r\n" * 200 if begun.endswith(b"\n") else b"a" * 1000)
        except OSError:
            pass
        else:
            pytest.fail("three megabytes were taken")


def test_what_a_request_is_allowed_is_no_credit_for_the_next(brief: Running) -> None:
    """Neither time for its body nor lines of its head."""
    api = brief.account()
    head = b"POST /v3/sms/price HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n"
    head += basic(api.username.encode(), api.key.encode()) + b"a:b\r\n" * 250 + b"\r\n"
    with opened(brief) as wire:
        for _ in range(60):
            wire.sendall(head + b"x" * 60_000)
            assert receive(wire).status == 400
        began = time.monotonic()
        wire.sendall(head)
        until_closed(wire)
        assert time.monotonic() - began < 30


def test_a_connection_whose_last_answers_nobody_reads_is_given_up(brief: Running) -> None:
    """They are too few to keep the server from writing, and enough to keep the connection from its end."""
    gate = brief._server._gate
    asked = b"GET /v3/nothing HTTP/1.1\r\nHost: localhost\r\n"
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        wire.connect(("127.0.0.1", brief.port))
        until = time.monotonic() + 30
        while not gate._all:
            assert time.monotonic() < until
        next(iter(gate._all)).transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        wire.sendall((asked + b"\r\n") * 150 + asked + b"Connection: close\r\n\r\n")
        while gate._all:
            assert time.monotonic() < until


@ONE_DATABASE
def test_connections_that_have_waited_are_taken_together(server: Running) -> None:
    """Not one in each turn of the loop, which may be long."""
    waiting, gate = 20, server._server._gate

    async def scenario() -> tuple[int, int]:
        before = len(gate._all)
        wires = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(waiting)]  # the loop stands still
        turns = 0
        while len(gate._all) < before + waiting and turns < 1000:
            await asyncio.sleep(0)
            turns += 1
        for wire in wires:
            wire.close()
        return len(gate._all) - before, turns

    taken, turns = server.call(scenario)
    assert taken == waiting
    assert turns < waiting / 2
