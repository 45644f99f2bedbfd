"""What is behind a short link: a redirect whose clicks are counted, or the page on which its recipient opts out."""

import http.client
import re
from typing import Any

import pytest

from support.server import Api, Running

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.5 Mobile/15E148 Safari/604.1"
)
TARGET = "https://shop.example/spring?from=sms"


def ask(server: Running, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """(status, headers, page) of one request by a telephone."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"User-Agent": PHONE, **named})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read().decode()
    finally:
        connection.close()


def shortened(
    api: Api, to: str = "+61491570006", body: str = f"Look: {TARGET}.", **more: Any
) -> tuple[str, dict[str, Any]]:
    """(path of the link, entry of the answer) of a quick send with `shorten_urls`."""
    message = {"to": to, "body": body, **more}
    entry = api.post("/sms/send", {"messages": [message], "shorten_urls": True})["messages"][0]
    found = re.search(rf"127\.0\.0\.1:{api.server.port}(/[^\s.]+)", entry["body"])
    return found[1] if found else "", entry


def test_a_link_leads_to_its_target(server: Running) -> None:
    api = server.account()
    path, entry = shortened(api)
    assert entry["status"] == "SUCCESS"
    assert entry["body"] == f"Look: 127.0.0.1:{server.port}{path}."
    status, headers, page = ask(server, path)
    assert (status, page) == (302, "")
    assert headers["location"] == TARGET
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"] == "noindex"
