"""The email channel: what relays get of a send, or of a campaign."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault
from heliograph.channels.email import sends, shapes
from heliograph.channels.email.campaigns.mails import CampaignMails, personal
from heliograph.channels.email.campaigns.shapes import CampaignMail
from heliograph.channels.email.draft import NAME, draft
from heliograph.channels.email.sends import File
from heliograph.contacts.audience import Member
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.files.store import PIECE, FileStore
from heliograph.mail import bounds, domains, suppressions
from heliograph.mail.letter import Enclosed, Letter, Person, Unwritable, written
from heliograph.mail.signing import SigningKey, sign
from heliograph.mail.text import is_html
from heliograph.mail.verp import Verp
from heliograph.media import SINGLE_MAILS, Medium
from heliograph.messaging.channel import Draft, Order, Words
from heliograph.messaging.rows import SEND, Message
from heliograph.settings import Settings
from heliograph.transports.base import Failed, Inbound, Limits, Mail, Retry

AWAY = 30.0
"""Seconds until a mail is tried again whose files cannot be read at the moment."""

log = structlog.get_logger(__name__)

Made = Mail | Retry | Failed


class MailTo(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for one recipient. `details` is what the channel has to know of the message."""

    to: str | None = None
    from_: str = ""
    subject: str = ""
    schedule: int = 0
    custom_string: str | None = None
    details: dict[str, Any] = {}


