"""Ports for peers that come and go."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    """A port of 127.0.0.1 that stays free until it is used.

    It lies below the range that the kernel takes ports for connections from, or another test might get it meanwhile.
    """
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def dead_port() -> Iterator[int]:
    """A port where nobody listens, and nobody will while this is open."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
