"""How page, claim and memory depend on the number of rows."""

import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from heliograph.accounts import account
from heliograph.app import database_url
from heliograph.db.engine import Connector, Tx
from heliograph.ids import new_ids
from heliograph.messaging import message
from heliograph.queue import claim
from heliograph.settings import load
from machine import AUTH, heliograph, serve

START = 1_700_000_000
SLICE = 10_000
LATER = 4_000_000_000


class Filled:
    """A data folder with one account and `rows` messages, one a second from `start` on; `queued`: they wait to be sent
    at `due`.
    """

    def __init__(self, database: str, rows: int, *, queued: bool = False, due: float = 0.0, start: int = START) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
        self.database = database
        heliograph(self.data, database, "account", "create", "bench", "--api-key", "key", "--credit", "1000000")
        self.connector = Connector(database_url(load(data=self.data, database=database)), time.time)
        for first in range(1, rows + 1, SLICE):
            last = min(first + SLICE, rows + 1)
            self.write(lambda tx, first=first, last=last: _fill(tx, first, last, queued, due, start))

    def write(self, work: Callable[[Tx], object]) -> float:
        """Run `work` in a transaction; how many milliseconds `work` itself took."""
        tx = self.connector.begin_write()
        start = time.perf_counter()
        work(tx)
        took = (time.perf_counter() - start) * 1000
        tx.driver("COMMIT")
        return took

    def close(self) -> None:
        self.connector.close()
        shutil.rmtree(self.data)


def _fill(tx: Tx, first: int, last: int, queued: bool, due: float, start: int) -> None:
    who = account.find(tx, "bench")
    assert who is not None
    user = who["user_id"]
    made = account.by_user(tx, user)
    assert made is not None
    status = message.QUEUED if queued else message.COMPLETED
    fields = dict.fromkeys(message.COLUMNS)
    fields |= {"user_id": user, "channel": "sms", "subaccount_id": made.subaccount_id, "sender": "+61481074190"}
    fields |= {"country": "AU", "carrier": "", "body": "Hello", "encoding": "gsm", "units": 1, "receipts_left": 1}
    fields |= {"price_micros": 71500, "status": status, "custom_string": "", "source": "", "request_id": ""}
    rows, work = [], []
    for number in range(first, last):
        (key,) = new_ids(1, start + number)
        to = 61411000000 + number % 10**6
        own = {"ordinal": number, "message_id": key, "recipient": f"+{to}", "msisdn": to}
        rows.append(tuple((fields | own | {"date": start + number, "schedule": start + number}).values()))
        work.append((claim.SINGLE, due, user, key))
    tx.insert_rows("messages", message.COLUMNS, rows)
    tx.driver("DELETE FROM counters WHERE user_id = ?", [user])
    tx.insert_rows(
        "counters",
        ("user_id", "name", "count", "read_through", "last_date"),
        [(user, "sms", last - 1, 0, start + last)],
    )
    if queued:
        claim.enqueue(tx, "sms", work)


def history(database: str, rows: int) -> dict[str, float]:
    """Milliseconds of the first, a deep and a dated page of a history of `rows` messages, through the API."""
    filled = Filled(database, rows)
    server = serve(filled.data, database)
    found = {
        "first": _page(server.port, "page=1"),
        "deep": _page(server.port, f"page={rows // 15 - 1}"),
        "dated": _page(server.port, f"date_from={START + rows // 2}"),
    }
    server.stop()
    filled.close()
    return found


def _page(port: int, query: str) -> float:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/sms/history?{query}", headers={"Authorization": AUTH})
    times = []
    for _ in range(50):
        start = time.perf_counter()
        urllib.request.urlopen(request).read()
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times)[len(times) // 2]


def claiming(database: str, rows: int) -> float:
    """Milliseconds to claim 250 of `rows` queued messages (the median of 20 claims)."""
    filled = Filled(database, rows, queued=True)
    times = [filled.write(lambda tx: claim.claim(tx, "sms", 250, 60.0)) for _ in range(20)]
    filled.close()
    return sorted(times)[len(times) // 2]


def memory(database: str, rows: int) -> float:
    """Resident megabytes of a server that has `rows` messages scheduled, after a few of its looks at the queue."""
    filled = Filled(database, rows, queued=True, due=LATER)
    server = serve(filled.data, database, "all")
    time.sleep(5)
    found = server.memory()
    server.stop()
    filled.close()
    return found
