"""How page, claim and memory depend on the number of rows."""

import gc
import random
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.app import database_url
from heliograph.db import reached
from heliograph.db.engine import Connector, Tx
from heliograph.ids import new_ids
from heliograph.messaging import accept, message
from heliograph.messaging.channel import Order
from heliograph.process import GARBAGE
from heliograph.queue import claim
from heliograph.settings import load
from machine import AUTH, make_account, serve

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support import quiet

START = 1_700_000_000
SLICE = 10_000
LATER = 4_000_000_000
NEIGHBOURS, ANYBODY = 10**6, 10**8
"""Numbers that messages go to."""
SENT = 400_000
"""Messages of a measurement of the writer: the tails of the index over numbers are merged three times meanwhile."""


class Filled:
    """A data folder with one account and `rows` messages, one a second from `start` on, to `numbers` numbers; `queued`:
    they wait to be sent at `due`.
    """

    def __init__(
        self,
        database: str,
        rows: int,
        *,
        queued: bool = False,
        due: float = 0.0,
        start: int = START,
        numbers: int = NEIGHBOURS,
    ) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
        self.database = database
        make_account(self.data, database, "bench", "key")
        prepare = None if database else reached.prepare
        self.connector = Connector(database_url(load(data=self.data, database=database)), time.time, prepare=prepare)
        for first in range(1, rows + 1, SLICE):
            last = min(first + SLICE, rows + 1)
            self.write(lambda tx, first=first, last=last: _fill(tx, first, last, queued, due, start, numbers))

    def write(self, work: Callable[[Tx], object]) -> float:
        """Run `work` in a transaction; how many milliseconds `work` itself took."""
        tx = self.connector.begin_write()
        start = time.perf_counter()
        work(tx)
        took = (time.perf_counter() - start) * 1000
        tx.driver("COMMIT")
        return took

    def account(self) -> Principal:
        """Who has sent them."""
        tx = self.connector.begin_write()
        row = account.find(tx, "bench")
        who = account.by_user(tx, row["user_id"]) if row else None
        tx.driver("ROLLBACK")
        assert who is not None
        return who

    def close(self) -> None:
        self.connector.close()
        shutil.rmtree(self.data)


def _fill(tx: Tx, first: int, last: int, queued: bool, due: float, start: int, numbers: int) -> None:
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
        to = 61411000000 + (number if numbers == NEIGHBOURS else random.randrange(numbers)) % numbers
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
    reached.enter(tx, [(user, "sms", first, last - 1)])
    while reached.merge(tx):
        pass
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


def accepting(database: str, rows: int) -> dict[str, float]:
    """Microseconds of this process that a message costs the writer alone, beside `rows` others: 1000 in an order, and
    20 to 50 orders of one in a transaction. The index over numbers is merged meanwhile. Garbage is looked for as seldom
    as in a server.
    """
    filled = Filled(database, rows, numbers=ANYBODY)
    who = filled.account()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)

    def order(messages: int) -> Order:
        to = (f"+{61411000000 + random.randrange(ANYBODY)}" for _ in range(messages))
        return quiet.order(who, *(quiet.draft(one) for one in to))

    def cost(orders: Callable[[], list[Order]], most: int) -> float:
        spent, sent = 0.0, 0
        while sent < most:
            made = orders()
            begun = time.process_time()
            tx = filled.connector.begin_write()
            accept.accept(tx, made)
            reached.merge(tx)
            tx.driver("COMMIT")
            spent += time.process_time() - begun
            sent += sum(len(one.drafts) for one in made)
        return spent / sent * 1e6

    bulk = cost(lambda: [order(1000)], SENT)
    single = cost(lambda: [order(1) for _ in range(random.randint(20, 50))], SENT // 4)
    filled.close()
    return {"bulk": bulk, "single": single}


def memory(database: str, rows: int) -> float:
    """Resident megabytes of a server that has `rows` messages scheduled, after a few of its looks at the queue."""
    filled = Filled(database, rows, queued=True, due=LATER)
    server = serve(filled.data, database, "all")
    time.sleep(5)
    found = server.memory()
    server.stop()
    filled.close()
    return found
