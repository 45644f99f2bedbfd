"""The index over numbers of SQLite: each message is in one part of it, whatever happens, and is found there."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from heliograph.db import migrate, reached
from heliograph.db.database import Database
from heliograph.db.engine import Connector, Tx
from heliograph.messaging import counters, message
from heliograph.messaging.rows import NewMessage

T = TypeVar("T")
PARTS = ("reached", "tail0", "tail1")
FIRST = 61400000000
NUMBERED = (
    "SELECT msisdn, date, user_id, channel, ordinal FROM messages WHERE msisdn IS NOT NULL ORDER BY 1, 2, 3, 4, 5"
)


@pytest.fixture
def address(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path / 'numbers.db'}"
    migrate.upgrade(made)
    return made


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tails that are full soon, and pieces that move little."""
    monkeypatch.setattr(reached, "MOST", 300)
    monkeypatch.setattr(reached, "STEP", 20)
    monkeypatch.setattr(reached, "STEPS", 3)


def send(tx: Tx, numbers: Sequence[int | None], user: int = 1, channel: str = "sms") -> None:
    """Messages as accepting them leaves them, as far as they concern the index."""
    first, date = counters.take(tx, user, channel, len(numbers))
    fields = dict.fromkeys(NewMessage.__struct_fields__, "")
    fields |= dict.fromkeys(("subaccount_id", "schedule", "units", "receipts_left", "price_micros"), 0)
    rows = [
        tuple(
            (
                fields
                | {"user_id": user, "channel": channel, "ordinal": ordinal, "date": date, "msisdn": number}
                | {"message_id": f"{channel}-{ordinal}"}
            ).values()
        )
        for ordinal, number in enumerate(numbers, first)
    ]
    tx.insert_rows("messages", NewMessage.__struct_fields__, rows)
    reached.enter(tx, [(user, channel, first, first + len(numbers) - 1)])


class Writer:
    """A connection that writes, one transaction after the other."""

    def __init__(self, address: str, *, alone: bool = True) -> None:
        self.now = 1_800_000_000.0
        self.connector = Connector(address, lambda: self.now, prepare=reached.prepare if alone else None)

    def write(self, work: Callable[[Tx], T], end: str = "COMMIT") -> T:
        tx = self.connector.begin_write()
        found = work(tx)
        tx.driver(end)
        return found

    def send(self, numbers: Sequence[int | None], **where: Any) -> None:
        self.write(lambda tx: send(tx, numbers, **where))

    def sizes(self) -> tuple[int, ...]:
        """Entries of each part."""
        return self.write(lambda tx: tuple(tx.driver(f"SELECT COUNT(*) FROM {one}").fetchone()[0] for one in PARTS))

    def tails(self) -> reached.Tails:
        found = self.write(reached._tails)
        assert found is not None
        return found


@contextlib.contextmanager
def opened(address: str, *, alone: bool = True) -> Iterator[Writer]:
    writer = Writer(address, alone=alone)
    yield writer
    writer.connector.close()


def check(writer: Writer) -> None:
    """Each message that has a number is in exactly one part, and nothing else is."""

    def work(tx: Tx) -> None:
        entries = " UNION ALL ".join(f"SELECT * FROM {one}" for one in PARTS)
        assert tx.driver(f"{entries} ORDER BY 1, 2, 3, 4, 5").fetchall() == tx.driver(NUMBERED).fetchall()

    writer.write(work)


def test_the_tail_of_a_new_connection_proves_nothing_of_the_disk(address: str) -> None:
    """What fills it is written in memory: a disk without room would be called well."""
    with opened(address) as writer:
        writer.send([FIRST, FIRST + 1])
    with opened(address) as writer:
        assert writer.sizes() == (0, 2, 0)
        assert not writer.write(Tx.has_written)
        writer.send([FIRST + 2])
        assert writer.write(Tx.has_written)


def started(address: str) -> None:
    """What a process finds that starts now, the others being dead: with each commit the same as after a SIGKILL."""
    with opened(address) as other:
        check(other)


def some(how_many: int, chance: random.Random, of: int = 10**8) -> list[int | None]:
    return [FIRST + chance.randrange(of) if chance.random() < 0.95 else None for _ in range(how_many)]


def test_each_message_is_in_one_part_at_every_moment_of_merges(address: str, small: None) -> None:
    """Random groups of several lists, few numbers (each has more entries than a step moves), pieces in between."""
    chance = random.Random(7)
    with opened(address) as writer:
        merged = 0
        for turn in range(150):
            user, channel = chance.choice([(1, "sms"), (2, "sms"), (1, "voice")])
            writer.send(some(chance.randint(1, 40), chance, of=5), user=user, channel=channel)
            merged += writer.write(reached.merge)
            writer.now += chance.randint(0, 2)
            if turn % 5 == 0:
                check(writer)
                started(address)
        while writer.write(reached.merge):
            check(writer)
            started(address)
        assert merged > 40
        assert writer.sizes()[0] > 1000


