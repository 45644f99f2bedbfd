"""Idempotency-Key: one request, however often it comes and through however many doors."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from heliograph.accounts import account
from heliograph.accounts.vault import Vault
from heliograph.billing.commission import Terms
from heliograph.db import engine
from heliograph.db.database import Database
from heliograph.errors import Conflict
from heliograph.http import idempotency
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route
from support.server import Answer, Api, Running
from support.unjudged import ask_once

NUMBER = "+61491570006"
BODY = {"messages": [{"to": NUMBER, "body": "once"}]}


def send(api: Api, key: str | None, body: Any = None, path: str = "/sms/send") -> Answer:
    return api.call("POST", path, BODY if body is None else body, {"Idempotency-Key": key} if key is not None else {})


def sent(api: Api) -> int:
    return int(api.get("/sms/history")["total"])


def test_the_same_request_has_the_same_answer_and_costs_once(api: Api) -> None:
    first = send(api, "k")
    assert [send(api, "k").raw for _ in range(3)] == [first.raw] * 3
    assert send(api, " k ").raw == first.raw
    assert sent(api) == 1
    assert api.get("/account")["balance"] == "99.928500"


def test_another_key_or_none_is_another_request(api: Api) -> None:
    texts = [{"messages": [{"to": NUMBER, "body": f"text {number}"}]} for number in range(4)]
    for key, body in zip(("a", "A", None, ""), texts, strict=True):
        assert send(api, key, body).data["messages"][0]["status"] == "SUCCESS"
    assert sent(api) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"to": NUMBER, "body": "twice"}]},
        {"messages": [{"to": "+61491570156", "body": "once"}]},
        {"messages": [*BODY["messages"], *BODY["messages"]]},
        b'{"messages": [{"to": "+61491570006",  "body": "once"}]}',
    ],
)
def test_the_same_key_with_another_body_is_a_conflict(api: Api, other: Any) -> None:
    send(api, "k")
    refused = send(api, "k", other)
    assert (refused.status, refused.body["response_code"], refused.data) == (409, "CONFLICT", None)
    assert sent(api) == 1


def test_a_key_belongs_to_its_account(server: Running, api: Api) -> None:
    other = server.account()
    one, two = send(api, "k"), send(other, "k")
    assert one.data["messages"][0]["message_id"] != two.data["messages"][0]["message_id"]
    assert (sent(api), sent(other)) == (1, 1)


def test_many_at_once_are_one(api: Api) -> None:
    clients = [api.server.client(api.username, api.key) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda client: send(client, "k"), clients))
    assert {answer.raw for answer in answers} == {answers[0].raw}
    assert answers[0].status == 200
    assert sent(api) == 1


def test_a_refused_request_does_not_use_up_its_key(api: Api) -> None:
    assert send(api, "k", {"messages": []}).status == 400
    assert send(api, "k", b"{").status == 400
    assert send(api, "k").data["queued_count"] == 1
    assert sent(api) == 1


def test_an_answer_in_which_every_message_was_refused_is_an_answer(api: Api) -> None:
    body = {"messages": [{"to": "nobody", "body": "x"}]}
    first = send(api, "k", body)
    assert first.data["messages"][0]["status"] == "INVALID_RECIPIENT"
    assert send(api, "k", body).raw == first.raw


@pytest.mark.parametrize(
    ("key", "status"), [("x" * 255, 200), ("x" * 256, 400), ("ü😀".encode().decode("latin-1"), 200)]
)
def test_the_length_of_a_key(api: Api, key: str, status: int) -> None:
    answers = [send(api, key) for _ in range(2)]
    assert [answer.status for answer in answers] == [status, status]
    if status == 400:
        assert list(answers[0].data) == ["Idempotency-Key"]
    assert sent(api) == (status == 200)


def test_where_nothing_is_spent_a_key_means_nothing(api: Api) -> None:
    headers = {"Idempotency-Key": "k" * 300}
    assert api.call("GET", "/account", headers=headers).status == 200
    body = {"template_name": "a", "body": "b"}
    made = [api.call("POST", "/sms/templates", body, {"Idempotency-Key": "k"}).data["template_id"] for _ in range(2)]
    assert made[0] != made[1]
    assert send(api, "k", path="/sms/price").status == 200
    assert send(api, "k").data["queued_count"] == 1


def test_after_a_day_the_key_is_free(server: Running, api: Api) -> None:
    send(api, "k")
    age(server, api, idempotency.LIFE - 60)
    body = {"messages": [{"to": NUMBER, "body": "later"}]}
    assert send(api, "k", body).status == 409
    age(server, api, 120)
    assert send(api, "k", body).data["queued_count"] == 1
    assert sent(api) == 2
    assert send(api, "k").status == 409


def age(server: Running, api: Api, seconds: int) -> None:
    sql = "UPDATE idempotency SET created_at = created_at - ? WHERE user_id = ?"
    server.write(lambda tx: tx.driver(sql, [seconds, api.user_id]) and None)


ROUTE = Route(0, "POST /things", endpoint("", None, spends=True)(lambda req: Reply()), "")


def request(user_id: int, body: bytes = b"{}") -> Request:
    nothing: Any = None
    made = Request(
        route=ROUTE,
        request_id="r",
        params={},
        query={},
        headers={},
        scheme="http",
        body=body,
        services=nothing,
    )
    who = account.Principal(
        user_id=user_id,
        subaccount_id=1,
        username="u",
        api_username="u",
        email="",
        country="AU",
        currency="AUD",
        char_limit=8,
        throttle_seconds=None,
        countries=None,
        active=True,
        banned=False,
        access=frozenset(),
        epoch=0,
        proof="",
        is_main=True,
        expires=None,
        terms=Terms(),
        numbers=(),
    )
    made.enter(None, who)
    return made


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_two_processes_with_one_key(migrated_url: str, ends: str) -> None:
    """The second waits for the first, and then has its answer, or its turn."""
    first, second = (engine.Connector(migrated_url, lambda: 1000.0) for _ in range(2))
    outcome: list[bytes | None] = []
    begun = threading.Event()

    def other() -> None:
        begun.set()
        tx = second.begin_write()
        outcome.append(idempotency.recall(tx, request(1), "k"))
        tx.driver("ROLLBACK")

    tx = first.begin_write()
    assert idempotency.recall(tx, request(1), "k") is None
    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(10)
    thread.join(0.2)
    assert not outcome, "it did not wait"
    idempotency.remember(tx, request(1), "k", b'{"answer": 1}')
    tx.driver(ends)
    thread.join(20)
    assert outcome == [b'{"answer": 1}' if ends == "COMMIT" else None]
    for one in (first, second):
        one.close()


def test_old_answers_are_forgotten_in_slices(migrated_url: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        now = [1_800_000_000.0]
        database = Database(migrated_url, clock=lambda: now[0])

        def take(tx: Any, keys: range) -> None:
            for key in keys:
                assert idempotency.recall(tx, request(1), str(key)) is None
                idempotency.remember(tx, request(1), str(key), b"{}")

        old = idempotency.SLICE + 10
        await database.write(lambda tx: take(tx, range(old)))
        now[0] += idempotency.LIFE
        await database.write(lambda tx: take(tx, range(old, old + 5)))
        assert not await database.write(idempotency.prune)
        now[0] += 1
        assert await database.write(idempotency.prune)
        assert not await database.write(idempotency.prune)
        count = "SELECT COUNT(*) FROM idempotency"
        assert await database.read(lambda tx: tx.driver(count).fetchone()[0]) == 5
        with pytest.raises(Conflict):
            await database.write(lambda tx: idempotency.recall(tx, request(1, b"[]"), str(old)))
        await database.close()

    asyncio.run(scenario())


def test_kept_answers_are_sealed(server: Running, api: Api) -> None:
    first = send(api, "sealed")
    rows = "SELECT answer FROM idempotency WHERE user_id = ?"
    kept = server.read(lambda tx: [str(row[0]) for row in tx.driver(rows, [api.user_id]).fetchall()])
    assert len(kept) == 1
    assert NUMBER not in kept[0]
    assert "{" not in kept[0]
    update = "UPDATE idempotency SET answer = ? WHERE user_id = ?"
    server.write(lambda tx: tx.driver(update, ['{"kept": "before"}', api.user_id]) and None)
    assert send_raw(api, "sealed") == b'{"kept": "before"}'
    server.write(lambda tx: tx.driver(update, [Vault(b"another secret").seal("{}"), api.user_id]) and None)
    assert send(api, "sealed").status == 409
    server.write(lambda tx: tx.driver(update, [kept[0], api.user_id]) and None)
    assert send(api, "sealed").raw == first.raw


def send_raw(api: Api, key: str) -> bytes:
    """No document knows this answer."""
    _, answer, _ = ask_once(api, "POST", "/v3/sms/send", json.dumps(BODY).encode(), **{"Idempotency-Key": key})
    return json.dumps(answer).encode()
