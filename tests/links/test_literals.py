"""Which literals a text has, and when text and URL go together."""

import pytest

from heliograph import webaddress
from heliograph.errors import BadRequest
from heliograph.links import literals

GOOD = "https://example.com/"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("smsu.io/xxxxx", {"url"}),
        ("SMSU.io/XXXXX", {"url"}),
        ("(smsg.io/xxxxx)", {"url"}),
        ("see http://sm-su.io/xxxxx.", {"url"}),
        ("Stop: https://StopMsg.me/xxxxx", {"stop"}),
        ("stopmsg.ME/xxxxx…smsu.io/xxxxx…", {"url", "stop"}),
        ("もうsmsu.io/xxxxxです", {"url"}),
        ("smsu.io/xxxxx?from=sms", {"url"}),
        ("Wait...smsu.io/xxxxx", {"url"}),
        ("smsu.io/xxxx", set()),
        ("smsu.io/xxxxxx", set()),
        ("smsu.io/abcde", set()),
        ("smsuXio/xxxxx", set()),
        ("my-smsu.io/xxxxx", set()),
        ("my.smsu.io/xxxxx", set()),
        ("(First Name)", set()),
        ("", set()),
    ],
)
def test_literals_are_found(text: str, kinds: set[str]) -> None:
    assert literals.found(text) == kinds


@pytest.mark.parametrize("text", ["Look: smsu.io/xxxxx", "smsg.io/xxxxx StopMsg.me/xxxxx"])
def test_a_text_with_its_url_is_good(text: str) -> None:
    assert "url" in literals.check(text, GOOD)
    assert literals.check("Only StopMsg.me/xxxxx", "") == {"stop"}
    assert literals.check("Nothing", "") == set()


@pytest.mark.parametrize(
    ("text", "url", "field"),
    [
        ("Look: smsu.io/xxxxx", "", "url_to_shorten"),
        ("Look: sm-su.io/xxxxx StopMsg.me/xxxxx", "", "url_to_shorten"),
        ("Look!", GOOD, "body"),
        ("Look! StopMsg.me/xxxxx", GOOD, "body"),
        ("smsu.io/xxxxx", "javascript:alert(1)", "url_to_shorten"),
    ],
)
def test_one_without_the_other_is_refused(text: str, url: str, field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        literals.check(text, url)
    assert set(refused.value.data) == {field}


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/a%20b?c=d+e&f=%2F#g",
        "HTTPS://EXAMPLE.COM:8443/",
        "https://bücher.example/straße",
        "https://[2001:db8::1]/",
        "https://example.com/" + "x" * 1980,
    ],
)
def test_a_web_address_is_a_target(url: str) -> None:
    assert webaddress.problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/path",
        "//example.com/path",
        "javascript:alert(1)//http://example.com",
        "java\tscript:alert(1)",
        "data:text/html,hello",
        "file:///etc/passwd",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https:\\\\example.com",
        "https://example.com/a b",
        "https://example.com/\r\nSet-Cookie: a=b",
        "https://[::1",
        "https://example.com:port/",
        "https://example.com/" + "x" * 1981,
    ],
)
def test_anything_else_is_not(url: str) -> None:
    assert webaddress.problem(url) is not None