def test_what_a_savepoint_or_a_transaction_takes_back_leaves_no_entry(address: str, small: None) -> None:
    with opened(address) as writer:

        def half(tx: Tx) -> None:
            send(tx, [FIRST])
            tx.driver("SAVEPOINT piece")
            send(tx, [FIRST + number for number in range(400)])
            tx.driver("ROLLBACK TO SAVEPOINT piece")
            tx.driver("RELEASE SAVEPOINT piece")
            send(tx, [FIRST + 1])

        writer.write(half)
        assert writer.sizes() == (0, 2, 0)
        writer.write(half, end="ROLLBACK")
        assert writer.sizes() == (0, 2, 0)
        while writer.write(reached.merge):  # what was taken back has counted, too: the tail is full a little early
            check(writer)
        assert writer.sizes() == (2, 0, 0)
        started(address)


def test_marks_move_when_all_of_a_tail_is_merged_and_not_before(address: str, small: None) -> None:
    def marks() -> list[tuple[int, str, int]]:
        return writer.write(lambda tx: tx.driver("SELECT * FROM reached_through ORDER BY 1, 2").fetchall())

    with opened(address) as writer:
        writer.send([FIRST + number for number in range(250)])
        writer.send([None] * 50, user=2, channel="email")
        writer.write(lambda tx: counters.take(tx, 1, "sms receipts", 7))
        seen = [marks()]
        while writer.write(reached.merge):
            writer.send([FIRST])
            seen.append(marks())
        assert seen[:-1] == [[]] * (len(seen) - 1)
        assert marks() == [(1, "sms", 250), (2, "email", 50)]
    with opened(address) as writer:
        assert writer.tails().taken == len(seen) - 1, "mails are not read again at each start"
        check(writer)


def test_a_connection_that_was_lost_in_a_group_has_its_tails_before_the_group_runs_again(
    address: str, small: None
) -> None:
    async def scenario() -> None:
        database = Database(address, alone=True)
        await database.write(lambda tx: send(tx, [FIRST]))
        runs = []

        def broken(tx: Tx) -> None:
            send(tx, [FIRST + 1])
            runs.append(len(reached.seen(tx, "ordinal", [FIRST, FIRST + 1], 0)))
            if len(runs) == 1:
                problem = sqlite3.OperationalError("disk I/O error")
                problem.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise problem

        await asyncio.gather(database.write(broken), database.write(lambda tx: send(tx, [FIRST + 2])))
        assert runs == [2, 2]
        found = await database.write(lambda tx: reached.seen(tx, "ordinal", [FIRST + n for n in range(3)], 0))
        assert sorted(found) == [(1,), (2,), (3,)]
        await database.close()

    asyncio.run(scenario())
    started(address)


def test_full_tails_are_merged_in_the_background_while_others_write(address: str, small: None) -> None:
    async def scenario() -> None:
        database = Database(address, alone=True)
        merged = asyncio.Event()

        def note(tx: Tx) -> bool:
            return bool(tx.driver("SELECT COUNT(*) FROM reached_through").fetchone()[0])

        async def busy() -> None:
            while not merged.is_set():
                await database.write(lambda tx: send(tx, some(20, random.Random(1))))
                if await database.write(note):
                    merged.set()

        async with asyncio.timeout(30):
            await asyncio.gather(*(busy() for _ in range(3)))
            await database.write(lambda tx: send(tx, some(400, random.Random(2))))
        await database.close()  # in the middle of the next merge

    asyncio.run(scenario())
    started(address)


def test_messages_are_found_in_each_part(address: str, small: None) -> None:
    """The same by three connections: the one that has the tails, one beside it, and one that only reads."""
    numbers = [FIRST + number for number in range(900)]
    with opened(address) as writer, opened(address, alone=False) as beside:
        reader = Connector(address, readonly=True)
        writer.send(numbers[:300])
        writer.write(reached.merge)
        writer.write(reached.merge)
        writer.send(numbers[300:310])
        assert writer.sizes() == (60, 240, 10)
        beside.send(numbers[310:320])
        beside.send([numbers[0]], user=2)
        asked = [numbers[0], numbers[59], numbers[60], numbers[305], numbers[315], numbers[899]]

        def look(tx: Tx) -> tuple[list[Any], list[Any], dict[int, int]]:
            found = reached.seen(tx, "msisdn, user_id", asked, 1_800_000_000, "AND channel = ? ORDER BY 1, 2", ["sms"])
            newest = [reached.newest(tx, "ordinal", one, "sms", 1, 5) for one in asked]
            return found, newest, message.count_recent(tx, 1, asked, "", 0)

        reading = reader.begin_read()
        answers = [writer.write(look), beside.write(look), look(reading)]
        reader.end_read(reading)
        reader.close()
        assert answers[0] == (
            [(asked[0], 1), (asked[0], 2), *((one, 1) for one in asked[1:5])],
            [[(1,)], [(60,)], [(61,)], [(306,)], [(316,)], []],
            dict.fromkeys(asked[:5], 1),
        )
        assert answers == [answers[0]] * 3
        assert writer.write(lambda tx: reached.seen(tx, "ordinal", asked, 1_800_000_001)) == []


