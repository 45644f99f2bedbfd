"""The web client, against scripted servers on loopback that count who connects."""

import asyncio
import datetime
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from heliograph.webhooks.fetch import LONGEST_URL, WebClient, check_url, is_public

PATIENCE = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """An HTTP server that answers each request as it is told: with bytes, or with what a function does."""

    def __init__(self, answer: bytes | Answering) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.hung_up = asyncio.Event()
        self.port = 0

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await _request(reader))
                if isinstance(self.answer, bytes):
                    writer.write(self.answer)
                    await writer.drain()
                else:
                    await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.hung_up.set()
            writer.close()


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers by their names in lower case, body."""
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields) if name}
    return line, headers, await reader.readexactly(int(headers.get("content-length", 0)))


@asynccontextmanager
async def peer(answer: bytes | Answering = OK, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    it = Peer(answer)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls)
    it.port = server.sockets[0].getsockname()[1]
    async with server:
        yield it


@asynccontextmanager
async def web(allow_private: bool = True, seconds: float = PATIENCE) -> AsyncIterator[WebClient]:
    client = WebClient(allow_private, seconds)
    try:
        yield client
    finally:
        await client.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    raise ConnectionError


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_form_is_posted_as_it_was_given() -> None:
    async def scenario() -> None:
        async with peer() as there, web() as client:
            answer = await client.send("POST", there.url(), form={"body": "Zażółć & co", "to": "+61411111111"})
            assert (answer.status, answer.body, answer.error) == (200, "fine", None)
            assert 0 < answer.seconds < PATIENCE
            [(line, headers, body)] = there.requests
            assert line == "POST /hook HTTP/1.1"
            assert headers["content-type"] == "application/x-www-form-urlencoded"
            assert body == b"body=Za%C5%BC%C3%B3%C5%82%C4%87+%26+co&to=%2B61411111111"

    asyncio.run(scenario())


def test_json_bytes_go_untouched_with_their_headers() -> None:
    """A signature covers the exact bytes: no other spacing or order may come out."""

    async def scenario() -> None:
        async with peer() as there, web() as client:
            await client.send("POST", there.url(), json=b'{"b":1,  "a":"\\u017c"}', headers={"webhook-id": "evt_1"})
            [(_, headers, body)] = there.requests
            assert body == b'{"b":1,  "a":"\\u017c"}'
            assert headers["content-type"] == "application/json"
            assert headers["webhook-id"] == "evt_1"
            assert headers["user-agent"].startswith("Heliograph/")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/hook", "/hook?body=a+%26%2Bb&n=1"),
        ("/hook?key=a%26b", "/hook?key=a%26b&body=a+%26%2Bb&n=1"),
        ("/hook?key=x#part", "/hook?key=x&body=a+%26%2Bb&n=1"),
    ],
)
def test_a_query_is_added_to_that_of_the_url(path: str, target: str) -> None:
    async def scenario() -> None:
        async with peer() as there, web() as client:
            await client.send("GET", there.url(path), query={"body": "a &+b", "n": "1"})
            assert [line for line, _, _ in there.requests] == [f"GET {target} HTTP/1.1"]

    asyncio.run(scenario())


def test_connections_are_kept_and_cookies_are_not() -> None:
    async def scenario() -> None:
        async with peer(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")) as there, web() as client:
            for _ in range(3):
                # a name, since a cookie jar takes nothing from bare addresses
                assert (await client.send("GET", there.url(host="localhost"))).status == 200
            assert there.connections == 1
            assert all("cookie" not in headers for _, headers, _ in there.requests)
            assert len(there.requests) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(status: int) -> None:
    async def scenario() -> None:
        async with peer() as other, web() as client:
            away = f"HTTP/1.1 {status} Away\r\nLocation: {other.url()}\r\nContent-Length: 0\r\n\r\n".encode()
            async with peer(away) as there:
                answer = await client.send("POST", there.url(), form={"a": "b"})
                assert (answer.status, answer.error) == (status, None)
                assert (len(there.requests), other.connections) == (1, 0)

    asyncio.run(scenario())


def test_an_error_status_is_an_answer() -> None:
    async def scenario() -> None:
        async with peer(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nlate") as there, web() as client:
            answer = await client.send("POST", there.url())
            assert (answer.status, answer.body, answer.error) == (503, "late", None)

    asyncio.run(scenario())


def test_an_endless_answer_is_hung_up_on() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async def scenario() -> None:
        async with peer(flood) as there, web() as client:
            answer = await client.send("GET", there.url())
            assert (answer.status, answer.body, answer.error) == (200, "x" * 2048, None)
            await asyncio.wait_for(there.hung_up.wait(), PATIENCE)

    asyncio.run(scenario())


def test_a_packed_answer_is_not_unpacked() -> None:
    """Two kilobytes of gzip may hold megabytes."""
    packed = gzip.compress(b"0" * 100_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()

    async def scenario() -> None:
        async with peer(head + packed) as there, web() as client:
            answer = await client.send("GET", there.url())
            assert (answer.status, answer.error) == (200, None)
            assert answer.body == packed.decode("utf-8", "replace")
            assert there.requests[0][1]["accept-encoding"] == "identity"

    asyncio.run(scenario())


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    await say_nothing(reader, writer)


@pytest.mark.parametrize(("answering", "status", "body"), [(say_nothing, None, ""), (drip, 200, "some")])
def test_a_slow_peer_is_left_after_the_timeout(answering: Answering, status: int | None, body: str) -> None:
    async def scenario() -> None:
        async with peer(answering) as there, web(seconds=0.2) as client:
            answer = await client.send("POST", there.url())
            assert (answer.status, answer.body) == (status, body)
            assert answer.error == "127.0.0.1 did not answer within 0.2 seconds."
            assert 0.15 < answer.seconds < PATIENCE

    asyncio.run(scenario())


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    await hang_up(reader, writer)


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await hang_up(reader, writer)


async def big_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n")
    await hang_up(reader, writer)


@pytest.mark.parametrize(
    ("answering", "status", "body", "error"),
    [
        (hang_up, None, "", "127.0.0.1 closed the connection before its answer was complete."),
        (break_off, 200, "some", "127.0.0.1 closed the connection before its answer was complete."),
        (babble, None, "", "127.0.0.1 did not give an HTTP answer."),
        (big_header, None, "", "127.0.0.1 did not give an HTTP answer."),
    ],
)
def test_a_broken_answer_is_told_and_not_raised(
    answering: Answering, status: int | None, body: str, error: str
) -> None:
    async def scenario() -> None:
        async with peer(answering) as there, web() as client:
            answer = await client.send("POST", there.url(), form={"a": "b"})
            assert (answer.status, answer.body, answer.error) == (status, body, error)

    asyncio.run(scenario())


def test_a_closed_port_is_told_without_the_password_of_the_url() -> None:
    async def scenario() -> None:
        port = closed_port()
        async with web() as client:
            answer = await client.send("POST", f"http://me:s3cret@127.0.0.1:{port}/token")
            assert (answer.status, answer.error) == (None, f"127.0.0.1 could not be connected to on port {port}.")

    asyncio.run(scenario())


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS, with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_certificate_that_is_not_trusted_gets_no_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peer(tls=self_signed(tmp_path)) as there, web() as client:
            answer = await client.send("POST", there.url(scheme="https"), form={"a": "b"})
            assert (answer.status, answer.error) == (None, "The TLS certificate of 127.0.0.1 is not trusted.")
            assert there.requests == []

    asyncio.run(scenario())


def test_tls_to_a_plain_server_is_told() -> None:
    async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(babbling, "127.0.0.1", 0) as server, web() as client:
            port = server.sockets[0].getsockname()[1]
            answer = await client.send("POST", f"https://127.0.0.1:{port}/")
            assert (answer.status, answer.error) == (None, f"127.0.0.1 does not speak TLS on port {port}.")

    asyncio.run(scenario())


LOOPBACK_IN_DISGUISE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "localhost",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::]",
]
"""Each reaches a server on 127.0.0.1 by the rules of inet_aton, /etc/hosts or the kernel."""


@pytest.mark.parametrize("host", LOOPBACK_IN_DISGUISE)
def test_this_machine_is_not_reached_in_any_disguise(host: str) -> None:
    async def scenario() -> None:
        async with peer() as there, web(allow_private=False) as client:
            answer = await client.send("POST", there.url(host=host), form={"a": "b"})
            assert answer.status is None
            assert answer.error is not None
            assert there.connections == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("resolved", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00:ec2::254", "::ffff:127.0.0.1"])
def test_a_name_is_judged_by_what_it_resolves_to(resolved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        six = ":" in resolved
        address = (resolved, port, 0, 0) if six else (resolved, port)
        return [(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    async def scenario() -> None:
        async with peer() as there, web(allow_private=False) as client:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            answer = await client.send("POST", there.url(host="hooks.example.com"), form={"a": "b"})
            assert answer.error == "The address hooks.example.com is private and not allowed."
            assert asked == ["hooks.example.com"]
            assert there.connections == 0

    asyncio.run(scenario())


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*rest: Any, **more: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scenario() -> None:
        async with web() as client:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            answer = await client.send("POST", "http://no.such.example/")
            assert (answer.status, answer.error) == (None, "The name no.such.example was not found.")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # "this host" (RFC 1122 3.2.1.3)
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",  # CGNAT, RFC 6598
        "100.127.255.254",
        "127.0.0.1",
        "169.254.169.254",  # link-local, where clouds keep credentials
        "172.16.0.1",
        "172.31.255.254",
        "192.0.2.1",  # documentation
        "192.168.1.1",
        "198.18.0.1",  # benchmarks, RFC 2544
        "224.0.0.1",  # multicast
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",  # IPv4-compatible 127.0.0.1
        "::ffff:127.0.0.1",  # IPv4-mapped
        "::ffff:10.0.0.1",
        "::ffff:100.64.0.1",
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
        "2001:0:4136:e378:8000:63bf:f7f7:f7f7",  # Teredo of 8.8.8.8: refused like all of Teredo
        "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",  # NAT64 with a local prefix, RFC 8215
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",  # site-local
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",  # multicast of global scope
        "2001:db8::1",
        "localhost",
        "",
    ],
)
def test_an_address_that_is_not_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "2002:808:808::1",
        "64:ff9b::808:808",
    ],
)
def test_an_address_of_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "no scheme"),
        ("example.com/hook", "no scheme"),
        ("//example.com/hook", "no scheme"),
        ("ftp://example.com/", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("gopher://127.0.0.1:25/", "http or https"),
        ("http://", "no host"),
        ("http:///hook", "no host"),
        ("http://exa mple.com/", "spaces"),
        ("http://example.com/\r\nHost: other", "control"),
        ("http://example.com/\x00", "control"),
        ("http://example.com:99999/", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://example.com/" + "a" * LONGEST_URL, "longer than"),
    ],
)
def test_a_malformed_url_is_described_and_not_tried(url: str, problem: str) -> None:
    sentence = check_url(url)
    assert sentence is not None
    assert problem in sentence
    assert sentence.endswith(".")

    async def scenario() -> None:
        async with web() as client:
            answer = await client.send("POST", url)
            assert (answer.status, answer.error) == (None, sentence)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "HTTPS://Example.com:8443/a/b?c=d#e",
        "http://user:pass@example.com/",
        "http://[2606:4700::1111]:8080/",
        "https://zażółć.example/ścieżka",
        "http://example.com/" + "a" * (LONGEST_URL - 19),
    ],
)
def test_a_url_that_can_be_tried(url: str) -> None:
    assert check_url(url) is None
