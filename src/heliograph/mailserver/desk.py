"""Where mail that arrives goes: a table of desks, each with recipients that are its own.

A desk says at RCPT whether it takes a recipient, and at DATA it stores what came. The server says 250 only after that,
so that nothing that was acknowledged is lost. All recipients of one mail are of one desk: the answer to DATA is one
answer. A sender is told to send again for the others (452, RFC 5321, 4.5.3.1.10), as every mail server does.
"""

from collections.abc import Collection
from typing import Protocol

import msgspec

from heliograph.accounts.account import Principal


class Refusal(Exception):
    """An answer of SMTP that is no yes: code and text, with the enhanced code of RFC 3463."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


class Recipient(msgspec.Struct, frozen=True):
    """Whom a mail is for. `domain` is in small letters; `local` is as it came, of which capitals may mean nothing."""

    local: str
    domain: str

    @classmethod
    def of(cls, address: str) -> "Recipient":
        """Of an address as RCPT has it."""
        local, _, domain = address.rpartition("@")
        return cls(local.strip('"'), domain.lower().rstrip("."))

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class Visit(msgspec.Struct, kw_only=True):
    """What is known of a session, and of the sender of the mail that it hands in.

    `peer` is an IP address, `helo` what it calls itself. `login` is who logged in, None: nobody. `sender` is that of
    the envelope, "" for the null sender of bounces and other notices (RFC 5321, 4.5.5).
    """

    peer: str
    helo: str
    login: Principal | None = None
    tls: bool = False
    sender: str = ""


class Arrived(msgspec.Struct, kw_only=True):
    """A mail: its recipients, all of one desk, and its octets, with CRLF at the end of each line."""

    visit: Visit
    recipients: tuple[Recipient, ...]
    octets: bytes


class Desk(Protocol):
    """Takes mails for recipients of its own."""

    @property
    def domains(self) -> Collection[str]:
        """The domains of its recipients, in small letters. Nothing is relayed: mail for other domains is refused."""
        ...

    async def knows(self, visit: Visit, recipient: Recipient) -> bool:
        """Whether a recipient in one of its domains is one of its own.

        Raises Refusal for one of its own that it does not take now, or not from this sender. Raises Unavailable.
        """
        ...

    async def take(self, arrived: Arrived) -> str:
        """Store a mail so that it is not lost any more; what to say after "250". Raises Refusal, Unavailable.

        Who takes null senders must answer nothing to anybody.
        """
        ...
