"""kill -9 with two hundred MMS at an MMSC that has not answered: each comes again by its own id, and is taken once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.test_mms import kept
from flows.test_crash import Victim, check_doubts, check_messages, check_money
from flows.test_crash_carrier import told
from support.program import ask, peers, until
from support.server import Running
from support.silence import LastingMmsc, SilentMmsc

ANSWERED, IN_FLIGHT = 100, 200
OPEN = "SELECT 1 FROM messages WHERE status NOT IN ('Completed', 'Failed') LIMIT 1"


class Customer:
    """Sends MMS with one picture. `promised`: what was accepted, as message_id -> body."""

    def __init__(self, data: Path, database: str) -> None:
        server = Running(data, database)
        api = server.account()
        self._username, self._key, self._picture = api.username, api.key, kept(api)
        server.close_clients()
        server.stop()
        self.promised: dict[str, str] = {}

    def send(self, port: int, count: int) -> set[str]:
        """Send so many in one request; their ids."""
        bodies = [f"crash {number}" for number in range(len(self.promised), len(self.promised) + count)]
        messages = [{"to": "+61491570006", "subject": "Hello", "body": body} for body in bodies]
        asked = {"media_file": self._picture, "messages": messages}
        status, _, answer = ask(port, "POST", "/v3/mms/send", asked, self._username, self._key)
        assert (status, answer["data"]["queued_count"]) == (200, count), answer
        made = {fate["message_id"]: fate["body"] for fate in answer["data"]["messages"]}
        self.promised |= made
        return set(made)


@pytest.fixture
def mmsc(tmp_path: Path) -> Iterator[LastingMmsc]:
    with peers() as among:
        made = LastingMmsc(among, folder=tmp_path / "mmsc")
        yield made
        made.stop()


@pytest.fixture
def victim(tmp_path: Path, database_url: str, mmsc: LastingMmsc) -> Iterator[Victim]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "heliograph.toml").write_text(mmsc.toml(f"connections = {IN_FLIGHT}"))
    made = Victim(data, database_url)
    mmsc.report_to(made.port)
    yield made
    made.close()


@pytest.mark.slow
def test_killed_with_two_hundred_in_flight(victim: Victim, mmsc: LastingMmsc) -> None:
    """What was answered and recorded stays as it is. Of the others half had been taken, and reported, before."""
    customer = Customer(victim.data, victim.database)
    victim.start()
    victim.ready()
    customer.send(victim.port, ANSWERED)
    until(lambda: not victim.rows(OPEN))
    mmsc.change(SilentMmsc.say_nothing)
    in_flight = customer.send(victim.port, IN_FLIGHT)
    reported = ANSWERED + IN_FLIGHT // 2
    mmsc.until(lambda there: (there.held, there.counts["acknowledged"]) == (IN_FLIGHT, reported))
    victim.kill()
    assert in_flight == {row[0] for row in victim.rows("SELECT message_id FROM queue WHERE claimed = 1")}
    mmsc.change(SilentMmsc.usual)
    victim.start()
    victim.ready()
    until(lambda: not victim.rows(OPEN))
    until(lambda: not victim.rows("SELECT 1 FROM queue LIMIT 1"))
    victim.kill()
    check_messages(victim, customer.promised)
    assert victim.rows("SELECT DISTINCT status FROM messages") == [("Completed",)]
    check_money(victim, "mms")
    check_doubts(victim, in_flight)
    assert told(victim) == {customer.promised[key] for key in in_flight}
    check_mmsc(mmsc.carrier, customer.promised, in_flight)


def check_mmsc(mmsc: SilentMmsc, promised: dict[str, str], in_flight: set[str]) -> None:
    """It took each message once, and each came by its own id, however often."""
    assert mmsc.submitted == {body: 2 if key in in_flight else 1 for key, body in promised.items()}
    assert mmsc.ids == {body: {key} for key, body in promised.items()}
    assert mmsc.counts["taken"] == len(promised)
