"""The whole API as a table: number in the contract (0 for an addition), verb and path, endpoint, access.

Each row is one line; what an endpoint takes and answers stands above its handler. The sections are those of the API
document, in its order. A row's access is the flag that a subaccount needs, "" none, None no credentials either.
"""

from heliograph import delivery_issues, reference, statistics
from heliograph.accounts import api as accounts
from heliograph.accounts.countries import api as countries
from heliograph.accounts.recovery import api as recovery
from heliograph.accounts.referrals import api as referrals
from heliograph.accounts.resellers import api as resellers
from heliograph.accounts.subaccounts import api as subaccounts
from heliograph.automations import api as automations
from heliograph.automations.families import FAMILIES
from heliograph.billing import api as recharge
from heliograph.channels.email import api as email
from heliograph.channels.email.campaigns import api as email_campaigns
from heliograph.channels.mms import api as mms
from heliograph.channels.sms import api as sms
from heliograph.channels.voice import api as voice
from heliograph.contacts import api as contacts
from heliograph.files import api as uploads
from heliograph.http.route import Route, Section
from heliograph.links import api as links
from heliograph.mail import api as mail
from heliograph.mail.addresses import api as addresses
from heliograph.mail.templates import api as email_templates
from heliograph.mailserver import api as mail_to_sms
from heliograph.messaging import api as messaging
from heliograph.numbers import api as numbers

ACCOUNT = Section(
    "Account",
    "Registering, the account itself, its usage, and how to get back into it.",
    Route(1, "POST /account", accounts.register, None),
    Route(2, "GET /account", accounts.view, ""),
    Route(0, "PUT /account", accounts.change, "settings"),
    Route(3, "GET /account/usage/{year:int}/{month:int}/subaccount", accounts.view_usage, "reporting"),
    Route(0, "GET /account/usage", accounts.view_usage, "reporting"),
    Route(4, "PUT /account-verify/send", recovery.send_code, "settings"),
    Route(5, "PUT /account-verify/verify/{activation_token}", recovery.verify_phone, "settings"),
    Route(6, "PUT /forgot-username", recovery.forgot_username, None),
    Route(7, "PUT /forgot-password", recovery.forgot_password, None),
    Route(8, "PUT /forgot-password/verify", recovery.set_password, None),
)

RECHARGE = Section(
    "Recharge",
    "Cards, packages of credit, transactions and their invoices.",
    Route(9, "GET /recharge/credit-card", recharge.view_card, "billing"),
    Route(10, "PUT /recharge/credit-card", recharge.change_card, "billing"),
    Route(11, "GET /recharge/packages", recharge.view_packages, "billing"),
    Route(12, "PUT /recharge/purchase/{package_id:int}", recharge.purchase, "billing"),
    Route(13, "GET /recharge/transactions", recharge.view_transactions, "billing"),
    Route(14, "GET /recharge/transactions/{transaction_id}", recharge.view_transaction, "billing"),
    Route(0, "GET /recharge/transactions/{transaction_id}/invoice", recharge.make_invoice, "billing"),
    Route(0, "GET /recharge/auto-recharge", recharge.view_settings, "billing"),
    Route(0, "PUT /recharge/auto-recharge", recharge.change_settings, "billing"),
    Route(0, "POST /recharge/events", recharge.take_event, None),
)

SUBACCOUNTS = Section(
    "Subaccounts",
    "Further credentials of the account, each with its own permissions.",
    Route(162, "GET /subaccounts", subaccounts.view_all, "users"),
    Route(163, "POST /subaccounts", subaccounts.create, "users"),
    Route(164, "GET /subaccounts/{subaccount_id:int}", subaccounts.view, "users"),
    Route(165, "PUT /subaccounts/{subaccount_id:int}", subaccounts.update, "users"),
    Route(166, "DELETE /subaccounts/{subaccount_id:int}", subaccounts.delete, "users"),
    Route(167, "PUT /subaccounts/{subaccount_id:int}/regen-api-key", subaccounts.new_key, "users"),
)

REFERRALS_AND_RESELLERS = Section(
    "Referrals and resellers",
    "Accounts that this one has brought in, or sells to.",
    Route(119, "GET /referral/accounts", referrals.view, "billing"),
    Route(120, "GET /reseller/accounts", resellers.view_all, "reseller"),
    Route(121, "POST /reseller/accounts", resellers.create, "reseller"),
    Route(122, "GET /reseller/accounts/{client_user_id:int}", resellers.view, "reseller"),
    Route(123, "PUT /reseller/accounts/{client_user_id:int}", resellers.update, "reseller"),
    Route(124, "PUT /reseller/transfer-credit", resellers.transfer, "reseller"),
    Route(0, "GET /reseller/settings", resellers.view_settings, "reseller"),
    Route(0, "PUT /reseller/settings", resellers.change_settings, "reseller"),
)

