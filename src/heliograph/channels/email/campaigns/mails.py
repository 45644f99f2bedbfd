"""The mails of campaigns, as relays get them: each campaign's bodies are encoded once, whoever gets them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.accounts.vault import Vault
from heliograph.channels.email.campaigns.shapes import CampaignMail
from heliograph.contacts import audience
from heliograph.contacts.audience import Member
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import campaigns
from heliograph.mail import domains, form
from heliograph.mail.form import Form, Part, Piece, Slot
from heliograph.mail.letter import Person, writable
from heliograph.mail.signing import SigningKey, sign
from heliograph.mail.text import is_html, plain
from heliograph.mail.tracking import MARK, Prepared, Tracker
from heliograph.mail.verp import Verp
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from heliograph.transports.base import Failed, Mail

MOST_FORMS = 16
"""Campaigns whose encoded bodies are kept at once."""
MOST_OCTETS = 32 * 1024 * 1024
"""What these bodies have together."""

NAME, VALUES, FROM_NAME, FROM_ID = "name", "values", "as", "from"
"""Keys of the details of a message of a campaign: of its recipient, and of its sender as history shows him."""
TOKEN = "token"  # noqa: S105 - the name of a slot
"""Where the recipient's token belongs: no column of a contact is called so."""

Keys = Mapping[str, SigningKey | None]
Seen = Callable[[Person, Keys], tuple[Person, Person | None]]


class Sender(msgspec.Struct, frozen=True):
    """A campaign as its mails need it. `run` is another one when it was changed."""

    campaign_id: int
    run: int
    user_id: int
    list_id: int
    list_name: str
    address: Person


class Source(msgspec.Struct, frozen=True):
    """What the details of a campaign have for its mails."""

    html: str
    text: str


def prepared(body: str, found: Prepared) -> Source:
    """The bodies of a campaign's mails. Takes milliseconds to a second."""
    return Source(found.html, plain(found.html)) if is_html(body) else Source("", found.html)


def personal(given: CampaignMail) -> Callable[[Member], tuple[str, dict[str, Any]]]:
    """A function that makes (subject, details of the message) for a member: all that its mail will need of him."""
    entitle = audience.personal(given.subject)
    names = tuple(dict.fromkeys(audience.pieces(given.text)[1] + audience.pieces(given.html)[1]))
    same = {FROM_NAME: given.from_name, FROM_ID: given.from_email_address_id}

    def address(member: Member) -> tuple[str, dict[str, Any]]:
        name = form.in_one_line(f"{member['first_name'] or ''} {member['last_name'] or ''}")
        details: dict[str, Any] = {NAME: name, **same} if name else {**same}
        values = {one: value for one in names if (value := member[one])}
        if values:
            details[VALUES] = values
        return form.in_one_line(entitle(member)), details

    return address


