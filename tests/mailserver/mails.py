"""Handing mails in to a running server."""

import contextlib
import itertools
import smtplib
from email.message import EmailMessage
from typing import Any

from heliograph.accounts import consent
from support.server import Api, Running

DOMAIN = "sms.heliograph.localdomain"
_ids = itertools.count(1)


def mail(sender: str, body: str = "Hello", *, subject: str = "", message_id: str = "", **headers: str) -> bytes:
    """Octets of a plain mail."""
    letter = EmailMessage()
    letter["From"] = sender
    letter["To"] = "someone"
    letter["Subject"] = subject
    letter["Message-ID"] = message_id or f"<{next(_ids)}@example.com>"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content(body)
    return letter.as_bytes().replace(b"\n", b"\r\n")


def hand_in(
    server: Running, octets: bytes, *to: str, sender: str = "bounce@example.com", login: tuple[str, str] | None = None
) -> tuple[int, str]:
    """The answer to a mail: of the first recipient that was refused, or to its data."""
    with contextlib.closing(smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=30)) as client:
        client.ehlo()
        if login:
            client.login(*login)
        client.mail(sender)
        for one in to:
            code, text = client.rcpt(one if "@" in one else f"{one}@{DOMAIN}")
            if code != 250:
                return code, text.decode()
        code, text = client.data(octets)
        return code, text.decode()


def own(api: Api) -> str:
    """The address of an account, which needs no click."""
    return f"{api.username}@example.com"


def allow(api: Api, address: str = "", **more: Any) -> int:
    """Allow an address; its id."""
    return int(api.post("/sms/email-sms", {"email_address": address or own(api), **more})["email_address_id"])


def agree(api: Api, address: str) -> None:
    """The owner of an address has agreed."""
    values = (api.user_id, consent.SENDING.mark + address, 1, 1)
    sql = "INSERT INTO mail_consents (user_id, address, asked_at, confirmed_at) VALUES (?, ?, ?, ?)"
    drop = "DELETE FROM mail_consents WHERE user_id = ? AND address = ?"

    def work(tx: Any) -> None:
        tx.driver(drop, values[:2])
        tx.driver(sql, values)

    api.server.write(work)


def sent(api: Api) -> list[dict[str, Any]]:
    """The SMS of an account, the oldest first."""
    return sorted(api.get("/sms/history?limit=100")["data"], key=lambda row: str(row["message_id"]))
