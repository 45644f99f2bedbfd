"""`make chaos`: everything that goes wrong, one after the other under load, and what became of the messages.

It prints what was promised to customers, lost, sent twice (told in the timeline or not), whether the ledger is exact,
and how long customers of another carrier had to wait. It stays on loopback and ends by itself, with 1 if a promise was
broken. What cannot be played on this machine is skipped with a reason.
"""

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaos_load import KEY, USER, Customers, Probe, big_bodies, order_campaign, slow_clients
from heliograph.contacts import contact, lists
from heliograph.db.engine import Connector
from machine import PROGRAM, free_port, make_account, wait_port

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support import postgres

LEASE_SECONDS = 2
DISK = 96
"""Megabytes of the disk that is filled."""
CARRIERS = """
[transports.{name}]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "chaos"
binds = 2
response_timeout = 2
enquire_link = 2
reconnect_max = 1

[[routes]]
transport = "{name}"
country = "{country}"
"""


class Skipped(Exception):
    """A scenario that this machine cannot play; the text says why."""


class Carrier:
    """A process, and the file of what it was given."""

    def __init__(self, folder: Path, name: str, country: str) -> None:
        self.name, self.country, self.port = name, country, free_port()
        self.record = folder / f"{name}.txt"
        program = str(Path(__file__).with_name("chaos_carrier.py"))
        with (folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, program, str(self.port), str(self.record)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_port(self.port)

    def toml(self) -> str:
        return CARRIERS.format(name=self.name, port=self.port, country=self.country)

    def tell(self, number: int) -> None:
        self._process.send_signal(number)

    def given(self) -> Counter[str]:
        return Counter(self.record.read_text().splitlines())

    def close(self) -> None:
        self.tell(signal.SIGCONT)
        self._process.kill()
        self._process.wait()


class House:
    """The server, and on PostgreSQL a second worker beside it; started and killed as often as it takes."""

    def __init__(self, data: Path, database: str, logs: Path) -> None:
        self.data, self.database, self.port = data, database, free_port()
        self._logs = logs
        self.stuck = False
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int:
        return self._processes[0].pid

    def start(self, **environment: str) -> None:
        options = {
            "HELIOGRAPH_DATABASE": self.database,
            "HELIOGRAPH_LEASE_SECONDS": str(LEASE_SECONDS),
            "HELIOGRAPH_THROTTLE_SECONDS": "0",
            "HELIOGRAPH_LOG_LEVEL": "error",
            **environment,
        }
        commands = [[PROGRAM, "serve", "--data", str(self.data), "--port", str(self.port)]]
        if self.database.startswith("postgresql"):
            commands.append([PROGRAM, "worker", "--data", str(self.data)])
        for command in commands:
            with (self._logs / f"{command[1]}.log").open("ab") as log:
                made = subprocess.Popen(command, env={**os.environ, **options}, stdout=log, stderr=log)
            self._processes.append(made)
        wait_port(self.port)

    def end(self, number: int = signal.SIGKILL) -> None:
        for process in self._processes:
            process.send_signal(number)
        for process in self._processes:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                self.stuck = True
                process.kill()
                process.wait()
        self._processes.clear()

    @property
    def _url(self) -> str:
        return self.database or f"sqlite:///{self.data / 'heliograph.db'}"

    def fill_list(self, recipients: int) -> int:
        """A new list with so many contacts, whose first names are their numbers."""
        connector = Connector(self._url, time.time)
        try:
            tx = connector.begin_write()
            (user_id,) = tx.driver("SELECT user_id FROM users WHERE username = ?", [USER]).fetchone()
            row = lists.create(tx, user_id, "Campaign")
            names = ((f"+614{number:08}", f"n{number}") for number in range(recipients))
            rows = [contact.columns({"phone_number": to, "first_name": name}, "AU") for to, name in names]
            contact.add(tx, row, rows)
            tx.driver("COMMIT")
        finally:
            connector.close()
        return int(row["list_id"])

    def rows(self, sql: str, *values: Any) -> list[Any]:
        connector = Connector(self._url, time.time, readonly=True)
        try:
            return list(connector.begin_read().driver(sql, values).fetchall())
        finally:
            connector.close()


class Rig:
    """What a scenario works with."""

    def __init__(self, house: House, main: Carrier, own_disk: bool, options: argparse.Namespace) -> None:
        self.house, self.main, self.own_disk = house, main, own_disk
        self.seconds, self.kills, self.recipients = options.seconds, options.kills, options.recipients


def calm(rig: Rig) -> None:
    time.sleep(rig.seconds)


def away(rig: Rig) -> None:
    """Not there at all, and back."""
    rig.main.tell(signal.SIGUSR1)
    time.sleep(rig.seconds)
    rig.main.tell(signal.SIGUSR2)


def stopped(rig: Rig) -> None:
    """It is connected to, and says nothing."""
    rig.main.tell(signal.SIGSTOP)
    time.sleep(rig.seconds)
    rig.main.tell(signal.SIGCONT)


def slow(rig: Rig) -> None:
    slow_clients(rig.house.port, rig.seconds)


def big(rig: Rig) -> None:
    big_bodies(rig.house.port, rig.seconds)


def kill(rig: Rig) -> None:
    for _ in range(rig.kills):
        time.sleep(random.uniform(0.2, 1.5))
        rig.house.end()
        rig.house.start()


def campaign(rig: Rig) -> None:
    """A campaign to a large list, and kill -9 while it is expanded and sent."""
    list_id = rig.house.fill_list(rig.recipients)
    order_campaign(rig.house.port, list_id)
    for _ in range(rig.kills):
        time.sleep(random.uniform(0.2, 1.5))
        if rig.house.rows("SELECT 1 FROM campaigns WHERE status = 'Sent'"):
            raise Skipped("it was over before the last kill: take more --recipients")
        rig.house.end()
        rig.house.start()


def full(rig: Rig) -> None:
    """No room for a page more; then there is."""
    if rig.house.database:
        raise Skipped("PostgreSQL keeps its data elsewhere")
    if rig.own_disk:
        ballast = rig.house.data / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        time.sleep(rig.seconds)
        ballast.unlink()
        return
    limits = resource.prlimit(rig.house.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(rig.house.pid, resource.RLIMIT_FSIZE, (8192, limits[1]))  # each of its files is larger by now
    time.sleep(rig.seconds)
    resource.prlimit(rig.house.pid, resource.RLIMIT_FSIZE, limits)


def clock(rig: Rig) -> None:
    """The clock is two hours ahead between two starts."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise Skipped("libfaketime is not installed")
    rig.house.end()
    rig.house.start(LD_PRELOAD=str(found[0]), FAKETIME="+2h")
    time.sleep(rig.seconds)
    rig.house.end()
    rig.house.start()


SCENARIOS: dict[str, Callable[[Rig], None]] = {
    made.__name__: made for made in (calm, away, stopped, slow, big, full, kill, campaign, clock)
}


def play(rig: Rig, other: Carrier, names: list[str]) -> dict[str, str]:
    """All scenarios; every message that was promised, by its id, as its name."""
    promised: dict[str, str] = {}
    print(f"{'':10}{'promised':>10}{'refused':>10}{'worst answer':>14}{'worst way of others':>21}")
    for name in names:
        customers = Customers(rig.house.port, name)
        probe = Probe(rig.house.port, name, other.record)
        why = ""
        try:
            SCENARIOS[name](rig)
        except Skipped as reason:
            why = f"  skipped: {reason}"
        finally:
            customers.stop()
            probe.stop()
        promised |= customers.promised | probe.promised
        count = len(customers.promised) + len(probe.promised)
        waits = f"{customers.worst:12.2f} s{probe.worst:19.2f} s"
        print(f"{name:10}{count:10}{customers.refused:10}{waits}{why}", flush=True)
    return promised


def settle(house: House, seconds: float) -> None:
    """Wait until nothing is under way, so long at most."""
    end = time.monotonic() + seconds
    under_way = "SELECT 1 FROM campaigns WHERE status IN ('Queued', 'Sending')"
    left = "SELECT 1 FROM messages WHERE status IN ('Queued', 'Sent') LIMIT 1"
    while time.monotonic() < end and (house.rows(under_way) or house.rows(left)):
        time.sleep(0.2)
    house.end(signal.SIGTERM)


def is_exact(house: House) -> bool:
    """Balances are their ledgers, each request is charged once, each refund is that of a failed message."""
    balances = dict(house.rows("SELECT user_id, micros FROM balances"))
    sums = dict(house.rows("SELECT user_id, SUM(micros) FROM ledger GROUP BY 1"))
    kinds = "'sms', 'campaign'"
    charged = house.rows(f"SELECT reference, -SUM(micros) FROM ledger WHERE kind IN ({kinds}) GROUP BY 1 ORDER BY 1")
    prices = house.rows("SELECT request_id, SUM(price_micros) FROM messages GROUP BY 1 ORDER BY 1")
    refunds = house.rows("SELECT reference, micros FROM ledger WHERE kind = 'refund'")
    failed = dict(house.rows("SELECT message_id, price_micros FROM messages WHERE status = 'Failed'"))
    well = len(dict(refunds)) == len(refunds) and dict(refunds).items() <= failed.items()
    return {**dict.fromkeys(balances, 0), **sums} == balances and charged == prices and well


def are_whole(house: House) -> bool:
    """Each recipient of a campaign has one message, and it ended as sent, with nothing reserved."""
    ended = (
        "SELECT COUNT(*), COALESCE(SUM(total_count), 0) FROM campaigns WHERE status = 'Sent' AND reserved_micros = 0"
    )
    made = "SELECT COUNT(*), COUNT(DISTINCT msisdn) FROM messages WHERE campaign_id IS NOT NULL"
    (count,) = house.rows("SELECT COUNT(*) FROM campaigns")[0]
    ((sent, recipients),), ((messages, numbers),) = house.rows(ended), house.rows(made)
    print(f"{'campaigns':24}{count:>10}{messages:10} messages, {numbers} numbers, {recipients} recipients")
    return bool(count == sent and messages == numbers == recipients)


def judge(house: House, carriers: list[Carrier], promised: dict[str, str]) -> bool:
    """Print what became of all; whether every promise was kept."""
    given = sum((carrier.given() for carrier in carriers), Counter())
    rows = house.rows("SELECT message_id, body, status FROM messages")
    statuses = {message_id: status for message_id, _, status in rows}
    names = {message_id: " ".join(body.split()[:2]) for message_id, body, _ in rows}
    doubt = "SELECT DISTINCT message_id FROM message_events WHERE detail LIKE ?"
    told = {names[row[0]] for row in house.rows(doubt, "%may be sent twice%")}
    lost = {
        name for key, name in promised.items() if key not in statuses or (statuses[key] != "Failed" and not given[name])
    }
    twice = {name for name, count in given.items() if count > 1}
    exact, whole = is_exact(house), are_whole(house)
    campaigns = house.rows("SELECT message_id, status FROM messages WHERE campaign_id IS NOT NULL")
    lost |= {names[key] for key, status in campaigns if status != "Failed" and not given[names[key]]}
    figures = {
        "promised": len(promised),
        "lost": len(lost),
        "sent twice and told": len(twice & told),
        "sent twice and not told": len(twice - told),
        "not at their end": sum(status not in ("Completed", "Failed") for status in statuses.values()),
        "failed": sum(status == "Failed" for status in statuses.values()),
        "ledger exact": "yes" if exact else "NO",
        "campaigns whole": "yes" if whole else "NO",
        "ended on SIGTERM": "NO" if house.stuck else "yes",
    }
    for name, figure in figures.items():
        print(f"{name:24}{figure:>10}")
    for name in sorted(lost)[:5] + sorted(twice - told)[:5]:
        print("look at", name)
    return exact and whole and not lost and not twice - told and not house.stuck


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[bool]:
    """A data folder on a small disk of its own where that is possible; whether it is."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "chaos", str(folder)]
    own = "--alone" in sys.argv and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield own
    finally:
        if own:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def alone() -> None:
    """As root: go on where mounts are this process's own, and gone with it."""
    can = shutil.which("unshare") and shutil.which("mount") and os.geteuid() == 0
    if can and "--alone" not in sys.argv:
        tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv, "--alone"])


