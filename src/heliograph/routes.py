"""The whole API as a table: number in the contract, verb and path, handler, access, documented message."""

from heliograph.accounts import api as accounts
from heliograph.accounts.referrals import api as referrals
from heliograph.accounts.resellers import api as resellers
from heliograph.accounts.subaccounts import api as subaccounts
from heliograph.automations import api as automations
from heliograph.automations.families import FAMILIES
from heliograph.billing import api as recharge
from heliograph.channels.sms import api as sms
from heliograph.channels.sms.channel import Writer
from heliograph.http.request import Route
from heliograph.messaging import api as messaging
from heliograph.numbers import api as numbers

DATA = "Here are your data."
DATES = ("date_from", "date_to")
EXPORT = ("filename", *DATES)


def table(writer: Writer) -> list[Route]:
    """Every route, in the order of the document; number 0 is an addition to the contract."""
    return [*_account(), *_recharge(), *_money(), *_numbers(), *_sms(writer), *_automations(), *_subaccounts()]


def _account() -> list[Route]:
    made = "Successfully created an account."
    return [
        Route(1, "POST /account", accounts.register, None, made, accounts.Registration),
        Route(2, "GET /account", accounts.view, "", "Here's your account"),
    ]


def _recharge() -> list[Route]:
    card, every, one = "/recharge/credit-card", "/recharge/transactions", "/recharge/transactions/{transaction_id}"
    auto, changed = "/recharge/auto-recharge", "Your payment info has been updated."
    set_, shown = "Your recharge settings have been updated.", "Here are your recharge settings."
    buy = "/recharge/purchase/{package_id}"
    return [
        Route(9, f"GET {card}", recharge.view_card, "billing", "Customer payment info."),
        Route(10, f"PUT {card}", recharge.change_card, "billing", changed, recharge.PaymentInfo),
        Route(11, "GET /recharge/packages", recharge.view_packages, "billing", "List of Packages.", query=("country",)),
        Route(12, f"PUT {buy}", recharge.purchase, "billing", "", spends=True),
        Route(13, f"GET {every}", recharge.view_transactions, "billing", "Here are your transactions.", paged=True),
        Route(14, f"GET {one}", recharge.view_transaction, "billing", "Here is your transaction."),
        Route(0, f"GET {one}/invoice", recharge.make_invoice, "billing", "Download your invoice here."),
        Route(0, f"GET {auto}", recharge.view_settings, "billing", shown),
        Route(0, f"PUT {auto}", recharge.change_settings, "billing", set_, recharge.RechargeSettings),
        Route(0, "POST /recharge/events", recharge.take_event, None, "Thank you."),
    ]


def _money() -> list[Route]:
    listed, settings = "Here are you data.", "Here are your settings."
    made, changed = "New reseller has been added.", "Reseller account has been updated."
    moved = "Your balance has been successfully transferred."
    every, one = "/reseller/accounts", "/reseller/accounts/{client_user_id}"
    return [
        Route(119, "GET /referral/accounts", referrals.view, "billing", "Here are your referrals.", paged=True),
        Route(120, f"GET {every}", resellers.view_all, "reseller", listed, paged=True),
        Route(121, f"POST {every}", resellers.create, "reseller", made, accounts.Registration),
        Route(122, f"GET {one}", resellers.view, "reseller", DATA),
        Route(123, f"PUT {one}", resellers.update, "reseller", changed, resellers.ClientChanges),
        Route(
            *(124, "PUT /reseller/transfer-credit", resellers.transfer, "reseller", moved, resellers.Transfer),
            spends=True,
        ),
        Route(0, "GET /reseller/settings", resellers.view_settings, "reseller", settings),
        Route(
            *(0, "PUT /reseller/settings", resellers.change_settings, "reseller"),
            *("Your settings have been updated.", resellers.ResellerSettings),
        ),
    ]


def _numbers() -> list[Route]:
    bought, free = "Here is your new number.", "Here are some numbers."
    find, looks = "GET /numbers/search/{country}", ("search", "search_type")
    return [
        Route(100, "GET /numbers", numbers.view_owned, "", "Here are you dedicated numbers.", paged=True),
        Route(101, "POST /numbers/buy/{dedicated_number}", numbers.buy, "billing", bought, spends=True),
        Route(102, find, numbers.view_available, "", free, query=(*looks, "page", "limit")),
    ]


def _subaccounts() -> list[Route]:
    every, one = "/subaccounts", "/subaccounts/{subaccount_id}"
    made, new_key = "New account has been created.", "Your API Key has been regenerated."
    return [
        Route(162, f"GET {every}", subaccounts.view_all, "users", "SUCCESS", paged=True),
        Route(163, f"POST {every}", subaccounts.create, "users", made, subaccounts.NewSubaccount),
        Route(164, f"GET {one}", subaccounts.view, "users", DATA),
        Route(165, f"PUT {one}", subaccounts.update, "users", "", subaccounts.SubaccountChanges),
        Route(166, f"DELETE {one}", subaccounts.delete, "users", ""),
        Route(167, f"PUT {one}/regen-api-key", subaccounts.new_key, "users", new_key),
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
