"""A Redis of the tests' own on a port of loopback, that can be stopped and started again. Keeps nothing on disk."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import installed
from support.program import until
from transports.ports import free_port


class Redis:
    """A server in `folder`; the port stays its own."""

    def __init__(self, folder: Path) -> None:
        self._program = installed.program("redis-server", "valkey-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *options], stdout=log, stderr=log)
        until(self._answers, failure="Redis did not start")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "redis.log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as asked:
                asked.sendall(b"PING\r\n")
                return asked.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """One that runs."""
    made = Redis(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
