"""HTTP shapes of the SMS section (endpoints 126 to 143)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.sms import templates
from heliograph.channels.sms.audience import SmsOrder, expanded
from heliograph.channels.sms.channel import NAME, SmsMessage, Writer
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, Status
from heliograph.http import paging, search
from heliograph.http.request import Merged, Reply, Request
from heliograph.messaging import accept, api, polling
from heliograph.messaging.accept import Accepted
from heliograph.webhooks import samples
from heliograph.webhooks.fetch import check_url

MOST_MESSAGES = 1000
EXPORTED = (
    *("direction", "date", "to", "body", "status", "from", "schedule", "status_code", "status_text", "error_code"),
    *("error_text", "message_id", "message_parts", "message_price", "from_email", "list_id", "custom_string"),
    *("contact_id", "user_id", "subaccount_id", "country", "carrier", "first_name", "last_name", "_api_username"),
)


class SendSms(msgspec.Struct):
    """Body of send and price."""

    messages: list[SmsMessage]


class SentSms(msgspec.Struct, kw_only=True):
    """One entry of the answer to a send. Types: facts B (live captures)."""

    to: str
    body: str
    from_: str = msgspec.field(name="from")
    schedule: int | str
    message_id: str | msgspec.UnsetType = msgspec.UNSET
    custom_string: str
    status: str
    direction: str | msgspec.UnsetType = msgspec.UNSET
    date: int | msgspec.UnsetType = msgspec.UNSET
    message_parts: int | msgspec.UnsetType = msgspec.UNSET
    message_price: str | msgspec.UnsetType = msgspec.UNSET
    from_email: str | msgspec.UnsetType | None = msgspec.UNSET
    list_id: int | msgspec.UnsetType | None = msgspec.UNSET
    contact_id: int | msgspec.UnsetType | None = msgspec.UNSET
    user_id: int | msgspec.UnsetType = msgspec.UNSET
    subaccount_id: int | msgspec.UnsetType = msgspec.UNSET
    country: str | msgspec.UnsetType = msgspec.UNSET
    carrier: str | msgspec.UnsetType = msgspec.UNSET


class SendSmsAnswer(msgspec.Struct, kw_only=True):
    """`data` of send and price."""

    total_price: float | int
    total_count: int
    queued_count: int
    messages: list[SentSms]
    currency: currencies.Currency = msgspec.field(name="_currency")
    blocked_count: int


class DateBefore(msgspec.Struct):
    """Body of the read marks."""

    date_before: int | None = None


class TargetUrl(msgspec.Struct):
    """Body of the test events."""

    url: str


class TemplateBody(msgspec.Struct):
    """Body of the template endpoints."""

    template_name: str
    body: str


def sending(writer: Writer) -> tuple[Merged, Merged]:
    """The handlers of send and price."""

    def prepare(req: Request, quote: bool) -> SmsOrder:
        found = req.decode(SendSms).messages
        if not found:
            raise BadRequest({"messages": "Messages field is required."})
        if len(found) > MOST_MESSAGES:
            text = f"Too many recipients: at most {MOST_MESSAGES} messages in one request."
            raise BadRequest({"messages": text}, message=text)
        settings = req.services.settings
        now = req.services.database.clock()
        throttle = settings.throttle_seconds if req.who.throttle_seconds is None else req.who.throttle_seconds
        return SmsOrder(
            principal=req.who,
            channel=NAME,
            request_id=req.id,
            drafts=[writer.draft(req.who, given, now) for given in found],
            throttle=0 if quote else throttle,
            quote=quote,
            lists={at: given for at, given in enumerate(found) if given.list_id is not None and not given.to},
        )

    def merge(tx: Tx, orders: list[SmsOrder]) -> Sequence[list[Accepted]]:
        return accept.accept(tx, [expanded(tx, order, writer) for order in orders])

    return (
        Merged(lambda req: prepare(req, False), merge, _sent),
        Merged(lambda req: prepare(req, True), merge, _priced),
    )


def _sent(req: Request, fates: list[Accepted]) -> Reply:
    return _answer(req, fates, [_one(req, fate) for fate in fates])


def _priced(req: Request, fates: list[Accepted]) -> Reply:
    """127 shows less of a message: it has no id, nor anything else that only a sent one has."""
    return _answer(req, fates, [_quoted(fate) for fate in fates])


def _answer(req: Request, fates: list[Accepted], messages: list[SentSms]) -> Reply:
    good = [fate for fate in fates if fate.status == Status.SUCCESS]
    return Reply(
        SendSmsAnswer(
            total_price=prices.number(sum(fate.price_micros for fate in good)),
            total_count=len(fates),
            queued_count=len(good),
            messages=messages,
            currency=currencies.describe(req.who.currency),
            blocked_count=sum(fate.status == Status.COUNTRY_NOT_ENABLED for fate in fates),
        )
    )


def _quoted(fate: Accepted) -> SentSms:
    draft = fate.draft
    return SentSms(
        to=draft.recipient,
        body=draft.body,
        from_=draft.sender,
        schedule=draft.schedule or fate.date,
        message_parts=draft.units if draft.refusal is None else 0,
        message_price=prices.fixed(fate.price_micros, 4),
        custom_string=draft.custom_string,
        country=draft.country,
        status=fate.status,
    )


def _one(req: Request, fate: Accepted) -> SentSms:
    draft = fate.draft
    # A refused country is told with everything else that is known of the message (facts B, a live capture).
    if draft.refusal is not None and draft.refusal != Status.COUNTRY_NOT_ENABLED:
        return SentSms(
            to=draft.recipient,
            body=draft.body,
            from_=draft.sender,
            schedule="",
            message_id=fate.message_id,
            custom_string=draft.custom_string,
            status=fate.status,
        )
    return SentSms(
        direction="out",
        date=fate.date,
        to=draft.recipient,
        body=draft.body,
        from_=draft.sender,
        schedule=draft.schedule or fate.date,
        message_id=fate.message_id,
        message_parts=draft.units,
        message_price=prices.fixed(fate.price_micros, 4),
        from_email=draft.from_email,
        list_id=draft.list_id,
        custom_string=draft.custom_string,
        contact_id=draft.contact_id,
        user_id=req.who.user_id,
        subaccount_id=req.who.subaccount_id,
        country=draft.country,
        carrier=draft.carrier,
        status=fate.status,
    )


def history_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the history with the documented types."""
    return {
        "direction": "out",
        "date": str(row["date"]),
        "to": row["recipient"],
        "body": row["body"],
        "status": row["status"],
        "from": row["sender"],
        "schedule": str(row["schedule"]),
        "status_code": row["status_code"],
        "status_text": row["status_text"],
        "error_code": row["error_code"],
        "error_text": row["error_text"],
        "message_id": row["message_id"],
        "message_parts": f"{row['parts']:.2f}",
        "message_price": prices.fixed(row["price_micros"], 6),
        "from_email": row["from_email"],
        "list_id": row["list_id"],
        "custom_string": row["custom_string"],
        "contact_id": row["contact_id"] or 0,
        "user_id": row["user_id"],
        "subaccount_id": row["subaccount_id"],
        "country": row["country"],
        "carrier": row["carrier"],
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "_api_username": row["api_username"],
    }


