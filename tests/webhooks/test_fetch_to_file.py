"""Downloads of customers' URLs: capped in size and time, and no redirect leads to a private address."""

import asyncio
import io
import time

import pytest
from aiohttp import web

from heliograph.webhooks import fetch
from heliograph.webhooks.fetch import MOST_REDIRECTS
from webhooks.sites import Site, client, run, serving


def fetched(site: Site, *, most: int = 1000, seconds: float = 5.0) -> tuple[str | None, bool, bytes]:
    into = io.BytesIO()
    found: list[tuple[str | None, bool]] = []

    async def scenario() -> None:
        async with serving(site) as url, client() as web_client:
            found.append(await web_client.download(url, into, most, seconds))

    run(scenario())
    return (*found[0], into.getvalue())


def test_a_file_up_to_the_limit_and_one_beyond_it() -> None:
    site = Site()
    site.answer = lambda: web.Response(body=b"x" * 1000)
    assert fetched(site) == (None, False, b"x" * 1000)
    error, again, _ = fetched(site, most=999)
    assert (error, again) == ("The file is larger than 999 bytes.", False)


@pytest.mark.parametrize(("status", "again"), [(404, False), (403, False), (500, True), (503, True), (206, False)])
def test_other_statuses(status: int, again: bool) -> None:
    site = Site()
    site.answer = lambda: web.Response(status=status, body=b"x")
    assert fetched(site) == (f"127.0.0.1 answered with status {status}.", again, b"")


def test_a_file_that_never_ends_is_given_up_in_time() -> None:
    async def scenario() -> None:
        over = asyncio.Event()

        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            except OSError:
                writer.close()
                over.set()

        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        async with client() as web_client:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            start = time.monotonic()
            error, again = await web_client.download(url, io.BytesIO(), 10**9, 0.3)
            assert (error, again) == ("127.0.0.1 did not answer within 0.3 seconds.", True)
            assert time.monotonic() - start < 20, "a byte comes every 20 ms, without end"
        await over.wait()
        server.close()
        await server.wait_closed()

    run(scenario())


def test_redirects_are_counted() -> None:
    site = Site()
    site.answer = lambda: web.Response(status=302, headers={"Location": "/again"})
    error, again, _ = fetched(site)
    assert (error, again) == (f"127.0.0.1 redirects more than {MOST_REDIRECTS} times.", False)
    assert len(site.asked) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://[::1", "//", "http://a b/", "\x7f"]
)
def test_redirects_to_what_is_no_web_address(place: str) -> None:
    site = Site()
    site.answer = lambda: web.Response(status=302, headers={"Location": place})
    error, _, content = fetched(site)
    assert error
    assert content == b""


def test_private_addresses_are_refused_at_once_and_after_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hop is taken for public; the second one is not, whatever it is called."""

    async def scenario() -> None:
        site, inner = Site(), Site()
        async with serving(site) as url, serving(inner, "127.0.0.2") as private, client(False) as web_client:
            into = io.BytesIO()
            error, again = await web_client.download(url, into, 1000, 5.0)
            assert (error, again) == ("The address 127.0.0.1 is private and not allowed.", False)
            assert not site.asked
            monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1")
            site.answer = lambda: web.Response(status=302, headers={"Location": private})
            error, again = await web_client.download(url, into, 1000, 5.0)
            assert (error, again) == ("The address 127.0.0.2 is private and not allowed.", False)
            assert (len(site.asked), inner.asked, into.getvalue()) == (1, [], b"")

    run(scenario())