LIST = "/lists/{list_id:int}"
FROM_LIST = "/lists/{from_list_id:int}/contacts/{contact_id:int}"
CATEGORY = "/email/master-templates-categories/{category_id:int}"
"""Beginnings of paths that would not fit into a line."""

CONTACTS = Section(
    "Contacts",
    "Contact lists, their contacts, imports and opt-outs.",
    Route(15, "GET /lists/{list_id:int}/contacts", contacts.view_contacts, "contacts"),
    Route(16, "POST /lists/{list_id:int}/contacts", contacts.create_contact, "contacts"),
    Route(17, "GET /lists/{list_id:int}/contacts/{contact_id:int}", contacts.view_contact, "contacts"),
    Route(18, "PUT /lists/{list_id:int}/contacts/{contact_id:int}", contacts.update_contact, "contacts"),
    Route(19, "PUT " + FROM_LIST + "/copy/{to_list_id:int}", contacts.copy_contact, "contacts"),
    Route(20, "PUT " + FROM_LIST + "/transfer/{to_list_id:int}", contacts.transfer_contact, "contacts"),
    Route(21, "DELETE /lists/{list_id:int}/contacts/{contact_id:int}", contacts.delete_contact, "contacts"),
    Route(22, "PUT " + LIST + "/remove-opted-out-contacts/{opt_out_list_id:int}", contacts.remove_opt_outs, "contacts"),
    Route(23, "GET /lists", contacts.view_lists, "contacts"),
    Route(24, "POST /lists", contacts.create_list, "contacts"),
    Route(25, "GET /lists/{list_id:int}", contacts.view_list, "contacts"),
    Route(26, "PUT /lists/{list_id:int}", contacts.update_list, "contacts"),
    Route(27, "DELETE /lists/{list_id:int}", contacts.delete_list, "contacts"),
    Route(28, "PUT /lists/{list_id:int}/remove-duplicates", contacts.remove_duplicates, "contacts"),
    Route(29, "POST /lists/{list_id:int}/import", contacts.start_import, "contacts"),
    Route(0, "GET /lists/{list_id:int}/imports/{import_id:int}", contacts.view_import, "contacts"),
    Route(0, "GET /opt-outs", contacts.view_opt_outs, "contacts"),
    Route(125, "GET /search/contacts-lists", contacts.search_all, "contacts"),
)

SMS = Section(
    "SMS",
    "Sending, prices, history, receipts, replies and templates.",
    Route(126, "POST /sms/send", sms.send, "sms"),
    Route(127, "POST /sms/price", sms.price, "sms"),
    Route(128, "POST /sms/receipts", sms.receipts.test, "sms"),
    Route(129, "GET /sms/receipts", sms.receipts.view_all, "sms"),
    Route(130, "GET /sms/receipts/{message_id}", sms.receipts.view_one, "sms"),
    Route(131, "PUT /sms/receipts-read", sms.receipts.read, "sms"),
    Route(132, "POST /sms/inbound", sms.inbound.test, "sms"),
    Route(133, "GET /sms/inbound", sms.inbound.view_all, "sms"),
    Route(0, "GET /sms/inbound/{original_message_id}", sms.inbound.view_answer, "sms"),
    Route(134, "PUT /sms/inbound-read", sms.inbound.read, "sms"),
    Route(135, "PUT /sms/inbound-read/{message_id}", sms.inbound.read_one, "sms"),
    Route(136, "PUT /sms/{message_id}/cancel", sms.cancel, "sms"),
    Route(137, "PUT /sms/cancel-all", sms.cancel_all, "sms"),
    Route(138, "GET /sms/templates", sms.view_templates, "sms"),
    Route(139, "POST /sms/templates", sms.create_template, "sms"),
    Route(140, "PUT /sms/templates/{template_id:int}", sms.update_template, "sms"),
    Route(141, "DELETE /sms/templates/{template_id:int}", sms.delete_template, "sms"),
    Route(142, "GET /sms/history", sms.view_history, "reporting"),
    Route(143, "GET /sms/history/export", sms.export_history, "reporting"),
    Route(0, "GET /sms/{message_id}/timeline", messaging.view_timeline, "sms"),
)

