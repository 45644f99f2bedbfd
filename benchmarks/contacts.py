"""`python benchmarks/contacts.py`: a list of a million contacts imported, paged, searched, cleaned, sent to, deleted.

Everything stays on loopback and ends by itself.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from machine import AUTH, Child, make_account, serve
from run import databases

SENDERS = 6
FIELDS = "phone,first_name,last_name,custom1,email"


class Site(BaseHTTPRequestHandler):
    """Serves a CSV of as many contacts as its path says, made while it is read."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        rows = int(self.path[1:])
        self.wfile.write(b"Phone,First name,Last name,Custom,Email\n")
        for start in range(0, rows, 10_000):
            some = range(start, min(start + 10_000, rows))
            text = "".join(f"+614{n:08},First{n % 1000},Last{n % 777},c{n},user{n}@example.com\n" for n in some)
            self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


class Client:
    """The customer."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/v3"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Authorization": AUTH}, method=method)
        return json.loads(urllib.request.urlopen(request, timeout=600).read())["data"]

    def load(self, rows: int | str, site: int) -> tuple[int, float, dict[str, Any]]:
        """Import a new list from this path of the site; (its id, seconds, the import)."""
        list_id = self.call("POST", "/lists", {"list_name": f"{rows} contacts"})["list_id"]
        start = time.perf_counter()
        body = {"file_url": f"http://127.0.0.1:{site}/{rows}", "field_order": FIELDS}
        key = self.call("POST", f"/lists/{list_id}/import", body)["id"]
        while (row := self.call("GET", f"/lists/{list_id}/imports/{key}"))["state"] in ("queued", "running"):
            time.sleep(0.2)
        return list_id, time.perf_counter() - start, row


def medians(paths: dict[str, str], client: Client, times: int) -> dict[str, float]:
    """Median milliseconds of each path, asked for in turns, so that what disturbs one disturbs all."""
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(times):
        for name, path in paths.items():
            start = time.perf_counter()
            client.call("GET", path)
            taken[name].append((time.perf_counter() - start) * 1000)
    return {name: sorted(times_)[times // 2] for name, times_ in taken.items()}


def slowest_beside(work: Callable[[], object], request: Callable[[], object]) -> tuple[float, float]:
    """(median, slowest) milliseconds of a request that is repeated while `work` is under way."""
    thread = threading.Thread(target=work)
    taken = []
    thread.start()
    while thread.is_alive() or len(taken) < 50:
        start = time.perf_counter()
        request()
        taken.append((time.perf_counter() - start) * 1000)
    thread.join()
    return sorted(taken)[len(taken) // 2], max(taken)


def measure(client: Client, server: Child, address: str, site: int, rows: int) -> None:
    _, seconds, _ = client.load(10_000, site)
    print(f"import of 10,000: {seconds:.1f} s, memory {server.memory():.0f} MB")
    large, seconds, row = client.load(rows, site)
    print(f"import of {rows:,}: {seconds:.1f} s, {rows / seconds:,.0f} rows/s, refused {row['rows_refused']},", end=" ")
    print(f"memory {server.memory():.0f} MB")
    path = f"/lists/{large}/contacts"
    numbers = {"first": 1, "middle": rows // 30, "last": -(-row["rows_added"] // 15)}
    for kind, times in (("", 101), ("&updated_after=1", 11)):
        pages = medians({name: f"{path}?page={number}{kind}" for name, number in numbers.items()}, client, times)
        for name, taken in pages.items():
            print(f"page{kind}, {name}: {taken:.2f} ms ({taken / pages['first']:.2f})")
    (search,) = medians({"search": "/search/contacts-lists?q=user99999"}, client, 3).values()
    print(f"search of a word: {search:.0f} ms")
    small, _, _ = client.load(20_000, site)
    message = {"messages": [{"list_id": small, "body": "Hello (First Name)"}]}
    ping = {"messages": [{"to": "+61491570006", "body": "single"}]}

    def single() -> None:
        client.call("POST", "/sms/price", ping)

    for kind in ("price", "send"):
        start = time.perf_counter()
        count = client.call("POST", f"/sms/{kind}", message)["queued_count"]
        print(f"{kind} to a list: {count:,} messages in {time.perf_counter() - start:.2f} s")
    usual, worst = slowest_beside(lambda: at_once(client, small, SENDERS), single)
    print(f"{SENDERS} sends to a list at once; a request beside them: {usual:.1f} ms, slowest {worst:.0f} ms")
    opted_out = client.call("GET", "/lists")["data"][0]["list_id"]
    for name, work in (
        ("remove opted-out", lambda: client.call("PUT", f"/lists/{large}/remove-opted-out-contacts/{opted_out}")),
        ("remove duplicates", lambda: client.call("PUT", f"/lists/{large}/remove-duplicates")),
        ("delete the list", lambda: deleted(client, address, large)),
    ):
        start = time.perf_counter()
        usual, worst = slowest_beside(work, single)
        print(
            f"{name}: {time.perf_counter() - start:.1f} s; a request beside it: {usual:.1f} ms, slowest {worst:.0f} ms"
        )


def at_once(client: Client, list_id: int, senders: int) -> None:
    """Send to a list as often at the same time."""
    bodies = [
        {"messages": [{"list_id": list_id, "body": f"Number {number}, (First Name)"}]} for number in range(senders)
    ]
    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(lambda body: client.call("POST", "/sms/send", body), bodies))


def deleted(client: Client, address: str, list_id: int) -> None:
    """Delete a list and wait until its last row is gone."""
    client.call("DELETE", f"/lists/{list_id}")
    count = text("SELECT COUNT(*) FROM contact_lists WHERE list_id = :key")
    engine = create_engine(address)
    left = 1
    while left:
        time.sleep(0.5)
        with engine.connect() as database:
            left = database.execute(count, {"key": list_id}).scalar_one()
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    for kind in options.databases.split(","):
        data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
        print(kind)
        with databases(kind) as (url, _):
            make_account(data, url, "bench", "key")
            server = serve(data, url, "all")
            address = url.replace("postgresql://", "postgresql+psycopg://") or f"sqlite:///{data / 'heliograph.db'}"
            try:
                measure(Client(server.port), server, address, site.server_port, options.rows)
            finally:
                server.stop()
        shutil.rmtree(data)
    site.shutdown()


if __name__ == "__main__":
    main()
