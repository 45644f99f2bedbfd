"""Signatures of events by the Standard Webhooks specification 1.0.0, symmetric scheme (v1). Knows no URLs."""

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
KEY_BYTES = 32
"""The specification asks for 24 to 64 bytes."""


def new_secret() -> str:
    """A random secret of an account, as its owner pastes it into the receiver's settings."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def headers(secret: str, event_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers that let a receiver tell who sent an event, when, and that nobody changed it.

    `secret` is "whsec_" and base64; `at` is the time of this try in Unix seconds; `body` are the exact bytes that are
    sent. The event id is the same in every try, so that a receiver can drop doubles. Raises ValueError for a secret
    that is no base64, or without the prefix.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"A webhook secret starts with {PREFIX}.")
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    digest = hmac.digest(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
