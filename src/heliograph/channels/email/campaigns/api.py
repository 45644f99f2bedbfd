"""The Email Campaign section (endpoints 54 to 61)."""

import asyncio
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from heliograph.accounts import preferences
from heliograph.accounts.consent import public_name
from heliograph.campaigns import campaign
from heliograph.campaigns.api import NEEDED, Family, campaigning
from heliograph.campaigns.campaign import Row
from heliograph.campaigns.plan import Plan, Wanted
from heliograph.channels.email.api import check_domain
from heliograph.channels.email.campaigns import counts, history, shapes
from heliograph.channels.email.campaigns.mails import prepared
from heliograph.channels.email.campaigns.shapes import (
    LONGEST_BODY,
    EmailCampaign,
    EmailCampaignBody,
    EmailCampaignPrice,
    ListedEmailCampaign,
    OrderedEmailCampaign,
    PricedFields,
)
from heliograph.channels.email.channel import with_inline_styles
from heliograph.channels.email.draft import NAME
from heliograph.channels.email.sends import NOT_YOURS
from heliograph.channels.email.shapes import LONGEST_NAME, LONGEST_SUBJECT
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, required
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import DATES
from heliograph.http.request import Reply, Request
from heliograph.mail import tracking
from heliograph.mail.addresses import address
from heliograph.mail.letter import carried, one_line
from heliograph.mail.templates import template
from heliograph.mail.text import is_html, plain
from heliograph.messaging import api, dates
from heliograph.messaging.shapes import Export
from heliograph.settings import Settings

_NO_BREAK = re.compile("&(?:nbsp|#160|#x[aA]0);")
"""As editors write it between the words of a placeholder."""

NOT_SECURE = (
    "Email campaigns cannot be sent yet: their links to unsubscribe need a public URL that begins with https. Ask the"
    " operator to set HELIOGRAPH_PUBLIC_URL."
)


async def _fetch(req: Request, wanted: Wanted, named: Collection[str]) -> Wanted:
    """A campaign with its sender, its template, and its bodies as they will be sent. Raises BadRequest."""
    services = req.services
    if services.settings.mode == "production" and not services.settings.public_url.lower().startswith("https://"):
        raise BadRequest(message=NOT_SECURE)
    found = await services.database.read(lambda tx: _found(tx, req, wanted, named))
    _check(found.wanted)
    await check_domain(req, found.sender, "from_email_address_id")
    now = services.database.clock()
    details = {
        **found.wanted.details,
        "timed": bool(dates.scheduled(found.wanted.schedule, now)),
        **await asyncio.to_thread(_bodies, req, found),
    }
    return msgspec.structs.replace(found.wanted, sender=found.sender, details=details)


class _Found(msgspec.Struct, frozen=True):
    """What a campaign names, and what its mails say of the account."""

    wanted: Wanted
    sender: str
    account: str
    track: bool


def _found(tx: Tx, req: Request, wanted: Wanted, named: Collection[str]) -> _Found:
    """Raises BadRequest: the address or the template is none of the account."""
    user_id = req.who.user_id
    sender = address.own(tx, user_id, wanted.details["from_email_address_id"])
    if sender is None or not sender.verified:
        raise BadRequest({"from_email_address_id": NOT_YOURS})
    if "template_id" in named:
        made_of = template.find(tx, user_id, wanted.details["template_id"])
        if made_of is None:
            raise BadRequest({"template_id": "Template id must be the id of one of your email templates."})
        if "body" not in named:
            wanted = msgspec.structs.replace(wanted, body=made_of.body)
    return _Found(
        wanted,
        sender.email_address,
        public_name(tx, user_id),
        preferences.tracks_emails(tx, req.services.settings, user_id),
    )


