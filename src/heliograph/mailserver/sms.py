"""The desk for mails that become SMS: `<number>@`, `<list_email_id>@` and the addresses that mailed replies come from.

A From header proves nothing, and each mail costs money: the address must be allowed, and the mail must prove it. The
SMS is accepted in the transaction before 250 is said, together with the mark of the mail: a server that did not hear
the 250 sends it again, and nothing is sent twice. Source: facts H1 to H7.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from sqlalchemy import select

from heliograph.accounts import account, preferences
from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault
from heliograph.channels import sending
from heliograph.channels.sms.shapes import SmsMessage
from heliograph.clock import DAY, HOUR
from heliograph.contacts import lists
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import email_sms_mails
from heliograph.errors import BadRequest, Status
from heliograph.mail.nameservers import NameServers, Unanswered
from heliograph.mailaddress import small
from heliograph.mailserver import authentic, conversation, letter, senders, stripping, words
from heliograph.mailserver.desk import Arrived, Recipient, Refusal, Visit
from heliograph.mailserver.letter import Letter
from heliograph.messaging.channel import Accepted, Channel, ForList, Order
from heliograph.settings import Settings

SOURCE: Final = "email"
REMEMBERED: Final = 7 * DAY
"""Seconds that mails are known: servers send one again for five days."""
AT_ONCE: Final = 4
"""Mails that are taken apart at the same time."""

NOT_ALLOWED: Final = "550 5.7.1 Mail from this address does not become SMS here"
NOT_PROVED: Final = "550 5.7.26 Nothing proves the From of this mail: no DKIM or SPF of its domain, and no login"
NO_TEXT: Final = "550 5.6.0 There is no text in this mail"
NO_PERSON: Final = "550 5.7.1 Automatic mail does not become SMS"
OWN: Final = "550 5.7.1 Mail of this server does not become SMS"
TOO_MANY: Final = "450 4.7.1 This address has sent enough within an hour"
LATER: Final = "451 4.4.3 No name server answers"
REFUSED: Final = {
    Status.THROTTLED: "450 4.7.1 The same text went to the same number just now",
    Status.INSUFFICIENT_CREDIT: "550 5.7.1 The balance of the account is too low",
    Status.INVALID_RECIPIENT: "550 5.1.1 This is no phone number",
}

_NUMBER = re.compile(r"\+?[0-9]{4,15}", re.ASCII)
_LIST = re.compile(r"[0-9A-Za-z]{16}", re.ASCII)
log = structlog.get_logger(__name__)


class _Payer(msgspec.Struct, frozen=True):
    """Who pays for a recipient, what the SMS comes from, and what is asked for."""

    who: Principal
    given: SmsMessage


class SmsDesk:
    """A desk (desk.py)."""

    def __init__(
        self, options: Settings, database: Database, vault: Vault, channel: Channel, servers: NameServers
    ) -> None:
        self.domains = frozenset({options.reply_domain.lower()})
        self._options = options
        self._database = database
        self._vault = vault
        self._channel = channel
        self._servers = servers
        self._room = asyncio.Semaphore(AT_ONCE)

    async def knows(self, visit: Visit, recipient: Recipient) -> bool:
        """Numbers, lists that exist, and conversations; from no null sender, and not from this server."""
        local = recipient.local
        if _LIST.fullmatch(local) and not _NUMBER.fullmatch(local):
            if await self._database.read(lambda tx: lists.by_email_id(tx, local)) is None:
                return False
        elif not _NUMBER.fullmatch(local) and not conversation.is_one(local):
            return False
        if not visit.sender:
            raise Refusal(NO_PERSON)
        self._refuse_own(visit.sender)
        return True

    async def take(self, arrived: Arrived) -> str:
        """Make SMS of a mail."""
        async with self._room:
            head = await asyncio.to_thread(letter.head, arrived.octets)
            self._refuse_own(head.sender)
            if head.machine:
                raise Refusal(f"{NO_PERSON} ({head.machine})")
            await self._database.read(lambda tx: self._payers(tx, arrived, head.sender))  # what is refused costs little
            if not await self._is_proved(arrived, head.sender):
                raise Refusal(NOT_PROVED)
            found = await asyncio.to_thread(letter.read, arrived.octets)
            text = await asyncio.to_thread(words.written, found.text)
        placed = await self._database.write(lambda tx: self._place(tx, arrived, found, text), slow=True)
        log.info("mailserver.sms", peer=arrived.visit.peer, recipients=len(arrived.recipients), said=placed)
        return placed

    def _refuse_own(self, address: str) -> None:
        if address.rpartition("@")[2].lower() in self._options.mail_domains:
            raise Refusal(OWN)

    async def _is_proved(self, arrived: Arrived, sender: str) -> bool:
        """Whether From is who it says. Raises Refusal: it cannot be known now."""
        options, visit = self._options, arrived.visit
        if not options.proves_mail or visit.login or authentic.trusted(options.smtp_trusted, visit.peer):
            return True
        try:
            return bool(await asyncio.to_thread(authentic.proved, self._servers, arrived, sender))
        except Unanswered:
            raise Refusal(LATER) from None

    def _place(self, tx: Tx, arrived: Arrived, found: Letter, text: str) -> str:
        """Accept the SMS of a mail; what to say. Raises Refusal, and then nothing is kept."""
        asked = self._payers(tx, arrived, found.sender)
        fresh = [
            payer
            for payer, recipient in zip(asked, arrived.recipients, strict=True)
            if _is_new(tx, payer.who.user_id, found, recipient)
        ]
        if not fresh:
            return "It was sent before"
        for user_id in {payer.who.user_id for payer in fresh}:
            self._refuse_floods(tx, user_id, found.sender)
        fates = self._placed(tx, found, text, fresh)
        good = sum(fate.status == Status.SUCCESS for fate in fates)
        if not good:
            statuses = [str(fate.status) for fate in fates] or ["no contacts"]
            raise Refusal(REFUSED.get(statuses[0], f"550 5.7.1 Refused: {statuses[0]}"))
        return f"{good} SMS of {len(fates)}"

    def _placed(self, tx: Tx, found: Letter, text: str, asked: Sequence[_Payer]) -> list[Accepted]:
        orders = []
        for subaccount_id in dict.fromkeys(payer.who.subaccount_id for payer in asked):
            mine = [payer for payer in asked if payer.who.subaccount_id == subaccount_id]
            body = _body(tx, mine[0].who, found.subject, text)
            orders.append(
                self._order(tx, mine[0].who, [msgspec.structs.replace(payer.given, body=body) for payer in mine])
            )
        try:
            return [fate for fates in sending.place(tx, orders) for fate in fates]
        except BadRequest as refused:
            raise Refusal(f"550 5.5.3 {refused.message}") from None

    def _order(self, tx: Tx, who: Principal, given: Sequence[SmsMessage]) -> Order:
        own = who.throttle_seconds
        return Order(
            principal=who,
            channel=self._channel,
            request_id="",
            drafts=[self._channel.draft(who, one, tx.clock) for one in given],
            throttle=self._options.throttle_seconds if own is None else own,
            lists={place: ForList(one.list_id, one) for place, one in enumerate(given) if one.list_id is not None},
        )

    def _payers(self, tx: Tx, arrived: Arrived, sender: str) -> list[_Payer]:
        """Who pays for each recipient. Raises Refusal."""
        return [self._payer(tx, arrived, sender, recipient) for recipient in arrived.recipients]

    def _payer(self, tx: Tx, arrived: Arrived, sender: str, recipient: Recipient) -> _Payer:
        """Who pays for a recipient. Raises Refusal: nobody allows this address to write to it."""
        of_list = None if _NUMBER.fullmatch(recipient.local) else lists.by_email_id(tx, recipient.local)
        talk = conversation.read(self._vault, recipient.local, sender)
        if talk is not None:
            return self._answering(tx, arrived, sender, talk)
        for row, who in senders.payers(tx, sender):
            login = arrived.visit.login
            if (login and login.user_id != who.user_id) or (of_list and of_list["user_id"] != who.user_id):
                continue
            given = SmsMessage(from_=row["sender"] or None, source=SOURCE, from_email=sender)
            if of_list is not None:
                return _Payer(who, msgspec.structs.replace(given, list_id=of_list["list_id"]))
            if _NUMBER.fullmatch(recipient.local):
                return _Payer(who, msgspec.structs.replace(given, to=_dialled(recipient.local)))
        raise Refusal(NOT_ALLOWED)

    def _answering(self, tx: Tx, arrived: Arrived, sender: str, talk: conversation.Conversation) -> _Payer:
        who = account.by_subaccount(tx, talk.subaccount_id)
        login = arrived.visit.login
        if who is None or not senders.may_send(who) or (login and login.user_id != who.user_id):
            raise Refusal(NOT_ALLOWED)
        given = SmsMessage(to=f"+{talk.theirs}", source=SOURCE, from_email=sender)
        ours = talk.ours if len(talk.ours) < 7 else f"+{talk.ours}"
        return _Payer(who, msgspec.structs.replace(given, from_=ours))

    def _refuse_floods(self, tx: Tx, user_id: int, sender: str) -> None:
        """Raises Refusal; what is being placed is counted already."""
        sql = "SELECT count(*) FROM email_sms_mails WHERE user_id = ? AND address = ? AND at > ?"
        (sent,) = tx.driver(sql, [user_id, small(sender), tx.now - HOUR]).fetchone()
        if sent > self._options.smtp_per_hour:
            raise Refusal(TOO_MANY)


def forget(tx: Tx, limit: int = 1000) -> bool:
    """Forget mails that no server sends again; whether more are left."""
    old = select(email_sms_mails.c.mark).where(email_sms_mails.c.at < tx.now - REMEMBERED).limit(limit)
    marks = [row["mark"] for row in tx.rows(old)]
    tx.driver_in("DELETE FROM email_sms_mails WHERE mark IN ({})", [], marks)
    return len(marks) == limit


def _is_new(tx: Tx, user_id: int, found: Letter, recipient: Recipient) -> bool:
    """Enter a mail for a recipient; False: it was there. Without a Message-ID its text stands for it."""
    named = found.message_id.strip() or f"{found.date}\n{found.subject}\n{found.text}"
    text = f"{user_id}\n{recipient.local.lower().lstrip('+')}\n{small(found.sender)}\n{named}"
    mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    sql = "INSERT INTO email_sms_mails (mark, user_id, address, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    return bool(tx.driver(sql, [mark, user_id, small(found.sender), tx.now]).rowcount)


def _body(tx: Tx, who: Principal, subject: str, text: str) -> str:
    """What is sent. Raises Refusal: nothing is left of it."""
    if preferences.subject_in_sms(tx, who.user_id) and subject:
        text = f"{subject}\n{text}"
    body = words.stripped(text, stripping.strings(tx, who.user_id))
    if not body:
        raise Refusal(NO_TEXT)
    return body


def _dialled(local: str) -> str:
    """A number as it is sent to: with a country code, unless it begins with the 0 of a national one."""
    return local if local.startswith(("+", "0")) else f"+{local}"