EMAIL_TO_SMS = Section(
    "Email to SMS",
    "Whose mails become SMS, and what is cut out of them.",
    Route(31, "GET /sms/email-sms", mail_to_sms.view_addresses, "sms"),
    Route(32, "POST /sms/email-sms", mail_to_sms.add_address, "sms"),
    Route(0, "GET /sms/email-sms/{email_address_id:int}", mail_to_sms.view_address, "sms"),
    Route(0, "PUT /sms/email-sms/{email_address_id:int}", mail_to_sms.change_address, "sms"),
    Route(0, "DELETE /sms/email-sms/{email_address_id:int}", mail_to_sms.remove_address, "sms"),
    Route(33, "GET /sms/email-sms-stripped-strings", mail_to_sms.view_rules, "sms"),
    Route(34, "POST /sms/email-sms-stripped-strings", mail_to_sms.create_rule, "sms"),
    Route(35, "GET /sms/email-sms-stripped-strings/{rule_id:int}", mail_to_sms.view_rule, "sms"),
    Route(36, "PUT /sms/email-sms-stripped-strings/{rule_id:int}", mail_to_sms.update_rule, "sms"),
    Route(37, "DELETE /sms/email-sms-stripped-strings/{rule_id:int}", mail_to_sms.delete_rule, "sms"),
)

SMS_CAMPAIGNS = Section(
    "SMS campaigns",
    "One text to a whole contact list: ordered, priced, changed and stopped as one.",
    Route(144, "POST /sms-campaigns/send", sms.campaigns.send, "sms"),
    Route(145, "POST /sms-campaigns/price", sms.campaigns.price, "sms"),
    Route(146, "PUT /sms-campaigns/{sms_campaign_id:int}", sms.campaigns.update, "sms"),
    Route(147, "PUT /sms-campaigns/{sms_campaign_id:int}/cancel", sms.campaigns.cancel, "sms"),
    Route(148, "GET /sms-campaigns", sms.campaigns.view_all, "sms"),
    Route(149, "GET /sms-campaigns/{sms_campaign_id:int}", sms.campaigns.view, "sms"),
)

MMS = Section(
    "MMS",
    "Messages with a picture: sending, prices, history, receipts and replies.",
    Route(90, "POST /mms/send", mms.send, "mms"),
    Route(91, "POST /mms/price", mms.price, "mms"),
    Route(92, "GET /mms/history", mms.view_history, "reporting"),
    Route(93, "GET /mms/history/export", mms.export_history, "reporting"),
    Route(0, "GET /mms/receipts", mms.receipts.view_all, "mms"),
    Route(0, "GET /mms/receipts/{message_id}", mms.receipts.view_one, "mms"),
    Route(0, "PUT /mms/receipts-read", mms.receipts.read, "mms"),
    Route(0, "GET /mms/inbound", mms.inbound.view_all, "mms"),
    Route(0, "PUT /mms/inbound-read", mms.inbound.read, "mms"),
    Route(0, "PUT /mms/inbound-read/{message_id}", mms.inbound.read_one, "mms"),
    Route(0, "PUT /mms/{message_id}/cancel", mms.cancel, "mms"),
    Route(0, "PUT /mms/cancel-all", mms.cancel_all, "mms"),
    Route(0, "GET /mms/{message_id}/timeline", messaging.view_timeline, "mms"),
)

VIEW_MMS_CAMPAIGN = "GET /mms-campaign/{mms_campaign_id:int}"
VIEW_MMS_CAMPAIGNS = "/mms-campaigns/{mms_campaign_id:int}"
"""The document has both spellings."""

MMS_CAMPAIGNS = Section(
    "MMS campaigns",
    "One text with a picture to a whole contact list: ordered, priced, changed and stopped as one.",
    Route(94, "POST /mms-campaigns/send", mms.campaigns.send, "mms"),
    Route(95, "POST /mms-campaigns/price", mms.campaigns.price, "mms"),
    Route(96, "PUT /mms-campaigns/{mms_campaign_id:int}", mms.campaigns.update, "mms"),
    Route(97, "PUT /mms-campaigns/{mms_campaign_id:int}/cancel", mms.campaigns.cancel, "mms"),
    Route(98, "GET /mms-campaigns", mms.campaigns.view_all, "mms"),
    Route(99, VIEW_MMS_CAMPAIGN, mms.campaigns.view, "mms", also=(VIEW_MMS_CAMPAIGNS,)),
)

