"""Postfix as relay: mails of the API go out signed, and its real reports come back to the house as receipts."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from heliograph.mail import domains
from interop.postfixes import SUPERUSER_ONLY, Postfix, postfix
from support import installed, opendkim
from support.emails import SENDER, a_mail
from support.program import peers, until
from support.server import Api, Running
from transports.ports import free_port
from transports.relay import Relay, serving

pytestmark = pytest.mark.slow

PATIENCE = 100.0
BOUNCES = "bounce.heliograph.localdomain"
SAYS = {
    "nobody@customers.example": "550 5.1.1 <nobody@customers.example>: Recipient address rejected: User unknown",
    "plain@customers.example": "550 No such user here",
    "full@customers.example": "552 5.2.2 Mailbox full",
    "blocked@customers.example": "550 5.7.1 Rejected by policy",
    "off@customers.example": "450 4.2.0 Greylisted",
}
REPORTS: dict[str, list[tuple[str, str | None]]] = {
    "nobody@customers.example": [("301", "5.1.1")],
    "plain@customers.example": [("301", "5.0.0")],
    "full@customers.example": [("301", "5.2.2")],
    "blocked@customers.example": [("301", "5.7.1")],
    "off@customers.example": [("300", "4.2.0"), ("301", "4.2.0")],
    "good@customers.example": [],
}
"""Recipient -> the receipts that come of the reports about it: status_code, error_code."""
DEAD = {"nobody@customers.example", "plain@customers.example"}


@pytest.fixture
def program() -> str:
    path = installed.program("postfix")
    if os.geteuid() != 0:
        pytest.skip(SUPERUSER_ONLY)
    return path


@contextmanager
def relaying(program: str, bounces: int) -> Iterator[tuple[Postfix, Relay]]:
    """A Postfix, and the host that it hands everything to, but for bounces: these go to a port of the house."""
    destination, sink = Relay(), free_port()
    destination.answers = dict(SAYS)
    back = f"inline:{{{BOUNCES}=smtp:[127.0.0.1]:{bounces}}}"
    with postfix(program, sink, delay_warning_time="10s", transport_maps=back) as relay, peers() as among:
        listening = serving(destination, port=sink)
        among.do(listening.__aenter__())
        try:
            yield relay, destination
        finally:
            among.do(listening.__aexit__(None, None, None))


@contextmanager
def serving_through(relay: Postfix, data: Path, bounces: int) -> Iterator[Running]:
    """A server whose mails go by a relay, and whose mail server listens on the port for bounces."""
    data.mkdir()
    (data / "heliograph.toml").write_text(
        f'[transports.relay]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {relay.port}\nhelo = "test.local"\n'
        '[[routes]]\ntransport = "relay"\nchannel = "email"\n'
    )
    running = Running(data, smtp_port=str(bounces), bounce_domain=BOUNCES)
    try:
        yield running
    finally:
        running.close_clients()
        running.stop()


def with_files(api: Api) -> dict[str, Any]:
    """A mail to everybody in REPORTS, with a picture in its HTML and an attachment."""
    files = [
        {"filename": "logo.png", "type": "image/png", "disposition": "inline", "content_id": "logo", "content": PNG},
        {"filename": "Preise.txt", "type": "text/plain", "disposition": "attachment", "content": TEXT},
    ]
    encoded = [file | {"content": base64.b64encode(file["content"]).decode()} for file in files]  # type: ignore[arg-type, operator]
    people = [{"email": name} for name in REPORTS]
    body = '<p>Grüße <img src="cid:logo"></p>\n.\n<p>' + "lang " * 400 + "</p>"
    return a_mail(api, to=people, subject="Grüße", body=body, attachments=encoded)


PNG, TEXT = b"\x89PNG\r\n\x1a\n\0\xff" * 500, "Fünf\n.\n..\n".encode()


def test_a_mail_of_the_api_arrives_signed_and_its_bounces_become_receipts(program: str, tmp_path: Path) -> None:
    installed.program("opendkim")
    bounces = free_port()
    with (
        relaying(program, bounces) as (relay, destination),
        serving_through(relay, tmp_path / "data", bounces) as server,
    ):
        key = domains.new_key()
        row = server.write(lambda tx: domains.add(tx, server.house.vault, SENDER.partition("@")[2], "hg", key))
        api = server.account()
        api.post("/automations/email/receipts", {"rule_name": "all", "action": "POLL", "action_address": ""})
        send_id = api.post("/email/send", with_files(api))["message_id"]
        until(lambda: destination.mails and reported(api) == REPORTS, PATIENCE, relay.log[-2000:])
        arrives_whole_and_signed(destination, dict([domains.published(row)]), tmp_path)
        (entry,) = api.get(f"/email/history?q=message_id:{send_id}")["data"]
        assert (entry["status"], entry["soft_bounce_count"], entry["hard_bounce_count"]) == ("Sent", 1, 5)
        assert {one["email_address"] for one in api.get("/email/suppressions")["data"]} == DEAD


def arrives_whole_and_signed(destination: Relay, records: dict[str, str], folder: Path) -> None:
    recipients = [envelope.rcpt_tos for envelope in destination.envelopes]
    octets = destination.mails[recipients.index(["good@customers.example"])]
    assert octets.startswith(b"Received: "), "Postfix has had it"
    assert opendkim.says(octets, records, folder) == "good"
    assert opendkim.says(octets.replace(b"lang", b"kurz"), records, folder) == "bad"
    mail = message_from_bytes(octets, _class=EmailMessage, policy=default)
    assert (str(mail["From"]), str(mail["Subject"])) == (f"Ann <{SENDER}>", "Grüße")
    (picture,) = [part for part in mail.walk() if part["Content-ID"]]
    assert (str(picture["Content-ID"]), picture.get_content()) == ("<logo>", PNG)
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_payload(decode=True)) == ("Preise.txt", TEXT)


def reported(api: Api) -> dict[str, list[tuple[str, str | None]]]:
    """The receipts beside those of the relay's own 250, by recipient."""
    found: dict[str, list[tuple[str, str | None]]] = {recipient: [] for recipient in REPORTS}
    for receipt in api.get("/email/receipts?limit=100")["data"]:
        if receipt["status_code"] != "201":
            found[receipt["to"]].append((receipt["status_code"], receipt["error_code"]))
    return {recipient: sorted(told) for recipient, told in found.items()}
