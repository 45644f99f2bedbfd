"""The whole API as a table: number in the contract, verb and path, handler, access, documented message."""

from heliograph.accounts import api as accounts
from heliograph.automations import api as automations
from heliograph.automations.families import FAMILIES
from heliograph.channels.sms import api as sms
from heliograph.channels.sms.channel import Writer
from heliograph.http.fields import Nothing
from heliograph.http.request import Route
from heliograph.messaging import api as messaging

DATA = "Here are your data."
DATES = ("date_from", "date_to")
EXPORT = ("filename", *DATES)
TEMPLATE = "/sms/templates/{template_id}"


def table(writer: Writer) -> list[Route]:
    """Every route, in the order of the document; number 0 is an addition to the contract."""
    return [*_account(), *_sms(writer), *_automations()]


def _account() -> list[Route]:
    made = "Successfully created an account."
    return [
        Route(1, "POST /account", accounts.register, None, made, accounts.Registration, accounts.NewAccountAnswer),
        Route(2, "GET /account", accounts.view, "", "Here's your account", answer=accounts.AccountAnswer),
    ]


def _sms(writer: Writer) -> list[Route]:
    send, price = sms.sending(writer)
    tested, receipts, receipt = "Receipt has been added", "Here are your delivery receipts.", "Your receipt."
    read, read_one = "Receipts has been marked as read.", "Receipt have been marked as read."
    arrived, read_in = "Here are your incoming messages.", "Inbound messages have been marked as read."
    new, changed = "New template has been saved.", "Your template has been updated."
    gone, export = "Your template has been deleted.", "Download your file here."
    steps, reports, history = "The timeline of your message.", "reporting", "GET /sms/history"
    return [
        Route(126, "POST /sms/send", send, "sms", DATA, sms.SendSms, sms.SendSmsAnswer, spends=True),
        Route(127, "POST /sms/price", price, "sms", DATA, sms.SendSms, sms.SendSmsAnswer),
        Route(128, "POST /sms/receipts", sms.test_receipt, "sms", tested, sms.TargetUrl, sms.SampleReceipt),
        Route(129, "GET /sms/receipts", sms.view_receipts, "sms", receipts, answer=sms.ReceiptEntry, paged=True),
        Route(130, "GET /sms/receipts/{message_id}", sms.view_receipt, "sms", receipt, answer=sms.Receipt),
        Route(131, "PUT /sms/receipts-read", sms.read_receipts, "sms", read, sms.DateBefore, Nothing),
        Route(132, "POST /sms/inbound", sms.test_inbound, "sms", arrived, sms.TargetUrl, sms.InboundEntry),
        Route(133, "GET /sms/inbound", sms.view_inbound, "sms", DATA, answer=sms.InboundEntry, paged=True),
        Route(134, "PUT /sms/inbound-read", sms.read_inbound, "sms", read_in, sms.DateBefore, Nothing),
        Route(135, "PUT /sms/inbound-read/{message_id}", sms.read_one_inbound, "sms", read_one, answer=sms.Marked),
        Route(136, "PUT /sms/{message_id}/cancel", sms.cancel, "sms", "", answer=Nothing),
        Route(137, "PUT /sms/cancel-all", sms.cancel_all, "sms", "", answer=messaging.Cancelled),
        Route(138, "GET /sms/templates", sms.view_templates, "sms", DATA, answer=sms.Template, paged=True),
        Route(139, "POST /sms/templates", sms.create_template, "sms", new, sms.TemplateBody, sms.Template),
        Route(140, f"PUT {TEMPLATE}", sms.update_template, "sms", changed, sms.TemplateBody, sms.Template),
        Route(141, f"DELETE {TEMPLATE}", sms.delete_template, "sms", gone, answer=Nothing),
        Route(142, history, sms.view_history, reports, DATA, answer=sms.HistoryEntry, paged=True, query=DATES),
        Route(143, f"{history}/export", sms.export_history, reports, export, answer=messaging.Export, query=EXPORT),
        Route(0, "GET /sms/{message_id}/timeline", messaging.view_timeline, "sms", steps, answer=messaging.Steps),
    ]


def _automations() -> list[Route]:
    rows = []
    for family in FAMILIES:
        body, rule = automations.shapes(family)
        listing, create, view, update, delete = automations.handlers(family, body, rule)
        every, one = family.path, f"{family.path}/{{{family.key}}}"
        numbers = family.numbers
        rows += [
            Route(numbers[0], f"GET {every}", listing, "settings", family.listed, answer=rule, paged=True),
            Route(numbers[1], f"POST {every}", create, "settings", family.created, body, rule),
            Route(numbers[2], f"GET {one}", view, "settings", family.viewed, answer=rule),
            Route(numbers[3], f"PUT {one}", update, "settings", family.updated, body, rule),
            Route(numbers[4], f"DELETE {one}", delete, "settings", family.deleted, answer=Nothing),
        ]
    return rows