VERIFY_ADDRESS = "/email/address-verify/{email_address_id:int}/verify/{activation_token}"
"""A path that would not fit into a line."""

EMAIL_ADDRESSES = Section(
    "Email addresses",
    "Addresses that mails may come from, once it is proved that somebody reads them.",
    Route(48, "GET /email/addresses", addresses.view_all, "email"),
    Route(49, "POST /email/addresses", addresses.create, "email"),
    Route(50, "PUT /email/address-verify/{email_address_id:int}/send", addresses.ask, "email"),
    Route(51, "PUT " + VERIFY_ADDRESS, addresses.verify, "email"),
    Route(52, "GET /email/addresses/{email_address_id:int}", addresses.view, "email"),
    Route(53, "DELETE /email/addresses/{email_address_id:int}", addresses.delete, "email"),
)

VOICE = Section(
    "Voice",
    "Calls that read a text to whoever answers: sending, prices, languages, history and receipts.",
    Route(169, "POST /voice/send", voice.send, "voice"),
    Route(170, "POST /voice/price", voice.price, "voice"),
    Route(171, "GET /voice/lang", voice.view_languages, "voice"),
    Route(172, "GET /voice/receipts", voice.receipts.view_all, "voice"),
    Route(0, "POST /voice/receipts", voice.receipts.test, "voice"),
    Route(0, "PUT /voice/receipts-read", voice.receipts.read, "voice"),
    Route(173, "PUT /voice/{message_id}/cancel", voice.cancel, "voice"),
    Route(174, "PUT /voice/cancel-all", voice.cancel_all, "voice"),
    Route(175, "GET /voice/history", voice.view_history, "reporting"),
    Route(176, "GET /voice/history/export", voice.export_history, "reporting"),
    Route(0, "GET /voice/{message_id}/timeline", messaging.view_timeline, "voice"),
    Route(0, "GET /voice/{message_id}/audio", voice.make_audio, "voice"),
)

EMAIL_SUPPRESSIONS = Section(
    "Email suppressions",
    "Addresses that no mail of the account goes to: they bounced, complained, unsubscribed, or were put there.",
    Route(0, "GET /email/suppressions", mail.view_suppressions, "email"),
    Route(0, "POST /email/suppressions", mail.add_suppressions, "email"),
    Route(0, "DELETE /email/suppressions", mail.remove_suppression, "email"),
)

EMAIL_CAMPAIGN = "/email-campaigns/{email_campaign_id:int}"
EMAIL_CAMPAIGNS = Section(
    "Email campaigns",
    "One mail to all contacts of a list: ordered, paid for, changed and stopped as a whole.",
    Route(54, "POST /email-campaigns/send", email_campaigns.campaigns.send, "email"),
    Route(55, "POST /email-campaigns/price", email_campaigns.campaigns.price, "email"),
    Route(56, "GET /email-campaigns", email_campaigns.campaigns.view_all, "email"),
    Route(57, f"GET {EMAIL_CAMPAIGN}", email_campaigns.campaigns.view, "email"),
    Route(58, f"PUT {EMAIL_CAMPAIGN}", email_campaigns.campaigns.update, "email"),
    Route(59, f"PUT {EMAIL_CAMPAIGN}/cancel", email_campaigns.campaigns.cancel, "email"),
    Route(60, f"GET {EMAIL_CAMPAIGN}/history", email_campaigns.view_history, "reporting"),
    Route(61, f"GET {EMAIL_CAMPAIGN}/history/export", email_campaigns.export_history, "reporting"),
)

EMAIL = Section(
    "Email",
    "Mails that are sent one by one: prices, history, receipts.",
    Route(62, "POST /email/send", email.send, "email"),
    Route(63, "POST /email/price", email.price, "email"),
    Route(64, "GET /email/history", email.view_history, "reporting"),
    Route(65, "GET /email/history/export", email.export_history, "reporting"),
    Route(0, "GET /email/receipts", email.receipts.view_all, "email"),
    Route(0, "GET /email/receipts/{message_id}", email.receipts.view_one, "email"),
    Route(0, "PUT /email/receipts-read", email.receipts.read, "email"),
    Route(0, "PUT /email/{message_id}/cancel", email.cancel, "email"),
    Route(0, "GET /email/{message_id}/timeline", email.view_timeline, "email"),
)

