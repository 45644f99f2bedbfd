"""The client for customers' URLs: what it sends, what it tells, and that no peer can break or hold it."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from heliograph import __version__
from heliograph.webhooks import fetch
from heliograph.webhooks.fetch import Answer, WebClient, check_url
from support.certificates import self_signed
from transports.ports import dead_port
from webhooks.sites import Site, client, run, says, scripted, serving


def test_a_form_a_json_value_ready_json_and_a_query() -> None:
    async def scenario() -> None:
        site = Site()
        fields = {"body": "Zażółć & 50 % = +", "user": "a/b:c@d!"}
        async with serving(site) as url, client() as web_client:
            answers = [
                await web_client.send("POST", url + "/hook", form=fields, headers={"webhook-id": "evt_1"}),
                await web_client.send("POST", url + "/hook", json={"b": [1, None], "a": "ż"}),
                await web_client.send("POST", url + "/hook", json=b'{"spaced" : 1}'),
                await web_client.send("GET", url + "/hook?token=a%20b%2Bc&body=own#top", query=fields),
                await web_client.send("POST", url),
            ]
        assert [(answer.status, answer.error) for answer in answers] == [(200, None)] * 5
        (form, form_body), (value, value_body), (ready, ready_body), (query, query_body), (bare, _) = site.asked
        encoded = "body=Za%C5%BC%C3%B3%C5%82%C4%87+%26+50+%25+%3D+%2B&user=a%2Fb%3Ac%40d%21"
        assert (form.method, form_body) == ("POST", encoded.encode())
        assert form.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert form.headers["webhook-id"] == "evt_1"
        assert form.headers["User-Agent"] == f"Heliograph/{__version__}"
        assert (value.headers["Content-Type"], value_body) == ("application/json", '{"b":[1,null],"a":"ż"}'.encode())
        assert (ready.headers["Content-Type"], ready_body) == ("application/json", b'{"spaced" : 1}')
        assert (query.method, query.raw_path, query_body) == ("GET", f"/hook?token=a%20b%2Bc&body=own&{encoded}", b"")
        assert query.query["token"] == "a b+c"
        assert bare.path == "/"

    run(scenario())


def test_the_answer_is_told_with_its_time() -> None:
    async def scenario() -> None:
        site = Site()
        site.answer = lambda: web.Response(status=503, body=b"caf\xe9 closed")
        async with serving(site) as url, client() as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.body, answer.error) == (503, "caf\ufffd closed", None)
        assert 0 < answer.seconds < 5

    run(scenario())


def test_connections_are_used_again_and_cookies_are_not_kept() -> None:
    async def scenario() -> None:
        site = Site()

        def answer() -> web.Response:
            response = web.Response(text="ok")
            response.set_cookie("session", "of another customer")
            return response

        site.answer = answer
        async with serving(site, "localhost") as url, client() as web_client:
            for _ in range(3):
                assert (await web_client.send("POST", url)).body == "ok"
        assert len(site.connections) == 1
        assert all("Cookie" not in request.headers for request, _ in site.asked)

    run(scenario())


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com", "https://example.com/", "HTTPS://EXAMPLE.com:8443/a?b=c#d", "http://[::1]:80/"),
        *("https://user:secret@example.com/", "https://żółć.example/ścieżka", "http://xn--a/", "http://2130706433/"),
        "http://example.com/" + "x" * 1981,
    ],
)
def test_urls_that_can_be_tried(url: str) -> None:
    assert check_url(url) is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "The URL has no scheme: it must start with http:// or https://."),
        ("example.com/hook", "The URL has no scheme: it must start with http:// or https://."),
        ("//example.com", "The URL has no scheme: it must start with http:// or https://."),
        ("ftp://example.com", "The scheme of the URL must be http or https."),
        ("file:///etc/passwd", "The scheme of the URL must be http or https."),
        ("javascript:alert(1)", "The scheme of the URL must be http or https."),
        ("http://", "The URL has no host."),
        ("https:///hook", "The URL has no host."),
        ("http://example.com:99999/", "The URL is malformed."),
        ("http://example.com:port/", "The URL is malformed."),
        ("http://[::1/", "The URL is malformed."),
        ("http://exa mple.com/", "The URL has spaces or control characters."),
        ("http://example.com/\r\nHost: other", "The URL has spaces or control characters."),
        ("http://example.com/" + "x" * 1982, "The URL is longer than 2000 characters."),
    ],
)
def test_urls_that_cannot(url: str, fault: str) -> None:
    async def scenario() -> None:
        async with client() as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.body, answer.error) == (None, "", fault)

    assert check_url(url) == fault
    run(scenario())


def test_a_dead_port() -> None:
    async def scenario() -> None:
        with dead_port() as port:
            async with client() as web_client:
                answer = await web_client.send("POST", f"http://127.0.0.1:{port}/")
        assert (answer.status, answer.error) == (None, f"127.0.0.1 could not be connected to on port {port}.")

    run(scenario())


@pytest.mark.parametrize("host", ["hooks.invalid", "x" * 64 + ".invalid", "a..b", "xn--a"])
def test_a_name_that_is_not_found(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's failures are real; only the network behind it is kept out."""
    look_up = socket.getaddrinfo

    def offline(name: Any, *_: Any, **__: Any) -> Any:
        return look_up(name, None, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", offline)

    async def scenario() -> None:
        async with client() as web_client:
            answer = await web_client.send("POST", f"http://{host}/")
        assert (answer.status, answer.error) == (None, f"The name {host} was not found.")

    run(scenario())


def test_a_peer_that_never_answers() -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with scripted(script) as url, client(seconds=0.2) as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.error) == (None, "127.0.0.1 did not answer within 0.2 seconds.")
        assert answer.seconds > 0.19

    run(scenario())


