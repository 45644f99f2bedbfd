"""The short way and the long way through ASGI give the same octets, whatever comes over the wire."""

import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from heliograph.channels import sending
from heliograph.db import epochs
from heliograph.db.engine import Tx
from heliograph.http import loose
from support.raw import basic, opened, receive, until_closed
from support.server import ONE_DATABASE, Api, Running

pytestmark = ONE_DATABASE
HOST = b"Host: localhost\r\n"
SEND = b'{"messages":[{"source":"sdk","to":"+61491570006","body":"x"}]}'
AT = b"POST /v3/sms/send HTTP/1.1\r\n"
LAST = b"GET /v3/nothing HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
"""Ends each dialogue, so that all octets of it are read."""
CHANGES = (
    (rb"date: [^\r]+", b"date: D"),
    (rb"x-request-id: [0-9a-f]{16}", b"x-request-id: R"),
    (rb"ratelimit-reset: \d+", b"ratelimit-reset: S"),
    (rb"(401 Unauthorized.*?ratelimit-remaining: )\d+", rb"\g<1>N"),
    (rb"retry-after: \d+", b"retry-after: S"),
    (rb"[0-9A-F]{8}-[0-9A-F-]{27}", b"ID"),
    (rb'"(user_id|subaccount_id|date|schedule)":\d+', rb'"\1":N'),
    (rb"tester\d+", b"T"),
    (rb"content-length: \d+", b"content-length: L"),
)
"""What is not the same for two accounts and at two moments. The length is checked by itself."""


class Counter:
    """Counts what goes the short way."""

    def __init__(self, hot: Any) -> None:
        self._hot = hot
        self.taken = 0

    def look(self, *arguments: Any) -> Any:
        return self._hot.look(*arguments)

    def begin(self, *arguments: Any) -> bool:
        taken: bool = self._hot.begin(*arguments)
        self.taken += taken
        return taken


@pytest.fixture
def ways(server: Running) -> Iterator[Sequence[Counter | None]]:
    gate = server._server._gate
    hot = gate.api
    if hot is None:
        pytest.skip("--long-way")
    yield Counter(hot), None
    gate.api = hot


def whose(api: Api) -> bytes:
    return basic(api.username.encode(), api.key.encode())


def post(body: bytes = SEND, more: bytes = b"", *, at: bytes = AT, key: bytes = b"KEY", host: bytes = HOST) -> bytes:
    """A request; KEY stands for the credentials of whoever sends it."""
    return at + host + key + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes = SEND, more: bytes = b"") -> bytes:
    return AT + HOST + more + b"KEYTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


