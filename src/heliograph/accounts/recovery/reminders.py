"""Mails with forgotten usernames and keys for new passwords. A job writes them, so that a request takes as long for an
unknown name as for a known one, and nothing can be learnt from the time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from heliograph import audit
from heliograph.accounts.recovery import access, tokens
from heliograph.accounts.recovery.access import Login
from heliograph.accounts.vault import Vault
from heliograph.db.engine import Tx
from heliograph.queue import jobs, mail
from heliograph.settings import Settings

JOB = "reminder"

Found = Login | Sequence[Mapping[str, Any]] | None
"""The login with a name, or the rows of the users with an address or a number (there may be none)."""


def ask_username(tx: Tx, email: str, phone: str) -> None:
    """Queue a mail with the usernames of those who have this address or this number. There may be none."""
    jobs.enqueue(tx, JOB, {"email": email, "phone": phone})


def ask_password(tx: Tx, username: str) -> None:
    """Queue a mail with a key for a new password to the login with this name. There may be none."""
    jobs.enqueue(tx, JOB, {"username": username})


def find(tx: Tx, asked: Mapping[str, Any]) -> Found:
    """The users that a job's payload asks for."""
    if "username" in asked:
        return access.login(tx, asked["username"])
    return access.named(tx, asked["email"], asked["phone"])


def write(tx: Tx, vault: Vault, settings: Settings, found: Found) -> None:
    """Write the mails to the users that were found."""
    if isinstance(found, Login):
        _send_key(tx, vault, settings, found)
    elif found:
        _send_names(tx, vault, settings, found)


def _send_names(tx: Tx, vault: Vault, settings: Settings, rows: Sequence[Mapping[str, Any]]) -> None:
    names: dict[tuple[int, str], list[str]] = {}
    for row in rows:
        names.setdefault((row["user_id"], row["email"]), []).append(row["api_username"])
    for (user_id, address), known in names.items():
        if address and tokens.issue(tx, vault, user_id, tokens.USERNAME, settings) is not None:
            text = (
                "Somebody, we hope you, asked for the username of your account."
                f" If it was not you, do nothing.\n\n{chr(10).join(known)}\n"
            )
            mail.enqueue(tx, settings.mail_from, address, "Your username", text)
            audit.record(tx, user_id, "forgot-username", "username.reminded", address)


def _send_key(tx: Tx, vault: Vault, settings: Settings, login: Login) -> None:
    if not login.email:
        return  # the account that the server itself sends from
    key = tokens.issue(tx, vault, login.user_id, tokens.PASSWORD, settings, str(login.subaccount_id))
    if key is None:
        return
    text = (
        f"Somebody, we hope you, asked for a new password for {login.name}. If it was not you, do nothing.\n\n"
        f"subaccount_id:    {login.subaccount_id}\n"
        f"activation_token: {key}\n\n"
        # Not the Host of the request, which a stranger can choose, but the server's own address.
        f"Send both with the new password to PUT {settings.public_url.rstrip('/')}/v3/forgot-password/verify"
        f" within {tokens.LIFE[tokens.PASSWORD] // 60} minutes. The key works once.\n"
    )
    mail.enqueue(tx, settings.mail_from, login.email, "A new password for your account", text)
    audit.record(tx, login.user_id, "forgot-password", "password.key_sent", f"{login.name}, {login.email}")
