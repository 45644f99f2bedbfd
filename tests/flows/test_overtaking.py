"""Receipts that come before the answer to their submit_sm, by another bind, or to another process."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from heliograph.db.engine import Tx
from heliograph.messaging import receipts
from support import postgres
from support.overtaking import Manner, Overtaker, OvertakingSmsc
from support.program import Program, ask, peers, program, send, serving, until
from support.server import Api, Running

COUNT = 20


class House(NamedTuple):
    server: Running
    carrier: Overtaker


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server with two binds to a carrier; each test says how the carrier behaves, and has an account of its own."""
    data = tmp_path_factory.mktemp(request.param)
    with peers() as among:
        carrier = Overtaker(among)
        (data / "heliograph.toml").write_text(carrier.toml("binds = 2"))
        if request.param == "sqlite":
            server = Running(data)
            yield House(server, carrier)
            server.stop()
        else:
            with postgres.database(request.getfixturevalue("postgres_url")) as url:
                server = Running(data, url)
                yield House(server, carrier)
                server.stop()
        carrier.stop()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    shared.carrier.until(lambda smsc: len(smsc._bound) == 2)
    yield shared
    shared.carrier.change(ordinary)
    shared.server.close_clients()


def ordinary(smsc: OvertakingSmsc) -> None:
    smsc.usual()
    smsc.give(itertools.count(random.getrandbits(48)))


def state(tx: Tx, user_id: int) -> tuple[list[Any], list[Any], int]:
    """The statuses of an account's messages, how many receipts each has, and how many are left in the queue."""
    statuses = tx.driver("SELECT status FROM messages WHERE user_id = ?", [user_id]).fetchall()
    rows = tx.driver("SELECT COUNT(*) FROM receipts WHERE user_id = ? GROUP BY message_id", [user_id]).fetchall()
    (queued,) = tx.driver("SELECT COUNT(*) FROM queue WHERE user_id = ?", [user_id]).fetchone()
    return [row[0] for row in statuses], [row[0] for row in rows], queued


def check_once(house: House, api: Api, bodies: list[str]) -> None:
    """Each was sent once, is completed, and has one receipt."""
    complete = (["Completed"] * len(bodies), [1] * len(bodies), 0)

    def settled() -> bool:
        return bool(house.server.read(lambda tx: state(tx, api.user_id)) == complete)

    until(settled, 30, f"{house.server.read(lambda tx: state(tx, api.user_id))}")
    assert [house.carrier.smsc.submitted[body] for body in bodies] == [1] * len(bodies)


def sent(api: Api, count: int = COUNT, to: str = "+61491570006", tail: str = "") -> list[str]:
    bodies = [f"{api.username} {number}{tail}" for number in range(count)]
    answer = api.post("/sms/send", {"messages": [{"to": to, "body": body} for body in bodies]})
    assert {entry["status"] for entry in answer["messages"]} == {"SUCCESS"}
    return bodies


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_receipt_of_one_comes_well_before_its_answer(house: House, elsewhere: bool) -> None:
    """It is durable before the carrier answers: the hand-over has to find what was parked."""
    manners: Iterator[Manner] = itertools.chain(["before"], itertools.repeat("after"))

    def change(smsc: OvertakingSmsc) -> None:
        smsc.manner, smsc.elsewhere = lambda: next(manners), elsewhere

    house.carrier.change(change)
    api = house.server.account()
    check_once(house, api, sent(api))


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("manner", ["together", "before"])
def test_a_carrier_that_always_sends_the_receipt_first(house: House, manner: Manner, elsewhere: bool) -> None:
    def change(smsc: OvertakingSmsc) -> None:
        smsc.manner, smsc.elsewhere = lambda: manner, elsewhere

    house.carrier.change(change)
    api = house.server.account()
    check_once(house, api, sent(api))


def test_receipts_that_come_by_the_other_bind(house: House) -> None:
    """Some before the answer, some after it."""

    def change(smsc: OvertakingSmsc) -> None:
        smsc.manner, smsc.elsewhere = lambda: random.choice(("after", "together", "before")), True

    house.carrier.change(change)
    api = house.server.account()
    check_once(house, api, sent(api))


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("manner", ["after", "together", "before"])
def test_one_id_for_all_parts_of_a_long_message(house: House, manner: Manner, copies: int) -> None:
    """One receipt is all that comes, or the carrier repeats it."""
    number = random.getrandbits(48)

    def change(smsc: OvertakingSmsc) -> None:
        smsc.manner, smsc.copies = lambda: manner, copies
        smsc.give(itertools.repeat(number))

    house.carrier.change(change)
    api = house.server.account()
    check_once(house, api, sent(api, 1, tail=" long" * 80))


def test_the_older_message_of_an_id_that_is_given_twice_expires(house: House) -> None:
    """Its receipt never comes, and the id means the newer message by now."""
    number = random.getrandbits(48)
    house.carrier.change(lambda smsc: smsc.give(itertools.repeat(number)))
    api = house.server.account()
    older = api.send("+61491999003", f"{api.username} older")["message_id"]
    api.final(older, "Sent")
    newer = api.send("+61491570006", f"{api.username} newer")["message_id"]
    api.final(newer)
    server = house.server
    while server.write(lambda tx: receipts.expire(tx, tx.now + 100, server.house.hooks)):
        pass
    assert api.history(older)["status"] == "Failed"
    assert api.history(newer)["status"] == "Completed"
    steps = [step["detail"] for step in api.get(f"/sms/{older}/timeline")]
    assert sum("expired" in step for step in steps) == 1


def test_two_processes_get_each_others_receipts(postgres_url: str, tmp_path: Any) -> None:
    """Each worker has one bind, and the receipts go to the one that did not submit."""
    data = tmp_path / "data"
    data.mkdir()
    with peers() as among, postgres.database(postgres_url) as url:
        carrier = Overtaker(among)

        def change(smsc: OvertakingSmsc) -> None:
            smsc.manner, smsc.elsewhere = lambda: random.choice(("after", "together", "before")), True

        carrier.change(change)
        (data / "heliograph.toml").write_text(carrier.toml())
        base = ["--data", str(data), "--database", url]
        with (
            serving(data, "--role", "api", "--database", url) as api,
            program(tmp_path / "one.log", "worker", *base) as one,
            program(tmp_path / "two.log", "worker", *base) as two,
        ):
            carrier.until(lambda smsc: len(smsc._bound) == 2)
            bodies = [f"spread {number}" for number in range(3 * COUNT)]
            for at in range(0, len(bodies), 5):
                send(api.port, *bodies[at : at + 5])
            until(lambda: statuses(api) == {"Completed": len(bodies)}, failure="not all are completed")
            check_ended_well(one, two, api)
        assert carrier.smsc.submitted == Counter(bodies)
        carrier.stop()


def statuses(api: Program) -> Counter[str]:
    found = ask(api.port, "GET", "/v3/sms/history?limit=100")[2]["data"]["data"]
    return Counter(entry["status"] for entry in found)


def check_ended_well(*programs: Program) -> None:
    for one in programs:
        assert one.end() == 0
        assert "Traceback" not in one.said
