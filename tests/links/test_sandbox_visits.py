"""Subscribers of the simulated SMSC that do something with the links that they get: by real requests."""

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web

from heliograph.transports.sandbox.visits import Visitor
from links.telephone import TARGET, campaign, counted, link, number_of, people, statistics
from support.logs import own_logs
from support.server import Api, Running

CLICKS, CONFIRMS, PREVIEWS = "+61491999011", "+61491999012", "+61491999013"


@pytest.fixture
def one(sqlite_server: Running) -> Iterator[Api]:
    yield sqlite_server.account()
    sqlite_server.close_clients()


def test_999011_clicks_and_999013_has_a_preview_made(one: Api) -> None:
    preview = link(one, to=PREVIEWS)[1]
    click = link(one, to=CLICKS)[1]
    found = counted(one, "quick_sms", click, 1)
    assert found["device"] == [{"label": "mobile", "count": 1}]
    assert found["os"] == [{"label": "android", "count": 1}]
    one.final(preview)
    assert statistics(one, "quick_sms", preview)["links"]["opened_total"] == 0


def test_999012_opts_out_and_clicks_nothing(one: Api) -> None:
    key = people(one, {"phone_number": CONFIRMS})
    (fate,) = campaign(one, key, "smsu.io/xxxxx, bye: StopMsg.me/xxxxx", TARGET)
    assert fate.status == "SUCCESS"
    (out,) = [row["list_id"] for row in one.get("/lists")["data"] if row["list_name"] == "Opt-Out List"]
    listed = one.until(lambda: one.get(f"/lists/{out}/contacts")["data"])
    assert [row["phone_number"] for row in listed] == [CONFIRMS]
    assert statistics(one, "sms_campaign", number_of(one))["links"]["opened_total"] == 0


def visits(text: str, domain: str = "", visit: str = "click") -> list[tuple[str, str, str]]:
    """(method, path, User-Agent) of the requests that come to the house, whose links lead elsewhere."""
    came: list[tuple[str, str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        came.append((request.method, request.path, request.headers["User-Agent"]))
        if request.path.startswith("/stop"):
            return web.Response(text="page")
        raise web.HTTPFound("http://127.0.0.1:9/elsewhere")

    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{anything:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        here = f"127.0.0.1:{runner.addresses[0][1]}"
        visitor = Visitor(domain or here)
        visitor.start(text.replace("HERE", here), visit)  # type: ignore[arg-type]
        await asyncio.gather(*visitor._tasks)
        assert not visitor.busy
        await visitor.stop()
        await runner.cleanup()

    with own_logs() as log:
        asyncio.run(run())
    assert len([entry for entry in log if entry["event"] == "smsc.visited"]) == len({path for _, path, _ in came})
    return came


def test_each_link_of_the_house_is_opened_and_nothing_else() -> None:
    text = "HERE/bcdfghj http://HERE/kmnpqrs. (HERE/tvwxyz2) http://127.0.0.1:9/x example.com/y xHERE/z HERE nothing"
    assert sorted(path for _, path, _ in visits(text)) == ["/bcdfghj", "/kmnpqrs", "/tvwxyz2"]


def test_a_link_of_another_house_is_not_opened() -> None:
    assert visits("HERE/bcdfghj", domain="s.example") == []


@pytest.mark.parametrize(
    ("visit", "asked"),
    [
        ("click", [("GET", "/bcdfghj"), ("GET", "/stop")]),
        ("preview", [("GET", "/bcdfghj"), ("GET", "/stop")]),
        ("confirm", [("HEAD", "/bcdfghj"), ("HEAD", "/stop"), ("POST", "/stop")]),
    ],
)
def test_what_is_asked(visit: str, asked: list[tuple[str, str]]) -> None:
    came = visits("HERE/bcdfghj HERE/stop", visit=visit)
    assert sorted((method, path) for method, path, _ in came) == asked
    assert {"WhatsApp" in agent for *_, agent in came} == {visit == "preview"}


def test_a_house_that_does_not_answer_is_told_in_the_log() -> None:
    async def run() -> None:
        visitor = Visitor("127.0.0.1:9")
        visitor.start("127.0.0.1:9/bcdfghj", "click")
        await asyncio.gather(*visitor._tasks)

    with own_logs() as log:
        asyncio.run(run())
    assert [entry["event"] for entry in log] == ["smsc.not_visited"]
