"""HTTP over a bare socket: what no client library would send, or would mend on its way."""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from support.server import Running


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def basic(username: bytes, secret: bytes) -> bytes:
    """An Authorization header of exactly these bytes."""
    return b"Authorization: Basic " + base64.b64encode(username + b":" + secret) + b"\r\n"


@contextmanager
def opened(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
        yield wire


def send(server: Running, head: bytes, body: bytes = b"") -> Got:
    """One request on a connection of its own; the head without its empty line."""
    with opened(server) as wire:
        wire.sendall(head + b"\r\n" + body)
        return receive(wire)


def receive(wire: socket.socket) -> Got:
    """The next answer, and nothing of the one behind it. Raises ConnectionError when there is none."""
    with wire.makefile("rb", buffering=0) as reading:
        first, *lines = iter(lambda: _or_hung_up(reading.readline()).decode("latin-1").rstrip("\r\n"), "")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body, length = b"", int(headers.get("content-length", 0))
        while len(body) < length:
            body += _or_hung_up(reading.read(length - len(body)))
    return Got(int(first.split()[1]), headers, body)


def _or_hung_up(piece: bytes) -> bytes:
    if not piece:
        raise ConnectionError("the server hung up")
    return piece


def until_closed(wire: socket.socket) -> bytes:
    """All that comes before the server hangs up."""
    raw = b""
    try:
        while piece := wire.recv(65536):
            raw += piece
    except ConnectionResetError:
        pass
    return raw
