"""Whether the owner of a mail address agrees to what an account wants with it: he is asked once, and says so by a link.

Rules, `delivery_to`, `reply_to` and `from_email` send a text that a customer chooses to an address that a customer
chooses. Without this, any account could write to strangers in the name of the house. Allowed addresses of mail to SMS
say whose mails become SMS: without this, any account could get those that a stranger writes to the house.
"""

import secrets
import unicodedata
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, select

from heliograph.accounts.vault import Vault
from heliograph.clock import DAY
from heliograph.db.engine import Row, Tx
from heliograph.db.tables import mail_consents, users
from heliograph.limited import Bites
from heliograph.mailaddress import small
from heliograph.queue import mail
from heliograph.settings import Settings, own_url

LIFE = 7 * DAY
"""Seconds that a link can be used, and for which nobody is asked again: a holiday is longer than a day, and one who
does not answer has answered.
"""

MOST_OF_ACCOUNT = 20
"""Questions of one account within a day: a team that moves in gets its answers, a list of strangers does not."""

MOST_OF_HOUSE = 500
"""Questions of the whole house within a day. Relays take so many from an unknown sender without calling it spam, and
one account uses up no more than a 25th of them.
"""

LONGEST_NAME = 40
TOKEN_BYTES = 20
LONGEST_TOKEN = 64
"""Characters of a token that are looked at; ours have 27."""


class Purpose(msgspec.Struct, frozen=True):
    """What an account wants with an address. `mark` stands before the address in the table, `wants` after the account
    in sentences, `subject` is the question in a line, and `agreed` thanks.
    """

    mark: str
    subject: str
    wants: str
    agreed: str


MAILS: Final = Purpose(
    "",
    "May we send you mails?",
    "wants to send its notifications to {address}: replies and delivery reports of text messages",
    "From now on you get these mails.",
)
SENDING: Final = Purpose(
    "sms ",
    "May your mails become text messages?",
    "wants to send mails that come from {address} on as text messages, when they are written to this server",
    "From now on your mails to this server become text messages of this account.",
)
_PURPOSES: Final = (SENDING, MAILS)
"""The one whose mark is empty fits all, so it is the last one."""

_bites = Bites("house.sent_enough_today")


def allows(tx: Tx, user_id: int, address: str, purpose: Purpose = MAILS) -> bool:
    """Whether the owner of an address has agreed to what an account wants with it."""
    row = _found(tx, user_id, purpose.mark + small(address))
    return row is not None and row["confirmed_at"] is not None


def ask(tx: Tx, vault: Vault, settings: Settings, user_id: int, address: str, purpose: Purpose = MAILS) -> bool:
    """Mail the question to an address, unless it was asked within LIFE or enough were asked today; whether it was.

    Several processes at once may exceed the limits of a day by a few.
    """
    box = purpose.mark + small(address)
    row = _found(tx, user_id, box)
    if row is not None and (row["confirmed_at"] is not None or row["asked_at"] > tx.now - LIFE):
        return False
    if _enough(tx, user_id):
        return False
    # What nobody has answered is forgotten: it is a stranger's address, and counts against no limit any more.
    old = mail_consents.c.confirmed_at.is_(None) & (mail_consents.c.asked_at <= tx.now - LIFE)
    tx.execute(mail_consents.delete().where(old))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    made = tx.driver(
        "INSERT INTO mail_consents (user_id, address, token_hash, asked_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (user_id, box, _hash(vault, token), tx.now),
    )
    tx.memo.pop(_key(user_id, box), None)
    if not made.rowcount:
        return False  # another process was first
    text = _text(public_name(tx, user_id), purpose, f"{own_url(settings)}/confirm/{token}")
    mail.enqueue(tx, settings.mail_from, address, purpose.subject, text)
    return True


def question(tx: Tx, vault: Vault, token: str) -> tuple[str, str, Purpose] | None:
    """(name of the account, address, what for) that a good token asks about; None for any other. It changes nothing."""
    row = tx.row(select(mail_consents).where(_open(tx, vault, token)))
    return None if row is None else (public_name(tx, row["user_id"]), *_taken_apart(row["address"]))


def confirm(tx: Tx, vault: Vault, token: str) -> Purpose | None:
    """Use a token up: its account may do with its address what it wants. What that is; None: it was not good."""
    agreed = mail_consents.update().where(_open(tx, vault, token)).values(confirmed_at=tx.now, token_hash=None)
    row = tx.row(agreed.returning(mail_consents.c.user_id, mail_consents.c.address))
    if row is None:
        return None
    tx.memo.pop(_key(row["user_id"], row["address"]), None)
    return _taken_apart(row["address"])[1]


def _taken_apart(marked: str) -> tuple[str, Purpose]:
    """(address, what for) of an address in the table."""
    purpose = next(one for one in _PURPOSES if marked.startswith(one.mark))
    return marked.removeprefix(purpose.mark), purpose


def _found(tx: Tx, user_id: int, small: str) -> Row | None:
    """The row of an account and an address, looked up once in a transaction."""
    key = _key(user_id, small)
    if key not in tx.memo:
        mine = (mail_consents.c.user_id == user_id) & (mail_consents.c.address == small)
        tx.memo[key] = tx.row(select(mail_consents).where(mine))
    found: Row | None = tx.memo[key]
    return found


def _key(user_id: int, small: str) -> tuple[str, int, str]:
    return "mail consent", user_id, small


def _open(tx: Tx, vault: Vault, token: str) -> ColumnElement[bool]:
    hashed = mail_consents.c.token_hash == _hash(vault, token[: LONGEST_TOKEN + 1])
    return hashed & mail_consents.c.confirmed_at.is_(None) & (mail_consents.c.asked_at > tx.now - LIFE)


def _enough(tx: Tx, user_id: int) -> bool:
    today = mail_consents.c.asked_at > tx.now - DAY  # one mail a row: nobody is asked twice within LIFE
    for what, mine, most in (
        ("questions of an account", today & (mail_consents.c.user_id == user_id), MOST_OF_ACCOUNT),
        ("questions", today, MOST_OF_HOUSE),
    ):
        sent: Any = tx.scalar(select(func.count()).select_from(mail_consents).where(mine))
        if sent >= most:
            _bites.bite(what=what, sent=sent)
            return True
    return False


def _hash(vault: Vault, token: str) -> str:
    return vault.key_hash("mail consent", token)


def public_name(tx: Tx, user_id: int) -> str:
    """The account's name as a stranger may be shown it: letters, marks and digits, so that it holds neither lines nor
    what a mail program makes a link of.
    """
    row = tx.row(select(users.c.account_name, users.c.username).where(users.c.user_id == user_id))
    for text in (row["account_name"], row["username"]) if row else ():
        kept = "".join(one if unicodedata.category(one)[0] in "LMN" or one in "-&'" else " " for one in text)
        if name := " ".join(kept.split())[:LONGEST_NAME].strip():
            return name
    return "(no name)"


def _text(name: str, purpose: Purpose, link: str) -> str:
    return (
        f'The account "{name}" on this server {purpose.wants.format(address="your address")}.'
        " That happens only if you agree, on this page:\n\n"
        f"{link}\n\n"
        f"The link works once, for {LIFE // DAY} days. If you do not know this account or do not want it, do nothing.\n"
    )
