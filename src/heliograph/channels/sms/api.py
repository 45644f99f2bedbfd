"""HTTP shapes of the SMS section (endpoints 126 to 143)."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.sms import templates
from heliograph.channels.sms.audience import SmsOrder, expanded
from heliograph.channels.sms.channel import NAME, SmsMessage
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, Status, required
from heliograph.fields import (
    Country,
    CustomString,
    MessageId,
    Nothing,
    PhoneNumber,
    Price,
    Subaccount,
    UnixText,
    UnixTime,
    about,
)
from heliograph.http import paging, search
from heliograph.http.endpoint import Merged, endpoint
from heliograph.http.request import Reply, Request
from heliograph.messaging import accept, api, message, polling
from heliograph.messaging.channel import Accepted
from heliograph.webhooks import samples
from heliograph.webhooks.fetch import check_url

MOST_MESSAGES = 1000


Carrier = Annotated[str, about("The network that the number was given to first; empty when unknown.", "Telstra")]


class SendSms(msgspec.Struct):
    """Body of send and price."""

    messages: Annotated[list[SmsMessage], about("At most 1000.", minItems=1, maxItems=MOST_MESSAGES)]


class SentSms(msgspec.Struct, kw_only=True, gc=False):
    """One entry of the answer to a send. Types: facts B (live captures)."""

    to: PhoneNumber
    body: Annotated[str, about("The text, with placeholders filled.", "Hello")]
    from_: Annotated[str, about("The sender that the recipient sees.", "+61411111111")] = msgspec.field(name="from")
    schedule: Annotated[int | str, about("Unix time when it is to be sent; empty for a refused one.", 1792137600)]
    message_id: MessageId | msgspec.UnsetType = msgspec.UNSET
    custom_string: CustomString
    status: Annotated[str, about("SUCCESS, or why it was refused; a refused one costs nothing.", "SUCCESS")]
    direction: Annotated[str | msgspec.UnsetType, about("Always out.", "out")] = msgspec.UNSET
    date: UnixTime | msgspec.UnsetType = msgspec.UNSET
    message_parts: Annotated[int | msgspec.UnsetType, about("Segments that are charged.", 1)] = msgspec.UNSET
    message_price: Price | msgspec.UnsetType = msgspec.UNSET
    from_email: Annotated[str | msgspec.UnsetType | None, about("Where replies are mailed to.", None)] = msgspec.UNSET
    list_id: Annotated[int | msgspec.UnsetType | None, about("The list it was sent to.", None)] = msgspec.UNSET
    contact_id: Annotated[int | msgspec.UnsetType | None, about("The contact it was sent to.", None)] = msgspec.UNSET
    user_id: int | msgspec.UnsetType = msgspec.UNSET
    subaccount_id: Subaccount | msgspec.UnsetType = msgspec.UNSET
    country: Country | msgspec.UnsetType = msgspec.UNSET
    carrier: Carrier | msgspec.UnsetType = msgspec.UNSET


class SendSmsAnswer(msgspec.Struct, kw_only=True):
    """`data` of send and price."""

    total_price: Annotated[float | int, about("Sum of the prices, in units of the currency.", 0.0715)]
    total_count: Annotated[int, about("Messages of the request.", 1)]
    queued_count: Annotated[int, about("Messages that were accepted.", 1)]
    messages: Annotated[list[SentSms], about("What became of each message, in the order of the request.")]
    currency: currencies.Currency = msgspec.field(name="_currency")
    blocked_count: Annotated[int, about("Messages to countries that the account has not selected.", 0)]


class DateBefore(msgspec.Struct):
    """Body of the read marks."""

    date_before: Annotated[
        int | None, about("Mark what is older than this Unix time; without it, everything.", 1792137600)
    ] = None


class TargetUrl(msgspec.Struct):
    """Body of the test events."""

    url: Annotated[str, about("Where the test event is sent.", "https://example.com/hook")]


class TemplateBody(msgspec.Struct):
    """Body of the template endpoints."""

    template_name: Annotated[str, about("Name of the template; not empty.", "Greeting", pattern=r"\S")]
    body: Annotated[str, about("Text of the template; not empty.", "Hello!", pattern=r"\S")]


class HistoryEntry(msgspec.Struct, kw_only=True):
    """A message in the history (142), and the columns of its export (143)."""

    direction: Literal["out"]
    date: Annotated[UnixText, about("When it was accepted.")]
    to: PhoneNumber
    body: str
    status: Annotated[str, about("Scheduled, Queued, Sending, Sent, Completed, Failed or Cancelled.", "Completed")]
    from_: Annotated[str, about("The sender that the recipient sees.", "+61411111111")] = msgspec.field(name="from")
    schedule: Annotated[UnixText, about("When it was to be sent.")]
    status_code: Annotated[str | None, about("200 on its way, 201 delivered, 300 tried again, 301 failed.", "201")]
    status_text: str | None
    error_code: Annotated[str | None, about("The carrier's own code for what went wrong.", None)]
    error_text: str | None
    message_id: MessageId
    message_parts: Annotated[str, about("Segments that were charged.", "1.00")]
    message_price: Annotated[str, about("Price in units of the currency, six decimals.", "0.071500")]
    from_email: str | None
    list_id: int | None
    custom_string: CustomString
    contact_id: Annotated[int, about("0 when it was not sent to a contact.", 0)]
    user_id: int
    subaccount_id: Subaccount
    country: Country
    carrier: Carrier
    first_name: str
    last_name: str
    api_username: Annotated[str, about("User name of the subaccount.")] = msgspec.field(name="_api_username")


class SampleReceipt(msgspec.Struct, kw_only=True):
    """`data` of a test receipt (128)."""

    timestamp: UnixText
    message_id: MessageId
    status_code: Annotated[str, about("201 delivered, 300 tried again, 301 failed.", "201")]
    status_text: Annotated[str, about("What happened.", message.DELIVERED_TEXT)]
    error_code: Annotated[str | None, about("The carrier's own code for what went wrong.", None)]
    error_text: str | None
    custom_string: CustomString | None


class Receipt(SampleReceipt, kw_only=True):
    """A receipt (130)."""

    timestamp_send: Annotated[UnixText, about("When the message was sent.")]
    status: Annotated[str, about("Delivered or Undelivered.", "Delivered")]
    user_id: int
    subaccount_id: Subaccount
    message_type: Literal["sms"]


class ReceiptEntry(Receipt, kw_only=True):
    """A receipt in the list (129), where the contract spells its type differently; it has both (facts L)."""

    listed_type: Literal["sms"] = msgspec.field(name="_message_type")


class InboundEntry(msgspec.Struct, kw_only=True):
    """An inbound message (132, 133)."""

    timestamp: UnixText
    from_: PhoneNumber = msgspec.field(name="from")
    body: str
    original_body: Annotated[str, about("Text of the message that this one answers; empty when there is none.")]
    original_message_id: Annotated[str, about("Id of the message that this one answers; empty when there is none.")]
    to: PhoneNumber
    custom_string: Annotated[str | None, about("Your reference of the message that this one answers.")]
    message_id: MessageId
    keyword: Annotated[str, about("The first word in small letters.", "stop")] = msgspec.field(name="_keyword")


Marked = Annotated[Literal[1], about("Always 1.")]


class Template(msgspec.Struct, kw_only=True):
    """A template (138 to 140)."""

    template_id: Annotated[int, about("Id of the template.", 1)]
    body: str
    template_name: str


def _prepare(req: Request, body: SendSms, *, quote: bool) -> SmsOrder:
    messages = body.messages
    if not messages:
        raise BadRequest({"messages": required("messages")})
    if len(messages) > MOST_MESSAGES:
        text = f"Too many recipients: at most {MOST_MESSAGES} messages in one request."
        raise BadRequest({"messages": text}, message=text)
    settings = req.services.settings
    channel = req.services.channels[NAME]
    now = req.services.database.clock()
    throttle = settings.throttle_seconds if req.who.throttle_seconds is None else req.who.throttle_seconds
    return SmsOrder(
        principal=req.who,
        channel=channel,
        request_id=req.id,
        drafts=[channel.draft(req.who, message, now) for message in messages],
        throttle=0 if quote else throttle,
        quote=quote,
        lists={at: one for at, one in enumerate(messages) if one.list_id is not None and not one.to},
    )


def _merge(tx: Tx, orders: list[SmsOrder]) -> Sequence[list[Accepted]]:
    expanded_orders = [expanded(tx, order) for order in orders]
    orders[0].channel.judge(tx, expanded_orders)
    return accept.accept(tx, expanded_orders)


def _to_lists(order: SmsOrder) -> bool:
    return bool(order.lists)


def _sent(req: Request, fates: list[Accepted]) -> Reply:
    """Send messages. Each has a status of its own, and only those that are accepted are charged."""
    return _answer(req, fates, [_one(req, fate) for fate in fates])


def _priced(req: Request, fates: list[Accepted]) -> Reply:
    """See what messages would cost. They have no ids, nor anything else that only sent ones have."""
    return _answer(req, fates, [_quoted(fate) for fate in fates])


send = endpoint("Here are your data.", SendSmsAnswer, spends=True)(
    Merged(partial(_prepare, quote=False), _merge, _sent, _to_lists)
)
price = endpoint("Here are your data.", SendSmsAnswer)(
    Merged(partial(_prepare, quote=True), _merge, _priced, _to_lists)
)


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


def history_row(row: Mapping[str, Any]) -> HistoryEntry:
    """An entry of the history with the documented types."""
    return HistoryEntry(
        direction="out",
        date=str(row["date"]),
        to=row["recipient"],
        body=row["body"],
        status=row["status"],
        from_=row["sender"],
        schedule=str(row["schedule"]),
        status_code=row["status_code"],
        status_text=row["status_text"],
        error_code=row["error_code"],
        error_text=row["error_text"],
        message_id=row["message_id"],
        message_parts=f"{row['parts']:.2f}",
        message_price=prices.fixed(row["price_micros"], 6),
        from_email=row["from_email"],
        list_id=row["list_id"],
        custom_string=row["custom_string"],
        contact_id=row["contact_id"] or 0,
        user_id=row["user_id"],
        subaccount_id=row["subaccount_id"],
        country=row["country"],
        carrier=row["carrier"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        api_username=row["api_username"],
    )


view_history = api.viewing(NAME, history_row, HistoryEntry)
export_history = api.exporting(NAME, history_row, HistoryEntry)
cancel, cancel_all = api.cancelling(NAME)


@endpoint("Here are your delivery receipts.", ReceiptEntry, paged=True)
def view_receipts(req: Request) -> Reply:
    """View the unread receipts that a POLL rule collected."""
    window = paging.window(req)
    if search.asked(req):
        base = polling.unread_receipts(req.tx, req.who.user_id, NAME)
        return search.page(req, base, polling.RECEIPT_COLUMNS, ("receipt_id", False), _entry)
    total, rows = polling.receipts(req.tx, req.who.user_id, NAME, window.offset, window.limit)
    return Reply(paging.page(req, window, total, rows, _entry))


def _entry(row: Mapping[str, Any]) -> ReceiptEntry:
    return ReceiptEntry(**_receipt(row), listed_type="sms")


def _receipt(row: Mapping[str, Any]) -> dict[str, Any]:
    same = ("message_id", "status", "status_code", "status_text", "error_code", "error_text", "custom_string")
    return {
        **{name: row[name] for name in (*same, "user_id", "subaccount_id")},
        "timestamp_send": str(row["timestamp_send"]),
        "timestamp": str(row["timestamp"]),
        "message_type": "sms",
    }


@endpoint("Your receipt.", Receipt)
def view_receipt(req: Request) -> Reply:
    """View the newest receipt of one message, read or not."""
    row = polling.receipt(req.tx, req.who.user_id, NAME, req.params["message_id"].upper())
    if row is None:
        raise NotFound("Receipt record not found.")
    return Reply(Receipt(**_receipt(row)))


@endpoint("Receipts has been marked as read.", Nothing)
def read_receipts(req: Request, body: DateBefore) -> Reply:
    """Mark receipts as read, up to a time."""
    polling.mark_receipts(req.tx, req.who.user_id, NAME, body.date_before)
    return Reply([])


@endpoint("Here are your data.", InboundEntry, paged=True)
def view_inbound(req: Request) -> Reply:
    """View the unread inbound messages that a POLL rule collected."""
    window = paging.window(req)
    if search.asked(req):
        base = polling.unread_inbound(req.who.user_id, NAME)
        return search.page(req, base, polling.INBOUND_COLUMNS, ("inbound_id", True), _inbound)
    total, rows = polling.inbound(req.tx, req.who.user_id, NAME, window.offset, window.limit)
    return Reply(paging.page(req, window, total, rows, _inbound))


def _inbound(row: Mapping[str, Any]) -> InboundEntry:
    words = row["body"].split()
    return InboundEntry(
        timestamp=str(row["timestamp"]),
        from_=row["sender"],
        body=row["body"],
        original_body=row["original_body"],
        original_message_id=row["original_message_id"],
        to=row["recipient"],
        custom_string=row["custom_string"],
        message_id=row["message_id"],
        keyword=words[0].lower() if words else "",
    )


@endpoint("Inbound messages have been marked as read.", Nothing)
def read_inbound(req: Request, body: DateBefore) -> Reply:
    """Mark inbound messages as read, up to a time."""
    polling.mark_inbound(req.tx, req.who.user_id, NAME, body.date_before)
    return Reply([])


@endpoint("Receipt have been marked as read.", Marked)
def read_one_inbound(req: Request) -> Reply:
    """Mark one inbound message as read."""
    if not polling.mark_one(req.tx, req.who.user_id, NAME, req.params["message_id"].upper()):
        raise NotFound("Message record not found.")
    return Reply(1)


@endpoint("Receipt has been added", SampleReceipt)
def test_receipt(req: Request, body: TargetUrl) -> Reply:
    """Send a test receipt to a URL."""
    row = samples.receipt(req.tx, req.who.user_id, req.who.subaccount_id, _target(req, body))
    return Reply(
        SampleReceipt(
            timestamp=str(row["timestamp"]),
            message_id=row["message_id"],
            status_code=row["status_code"],
            status_text=row["status_text"],
            error_code=row["error_code"],
            error_text=row["error_text"],
            custom_string=None,
        )
    )


@endpoint("Here are your incoming messages.", InboundEntry)
def test_inbound(req: Request, body: TargetUrl) -> Reply:
    """Send a test inbound message to a URL."""
    row = samples.inbound(req.tx, req.who.user_id, req.who.subaccount_id, _target(req, body))
    return Reply(_inbound({**row, "custom_string": None}))


def _target(req: Request, body: TargetUrl) -> str:
    fault = check_url(body.url, private=req.services.settings.private_webhooks)
    if fault:
        raise BadRequest({"url": fault})
    return body.url


@endpoint("Here are your data.", Template, paged=True)
def view_templates(req: Request) -> Reply:
    """View the templates."""
    base = templates.of(req.who.user_id)
    return search.page(req, base, templates.COLUMNS, ("template_id", False), lambda row: Template(**row))


@endpoint("New template has been saved.", Template)
def create_template(req: Request, body: TemplateBody) -> Reply:
    """Create a template."""
    _check_template(body)
    key = templates.create(req.tx, req.who.user_id, body.template_name, body.body)
    return Reply(Template(template_id=key, body=body.body, template_name=body.template_name))


@endpoint("Your template has been updated.", Template)
def update_template(req: Request, body: TemplateBody) -> Reply:
    """Change a template."""
    key = req.number("template_id", templates.UNKNOWN)
    _check_template(body)
    templates.update(req.tx, req.who.user_id, key, body.template_name, body.body)
    return Reply(Template(template_id=key, body=body.body, template_name=body.template_name))


def _check_template(body: TemplateBody) -> None:
    empty = [name for name in ("template_name", "body") if not getattr(body, name).strip()]
    if empty:
        raise BadRequest({name: required(name) for name in empty})


@endpoint("Your template has been deleted.", Nothing)
def delete_template(req: Request) -> Reply:
    """Delete a template."""
    templates.delete(req.tx, req.who.user_id, req.number("template_id", templates.UNKNOWN))
    return Reply([])
