"""Customers' web servers: one that keeps what it gets, and one that takes every connection and never answers."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Heard:
    """A request, to the byte."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    @property
    def form(self) -> dict[str, str]:
        """The pairs of the body, or of the query string of a GET."""
        text = self.query if self.method == "GET" else self.body.decode()
        return dict(parse_qsl(text, keep_blank_values=True))


Answer = tuple[int, bytes]


class Hook:
    """Keeps requests in `heard` and answers what `answer` says: a status and a body."""

    def __init__(self) -> None:
        self.heard: Queue[Heard] = Queue()
        self.answer: Callable[[Heard], Answer] = lambda heard: (200, b"")
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard(self.command, self.path, headers, body)
                status, text = hook.answer(heard)
                hook.heard.put(heard)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", text.decode())
                    text = b""
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.url = self.base + "/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def next(self, seconds: float = 30.0) -> Heard:
        return self.heard.get(timeout=seconds)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def hooks(count: int = 1) -> Iterator[list[Hook]]:
    """That many customers' servers."""
    made = [Hook() for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a server that takes every connection, reads nothing and says nothing."""
    taken: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)

    def take() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=take, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/dead"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in taken:
            one.close()
