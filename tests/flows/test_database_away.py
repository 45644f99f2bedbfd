"""The database is taken away from a running server: who asks is told with 503, nothing is promised that is not kept,
and it passes by itself as soon as the database is back.
"""

import contextlib
import http.client
import os
import resource
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import postgres
from support.program import Program, ask, program, serving, until
from support.proxy import proxy

TO = "+61491570006"
LOST = (OSError, http.client.HTTPException)


def send(port: int, body: str) -> tuple[int, dict[str, str], Any]:
    return ask(port, "POST", "/v3/sms/send", {"messages": [{"to": TO, "body": body}]})


def ready(port: int) -> bool:
    """What /readyz says of the database; status and body agree."""
    status, _, state = ask(port, "GET", "/readyz")
    assert (status == 200) == all(state.values())
    return bool(state["database"])


class Customers:
    """They send all the time. `promised`: bodies that were answered with SUCCESS; `answers`: how often each status."""

    def __init__(self, port: int, count: int = 4) -> None:
        self.promised: set[str] = set()
        self.answers: Counter[int] = Counter()
        self.slowest = 0.0
        self._port, self._over = port, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self, customer: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            body, began = f"customer {customer} message {number}", time.monotonic()
            with contextlib.suppress(*LOST):
                status, headers, answer = send(self._port, body)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answers[status] += 1
                if status == 200 and answer["data"]["messages"][0]["status"] == "SUCCESS":
                    self.promised.add(body)
                elif status == 503:
                    assert int(headers["retry-after"]) > 0
                    self._over.wait(0.05)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def customers(port: int) -> Iterator[Customers]:
    made = Customers(port)
    try:
        yield made
    finally:
        made.stop()


def stored(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT body FROM messages").fetchall()}


def stored_in(data: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(data / "heliograph.db")) as database:
        return {row[0] for row in database.execute("SELECT body FROM messages").fetchall()}


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with postgres.database(postgres_url) as made:
        yield made


def limit(program: Program, octets: int) -> None:
    """The longest file that a process may write: what is longer fails as on a full disk, for root as well."""
    resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))


def test_a_disk_without_room(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, log_format="json") as server:
        port = server.port
        assert send(port, "before")[0] == 200
        limit(server, 4096)
        status, headers, answer = send(port, "no room")
        assert (status, headers["retry-after"], answer["http_code"]) == (503, "5", 503)
        assert not ready(port)
        assert ask(port, "GET", "/v3/sms/history")[0] == 200, "reading goes on"
        limit(server, resource.RLIM_INFINITY)
        until(lambda: ready(port))
        assert send(port, "after")[0] == 200
        assert server.heard("database.away")
        assert server.heard("database.back")
        assert server.end() == 0
    assert stored_in(data) == {"before", "after"}


@pytest.mark.parametrize("kind", ["deleted", "replaced"])
def test_a_file_that_is_taken_away_under_load(tmp_path: Path, kind: str) -> None:
    """Soon nothing is promised any more, the load balancer is told, and the log says what has happened."""
    data = tmp_path / "data"
    path = data / "heliograph.db"
    with serving(data, log_format="json") as server:
        port = server.port
        with customers(port) as load:
            until(lambda: len(load.promised) > 20)
            if kind == "replaced":
                with (
                    contextlib.closing(sqlite3.connect(path)) as original,
                    contextlib.closing(sqlite3.connect(data / "copy.db")) as copy,
                ):
                    original.backup(copy)
                (data / "copy.db").replace(path)
            else:
                path.unlink()
            server.heard("database.gone")
            until(lambda: load.answers[503] > 0)
            promised, refused = len(load.promised), load.answers[503]
            until(lambda: load.answers[503] > refused + 20)
            assert len(load.promised) - promised <= len(load._threads), "only what was under way"
            assert not ready(port)
        assert server.events("database.gone")[0]["level"] == "critical"
        assert server.end() == 0


@pytest.mark.slow
def test_frames_that_vanish_and_come_back(tmp_path: Path, url: str) -> None:
    """Who waits gets an error within 10 seconds (nominally), and what was refused is not sent later."""
    with proxy(url) as way, serving(tmp_path / "data", database=way.url(url), log_format="json") as server:
        port = server.port
        assert send(port, "before")[0] == 200
        way.stop()
        began = time.monotonic()
        answers: list[int] = []
        waiting = [threading.Thread(target=lambda n=n: answers.append(send(port, f"lost {n}")[0])) for n in range(8)]
        for one in waiting:
            one.start()
        for one in waiting:
            one.join()
        assert answers == [503] * 8
        assert time.monotonic() - began < 20
        assert not ready(port)
        way.go()
        until(lambda: ready(port))
        assert send(port, "after")[0] == 200
        assert server.end() == 0
        assert stored(url) == {"before", "after"}


@pytest.mark.slow
def test_a_server_that_is_started_again_under_load(tmp_path: Path, url: str) -> None:
    """Three times. Nobody gets anything but an answer or 503, and whatever was promised is there once."""
    with proxy(url) as way, serving(tmp_path / "data", database=way.url(url), log_format="json") as server:
        with customers(server.port) as load:
            for _ in range(3):
                before = len(load.promised)
                until(lambda before=before: len(load.promised) > before + 10)
                way.hang_up()
            before = len(load.promised)
            until(lambda: len(load.promised) > before + 10)
        assert set(load.answers) <= {200, 503}
        until(lambda: ready(server.port))
        assert server.end() == 0
        assert load.promised <= stored(url)


AHEAD = """
import os, time
ahead, machine, machine_ns = float(os.environ["CLOCK_AHEAD"]), time.time, time.time_ns
time.time = lambda: machine() + ahead
time.time_ns = lambda: machine_ns() + int(ahead * 1e9)
"""


def test_a_worker_whose_clock_is_wrong(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It delivers what is due by the database's clock and nothing else, and says what is wrong."""
    (tmp_path / "sitecustomize.py").write_text(AHEAD, encoding="utf-8")
    data = tmp_path / "data"
    with serving(data, "--role", "api", database=url, log_format="json") as api:
        port, now = api.port, int(time.time())
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        monkeypatch.setenv("CLOCK_AHEAD", "180")
        command = ["worker", "--data", str(data)]
        with program(tmp_path / "worker.log", *command, database=url, log_format="json") as worker:
            worker.heard("worker.started")
            later = {"to": TO, "body": "later", "schedule": now + 170}
            status, _, answer = ask(port, "POST", "/v3/sms/send", {"messages": [later, {"to": TO, "body": "now"}]})
            assert status == 200
            waiting, due = (entry["message_id"] for entry in answer["data"]["messages"])
            until(lambda: "Completed" in statuses(port, due))
            if time.time() < now + 160:  # a machine may be that busy
                assert statuses(port, waiting) == ["Scheduled"]
            assert worker.heard("database.other_clock")["seconds_ahead"] == pytest.approx(180, abs=5)
            assert worker.end() == 0
        assert not api.events("database.other_clock")


def statuses(port: int, message_id: str) -> list[str]:
    steps = ask(port, "GET", f"/v3/sms/{message_id}/timeline")[2]["data"]
    return [step["status"] for step in steps]
