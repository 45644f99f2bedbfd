"""How large bodies may be, what is refused before it is decoded, and what one large body does to others."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from heliograph.errors import BadRequest, Unavailable
from heliograph.fields import about
from heliograph.http import bodies, loose
from heliograph.http.server import RENDERED_AT_ONCE, wrap
from heliograph.routes import ROUTES
from support.raw import basic, opened, receive, send
from support.server import ONE_DATABASE, Api, Running

HOST = b"Host: localhost\r\n"
NUMBER = "+61491570006"


class Entry(msgspec.Struct):
    to: str


class Listed(msgspec.Struct):
    entries: Annotated[list[Entry], about("Few.", maxItems=3)]
    more: Annotated[list[int], msgspec.Meta(max_length=2)] = []


def filled(entry: bytes, size: int) -> bytes:
    head, tail = b'{"messages":[', b"]}"
    return head + b",".join([entry] * ((size - len(head) - len(tail)) // (len(entry) + 1))) + tail


@pytest.mark.parametrize("route", [route for route in ROUTES if route.access is None], ids=lambda route: route.at)
def test_strangers_send_small_bodies(server: Running, route: Any) -> None:
    most = route.endpoint.most_body or 64 * 1024
    assert most <= 256 * 1024
    head = f"{route.method} /v3{route.paths[0]} HTTP/1.1\r\n".encode() + HOST
    told = send(server, head + b"Content-Length: %d\r\n" % (most + 1))
    assert told.status == 413, "before any of it was sent"
    with opened(server) as wire:
        wire.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        wire.sendall(b"%x\r\n" % (most + 1) + b"[" * (most + 1) + b"\r\n")
        assert receive(wire).status == 413, "at the first byte too many, and before the end"


def test_a_small_object_has_no_eight_megabytes(api: Api) -> None:
    body = {"template_name": "a", "body": "x" * 300_000}
    assert api.call("POST", "/sms/templates", body).status == 413
    assert api.call("POST", "/sms/templates", {**body, "body": "x" * 200_000}).status == 200
    assert api.call("POST", "/sms/price", {"messages": [{"to": NUMBER, "body": "x" * 300_000}]}).status == 200


@ONE_DATABASE
@pytest.mark.parametrize(
    "entry", [b'{"to":1}', b"{}", b"1", b'{"x":[[],[],[]]}', b'[{"":0}]', b'{"to":"1","body":","}']
)
def test_millions_of_values_are_refused_before_they_are_decoded(api: Api, entry: bytes) -> None:
    answer = api.call("POST", "/sms/send", filled(entry, 8_000_000))
    assert (answer.status, list(answer.data)) == (400, ["body"])


def test_texts_may_have_as_many_commas_as_they_like(api: Api) -> None:
    for text in ("," * 3_000_000, '\\"[{,' * 90_000, "\\" * 80_000 + "," * 200_000):
        raw = json.dumps({"messages": [{"to": 61491570006, "body": text}]}).encode()
        assert api.call("POST", "/sms/price", raw).status == 200


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b'{"entries":[{"to":1},{"to":1},{"to":1},{"to":[]}]}', ["entries"]),
        (b'{"entries":[{"to":1}],"more":["1","2","x"]}', ["more"]),
        (b'{"entries":[{"to":1}],"more":["1","x"]}', ["more.1"]),
        (b'{"entries":[1,1,1,1],"more":[[],[],[]]}', ["entries", "more"]),
    ],
)
def test_a_list_that_is_too_long_is_refused_as_a_whole(raw: bytes, named: list[str]) -> None:
    with pytest.raises(BadRequest) as refused:
        loose.decode(raw, Listed)
    assert list(refused.value.data) == named


def test_a_long_number_in_a_large_body_is_still_found() -> None:
    for at in (loose.SLICE - 60, loose.SLICE - 40, 2 * loose.SLICE + 7):
        raw = b'{"entries":[{"to":"' + b"x" * at + b'"}],"more":[1, -12345678901234567]}'
        with pytest.raises(BadRequest) as refused:
            loose.decode(raw, Listed)
        assert list(refused.value.data) == ["more.1"]


def test_large_bodies_are_decoded_beside_the_loop(server: Running, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, others are answered meanwhile."""
    entered, goes_on = threading.Event(), threading.Event()
    check = loose._check_size

    def slowly(raw: bytes) -> None:
        entered.set()
        assert goes_on.wait(60)
        check(raw)

    monkeypatch.setattr(loose, "_check_size", slowly)
    found: list[int] = []
    raw = json.dumps({"messages": [{"to": NUMBER, "body": "x" * 100_000}]}).encode()
    other = server.account()
    thread = threading.Thread(target=lambda: found.append(api.call("POST", "/sms/price", raw).status))
    thread.start()
    assert entered.wait(60)
    assert other.call("GET", "/account").status == 200
    goes_on.set()
    thread.join(60)
    assert found == [200]


@pytest.mark.parametrize(("size", "beside"), [(RENDERED_AT_ONCE, False), (RENDERED_AT_ONCE + 1, True)])
def test_the_answer_to_a_very_large_body_is_made_beside_the_loop(
    server: Running, api: Api, size: int, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[str] = []

    def noted(req: Any, reply: Any) -> bytes:
        makers.append(threading.current_thread().name)
        return wrap(req, reply)

    monkeypatch.setattr("heliograph.http.server.wrap", noted)
    raw = json.dumps({"messages": [{"to": NUMBER, "body": str(n)} for n in range(900)]}).encode().ljust(size)
    answer = api.call("POST", "/sms/price", raw)
    assert [one["body"] for one in answer.data["messages"]] == [str(n) for n in range(900)]
    assert [one.startswith("large-bodies") for one in makers] == [beside]


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path, max_body=400_000, max_upload=400_000, body_memory=1024)
    yield server
    server.close_clients()
    server.stop()


def test_half_sent_bodies_have_a_room_of_their_own(narrow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for 800,000 bytes, and half of it for one account: the next is told to come again, others are served."""
    api, other = narrow.account(), narrow.account()
    head = b"POST /v3/sms/price HTTP/1.1\r\n" + HOST + b"Content-Length: 300000\r\n"
    mine = basic(api.username.encode(), api.key.encode())
    raw = json.dumps({"messages": [{"to": NUMBER, "body": "x"}]}).encode().ljust(300_000)
    held, arrived, grow = [0], threading.Event(), bodies.Room.grow

    def noted(room: bodies.Room, user_id: int, size: int) -> None:
        grow(room, user_id, size)
        held[0] += size
        if held[0] == len(raw) - 1:
            arrived.set()

    monkeypatch.setattr(bodies.Room, "grow", noted)
    with opened(narrow) as half, opened(narrow) as second:
        half.sendall(head + mine + b"\r\n" + raw[:-1])
        assert arrived.wait(60)
        second.sendall(head + mine + b"\r\n" + raw)
        refused = receive(second)
        assert (refused.status, refused.headers["retry-after"]) == (503, bodies.WAIT)
        assert other.call("POST", "/sms/price", raw).status == 200
        half.sendall(raw[-1:])
        assert receive(half).status == 200
    assert api.call("POST", "/sms/price", raw).status == 200, "it is given back"


def test_room_is_given_back_whatever_happens() -> None:
    room = bodies.Room(100)
    for _ in range(3):
        with room.lent(1) as loan:
            loan.grow(30)
            with pytest.raises(Unavailable):
                loan.grow(30)
        with room.lent(1) as one, room.lent(2) as two:
            one.grow(50)
            two.grow(50)