def test_what_processes_write_beside_each_other_is_entered_once(address: str, small: None) -> None:
    """Whoever is beside the one with the tails enters into `reached`; marks pass nothing that is only in a tail."""
    chance = random.Random(3)
    with opened(address) as writer, opened(address, alone=False) as beside:
        for _ in range(40):
            writer.send(some(20, chance))
            beside.send(some(3, chance))
            beside.send(some(1, chance), user=9)
            writer.write(reached.merge)
            check(writer)
            started(address)
        assert beside.write(
            lambda tx: tx.driver("SELECT ordinal FROM reached_through WHERE user_id = 9").fetchone()
        ) == (40,), "what is all in `reached` is not read at each start"


def test_the_newest_to_a_number_come_first_and_are_few(address: str, small: None) -> None:
    with opened(address) as writer:
        for _ in range(8):
            writer.send([FIRST] * 60)
            writer.now += 1
            writer.write(reached.merge)
        assert 0 not in writer.sizes()
        sent = writer.write(lambda tx: reached.newest(tx, "date, ordinal", FIRST, "sms", None, 70))
        assert {date - 1_800_000_000 for date, _ in sent} == {6, 7}
        assert sorted(ordinal for date, ordinal in sent if date == 1_800_000_007) == list(range(421, 481))
        assert len(sent) == 70
        assert writer.write(lambda tx: reached.newest(tx, "ordinal", FIRST, "voice", None, 70)) == []
        assert writer.write(lambda tx: reached.newest(tx, "ordinal", None, "sms", None, 70)) == []


def test_messages_that_are_dated_anew_are_found_by_their_new_date(address: str, small: None) -> None:
    """In whatever part they are, some of them behind the mark and some before it."""
    with opened(address) as writer:
        for _ in range(7):
            writer.send(some(100, random.Random(8)))
            writer.write(reached.merge)
            writer.write(reached.merge)
        assert 0 not in writer.sizes()
        redated = (1, "sms", 51, 690)

        def mend(tx: Tx) -> None:
            reached.leave(tx, redated)
            tx.driver("UPDATE messages SET date = 1700000000 WHERE ordinal BETWEEN 51 AND 690")
            reached.put(tx, redated)

        writer.write(mend)
        check(writer)
        started(address)
        while writer.write(reached.merge):
            check(writer)
            started(address)


def test_vacuum_changes_nothing_of_it(address: str, small: None) -> None:
    with opened(address) as writer:
        writer.send(some(310, random.Random(5)))
        for _ in range(3):
            writer.write(reached.merge)
        writer.send(some(20, random.Random(6)))
        with contextlib.closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as beside:
            beside.execute("VACUUM")
        check(writer)
        started(address)


VICTIM = """
import random, sys
from heliograph.db import reached
sys.path.insert(0, sys.argv[2])
from db.test_reached import Writer, some
reached.MOST = 3000
writer = Writer(sys.argv[1])
chance = random.Random()
print("ready", flush=True)
while True:
    writer.send(some(chance.randint(1, 400), chance))
    writer.write(reached.merge)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_moment_leaves_each_message_in_one_part(address: str) -> None:
    """Twenty times on one database, which has some ten merges behind it in the end."""
    chance = random.Random(11)
    command = [sys.executable, "-c", VICTIM, address, str(Path(__file__).parent.parent)]
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "ready\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.wait(chance.uniform(0.05, 0.5))
            victim.send_signal(signal.SIGKILL)
        started(address)
    with opened(address) as writer:
        assert writer.sizes()[0] > 3000


@pytest.mark.slow
def test_350_000_messages_in_random_groups(address: str) -> None:
    """With the tails and pieces of a server."""
    chance = random.Random(13)
    with opened(address) as writer:
        left = 350_000
        while left > 0:
            size = min(left, chance.choice([1, 30, 500, 1000]))
            writer.send(some(size, chance))
            left -= size
            writer.write(reached.merge)
        check(writer)
        started(address)
        assert writer.sizes()[0] > 190_000
