"""Email templates of an account (43 to 47), and HTML that would cost too much to read."""

from typing import Any

import pytest

from heliograph.mail import bounds
from heliograph.mail.templates import masters, template
from support.server import ONE_DATABASE, Api, Running

PATH = "/email/templates"
MINE = {"template_name": "Minions", "template_id_master": 57}


def test_a_clone_has_the_body_of_its_master_and_a_life_of_its_own(server: Running, api: Api) -> None:
    made = api.post(PATH, MINE)
    assert made["body"] == masters.body(masters.find(57))  # type: ignore[arg-type]
    at = f"{PATH}/{made['template_id']}"
    assert api.get(at) == made
    changed = api.put(at, {"body": "<p>Hello (First Name)</p>"})
    assert changed == {**made, "body": "<p>Hello (First Name)</p>"}
    assert api.put(at, {"template_name": "Other"})["body"] == changed["body"]
    assert api.get(PATH)["data"] == [{"template_id": made["template_id"], "template_name": "Other"}]
    found = server.read(lambda tx: template.find(tx, api.user_id, made["template_id"]))
    assert (found.template_name, found.body) == ("Other", changed["body"])
    assert api.delete(at) == []
    assert [api.call(verb, at, changed).status for verb in ("GET", "PUT", "DELETE")] == [404, 404, 404]
    assert server.read(lambda tx: template.find(tx, api.user_id, made["template_id"])) is None


def test_the_list_is_in_the_order_of_ids_and_can_be_searched(api: Api) -> None:
    keys = [api.post(PATH, {**MINE, "template_name": name})["template_id"] for name in ("b", "a", "c")]
    assert [row["template_id"] for row in api.get(PATH)["data"]] == keys
    assert [row["template_name"] for row in api.get(f"{PATH}?order_by=template_name:desc")["data"]] == ["c", "b", "a"]
    assert [row["template_name"] for row in api.get(f"{PATH}?q=template_name:A")["data"]] == ["a"]


@ONE_DATABASE
@pytest.mark.parametrize("key", [57, "57", 57.0, " 57 "])
def test_an_id_may_be_written_in_each_way_that_clients_have(api: Api, key: Any) -> None:
    assert api.post(PATH, {**MINE, "template_id_master": key})["template_id_master"] == 57


@ONE_DATABASE
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"template_name": ""}, "template_name"),
        ({"template_name": " \t"}, "template_name"),
        ({"template_name": None}, "template_name"),
        ({"template_name": "x" * 256}, "template_name"),
        ({"template_name": "a\x00b"}, "template_name"),
        ({"template_id_master": 10115}, "template_id_master"),
        ({"template_id_master": -1}, "template_id_master"),
        ({"template_id_master": None}, "template_id_master"),
        ({"template_id_master": "Basic"}, "template_id_master"),
        ({"template_id_master": 10**30}, "template_id_master"),
        ({"template_id_master": 57.5}, "template_id_master"),
    ],
)
def test_a_bad_order_is_refused_by_its_field(api: Api, change: dict[str, Any], field: str) -> None:
    answer = api.call("POST", PATH, {**MINE, **change})
    assert (answer.status, list(answer.data)) == (400, [field])
    assert api.get(PATH)["total"] == 0


NESTED = "<div>" * 300
HUGE = "x" * (bounds.LONGEST + 1)
CROWDED = "<br>" * (bounds.MOST_TAGS + 1)


