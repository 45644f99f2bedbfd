"""Preparing the HTML of a campaign: links are counted, the rest stays as it was, and everybody can unsubscribe."""

import time
from html import unescape

import pytest
from selectolax.lexbor import LexborHTMLParser

from heliograph.accounts.vault import Vault
from heliograph.mail import tracking
from heliograph.mail.tracking import MARK, Tracker
from heliograph.mail.verp import UNSUBSCRIBE, Verp
from heliograph.settings import load

PUBLIC = "https://mail.house.example"
MESSAGE = "0193A1B2-C3D4-7E5F-8A6B-0123456789AB"
UNSUBSCRIBES = f"{PUBLIC}/e/u/{MARK}"
VAULT = Vault(b"secret")


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker(load(public_url=PUBLIC, bounce_domain="bounce.house.example"), VAULT)


def click(number: int) -> str:
    return f"{PUBLIC}/e/c/{MARK}/{number}"


COUNTED = {
    '<a href="https://x.example/">a</a>': "https://x.example/",
    "<a href='https://x.example/?q=\"'>a</a>": 'https://x.example/?q="',
    "<a href=https://x.example/a/>a</a>": "https://x.example/a/",
    "<A HREF = HTTP://X.example/>a</A>": "HTTP://X.example/",
    '<a\nclass="b"\thref="https://x.example/?a=1&amp;b=2"\n>a</a>': "https://x.example/?a=1&b=2",
    '<a href="https://x.example/?a=1&copy=2&lt=3">a</a>': "https://x.example/?a=1&copy=2&lt=3",
    '<a href="https://x.example/&#x2f;&eacute;&#47">a</a>': "https://x.example//é/",
    '<a href=" https://x.exa\nmple/a b\t">a</a>': "https://x.example/a%20b",
    '<a href="https://bücher.example/straße">a</a>': "https://bücher.example/straße",
    '<area shape="rect" href="https://x.example/">': "https://x.example/",
    '<svg><a xlink:href="https://x.example/"><title/><text>a</text></a></svg>': "https://x.example/",
    '<a href="https://x.example/1" href="https://x.example/2">a</a>': "https://x.example/1",
    '<a b="<a href=x>" c=">" href="https://x.example/">a</a>': "https://x.example/",
    '<!--[if !mso]><!--><a href="https://x.example/">a</a><!--<![endif]-->': "https://x.example/",
    '<![if !mso]><a href="https://x.example/">a</a><![endif]>': "https://x.example/",
    '<base href="https://y.example/"><a href="https://x.example/">a</a>': "https://x.example/",
    '<a/href="https://x.example/"/>a': "https://x.example/",
    '<p>1 < 2 <3 <a href="https://x.example/">a</a>': "https://x.example/",
    '<!--><a href="https://x.example/">a</a>': "https://x.example/",
    '<a href="https://x.example/wiki/SMS_(text)">a</a>': "https://x.example/wiki/SMS_(text)",
}
LEFT = [
    '<a href="mailto:ann@x.example">a</a>',
    '<a href="tel:+61491570006">a</a>',
    '<a href="#top">a</a>',
    '<a href="">a</a>',
    "<a href>a</a>",
    "<a href=>a</a>",
    "<a>a</a>",
    '<a name="b">a</a>',
    '<a href="data:text/html,b">a</a>',
    '<a href=" java\nscript:alert(1)">a</a>',
    '<a href="java&#115;cript:alert(1)">a</a>',
    '<a href="/page">a</a>',
    '<a href="//x.example/">a</a>',
    '<a href="https:x.example">a</a>',
    '<a href="https://">a</a>',
    '<a href="ftp://x.example/">a</a>',
    '<a href="cid:logo">a</a>',
    '<a href="https://x.example/\ud800">a</a>',
    f'<a href="https://x.example/{"b" * 3000}">a</a>',
    '<a href="https://x.example/?to=(First Name)">a</a>',
    '<a href="https://x.example/?to=(Cust. 1)">a</a>',
    '<a href="https://x.example/?to={CustomString1}">a</a>',
    '<a href="{{ link }}">a</a>',
    '<a href="https://x.example/{{id}}">a</a>',
    '<a href="https://x.example/unsubscribe?b=1">a</a>',
    '<!--[if mso]><a href="https://x.example/">a</a><![endif]-->',
    '<!-- <a href="https://x.example/">a</a> -->',
    '<!-- <a href="https://x.example/">a</a> --!>',
    "<script>\"<a href='https://x.example/'>a</a>\"</script>",
    '<style>a{b:"<a href=https://x.example/>"}</style>',
    '<title><a href="https://x.example/"></title>',
    '<textarea><a href="https://x.example/"></textarea>',
    '<!--!><a href="https://x.example/">a</a>-->',
    '<form action="https://x.example/"><button formaction="https://x.example/">a</button></form>',
    '<link href="https://x.example/"><img src="https://x.example/">',
    '<article href="https://x.example/">a</article>',
    '</a href="https://x.example/">',
    '<p title="<a href=https://x.example/>">a</p>',
]