def _check(wanted: Wanted) -> None:
    """Raises BadRequest with a sentence for each wrong field."""
    faults: dict[str, str] = {}
    for field, most in (("subject", LONGEST_SUBJECT), ("from_name", LONGEST_NAME)):
        text = wanted.details[field]
        if not text.strip():
            faults[field] = required(field)
        elif len(text) > most or not one_line(text):
            faults[field] = f"It must be one line of at most {most} characters."
    if not carried(wanted.body):
        faults["body"] = "Body has characters that an email cannot carry."
    if faults:
        raise BadRequest(faults)


def _bodies(req: Request, found: _Found) -> dict[str, Any]:
    """The bodies as they are sent, the plain text that answers show, and where its links lead."""
    body = found.wanted.body[:LONGEST_BODY]
    html = is_html(body)
    if html:
        body = _NO_BREAK.sub("\u00a0", body)
    tracker = tracking.Tracker(req.services.settings, req.services.vault)
    sender = f"{found.account}\n{found.sender}"
    made = tracker.prepare(with_inline_styles(body) if html else body, track=found.track, sender=sender)
    return {
        **msgspec.structs.asdict(prepared(body, made)),
        "links": list(made.links),
        "body_plain_text": plain(body) if html else body,
    }


def _keep(tx: Tx, row: Row, plan: Plan, *, settings: Settings) -> None:
    """Store where its links lead."""
    tracking.keep_links(tx, row["campaign_id"], plan.wanted.details["links"])


def _ordered(row: Row, plan: Plan) -> OrderedEmailCampaign:
    return shapes.ordered(row, plan.seen, plan.count, plan.micros, plan.who.currency)


def _priced(plan: Plan, now: int) -> EmailCampaignPrice:
    given = plan.wanted
    same = ("subject", "from_email_address_id", "from_name")
    asked = PricedFields(
        **{name: given.details[name] for name in same},
        template_id=given.details.get("template_id"),
        name=given.name,
        body=given.body,
        list_id=given.list_id,
    )
    return shapes.priced(asked, plan.seen, plan.count, plan.micros, plan.who.currency)


campaigns = campaigning(
    Family(
        channel=NAME,
        id_name="email_campaign_id",
        body=EmailCampaignBody,
        longest_body=LONGEST_BODY,
        created=(OrderedEmailCampaign, _ordered),
        changed=(EmailCampaign, shapes.viewed),
        listed=(ListedEmailCampaign, shapes.listed),
        viewed=(EmailCampaign, shapes.viewed),
        priced=(EmailCampaignPrice, _priced),
        texts={
            "send": "Email campaign has been created.",
            "price": "Total price for email campaign.",
            "update": "Email campaign has been updated.",
            "cancel": "Email campaign has been cancelled.",
            "view_all": "Here are your email campaigns",
            "view": "Here is your email campaign.",
        },
        needed=(*(name for name in NEEDED if name != "body"), "subject", "from_email_address_id", "from_name"),
        fetch=_fetch,
        keep=_keep,
        counted=counts.counted,
    )
)


def _mails(req: Request, tx: Tx) -> tuple[Mapping[str, Any], int, int]:
    """(campaign, ordinals before its mails, last ordinal of them), as far as the dates of the request go."""
    key = req.number("email_campaign_id", campaign.NO_RECORD)
    row = campaign.find(tx, req.who, NAME, key)
    first, last = history.between(tx, row, req.unix_time("date_from"), req.unix_time("date_to"))
    return row, first, last


@endpoint("Here is your result.", history.CampaignMailEntry, paged=True, query=DATES)
def view_history(req: Request) -> Reply:
    """View the mails of a campaign, each with what was heard of it."""
    row, first, last = _mails(req, req.tx)
    return search.page(req, history.of(row, first, last), history.COLUMNS, ("date", False), history.entry)


@endpoint("Download your file here.", Export, query=(api.FILENAME, *DATES))
async def export_history(req: Request) -> Reply:
    """Export the mails of a campaign as a CSV file."""
    row, first, last = await req.services.database.read(lambda tx: _mails(req, tx))
    return await api.exported(req, NAME, first, last, row["campaign_id"])