def test_a_peer_that_stops_in_the_middle_has_answered_with_its_status() -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npartly")
            await reader.read()

        async with scripted(script) as url, client(seconds=1.5) as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.body) == (200, "partly")
        assert answer.error == "127.0.0.1 did not answer within 1.5 seconds."

    run(scenario())


def test_an_answer_without_end_is_hung_up_on() -> None:
    async def scenario() -> None:
        hung_up: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            written = 0
            try:
                while True:
                    writer.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
                    written += 1000
                    await writer.drain()
                    await asyncio.sleep(0)
            except ConnectionError:
                hung_up.set_result(written)

        async with scripted(script) as url, client(seconds=60.0) as web_client:
            answer = await web_client.send("POST", url)
            assert answer == Answer(200, "x" * 2048, None, answer.seconds)
            await hung_up

    run(scenario())


@pytest.mark.parametrize("length", [0, 1, 2047, 2048, 2049, 100_000])
def test_bodies_are_cut_at_two_kilobytes(length: int) -> None:
    async def scenario() -> None:
        site = Site()
        site.answer = lambda: web.Response(body=b"y" * length)
        async with serving(site) as url, client() as web_client:
            for _ in range(2):
                answer = await web_client.send("POST", url)
                assert (answer.status, answer.body, answer.error) == (200, "y" * min(length, 2048), None)

    run(scenario())


def test_a_compressed_body_is_not_unpacked() -> None:
    async def scenario() -> None:
        data = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
        async with scripted(says(data)) as url, client() as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.error) == (200, None)
        assert answer.body.startswith("\x1f")

    run(scenario())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "127.0.0.1 closed the connection before its answer was complete."),
        (b"HTTP/1.1 200", "127.0.0.1 closed the connection before its answer was complete."),
        (b"220 relay.test ESMTP\r\n", "127.0.0.1 did not give an HTTP answer."),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", "127.0.0.1 did not give an HTTP answer."),
    ],
)
def test_what_is_no_answer(data: bytes, error: str) -> None:
    async def scenario() -> None:
        async with scripted(says(data)) as url, client() as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.error) == (None, error)

    run(scenario())


def test_a_body_that_breaks_off() -> None:
    async def scenario() -> None:
        data = b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"
        broken = b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\npart"
        async with scripted(says(data)) as whole, scripted(says(broken)) as half, client() as web_client:
            assert (await web_client.send("POST", whole)).error is None
            answer = await web_client.send("POST", half)
        assert answer.status == 500
        assert answer.error == "127.0.0.1 closed the connection before its answer was complete."

    run(scenario())


def test_no_sentence_shows_what_a_url_keeps_secret() -> None:
    async def scenario() -> None:
        site = Site()
        async with serving(site) as url, client(allow_private=False) as strict, client() as web_client:
            secret = url.replace("http://", "http://user:hunter2@") + "/hook/tok3n?key=tok3n"
            refused = await strict.send("POST", secret)
            dead = await web_client.send("POST", f"http://user:hunter2@127.0.0.1:{dead_port()}/tok3n")
            taken = await web_client.send("POST", secret)
        for answer in (refused, dead):
            assert answer.error
            assert "hunter2" not in answer.error
            assert "tok3n" not in answer.error
        assert taken.status == 200
        assert site.asked[0][0].headers["Authorization"] == aiohttp.encode_basic_auth("user", "hunter2")

    run(scenario())


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(self_signed(tmp_path))

    async def scenario() -> None:
        site = Site()
        async with serving(site, tls=context) as url, client() as web_client:
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.error) == (None, "The TLS certificate of 127.0.0.1 is not trusted.")
        assert not site.asked

    run(scenario())


def test_a_peer_without_tls() -> None:
    async def scenario() -> None:
        site = Site()
        async with serving(site) as url, client() as web_client:
            answer = await web_client.send("POST", url.replace("http://", "https://"))
        port = url.rpartition(":")[2]
        assert (answer.status, answer.error) == (None, f"127.0.0.1 does not speak TLS on port {port}.")

    run(scenario())


def test_one_slow_host_does_not_take_the_slots_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CONNECTIONS_PER_HOST", 2)
    monkeypatch.setattr(fetch, "CONNECTIONS", 4)

    async def scenario() -> None:
        inside, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inside.release()
            await go_on.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        site = Site()
        async with scripted(script) as slow, serving(site) as quick, client() as web_client:
            waiting = [asyncio.create_task(web_client.send("POST", slow)) for _ in range(8)]
            await inside.acquire()
            await inside.acquire()
            assert (await web_client.send("POST", quick)).status == 200
            assert inside.locked(), "a third connection to the slow host"
            go_on.set()
            assert [answer.status for answer in await asyncio.gather(*waiting)] == [200] * 8

    run(scenario())


def test_it_can_be_closed_unused_twice_and_used_again() -> None:
    async def scenario() -> None:
        site = Site()
        async with serving(site) as url:
            web_client = WebClient(allow_private=True, timeout=5.0)
            await web_client.close()
            assert (await web_client.send("POST", url)).status == 200
            await web_client.close()
            await web_client.close()
            assert (await web_client.send("POST", url)).status == 200
            await web_client.close()

    run(scenario())
