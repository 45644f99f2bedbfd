"""What a sandbox tells in its log: why a 401 is one, and that an endpoint is not built yet."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contract import oracle
from heliograph.http import hints
from heliograph.http.hints import Hints
from heliograph.routes import ROUTES
from support.raw import send
from support.server import Running


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


def refused(server: Running, path: str, authorization: str | None = None, method: str = "GET") -> dict[str, str]:
    more = "" if authorization is None else f"Authorization: {authorization}\r\n"
    answer = send(server, f"{method} /v3{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{more}".encode())
    assert answer.status in (401, 404, 405)
    return answer.headers


def test_the_log_says_why_a_401_is_one(
    sqlite_server: Running, heard: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "log", hints.structlog.get_logger())
    api = sqlite_server.account()
    cases = [
        (None, "There is no Authorization header."),
        ("", "There is no Authorization header."),
        ("Digest x", "The scheme is neither Basic nor Bearer."),
        ("Basic x", "It is not the Base64 of username:key, or one of the two is empty."),
        (basic("demo:"), "It is not the Base64 of username:key, or one of the two is empty."),
        (
            basic(f"{api.username.upper()}:no"),
            f"The key or password of {api.username.upper()!r} is wrong, or was replaced.",
        ),
        (basic(f"{api.key}:{api.username}"), "No account and no subaccount has this username."),
    ]
    for authorization, why in cases:
        refused(sqlite_server, "/account", authorization)
        (entry,) = [entry for entry in heard if entry["event"] == "login.refused"]
        assert entry["why"] == why
        assert api.key not in str(entry)
        heard.clear()


def test_an_endpoint_that_is_not_built_says_so(
    sqlite_server: Running, heard: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "log", hints.structlog.get_logger())
    monkeypatch.setattr(Hints, "unbuilt", lambda self, method, path: f"{method} {path}" if "fax" in path else "")
    headers = refused(sqlite_server, "/fax-of-tomorrow")
    assert headers["x-not-built"] == "GET /fax-of-tomorrow"
    assert [entry["endpoint"] for entry in heard if entry["event"] == "endpoint.not_built"] == ["GET /fax-of-tomorrow"]
    assert "x-not-built" not in refused(sqlite_server, "/nothing")


def test_the_contract_is_known_by_every_spelling_and_what_is_served_is_built() -> None:
    nothing, everything = Hints(None, []), Hints(None, ROUTES)  # type: ignore[arg-type]
    open_ = set()
    for one in oracle.endpoints():
        for path in filter(None, (one.path, one.alias)):
            bare = re.sub(r"\{\w+\}", "7", path)
            assert nothing.unbuilt(one.method, bare)
            if everything.unbuilt(one.method, bare):
                open_.add(f"{one.method} {one.path}")
    missing = (Path(__file__).parents[1] / "contract" / "missing.txt").read_text().splitlines()
    assert open_ == {line for line in missing if line and not line.startswith("#")}
    assert nothing.unbuilt("GET", "/sms/nothing/else") == everything.unbuilt("GET", "/sms/history") == ""


def test_production_tells_strangers_nothing(tmp_path: Path, heard: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "log", hints.structlog.get_logger())
    server = Running(tmp_path, mode="production", secret="s" * 32, role="api")
    refused(server, "/account", basic("demo:no"))
    assert "x-not-built" not in refused(server, "/fax/history")
    server.stop()
    assert not [entry for entry in heard if entry["event"] in ("login.refused", "endpoint.not_built")]