class CampaignMails:
    """Makes the mails of campaigns. `seen` says whom a mail comes from, and where replies go."""

    def __init__(self, settings: Settings, database: Database, vault: Vault, seen: Seen) -> None:
        self._database = database
        self._vault = vault
        self._seen = seen
        self._house = settings.mail_from
        self._domain = settings.bounce_domain
        self._verp = Verp(vault, settings.bounce_domain)
        self._tracker = Tracker(settings, vault)
        self._forms: OrderedDict[tuple[int, int], Form] = OrderedDict()

    async def made(self, messages: Sequence[Message]) -> list[Mail | Failed]:
        """The mail of each message, in order. They are made in a thread."""
        wanted = {row.campaign_id for row in messages if row.campaign_id is not None}
        known = set(self._forms)
        senders, sources, keys = await self._database.read(lambda tx: self._found(tx, wanted, known))
        mails, forms = await asyncio.to_thread(self._batch, messages, senders, sources, keys)
        self._keep(forms)
        return mails

    def _found(
        self, tx: Tx, wanted: Iterable[int], known: set[tuple[int, int]]
    ) -> tuple[dict[int, Sender], dict[int, Source], Keys]:
        """The campaigns, the bodies of those that have no form yet, and the keys of whom they come from."""
        row = campaigns.c
        columns = (row.campaign_id, row.run, row.user_id, row.list_id, row.list_name, row.sender)
        senders = {}
        for one in tx.rows(select(*columns).where(row.campaign_id.in_(wanted))):
            senders[one["campaign_id"]] = Sender(
                **{name: one[name] for name in Sender.__struct_fields__ if name != "address"},
                address=Person(one["sender"]),
            )
        new = [one.campaign_id for one in senders.values() if (one.campaign_id, one.run) not in known]
        sources = {
            one["campaign_id"]: msgspec.json.decode(one["details"], type=Source)
            for one in (tx.rows(select(row.campaign_id, row.details).where(row.campaign_id.in_(new))) if new else ())
        }
        addresses = {self._house, *(one.address.address for one in senders.values())}
        return senders, sources, {one: domains.key_of(tx, self._vault, one.rpartition("@")[2]) for one in addresses}

    def _keep(self, forms: Mapping[tuple[int, int], Form]) -> None:
        """Keep the forms that were used last, as far as there is room."""
        for key, one in forms.items():
            self._forms[key] = one
            self._forms.move_to_end(key)
        while len(self._forms) > MOST_FORMS or (
            len(self._forms) > 1 and sum(one.size for one in self._forms.values()) > MOST_OCTETS
        ):
            self._forms.popitem(last=False)

    def _batch(
        self,
        messages: Sequence[Message],
        senders: Mapping[int, Sender],
        sources: Mapping[int, Source],
        keys: Keys,
    ) -> tuple[list[Mail | Failed], dict[tuple[int, int], Form]]:
        forms = {
            (one.campaign_id, one.run): self._forms.get((one.campaign_id, one.run))
            or formed(sources[one.campaign_id], one.campaign_id)
            for one in senders.values()
        }
        mails: list[Mail | Failed] = []
        for row in messages:
            sender = senders.get(row.campaign_id or 0)
            if sender is None:
                mails.append(Failed(None, "The campaign is not kept any more"))
            else:
                mails.append(self._mail(row, sender, forms[sender.campaign_id, sender.run], keys))
        return mails, forms

    def _mail(self, row: Message, sender: Sender, bodies: Form, keys: Keys) -> Mail | Failed:
        known = row.known()
        to = Person(row.recipient, known.get(NAME, ""))
        if not writable(to):
            return Failed(None, f"{row.recipient[:100]!r} is no email address")
        visible, reply_to = self._seen(sender.address._replace(name=known[FROM_NAME]), keys)
        utf8 = not (visible.address + to.address + (reply_to.address if reply_to else "")).isascii()
        headers = [
            form.mailbox("From", visible),
            form.mailbox("To", to),
            *([form.mailbox("Reply-To", reply_to)] if reply_to else []),
            form.unstructured("Subject", row.body),
            form.dated(max(row.date, row.schedule)),
            f"Message-ID: <{row.message_id.lower()}@{visible.address.rpartition('@')[2]}>\r\n".encode(),
            *self._of_lists(row, sender),
        ]
        values = {**known.get(VALUES, {}), TOKEN: self._tracker.token(row.message_id)}
        octets = bodies.written(headers, values)
        key = keys[visible.address]
        return Mail(sign(octets, key) if key else octets, self._verp.address(row.message_id), utf8)

    def _of_lists(self, row: Message, sender: Sender) -> list[bytes]:
        """How to leave the list (RFC 2369, RFC 8058), which list it is (RFC 2919), whose campaign."""
        ids = f"{sender.campaign_id}:{sender.user_id}:campaign:heliograph"
        found = [("List-Id", f"<{sender.list_id}.{sender.user_id}.lists.{self._domain}>"), ("Feedback-ID", ids)]
        return [
            f"{name}: {value}\r\n".encode()
            for name, value in (*found, *self._tracker.unsubscribe_headers(row.message_id))
        ]


def formed(source: Source, campaign_id: int) -> Form:
    """The bodies of a campaign, encoded: plain text, and beside it HTML if there is any."""
    parts = [Part("plain", list(_pieces(source.text)))]
    if source.html:
        parts.append(Part("html", list(_pieces(source.html))))
    return Form(tuple(parts), f"=_heliograph_{campaign_id}")


def _pieces(text: str) -> Iterable[Piece]:
    """A body, with a slot wherever its recipients differ."""
    for number, part in enumerate(text.split(MARK)):
        if number:
            yield Slot(TOKEN)
        between, names = audience.pieces(part)
        yield from filter(None, chain.from_iterable(zip_longest(between, map(Slot, names))))
