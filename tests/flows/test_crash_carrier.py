"""kill -9 under load with a carrier that lives on: nothing that it answered and that was recorded goes out again.

Its receipts overtake its answers at random and come by either bind. On PostgreSQL two workers share the queue.
"""

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.test_crash import LEASE_SECONDS, ROUNDS, Load, Victim, check_messages, check_money, until
from support.overtaking import Overtaker, OvertakingSmsc
from support.program import environment, peers

DOUBT = "%may be sent twice%"


class Houses:
    """One process that does everything, and beside it, where the database allows it, a second worker."""

    def __init__(self, data: Path, database: str) -> None:
        self.front = Victim(data, database)
        self._pair = database.startswith("postgresql")
        self._data, self._database = data, database
        self._log = data.with_suffix(".second.log").open("ab")
        self._second: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start whichever of them does not run."""
        if self.front._process is None:
            self.front.start()
        if self._pair and self._second is None:
            options = {"lease_seconds": str(LEASE_SECONDS), "log_level": "error", "database": self._database}
            command = [sys.executable, "-m", "heliograph", "worker", "--data", str(self._data)]
            self._second = subprocess.Popen(command, env=environment(**options), stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        self.front.kill()
        if self._second is not None:
            self._second.kill()
            self._second.wait()
            self._second = None

    def close(self) -> None:
        self.kill()
        self._log.close()
        self.front.close()


def behave(smsc: OvertakingSmsc) -> None:
    smsc.manner = lambda: random.choice(("after", "after", "together", "before"))
    smsc.elsewhere = True


@pytest.fixture
def carrier() -> Iterator[Overtaker]:
    with peers() as among:
        made = Overtaker(among)
        made.change(behave)
        yield made
        made.stop()


@pytest.fixture
def houses(tmp_path: Path, database_url: str, carrier: Overtaker) -> Iterator[Houses]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "heliograph.toml").write_text(carrier.toml("binds = 2", "reconnect_max = 0.5"))
    made = Houses(data, database_url)
    yield made
    made.close()


class Account:
    """What was found at each kill: what was in flight, and how often what was recorded had been submitted."""

    def __init__(self, houses: Houses, carrier: Overtaker) -> None:
        self.in_flight: set[str] = set()
        self.recorded: dict[str, int] = {}
        self._houses, self._carrier = houses, carrier

    def crash(self) -> None:
        """Kill at a random moment (one time in five during the start), look, and start again."""
        victim = self._houses.front
        if random.random() < 0.8:
            victim.ready()
        time.sleep(random.uniform(0, 1.2))
        self._houses.kill()
        if victim.knows("queue"):
            self._look(victim)
        self._houses.start()

    def _look(self, victim: Victim) -> None:
        """The carrier may still be reading what was written, so what is not recorded has no count yet."""
        self._carrier.until(lambda smsc: not smsc._bound)
        claimed = "SELECT body FROM messages JOIN queue USING (user_id, message_id) WHERE claimed = 1"
        self.in_flight |= {row[0] for row in victim.rows(claimed)}
        done = {row[0] for row in victim.rows("SELECT body FROM messages WHERE status IN ('Sent', 'Completed')")}
        for body in done - self.recorded.keys():
            self.recorded[body] = self._carrier.smsc.submitted[body]


@pytest.mark.slow
def test_killed_under_load_while_the_carrier_lives(houses: Houses, carrier: Overtaker) -> None:
    houses.start()
    victim = houses.front
    victim.ready()
    load, account = Load(victim.port), Account(houses, carrier)
    try:
        for _ in range(ROUNDS):
            account.crash()
        before = len(load.promised)
        victim.ready()
        until(lambda: len(load.promised) > before, 60, "nothing is accepted after the last crash")
    finally:
        load.stop()
    until(lambda: not victim.rows("SELECT 1 FROM queue LIMIT 1"), 120, "the queue did not run empty")
    left = "SELECT 1 FROM messages WHERE status NOT IN ('Completed', 'Failed') LIMIT 1"
    with contextlib.suppress(AssertionError):
        until(lambda: not victim.rows(left), 60, "")
    houses.kill()
    report(victim, carrier.smsc, account, load)
    check_messages(victim, load.promised)
    check_money(victim)
    check_submits(victim, carrier.smsc, account)
    check_ends(victim, account)


def told(victim: Victim) -> set[str]:
    sql = "SELECT body FROM messages JOIN message_events e USING (user_id, message_id) WHERE e.detail LIKE ?"
    return {row[0] for row in victim.rows(sql, DOUBT)}


def check_submits(victim: Victim, smsc: OvertakingSmsc, account: Account) -> None:
    """Doubles are of what was in flight at a kill, and told; what was recorded stands as it stood."""
    twice = {body for body, count in smsc.submitted.items() if count > 1}
    assert twice <= account.in_flight
    assert twice <= told(victim)
    again = {body: count for body, count in account.recorded.items() if smsc.submitted[body] > max(1, count)}
    assert not again, "recorded, and sent again"
    assert account.recorded.keys() <= smsc.submitted.keys()


def check_ends(victim: Victim, account: Account) -> None:
    """All are final, and have one receipt each."""
    open_ones = victim.rows("SELECT body, status FROM messages WHERE status <> 'Completed'")
    assert not open_ones, [(body, status, body in account.in_flight) for body, status in open_ones]
    counts = victim.rows("SELECT message_id, COUNT(*) FROM receipts GROUP BY 1")
    assert Counter(count for _, count in counts).keys() == {1}
    assert len(counts) == victim.rows("SELECT COUNT(*) FROM messages")[0][0]


def report(victim: Victim, smsc: OvertakingSmsc, account: Account, load: Load) -> None:
    """The figures of a long run: with `-s`, or when it fails."""
    twice = {body for body, count in smsc.submitted.items() if count > 1}
    statuses = dict(victim.rows("SELECT status, COUNT(*) FROM messages GROUP BY 1"))
    figures = {
        "kills": ROUNDS,
        "promised": len(load.promised),
        "submitted": smsc.submitted.total(),
        "statuses": statuses,
        "in flight at kills": len(account.in_flight),
        "sent twice and told": len(twice & told(victim)),
        "sent twice and not told": len(twice - told(victim)),
        "parked for ever": victim.rows("SELECT COUNT(*) FROM parked_receipts")[0][0],
    }
    print(figures)
