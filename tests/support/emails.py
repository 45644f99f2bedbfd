"""Verified addresses to send mails from, and the mails that came of it."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from heliograph.db.engine import Tx
from heliograph.mail.addresses import address
from heliograph.transports.sandbox.mailsink import mail_folder
from support.server import Api

SENDER = "ann@sender.example"


def sender(api: Api, text: str = SENDER) -> int:
    """The id of a verified address of the account."""

    def work(tx: Tx) -> int:
        made = address.create(tx, api.user_id, text)
        tx.driver("UPDATE email_addresses SET verified = 1 WHERE email_address_id = ?", [made.email_address_id])
        return made.email_address_id

    return int(api.server.write(work))


def a_mail(api: Api, **other: Any) -> dict[str, Any]:
    """The body of a send."""
    usual = {"to": [{"email": f"jane@{api.username}.example", "name": "Jane"}], "subject": "Hello", "body": "Good day"}
    return {**usual, "from": {"email_address_id": sender(api), "name": "Ann"}, **other}


def arrived(api: Api, recipient: str) -> list[EmailMessage]:
    """The mails that the built-in carrier has for a recipient."""
    folder = mail_folder(api.server.options.data)
    return [
        message_from_bytes((folder / name).read_bytes(), _class=EmailMessage, policy=default)
        for name in sorted(entry.name for entry in folder.glob("*.eml"))
        if f"Delivered-To: {recipient}\r\n".encode() in (folder / name).read_bytes()
    ]
