"""What lies between the program and PostgreSQL: it can lose what goes through, hang up, or lead to another server."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url


class Proxy:
    """Listens on loopback and forwards to the unix socket of a server, unless it is told to lose what it gets."""

    def __init__(self, url: str) -> None:
        self.lead_to(url)
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._over = False
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """The address of a database, through this proxy."""
        port = self._listener.getsockname()[1]
        through = make_url(url).set(host="127.0.0.1", port=port, query={})
        return through.render_as_string(hide_password=False)

    def lead_to(self, url: str) -> None:
        """Forward new connections to the server of this URL."""
        self._target = str(Path(str(make_url(url).query["host"])) / ".s.PGSQL.5432")

    def stop(self) -> None:
        """Forward nothing more, and close nothing. What comes meanwhile arrives after `go`, as TCP repeats it."""
        self._flows.clear()

    def go(self) -> None:
        """Forward again."""
        self._flows.set()

    def hang_up(self) -> None:
        """Close every connection, as a server does that is started again."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._over = True
        self._listener.close()
        self.go()
        self.hang_up()

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection, from its first octet on: nothing of it gets through while the proxy stands still."""
        self._flows.wait()
        server = socket.socket(socket.AF_UNIX)
        with client, server:
            with contextlib.suppress(OSError):
                server.connect(self._target)
                with self._lock:
                    self._open |= {client, server}
                back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                back.start()
                self._pump(client, server)
                back.join()
            with self._lock:
                self._open -= {client, server}

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                self._flows.wait()
                target.sendall(octets)
            self._flows.wait()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy before the server of this URL, until the end of the block."""
    made = Proxy(url)
    try:
        yield made
    finally:
        made.close()
