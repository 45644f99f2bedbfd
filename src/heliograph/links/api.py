"""The statistics of short links. Without an envelope, as in ClickSend's newer clients (clients 2)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from heliograph.errors import NotFound
from heliograph.fields import PhoneNumber, about
from heliograph.http import paging
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import PAGING
from heliograph.http.request import Reply, Request
from heliograph.links import statistics
from heliograph.links.statistics import Opened

UNKNOWN = "unknown"
"""Label of clicks of which this is not known."""


class Openings(msgspec.Struct):
    """How many recipients have opened a link."""

    total: Annotated[int, about("Recipients, each with a link of its own.", 2)]
    opened_unique: Annotated[int, about("Recipients that have opened it.", 1)]
    opened_total: Annotated[int, about("Clicks of all of them.", 5)]
    unopened: Annotated[int, about("Recipients that have not opened it.", 1)]


class LabelCount(msgspec.Struct):
    """How many clicks had something in common."""

    label: Annotated[str, about("In small letters; a country by its ISO 3166 code.", "mobile")]
    count: Annotated[int, about("Clicks.", 2)]


class LongUrl(msgspec.Struct, kw_only=True):
    """The statistics of one target."""

    long_url_id: Annotated[str, about("Id of the target, for the list of its recipients.", "12")]
    links: Openings
    device: Annotated[list[LabelCount], about("mobile, tablet or desktop.")]
    os: list[LabelCount]
    browser: list[LabelCount]
    country: list[LabelCount]
    region: Annotated[list[LabelCount], about("Always empty: regions are not looked up.")]


class LinkStatistics(msgspec.Struct):
    """The whole answer."""

    data: list[LongUrl]


class LinkContact(msgspec.Struct, kw_only=True):
    """Whom a link was sent to."""

    contact_id: Annotated[str | None, about("Null when it was not sent to a contact, or that is gone.", "224466")]
    first_name: str | None
    last_name: str | None
    phone_number: PhoneNumber


class LinkUse(msgspec.Struct, kw_only=True):
    """The clicks of one recipient: what is told of a device is that of the last one."""

    open_count: Annotated[int, about("Clicks.", 5)]
    date_opened: Annotated[int | None, about("Unix time of the first one; null when there was none.", 1792137600)]
    user_geo_country: Annotated[str | None, about("ISO 3166 code; null when it is not known.", "AU")]
    user_geo_region: Annotated[str | None, about("Always null: regions are not looked up.", None)]
    user_device: Annotated[str | None, about("mobile, tablet, desktop or null.", "mobile")]
    user_browser: Annotated[str | None, about("In small letters, or null.", "safari")]
    user_os: Annotated[str | None, about("In small letters, or null.", "ios")]
    contact: LinkContact


class LinkUses(msgspec.Struct, kw_only=True):
    """The whole answer. A URL of a page is only there when there is such a page."""

    total: Annotated[int, about("Recipients.", 500)]
    per_page: Annotated[int, about("The limit in force.", 15)]
    current_page_size: Annotated[int, about("Recipients on this page.", 15)]
    prev_page_url: str | msgspec.UnsetType = msgspec.UNSET
    next_page_url: str | msgspec.UnsetType = msgspec.UNSET
    data: list[LinkUse]


@endpoint("", LinkStatistics, bare=True)
def view_statistics(req: Request) -> Reply:
    """View how often the links of a campaign or a message were opened.

    `source` is quick_sms with a `message_id`, or sms_campaign with an `sms_campaign_id`.
    """
    source, source_id = req.params["source"], req.params["source_id"]
    found = statistics.of_source(req.tx, req.who.user_id, source, source_id, _own(req, source))
    return Reply(LinkStatistics([_long_url(one) for one in found]))


@endpoint("", LinkUses, bare=True, query=PAGING)
def view_tracking(req: Request) -> Reply:
    """View who has opened a link, recipient by recipient."""
    key = req.number("long_url_id", statistics.NO_RECORD)
    source, subaccount_id = statistics.source_of(req.tx, req.who.user_id, key)
    if _own(req, source) not in (None, subaccount_id):
        raise NotFound(statistics.NO_RECORD)
    window = paging.window(req)
    total, rows = statistics.recipients(req.tx, key, window.offset, window.limit)
    page = paging.page(req, window, total, rows, _use)
    return Reply(
        LinkUses(
            total=total,
            per_page=page.per_page,
            current_page_size=len(rows),
            prev_page_url=page.prev_page_url or msgspec.UNSET,
            next_page_url=page.next_page_url or msgspec.UNSET,
            data=page.data,
        )
    )


def _own(req: Request, source: str) -> int | None:
    """The subaccount whose campaigns alone the caller sees; None when it sees all, as it does quick sends."""
    everything = req.who.is_main or req.who.shares_campaigns or not source.endswith("_campaign")
    return None if everything else req.who.subaccount_id


def _long_url(opened: Opened) -> LongUrl:
    labels = {name: _labels(counted) for name, counted in opened.labels.items()}
    links = Openings(opened.total, opened.unique, opened.clicks, opened.total - opened.unique)
    return LongUrl(long_url_id=str(opened.long_url_id), links=links, region=[], **labels)


def _labels(counted: Sequence[tuple[str, int]]) -> list[LabelCount]:
    return [LabelCount(label or UNKNOWN, count) for label, count in counted]


def _use(row: Mapping[str, Any]) -> LinkUse:
    contact_id = row["contact_id"]
    return LinkUse(
        open_count=row["count"],
        date_opened=row.get("first"),
        user_geo_country=row.get("country") or None,
        user_geo_region=None,
        user_device=row.get("device") or None,
        user_browser=row.get("browser") or None,
        user_os=row.get("os") or None,
        contact=LinkContact(
            contact_id=None if contact_id is None else str(contact_id),
            first_name=row["first_name"] or None,
            last_name=row["last_name"] or None,
            phone_number=row["recipient"],
        ),
    )
