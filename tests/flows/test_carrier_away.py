"""A carrier that is away holds up its own messages, and nobody else's; they go out in their order when it is back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from channels.test_mms import kept
from support import postgres
from support.program import peers, until
from support.server import Api, Running
from support.silence import carrier_of
from transports.ports import free_port

COUNT = 30
AWAY, THERE = "+61491570006", "+6421000000"
ONE_BY_ONE = {"sms": "reconnect_max = 0.2", "mms": "connections = 1"}
"""Options of the carrier that is away, by channel: its messages keep their order."""

FOUND: dict[str, Callable[[Any], bool]] = {
    "sms": lambda smsc: len(smsc._bound) == 1,
    "mms": lambda mmsc: mmsc.submitted.total() > 0,
}
"""Whether the carrier was found after it came back: MM7 has no connection before the first message."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    with postgres.database(request.getfixturevalue("postgres_url")) as made:
        yield made


@pytest.fixture(params=["sms", "mms"])
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def sent(api: Api, channel: str, to: str, *bodies: str) -> list[str]:
    messages = [{"to": to, "body": body, **({"subject": "Hello"} if channel == "mms" else {})} for body in bodies]
    picture = {"media_file": kept(api)} if channel == "mms" else {}
    answer = api.post(f"/{channel}/send", {"messages": messages, **picture})
    return [entry["message_id"] for entry in answer["messages"]]


def timeline(api: Api, channel: str, message_id: str) -> list[str]:
    return [step["detail"] for step in api.get(f"/{channel}/{message_id}/timeline")]


def complete(api: Api, channel: str, message_id: str) -> None:
    """Wait until a message is."""
    path = f"/{channel}/history?q=message_id:{message_id}"
    api.until(lambda: [row["status"] for row in api.get(path)["data"]] == ["Completed"])


def check_told_once(api: Api, channel: str, message_ids: list[str]) -> None:
    for message_id in message_ids:
        steps = timeline(api, channel, message_id)
        assert sum("Waits for away" in step for step in steps) <= 1
        assert not [step for step in steps if "Not taken" in step or "twice" in step]


@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside-another"])
def test_all_go_out_in_order_when_the_carrier_is_there(tmp_path: Path, url: str, channel: str, other: bool) -> None:
    """Beside another carrier the order is that within a request (messaging/test_waiting_order.py)."""
    with peers() as among:
        away = carrier_of(channel, among, tmp_path / "away", "away", free_port(), away=True)
        there = carrier_of(channel, among, tmp_path / "there", "there")
        routes = [away.toml(ONE_BY_ONE[channel], route='country = "AU"')]
        if other:
            routes.append(there.toml(route='country = "NZ"'))
        (tmp_path / "heliograph.toml").write_text("\n".join(routes))
        server = Running(tmp_path, url)
        for carrier in (away, there):
            carrier.report_to(server.port)
        api = server.account()
        bodies = [f"in order {number}" for number in range(COUNT)]
        ids: list[str] = []
        for at in range(0, COUNT, 10):
            ids += sent(api, channel, AWAY, *bodies[at : at + 10])
        until(lambda: any("Waits for away" in step for step in timeline(api, channel, ids[-1])))
        if other:
            for number in range(3):
                before = monotonic()
                complete(api, channel, sent(api, channel, THERE, f"beside {number}")[0])
                assert monotonic() - before < 5, "held up by those that wait"
        assert server.read(lambda tx: tx.driver("SELECT MAX(attempts) FROM queue").fetchone()[0]) <= 1
        away.start()
        away.until(FOUND[channel])
        bound_at = monotonic()
        away.until(lambda carrier: carrier.submitted.total() == COUNT)
        took = monotonic() - bound_at
        for group in [bodies[at : at + 10] for at in range(0, COUNT, 10)] if other else [bodies]:
            assert [body for body in away.carrier.order if body in group] == group
        for message_id in ids:
            complete(api, channel, message_id)
        check_told_once(api, channel, ids)
        assert took < 5, f"{took:.1f} s after the bind: a second until the next look, the rest is for a busy machine"
        server.close_clients()
        server.stop()
        away.stop()
        there.stop()


def test_one_that_goes_and_comes_back_gets_all_of_them_once(tmp_path: Path, url: str, channel: str) -> None:
    with peers() as among:
        carrier = carrier_of(channel, among, tmp_path / "carrier", "away", free_port())
        (tmp_path / "heliograph.toml").write_text(carrier.toml(ONE_BY_ONE[channel]))
        server = Running(tmp_path, url)
        carrier.report_to(server.port)
        api = server.account()
        bodies = [f"to and fro {number}" for number in range(COUNT)]
        ids = sent(api, channel, AWAY, *bodies[: COUNT // 2])
        for message_id in ids:
            complete(api, channel, message_id)
        carrier.stop()
        ids += sent(api, channel, AWAY, *bodies[COUNT // 2 :])
        until(lambda: any("Waits for away" in step for step in timeline(api, channel, ids[-1])))
        carrier.start()
        for message_id in ids:
            complete(api, channel, message_id)
        assert carrier.carrier.submitted == dict.fromkeys(bodies, 1)
        check_told_once(api, channel, ids)
        server.close_clients()
        server.stop()
        carrier.stop()
