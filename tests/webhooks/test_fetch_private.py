"""The client for customers' URLs never reaches what is not of the public internet, however it is written."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from heliograph.webhooks.fetch import is_public
from webhooks.sites import Site, client, run, serving


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async def scenario() -> None:
        site, inner = Site(), Site()
        async with serving(site) as url, serving(inner, "127.0.0.2") as private, client() as web_client:
            site.answer = lambda: web.Response(status=302, headers={"Location": private})
            answer = await web_client.send("POST", url)
        assert (answer.status, answer.error) == (302, None)
        assert not inner.asked

    run(scenario())


LOOPBACKS = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "0.0.0.0", "0"]
LOOPBACKS += ["localhost", "LOCALHOST", "127.0.0.2", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"]
ELSEWHERE = ["169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "255.255.255.255", "224.0.0.1"]
ELSEWHERE += [
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
]
ELSEWHERE += ["[2001:0:7f00:1::1]", "[fec0::1]", "[ff02::1]", "[::]"]


@pytest.mark.parametrize("host", LOOPBACKS)
def test_no_way_of_writing_loopback_reaches_it(host: str) -> None:
    """The server listens on every loopback address, so that only the client's refusal keeps it from being asked."""

    async def scenario() -> None:
        reached: list[Any] = []
        listening = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        server = await asyncio.start_server(lambda _, writer: reached.append(writer), sock=listening)
        async with client(allow_private=False, seconds=2.0) as web_client:
            answer = await web_client.send("POST", f"http://{host}:{listening.getsockname()[1]}/")
        server.close()
        await server.wait_closed()
        assert answer.status is None
        assert answer.error
        assert "private" in answer.error or "malformed" in answer.error
        assert not reached

    run(scenario())


def test_ipv6_loopback_is_not_reached() -> None:
    async def scenario() -> None:
        site = Site()
        async with serving(site, "::1") as url, client(allow_private=False) as web_client, client() as trusting:
            answer = await web_client.send("POST", url)
            assert answer.error == "The address ::1 is private and not allowed."
            assert not site.asked
            assert (await trusting.send("POST", url)).status == 200

    run(scenario())


@pytest.mark.parametrize("host", ELSEWHERE)
def test_private_addresses_are_not_even_tried(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    async def scenario() -> None:
        async def connect(sock: socket.socket, address: Any) -> None:
            tried.append(address)

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
        async with client(allow_private=False) as web_client:
            answer = await web_client.send("GET", f"http://{host}/latest/meta-data")
        assert answer.status is None
        assert answer.error is not None
        assert answer.error.startswith("The address ")
        assert answer.error.endswith(" is private and not allowed.")

    run(scenario())
    assert not tried


def test_a_name_is_judged_by_each_address_that_it_has_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the first look-up is innocent, the next one is not, and nobody looks a third time."""

    async def scenario() -> None:
        site = Site()
        async with serving(site) as url, client(allow_private=False) as web_client:
            port = int(url.rpartition(":")[2])
            addresses = ["93.184.215.14", "127.0.0.1"]
            connected: list[Any] = []

            async def resolve(host: str, given: int = 0, family: int = 0) -> list[dict[str, Any]]:
                found = addresses.pop(0)
                return [
                    {"hostname": host, "host": found, "port": given, "family": socket.AF_INET, "proto": 0, "flags": 0}
                ]

            async def connect(sock: socket.socket, address: Any) -> None:
                connected.append(address)
                raise ConnectionRefusedError(111, "refused")

            session = web_client._client()
            assert isinstance(session.connector, aiohttp.TCPConnector)
            monkeypatch.setattr(session.connector._resolver, "resolve", resolve)
            monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
            first = await web_client.send("POST", f"http://hooks.example.test:{port}/")
            session.connector.clear_dns_cache()
            second = await web_client.send("POST", f"http://hooks.example.test:{port}/")
        assert first.error == f"hooks.example.test could not be connected to on port {port}."
        assert second.error == "The address hooks.example.test is private and not allowed."
        assert connected == [("93.184.215.14", port)]
        assert not site.asked

    run(scenario())


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.0.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0"),
        *("fc00::1", "fd00::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "100::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::6440:1", "64:ff9b:1::808:808"),
        *("2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "2002:e000:1::"),
        *("2001:0:808:808:0:0:f7f7:f7f7", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
        *("", "127.1", "2130706433", "0x7f000001", "localhost", "8.8.8.8.8"),
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.1", "172.32.0.1", "223.255.255.254"),
        *("2606:4700:4700::1111", "2a00:1450:4001:80b::200e"),
        *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
    ],
)
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)
