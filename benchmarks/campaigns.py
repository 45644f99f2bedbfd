"""Campaigns: how fast their messages are made, what single sends feel of it, and what it takes in memory.

The carrier is away, so that what is seen is the making of messages and not their hand-over.
"""

import http.client
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from heliograph.app import database_url
from heliograph.contacts import contact, lists
from heliograph.db.engine import Connector
from heliograph.settings import load
from machine import AUTH, Child, cpu_seconds, free_port, make_account, serve, wrk

MOST = 20_000
ROUNDS = 3
CLIENTS = 8
"""Connections that send single messages at once."""

BODY = "Hello (First Name), your code is (Cust. 1). Have a nice day, (Last Name)!"
AWAY = """
[transports.away]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "bench"

[[routes]]
transport = "away"
"""


class Rig:
    """A server, and one account with a list of so many contacts."""

    def __init__(self, database: str, contacts: int) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
        (self.data / "heliograph.toml").write_text(AWAY.format(port=free_port()))
        make_account(self.data, database, "bench", "key")
        self.connector = Connector(database_url(load(data=self.data, database=database)), time.time)
        self.list_id = self._fill(contacts)
        self.server: Child = serve(self.data, database, "all")

    def _fill(self, contacts: int) -> int:
        tx = self.connector.begin_write()
        (user_id,) = tx.driver("SELECT user_id FROM users WHERE username = ?", ["bench"]).fetchone()
        row = lists.create(tx, user_id, "Bench")
        more = {"first_name": "Ann", "last_name": "Example"}
        numbers = ((f"+614{number:08}", str(number)) for number in range(contacts))
        rows = [contact.columns({"phone_number": to, "custom_1": code, **more}, "AU") for to, code in numbers]
        contact.add(tx, row, rows)
        tx.driver("COMMIT")
        return int(row["list_id"])

    def order(self) -> float:
        """Order a campaign; how many seconds the answer took."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        began = time.perf_counter()
        asked = {"list_id": self.list_id, "name": "Bench", "body": BODY}
        connection.request("POST", "/v3/sms-campaigns/send", json.dumps(asked), {"Authorization": AUTH})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"the campaign was refused: {text!r}")
        return time.perf_counter() - began

    def expanded(self) -> float:
        """Wait until every campaign's messages are made; how many seconds that took."""
        began = time.perf_counter()
        while self._under_way():
            time.sleep(0.01)
        return time.perf_counter() - began

    def _under_way(self) -> bool:
        tx = self.connector.begin_read()
        found = tx.driver("SELECT 1 FROM campaigns WHERE closed_at IS NULL").fetchone()
        self.connector.end_read(tx)
        return found is not None

    def keep_ordering(self, over: threading.Event) -> None:
        """One campaign after the other, until it is over."""
        while not over.is_set():
            self.order()
            self.expanded()

    def close(self) -> None:
        self.server.stop()
        self.connector.close()
        shutil.rmtree(self.data)


def rate(database: str, engine: int | None) -> tuple[float, float, float]:
    """(messages made a second, and a CPU-second; seconds until the order of MOST recipients is answered)."""
    rig = Rig(database, MOST)
    rig.order()  # to be warm
    rig.expanded()
    answered = rig.order()

    def used() -> float:
        return rig.server.cpu() + (cpu_seconds(engine) if engine else 0.0)

    before = used()
    took = rig.expanded()
    spent = used() - before
    rig.close()
    return MOST / took, MOST / max(0.01, spent), answered


def single(database: str, seconds: int) -> tuple[float, float]:
    """p99 of single sends in milliseconds: alone, and while campaigns are ordered and expanded all the time.

    Medians of ROUNDS, taken in turns.
    """
    rig = Rig(database, MOST)
    wrk(rig.server.port, "/v3/sms/send", CLIENTS, 1, 1)  # to be warm
    alone, meanwhile = [], []
    for _ in range(ROUNDS):
        alone.append(wrk(rig.server.port, "/v3/sms/send", CLIENTS, seconds, 1)["p99"])
        over = threading.Event()
        thread = threading.Thread(target=rig.keep_ordering, args=(over,))
        thread.start()
        meanwhile.append(wrk(rig.server.port, "/v3/sms/send", CLIENTS, seconds, 1)["p99"])
        over.set()
        thread.join()
    rig.close()
    return statistics.median(alone), statistics.median(meanwhile)


def memory(database: str, recipients: int) -> float:
    """Most megabytes that a server had in memory that made one campaign of so many recipients."""
    rig = Rig(database, recipients)
    rig.order()
    rig.expanded()
    peak = rig.server.peak()
    rig.close()
    return peak


Databases = Callable[[str], AbstractContextManager[tuple[str, int | None]]]


def report(kind: str, seconds: int, databases: Databases) -> None:
    """Print it."""
    with databases(kind) as (url, engine):
        made, by_cpu, answered = rate(url, engine)
    print(
        f"{kind}, campaign of {MOST:,}: ordered in {answered:.2f} s, {made:,.0f} messages made a second"
        f" ({by_cpu:,.0f} per CPU-second)"
    )
    with databases(kind) as (url, _):
        alone, meanwhile = single(url, seconds)
    print(f"{kind}, single sends: p99 {alone:.0f} ms alone, {meanwhile:.0f} ms meanwhile ({meanwhile / alone:.2f})")
    with databases(kind) as (url, _):
        few = memory(url, MOST // 10)
    with databases(kind) as (url, _):
        many = memory(url, MOST)
    print(f"{kind}, memory: {few:.0f} MB at most for {MOST // 10:,} recipients, {many:.0f} for {MOST:,}")
