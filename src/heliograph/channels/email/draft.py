"""A mail to one recipient, as the life of a message takes it."""

from typing import Any

from heliograph.errors import Status
from heliograph.mailaddress import in_ascii, small
from heliograph.messaging.channel import Charge, Draft

NAME = "email"

TEST_ADDRESSES = frozenset({"test1@test.com", "test2@test.com", "test3@test.com"})
"""Free, and never sent (api-v3, "Test Email Addresses")."""

CHARGES = (Charge("recipient", 1),)


def draft(
    recipient: str, sender: str, subject: str, schedule: int, custom_string: str | None, details: dict[str, Any]
) -> Draft:
    """A draft. `schedule` is in Unix seconds, 0: now. The body of the message is the subject: what is sent is stored
    once for all recipients.
    """
    address = in_ascii(recipient)
    free = address is not None and small(address) in TEST_ADDRESSES
    return Draft(
        recipient=address or recipient,
        sender=sender,
        body=subject,
        charges=() if free else CHARGES,
        awaits=0,
        schedule=schedule,
        custom_string=custom_string or "",
        free=free,
        details=details,
        refusal=None if address else Status.INVALID_RECIPIENT,
    )
