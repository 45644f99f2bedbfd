"""Keeps the tests on this machine: what would go anywhere but to loopback is refused before it leaves."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

_look_up = socket.getaddrinfo


class LeavesTheMachine(BaseException):
    """A test wanted to reach another machine. No Exception: code under test must not take it for a dead peer."""


def _may_connect(host: Any) -> None:
    address = _address(host)
    if address is not None and not address.is_loopback:
        raise LeavesTheMachine(f"tests stay on loopback, but something connects to {host!r}")


def _address(host: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `host` is, or None for this machine. Raises LeavesTheMachine for a name.

    A name other than localhost would be looked up in the network.
    """
    text = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if text == "localhost":
        return None
    try:
        found = _look_up(text, None, flags=socket.AI_NUMERICHOST)  # it also knows how 127.0.0.1 is written as 0x7f.1
    except (socket.gaierror, UnicodeError):
        raise LeavesTheMachine(f"tests stay on loopback, but something looks up {host!r}") from None
    return ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])


@contextmanager
def loopback_only() -> Iterator[None]:
    """While open, connecting, sending a datagram or looking up a name raises LeavesTheMachine for other machines.

    uvloop does these things below Python's sockets, so its loop is guarded as well. What a C library does by itself
    (libpq) is out of reach.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guarded_socket(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _guarded_look_up(socket.getaddrinfo))
        patch.setattr(uvloop.Loop, "getaddrinfo", _guarded_loop_look_up(uvloop.Loop.getaddrinfo))
        patch.setattr(uvloop.Loop, "create_connection", _guarded_connection(uvloop.Loop.create_connection))
        yield


def _guarded_socket(reach: Any) -> Any:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _may_connect(arguments[-1][0])  # the peer's address is the last argument of all three
        return reach(self, *arguments)

    return guarded


def _guarded_look_up(look_up: Any) -> Any:
    def guarded(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if not options.get("flags", 0) & socket.AI_NUMERICHOST:  # with it, a name is an error at once
            _address(host)
        return look_up(host, port, *arguments, **options)

    return guarded


def _guarded_loop_look_up(look_up: Any) -> Any:
    async def guarded(self: uvloop.Loop, host: Any, port: Any, **options: Any) -> Any:
        _address(host)
        return await look_up(self, host, port, **options)

    return guarded


def _guarded_connection(connect: Any) -> Any:
    async def guarded(self: uvloop.Loop, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        _may_connect(host)
        return await connect(self, factory, host, port, **options)

    return guarded
