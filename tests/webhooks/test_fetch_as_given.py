"""Customers' URLs are called as they were given, byte for byte: a signature covers these very characters."""

import asyncio
import base64
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from contacts.test_imports import ended, made, site, start
from files.test_attach import refused
from files.test_attach import site as file_site
from heliograph.webhooks import fetch
from heliograph.webhooks.fetch import WebClient, _redirected
from support.hooks import hooks
from support.server import Api
from webhooks.sites import client, run
from webhooks.test_pushes import ECHO, deliveries, is_signed, secret_of, url_rule


class Lines:
    """A web server that keeps the request lines and the headers that it gets, to the byte."""

    def __init__(self) -> None:
        self.targets: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.location: bytes | None = None

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *headers = head.strip().split(b"\r\n")
            self.targets.append(line.partition(b" ")[2].removesuffix(b" HTTP/1.1"))
            pairs = [header.decode().partition(": ") for header in headers]
            self.headers.append({name.lower(): value for name, _, value in pairs})
            place, self.location = self.location, None
            told = b"200 OK" if place is None else b"302 Found\r\nLocation: " + place
            writer.write(b"HTTP/1.1 " + told + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def listening(host: str = "127.0.0.1") -> AsyncIterator[tuple[Lines, int]]:
    """The server and its port."""
    lines = Lines()
    server = await asyncio.start_server(lines.connection, host, 0)
    try:
        yield lines, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def downloaded(web_client: WebClient, url: str) -> str | None:
    return (await web_client.download(url, io.BytesIO(), 1000, 10.0))[0]


SIGNED = "/p%28a%29%27b%3D.csv?sig=a%2Fb"
AS_GIVEN = [
    SIGNED,
    "/p(a)'b=.csv?sig=a/b",
    "/%7Eann/~ann/%41%42?x=%41",
    "/lower%2fupper%2F?lower=%2f&upper=%2F",
    "/a/../b/./c/..",
    "/a/%2E%2E/%2e/b",
    "//two//three///",
    "/;v=1;w=2/x;y?a;b",
    "/a+b?c+d=e+f%20g",
    "/?",
    "/p?",
    "/p??a=?",
    "/p?a=1&&b=&=c&",
    "/100%/%zz?%",
    '/"<>^`{|}?"<>^`{|}',
    "/back\\slash?back\\slash",
    "/p?next=http://example.com/?a=b@c:d",
    "/@:,!$&*~-_.[x]",
]
WRITTEN = [
    ("", "/"),
    ("?", "/?"),
    ("?a=%2F", "/?a=%2F"),
    ("/p#top?x", "/p"),
    ("/p?a=%2F#", "/p?a=%2F"),
    ("#top", "/"),
    ("/ścieżka%20?ż=%c5", "/%C5%9Bcie%C5%BCka%20?%C5%BC=%c5"),
    ("/a\u3000b?\U0001f600", "/a%E3%80%80b?%F0%9F%98%80"),
    *((one, one) for one in AS_GIVEN),
]


@pytest.mark.parametrize(("given", "target"), WRITTEN)
def test_a_path_and_a_query_are_sent_as_they_are(given: str, target: str) -> None:
    async def scenario() -> None:
        async with listening() as (lines, port), client() as web_client:
            url = f"http://127.0.0.1:{port}{given}"
            for sent in (web_client.send("GET", url), web_client.send("POST", url, json=1)):
                assert (await sent).status == 200
            assert await downloaded(web_client, url) is None
        assert lines.targets == [target.encode()] * 3

    run(scenario())


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("", "/?a=b%2Fc+d"),
        ("/p", "/p?a=b%2Fc+d"),
        ("/p?", "/p?a=b%2Fc+d"),
        ("/p?sig=a%2fb%21", "/p?sig=a%2fb%21&a=b%2Fc+d"),
        ("/p?sig=ż#top", "/p?sig=%C5%BC&a=b%2Fc+d"),
    ],
)
def test_pairs_stand_behind_the_query_and_the_signature_covers_all_of_it(given: str, target: str) -> None:
    signed: list[bytes] = []

    def sign(content: bytes) -> dict[str, str]:
        signed.append(content)
        return {}

    async def scenario() -> None:
        async with listening() as (lines, port), client() as web_client:
            url = f"http://127.0.0.1:{port}{given}"
            assert (await web_client.send("GET", url, query={"a": "b/c d"}, sign=sign)).status == 200
        assert lines.targets == [target.encode()]
        assert signed == [target.partition("?")[2].encode()]

    run(scenario())


REDIRECTS = [
    *((one.encode(), one) for one in AS_GIVEN if not one.startswith("//")),
    (b"?", "/dir/first?"),
    (b"?sig=a%2Fb%21", "/dir/first?sig=a%2Fb%21"),
    (b"next%28.csv?sig=a%2Fb#x", "/dir/next%28.csv?sig=a%2Fb"),
    (b"./next", "/dir/next"),
    (b"../up%2E%2E/./x?../y", "/up%2E%2E/x?../y"),
    (b"../../../..", "/"),
    (b".", "/dir/"),
    (b"deep/", "/dir/deep/"),
    (b"/with space.csv?a b", "/with%20space.csv?a%20b"),
    (b"/tab\tand\x01\x7f", "/tab%09and%01%7F"),
    ("/żółć".encode(), "/%C5%BC%C3%B3%C5%82%C4%87"),
    (b"/latin-\xe9", "/latin-%E9"),
    (b"", "/dir/first?old=1"),
]