@ONE_DATABASE
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "body"),
        ({"body": ""}, "body"),
        ({"body": " \n"}, "body"),
        ({"body": "a\x00b"}, "body"),
        ({"body": NESTED}, "body"),
        ({"body": "<table><tr><td>" * 100}, "body"),
        ({"body": HUGE}, "body"),
        ({"body": CROWDED}, "body"),
        ({"body": "good", "template_name": ""}, "template_name"),
        ({"body": ["x"]}, "body"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_change_is_refused_and_changes_nothing(api: Api, change: dict[str, Any], field: str) -> None:
    made = api.post(PATH, MINE)
    answer = api.call("PUT", f"{PATH}/{made['template_id']}", change)
    assert (answer.status, list(answer.data)) == (400, [field])
    assert api.get(f"{PATH}/{made['template_id']}") == made


@ONE_DATABASE
def test_half_of_a_character_is_no_json(api: Api) -> None:
    made = api.post(PATH, MINE)
    answer = api.call("PUT", f"{PATH}/{made['template_id']}", b'{"body": "\\ud83d"}')
    assert answer.status == 400


@pytest.mark.parametrize(
    "body",
    [
        "plain text, no tag",
        "\U0001f426 (First Name) - ½ < 1 & 2 > 1",
        "<p>never closed <b>at all",
        "<style>@import url(https://example.com/x.css)</style><link rel=stylesheet href=//example.com/y.css>",
        "<div>" * 200,
        "y" * bounds.LONGEST,
    ],
    ids=lambda body: body[:20],
)
def test_a_body_is_kept_as_it_was_given(api: Api, body: str) -> None:
    made = api.post(PATH, MINE)
    assert api.put(f"{PATH}/{made['template_id']}", {"body": body})["body"] == body
    assert api.get(f"{PATH}/{made['template_id']}")["body"] == body


@ONE_DATABASE
def test_a_body_of_the_largest_size_may_be_escaped(api: Api) -> None:
    made = api.post(PATH, MINE)
    raw = b'{"body": "' + b"\\u00e9" * bounds.LONGEST + b'"}'
    assert api.call("PUT", f"{PATH}/{made['template_id']}", raw).data["body"] == "\u00e9" * bounds.LONGEST
    assert api.call("PUT", f"{PATH}/{made['template_id']}", raw * 2).status == 413


@ONE_DATABASE
def test_a_loop_that_clones_comes_to_an_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "MOST_OF_ACCOUNT", 2)
    first = api.post(PATH, MINE)["template_id"]
    api.post(PATH, MINE)
    answer = api.call("POST", PATH, MINE)
    assert (answer.status, answer.body["response_msg"]) == (400, "An account has at most 2 email templates.")
    api.delete(f"{PATH}/{first}")
    api.post(PATH, MINE)


NAMES = " ".join(f"a{n}" for n in range(bounds.MOST_ATTRIBUTES + 1))


@pytest.mark.parametrize(
    "html",
    [
        *(NESTED, HUGE, CROWDED, "<svg>" + "<g>" * 300, "<b><i>" * 200),
        f"<p {NAMES}>",
        f"<p {NAMES}",
        f"<p {NAMES.replace(' ', '/')}>",
        f"<p {NAMES.replace(' ', '=1 ')}>",
        "<p " + 'a="1"' * (bounds.MOST_ATTRIBUTES + 1) + ">",
        f'<p x=y=" {NAMES}" >',
        f"<p {NAMES.replace(' ', '<')} {NAMES}>",
        f'<!-- <p x=" --><p {NAMES}>',
        f'<p x=">" {NAMES}>',
        f"<p x = '>' {NAMES}>",
    ],
    ids=lambda html: html[:9],
)
def test_what_would_cost_too_much_has_a_fault(html: str) -> None:
    assert bounds.fault(html).startswith("must have ")


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.com/?a=b" title=\'He said "no"\' class=x>a</a> 1 > 0',
        "<p>He said: <b>x = 'y</b> > z",
        "<style>td > p { content: '>' } a[href=\"x\"] > b { color: red }</style>",
        '<!--[if (gte mso 9)|(IE)]><table width="600"><tr><td><![endif]-->',
        '<img alt="' + "many words " * 1000 + '">' + "more words " * 5000,
    ],
)
def test_what_people_write_has_none(html: str) -> None:
    assert bounds.fault(html) == ""


@pytest.mark.parametrize(
    ("html", "levels"),
    [("", 1), ("text", 2), ("<p>a<p>b", 3), ("<div><div></div></div><div></div>", 3), ("<br>" * 100, 2)],
)
def test_levels_are_counted_as_a_browser_makes_them(html: str, levels: int) -> None:
    assert bounds.depth(html) == levels
