"""What mails say: as programs of people write them, and as nobody does."""

import contextlib
import time
from collections.abc import Callable

import pytest

from heliograph.mailserver import letter, words
from heliograph.mailserver.desk import Refusal
from mailserver.written import MAILS
from support import growth


@pytest.mark.parametrize(("octets", "text"), [one[1:] for one in MAILS], ids=[one[0] for one in MAILS])
def test_the_text_that_a_person_wrote(octets: bytes, text: str) -> None:
    found = letter.read(octets)
    assert words.written(found.text) == text
    assert (found.sender, found.message_id) == ("jane@example.com", "<x@mail.example>")
    assert letter.head(octets) == letter.Head("jane@example.com", "")


def test_subjects_are_decoded() -> None:
    subjects = {name: letter.read(octets).subject for name, octets, _ in MAILS}
    assert subjects["Exchange, with a file"] == "Re: Schön"
    assert subjects["iPhone, Japanese"] == "件名"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("Hi\nOn Mon, Nov 30, 2026 at 9:12 AM Bob Long\n<bob@example.com> wrote:\n> old", "Hi"),
        ("Hi\n\nPå 30. nov. 2026 kl. 09:12 skrev Bob:\n> gammel", "Hi"),
        ("Shopping:\n> milk", "Shopping:"),
        ("Agenda:\n- one\n- two", "Agenda:\n- one\n- two"),
        ("Take the 10:15 train: it is faster", "Take the 10:15 train: it is faster"),
        ("Hinweis: Tor 4 ist zu", "Hinweis: Tor 4 ist zu"),
        ("-----Original Message-----\nFrom: a\nSent: b\nold", ""),
        ("> all\n> of it", ""),
        ("", ""),
        ("One\u200b\u00ad\ufeff two\u00a0three\r\n\r\n\r\n\r\nfour", "One two three\n\nfour"),
        ("a" * 9000, "a" * 6000),
        ("first\n" + "long " * 100 + "\n-- \nme", "first\n" + ("long " * 100).strip()),
        ("\ue0000\ue001 is no mark", "0 is no mark"),
    ],
)
def test_what_is_new(text: str, new: str) -> None:
    assert words.written(text) == new


def test_strings_are_cut_out_wherever_they_stand() -> None:
    assert words.stripped("A ~~X~~ b ~~x~~\n\n\n~~X~~c (.*)", ["~~x~~", "", "  ", "(.*)"]) == "A b\n\nc"
    assert words.stripped("abab" * 3, ["ab", "ba"]) == ""
    assert words.stripped("İÄ x iä y", ["iÄ"]) == "İÄ x y"
    rules = ["a" * 499 + "b"] * 100
    assert growth.work(lambda text: words.stripped(text, rules), "a" * 6000, 1) < 0.5


BLOCK = {
    "blanks": " ",
    "lines": "\n",
    "On": "On ",
    "Am": "Am ",
    "schrieb": "Am 1 schrieb ",
    "Le": "Le a écrit ",
    "From": "From: ",
    "header lines": "From: a\nSent: b\n",
    "underscores": "_",
    "hyphens": "-",
    "signatures": "\n \n-- x",
    "quotes": "> ",
    "phones": "Sent from my ",
    "Japanese": "2026年11月30日(月) 10:00 ",
    "no width": "\u200b ",
}


@pytest.mark.parametrize("block", BLOCK.values(), ids=BLOCK)
def test_no_text_takes_long(block: str) -> None:
    assert growth.work(words.written, block * 100_000, 1) < 0.3


def mime(kind: str) -> bytes:
    return f"From: a@example.com\r\nContent-Type: {kind}\r\n\r\n".encode()


MADE: dict[str, Callable[[int], bytes]] = {
    "lines": lambda size: mime("text/plain") + b"\r\n" * size,
    "a long line": lambda size: mime("text/plain") + b"x" * size,
    "headers": lambda size: b"From: a@example.com\r\n" + b"a: b\r\n" * (size // 6) + b"\r\n",
    "one long header": lambda size: (
        b"From: a@example.com\r\nSubject: " + b"=?utf-8?q?x?= " * (size // 14) + b"\r\n\r\n"
    ),
    "a folded header": lambda size: b"From: a@example.com\r\nSubject: x" + b"\r\n x" * (size // 4) + b"\r\n\r\n",
    "boundaries": lambda size: mime("multipart/mixed; boundary=x") + b"--x\r\n\r\n" * (size // 7),
    "HTML": lambda size: mime("text/html") + b"<div>" * (size // 5),
    "tables": lambda size: mime("text/html") + b"<table><tr><td>x" * (size // 16),
    "comments": lambda size: mime("text/html") + b"<!--" * (size // 4),
    "base64": lambda size: mime("text/plain\r\nContent-Transfer-Encoding: base64") + b"QUFB\r\n" * (size // 6),
    "quoted-printable": lambda size: (
        mime("text/plain\r\nContent-Transfer-Encoding: quoted-printable") + b"=41" * (size // 3)
    ),
    "uuencode": lambda size: (
        mime("text/plain\r\nContent-Transfer-Encoding: x-uuencode") + b"begin 1 x\r\n" * (size // 11)
    ),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_no_mail_takes_long(make: Callable[[int], bytes]) -> None:
    """A megabyte, taken apart or refused."""

    def read(octets: bytes) -> None:
        with contextlib.suppress(Refusal):
            letter.head(octets)
            words.written(letter.read(octets).text)

    assert growth.work(read, make(1_000_000), 1) < 3


def test_nested_parts_are_bounded() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(99))
    begun = time.thread_time()
    with pytest.raises(Refusal, match="5\\.3\\.4"):
        letter.read(b"From: a@example.com\r\n" + deep + b"\r\n" * 1_000_000)
    assert time.thread_time() - begun < 1
    assert letter.read(b"From: a@example.com\r\n" + deep + b"\r\n" * 50_000).text == ""