@pytest.mark.parametrize(("place", "target"), REDIRECTS)
def test_a_redirect_is_followed_as_it_is_given(place: bytes, target: str) -> None:
    """Whether the place is a path or a whole address."""

    async def scenario() -> None:
        async with listening() as (lines, port), client() as web_client:
            for before in (b"", f"http://127.0.0.1:{port}".encode(), f"//127.0.0.1:{port}".encode()):
                if before and not place.startswith(b"/"):
                    continue
                lines.targets.clear()
                lines.location = before + place
                assert await downloaded(web_client, f"http://127.0.0.1:{port}/dir/first?old=1#x") is None
                assert lines.targets == [b"/dir/first?old=1", target.encode()]

    run(scenario())


@pytest.mark.parametrize(
    ("place", "leads_to"),
    [
        ("HTTPS://Other.example?x=%2f", "HTTPS://Other.example?x=%2f"),
        ("//other.example:81/a?b", "https://other.example:81/a?b"),
        ("/a", "https://us%40er:p%2Fw@first.example:8443/a"),
        ("http://[::1]:80/%2e", "http://[::1]:80/%2e"),
        ("ftp:x", "ftp:x"),
        ("http:no-host", "http:no-host"),
    ],
)
def test_where_a_redirect_leads(place: str, leads_to: str) -> None:
    assert _redirected("https://us%40er:p%2Fw@first.example:8443/dir/", place) == leads_to


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1\t:1/", "http://a b/", "http:no-host", "\x7f://x", "//x\\@127.0.0.1/"]
)
def test_a_redirect_to_an_address_that_is_none(place: str) -> None:
    assert fetch.check_url(_redirected("ftp://first.example/", place))


@pytest.mark.parametrize(
    ("userinfo", "octets"),
    [
        ("user:secret@", b"user:secret"),
        ("us%40er:p%2Fw%3A@", b"us@er:p/w:"),
        ("żółć:ł@", "żółć:ł".encode()),
        ("user@", b"user:"),
        (":secret@", b":secret"),
        ("", None),
    ],
)
def test_user_and_password_are_a_header(userinfo: str, octets: bytes | None) -> None:
    """And stay with the server that they were given for."""

    async def scenario() -> None:
        async with listening() as (lines, port), listening("127.0.0.2") as (other, there), client() as web_client:
            url = f"http://{userinfo}127.0.0.1:{port}{SIGNED}"
            assert (await web_client.send("POST", url, form={"a": "b"})).status == 200
            lines.location = f"http://127.0.0.2:{there}/".encode()
            assert await downloaded(web_client, url) is None
            lines.location = b"/here"
            assert await downloaded(web_client, url) is None
        expected = octets and f"Basic {base64.b64encode(octets).decode()}"
        assert [headers.get("authorization") for headers in lines.headers] == [expected] * 4
        assert [headers.get("authorization") for headers in other.headers] == [None]
        assert lines.targets == [SIGNED.encode()] * 3 + [b"/here"]

    run(scenario())


def test_every_kind_of_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async def resolve(host: str, given: int = 0, family: int = 0) -> list[dict[str, Any]]:
            place = {"host": "127.0.0.1", "port": given, "family": socket.AF_INET, "proto": 0, "flags": 0}
            return [{"hostname": host, **place}]

        async with listening() as (lines, port), listening("::1") as (sixth, six_port), client() as web_client:
            connector = web_client._client().connector
            assert isinstance(connector, aiohttp.TCPConnector)
            monkeypatch.setattr(connector._resolver, "resolve", resolve)
            for host in ("żółć.example", "XN--1CA6EXD.Example", "Hooks.Example", "hooks.example."):
                assert (await web_client.send("GET", f"HTTP://{host}:{port}{SIGNED}")).status == 200
            assert (await web_client.send("GET", f"http://[::1]:{six_port}{SIGNED}")).status == 200
        names = [headers["host"].rpartition(":")[0] for headers in lines.headers]
        assert names == ["xn--kda4b0koi.example", "xn--1ca6exd.example", "hooks.example", "hooks.example"]
        assert sixth.headers[0]["host"] == f"[::1]:{six_port}"
        assert lines.targets + sixth.targets == [SIGNED.encode()] * 5

    run(scenario())


def test_a_webhook_is_kept_shown_and_called_as_it_was_given(api: Api) -> None:
    with hooks() as (hook,):
        url = hook.base + SIGNED + "#top"
        url_rule(api, url, "get")
        api.send(ECHO, "Ping")
        heard = hook.next()
    assert heard.target.startswith(SIGNED + "&")
    assert is_signed(secret_of(api), heard)
    assert url in [rule["action_address"] for rule in api.get("/automations/sms/inbound")["data"]]
    assert [one["url"] for one in deliveries(api)] == [url]


def test_an_import_and_an_attachment_are_fetched_as_they_were_given(api: Api) -> None:
    asked: list[str] = []

    def answer(handler: Any) -> None:
        asked.append(handler.path)
        handler.send_response(404)
        handler.end_headers()

    list_id = made(api)
    with site(answer) as url:
        signed = url.removesuffix("/contacts") + SIGNED
        assert ended(api, list_id, start(api, list_id, signed))["state"] == "failed"
    with file_site() as (url, paths):
        refused(api, url + SIGNED)
    assert asked == paths == [SIGNED]
