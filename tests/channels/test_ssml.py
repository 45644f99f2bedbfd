"""What of a customer's markup reaches a speech engine."""

import re
import time

import pytest

from heliograph.channels.voice import ssml


def markup(body: str, most: int = 1200) -> str | None:
    speech = ssml.read(body, most)
    return None if speech is None else speech.markup


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<speak>Hello</speak>", "<speak>Hello</speak>"),
        ("Hello <break time='2s'/> there", '<speak>Hello <break time="2000ms"/> there</speak>'),
        ("<p>One.</p><s>Two.</s>", "<speak><p>One.</p><s>Two.</s></speak>"),
        ('<prosody rate="slow">a</prosody>', '<speak><prosody rate="slow">a</prosody></speak>'),
        ('<prosody rate="-30%" pitch="x">a</prosody>', '<speak><prosody rate="-30%">a</prosody></speak>'),
        ('<prosody rate="1%" volume="900%">a</prosody>', "<speak><prosody>a</prosody></speak>"),
        (
            '<say-as interpret-as="characters">abc</say-as>',
            '<speak><say-as interpret-as="characters">abc</say-as></speak>',
        ),
        ('<sub alias="World Wide">WWW</sub>', '<speak><sub alias="World Wide">WWW</sub></speak>'),
        ('<emphasis level="strong">now</emphasis>', '<speak><emphasis level="strong">now</emphasis></speak>'),
        ("<SPEAK><BREAK/>x</SPEAK>", "<speak><break/>x</speak>"),
        ('<speak>a<audio src="/etc/passwd">b</audio>c</speak>', "<speak>abc</speak>"),
        ('<speak>a<audio src="$(touch x)"/></speak>', "<speak>a</speak>"),
        ('<speak><voice name="x">a</voice><mark name="m"/></speak>', "<speak>a</speak>"),
        ('<speak onload="x">a &amp; b &lt;c&gt;</speak>', "<speak>a &amp; b &lt;c&gt;</speak>"),
        (
            '<s><sub alias="&quot;&gt;&lt;audio">a</sub></s>',
            "<speak><s><sub alias='\"&gt;&lt;audio'>a</sub></s></speak>",
        ),
        ("<speak><![CDATA[<audio src='x'/>]]></speak>", "<speak>&lt;audio src='x'/&gt;</speak>"),
    ],
)
def test_only_what_is_listed_is_passed_on(body: str, expected: str) -> None:
    assert markup(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        "plain",
        "Tom & Jerry <3",
        "a < b",
        "AT&amp;T",
        "<speak>open",
        "<b>bold</b>",
        "<speak>a</speak><speak>b</speak>",
        "</speak><audio src='x'/><speak>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><speak>&a;</speak>",
        "<speak><!DOCTYPE x>a</speak>",
        '<?xml version="1.0"?><speak>a</speak>',
        "<speak><?php x ?>a</speak>",
        "<speak>&file;</speak>",
        "<speak>a\x00b</speak>",
        "<speak>" + "a" * ssml.LONGEST_MARKUP + "</speak>",
    ],
)
def test_what_is_no_markup_is_a_text(body: str) -> None:
    assert ssml.read(body, 1200) is None


def test_the_text_is_cut_and_its_elements_are_closed() -> None:
    speech = ssml.read("<speak><p>" + "abc" * 10 + "</p><break time='1s'/>more</speak>", 5)
    assert speech == ssml.Speech("abcab", "<speak><p>abcab</p></speak>")


def test_pauses_are_limited_one_by_one_and_together() -> None:
    made = markup("<speak>a" + "<break time='99999s'/>" * 600 + "b</speak>")
    assert made == "<speak>a" + '<break time="10000ms"/>' * 6 + "b</speak>"


def test_nesting_is_limited() -> None:
    made = markup("<speak>" + "<prosody rate='50%'>" * 500 + "a" + "</prosody>" * 500 + "</speak>")
    assert made is not None
    assert made.count("<prosody") == made.count("</prosody>") == ssml.DEEPEST - 1


def test_a_text_says_just_itself() -> None:
    assert ssml.written("a <b> & \x07c\n") == "<speak>a &lt;b&gt; &amp; c\n</speak>"


@pytest.mark.parametrize("unit", ["<", "<a", "<speak>", "<break ", "<break/>", "&amp;", "<!--", "<a b='", "]]>", "<s>"])
def test_it_takes_no_longer_than_the_text_is(unit: str) -> None:
    body = "<speak>" + unit * (ssml.LONGEST_MARKUP // len(unit) - 2)
    begun = time.process_time()
    for _ in range(5):
        made = ssml.read(body, 1200)
        assert made is None or not re.search("<(?!/?(?:speak|p|s|break|prosody|say-as|sub|emphasis)[ />])", made.markup)
    assert time.process_time() - begun < 1