class Email:
    """The email channel: mails that are sent one by one, and those of campaigns."""

    name = NAME
    medium: Medium = "email"
    words = Words(
        sent="Accepted for delivery",
        taken="Accepted for delivery",
        delivered="Accepted for delivery",
        undelivered="could not be delivered",
    )
    sheet = shapes.SHEET
    receipt_rules = "email-receipts"
    inbound_rules = ""
    counted_as = SINGLE_MAILS
    unconfirmed = True
    lasting = False
    validity: float | None = None

    def __init__(self, settings: Settings, files: FileStore, database: Database, vault: Vault) -> None:
        self._files = files
        self._database = database
        self._vault = vault
        self._house = settings.mail_from
        self._foreign = settings.foreign_emails
        self._verp = Verp(vault, settings.bounce_domain)
        self._campaigns = CampaignMails(settings, database, vault, self.seen)

    def draft(self, who: Principal, given: MailTo, now: float) -> Draft:
        """What is asked for one recipient."""
        return draft(given.to or "", given.from_, given.subject, given.schedule, given.custom_string, given.details)

    def personal(self, given: CampaignMail) -> Callable[[Member], MailTo]:
        """A mail of a campaign, addressed to one contact."""
        write = personal(given)

        def address(member: Member) -> MailTo:
            subject, details = write(member)
            return MailTo(
                to=(member["email"] or "").strip(),
                from_=given.from_,
                subject=subject,
                custom_string=given.custom_string,
                details=details,
            )

        return address

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        """Refuse the contacts of lists whose addresses are suppressed. A single send has left them out already."""
        for order in orders:
            bound = [one for one in order.drafts if one.contact_id is not None and one.refusal is None]
            listed = [one.recipient for one in bound]
            gone = suppressions.suppressed(tx, order.principal.user_id, listed, campaign=True)
            for one in bound if gone else ():
                if one.recipient in gone:
                    one.refusal = Status.OPTED_OUT

    async def contents(self, messages: Sequence[Message], limits: Limits) -> Sequence[Made]:
        """The mail of each message, with a return path of its own."""
        ours = [row for row in messages if row.campaign_id is not None]
        if not ours:
            return await self._singles(messages)
        mails = iter(await self._campaigns.made(ours))
        singles = iter(await self._singles([row for row in messages if row.campaign_id is None]))
        return [next(mails if row.campaign_id is not None else singles) for row in messages]

    async def _singles(self, messages: Sequence[Message]) -> Sequence[Made]:
        """The mails of sends. Recipients of one get the same octets, so these are made and signed once."""
        if not messages:
            return []
        wanted = {(row.user_id, str(row.known()[SEND])) for row in messages}
        found, keys = await self._database.read(lambda tx: self._found(tx, wanted))
        letters = {key: await self._letter(row, keys) for key, row in found.items()}
        return [self._addressed(row, letters.get((row.user_id, row.asked_as))) for row in messages]

    def _addressed(self, row: Message, made: Made | None) -> Made:
        if made is None:
            return Failed(None, "The mail is not kept any more")
        if isinstance(made, Mail):
            return msgspec.structs.replace(made, envelope_sender=self._verp.address(row.message_id))
        return made

    def _found(
        self, tx: Tx, wanted: set[tuple[int, str]]
    ) -> tuple[dict[tuple[int, str], Mapping[str, Any]], dict[str, SigningKey | None]]:
        """The sends, and the keys of the addresses that they come from."""
        found = sends.of(tx, sorted(wanted))
        senders = {self._house, *(row["sender"] for row in found.values())}
        return found, {one: domains.key_of(tx, self._vault, one.rpartition("@")[2]) for one in senders}

    async def _letter(self, row: Mapping[str, Any], keys: Mapping[str, SigningKey | None]) -> Made:
        files = msgspec.json.decode(row["files"], type=list[File])
        try:
            enclosed = [await self._enclosed(file) for file in files]
        except FileNotFoundError:
            return Failed(None, "A file of the mail is not kept any more")
        except OSError:
            return Retry(AWAY, "The files of the mail cannot be read at the moment")
        return await asyncio.to_thread(self._made, row, tuple(enclosed), keys)

    async def _enclosed(self, file: File) -> Enclosed:
        octets = await asyncio.to_thread(_whole, self._files, file.file_id)
        return Enclosed(file.name, file.content_type, octets, file.cid if file.disposition == "inline" else "")

    def _made(self, row: Mapping[str, Any], files: tuple[Enclosed, ...], keys: Mapping[str, SigningKey | None]) -> Made:
        sender, reply_to = self.seen(Person(row["sender"], row["from_name"]), keys)
        html = row["body"] if is_html(row["body"]) else ""
        letter = Letter(
            sender=sender,
            reply_to=reply_to,
            to=_people(row["to_array"]),
            cc=_people(row["cc_array"]),
            subject=row["subject"],
            text=row["body_plain_text"] if html else row["body"],
            html=with_inline_styles(html),
            files=files,
            headers=(("Feedback-ID", f"{row['message_id'].lower()}:{row['user_id']}:email:heliograph"),),
            message_id=row["message_id"].lower(),
            date=max(row["date"], row["schedule"]),
        )
        try:
            mail = written(letter, "")
        except Unwritable as why:
            return Failed(None, str(why))
        key = keys[sender.address]
        return mail if key is None else msgspec.structs.replace(mail, octets=sign(mail.octets, key))

    def seen(self, sender: Person, keys: Mapping[str, SigningKey | None]) -> tuple[Person, Person | None]:
        """(whom a mail comes from, where replies go): the house in the sender's name, if it has no key of his domain.

        Such a mail would fail DMARC (RFC 7489), and with it get lost.
        """
        if keys[sender.address] is not None or self._foreign == "keep" or sender.address == self._house:
            return sender, None
        return Person(self._house, f"{sender.name or sender.address} via {self._house.rpartition('@')[2]}"), sender

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> Message | None:
        """No transport brings mails: they come in by the house's own server (mailserver/)."""
        return None


def _whole(files: FileStore, file_id: str) -> bytes:
    """A stored file, which was no larger than the body of a request. Blocks. Raises OSError."""
    whole = bytearray()
    while piece := files.read(file_id, len(whole), PIECE):
        whole += piece
    return bytes(whole)


def _people(text: str | None) -> tuple[Person, ...]:
    listed: list[dict[str, str]] = msgspec.json.decode(text) if text else []
    return tuple(Person(one["email"], one.get("name", "")) for one in listed)


MOST_STYLED = 200_000
"""Rules of CSS times tags of HTML: each rule is looked for in the whole of it (10 s for twenty times as many)."""


def with_inline_styles(html: str) -> str:
    """HTML whose rules of CSS stand in its elements, since many readers of mail drop the others. Nothing is loaded.

    It stays as it is when it has no rules, or so many, or is so deep, that the library would take long or end the
    process.
    """
    if "<style" not in html.lower() or html.count("{") * html.count("<") > MOST_STYLED or bounds.fault(html):
        return html
    import css_inline

    try:
        return css_inline.inline(html, keep_at_rules=True, load_remote_stylesheets=False)
    except css_inline.InlineError as problem:
        log.info("email.css_left", why=str(problem))
        return html
