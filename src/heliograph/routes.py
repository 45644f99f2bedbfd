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
from heliograph.contacts import api as contacts
from heliograph.errors import NotFound, Unavailable
from heliograph.fields import Nothing
from heliograph.files import api as uploads
from heliograph.http.request import Route
from heliograph.messaging import api as messaging
from heliograph.numbers import api as numbers

DATA = "Here are your data."
USAGE = "Here is your usage for this month."
DATES = ("date_from", "date_to")
EXPORT = ("filename", *DATES)
AWAY = (Unavailable,)
TEMPLATE = "/sms/templates/{template_id}"


def table() -> list[Route]:
    """Every route, in the order of the document; number 0 is an addition to the contract."""
    return [
        *_account(),
        *_recovery(),
        *_recharge(),
        *_contacts(),
        *_numbers(),
        *_money(),
        *_sms(),
        *_automations(),
        *_subaccounts(),
        *_files(),
        *_small(),
    ]


def _account() -> list[Route]:
    made = "Successfully created an account."
    return [
        Route(
            1,
            "POST /account",
            accounts.register,
            None,
            made,
            accounts.Registration,
            accounts.NewAccountAnswer,
            guarded=True,
        ),
        Route(2, "GET /account", accounts.view, "", "Here's your account", answer=accounts.AccountAnswer),
        Route(
            0,
            "PUT /account",
            accounts.change,
            "settings",
            "Your account has been updated.",
            Changes,
            accounts.AccountAnswer,
        ),
        Route(
            3,
            "GET /account/usage/{year}/{month}/subaccount",
            accounts.view_usage,
            "reporting",
            USAGE,
            answer=accounts.Usage,
        ),
        Route(0, "GET /account/usage", accounts.view_usage, "reporting", USAGE, answer=accounts.Usage),
    ]


