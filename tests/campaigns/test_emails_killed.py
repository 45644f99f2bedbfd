"""kill -9 while the mails of a campaign go out: each address gets its mail once, but for what was in flight."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from campaigns.test_killed import CREDIT, check_money
from contacts.test_list_sends import opt_out_list
from contacts.test_lists import made
from flows.test_crash import Victim
from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from support.emails import sender
from support.lasting import Lasting
from support.program import ask, peers, until
from support.server import Api, Running
from transports.ports import free_port
from transports.relay import Relay, serving

CONTACTS, OPTED_OUT, KILLS = 5000, 20, 3
RECIPIENTS = CONTACTS - OPTED_OUT
CONNECTIONS, AT_ONCE = 4, 64
"""Connections to the relay, and mails that may be in flight over them."""
STEP = 500
"""Mails that go out before each kill."""

_MESSAGE_ID = re.compile(rb"^Message-ID: (\S+)\r$", re.MULTILINE)


class LastingRelay(Lasting[Relay]):
    """A relay that keeps all it gets."""

    async def _made(self) -> Relay:
        return Relay()

    async def _listen(self) -> int:
        self._open = AsyncExitStack()
        return await self._open.enter_async_context(serving(self.carrier, port=self.port))

    async def _end(self) -> None:
        await self._open.aclose()

    def toml(self, *options: str, route: str = "") -> str:
        lines = [f"[transports.{self.name}]", 'kind = "smtp"', 'host = "127.0.0.1"', f"port = {self.port}"]
        lines += ['tls = "none"', f"connections = {CONNECTIONS}", *options]
        return "\n".join([*lines, "[[routes]]", f'transport = "{self.name}"', 'channel = "email"', route, ""])


@pytest.fixture
def relay() -> Iterator[LastingRelay]:
    with peers() as among:
        made = LastingRelay(among, port=free_port())
        yield made
        made.stop()


@pytest.fixture
def victim(tmp_path: Path, database_url: str, relay: LastingRelay) -> Iterator[Victim]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "heliograph.toml").write_text(relay.toml())
    made = Victim(data, database_url)
    yield made
    made.close()


def address(number: int) -> str:
    return f"reader{number}@x{number % 7}.example"


def fill(api: Api, list_id: int, numbers: range) -> None:
    def work(tx: Tx) -> None:
        into = lists.find(tx, api.user_id, list_id, lock=True)
        contact.add(tx, into, [contact.columns({"email": address(number)}, "AU") for number in numbers])

    api.server.write(work)


@pytest.mark.slow
def test_killed_while_mails_go_out(victim: Victim, relay: LastingRelay) -> None:
    server = Running(victim.data, victim.database)
    api = server.account(credit=CREDIT)
    list_id = made(api)
    fill(api, list_id, range(CONTACTS))
    fill(api, opt_out_list(api), range(0, CONTACTS, CONTACTS // OPTED_OUT))
    asked: dict[str, Any] = {"list_id": list_id, "name": "Killed", "subject": "Hello", "body": "<p>For (Email)</p>"}
    asked |= {"from_email_address_id": sender(api), "from_name": "Shop"}
    server.close_clients()
    server.stop()

    def call(method: str, path: str, body: Any = None) -> Any:
        status, _, answer = ask(victim.port, method, f"/v3/email-campaigns/{path}", body, api.username, api.key)
        assert status == 200, answer
        return answer["data"]

    victim.start()
    victim.ready()
    quote = call("POST", "price", asked)
    assert (quote["total_count"], quote["queued_count"]) == (CONTACTS, RECIPIENTS)
    key = call("POST", "send", asked)["data"]["email_campaign_id"]
    for _ in range(KILLS):
        before = len(relay.carrier.mails)
        relay.until(lambda there, before=before: len(there.mails) >= before + STEP, 120)
        victim.kill()
        victim.start()
    victim.ready()
    until(lambda: call("GET", str(key))["status"] == "Sent", 240)
    row = call("GET", str(key))
    victim.kill()
    assert (row["send_count"], row["hard_bounce_count"], row["soft_bounce_count"]) == (RECIPIENTS, 0, 0)
    check_mails(relay.carrier)
    assert victim.rows("SELECT COUNT(*) FROM messages WHERE status <> 'Sent'") == [(0,)]
    check_money(victim, round(float(quote["total_price"]) * 1_000_000))


def check_mails(relay: Relay) -> None:
    """Each got one mail, and no other came; what came twice is the same mail, and was in flight."""
    ids: dict[str, set[bytes]] = defaultdict(set)
    for mail, envelope in zip(relay.mails, relay.envelopes, strict=True):
        (recipient,) = envelope.rcpt_tos
        (found,) = _MESSAGE_ID.findall(mail)
        ids[recipient].add(found)
    gone = set(range(0, CONTACTS, CONTACTS // OPTED_OUT))
    assert ids.keys() == {address(number) for number in range(CONTACTS) if number not in gone}
    assert {len(one) for one in ids.values()} == {1}
    assert len(set.union(*ids.values())) == RECIPIENTS
    assert len(relay.mails) <= RECIPIENTS + KILLS * AT_ONCE
