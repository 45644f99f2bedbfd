"""The whole API as a table: number in the contract, verb, path(s), handler, access."""

from heliograph.accounts import api as accounts
from heliograph.automations import api as automations
from heliograph.automations.families import FAMILIES
from heliograph.channels.sms import api as sms
from heliograph.channels.sms.channel import Writer
from heliograph.http.request import Route
from heliograph.messaging import api as messaging

DATA = "Here are your data."
ONE = "/sms/{message_id}"
DATES = ("date_from", "date_to")
EXPORT = ("filename", *DATES)


def table(writer: Writer) -> list[Route]:
    """Every route, in the order of the document."""
    send, price = sms.sending(writer)
    rows = [
        Route(
            1, "POST", ("/account",), accounts.register, None, "Successfully created an account.", accounts.Registration
        ),
        Route(2, "GET", ("/account",), accounts.view, "", "Here's your account"),
        Route(
            126,
            "POST",
            ("/sms/send",),
            send,
            "sms",
            DATA,
            sms.SendSms,
            sms.SendSmsAnswer,
            spends=True,
        ),
        Route(127, "POST", ("/sms/price",), price, "sms", DATA, sms.SendSms, sms.SendSmsAnswer),
        Route(128, "POST", ("/sms/receipts",), sms.test_receipt, "sms", "Receipt has been added", sms.TargetUrl),
        Route(129, "GET", ("/sms/receipts",), sms.view_receipts, "sms", "Here are your delivery receipts.", paged=True),
        Route(130, "GET", ("/sms/receipts/{message_id}",), sms.view_receipt, "sms", "Your receipt."),
        Route(
            131,
            "PUT",
            ("/sms/receipts-read",),
            sms.read_receipts,
            "sms",
            "Receipts has been marked as read.",
            sms.DateBefore,
        ),
        Route(
            132, "POST", ("/sms/inbound",), sms.test_inbound, "sms", "Here are your incoming messages.", sms.TargetUrl
        ),
        Route(133, "GET", ("/sms/inbound",), sms.view_inbound, "sms", DATA, paged=True),
        Route(
            134,
            "PUT",
            ("/sms/inbound-read",),
            sms.read_inbound,
            "sms",
            "Inbound messages have been marked as read.",
            sms.DateBefore,
        ),
        Route(
            135,
            "PUT",
            ("/sms/inbound-read/{message_id}",),
            sms.read_one_inbound,
            "sms",
            "Receipt have been marked as read.",
        ),
        Route(136, "PUT", (ONE + "/cancel",), sms.cancel, "sms", ""),
        Route(137, "PUT", ("/sms/cancel-all",), sms.cancel_all, "sms", ""),
        Route(138, "GET", ("/sms/templates",), sms.view_templates, "sms", DATA, paged=True),
        Route(
            139,
            "POST",
            ("/sms/templates",),
            sms.create_template,
            "sms",
            "New template has been saved.",
            sms.TemplateBody,
        ),
        Route(
            140,
            "PUT",
            ("/sms/templates/{template_id}",),
            sms.update_template,
            "sms",
            "Your template has been updated.",
            sms.TemplateBody,
        ),
        Route(
            141,
            "DELETE",
            ("/sms/templates/{template_id}",),
            sms.delete_template,
            "sms",
            "Your template has been deleted.",
        ),
        Route(142, "GET", ("/sms/history",), sms.view_history, "reporting", DATA, paged=True, query=DATES),
        Route(
            143,
            "GET",
            ("/sms/history/export",),
            sms.export_history,
            "reporting",
            "Download your file here.",
            query=EXPORT,
        ),
        # An addition to the contract: every step of a message.
        Route(0, "GET", (ONE + "/timeline",), messaging.view_timeline, "sms", "The timeline of your message."),
    ]
    for family in FAMILIES:
        listing, create, view, update, delete = automations.handlers(family)
        one = f"{family.path}/{{{family.key}}}"
        body = automations.RuleBody
        numbers = family.numbers
        rows += [
            Route(numbers[0], "GET", (family.path,), listing, "settings", family.listed, paged=True),
            Route(numbers[1], "POST", (family.path,), create, "settings", family.created, body),
            Route(numbers[2], "GET", (one,), view, "settings", family.viewed),
            Route(numbers[3], "PUT", (one,), update, "settings", family.updated, body),
            Route(numbers[4], "DELETE", (one,), delete, "settings", family.deleted),
        ]
    return rows