GET = b"GET /v3/account/useful HTTP/1.1\r\n" + HOST + b"KEY\r\n"
CLOSE = b"Connection: close\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
"""What Java's HttpClient says."""
BEARER = b"Authorization: Bearer a2V5OmtleQ==\r\n"
LONG = b'{"messages":[{"to":"+61491570006","body":"' + b"x" * 500 + b'","custom_string":"%s"}]}'
CASES: dict[str, tuple[int, list[bytes]]] = {
    "one": (1, [post()]),
    "a price": (1, [post(at=b"POST /v3/sms/price HTTP/1.1\r\n")]),
    "a slash at the end": (1, [post(at=b"POST /v3/sms/send/ HTTP/1.1\r\n")]),
    "two in one piece": (2, [post() * 2]),
    "many in one piece": (30, [post() * 30]),
    "mixed in one piece": (4, [GET + post() + GET + post() * 2 + chunked() + GET + post()]),
    "a body in pieces": (1, [post()[:-30], post()[-30:-1], post()[-1:]]),
    "a head in pieces": (1, [post()[:5], post()[5:30], post()[30:]]),
    "behind a half one": (2, [post() + post()[:-7], post()[-7:]]),
    "small letters, headers twice": (1, [post(more=b"content-type: a\r\nCONTENT-TYPE: b\r\nx-a: \xff\r\n")]),
    "closed by the client": (1, [post(more=CLOSE)]),
    "closed, and more behind it": (1, [post(more=CLOSE) + post()]),
    "close as one of several": (1, [post(more=b"Connection: x, CLOSE\r\n") + post()]),
    "HTTP/1.0": (0, [post(at=b"POST /v3/sms/send HTTP/1.0\r\n")]),
    "HTTP/1.0, kept": (0, [post(more=b"Connection: keep-alive\r\n", at=b"POST /v3/sms/send HTTP/1.0\r\n")]),
    "HTTP/1.2": (0, [post(at=b"POST /v3/sms/send HTTP/1.2\r\n")]),
    "chunked": (0, [chunked()]),
    "chunked in pieces": (0, [chunked()[:-60], chunked()[-60:]]),
    "expecting": (0, [post(more=b"Expect: 100-continue\r\n")]),
    "expecting something else": (1, [post(more=b"Expect: nothing\r\n")]),
    "an upgrade": (1, [post(more=b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n")]),
    "upgrades among others": (3, [GET + post(more=UPGRADE) * 2 + post() + GET]),
    "an upgrade in pieces": (1, [post(more=UPGRADE)[:-100], post(more=UPGRADE)[-100:-5], post(more=UPGRADE)[-5:]]),
    "an upgrade at the end of its head": (1, [post(more=UPGRADE)[: -len(SEND)], SEND]),
    "an upgrade that is chunked": (0, [chunked(more=UPGRADE) + GET, chunked(more=UPGRADE)[:-40], chunked()[-40:]]),
    "an upgrade without a body": (
        0,
        [b"GET /v3/account/useful HTTP/1.1\r\n" + HOST + b"KEY" + UPGRADE + b"\r\n" + GET],
    ),
    "a tunnel": (0, [b"CONNECT /v3/account HTTP/1.1\r\n" + HOST + b"KEY\r\n" + GET, GET]),
    "half an upgrade": (1, [post(more=b"Upgrade: h2c\r\n")]),
    "no host": (0, [post(host=b"")]),
    "two hosts": (0, [post(host=HOST * 2)]),
    "no valid host": (0, [post(host=b"Host: a b\r\n")]),
    "no key": (0, [post(key=b"")]),
    "a wrong key": (0, [post(key=BEARER)]),
    "a wrong key before its body": (0, [post(key=BEARER)[:-5], post(key=BEARER)[-5:]]),
    "a key twice": (0, [post(key=b"KEY" + BEARER)]),
    "no scheme": (0, [post(key=b"Authorization: x\r\n")]),
    "an origin": (0, [post(more=b"Origin: https://example.com\r\n")]),
    "an idempotency key": (0, [post(more=b"Idempotency-Key: a\r\n"), post(more=b"Idempotency-Key: a\r\n")]),
    "an empty idempotency key": (0, [post(more=b"Idempotency-Key: \r\n")]),
    "an empty body": (0, [post(b"")]),
    "no length": (0, [AT + HOST + b"KEY\r\n"]),
    "two lengths": (0, [post(more=b"Content-Length: 3\r\n")]),
    "a length that is none": (0, [AT + HOST + b"KEYContent-Length: x\r\n\r\n" + SEND]),
    "a negative length": (0, [AT + HOST + b"KEYContent-Length: -1\r\n\r\n" + SEND]),
    "a huge length": (0, [AT + HOST + b"KEYConnection: close\r\nContent-Length: 99999999\r\n\r\n" + SEND]),
    "no JSON": (0, [post(b"{") + post(b"[]") + post(b"\xff") + post()[:0]]),
    "a refusal between two": (2, [post() + post(b'{"messages":[]}') + post()]),
    "loose JSON": (1, [post(b'\xef\xbb\xbf{"messages":[{"to":61491570006,"body":1}],"x":1}')]),
    "no number": (1, [post(b'{"messages":[{"to":"abc","body":"x"},{"to":"","body":"x"}]}')]),
    "many messages": (1, [post(b'{"messages":[' + b",".join([b'{"to":"+61491570006","body":"x"}'] * 300) + b"]}")]),
    "more than may be": (0, [post(b'{"messages":[' + b",".join([b'{"to":"1"}'] * 1001) + b"]}")]),
    "the longest": (1, [post(SEND.ljust(loose.LARGE))]),
    "one longer": (0, [post(SEND.ljust(loose.LARGE + 1))]),
    "an unknown list": (0, [post(b'{"messages":[{"list_id":1,"body":"x"}]}')]),
    "a query": (0, [post(at=b"POST /v3/sms/send?a=1 HTTP/1.1\r\n")]),
    "an empty query": (0, [post(at=b"POST /v3/sms/send? HTTP/1.1\r\n")]),
    "doubled slashes": (0, [post(at=b"POST /v3//sms/send HTTP/1.1\r\n")]),
    "an escaped path": (0, [post(at=b"POST /v3/sms/s%65nd HTTP/1.1\r\n")]),
    "a whole URL": (0, [post(at=b"POST http://localhost/v3/sms/send HTTP/1.1\r\n")]),
    "another verb": (0, [post(at=b"PUT /v3/sms/send HTTP/1.1\r\n")]),
    "only the head": (0, [b"HEAD /v3/sms/send HTTP/1.1\r\n" + HOST + b"KEY\r\n"]),
    "options": (0, [b"OPTIONS /v3/sms/send HTTP/1.1\r\n" + HOST + b"\r\n" + post(at=b"OPTIONS * HTTP/1.1\r\n")]),
    "no HTTP": (1, [post() + b"nonsense\r\n\r\n"]),
    "a header that is none": (0, [post(more=b"a b\r\n")]),
    "too many headers": (1, [post(more=b"x-a: 1\r\n" * 150)]),
}


def said(server: Running, way: Any, api: Api, pieces: Sequence[bytes]) -> bytes:
    """All that the server answers to these pieces, each sent by itself."""
    server._server._gate.api = way
    with opened(server) as wire:
        wire.settimeout(5)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in (*pieces, LAST):
                wire.sendall(piece.replace(b"KEY", whose(api)))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up before the end
        return until_closed(wire)


def alike(raw: bytes) -> bytes:
    rest = raw
    while b"\r\n\r\n" in rest:  # each length is that of what follows
        head, _, rest = rest.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        size = int(found[1]) if found and not rest.startswith(b"HTTP/1.1 ") else 0  # a HEAD has a length alone
        assert len(rest) >= size
        rest = rest[size:]
        assert rest == b"" or rest.startswith(b"HTTP/1.1 ")
    for pattern, same in CHANGES:
        raw = re.sub(pattern, same, raw, flags=re.DOTALL)
    return raw


@pytest.mark.parametrize("name", CASES)
def test_both_ways_give_the_same_octets(server: Running, ways: Sequence[Any], name: str) -> None:
    taken, pieces = CASES[name]
    answers = []
    for way in ways:
        api = server.account()
        api.get("/account")  # it is known from then on
        answers.append(alike(said(server, way, api, pieces)))
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 ")
    assert ways[0].taken == taken


def replace_key(tx: Tx, api: Api) -> None:
    """Behind the back of whoever remembers the key."""
    tx.driver("UPDATE subaccounts SET key_hash = ? WHERE user_id = ?", [f"other {api.user_id}", api.user_id])
    epochs.bump(tx, epochs.ACCESS)


@pytest.mark.parametrize("why", ["limited", "without credit", "replaced key", "defect", "not allowed"])
def test_both_ways_refuse_alike(
    server: Running, ways: Sequence[Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for way in ways:
        api = server.account(credit=0 if why == "without credit" else 10**8)
        if why == "not allowed":
            api = server.subaccount(api, access_sms=0)
        api.call("GET", "/account")
        if why == "limited":
            most = server.house.limits.calls._most  # type: ignore[attr-defined]
            for _ in range(2):
                said(server, way, api, [post()])
            window = server.house.limits.calls._windows["POST /sms/send", str(api.user_id)]  # type: ignore[attr-defined]
            window[1] = most - 1
        if why == "replaced key":
            server.write(lambda tx, api=api: replace_key(tx, api))  # type: ignore[misc]
        with monkeypatch.context() as patch:
            if why == "defect":
                patch.setattr(sending.accept, "accept", lambda tx, orders: 1 / 0)
            answers.append(alike(said(server, way, api, [post() * 3])))
    assert answers[0] == answers[1]
    status = {
        "limited": b"429",
        "replaced key": b"401",
        "without credit": b"200",
        "defect": b"500",
        "not allowed": b"403",
    }
    assert b"HTTP/1.1 " + status[why] in answers[0]


def test_answers_wait_for_a_client_that_does_not_read(server: Running, ways: Sequence[Any]) -> None:
    """Each of its requests is answered, in order, when it reads at last; the server holds few answers meanwhile."""
    api = server.account(credit=10**9)
    api.get("/account")
    server._server._gate.api = ways[0]
    count, places = 300, 40
    body = b'{"messages":[%s]}' % b",".join(
        [b'{"to":"+61491570006","body":"' + b"y" * 300 + b'","custom_string":"%d"}'] * places
    )
    with opened(server) as wire:
        asked = b"".join(
            post(body.replace(b"%d", b"%d" % number), at=b"POST /v3/sms/price HTTP/1.1\r\n").replace(b"KEY", whose(api))
            for number in range(count)
        )
        sending_all = threading.Thread(target=wire.sendall, args=(asked + LAST,))
        sending_all.start()
        found = until_closed(wire)
        sending_all.join()
    numbers = re.findall(rb'"custom_string":"(\d+)"', found)
    assert numbers == [b"%d" % number for number in range(count) for _ in range(places)]
    assert ways[0].taken > 0


def test_a_send_whose_client_hangs_up_is_sent_all_the_same(server: Running, ways: Sequence[Any]) -> None:
    api = server.account()
    api.get("/account")
    server._server._gate.api = ways[0]
    began, go = threading.Event(), threading.Event()
    holding = threading.Thread(
        target=lambda: server.call(
            lambda: server.house.database.write(lambda tx: (began.set(), go.wait(60)), slow=True)
        )
    )
    holding.start()
    began.wait(60)
    with opened(server) as wire:
        wire.sendall(post().replace(b"KEY", whose(api)))
        while not ways[0].taken:
            pass
    go.set()
    holding.join()
    server.write(lambda tx: None)
    assert api.get("/sms/history")["total"] == 1


def test_an_idle_connection_is_closed_after_its_time_and_not_before(server: Running, ways: Sequence[Any]) -> None:
    """Its clock begins anew with each answer, whichever way it went."""
    api = server.account()
    api.get("/account")
    config = server._server.config
    before, config.timeout_keep_alive = config.timeout_keep_alive, 0.2
    try:
        with opened(server) as wire:
            began = time.monotonic()
            for asked in (post(), GET, post(), post()):
                wire.sendall(asked.replace(b"KEY", whose(api)))
                receive(wire)
            last = time.monotonic()
            assert until_closed(wire) == b""
            assert time.monotonic() - last >= 0.2 - 0.01
            assert time.monotonic() - began < 30
    finally:
        config.timeout_keep_alive = before
