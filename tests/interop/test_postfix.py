"""Postfix as relay: mails of the API go out signed, and its real reports lead back to their messages."""

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from heliograph.mail import domains, feedback
from heliograph.mail.feedback import DELAYED, FAILED
from heliograph.mail.verp import Verp
from interop.postfixes import SUPERUSER_ONLY, Postfix, postfix
from support import opendkim
from support.emails import SENDER, a_mail
from support.program import peers, until
from support.server import Api, Running
from transports.ports import free_port
from transports.relay import Relay, serving

pytestmark = pytest.mark.slow

PATIENCE = 100.0
SAYS = {
    "nobody@customers.example": "550 5.1.1 <nobody@customers.example>: Recipient address rejected: User unknown",
    "plain@customers.example": "550 No such user here",
    "full@customers.example": "552 5.2.2 Mailbox full",
    "blocked@customers.example": "550 5.7.1 Rejected by policy",
    "off@customers.example": "450 4.2.0 Greylisted",
}
REPORTS = {
    "nobody@customers.example": [(FAILED, "5.1.1", True)],
    "plain@customers.example": [(FAILED, "5.0.0", True)],
    "full@customers.example": [(FAILED, "5.2.2", False)],
    "blocked@customers.example": [(FAILED, "5.7.1", False)],
    "off@customers.example": [(DELAYED, "4.2.0", False), (FAILED, "4.2.0", False)],
    "good@customers.example": [],
}
"""Recipient -> what the reports about it say: kind, status, whether the address is dead."""


@pytest.fixture
def program(require: Callable[[str], str]) -> str:
    path = require("postfix")
    if os.geteuid() != 0:
        pytest.fail(SUPERUSER_ONLY) if os.environ.get("CI") == "true" else pytest.skip(SUPERUSER_ONLY)
    return path


@contextmanager
def relaying(program: str) -> Iterator[tuple[Postfix, Relay]]:
    """A Postfix, and the host that it hands everything to."""
    destination, sink = Relay(), free_port()
    destination.answers = dict(SAYS)
    with postfix(program, sink, delay_warning_time="10s") as relay, peers() as among:
        listening = serving(destination, port=sink)
        among.do(listening.__aenter__())
        try:
            yield relay, destination
        finally:
            among.do(listening.__aexit__(None, None, None))


@contextmanager
def serving_through(relay: Postfix, data: Path) -> Iterator[Running]:
    """A server whose mails go by a relay."""
    data.mkdir()
    (data / "heliograph.toml").write_text(
        f'[transports.relay]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {relay.port}\nhelo = "test.local"\n'
        '[[routes]]\ntransport = "relay"\nchannel = "email"\n'
    )
    running = Running(data)
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


def test_a_mail_of_the_api_arrives_signed_and_its_bounces_lead_to_their_messages(program: str, tmp_path: Path) -> None:
    opendkim.program()
    with relaying(program) as (relay, destination), serving_through(relay, tmp_path / "data") as server:
        key = domains.new_key()
        row = server.write(lambda tx: domains.add(tx, server.house.vault, SENDER.partition("@")[2], "hg", key))
        api = server.account()
        send_id = api.post("/email/send", with_files(api))["message_id"]
        sent = until(lambda: all_sent(server, api, send_id))
        expected = 1 + sum(map(len, REPORTS.values()))
        until(lambda: len(destination.mails) >= expected, PATIENCE, relay.log[-2000:])
        arrives_whole_and_signed(destination, dict([domains.published(row)]), tmp_path)
        verp = Verp(server.house.vault, server.options.bounce_domain)
    assert reported(destination, verp, sent) == REPORTS


def all_sent(server: Running, api: Api, send_id: str) -> dict[str, str]:
    """Message id -> recipient of a send, when the relay has taken the mails of all; until then nothing."""
    sql = "SELECT message_id, recipient, status FROM messages WHERE user_id = ? AND details LIKE ?"
    rows = server.read(lambda tx: tx.driver(sql, [api.user_id, f"%{send_id}%"]).fetchall())
    return {row[0]: row[1] for row in rows} if {row[2] for row in rows} == {"Sent"} else {}


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


def reported(destination: Relay, verp: Verp, sent: dict[str, str]) -> dict[str, list[tuple[str, str, bool]]]:
    """What the reports say that came, by recipient."""
    found: dict[str, list[tuple[str, str, bool]]] = {recipient: [] for recipient in REPORTS}
    for octets, envelope in zip(destination.mails, destination.envelopes, strict=True):
        (came_to,) = envelope.rcpt_tos
        if came_to == "good@customers.example":
            assert sent[verp.message_id(envelope.mail_from or "") or ""] == came_to
            continue
        assert envelope.mail_from == "<>"  # as aiosmtpd gives the null path
        said = feedback.read(octets)
        message_id = verp.message_id(came_to)
        assert message_id is not None
        assert said.recipient == sent[message_id]
        assert verp.message_id(said.original.envelope_sender) == message_id
        found[said.recipient].append((said.kind, said.status, said.dead))
    return found
