"""kill -9 while a campaign is expanded: each recipient gets one message, and it costs what was quoted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.test_mms import kept
from contacts.test_list_sends import opt_out_list
from contacts.test_lists import bulk, made
from flows.test_crash import Victim
from support.lasting import Lasting
from support.program import ask, peers, until
from support.server import Running
from support.silence import carrier_of
from transports.ports import free_port

CONTACTS, OPTED_OUT, KILLS = 5000, 20, 3
RECIPIENTS = CONTACTS - OPTED_OUT
CREDIT = 10_000_000_000
MADE = "SELECT COUNT(*) FROM messages"


class Customer:
    """An account with a list, of which some have opted out, and what its campaign asks for."""

    def __init__(self, channel: str, data: Path, database: str) -> None:
        self.channel = channel
        server = Running(data, database)
        api = server.account(credit=CREDIT)
        self._login = (api.username, api.key)
        list_id = made(api)
        bulk(api, list_id, range(CONTACTS))
        bulk(api, opt_out_list(api), range(0, CONTACTS, CONTACTS // OPTED_OUT))
        self.asked: dict[str, Any] = {"list_id": list_id, "name": "Killed", "body": "For {Phone}"}
        if channel == "mms":
            self.asked |= {"subject": "Hello", "media_file": kept(api)}
        server.close_clients()
        server.stop()

    def call(self, victim: Victim, method: str, path: str, body: Any = None) -> Any:
        status, _, answer = ask(victim.port, method, f"/v3/{self.channel}-campaigns/{path}", body, *self._login)
        assert status == 200, answer
        return answer["data"]


@pytest.fixture(params=["sms", "mms"])
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def carrier(channel: str, tmp_path: Path) -> Iterator[Lasting[Any]]:
    with peers() as among:
        made = carrier_of(channel, among, tmp_path / "carrier", port=free_port(), away=True)
        yield made
        made.stop()


@pytest.fixture
def victim(tmp_path: Path, database_url: str, carrier: Lasting[Any]) -> Iterator[Victim]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "heliograph.toml").write_text(carrier.toml())
    made = Victim(data, database_url)
    carrier.report_to(made.port)
    yield made
    made.close()


def count(victim: Victim) -> int:
    return int(victim.rows(MADE)[0][0])


@pytest.mark.slow
def test_killed_while_it_is_expanded(channel: str, victim: Victim, carrier: Lasting[Any]) -> None:
    """The carrier is away until the last message is made, so that no hand-over is in doubt."""
    customer = Customer(channel, victim.data, victim.database)
    victim.start()
    victim.ready()
    quote = customer.call(victim, "POST", "price", customer.asked)
    assert quote["total_count"] == RECIPIENTS
    key = customer.call(victim, "POST", "send", customer.asked)[f"{channel}_campaign_id"]
    before = 0
    for _ in range(KILLS):
        until(lambda before=before: count(victim) > before)
        victim.kill()
        before = count(victim)
        assert before < RECIPIENTS, "it was expanded before the kill"
        victim.start()
    until(lambda: count(victim) == RECIPIENTS)
    carrier.start()
    carrier.until(lambda there: there.submitted.total() >= RECIPIENTS, 240)
    victim.ready()
    until(lambda: customer.call(victim, "GET", str(key))["status"] == "Sent")
    until(lambda: not victim.rows("SELECT 1 FROM messages WHERE status <> 'Completed' LIMIT 1"))
    victim.kill()
    check_recipients(victim, carrier)
    check_money(victim, round(float(quote["total_price"]) * 1_000_000))


def check_recipients(victim: Victim, carrier: Lasting[Any]) -> None:
    """Each got one message, and no other came."""
    gone = set(range(0, CONTACTS, CONTACTS // OPTED_OUT))
    numbers = {f"+61491{number:06}" for number in range(CONTACTS) if number not in gone}
    assert sorted(row[0] for row in victim.rows("SELECT recipient FROM messages")) == sorted(numbers)
    assert carrier.carrier.submitted == {f"For {number}": 1 for number in numbers}


def check_money(victim: Victim, quoted: int) -> None:
    """It cost what was quoted, in micros."""
    assert victim.rows("SELECT SUM(price_micros) FROM messages") == [(quoted,)]
    assert victim.rows("SELECT -SUM(micros) FROM ledger WHERE kind = 'campaign'") == [(quoted,)]
    assert victim.rows("SELECT COUNT(*) FROM ledger WHERE kind = 'refund'") == [(0,)]
    (balances,) = victim.rows("SELECT MAX(micros) FROM balances")
    assert balances == (CREDIT - quoted,)
