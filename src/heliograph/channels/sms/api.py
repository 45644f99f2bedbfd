"""The SMS section (endpoints 126 to 143)."""

from collections.abc import Callable

from heliograph.billing import currencies, prices
from heliograph.campaigns.api import Family, campaigning
from heliograph.campaigns.plan import Plan
from heliograph.channels.api import sending_and_pricing
from heliograph.channels.campaign_shapes import LONGEST_BODY
from heliograph.channels.sms import campaigns as campaign_shapes
from heliograph.channels.sms import shapes, templates
from heliograph.channels.sms.campaigns import SmsCampaign, SmsCampaignBody, SmsCampaignPrice, ViewedSmsCampaign
from heliograph.channels.sms.channel import NAME
from heliograph.channels.sms.shapes import SendSms, SendSmsAnswer, SentSms, SmsTemplate, SmsTemplateBody
from heliograph.errors import BadRequest, Status, required
from heliograph.fields import Nothing, Null
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.messaging import api
from heliograph.messaging.channel import Accepted


def _sent(req: Request, fates: list[Accepted]) -> Reply:
    """Send messages. Each has a status of its own, and only those that are accepted are charged."""
    user_id, subaccount_id = req.who.user_id, req.who.subaccount_id
    return _answer(req, fates, lambda fate: shapes.sent(fate, user_id, subaccount_id))


def _priced(req: Request, fates: list[Accepted]) -> Reply:
    """See what messages would cost. They have no ids, nor anything else that only sent ones have."""
    return _answer(req, fates, shapes.quoted)


def _answer(req: Request, fates: list[Accepted], render: Callable[[Accepted], SentSms]) -> Reply:
    micros = [fate.price_micros for fate in fates if fate.status == Status.SUCCESS]
    return Reply(
        SendSmsAnswer(
            total_price=prices.number(sum(micros)),
            total_count=len(fates),
            queued_count=len(micros),
            messages=[render(fate) for fate in fates],
            currency=currencies.describe(req.who.currency),
            blocked_count=[fate.status for fate in fates].count(Status.COUNTRY_NOT_ENABLED),
        )
    )


send, price = sending_and_pricing(
    NAME, SendSms, SendSmsAnswer, _sent, _priced, most=shapes.MOST_MESSAGES, asked=SendSms.asked
)
view_history = api.viewing(NAME, shapes.SHEET)
export_history = api.exporting(NAME)
cancel, cancel_all = api.cancelling(NAME, answer=Null)
receipts = api.receipts(NAME, shapes.SmsReceipt, shapes.ListedSmsReceipt)
inbound = api.inbound(NAME)


def _campaign_price(plan: Plan, now: int) -> SmsCampaignPrice:
    return campaign_shapes.priced(plan.first, plan.count, plan.micros, plan.who.currency, plan.schedule or now)


campaigns = campaigning(
    Family(
        channel=NAME,
        id_name="sms_campaign_id",
        body=SmsCampaignBody,
        longest_body=LONGEST_BODY,
        created=(SmsCampaign, lambda row, _: campaign_shapes.created(row)),
        changed=(ViewedSmsCampaign, campaign_shapes.viewed),
        listed=(ViewedSmsCampaign, campaign_shapes.viewed),
        viewed=(ViewedSmsCampaign, campaign_shapes.viewed),
        priced=(SmsCampaignPrice, _campaign_price),
        texts={
            "send": "Your new campaign has been added.",
            "price": "Here is your price for your SMS Campaign.",
            "update": "Your SMS Campaign has been updated.",
            "cancel": "Your SMS Campaign has been cancelled.",
            "view_all": "Here are your SMS campaigns.",
            "view": "Your SMS Campaign.",
        },
    )
)


@endpoint("Here are your data.", SmsTemplate, paged=True)
def view_templates(req: Request) -> Reply:
    """View the templates."""
    base = templates.of(req.who.user_id)
    return search.page(req, base, templates.COLUMNS, ("template_id", False), lambda row: SmsTemplate(**row))


@endpoint("New template has been saved.", SmsTemplate)
def create_template(req: Request, body: SmsTemplateBody) -> Reply:
    """Create a template."""
    _check_template(body)
    key = templates.create(req.tx, req.who.user_id, body.template_name, body.body)
    return Reply(SmsTemplate(template_id=key, body=body.body, template_name=body.template_name))


@endpoint("Your template has been updated.", SmsTemplate)
def update_template(req: Request, body: SmsTemplateBody) -> Reply:
    """Change a template."""
    key = req.number("template_id", templates.NO_RECORD)
    _check_template(body)
    templates.update(req.tx, req.who.user_id, key, body.template_name, body.body)
    return Reply(SmsTemplate(template_id=key, body=body.body, template_name=body.template_name))


def _check_template(body: SmsTemplateBody) -> None:
    empty = [name for name in ("template_name", "body") if not getattr(body, name).strip()]
    if empty:
        raise BadRequest({name: required(name) for name in empty})


@endpoint("Your template has been deleted.", Nothing)
def delete_template(req: Request) -> Reply:
    """Delete a template."""
    templates.delete(req.tx, req.who.user_id, req.number("template_id", templates.NO_RECORD))
    return Reply([])
