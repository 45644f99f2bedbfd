"""The Transactional Email section (endpoints 62 to 65)."""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.email import sends, shapes
from heliograph.channels.email.draft import NAME
from heliograph.channels.email.sends import Asked, File, Recipient, Wanted
from heliograph.channels.email.shapes import (
    AttachmentBody,
    EmailPrice,
    EmailReceipt,
    From,
    PriceEmail,
    SendEmail,
    SentEmail,
)
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, TooLittleCredit, required
from heliograph.fields import Null
from heliograph.files import store
from heliograph.http.endpoint import Merged, endpoint
from heliograph.http.request import Reply, Request
from heliograph.mail import domains
from heliograph.mail.addresses import address
from heliograph.mail.letter import Person, carried, one_line, writable
from heliograph.mail.text import is_html, plain
from heliograph.mailaddress import in_ascii
from heliograph.messaging import api, dates
from heliograph.messaging.channel import BASE_URL
from heliograph.messaging.shapes import Step, Steps

LONGEST_TYPE, LONGEST_FILE_NAME = 127, 200
UNWRITABLE = "has characters that an email cannot carry."


def _checked(req: Request, given: PriceEmail) -> Asked:
    """Raises BadRequest with a sentence for each wrong field."""
    faults: dict[str, str] = {}
    to, cc, bcc = (_people(name, getattr(given, name), faults) for name in ("to", "cc", "bcc"))
    most = req.services.settings.email_recipients
    if not to:
        faults.setdefault("to", required("to"))
    elif sum(len(people or ()) for people in (to, cc, bcc)) > most:
        faults["to"] = f"An email has at most {most} recipients, with its copies."
    schedule = dates.scheduled(given.schedule, req.services.database.clock())
    if schedule is None:
        faults["schedule"] = "Schedule must be a Unix time, at most four months ahead."
    subject, body, custom = given.subject or "", given.body or "", given.custom_string
    if len(subject) > shapes.LONGEST_SUBJECT or not one_line(subject):
        faults["subject"] = f"Subject must be one line of at most {shapes.LONGEST_SUBJECT} characters."
    if not body.strip():
        faults["body"] = required("body")
    elif not carried(body):
        faults["body"] = f"Body {UNWRITABLE}"
    if custom is not None and len(custom) > shapes.LONGEST_CUSTOM_STRING:
        faults["custom_string"] = f"Custom string must be at most {shapes.LONGEST_CUSTOM_STRING} characters."
    sender = _sender(given.from_, faults)
    if faults:
        raise BadRequest(faults)
    return Asked(
        address_id=_number(sender.email_address_id),
        from_name=(sender.name or "").strip(),
        to=to or (),
        cc=cc,
        bcc=bcc,
        subject=subject,
        body=body,
        schedule=schedule or 0,
        custom_string=custom,
    )


def _people(field: str, given: Iterable[shapes.Person] | None, faults: dict[str, str]) -> tuple[Recipient, ...] | None:
    """The recipients of a field; null when it is absent or empty. What is wrong with one goes into `faults`."""
    found = []
    for one in given or ():
        written, name = (one.email or "").strip(), (one.name or "").strip()
        mailbox = in_ascii(written)
        if mailbox is None or not writable(Person(mailbox)):
            faults[field] = f"{written[:100]!r} is no email address."
        elif len(name) > shapes.LONGEST_NAME or not one_line(name):
            faults[field] = f"The name of {written[:100]} must be one line of at most {shapes.LONGEST_NAME} characters."
        else:
            found.append(Recipient(mailbox, name))
    return tuple(found) or None


def _sender(given: From | list[From] | None, faults: dict[str, str]) -> From:
    """The sender, which examples also have as a list."""
    sender = next(iter(given), None) if isinstance(given, list) else given
    if sender is None:
        faults["from"] = required("from")
        return From()
    name = (sender.name or "").strip()
    if len(name) > shapes.LONGEST_NAME or not one_line(name):
        faults["from"] = f"The name of the sender must be one line of at most {shapes.LONGEST_NAME} characters."
    return sender


def _number(text: int | str | None) -> int | None:
    """An id that may be a text; None: it is none."""
    digits = str(text if text is not None else "").strip().removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


async def _gather(req: Request, given: SendEmail) -> tuple[Asked, str, tuple[File, ...]]:
    """The checked body, its plain text, and its files, which are stored. Raises BadRequest, Unavailable."""
    checked = _checked(req, given)
    files = await asyncio.to_thread(_decoded, req, given.attachments or ())
    text = await asyncio.to_thread(plain, checked.body) if is_html(checked.body) else checked.body
    await check_domain(req, await req.services.database.read(lambda tx: _address(tx, req, checked)), "from")
    return checked, text, tuple([await _kept(req, file, octets) for file, octets in files])


def _address(tx: Tx, req: Request, checked: Asked) -> str:
    """What a mail comes from; empty: the account has no such address, which is said later."""
    sender = address.own(tx, req.who.user_id, checked.address_id or 0)
    return sender.email_address if sender else ""


async def check_domain(req: Request, sender: str, field: str) -> None:
    """With the setting `refuse`, mails from an address whose domain has no key are not taken. Raises BadRequest."""
    if req.services.settings.foreign_emails != "refuse" or not sender:
        return
    domain, vault = sender.rpartition("@")[2], req.services.vault
    if not await req.services.database.read(lambda tx: domains.key_of(tx, vault, domain) is not None):
        raise BadRequest({field: "Emails from this domain are not signed here. Ask the operator to add the domain."})


