"""Keeps the tests on this machine: a connection to anything but loopback is refused before it leaves."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class LeavesTheMachine(BaseException):
    """A test wanted to connect to another machine. No Exception: code under test must not take it for a dead peer."""


def _is_local(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = address[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # any other name would be looked up in the network


@contextmanager
def loopback_only() -> Iterator[None]:
    """While open, `connect` and `connect_ex` of sockets raise LeavesTheMachine for other machines' addresses."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if not _is_local(self.family, address):
            raise LeavesTheMachine(f"tests stay on loopback, but something connects to {address!r}")
        return connect(self, address)

    return guarded
