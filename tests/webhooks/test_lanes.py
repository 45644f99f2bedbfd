"""One slow or dead customer delays nobody else."""

import threading
from queue import Empty

import pytest

from heliograph.webhooks import outgoing
from support.hooks import Heard, hooks, silent
from support.server import Api, Running

MANY = 60


def flood(api: Api, url: str) -> None:
    for _ in range(MANY):
        api.post("/sms/receipts", {"url": url})


def forget(server: Running, *users: Api) -> None:
    """Other tests need the places that these events would take for half a minute at a time."""
    for api in users:
        server.write(
            lambda tx, api=api: tx.driver("DELETE FROM jobs WHERE lane LIKE ?", [f"webhook:{api.user_id}:%"]) and None
        )


def test_a_dead_target_does_not_delay_another_account(server: Running) -> None:
    dead, alive = server.account(), server.account()
    with silent() as url, hooks() as (hook,):
        flood(dead, url)
        made = alive.post("/sms/receipts", {"url": hook.url})
        assert hook.next(5).form["message_id"] == made["message_id"]
        flood(alive, hook.url)
        assert {hook.next(5).form["status"] for _ in range(MANY)} == {"Delivered"}
        forget(server, dead)


def test_nor_another_server_of_the_same_account(server: Running, api: Api) -> None:
    with silent() as url, hooks() as (hook,):
        flood(api, url)
        made = api.post("/sms/inbound", {"url": hook.url})
        assert hook.next(5).form["message_id"] == made["message_id"]
        forget(server, api)


def test_nor_another_customer_behind_the_same_host_and_port(server: Running) -> None:
    """A gateway, a tunnel or a hosted automation: many customers, one name."""
    slow, quick = server.account(), server.account()
    go_on = threading.Event()

    def gateway(heard: Heard) -> tuple[int, bytes]:
        if heard.path == "/slow":
            go_on.wait(30)
        return 200, b""

    with hooks() as (hook,):
        hook.answer = gateway
        flood(slow, hook.base + "/slow")
        made = quick.post("/sms/receipts", {"url": hook.base + "/quick"})
        assert hook.next(5).form["message_id"] == made["message_id"]
        go_on.set()
        for _ in range(MANY):
            assert hook.next(10).path == "/slow"


def test_many_dead_targets_of_one_account_leave_room(server: Running) -> None:
    dead, alive = server.account(), server.account()
    with silent() as url, hooks() as (hook,):
        port = url.rpartition(":")[2].partition("/")[0]
        for host in range(1, 41):
            for _ in range(3):
                dead.post("/sms/receipts", {"url": f"http://127.0.0.{host}:{port}/"})
        made = alive.post("/sms/receipts", {"url": hook.url})
        assert hook.next(5).form["message_id"] == made["message_id"]
        forget(server, dead)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://a.example/x", "http://a.example/y?z=1", True),
        ("http://a.example/x", "http://A.example:80/y", True),
        ("http://a.example/x", "http://user:pw@a.example/y", True),
        ("http://a.example/x", "https://a.example/x", False),
        ("http://a.example/x", "http://a.example:8080/x", False),
        ("http://a.example/x", "http://b.example/x", False),
    ],
)
def test_what_shares_a_lane_is_a_server_of_an_account(one: str, other: str, same: bool) -> None:
    assert (outgoing._lane(1, one) == outgoing._lane(1, other)) is same
    assert outgoing._lane(1, one) != outgoing._lane(2, one)


def test_a_place_is_given_back_when_the_target_fails(api: Api) -> None:
    """The lane of a target that fails is narrow, but it works through all that waits."""
    with hooks() as (hook,):
        hook.answer = lambda heard: (500, b"")
        flood(api, hook.url)
        assert len({hook.next().form["message_id"] for _ in range(MANY)}) == MANY
        with pytest.raises(Empty):
            hook.next(0.2)