def _recovery() -> list[Route]:
    verified, mailed = "You're account has been verified.", "An email notification has been sent."
    name, password, new = recovery.ForgottenUsername, recovery.ForgottenPassword, recovery.NewPassword
    changed = "Your password has been updated."
    return [
        Route(
            4,
            "PUT /account-verify/send",
            recovery.send_code,
            "settings",
            "Verification sent.",
            recovery.Verification,
            recovery.CodeSent,
        ),
        Route(
            5,
            "PUT /account-verify/verify/{activation_token}",
            recovery.verify_phone,
            "settings",
            verified,
            answer=recovery.ProvenAccount,
        ),
        Route(6, "PUT /forgot-username", recovery.forgot_username, None, mailed, name, Nothing, guarded=True),
        Route(7, "PUT /forgot-password", recovery.forgot_password, None, mailed, password, Nothing, guarded=True),
        Route(8, "PUT /forgot-password/verify", recovery.set_password, None, changed, new, Nothing, guarded=True),
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
    move, after, word = contacts.transfer_contact, ("updated_after",), ("word", "page", "limit")
    entry, shown = contacts.ContactEntry, contacts.ListEntry
    return [
        Route(15, f"GET {every}", contacts.view_contacts, "contacts", DATA, answer=entry, paged=True, query=after),
        Route(16, f"POST {every}", contacts.create_contact, "contacts", made, body, entry),
        Route(17, f"GET {one}", contacts.view_contact, "contacts", DATA, answer=entry),
        Route(18, f"PUT {one}", contacts.update_contact, "contacts", "", body, entry),
        Route(19, f"PUT {other}/copy/{{to_list_id}}", contacts.copy_contact, "contacts", "", answer=entry),
        Route(20, f"PUT {other}/transfer/{{to_list_id}}", move, "contacts", "", answer=entry),
        Route(21, f"DELETE {one}", contacts.delete_contact, "contacts", "", answer=Nothing),
        Route(22, f"PUT {opted_out}", contacts.remove_opted_out, "contacts", gone, answer=contacts.Removed),
        Route(23, "GET /lists", contacts.view_lists, "contacts", DATA, answer=shown, paged=True),
        Route(24, "POST /lists", contacts.create_list, "contacts", "New list has been created.", named, shown),
        Route(25, "GET /lists/{list_id}", contacts.view_list, "contacts", DATA, answer=shown),
        Route(26, "PUT /lists/{list_id}", contacts.update_list, "contacts", "", named, shown),
        Route(27, "DELETE /lists/{list_id}", contacts.delete_list, "contacts", "", answer=Nothing),
        Route(
            28,
            f"PUT {clean}",
            contacts.remove_duplicates,
            "contacts",
            cleaned,
            contacts.DuplicatesBody,
            contacts.Removed,
        ),
        Route(
            29,
            f"POST {loading}",
            contacts.start_import,
            "contacts",
            queued,
            contacts.ImportBody,
            contacts.StartedImport,
        ),
        Route(0, f"GET {progress}", contacts.view_import, "contacts", DATA, answer=contacts.ImportEntry),
        Route(
            125,
            "GET /search/contacts-lists",
            contacts.search_all,
            "contacts",
            found,
            answer=contacts.FoundPage,
            query=word,
        ),
    ]


def _recharge() -> list[Route]:
    card, every, all_ = "/recharge/credit-card", "/recharge/packages", "/recharge/transactions"
    one = f"{all_}/{{transaction_id}}"
    auto, changed = "/recharge/auto-recharge", "Your payment info has been updated."
    set_, shown = "Your recharge settings have been updated.", "Here are your recharge settings."
    buy = "/recharge/purchase/{package_id}"
    away, paid, state = AWAY, recharge.Transaction, recharge.RechargeState
    info, token, link = recharge.PaymentInfo, recharge.CardToken, recharge.InvoiceLink
    packages, bought, listed = recharge.Packages, recharge.Purchase, "Here are your transactions."
    drawn = "Download your invoice here."
    no_card, where, news = (NotFound,), ("country",), recharge.take_event
    return [
        Route(
            9,
            f"GET {card}",
            recharge.view_card,
            "billing",
            "Customer payment info.",
            answer=recharge.ShownCard,
            refuses=no_card,
        ),
        Route(10, f"PUT {card}", recharge.change_card, "billing", changed, info, token, refuses=away),
        Route(11, f"GET {every}", recharge.view_packages, "billing", "List of Packages.", answer=packages, query=where),
        Route(12, f"PUT {buy}", recharge.purchase, "billing", "", answer=bought, spends=True, refuses=away),
        Route(13, f"GET {all_}", recharge.view_transactions, "billing", listed, answer=paid, paged=True),
        Route(14, f"GET {one}", recharge.view_transaction, "billing", "Here is your transaction.", answer=paid),
        Route(0, f"GET {one}/invoice", recharge.make_invoice, "billing", drawn, answer=link, refuses=away),
        Route(0, f"GET {auto}", recharge.view_settings, "billing", shown, answer=state),
        Route(0, f"PUT {auto}", recharge.change_settings, "billing", set_, recharge.RechargeSettings, state),
        Route(0, "POST /recharge/events", news, None, "Thank you.", answer=recharge.Thanks, refuses=away),
    ]


def _money() -> list[Route]:
    listed, settings = "Here are you data.", "Here are your settings."
    made, changed = "New reseller has been added.", "Reseller account has been updated."
    moved = "Your balance has been successfully transferred."
    every, one = "/reseller/accounts", "/reseller/accounts/{client_user_id}"
    entry, answer, referred = resellers.ClientEntry, accounts.NewAccountAnswer, "Here are your referrals."
    move, given, unknown = "/reseller/transfer-credit", resellers.Transfer, (NotFound,)
    set_, kept = resellers.change_settings, "Your settings have been updated."
    return [
        Route(
            119, "GET /referral/accounts", referrals.view, "billing", referred, answer=referrals.Referral, paged=True
        ),
        Route(120, f"GET {every}", resellers.view_all, "reseller", listed, answer=entry, paged=True),
        Route(121, f"POST {every}", resellers.create, "reseller", made, accounts.Registration, answer),
        Route(122, f"GET {one}", resellers.view, "reseller", DATA, answer=entry),
        Route(123, f"PUT {one}", resellers.update, "reseller", changed, resellers.ClientChanges, answer),
        Route(124, f"PUT {move}", resellers.transfer, "reseller", moved, given, entry, spends=True, refuses=unknown),
        Route(0, "GET /reseller/settings", resellers.view_settings, "reseller", settings, answer=resellers.Margin),
        Route(0, "PUT /reseller/settings", set_, "reseller", kept, resellers.ResellerSettings, resellers.Margin),
    ]


def _numbers() -> list[Route]:
    bought, free = "Here is your new number.", "Here are some numbers."
    mine, buy = "Here are you dedicated numbers.", "/numbers/buy/{dedicated_number}"
    find, looks = "GET /numbers/search/{country}", ("search", "search_type", "page", "limit")
    return [
        Route(100, "GET /numbers", numbers.view_owned, "", mine, answer=numbers.OwnedNumber, paged=True),
        Route(101, f"POST {buy}", numbers.buy, "billing", bought, answer=numbers.BoughtNumber, spends=True),
        Route(102, find, numbers.view_available, "", free, answer=numbers.NumberPage, query=looks),
    ]


def _subaccounts() -> list[Route]:
    every, one = "/subaccounts", "/subaccounts/{subaccount_id}"
    entry = subaccounts.SubaccountEntry
    made, new_key = "New account has been created.", "Your API Key has been regenerated."
    return [
        Route(162, f"GET {every}", subaccounts.view_all, "users", "SUCCESS", answer=entry, paged=True),
        Route(163, f"POST {every}", subaccounts.create, "users", made, subaccounts.NewSubaccount, entry),
        Route(164, f"GET {one}", subaccounts.view, "users", DATA, answer=entry),
        Route(165, f"PUT {one}", subaccounts.update, "users", "", subaccounts.SubaccountChanges, entry),
        Route(166, f"DELETE {one}", subaccounts.delete, "users", "", answer=subaccounts.Done),
        Route(167, f"PUT {one}/regen-api-key", subaccounts.new_key, "users", new_key, answer=subaccounts.NewKey),
    ]


def _sms() -> list[Route]:
    tested, receipts, receipt = "Receipt has been added", "Here are your delivery receipts.", "Your receipt."
    read, read_one = "Receipts has been marked as read.", "Receipt have been marked as read."
    arrived, read_in = "Here are your incoming messages.", "Inbound messages have been marked as read."
    new, changed = "New template has been saved.", "Your template has been updated."
    gone, export = "Your template has been deleted.", "Download your file here."
    steps, reports, history = "The timeline of your message.", "reporting", "GET /sms/history"
    return [
        Route(126, "POST /sms/send", sms.send, "sms", DATA, sms.SendSms, sms.SendSmsAnswer, spends=True),
        Route(127, "POST /sms/price", sms.price, "sms", DATA, sms.SendSms, sms.SendSmsAnswer),
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
        Route(
            143,
            f"{history}/export",
            sms.export_history,
            reports,
            export,
            answer=messaging.Export,
            query=EXPORT,
            refuses=AWAY,
        ),
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


def _small() -> list[Route]:
    """Sections of few endpoints: reference lists, global sending, statistics, delivery issues."""
    selected, listed = "Here are your countries selection.", "List of Countries."
    reported, issue = "Delivery issue has been created.", delivery_issues.IssueBody
    ids, chosen, named = countries.CountryIds, countries.Selected, reference.NamedCountries
    zones, cut, choice = reference.Timezones, ("page", "limit"), countries.Selectable
    sms, voice, every = statistics.SmsStatistics, statistics.VoiceStatistics, statistics.Statistics
    stats = "Here are your statistics."
    seen, noted, made = delivery_issues.Issue, "Here is your result.", delivery_issues.CreatedIssue
    return [
        Route(30, "GET /countries", reference.view_countries, None, listed, answer=named),
        Route(184, "GET /timezones", reference.view_timezones, "", "List of timezones.", answer=zones, query=cut),
        Route(76, "POST /user-countries", countries.select, "settings", selected, ids, chosen),
        Route(77, "GET /user-countries", countries.view_selected, "", selected, answer=chosen),
        Route(78, "POST /user-countries/agree", countries.agree, "settings", selected, ids, chosen),
        Route(79, "GET /country-list", countries.view_all, "", listed, answer=choice),
        Route(160, "GET /statistics/voice", statistics.view_voice, "reporting", stats, answer=voice, query=DATES),
        Route(161, "GET /statistics/sms", statistics.view_sms, "reporting", DATA, answer=sms, query=DATES),
        *(
            Route(0, f"GET /statistics/{name}", statistics.viewing(name), "reporting", stats, answer=every, query=DATES)
            for name in statistics.OTHERS
        ),
        Route(182, "GET /delivery-issues", delivery_issues.view, "", noted, answer=seen, paged=True),
        Route(183, "POST /delivery-issues", delivery_issues.create, "", reported, issue, made),
    ]


def _files() -> list[Route]:
    made, state, query = "Your file has been uploaded.", "The state of your export.", ("convert",)
    body, answer = uploads.Upload, uploads.Uploaded
    return [
        Route(168, "POST /uploads", uploads.upload, "", made, body, answer, query=query, uploads=True, refuses=AWAY),
        Route(0, "GET /exports/{export_id}", messaging.view_export, "reporting", state, answer=messaging.ExportState),
    ]