@pytest.mark.parametrize("html", COUNTED)
def test_a_link_is_counted(tracker: Tracker, html: str) -> None:
    made = tracker.prepare(f"<p>{html} (Unsubscribe)", track=True)
    assert made.links == (COUNTED[html],)
    links = LexborHTMLParser(made.html).css("a, area")
    assert (links[0].attributes.get("href") or links[0].attributes.get("xlink:href")) == click(0)


@pytest.mark.parametrize("html", LEFT)
def test_what_is_no_link_of_the_campaign_stays(tracker: Tracker, html: str) -> None:
    made = tracker.prepare(f"<p>{html} (Unsubscribe)", track=True)
    assert made.links == ()
    assert made.html.startswith(f"<p>{html} <a href=")


@pytest.mark.parametrize("html", COUNTED)
def test_without_tracking_only_the_way_out_is_added(tracker: Tracker, html: str) -> None:
    made = tracker.prepare(f"<html><body>{html}</body></html>", track=False)
    assert made.links == ()
    before, after = f"<html><body>{html}", "</body></html>"
    assert made.html.startswith(before)
    assert made.html.endswith(after)
    assert MARK + ".gif" not in made.html
    assert made.html.count(UNSUBSCRIBES) == 1


def test_links_are_found_as_a_browser_finds_them(tracker: Tracker) -> None:
    """Another reader of HTML, with a tree, is the judge."""
    html = "<p>" + "\n".join(COUNTED) + "".join(one for one in LEFT if "\ud800" not in one)

    def seen(html: str) -> dict[str, str]:
        nodes = LexborHTMLParser(html).css("a[href], area[href]")
        links = {str(node.attributes.get("href")) for node in nodes}
        return {url: to for url in links if (to := tracking.target(url.replace("&", "&amp;"))) is not None}

    made = tracker.prepare(html, track=True)
    assert set(seen(html).values()) == set(made.links)
    assert not seen(html).keys() & seen(made.html).keys()