view_history = api.viewing(NAME, history_row)
export_history = api.exporting(NAME, history_row, EXPORTED)
cancel, cancel_all = api.cancelling(NAME)


def view_receipts(req: Request) -> Reply:
    """129. The unread receipts that a POLL rule collected."""
    shown = paging.window(req)
    total, rows = polling.receipts(req.tx, req.who.user_id, NAME, shown.offset, shown.limit)
    return Reply(paging.page(req, shown, total, rows, _receipt))


def _receipt(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "timestamp_send": str(row["timestamp_send"]),
        "timestamp": str(row["timestamp"]),
        "message_id": row["message_id"],
        "status": row["status"],
        "status_code": row["status_code"],
        "status_text": row["status_text"],
        "error_code": row["error_code"],
        "error_text": row["error_text"],
        "custom_string": row["custom_string"],
        "user_id": row["user_id"],
        "subaccount_id": row["subaccount_id"],
        "message_type": NAME,
        "_message_type": NAME,
    }


def view_receipt(req: Request) -> Reply:
    """130. The newest receipt of one message, read or not."""
    row = polling.receipt(req.tx, req.who.user_id, NAME, req.params["message_id"].upper())
    if row is None:
        raise NotFound("Receipt record not found.")
    entry = _receipt(row)
    del entry["_message_type"]
    return Reply(entry)


