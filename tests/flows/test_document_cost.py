"""The API document is for everybody, without credentials: reading it must not hold up those who send."""

import urllib.request
from typing import Any

import pytest

from heliograph.http import openapi
from support.server import Running


@pytest.mark.xfail(
    strict=True, reason="it is made anew for each request, in the event loop: a tenth of a second in which nobody sends"
)
def test_the_document_is_made_once(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = openapi.document

    def counted(sections: Any, base_url: str) -> Any:
        made.append(base_url)
        return original(sections, base_url)

    monkeypatch.setattr(openapi, "document", counted)
    for _ in range(3):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v3/openapi.json", timeout=60) as answer:
            assert answer.status == 200
    assert len(made) <= 1
