"""kill -9 under load: what was answered with SUCCESS is carried, charged once, and doubts are told."""

import base64
import contextlib
import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from heliograph.db import dialect
from heliograph.db.engine import Connector
from transports.ports import free_port

ROUNDS = int(os.environ.get("HELIOGRAPH_CRASHES", "3"))
LEASE_SECONDS = 2
CREDENTIALS = base64.b64encode(b"demo:DEMO0000-0000-4000-8000-000000000000").decode()
LOST = (OSError, http.client.HTTPException)


def until(what: Callable[[], bool], seconds: float, failure: str) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, failure
        time.sleep(0.05)


class Victim:
    """`heliograph serve` as a process of its own, started again and again on the same data and port."""

    def __init__(self, data: Path, database: str) -> None:
        self.data, self.port, self.database = data, free_port(), database
        self._log = data.with_suffix(".log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "heliograph", "serve", "--data", str(self.data), "--port", str(self.port)]
        options = {
            **os.environ,
            "HELIOGRAPH_DATABASE": self.database,
            "HELIOGRAPH_LEASE_SECONDS": str(LEASE_SECONDS),
            "HELIOGRAPH_LOG_LEVEL": "error",
        }
        self._process = subprocess.Popen(command, env=options, stdout=self._log, stderr=self._log)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended by itself"
        with contextlib.suppress(*LOST), contextlib.closing(connection(self.port)) as asked:
            asked.request("GET", "/healthz")
            return asked.getresponse().status == 200
        return False

    def ready(self) -> None:
        until(self._answers, 90, "the server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._log.close()

    def knows(self, table: str) -> bool:
        engine, _ = dialect.engine(self.database, readonly=True)
        try:
            return inspect(engine).has_table(table)
        finally:
            engine.dispose()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        connector = Connector(self.database, time.time, readonly=True)
        try:
            return list(connector.begin_read().driver(sql, values).fetchall())
        finally:
            connector.close()


def connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


class Load:
    """Customers that send all the time. `promised`: what was answered with SUCCESS, as message_id -> body."""

    def __init__(self, port: int, customers: int = 3) -> None:
        self.promised: dict[str, str] = {}
        self._port = port
        self._bodies = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(customers)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._over.wait(0.05):
            with contextlib.suppress(*LOST), contextlib.closing(connection(self._port)) as customer:
                while not self._over.wait(0.05):
                    self._send(customer)

    def _send(self, customer: http.client.HTTPConnection) -> None:
        messages = [{"to": "+61491570006", "body": f"crash {next(self._bodies)}"} for _ in range(3)]
        customer.request(
            "POST", "/v3/sms/send", json.dumps({"messages": messages}), {"Authorization": f"Basic {CREDENTIALS}"}
        )
        answer = json.loads(customer.getresponse().read())
        for fate in answer["data"]["messages"]:
            if fate["status"] == "SUCCESS":
                self.promised[fate["message_id"]] = fate["body"]

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def victim(tmp_path: Path, database_url: str) -> Iterator[Victim]:
    made = Victim(tmp_path / "data", database_url)
    yield made
    made.close()


def crash(victim: Victim) -> set[str]:
    """Kill at a random moment (one time in five during the start) and start again; what was being handed over then."""
    if random.random() < 0.8:
        victim.ready()
    time.sleep(random.uniform(0, 1.2))
    victim.kill()
    claimed = victim.rows("SELECT message_id FROM queue WHERE claimed = 1") if victim.knows("queue") else []
    victim.start()
    return {row[0] for row in claimed}


@pytest.mark.slow
def test_killed_under_load(victim: Victim) -> None:
    """No accepted message is lost, charged twice, or sent again in silence.

    A message may stay Sent: its carrier here is the simulated SMSC inside the killed process, and the receipts that it
    had not yet reported died with it (a real carrier keeps them and delivers them at the next bind). Nobody can know
    what became of such a message, so Sent is the truth, until `validity_hours` is over and it fails as expired. This
    excuse holds only for what was handed over before the last kill; the last process must complete all of its own.
    """
    victim.start()
    victim.ready()
    load = Load(victim.port)
    try:
        in_doubt = set().union(*[crash(victim) for _ in range(ROUNDS)])
        last_kill, before = int(time.time()), len(load.promised)
        victim.ready()
        until(lambda: len(load.promised) > before, 60, "nothing is accepted after the last crash")
    finally:
        load.stop()
    assert load.promised
    until(lambda: not victim.rows("SELECT 1 FROM queue LIMIT 1"), 60, "the queue did not run empty")
    late = (
        "SELECT 1 FROM messages JOIN handovers USING (user_id, message_id)"
        f" WHERE status = 'Sent' GROUP BY message_id HAVING MAX(at) > {last_kill} LIMIT 1"
    )
    until(lambda: not victim.rows(late), 60, "a receipt of the last process is missing")
    victim.kill()
    check_messages(victim, load.promised)
    check_money(victim)
    check_doubts(victim, in_doubt)


def check_messages(victim: Victim, promised: dict[str, str]) -> None:
    """Each promised message is there once, and each message has come to its end."""
    stored = victim.rows("SELECT message_id, body, status FROM messages")
    assert max(Counter(body for _, body, _ in stored).values()) == 1
    assert promised.items() <= {key: body for key, body, _ in stored}.items()
    assert {status for _, _, status in stored} <= {"Completed", "Failed", "Sent"}
    assert any(status == "Completed" for _, _, status in stored)


def check_money(victim: Victim, kind: str = "sms") -> None:
    """Each message is charged once, by entries of this kind; a refund belongs to one that failed, and is its price."""
    balances = dict(victim.rows("SELECT user_id, micros FROM balances"))
    sums = dict(victim.rows("SELECT user_id, SUM(micros) FROM ledger GROUP BY 1"))
    assert {**dict.fromkeys(balances, 0), **sums} == balances
    charged = victim.rows("SELECT reference, -SUM(micros) FROM ledger WHERE kind = ? GROUP BY 1 ORDER BY 1", kind)
    assert charged == victim.rows("SELECT request_id, SUM(price_micros) FROM messages GROUP BY 1 ORDER BY 1")
    refunds = victim.rows("SELECT reference, micros FROM ledger WHERE kind = 'refund'")
    failed = dict(victim.rows("SELECT message_id, price_micros FROM messages WHERE status = 'Failed'"))
    assert len(dict(refunds)) == len(refunds)
    assert dict(refunds).items() <= failed.items()


def check_doubts(victim: Victim, in_doubt: set[str]) -> None:
    """What was under way at a kill was handed over again, and its timeline says so; so does all else sent twice."""
    told = {
        row[0]
        for row in victim.rows("SELECT message_id FROM message_events WHERE detail LIKE ?", "%may be sent twice%")
    }
    assert in_doubt <= told
    twice = victim.rows("SELECT message_id FROM handovers GROUP BY message_id HAVING COUNT(*) > 1")
    assert {row[0] for row in twice} <= told
    # A receipt that fits no hand-over is the trace of one that was never recorded.
    assert len(told) >= len(victim.rows("SELECT DISTINCT remote_id FROM parked_receipts")) - len(twice)
