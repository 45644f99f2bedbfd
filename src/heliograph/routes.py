"""The whole API as a table: number in the contract, verb and path, handler, access, documented message."""

from heliograph import delivery_issues, reference, statistics
from heliograph.accounts import api as accounts
from heliograph.accounts.countries import api as countries
from heliograph.accounts.preferences import Changes
from heliograph.accounts.recovery import api as recovery
from heliograph.accounts.referrals import api as referrals
from heliograph.accounts.resellers import api as resellers
from heliograph.accounts.subaccounts import api as subaccounts
from heliograph.automations import api as automations
from heliograph.automations.families import FAMILIES
from heliograph.billing import api as recharge
from heliograph.channels.sms import api as sms
from heliograph.channels.sms.channel import Writer
from heliograph.contacts import api as contacts
from heliograph.files import api as uploads
from heliograph.http.request import Route
from heliograph.messaging import api as messaging
from heliograph.numbers import api as numbers

DATA = "Here are your data."
USAGE = "Here is your usage for this month."
DATES = ("date_from", "date_to")
EXPORT = ("filename", *DATES)


def table(writer: Writer) -> list[Route]:
    """Every route, in the order of the document; number 0 is an addition to the contract."""
    return [
        *_account(),
        *_recovery(writer),
        *_recharge(),
        *_contacts(),
        *_numbers(),
        *_money(),
        *_sms(writer),
        *_automations(),
        *_subaccounts(),
        *_files(),
        *_small(),
    ]


def _account() -> list[Route]:
    made = "Successfully created an account."
    return [
        Route(1, "POST /account", accounts.register, None, made, accounts.Registration, guarded=True),
        Route(2, "GET /account", accounts.view, "", "Here's your account"),
        Route(0, "PUT /account", accounts.change, "settings", "Your account has been updated.", Changes),
        Route(3, "GET /account/usage/{year}/{month}/subaccount", accounts.view_usage, "reporting", USAGE),
        Route(0, "GET /account/usage", accounts.view_usage, "reporting", USAGE),
    ]


def _recovery(writer: Writer) -> list[Route]:
    send_code = recovery.sending_codes(writer)
    verified, mailed = "You're account has been verified.", "An email notification has been sent."
    name, password, new = recovery.ForgottenUsername, recovery.ForgottenPassword, recovery.NewPassword
    changed = "Your password has been updated."
    return [
        Route(4, "PUT /account-verify/send", send_code, "settings", "Verification sent.", recovery.Verification),
        Route(5, "PUT /account-verify/verify/{activation_token}", recovery.verify_phone, "settings", verified),
        Route(6, "PUT /forgot-username", recovery.forgot_username, None, mailed, name, guarded=True),
        Route(7, "PUT /forgot-password", recovery.forgot_password, None, mailed, password, guarded=True),
        Route(8, "PUT /forgot-password/verify", recovery.set_password, None, changed, new, guarded=True),
    ]


def _contacts() -> list[Route]:
    body, named = contacts.ContactBody, contacts.ListBody
    every, one = "/lists/{list_id}/contacts", "/lists/{list_id}/contacts/{contact_id}"
    other = "/lists/{from_list_id}/contacts/{contact_id}"
    opted_out = "/lists/{list_id}/remove-opted-out-contacts/{opt_out_list_id}"
    clean, cleaned = "/lists/{list_id}/remove-duplicates", "Your list duplicate contacts has been deleted."
    made, gone = "New contact has been created.", "Optout contacts has been deleted."
    loading, progress = "/lists/{list_id}/import", "/lists/{list_id}/imports/{import_id}"
    queued, found = "Your file is now queued.", "Here are some search result."
    move, after = contacts.transfer_contact, ("updated_after",)
    return [
        Route(15, f"GET {every}", contacts.view_contacts, "contacts", DATA, paged=True, query=after),
        Route(16, f"POST {every}", contacts.create_contact, "contacts", made, body, contacts.ContactEntry),
        Route(17, f"GET {one}", contacts.view_contact, "contacts", DATA, answer=contacts.ContactEntry),
        Route(18, f"PUT {one}", contacts.update_contact, "contacts", "", body, contacts.ContactEntry),
        Route(19, f"PUT {other}/copy/{{to_list_id}}", contacts.copy_contact, "contacts", ""),
        Route(20, f"PUT {other}/transfer/{{to_list_id}}", move, "contacts", ""),
        Route(21, f"DELETE {one}", contacts.delete_contact, "contacts", ""),
        Route(22, f"PUT {opted_out}", contacts.remove_opted_out, "contacts", gone),
        Route(23, "GET /lists", contacts.view_lists, "contacts", DATA, paged=True),
        Route(24, "POST /lists", contacts.create_list, "contacts", "New list has been created.", named),
        Route(25, "GET /lists/{list_id}", contacts.view_list, "contacts", DATA, answer=contacts.ListEntry),
        Route(26, "PUT /lists/{list_id}", contacts.update_list, "contacts", "", named, contacts.ListEntry),
        Route(27, "DELETE /lists/{list_id}", contacts.delete_list, "contacts", ""),
        Route(28, f"PUT {clean}", contacts.remove_duplicates, "contacts", cleaned, contacts.DuplicatesBody),
        Route(29, f"POST {loading}", contacts.start_import, "contacts", queued, contacts.ImportBody),
        Route(0, f"GET {progress}", contacts.view_import, "contacts", DATA, answer=contacts.ImportEntry),
        Route(125, "GET /search/contacts-lists", contacts.search_all, "contacts", found, paged=True, query=("q",)),
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


def _small() -> list[Route]:
    """Sections of few endpoints: reference lists, global sending, statistics, delivery issues."""
    selected, listed = "Here are your countries selection.", "List of Countries."
    sms = statistics.viewing("sms", ("stats", "stat"), receives=True)
    voice = statistics.viewing("voice", ("stats",), receives=False)
    reported, issue = "Delivery issue has been created.", delivery_issues.IssueBody
    return [
        Route(30, "GET /countries", reference.view_countries, None, listed),
        Route(184, "GET /timezones", reference.view_timezones, "", "List of timezones.", paged=True),
        Route(76, "POST /user-countries", countries.select, "settings", selected, countries.CountryIds),
        Route(77, "GET /user-countries", countries.view_selected, "", selected),
        Route(78, "POST /user-countries/agree", countries.agree, "settings", selected, countries.CountryIds),
        Route(79, "GET /country-list", countries.view_all, "", listed),
        Route(160, "GET /statistics/voice", voice, "reporting", "Here are your statistics.", query=DATES),
        Route(161, "GET /statistics/sms", sms, "reporting", DATA, query=DATES),
        Route(182, "GET /delivery-issues", delivery_issues.view, "", "Here is your result.", paged=True),
        Route(183, "POST /delivery-issues", delivery_issues.create, "", reported, issue),
    ]


def _files() -> list[Route]:
    made, state, query = "Your file has been uploaded.", "The state of your export.", ("convert",)
    body, answer = uploads.Upload, uploads.Uploaded
    return [
        Route(168, "POST /uploads", uploads.upload, "", made, body, answer, query=query, uploads=True),
        Route(0, "GET /exports/{export_id}", messaging.view_export, "reporting", state, answer=messaging.ExportState),
    ]
