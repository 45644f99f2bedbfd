"""The whole API as a table: number in the contract, verb and path, handler, access, documented message."""

from heliograph.accounts import api as accounts
from heliograph.automations import api as automations
from heliograph.automations.families import FAMILIES
from heliograph.channels.sms import api as sms
from heliograph.channels.sms.channel import Writer
from heliograph.files import api as uploads
from heliograph.http.request import Route
from heliograph.messaging import api as messaging

DATA = "Here are your data."
DATES = ("date_from", "date_to")
EXPORT = ("filename", *DATES)


def table(writer: Writer) -> list[Route]:
    """Every route, in the order of the document; number 0 is an addition to the contract."""
    return [*_account(), *_sms(writer), *_automations(), *_files()]


def _account() -> list[Route]:
    made = "Successfully created an account."
    return [
        Route(1, "POST /account", accounts.register, None, made, accounts.Registration),
        Route(2, "GET /account", accounts.view, "", "Here's your account"),
    ]


def _sms(writer: Writer) -> list[Route]:
    send, price = sms.sending(writer)
    read = "Receipts has been marked as read."
    read_inbound = "Inbound messages have been marked as read."
    read_one = "Receipt have been marked as read."
    arrived = "Here are your incoming messages."
    new, changed = "New template has been saved.", "Your template has been updated."
    gone = "Your template has been deleted."
    return [
        Route(126, "POST /sms/send", send, "sms", DATA, sms.SendSms, sms.SendSmsAnswer, spends=True),
        Route(127, "POST /sms/price", price, "sms", DATA, sms.SendSms, sms.SendSmsAnswer),
        Route(128, "POST /sms/receipts", sms.test_receipt, "sms", "Receipt has been added", sms.TargetUrl),
        Route(129, "GET /sms/receipts", sms.view_receipts, "sms", "Here are your delivery receipts.", paged=True),
        Route(130, "GET /sms/receipts/{message_id}", sms.view_receipt, "sms", "Your receipt."),
        Route(131, "PUT /sms/receipts-read", sms.read_receipts, "sms", read, sms.DateBefore),
        Route(132, "POST /sms/inbound", sms.test_inbound, "sms", arrived, sms.TargetUrl),
        Route(133, "GET /sms/inbound", sms.view_inbound, "sms", DATA, paged=True),
        Route(134, "PUT /sms/inbound-read", sms.read_inbound, "sms", read_inbound, sms.DateBefore),
        Route(135, "PUT /sms/inbound-read/{message_id}", sms.read_one_inbound, "sms", read_one),
        Route(136, "PUT /sms/{message_id}/cancel", sms.cancel, "sms", ""),
        Route(137, "PUT /sms/cancel-all", sms.cancel_all, "sms", ""),
        Route(138, "GET /sms/templates", sms.view_templates, "sms", DATA, paged=True),
        Route(139, "POST /sms/templates", sms.create_template, "sms", new, sms.TemplateBody),
        Route(140, "PUT /sms/templates/{template_id}", sms.update_template, "sms", changed, sms.TemplateBody),
        Route(141, "DELETE /sms/templates/{template_id}", sms.delete_template, "sms", gone),
        Route(142, "GET /sms/history", sms.view_history, "reporting", DATA, paged=True, query=DATES),
        Route(
            143, "GET /sms/history/export", sms.export_history, "reporting", "Download your file here.", query=EXPORT
        ),
        Route(0, "GET /sms/{message_id}/timeline", messaging.view_timeline, "sms", "The timeline of your message."),
    ]


def _automations() -> list[Route]:
    rows = []
    for family in FAMILIES:
        listing, create, view, update, delete = automations.handlers(family)
        every, one = family.path, f"{family.path}/{{{family.key}}}"
        numbers, body = family.numbers, automations.RuleBody
        rows += [
            Route(numbers[0], f"GET {every}", listing, "settings", family.listed, paged=True),
            Route(numbers[1], f"POST {every}", create, "settings", family.created, body),
            Route(numbers[2], f"GET {one}", view, "settings", family.viewed),
            Route(numbers[3], f"PUT {one}", update, "settings", family.updated, body),
            Route(numbers[4], f"DELETE {one}", delete, "settings", family.deleted),
        ]
    return rows


def _files() -> list[Route]:
    made, state, query = "Your file has been uploaded.", "The state of your export.", ("convert",)
    body, answer = uploads.Upload, uploads.Uploaded
    return [
        Route(168, "POST /uploads", uploads.upload, "", made, body, answer, query=query, uploads=True),
        Route(0, "GET /exports/{export_id}", messaging.view_export, "reporting", state, answer=messaging.ExportState),
    ]
