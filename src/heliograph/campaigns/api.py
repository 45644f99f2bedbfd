"""The endpoints of campaigns, made for a channel out of what is particular to it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from heliograph.accounts.account import Principal
from heliograph.campaigns import campaign, expansion, plan
from heliograph.campaigns.campaign import Row
from heliograph.campaigns.plan import Plan, Wanted
from heliograph.channels.table import CAMPAIGNS
from heliograph.db.engine import Tx
from heliograph.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound, label, required
from heliograph.http import paging, search
from heliograph.http.endpoint import Merged, endpoint
from heliograph.http.parameters import DATES
from heliograph.http.request import Reply, Request
from heliograph.http.route import Endpoint
from heliograph.links import literals
from heliograph.messaging.channel import BASE_URL
from heliograph.phone import COUNTRIES

LONGEST = {"name": 255, "sender": 255, "custom_string": 1000, "source": 255}
"""Characters of what each campaign has. How long a body may be says its channel."""

NEEDED = ("list_id", "name", "body")


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to the campaigns of a channel: names, shapes and texts of the contract.

    `body` has the fields of `Wanted`, all of them optional, and others, which become its `details`. `longest_body` is
    in characters. Each answer is a struct, and what makes it of a campaign's row; `created` is made of the plan as
    well, and `priced` of nothing else.
    """

    channel: str
    id_name: str
    body: type[msgspec.Struct]
    longest_body: int
    created: tuple[type[msgspec.Struct], Callable[[Row, Plan], msgspec.Struct]]
    changed: tuple[type[msgspec.Struct], Callable[[Row], msgspec.Struct]]
    listed: tuple[type[msgspec.Struct], Callable[[Row], msgspec.Struct]]
    viewed: tuple[type[msgspec.Struct], Callable[[Row], msgspec.Struct]]
    priced: tuple[type[msgspec.Struct], Callable[[Plan, int], msgspec.Struct]]
    texts: Mapping[str, str]
    """`response_msg` of each endpoint, by its name in `Campaigns`."""
    needed: Sequence[str] = NEEDED
    fetch: Callable[[Request, Wanted, Collection[str]], Awaitable[Wanted]] | None = None
    """Fetches, before anything is planned, what is asked for, of which the request has named these fields; what is
    wanted with it. Raises ApiError."""
    keep: Callable[..., None] | None = None
    """Keeps what was fetched, in the transaction of the order: (tx, row, plan, *, settings). Raises BadRequest."""
    counted: Callable[[Tx, Sequence[Row]], Sequence[Row]] | None = None
    """Adds to rows what is counted of their campaigns."""
    bare: bool = False
    """Whether the list is answered without the envelope."""
    cancelled_once: bool = False
    """Whether what has ended already is, for who cancels it, no campaign any more."""


class Campaigns(NamedTuple):
    """The endpoints of one channel's campaigns."""

    send: Endpoint
    price: Endpoint
    update: Endpoint
    cancel: Endpoint
    view_all: Endpoint
    view: Endpoint


class _Item(NamedTuple):
    """A campaign that is to be ordered, or changed when `before` is there; or why that is refused."""

    who: Principal
    plan: Plan | ApiError
    before: Row | None
    ip_address: str
    request_id: str
    keep: Callable[[Tx, Row, Plan], None] | None


class _Stored(NamedTuple):
    """A campaign as it was ordered or changed."""

    row: Row
    plan: Plan


def campaigning(family: Family) -> Campaigns:
    """The endpoints for campaigns of a channel."""
    columns, texts, item = campaign.columns(family.id_name), family.texts, partial(_item, family=family)

    async def send(req: Request, body: Any) -> tuple[Plan | ApiError, Row | None]:
        try:
            return await _planned(req, family, await _ordered(req, family, body)), None
        except ApiError as refused:
            return refused, None

    async def change(req: Request, body: Any) -> tuple[Plan | ApiError, Row | None]:
        try:
            return await _replanned(req, family, body)
        except ApiError as refused:
            return refused, None

    def created(req: Request, stored: _Stored) -> Reply:
        """Send a campaign to a contact list. Everything is charged at once; with `draft` 1, nothing is sent yet."""
        return Reply(family.created[1](_linked(req, stored.row), stored.plan))

    def changed(req: Request, stored: _Stored) -> Reply:
        """Change a campaign whose first message has not left. What is not named stays; `draft` 0 starts a draft."""
        return Reply(family.changed[1](_linked(req, stored.row)))

    @endpoint(texts["price"], family.priced[0], body=family.body, refuses=(NotFound,))
    async def price(req: Request) -> Reply:
        """See what a campaign would cost, and its message to the first contact."""
        made = await _planned(req, family, await _ordered(req, family, req.decode(family.body)))
        return Reply(family.priced[1](made, int(req.services.database.clock())))

    @endpoint(texts["cancel"], family.changed[0])
    async def cancel(req: Request) -> Reply:
        """Cancel a campaign. Of one that is under way, what is not handed over is cancelled and refunded."""
        key, database = _key(req, family), req.services.database
        try:
            row = await database.write(lambda tx: campaign.cancel(tx, req.who, family.channel, key))
        except BadRequest:
            if family.cancelled_once:
                raise NotFound(campaign.NO_RECORD) from None
            raise
        write = partial(database.write, slow=True)
        await expansion.withdraw(database, req.services.channels[family.channel], row, write)
        (row,) = await database.read(lambda tx: _counted(tx, family, [row]))
        return Reply(family.changed[1](_linked(req, row)))

    @endpoint(texts["view_all"], family.listed[0], paged=True, query=DATES, bare=family.bare)
    def view_all(req: Request) -> Reply:
        """View the campaigns, oldest first unless `order_by` says otherwise."""
        base = campaign.visible(req.who, family.channel)
        dated = campaign.between(base, req.unix_time("date_from"), req.unix_time("date_to"))
        window = paging.window(req)
        total, rows = search.select_rows(req, dated, columns, window, ("date_added", False))
        found = _counted(req.tx, family, rows)
        return Reply(paging.page(req, window, total, found, lambda row: family.listed[1](_linked(req, row))))

    @endpoint(texts["view"], family.viewed[0])
    def view(req: Request) -> Reply:
        """View a campaign."""
        (row,) = _counted(req.tx, family, [campaign.find(req.tx, req.who, family.channel, _key(req, family))])
        return Reply(family.viewed[1](_linked(req, row)))

    return Campaigns(
        endpoint(texts["send"], family.created[0], body=family.body, spends=True, refuses=(NotFound,))(
            Merged(item, partial(_stored, channel=family.channel), created, gather=send, slow=True)
        ),
        price,
        endpoint(texts["update"], family.changed[0], body=family.body, refuses=(Conflict,))(
            Merged(item, partial(_stored, channel=family.channel), changed, gather=change, slow=True)
        ),
        cancel,
        view_all,
        view,
    )


