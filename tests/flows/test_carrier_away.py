"""A carrier that is away holds up its own messages, and nobody else's; they go out in their order when it is back."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from support import postgres
from support.overtaking import Overtaker
from support.program import peers, until
from support.server import Api, Running
from transports.ports import free_port

COUNT = 30
AWAY, THERE = "+61491570006", "+6421000000"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    with postgres.database(request.getfixturevalue("postgres_url")) as made:
        yield made


def sent(api: Api, to: str, *bodies: str) -> list[str]:
    answer = api.post("/sms/send", {"messages": [{"to": to, "body": body} for body in bodies]})
    return [entry["message_id"] for entry in answer["messages"]]


def timeline(api: Api, message_id: str) -> list[str]:
    return [step["detail"] for step in api.get(f"/sms/{message_id}/timeline")]


def check_told_once(api: Api, message_ids: list[str]) -> None:
    for message_id in message_ids:
        steps = timeline(api, message_id)
        assert sum("Waits for away" in step for step in steps) <= 1
        assert not [step for step in steps if "Not taken" in step or "twice" in step]


@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside-another"])
def test_all_go_out_in_order_when_the_carrier_is_there(tmp_path: Path, url: str, other: bool) -> None:
    """Beside another carrier the order is that within a request (messaging/test_waiting_order.py)."""
    with peers() as among:
        away = Overtaker(among, "away", free_port(), away=True)
        there = Overtaker(among, "there")
        routes = [away.toml("reconnect_max = 0.2", route='country = "AU"')]
        if other:
            routes.append(there.toml(route='country = "NZ"'))
        (tmp_path / "heliograph.toml").write_text("\n".join(routes))
        server = Running(tmp_path, url)
        api = server.account()
        bodies = [f"in order {number}" for number in range(COUNT)]
        ids: list[str] = []
        for at in range(0, COUNT, 10):
            ids += sent(api, AWAY, *bodies[at : at + 10])
        until(lambda: any("Waits for away" in step for step in timeline(api, ids[-1])))
        if other:
            for number in range(3):
                before = monotonic()
                api.final(sent(api, THERE, f"beside {number}")[0])
                assert monotonic() - before < 5, "held up by those that wait"
        assert server.read(lambda tx: tx.driver("SELECT MAX(attempts) FROM queue").fetchone()[0]) <= 1
        away.start()
        away.until(lambda smsc: len(smsc._bound) == 1)
        bound_at = monotonic()
        away.until(lambda smsc: smsc.submitted.total() == COUNT)
        took = monotonic() - bound_at
        for group in [bodies[at : at + 10] for at in range(0, COUNT, 10)] if other else [bodies]:
            assert [body for body in away.smsc.order if body in group] == group
        for message_id in ids:
            api.final(message_id)
        check_told_once(api, ids)
        assert took < 5, f"{took:.1f} s after the bind: a second until the next look, the rest is for a busy machine"
        server.close_clients()
        server.stop()
        away.stop()
        there.stop()
