"""The API document: made once, kept by who has it, counted."""

import json
from pathlib import Path

import pytest

from heliograph.http import openapi
from support.raw import Got, send
from support.server import Running


def get(server: Running, path: str = "/v3/openapi.json", host: str = "a.example", more: str = "") -> Got:
    return send(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}".encode())


def test_the_document_is_made_once_for_all_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    document = openapi.document

    def noted(*arguments: object) -> object:
        made.append(arguments)
        return document(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(openapi, "document", noted)
    server = Running(tmp_path, role="api")
    answers = [get(server, host=f"h{number}.example:80") for number in range(30)]
    assert len(made) == 1
    servers = [json.loads(answer.body)["servers"] for answer in answers]
    assert servers == [[{"url": f"http://h{number}.example:80/v3"}] for number in range(30)]
    server.stop()


@pytest.mark.parametrize("path", ["/v3/openapi.json", "/v3/docs"])
def test_who_has_the_document_is_told_so(server: Running, path: str) -> None:
    first = get(server, path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(server, path, more=f"If-None-Match: {known}\r\n")
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert get(server, path, more='If-None-Match: "other"\r\n').status == 200
    assert path == "/v3/docs" or get(server, path, "b.example").headers["etag"] != tag


@pytest.mark.parametrize("path", ["/v3/openapi.json", "/v3/docs"])
def test_the_document_is_counted(tmp_path: Path, path: str) -> None:
    server = Running(tmp_path, rate_limit="2/day", role="api")
    answers = [get(server, path) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert json.loads(answers[2].body)["response_code"] == "TOO_MANY_REQUESTS"
    assert "retry-after" in answers[2].headers
    server.stop()
