"""`heliograph domains`: keys of sending domains, and what the DNS has of their records."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest

from heliograph.accounts.vault import Vault
from heliograph.commands.base import within
from heliograph.mail import domains, signing
from heliograph.settings import load
from support import program
from support.nameserver import name_server

Run = Callable[..., program.Done]


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of `heliograph domains` on a data folder of its own."""
    shutil.copyfile(sqlite_template, tmp_path / "heliograph.db")
    monkeypatch.setenv("HELIOGRAPH_DATA", str(tmp_path))
    monkeypatch.setenv("HELIOGRAPH_BOUNCE_DOMAIN", "bounce.example.com")
    monkeypatch.setenv("HELIOGRAPH_PUBLIC_URL", "https://mx.example.net:8443/")
    return lambda *words: program.command("domains", *words)


def test_a_domain_is_added_published_checked_and_removed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no sending domains" in run("list").out
    added = run("add", "Bücher.example", "--selector", "key1", "--senders", "mx  ip4:192.0.2.1", "--json")
    name = "xn--bcher-kva.example"
    assert [(one["what"], one["name"], one["type"]) for one in added.value] == [
        ("DKIM", f"key1._domainkey.{name}", "TXT"),
        ("SPF", "bounce.example.com", "TXT"),
        ("DMARC", f"_dmarc.{name}", "TXT"),
        ("bounces", "bounce.example.com", "MX"),
        ("MX", name, "MX"),
    ]
    assert [(row["domain"], row["selector"]) for row in run("list", "--json").value] == [(name, "key1")]
    shown = run("list", "--records", "--senders", "mx ip4:192.0.2.1")
    lines = [line for line in shown.out.splitlines() if " TXT " in line or " MX " in line]
    zone = {(one.split(". ")[0], one.split(" ")[1]): [one.split(" ", 2)[2]] for one in lines}
    assert len(zone) == 5
    with name_server(zone | {("mx.example.net", "A"): ["192.0.2.1"]}) as address:
        monkeypatch.setenv("HELIOGRAPH_DNS", address)
        checked = run("check", "--senders", "mx ip4:192.0.2.1", "--json")
        assert ([one["state"] for one in checked.value], checked.code) == (["right"] * 5, 0)
        signed_by_it(zone[f"key1._domainkey.{name}", "TXT"][0].replace('" "', "").strip('"'))
        assert run("check", "BÜCHER.example", "--senders", "mx include:spf.example.net").code == 1
    assert run("remove", "bücher.example", "--json").value == {"domain": name}
    assert run("list", "--json").value == []
    whats = [(entry["what"], entry["detail"]) for entry in program.command("audit", "--json").value]
    assert {("domain.added", f"{name} key1"), ("domain.removed", name)} <= set(whats)


def signed_by_it(record: str) -> None:
    """The published key fits what the house signs for a domain below."""
    options = load()
    vault = Vault.open(options.secret, options.data)
    key = within(options, lambda tx: domains.key_of(tx, vault, "news.bücher.example"))
    assert key is not None
    signed = signing.sign(b"From: a@news.xn--bcher-kva.example\r\n\r\nhello\r\n", key)
    assert dkim.verify(signed, dnsfunc=lambda name, timeout=5: record.encode())


def test_a_check_says_what_is_wrong_in_words_and_by_its_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("add", "example.com").code == 0
    broken = [
        *("bounce.example.com", "example.com", "_dmarc.example.com"),
        f"{run('list', '--json').value[0]['selector']}._domainkey.example.com",
    ]
    with name_server({("example.com", "MX"): ["0 ."]}) as address:
        monkeypatch.setenv("HELIOGRAPH_DNS", address)
        done = run("check")
        assert done.code == 1
        assert "missing" in done.out
        assert "takes no mail" in done.out
        assert 'bounce.example.com. TXT "v=spf1 mx -all"' in done.out
    with name_server({}, broken=broken) as address:
        monkeypatch.setenv("HELIOGRAPH_DNS", address)
        done = run("check", "example.com", "--json")
        assert ({one["state"] for one in done.value}, done.code) == ({"unanswered"}, 2)
        monkeypatch.setenv("HELIOGRAPH_SECRET", "y" * 40)
        done = run("check")
        assert done.code == 1
        assert "sealed under another secret" in done.err


def test_what_is_wrong_is_said(run: Run) -> None:
    assert run("check").out.strip() == "There are no sending domains."
    run("add", "example.com")
    for words, sentence in {
        ("add", "EXAMPLE.com"): "example.com has a key already.",
        ("add", "no domain"): "'no domain' is no domain.",
        ("add", "example.org", "--selector", "a b"): "A selector has 1 to 63 small letters",
        ("remove", "example.org"): "There is no sending domain 'example.org'.",
        ("check", "example.org"): "There is no sending domain 'example.org'.",
    }.items():
        done = run(*words)
        assert done.code == 1
        assert sentence in " ".join(done.err.split())
