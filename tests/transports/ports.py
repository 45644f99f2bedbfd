"""Ports for peers that come and go."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

LOWEST, WORKERS, SHARE = 15_000, 15, 1000


def free_port() -> int:
    """A port of 127.0.0.1 that stays free until it is used, and between two uses.

    It lies below the range that the kernel takes ports for connections from, and each worker of xdist has a share of
    its own, or another test might get it meanwhile.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    while True:
        port = LOWEST + worker * SHARE + random.randrange(SHARE)
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
