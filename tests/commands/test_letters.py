"""`heliograph mail show`: a mail of the built-in carrier, taken apart."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from heliograph.accounts.vault import Vault
from heliograph.commands import letters
from heliograph.commands.base import within
from heliograph.mail import domains
from heliograph.mail.letter import Enclosed, Letter, Person, written
from heliograph.mail.signing import sign
from heliograph.process import Problem
from heliograph.settings import load
from heliograph.transports.sandbox.mailsink import mail_folder
from support import program

Run = Callable[..., program.Done]
ID = "0123456789ab"
PNG = b"\x89PNG\0\r\n\xff"
NAME = "key1._domainkey.example.com"


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `heliograph mail show` on a data folder of its own, which holds the key of example.com."""
    shutil.copyfile(sqlite_template, tmp_path / "heliograph.db")
    monkeypatch.setenv("HELIOGRAPH_DATA", str(tmp_path))
    program.command("domains", "add", "example.com", "--selector", "key1")
    return lambda *words: program.command("mail", "show", *words)


def keep(folder: Path, octets: bytes) -> bytes:
    """Put a mail where the built-in carrier has it, with its envelope; the octets there."""
    mail_folder(folder).mkdir(exist_ok=True)
    whole = b"Return-Path: <b+1@example.com>\r\nDelivered-To: jane@example.net\r\n" + octets
    (mail_folder(folder) / f"20261130T120000.000000Z-{ID}.eml").write_bytes(whole)
    return whole


def letter(**other: str) -> bytes:
    made = Letter(
        sender=Person("ann@example.com", "Ann"),
        to=(Person("jane@example.net"),),
        subject=other.get("subject", "Grüße"),
        text="Good day",
        html='<p>Look: <a href="https://a.example/1">here</a> <img src="cid:x"></p>',
        files=(Enclosed("logo.png", "image/png", PNG, "x"), Enclosed("a.txt", "text/plain", b"Attached")),
        message_id="1",
        date=1_790_000_000,
    )
    return written(made, "").octets


def signed(octets: bytes) -> bytes:
    options = load()
    vault = Vault.open(options.secret, options.data)
    key = within(options, lambda tx: domains.key_of(tx, vault, "example.com"))
    assert key is not None
    return sign(octets, key)


def test_headers_parts_links_and_the_signature_are_shown(run: Run, tmp_path: Path) -> None:
    keep(tmp_path, signed(letter()))
    shown = run(ID)
    assert (shown.code, shown.err) == (0, "")
    heads, parts, links, dkim = shown.out.split("\n\n")
    assert heads.startswith("Headers\n  Return-Path: <b+1@example.com>\n  Delivered-To: jane@example.net\n")
    assert "\n  Subject: Grüße\n" in heads
    assert [line.split() for line in parts.splitlines()[1:]] == [
        ["1", "multipart/mixed"],
        ["2", "multipart/alternative"],
        ["3", "text/plain", "10", "bytes"],
        ["4", "multipart/related"],
        ["5", "text/html", "71", "bytes"],
        ["6", "image/png", "inline", "logo.png", "cid:x", "8", "bytes"],
        ["7", "text/plain", "attachment", "a.txt", "8", "bytes"],
    ]
    assert links == "Links\n  a     https://a.example/1\n  img   cid:x"
    assert dkim == f"DKIM\n  good ({NAME})\n"
    told = run(ID, "--json").value
    assert told["dkim"] == [{"key": NAME, "state": "good", "why": ""}]
    assert ["Subject", "Grüße"] in told["headers"]
    assert [part["octets"] for part in told["parts"]][-2:] == [8, 8]
    assert told["links"][0] == {"element": "a", "url": "https://a.example/1"}


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (letter, "no signature"),
        (lambda: signed(letter()).replace(b"Good day", b"Bad day"), f"bad: the body was changed ({NAME})"),
        (
            lambda: signed(letter()).replace(b"s=key1", b"s=key2"),
            "unknown: the house has no such key (key2._domainkey.example.com)",
        ),
    ],
)
def test_the_verdict_says_what_is_wrong(run: Run, tmp_path: Path, made: Callable[[], bytes], verdict: str) -> None:
    keep(tmp_path, made())
    assert run(ID).out.endswith(f"\n\nDKIM\n  {verdict}\n")


def test_the_mail_and_its_parts_come_out_octet_by_octet(run: Run, tmp_path: Path) -> None:
    whole = keep(tmp_path, letter())
    assert run(ID, "--raw").out.encode("utf-8", "surrogateescape") == whole
    assert run(ID, "--part", "6").out.encode("utf-8", "surrogateescape") == PNG
    for words, octets in ((["--raw"], whole), (["--part", "6"], PNG), (["--part", "7"], b"Attached")):
        file = tmp_path / "out"
        assert run(ID, *words, "--out", str(file)).out == ""
        assert file.read_bytes() == octets


class Terminal(io.TextIOWrapper):
    """Standard output as a terminal has it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_texts_without_orders(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, b"Subject: x\r\n\r\nred: \x1b[31m\r\nend\r\n")
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(written, "utf-8", write_through=True))
    letters.show_mail(ID, part=1)
    assert written.getvalue().decode().rstrip() == "red: \ufffd[31m\nend"
    keep(tmp_path, letter())
    with pytest.raises(Problem, match="Name a file for it with --out"):
        letters.show_mail(ID, part=6)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing"], "There is no mail 'nothing'."),
        (["../../heliograph.db"], "There is no mail '../../heliograph.db'."),
        ([ID, "--part", "0"], "The mail has no part 0: they are 1 to 7."),
        ([ID, "--part", "8"], "The mail has no part 8: they are 1 to 7."),
        ([ID, "--part", "1"], "Part 1 holds nothing but other parts."),
        ([ID, "--raw", "--out", "/nowhere/x"], "/nowhere/x"),
    ],
)
def test_what_is_not_there_is_one_sentence(run: Run, tmp_path: Path, words: list[str], why: str) -> None:
    assert run(ID).code == 1, "there is no folder yet"
    keep(tmp_path, letter())
    done = run(*words)
    assert (done.code, done.out) == (1, "")
    assert why in done.err
    assert len(done.err.splitlines()) == 1


def test_parts_within_parts_without_end_are_told_as_such(run: Run, tmp_path: Path) -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(2000))
    keep(tmp_path, deep)
    assert "too deep" in run(ID).err
    assert deep.decode() in run(ID, "--raw").out
