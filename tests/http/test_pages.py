"""The pages: what this server is, and the API document: made once, kept by who has it, counted."""

import base64
import hashlib
import http.client
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from heliograph.http import openapi, pages
from heliograph.seed import DEMO_KEY, DEMO_USER
from support.program import command
from support.raw import Got, send
from support.server import Running

POLICY = "content-security-policy"


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


@pytest.mark.parametrize("path", ["/", "/v3", "/v3/"])
def test_whoever_looks_at_the_address_learns_what_this_is(sqlite_server: Running, path: str) -> None:
    answer = get(sqlite_server, path, "h.example:80")
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'href="/v3/docs"' in page
    assert "http://h.example:80/v3" in page
    assert "@" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).replace("@media", "")
    wire = http.client.HTTPConnection("127.0.0.1", sqlite_server.port, timeout=30)
    wire.request("HEAD", path, headers={"Host": "h.example:80"})
    assert wire.getresponse().getheader("etag") == answer.headers["etag"]
    wire.close()
    if path != "/":
        refused = send(sqlite_server, f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n".encode())
        assert json.loads(refused.body)["response_code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/", "/v3/docs"])
def test_a_page_runs_only_what_stands_in_it(sqlite_server: Running, path: str) -> None:
    answer = get(sqlite_server, path)
    page, policy = answer.body.decode(), dict(rule.split(" ", 1) for rule in answer.headers[POLICY].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    for kind in ("script", "style"):
        inline = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
        assert policy.get(f"{kind}-src", "") == " ".join(f"'sha256-{one}'" for one in hashes)
    assert re.findall(r"<(?:script|style|link)\s[^>]*>|\sstyle=|\son\w+=", page) == ['<link rel="icon" href="data:,">']


def test_credentials_are_filled_in_where_everybody_may_have_them(sqlite_server: Running) -> None:
    for path in ("/", "/v3/docs"):
        page = get(sqlite_server, path).body.decode()
        assert DEMO_KEY in page
        assert "sandbox" in page
    assert f'<input id="username" value="{DEMO_USER}"' in page
    for made in (pages.docs(None), pages.start("https://sms.example", None)):
        assert DEMO_KEY.encode() not in made
        assert b"sandbox" not in made.lower()
    assert b'<input id="username" value=""' in pages.docs(None)
    assert b"&lt;b&gt;" in pages.start("https://<b>", None)


def test_a_server_in_production_shows_nobodys_credentials(tmp_path: Path) -> None:
    server = Running(tmp_path, mode="production", secret="s" * 32, role="api")
    for path in ("/", "/v3/docs"):
        assert DEMO_KEY not in get(server, path).body.decode()
    server.stop()


def test_a_key_that_was_replaced_is_shown_to_nobody(tmp_path: Path) -> None:
    """Neither on the pages nor on the card of a terminal; the demo says why it cannot begin."""
    Running(tmp_path).stop()
    place = ("--data", str(tmp_path))
    assert command("account", "key", DEMO_USER, "--new", *place).code == 0
    server = Running(tmp_path)
    for path in ("/", "/v3/docs"):
        assert DEMO_KEY not in get(server, path).body.decode()
    server.stop()
    done = command("demo", "--port", "0", *place)
    assert (done.code, done.err.partition(" (")[0]) == (
        1,
        "heliograph: The demo account of this database has another key",
    )
    assert DEMO_KEY not in done.out


@pytest.mark.parametrize("name", ["docs.html", "start.html"])
def test_every_colour_of_a_text_can_be_read(name: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 between a text and what is behind it, in light and in dark."""
    style = files("heliograph.http").joinpath(name).read_text(encoding="utf-8").partition("</style>")[0]
    named = dict(re.findall(r"--(\w+): light-dark\((#\w+, #\w+)\)", style))
    texts = [named[word] for word in named if word not in ("page", "soft", "line")]
    texts += re.findall(r"[{;] *color: light-dark\((#\w+, #\w+)\)", style)
    assert not re.findall(r"nav [^{]*\{ color: #", style)
    for text in texts:
        for behind in (named["page"], named["soft"]):
            for front, back in zip(text.split(", "), behind.split(", "), strict=True):
                assert contrast(front, back) >= 4.5, (front, back)
    for back in re.findall(r"background: (#\w+)", style):  # buttons and verbs: white on a colour
        assert contrast("#fff", back) >= 4.5, back


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio"."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