def test_all_but_the_targets_stays_octet_for_octet(tracker: Tracker) -> None:
    html = (
        "<!DOCTYPE html>\r\n<HTML><Body bgcolor=#fff>\r\n<p>ä&nbsp;&amp; <b>1<i>2</b>3</i> &copy <br/>"
        '<a  CLASS=b href="https://x.example/" >1</a> <a href=https://y.example/ id=c>2</a>'
        "<a href='https://x.example/'>3</a> (Unsubscribe)</Body>\r\n</HTML>\r\n"
    )
    made = tracker.prepare(html, track=True)
    back = made.html.replace(f'href="{click(1)}"', "href=https://y.example/")
    back = back.replace(f'"{click(0)}"', '"https://x.example/"', 1).replace(f'"{click(0)}"', "'https://x.example/'")
    start = back.index("<a href", back.index("3</a>"))
    end = back.index("</a>", start) + 4
    picture = back[back.index("<img") : back.index(">", back.index("<img")) + 1]
    assert (back[:start] + "(Unsubscribe)" + back[end:]).replace(picture, "") == html
    assert made.links == ("https://x.example/", "https://y.example/")
    assert f'src="{PUBLIC}/e/o/{MARK}.gif"' in picture
    assert back.index(picture) < back.index("</Body>")


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ('<p><a href="(Unsubscribe)">Leave</a>', ["Leave"]),
        ("<p><a href=(unsubscribe)>Leave</a>", ["Leave"]),
        ('<p><a href="http://(Unsubscribe)">Leave</a>', ["Leave"]),
        ('<p><a href="%28Unsubscribe%29">Leave</a>', ["Leave"]),
        ('<p><a href="(Unsubscribe)">(Unsubscribe)</a>', ["Unsubscribe"]),
        ("<p>To leave: (Unsubscribe)", ["Unsubscribe"]),
        ('<p>(Unsubscribe) <a href="(Unsubscribe)">Leave</a>', ["Unsubscribe", "Leave"]),
        ('<p><a href="(Unsubscribe)"><img src="cid:x"></a>', [""]),
        ('<p><a href="(Unsubscribe)"> </a>', [" ", "Unsubscribe"]),
        ('<p><a href="https://x.example/?(Unsubscribe)">Leave</a>', ["Unsubscribe"]),
        ("<p>Hello", ["Unsubscribe"]),
        ('<p title="(Unsubscribe)">Hello', ["Unsubscribe"]),
        ("<p>Hello<!-- (Unsubscribe) -->", ["Unsubscribe"]),
        ("<p>Hello<!--[if mso]>(Unsubscribe)<![endif]-->", ["Unsubscribe"]),
        ("<p>Hello<!-- without an end", ["Unsubscribe"]),
        ("<p>Hello<script>without an end", ["Unsubscribe"]),
        ('<p>Hello<a href="without an end', ["Unsubscribe"]),
        ("<p>Hello<title>(Unsubscribe)</title>", ["Unsubscribe"]),
        ("<p>Hello<plaintext>(Unsubscribe)", ["Unsubscribe"]),
        ("<p>Hello<template>(Unsubscribe)", ["Unsubscribe"]),
        ("<p>Hello<svg><title/>", ["Unsubscribe"]),
        ("<p>Hello<svg><p><style>", ["Unsubscribe"]),
        ("<p>Hello<svg><title><textarea>", ["Unsubscribe"]),
        ("<p>Hello<", ["Unsubscribe"]),
        ("<p>Hello<a", ["Unsubscribe"]),
    ],
)
def test_everybody_sees_a_link_to_unsubscribe(tracker: Tracker, html: str, links: list[str]) -> None:
    made = LexborHTMLParser(tracker.prepare(html, track=True).html)
    found = [node.text() for node in made.css("a") if node.attributes.get("href") == UNSUBSCRIBES]
    assert found == links
    assert made.css("img")[-1].attributes["src"] == f"{PUBLIC}/e/o/{MARK}.gif"


def test_outlook_has_a_way_out_too(tracker: Tracker) -> None:
    hidden = '<!--[if mso]><v:rect href="(Unsubscribe)"><a href="https://x.example/">a</a></v:rect><![endif]-->'
    made = tracker.prepare(f"<p>{hidden} (Unsubscribe)", track=True)
    assert f'<v:rect href="{UNSUBSCRIBES}"><a href="https://x.example/">' in made.html


def test_the_link_is_below_the_name_and_address_of_the_account(tracker: Tracker) -> None:
    made = tracker.prepare("<p>Hello</body>", track=False, sender="Ann & Co <b>\n1 High Street, Perth")
    assert "Ann &amp; Co &lt;b&gt;<br>1 High Street, Perth<br><a href=" in made.html
    assert made.html.endswith("</a></p></body>")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Hello\nhttps://x.example/", f"Hello\nhttps://x.example/\n\n--\nAnn\nUnsubscribe: {UNSUBSCRIBES}"),
        ("Leave: (Unsubscribe).", f"Leave: {UNSUBSCRIBES}."),
    ],
)
def test_a_plain_text_has_a_way_out(tracker: Tracker, text: str, made: str) -> None:
    assert tracker.prepare(text, track=True, sender="Ann") == tracking.Prepared(made)