def run(options: argparse.Namespace, folder: Path, database: str) -> bool:
    with contextlib.ExitStack() as stack:
        data = folder / "data"
        own_disk = stack.enter_context(disk(data))
        main, other = Carrier(folder, "main", "AU"), Carrier(folder, "other", "NZ")
        stack.callback(main.close)
        stack.callback(other.close)
        (data / "heliograph.toml").write_text(main.toml() + other.toml())
        make_account(data, database, USER, KEY)
        house = House(data, database, folder)
        stack.callback(house.end)
        house.start()
        promised = play(Rig(house, main, own_disk, options), other, options.only)
        settle(house, options.settle)
        return judge(house, [main, other], promised)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each scenario")
    parser.add_argument("--kills", type=int, default=3, help="kill -9 so often")
    parser.add_argument("--recipients", type=int, default=5000, help="of the campaign")
    parser.add_argument("--settle", type=float, default=60.0, help="seconds at most for what is left at the end")
    parser.add_argument("--limit", type=int, default=600, help="seconds at most for everything")
    parser.add_argument("--only", nargs="+", default=list(SCENARIOS), choices=SCENARIOS, metavar="SCENARIO")
    parser.add_argument("--postgres", action="store_true", help="on a private PostgreSQL, with a second worker")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    alone()

    def enough(*_: object) -> None:
        raise SystemExit(f"cut off after {options.limit} s")

    signal.signal(signal.SIGALRM, enough)
    signal.signal(signal.SIGTERM, enough)
    signal.alarm(options.limit)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliograph-chaos-")))
        database = ""
        if options.postgres:
            server, _ = stack.enter_context(postgres.server())
            database = stack.enter_context(postgres.database(server))
        kept = run(options, folder, database)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
