"""Limits that several processes share in Redis, and what they do while it is away."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph import doctor, settings
from heliograph.app import database_url
from heliograph.http import shared
from heliograph.option import SettingsError
from support.redis import Redis, redis
from support.server import Api, Running
from transports.ports import dead_port

Start = Callable[..., Running]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Redis]:
    with redis(tmp_path) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers that stop at the end."""
    with ExitStack() as life:

        def made(url: str, **options: Any) -> Running:
            limits = {"rate_limit": "3/hour", "login_limit": "2/hour", **options}
            server = Running(tmp_path / f"data{len(life._exit_callbacks)}", rate_limit_store=url, **limits)  # type: ignore[attr-defined]
            life.callback(lambda: (server.close_clients(), server.stop()))
            return server

        yield made


def twice(first: Running, other: Running) -> tuple[Api, Api]:
    """The same customer at both servers: on databases of their own, the first account of each has the same id."""
    return first.account(), other.account()


def statuses(client: Api, times: int, path: str = "/account") -> list[int]:
    return [client.call("GET", path).status for _ in range(times)]


def test_processes_share_what_they_count(store: Redis, start: Start) -> None:
    first, other = twice(start(store.url), start(store.url))
    assert first.user_id == other.user_id
    answers = [client.call("GET", "/account") for client in (first, other, first, other, first)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"3"}
    assert all(3500 < int(answer.headers["ratelimit-reset"]) <= 3600 for answer in answers)
    assert answers[4].headers["retry-after"] == answers[4].headers["ratelimit-reset"]
    assert other.call("GET", "/sms/templates").status == 200, "another endpoint has a limit of its own"


def test_failed_logins_are_counted_over_all_processes(store: Redis, start: Start) -> None:
    one, two = start(store.url), start(store.url)
    wrong = [server.client("nobody", f"guess {number}") for number in range(2) for server in (one, two)]
    assert [client.call("GET", "/account").status for client in wrong] == [401, 401, 429, 429]
    assert one.account().call("GET", "/account").status == 200, "a good key is always let in"


def test_while_the_store_is_away_each_process_counts_for_itself(
    store: Redis, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "REST", 0.0)
    server = start(store.url)
    client = server.account()
    assert statuses(client, 1) == [200]
    store.stop()
    with capture_logs() as logs:
        assert statuses(client, 4) == [200, 200, 200, 429]
        assert statuses(server.client("nobody", "guess"), 3) == [401, 401, 429]
        store.start()
        assert statuses(client, 4) == [200, 200, 200, 429], "the store came back empty"
    told = [entry["event"] for entry in logs if entry["event"].startswith("limits.")]
    assert told == ["limits.store_away", "limits.store_back"]


def test_a_server_starts_without_its_store_and_asks_it_seldom(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = shared.FixedWindowRateLimiter.hit

    async def noted(*given: Any, **options: Any) -> bool:
        asked.append(given)
        return await real(*given, **options)

    monkeypatch.setattr(shared.FixedWindowRateLimiter, "hit", noted)
    monkeypatch.setattr(shared, "REST", 3600.0)
    with dead_port() as port, capture_logs() as logs:
        assert statuses(start(f"redis://:secret@127.0.0.1:{port}/0").account(), 4) == [200, 200, 200, 429]
    assert len(asked) == 1
    (away,) = [entry for entry in logs if entry["event"] == "limits.store_away"]
    assert "secret" not in str(away)


def test_a_store_that_does_not_answer_delays_one_request(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "TIMEOUT", 0.2)
    monkeypatch.setattr(shared, "REST", 3600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, capture_logs() as logs:
        client = start(f"redis://127.0.0.1:{silent.getsockname()[1]}/0").account()
        assert statuses(client, 4) == [200, 200, 200, 429]
    assert [entry["event"] for entry in logs if entry["event"].startswith("limits.")] == ["limits.store_away"]


def test_a_connection_that_the_store_closed_meanwhile_is_replaced(store: Redis, start: Start) -> None:
    client = start(store.url).account()
    with capture_logs() as logs:
        assert statuses(client, 1) == [200]
        with socket.create_connection(("127.0.0.1", store.port)) as operator:
            operator.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
            assert operator.recv(16).startswith(b":")
        assert statuses(client, 3) == [200, 200, 429]
    assert not [entry for entry in logs if entry["event"].startswith("limits.")]


@pytest.mark.parametrize("url", ["redis://:a secret@host:port/0", "redis://host:99999", "redis://[::1"])
def test_a_url_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as problem:
        settings.load(rate_limit_store=url)
    assert str(problem.value) == "HELIOGRAPH_RATE_LIMIT_STORE: the URL cannot be read."


def test_the_connections_end_with_the_server(store: Redis, tmp_path: Path) -> None:
    server = Running(tmp_path / "data", rate_limit_store=store.url)
    server.account().get("/account")

    def clients() -> int:
        with socket.create_connection(("127.0.0.1", store.port)) as operator:
            operator.sendall(b"CLIENT LIST\r\n")
            return operator.recv(65536).count(b"id=") - 1

    assert clients() == 1
    server.close_clients()
    server.stop()
    assert clients() == 0


def test_the_doctor_asks_the_store(store: Redis, tmp_path: Path) -> None:
    def said(url: str) -> doctor.Finding:
        options = settings.load(data=tmp_path, port=0, rate_limit_store=url)
        found = asyncio.run(doctor.examine(options, database_url(options)))
        return next(one for one in found if one.what == "rate limits")

    where = f"127.0.0.1:{store.port}"
    assert said("memory://") == doctor.Finding("rate limits", True, "in memory")
    assert said(store.url) == doctor.Finding("rate limits", True, f"{where} answers")
    store.stop()
    away = said(store.url.replace("redis://", "redis://:secret@"))
    assert (away.fine, away.detail.startswith(f"{where}: "), "secret" in away.detail) == (False, True, False)