def _decoded(req: Request, given: Sequence[AttachmentBody]) -> list[tuple[File, bytes]]:
    """The files of a body, with their octets. Raises BadRequest."""
    forbidden = {one.strip().lower().lstrip(".") for one in req.services.settings.email_forbidden.split(",")}
    found = []
    for number, one in enumerate(given):
        field = f"attachments[{number}]"
        try:
            octets = base64.b64decode("".join((one.content or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest({f"{field}.content": "Content must be base64."}) from None
        if not octets:
            raise BadRequest({f"{field}.content": required("content")})
        name = (one.filename or "").replace("\\", "/").rpartition("/")[2].strip()
        if not name or len(name) > LONGEST_FILE_NAME or not one_line(name):
            raise BadRequest(
                {f"{field}.filename": f"Filename must be one line of 1 to {LONGEST_FILE_NAME} characters."}
            )
        ending = name.rpartition(".")[2].strip(" .").lower()
        if ending in forbidden:
            raise BadRequest({f"{field}.filename": f"Files that end in .{ending} cannot be sent."})
        found.append((_file(one, name, field), octets))
    return found


def _file(given: AttachmentBody, name: str, field: str) -> File:
    kind, content_id = (given.type or "").strip(), (given.content_id or "").strip()
    if len(kind) > LONGEST_TYPE or not one_line(kind):
        raise BadRequest({f"{field}.type": f"Type must be one line of at most {LONGEST_TYPE} characters."})
    if len(content_id) > LONGEST_FILE_NAME or not one_line(content_id):
        raise BadRequest(
            {f"{field}.content_id": f"Content id must be one line of at most {LONGEST_FILE_NAME} characters."}
        )
    disposition = "inline" if (given.disposition or "").strip().lower() == "inline" else "attachment"
    return File("", name, kind or "application/octet-stream", disposition, content_id, _cid(content_id))


def _cid(given: str) -> str:
    """`x` of `x`, `<x>`, `cid:x` and `<cid:x>`."""
    return given.strip("<> ").removeprefix("cid:").strip()


async def _kept(req: Request, file: File, octets: bytes) -> File:
    """The file with its id in the store. It lives as long as an upload, unless its mail is accepted."""
    services, user_id = req.services, req.who.user_id
    quota = services.settings.storage_quota or None

    def record(tx: Tx) -> str:
        life = services.settings.upload_life
        return store.create(tx, user_id, file.name, DOWNLOADED, life, size=len(octets), quota=quota)

    try:
        file_id = await store.save(services.database, services.files, octets, record)
    except store.Full as why:
        raise BadRequest({"attachments": str(why)}) from None
    return msgspec.structs.replace(file, file_id=file_id)


DOWNLOADED = "application/octet-stream"
"""How a file of a mail is served: what it says of itself nobody has looked at."""


def _prepare(req: Request, given: SendEmail) -> Wanted:
    asked, text, files = req.gathered
    wanted = _wanted(req, asked)
    return msgspec.structs.replace(wanted, plain=text, files=files, keep=req.services.settings.email_days * DAY)


def _wanted(req: Request, asked: Asked) -> Wanted:
    return Wanted(channel=req.services.channels[NAME], request_id=req.id, who=req.who, asked=asked)


def _placed(tx: Tx, items: Sequence[Wanted]) -> list[Any]:
    """Each send by itself: an error ends the transaction, and each of several is then placed alone."""
    return [sends.place(tx, item) for item in items]


def _sent(req: Request, row: Any) -> Reply:
    """Send a mail to its recipients. Suppressed ones are left out and cost nothing."""
    return Reply(shapes.sent({**row, BASE_URL: req.base_url}))


send = endpoint(
    "Transactional email queued for delivery.",
    SentEmail,
    body=SendEmail,
    spends=True,
    encloses=True,
    refuses=(TooLittleCredit,),
)(Merged(_prepare, _placed, _sent, gather=_gather, slow=True))


@endpoint("Here's the email price.", EmailPrice, encloses=True)
def price(req: Request, body: PriceEmail) -> Reply:
    """See what a mail would cost."""
    asked = _checked(req, body)
    return Reply(
        EmailPrice(
            to_array=shapes.people(asked.to) or [],
            cc_array=shapes.people(asked.cc),
            bcc_array=shapes.people(asked.bcc),
            subject=asked.subject,
            body=asked.body,
            price=prices.number(sends.price(req.tx, _wanted(req, asked))),
            currency=currencies.describe(req.who.currency),
        )
    )


view_history = api.viewing(NAME, shapes.SHEET, "Here is your result.")
export_history = api.exporting(NAME)
receipts = api.receipts(NAME, EmailReceipt, EmailReceipt)


@endpoint("Message has been cancelled.", Null)
def cancel(req: Request) -> Reply:
    """Cancel what has not left of a mail, and give its price back. An addition to the contract."""
    sends.stop(req.tx, req.services.channels[NAME], req.who.user_id, req.params["message_id"].upper())
    return Reply()


@endpoint("The timeline of your message.", Steps)
def view_timeline(req: Request) -> Reply:
    """View what happened to a mail, recipient by recipient. An addition to the contract."""
    steps = sends.timeline(req.tx, req.who.user_id, req.params["message_id"].upper())
    if not steps:
        raise NotFound(sends.NO_RECORD)
    return Reply([Step(round(at, 3), status, detail) for at, status, detail in steps])
