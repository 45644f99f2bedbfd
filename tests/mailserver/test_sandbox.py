"""A sandbox: mails to the house come back in, and `heliograph mail send` hands one in."""

import json
from pathlib import Path

import pytest

from heliograph.cli import main
from heliograph.queue import mail
from mailserver.mails import DOMAIN, allow, hand_in, own, sent
from mailserver.mails import mail as octets
from support.server import ONE_DATABASE, Api, Running

TO = "+61491570156"


def command(capsys: pytest.CaptureFixture[str], server: Running, *words: str) -> tuple[str, str]:
    """What a command prints: its answer, and what it complains of."""
    try:
        main([*words, "--data", str(server.options.data)])
    except SystemExit as end:
        assert end.code in (0, 1)  # noqa: PT017 - it is how a command ends
    found = capsys.readouterr()
    return found.out.strip(), found.err.strip().splitlines()[-1] if found.err.strip() else ""


@ONE_DATABASE
def test_a_mail_that_is_handed_in(
    server: Running, api: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    allow(api)
    said, _ = command(capsys, server, "mail", "send", own(api), f"{TO}@{DOMAIN}", "Grüße", "--subject", "x")
    assert said == "250 2.0.0 1 SMS of 1"
    whole = tmp_path / "mail.eml"
    whole.write_bytes(octets(own(api), "From a file"))
    told, _ = command(capsys, server, "mail", "send", own(api), f"{TO}@{DOMAIN}", "--raw", str(whole), "--json")
    assert json.loads(told) == {"answer": "250 2.0.0 1 SMS of 1"}
    assert [row["body"] for row in sent(api)] == ["Grüße", "From a file"]
    _, why = command(capsys, server, "mail", "send", "x@example.org", f"{TO}@{DOMAIN}")
    assert "550 5.7.1 Mail from this address does not become SMS here" in why
    _, why = command(capsys, server, "mail", "send", "x@example.org", "x@elsewhere.example")
    assert "550 5.7.1 Mail for this domain is not taken here" in why


def test_no_server_no_mail(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["mail", "send", "a@b.c", "1@d.e", "--data", str(tmp_path)])
    assert "No mail server listens for this data folder" in capsys.readouterr().err


@ONE_DATABASE
def test_mails_to_the_house_come_back_in(server: Running, api: Api) -> None:
    allow(api)
    to = f"{TO}@{DOMAIN}"
    server.write(lambda tx: mail.enqueue(tx, own(api), to, "s", "Back in"))
    api.until(lambda: server.mails(to))
    # the house writes by itself, so that this is an automatic mail
    assert sent(api) == []


@ONE_DATABASE
def test_what_a_person_writes_through_the_sink_becomes_an_sms(server: Running, api: Api) -> None:
    allow(api)
    (carrier,) = (one for name, one in server.house.router.transports.items() if name.endswith("email"))
    port = carrier._options.port  # type: ignore[attr-defined]
    found = server.smtp_port
    server.smtp_port = port
    try:
        assert hand_in(server, octets(own(api), "Through the sink"), f"{TO}@{DOMAIN}")[0] == 250
    finally:
        server.smtp_port = found
    assert [row["body"] for row in api.until(lambda: sent(api))] == ["Through the sink"]


@ONE_DATABASE
def test_the_demo_account_sends_at_once(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    said, _ = command(capsys, server, "mail", "send", "demo@example.com", f"61491570156@{DOMAIN}", "For a try")
    assert said == "250 2.0.0 1 SMS of 1"
