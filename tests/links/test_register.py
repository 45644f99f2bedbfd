"""Links of accepted messages: codes that were taken, links that are killed, guesses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from heliograph.db.engine import Tx
from heliograph.links import register
from heliograph.links.link import STOP, URL, NewLink
from heliograph.links.register import Linked
from links.telephone import TARGET, ask, campaign, link, paths, people
from support import quiet, steps
from support.program import command
from support.quiet import draft, order
from support.server import Api, Running
from support.steps import Steps


@pytest.fixture
def house(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as opened:
        yield opened


def linked(message_id: str, *links: NewLink) -> Linked:
    return Linked(7, 70, "quick_sms", message_id, message_id, "+61491570006", links)


def find(house: Steps, *codes: str) -> dict[str, register.Found]:
    return house.write(lambda tx: register.find(tx, codes))


def test_a_code_that_is_taken_becomes_another(house: Steps) -> None:
    """Before, and within the same transaction; each link keeps its own target and message."""
    old = NewLink("bcdfghj", URL, "https://old.example/")
    house.write(lambda tx: register.enter(tx, [linked("M0", old)]))
    taken = NewLink("bcdfghj", URL, TARGET)
    twice = NewLink("kmnpqrs", STOP)
    free = NewLink("tvwxyz2", URL, TARGET)
    messages = [linked("M1", taken, twice), linked("M2", twice, free)]
    changed = house.write(lambda tx: register.enter(tx, messages))
    assert set(changed) == {(0, taken), (0, twice)} or set(changed) == {(0, taken), (1, twice)}
    assert {len(code) for code in changed.values()} == {7}
    now = {key: changed.get(key, key[1].code) for key in ((0, taken), (0, twice), (1, twice), (1, free))}
    found = find(house, "bcdfghj", *now.values())
    assert len(found) == 5
    assert found["bcdfghj"].url == old.target
    assert found[now[0, taken]][3:8:4] == ("M1", TARGET)
    assert [found[now[place, twice]].message_id for place in (0, 1)] == ["M1", "M2"]
    assert found[now[1, free]].long_url_id != found[now[0, taken]].long_url_id


def test_a_message_is_sent_with_the_code_that_it_got(house: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    who = house.account()
    codes = iter(["bcdfghj", "kmnpqrs", "tvwxyz2"])
    monkeypatch.setattr(register, "new_code", lambda length: next(codes))
    asked = [draft(body="s.example/bcdfghj!", links=(NewLink("bcdfghj", URL, TARGET),)) for _ in range(3)]
    fates = house.accept(order(who, *asked))[0]
    bodies = [house.message(who, fate.message_id).body for fate in fates]
    assert bodies == [fate.draft.body for fate in fates]
    assert len(set(bodies)) == 3
    assert all(one.url == TARGET for one in find(house, *(body[10:17] for body in bodies)).values())
    assert bodies == [f"s.example/{fate.draft.links[0].code}!" for fate in fates]
    owners = {body[10:17]: fate.message_id for body, fate in zip(bodies, fates, strict=True)}
    assert {code: one.message_id for code, one in find(house, *owners).items()} == owners


def test_what_is_not_accepted_has_no_link(house: Steps) -> None:
    who = house.account(credit=0)
    refused = draft(body="s.example/bcdfghj", links=(NewLink("bcdfghj", URL, TARGET),))
    assert house.accept(order(who, refused))[0][0].status == "INSUFFICIENT_CREDIT"
    assert house.accept(order(who, refused, quote=True))[0][0].status == "INSUFFICIENT_CREDIT"
    rich = house.account("rich")
    assert house.accept(order(rich, refused, quote=True))[0][0].status == "SUCCESS"
    assert find(house, "bcdfghj") == {}


def test_a_campaign_has_one_target_for_all_its_slices(house: Steps) -> None:
    who = house.account()
    for start in (0, 100):
        drafts = [
            draft(f"+6149157{start + n:04}", body="x", links=(NewLink(f"bcdfg{start + n:03}", URL, TARGET),))
            for n in range(100)
        ]
        house.accept(order(who, *drafts, campaign_id=5))
    found = find(house, *(f"bcdfg{n:03}" for n in range(200)))
    assert len(found) == 200
    assert len({one.long_url_id for one in found.values()}) == 1


def test_links_belong_to_the_source_of_their_message(house: Steps) -> None:
    who, mms = house.account(), quiet.channel("mms", "sms")

    def source(tx: Tx) -> set[tuple[str, str]]:
        return set(tx.driver("SELECT source, source_id FROM long_urls").fetchall())

    link = (NewLink("bcdfgh2", URL, TARGET),)
    one = house.accept(order(who, draft(body="bcdfgh2", links=link), channel=mms))[0][0].message_id
    link = (NewLink("bcdfgh3", URL, TARGET),)
    house.accept(order(who, draft(body="bcdfgh3", links=link), channel=mms, campaign_id=9))
    assert house.write(source) == {("quick_mms", one), ("mms_campaign", "9")}


def place(server: Running) -> tuple[str, ...]:
    return "--data", str(server.options.data), "--database", server.options.database


@pytest.fixture
def one(sqlite_server: Running) -> Api:
    return sqlite_server.account()


def test_a_link_is_killed_and_lives_again(one: Api) -> None:
    path, _ = link(one)
    other, _ = link(one, to="+61491570156")
    foreign, _ = link(one.server.account())

    def alive() -> list[int]:
        return [ask(one.server, at).status for at in (path, other, foreign)]

    said = command("links", "disable", path[1:], *place(one.server))
    assert (said.code, said.out) == (0, f"1 link to {TARGET} killed.\n")
    assert alive() == [410, 302, 302]
    assert command("links", "disable", path[1:], *place(one.server)).out == "It was killed before.\n"
    whole = f"http://127.0.0.1:{one.server.port}{other}/?x=/y"
    told = command("links", "disable", whole, "--everywhere", *place(one.server), "--json").value
    assert told == {"code": other[1:], "url": TARGET, "changed": 1, "disabled": True}
    assert alive() == [410, 410, 302]
    assert command("links", "enable", other[1:], "--everywhere", *place(one.server)).out.startswith("2 links to")
    assert alive() == [302, 302, 302]
    log = command("audit", one.username, *place(one.server)).out
    assert "links disabled" in log
    assert "links enabled" in log


def test_what_cannot_be_killed(one: Api) -> None:
    unknown = command("links", "disable", "bcdfghj", *place(one.server))
    assert (unknown.code, unknown.err.strip()) == (1, "heliograph: There is no link 'bcdfghj'.")
    (fate,) = campaign(one, people(one, {"phone_number": "+61491570006"}), "StopMsg.me/xxxxx")
    (stop,) = paths(one.server, fate.draft.body)
    refused = command("links", "disable", stop[1:], *place(one.server))
    assert refused.code == 1
    assert "opt out" in refused.err
    assert ask(one.server, stop).status == 200


def test_codes_are_not_guessed(tmp_path: Path) -> None:
    """Ten for each failed login that would be allowed; who has good links is not counted."""
    server = Running(tmp_path, role="api", login_limit="1/hour", link_domain="127.0.0.1")
    try:
        entry = server.account().post(
            "/sms/send", {"messages": [{"to": "+61491570006", "body": TARGET}], "shorten_urls": True}
        )["messages"][0]
        path = entry["body"].removeprefix("127.0.0.1")
        assert {ask(server, path).status for _ in range(30)} == {302}
        assert [ask(server, "/bcdfghj", method).status for method in ("GET", "POST") * 5] == [404] * 10
        for attempt in ("/bcdfghj", "/kmnpqrs", path):
            page = ask(server, attempt)
            assert page.status == 429
            assert int(page.headers["retry-after"]) > 0
        assert ask(server, path, "POST").status == 429
        assert ask(server, "/healthz").status == 200
    finally:
        server.close_clients()
        server.stop()