def _key(req: Request, family: Family) -> int:
    return req.number(family.id_name, campaign.NO_RECORD)


def _linked(req: Request, row: Row) -> Row:
    """A row with the address that links in its answer begin with."""
    return {**row, BASE_URL: req.base_url}


def _item(req: Request, body: Any, *, family: Family) -> _Item:
    made, before = req.gathered
    keep = partial(family.keep, settings=req.services.settings) if family.keep else None
    return _Item(req.who, made, before, req.client, req.id, keep)


def _stored(tx: Tx, items: Sequence[_Item], *, channel: str) -> list[_Stored]:
    """Store what was planned. An error ends the transaction, and each of several is then stored by itself."""
    return [_store(tx, item, channel) for item in items]


def _store(tx: Tx, item: _Item, channel: str) -> _Stored:
    if isinstance(item.plan, ApiError):
        raise item.plan
    if item.before is not None:
        row = campaign.change(tx, item.who, item.before, item.plan)
    else:
        ids = {"ip_address": item.ip_address, "request_id": item.request_id}
        row = campaign.create(tx, item.who, channel, item.plan, **ids)
    if item.keep is not None:
        item.keep(tx, row, item.plan)
    return _Stored(row, item.plan)


def _planned(req: Request, family: Family, wanted: Wanted, kept: Sequence[int] | None = None) -> Awaitable[Plan]:
    """Price what is wanted. Raises ApiError."""
    _check(req.who, wanted, family)
    services = req.services
    to = services.channels[family.channel]
    return plan.make(services.database, req.who, to, CAMPAIGNS[family.channel], wanted, kept)


async def _replanned(req: Request, family: Family, body: Any) -> tuple[Plan, Row]:
    """Price a campaign as it would be after a change, for the same recipients unless the list is another one."""
    key = _key(req, family)

    def read(tx: Tx) -> tuple[Row, list[int]]:
        row = campaign.find(tx, req.who, family.channel, key)
        campaign.check_changeable(row)
        return row, [one.contact_id for one in campaign.recipients(tx, key)]

    before, kept = await req.services.database.read(read)
    old = campaign.wanted(before)
    columns, details = _named(body)
    wanted = msgspec.structs.replace(old, **columns, details={**old.details, **details})
    if family.fetch:
        wanted = await family.fetch(req, wanted, {*columns, *details})
    same = wanted.list_id == old.list_id and not old.draft
    return await _planned(req, family, wanted, kept if same else None), before


def _named(body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a body names: (fields of Wanted, details)."""
    given = {
        "sender" if name == "from_" else name: value
        for name in body.__struct_fields__
        if (value := getattr(body, name)) is not None
    }
    known = {name: given.pop(name) for name in Wanted.__struct_fields__ if name in given}
    return known, msgspec.to_builtins(given)


async def _ordered(req: Request, family: Family, body: Any) -> Wanted:
    """What the body of an order asks for, with what it names. Raises ApiError, with what is missing if need be."""
    columns, details = _named(body)
    missing = [name for name in family.needed if name not in columns and name not in details]
    if missing:
        raise BadRequest({name: required(name) for name in missing})
    wanted = Wanted(**columns, details=details)
    return await family.fetch(req, wanted, {*columns, *details}) if family.fetch else wanted


def _counted(tx: Tx, family: Family, rows: Sequence[Row]) -> Sequence[Row]:
    return family.counted(tx, rows) if family.counted else rows


def _check(who: Principal, wanted: Wanted, family: Family) -> None:
    """Look at what is asked for, before anybody's contacts are read. Raises Forbidden, BadRequest."""
    if "contacts" not in who.access:
        raise Forbidden
    faults = {name: required(name) for name in ("name", "body") if not getattr(wanted, name).strip()}
    for name, most in {**LONGEST, "body": family.longest_body}.items():
        if len(getattr(wanted, name) or "") > most:
            field = "from" if name == "sender" else name
            faults[field] = f"{label(field)} is longer than {most} characters."
    if wanted.country and wanted.country.upper() not in COUNTRIES:
        faults["country"] = "Country must be an ISO 3166 code of two letters."
    if faults:
        raise BadRequest(faults)
    literals.check(wanted.body, wanted.url_to_shorten)