def read_receipts(req: Request) -> Reply:
    """131. Mark receipts as read, up to a time."""
    polling.mark_receipts(req.tx, req.who.user_id, NAME, req.decode(DateBefore).date_before)
    return Reply([])


def view_inbound(req: Request) -> Reply:
    """133. The unread inbound messages that a POLL rule collected."""
    shown = paging.window(req)
    total, rows = polling.inbound(req.tx, req.who.user_id, NAME, shown.offset, shown.limit)
    return Reply(paging.page(req, shown, total, rows, _inbound))


def _inbound(row: Mapping[str, Any]) -> dict[str, Any]:
    words = row["body"].split()
    return {
        "timestamp": str(row["timestamp"]),
        "from": row["sender"],
        "body": row["body"],
        "original_body": row["original_body"],
        "original_message_id": row["original_message_id"],
        "to": row["recipient"],
        "custom_string": row["custom_string"],
        "message_id": row["message_id"],
        "_keyword": words[0].lower() if words else "",
    }


def read_inbound(req: Request) -> Reply:
    """134. Mark inbound messages as read, up to a time."""
    polling.mark_inbound(req.tx, req.who.user_id, NAME, req.decode(DateBefore).date_before)
    return Reply([])


def read_one_inbound(req: Request) -> Reply:
    """135. Mark one inbound message as read."""
    if not polling.mark_one(req.tx, req.who.user_id, NAME, req.params["message_id"].upper()):
        raise NotFound("Message record not found.")
    return Reply(1)


def _test_event(make: Callable[[Tx, int, int, str], dict[str, Any]]) -> Callable[[Request], Reply]:
    def handler(req: Request) -> Reply:
        url = req.decode(TargetUrl).url
        fault = check_url(url)
        if fault:
            raise BadRequest({"url": fault})
        return Reply(make(req.tx, req.who.user_id, req.who.subaccount_id, url))

    return handler


test_receipt = _test_event(samples.receipt)
test_inbound = _test_event(samples.inbound)


def view_templates(req: Request) -> Reply:
    """138. The account's templates."""
    shown = paging.window(req)
    total, rows = search.rows(
        req, templates.of(req.who.user_id), templates.COLUMNS, shown, default=("template_id", False)
    )
    return Reply(paging.page(req, shown, total, rows, dict))


def create_template(req: Request) -> Reply:
    """139."""
    given = req.decode(TemplateBody)
    return Reply(templates.create(req.tx, req.who.user_id, _named(given), given.body))


def update_template(req: Request) -> Reply:
    """140."""
    given = req.decode(TemplateBody)
    key = req.number("template_id", templates.UNKNOWN)
    return Reply(templates.update(req.tx, req.who.user_id, key, _named(given), given.body))


def _named(given: TemplateBody) -> str:
    empty = [name for name in ("template_name", "body") if not getattr(given, name).strip()]
    if empty:
        raise BadRequest({name: f"{name.capitalize().replace('_', ' ')} field is required." for name in empty})
    return given.template_name


def delete_template(req: Request) -> Reply:
    """141."""
    templates.delete(req.tx, req.who.user_id, req.number("template_id", templates.UNKNOWN))
    return Reply([])