def test_an_address_of_the_house_that_html_must_quote() -> None:
    tracker = Tracker(load(public_url="https://house.example/a&b'c"), VAULT)
    made = LexborHTMLParser(tracker.prepare("<p><a href='https://x.example/'>a</a>", track=True).html)
    assert made.css_first("a").attributes["href"] == f"https://house.example/a&b'c/e/c/{MARK}/0"


HARD = {
    "nested": "<div>" * 200_000,
    "tags in tags": "<a " * 300_000,
    "links": '<a href="https://x.example/">' * 30_000,
    "quotes": '<a href="' * 100_000,
    "equals": "<a " + "= " * 300_000,
    "slashes": "<a" + "/" * 900_000,
    "comments": "<!--" * 200_000,
    "half comments": "<!--" + "--!" * 300_000,
    "bogus": "<!" * 400_000,
    "closings": "</" * 400_000,
    "raw": "<title>" * 150_000,
    "raw in svg": "<svg>" + "<title>" * 150_000,
    "raw, closed": "<script></script>" * 60_000,
    "half raw": "<script>" + "</scrip" * 150_000,
    "signs": "<" * 900_000,
    "ampersands": '<a href="https://x.example/' + "&a" * 450_000 + '">',
    "numbers": '<a href="https://x.example/' + "&#1" * 300_000 + '">',
    "a number": '<a href="https://x.example/&#' + "9" * 900_000 + '">',
    "placeholders": "<p>" + "(Unsubscribe" * 80_000,
    "percents": "<p>" + "https://(" * 100_000,
    "braces": '<a href="' + "(first" * 150_000 + '">',
    "a line": "<p>" + "b" * 1_000_000,
    "conditions": "<!--[if mso]>(Unsubscribe)<![endif]-->" * 25_000,
    "spaces": "<a" + " " * 900_000,
    "blanks": "<a b" + " " * 900_000 + "c" + " " * 900_000,
}


@pytest.mark.parametrize("name", HARD)
def test_no_html_takes_longer_than_its_length(tracker: Tracker, name: str) -> None:
    began = time.thread_time()
    tracker.prepare("<p>" + HARD[name], track=True)
    assert time.thread_time() - began < 3.0  # a megabyte; with the square of it, minutes


def test_thousands_of_links(tracker: Tracker) -> None:
    html = "".join(f'<a href="https://x.example/{number}">a</a>' for number in range(5000))
    made = tracker.prepare(html, track=True)
    assert made.links == tuple(f"https://x.example/{number}" for number in range(5000))
    assert f'"{click(4999)}"' in made.html


def test_a_token_leads_back_to_its_message(tracker: Tracker) -> None:
    token = tracker.token(MESSAGE)
    assert len(token) == len(MARK) == 32
    assert tracker.message_id(token) == MESSAGE
    assert tracker.message_id(tracker.token(MESSAGE.lower())) == MESSAGE
    other = Tracker(load(public_url=PUBLIC), Vault(b"other"))
    assert other.message_id(token) is None
    with pytest.raises(ValueError, match=r"hex|no id"):
        tracker.token("nothing")


@pytest.mark.parametrize("place", range(32))
def test_a_changed_token_is_no_token(tracker: Tracker, place: int) -> None:
    token = tracker.token(MESSAGE)
    for character in "Aa0_-":
        changed = token[:place] + character + token[place + 1 :]
        assert changed == token or tracker.message_id(changed) is None


@pytest.mark.parametrize("text", ["", "a", MARK, "ä" * 32, "\ud800" * 32, "A" * 33, "A" * 1_000_000, "\n" + "A" * 31])
def test_what_is_no_token(tracker: Tracker, text: str) -> None:
    assert tracker.message_id(text) is None


def test_headers_to_unsubscribe(tracker: Tracker) -> None:
    headers = dict(tracker.unsubscribe_headers(MESSAGE))
    page, mailbox = headers["List-Unsubscribe"].split(", ")
    assert page == f"<{PUBLIC}/e/u/{tracker.token(MESSAGE)}>"
    verp = Verp(VAULT, "bounce.house.example", UNSUBSCRIBE)
    assert verp.message_id(mailbox.removeprefix("<mailto:").removesuffix(">")) == MESSAGE
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert unescape(page) == page
