"""`python benchmarks/imports.py`: a CSV of a million rows imported, in several spellings: time, CPU, memory.

With `--against FOLDER` (another checkout, `git worktree add FOLDER COMMIT`) both programs take turns, so that what
disturbs one disturbs the other. Everything stays on loopback and ends by itself.
"""

import argparse
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from contacts import Client
from machine import Child, make_account, serve
from run import databases

HERE = Path(__file__).parent.parent


def plain(number: int) -> str:
    return f"+614{number:08},First{number % 1000},Last{number % 777},c{number},user{number}@example.com\n"


def quoted(number: int) -> str:
    return '"' + plain(number)[:-1].replace(",", '","') + '"\n'


def notes(number: int) -> str:
    """Every tenth row has a cell of three lines."""
    if number % 10:
        return plain(number)
    return plain(number).replace(",c", ',"two\nmore, ""lines""\n').replace(",user", '",user')


def strays(number: int) -> str:
    """Every hundredth row has a quote that is never closed."""
    return plain(number).replace(",F", ',"F') if number % 100 == 0 else plain(number)


KINDS = {"plain": plain, "quoted": quoted, "notes": notes, "strays": strays}


class Site(BaseHTTPRequestHandler):
    """Serves a CSV of the kind and with as many rows as its path says, made while it is read."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Phone,First name,Last name,Custom,Email\n")
        for piece in pieces(*self.path[1:].split("/")):
            self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        pass


def pieces(kind: str, rows: str) -> Iterator[bytes]:
    for start in range(0, int(rows), 10_000):
        yield "".join(map(KINDS[kind], range(start, min(start + 10_000, int(rows))))).encode()


class Taken:
    """What an import took: seconds, seconds of the processor, and megabytes at most, in its first half and in all."""

    def __init__(self, client: Client, server: Child, path: str, site: int) -> None:
        before, self._samples, self._over = server.cpu(), [0.0], threading.Event()
        watch = threading.Thread(target=self._watch, args=(server,))
        watch.start()
        try:
            _, self.seconds, self.row = client.load(path, site)
        finally:
            self._over.set()
            watch.join()
        self.cpu = server.cpu() - before
        self.half = max(self._samples[: len(self._samples) // 2 + 1])
        self.memory = max(self._samples)

    def _watch(self, server: Child) -> None:
        while not self._over.wait(0.1):
            self._samples.append(server.memory())


def measure(tree: Path, kind: str, rows: int, database: str, site: int) -> tuple[Taken, Taken]:
    """A small import of a fresh server of this checkout, and the large one."""
    os.environ["PYTHONPATH"] = str(tree / "src")
    data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
    with databases(database) as (url, _):
        make_account(data, url, "bench", "key")
        server = serve(data, url, "all")
        try:
            client = Client(server.port)
            return Taken(client, server, f"{kind}/10000", site), Taken(client, server, f"{kind}/{rows}", site)
        finally:
            server.stop()
            shutil.rmtree(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", default="plain,quoted,notes,strays")
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    trees = [("this", HERE)] + ([("other", options.against)] if options.against else [])
    for kind in options.kinds.split(","):
        for turn in range(options.rounds):
            for name, tree in trees[:: -1 if turn % 2 else 1]:
                small, large = measure(tree.resolve(), kind, options.rows, options.database, site.server_port)
                counts = [large.row[f"rows_{one}"] for one in ("added", "refused")]
                print(f"{kind}, {name}: {large.seconds:.1f} s, {large.cpu:.1f} s of CPU,", end=" ")
                print(f"memory {small.memory:.0f} MB with 10,000 rows, {large.half:.0f} MB half way,", end=" ")
                print(f"{large.memory:.0f} MB; {counts}", flush=True)
    site.shutdown()


if __name__ == "__main__":
    main()