EMAIL_TEMPLATES = Section(
    "Email templates",
    "Master templates that come with the server, and the account's own, which are cloned from them.",
    Route(38, "GET /email/master-templates", email_templates.view_masters, "email"),
    Route(39, "GET /email/master-templates/{template_id:int}", email_templates.view_master, "email"),
    Route(0, "GET /email/master-templates/{template_id:int}/preview", email_templates.preview_master, "email"),
    Route(40, "GET /email/master-templates-categories", email_templates.view_categories, "email"),
    Route(41, "GET " + CATEGORY, email_templates.view_category, "email"),
    Route(42, "GET " + CATEGORY + "/master-templates", email_templates.view_masters_within, "email"),
    Route(43, "GET /email/templates", email_templates.view_templates, "email"),
    Route(44, "POST /email/templates", email_templates.create_template, "email"),
    Route(45, "GET /email/templates/{template_id:int}", email_templates.view_template, "email"),
    Route(0, "GET /email/templates/{template_id:int}/preview", email_templates.preview_template, "email"),
    Route(46, "PUT /email/templates/{template_id:int}", email_templates.update_template, "email"),
    Route(47, "DELETE /email/templates/{template_id:int}", email_templates.delete_template, "email"),
)

AUTOMATIONS = Section(
    "Automations",
    "Rules: what happens when a message or a receipt arrives.",
    *(row for family in FAMILIES for row in automations.rows(family)),
)

NUMBERS = Section(
    "Numbers",
    "Dedicated numbers: searching, buying, those of the account.",
    Route(100, "GET /numbers", numbers.view_owned, ""),
    Route(101, "POST /numbers/buy/{dedicated_number}", numbers.buy, "billing"),
    Route(102, "GET /numbers/search/{country}", numbers.view_available, ""),
)

UPLOADS_AND_EXPORTS = Section(
    "Uploads and exports",
    "Files that messages and imports use, and files that are made.",
    Route(168, "POST /uploads", uploads.upload, ""),
    Route(0, "GET /exports/{export_id}", messaging.view_export, "reporting"),
)

STATISTICS = Section(
    "Statistics",
    "Counts of messages by day.",
    Route(160, "GET /statistics/voice", statistics.view_voice, "reporting"),
    Route(161, "GET /statistics/sms", statistics.view_sms, "reporting"),
    *(Route(0, f"GET /statistics/{name}", statistics.viewing(name), "reporting") for name in statistics.OTHERS),
)

SHORT_LINKS = Section(
    "Short links",
    "How often the links in messages were opened, and with what.",
    Route(0, "GET /short-url/statistics/{source}/{source_id}", links.view_statistics, "reporting"),
    Route(0, "GET /short-url/tracking/{long_url_id}", links.view_tracking, "reporting"),
)

DELIVERY_ISSUES = Section(
    "Delivery issues",
    "Messages that did not arrive as they should have.",
    Route(182, "GET /delivery-issues", delivery_issues.view, ""),
    Route(183, "POST /delivery-issues", delivery_issues.create, ""),
)

COUNTRIES_AND_TIMEZONES = Section(
    "Countries and time zones",
    "Reference lists, and the countries that the account may send to.",
    Route(30, "GET /countries", reference.view_countries, None),
    Route(184, "GET /timezones", reference.view_timezones, ""),
    Route(76, "POST /user-countries", countries.select, "settings"),
    Route(77, "GET /user-countries", countries.view_selected, ""),
    Route(78, "POST /user-countries/agree", countries.agree, "settings"),
    Route(79, "GET /country-list", countries.view_all, ""),
)

SECTIONS = (
    ACCOUNT,
    RECHARGE,
    SUBACCOUNTS,
    REFERRALS_AND_RESELLERS,
    CONTACTS,
    SMS,
    EMAIL_TO_SMS,
    SMS_CAMPAIGNS,
    MMS,
    MMS_CAMPAIGNS,
    EMAIL_ADDRESSES,
    VOICE,
    EMAIL_CAMPAIGNS,
    EMAIL,
    EMAIL_SUPPRESSIONS,
    EMAIL_TEMPLATES,
    AUTOMATIONS,
    NUMBERS,
    UPLOADS_AND_EXPORTS,
    STATISTICS,
    SHORT_LINKS,
    DELIVERY_ISSUES,
    COUNTRIES_AND_TIMEZONES,
)

ROUTES = tuple(route for section in SECTIONS for route in section.routes)
