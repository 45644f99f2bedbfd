"""Postfix as relay: mails go out by our transport, and its real reports are understood."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from heliograph.accounts.vault import Vault
from heliograph.ids import new_ids
from heliograph.mail import feedback
from heliograph.mail.feedback import DELAYED, FAILED
from heliograph.mail.verp import Verp
from heliograph.transports.base import Outgoing, Sent
from interop.postfixes import SUPERUSER_ONLY, Postfix, postfix
from transports.conformance import run
from transports.ports import free_port
from transports.relay import Relay, a_mail, one, serving, transport

pytestmark = pytest.mark.slow

VERP = Verp(Vault(b"a secret of this test"), "bounce.example.org")
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
def relaying(program: str, **settings: str) -> Iterator[tuple[Postfix, int]]:
    """(a Postfix, the port that it hands its mails to)."""
    sink = free_port()
    with postfix(program, sink, **settings) as relay:
        yield relay, sink


def mail(message_id: str, recipient: str) -> Outgoing:
    """A mail whose bounces come to the address of its message."""
    return a_mail(to=recipient, key=message_id, envelope_sender=VERP.address(message_id))


def test_reports_of_postfix_lead_to_their_message_and_say_what_happened(program: str) -> None:
    with relaying(program, delay_warning_time="10s") as (relay, sink):
        run(scenario(relay, sink))


async def scenario(relay: Postfix, sink: int) -> None:
    destination = Relay()
    destination.answers = dict(SAYS)
    recipients = dict(zip(new_ids(len(REPORTS), 1_790_000_000.0), REPORTS, strict=True))
    expected = 1 + sum(map(len, REPORTS.values()))
    async with serving(destination, port=sink), transport(relay.port) as smtp:
        for message_id, recipient in recipients.items():
            assert isinstance(await one(smtp, mail(message_id, recipient)), Sent)
        async with asyncio.timeout(PATIENCE):
            while len(destination.mails) < expected:  # noqa: ASYNC110 - Postfix announces nothing
                await asyncio.sleep(0.05)
    found: dict[str, list[tuple[str, str, bool]]] = {recipient: [] for recipient in REPORTS}
    for octets, envelope in zip(destination.mails, destination.envelopes, strict=True):
        (came_to,) = envelope.rcpt_tos
        if came_to == "good@customers.example":
            assert VERP.message_id(envelope.mail_from or "")
            continue
        assert envelope.mail_from == "<>"  # as aiosmtpd gives the null path
        said = feedback.read(octets)
        message_id = VERP.message_id(came_to)
        assert message_id is not None
        assert said.recipient == recipients[message_id]
        assert VERP.message_id(said.original.envelope_sender) == message_id
        found[said.recipient].append((said.kind, said.status, said.dead))
    assert found == REPORTS
