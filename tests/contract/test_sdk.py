"""The official Python SDK (clicksend-client 5.0.78) against this server: nothing but its host is changed."""

import ast
import base64
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import clicksend_client as sdk
import pytest

from support import emails
from support.pictures import PICTURE
from support.server import Api, Running

NUMBER = "+61491570006"


@pytest.fixture
def client(server: Running, api: Api) -> Iterator[sdk.ApiClient]:
    configuration = sdk.Configuration()
    configuration.host = f"http://127.0.0.1:{server.port}/v3"
    configuration.username, configuration.password = api.username, api.key
    made = sdk.ApiClient(configuration)
    yield made
    made.rest_client.pool_manager.clear()
    made.pool.close()
    made.pool.join()


def data(answer: str) -> Any:
    """5.x answers with the repr of the decoded body."""
    body = ast.literal_eval(answer)
    assert body["response_code"] == "SUCCESS"
    return body["data"]


def messages(*bodies: str, **more: Any) -> sdk.SmsMessageCollection:
    return sdk.SmsMessageCollection(
        messages=[sdk.SmsMessage(source="sdk", body=body, to=NUMBER, **more) for body in bodies]
    )


def test_send_price_history_receipts(client: sdk.ApiClient, api: Api) -> None:
    rules = sdk.SMSDeliveryReceiptRulesApi(client)
    rule = sdk.DeliveryReceiptRule(rule_name="poll", match_type=0, action="POLL", action_address="", enabled=1)
    data(rules.sms_delivery_receipt_automation_post(rule))
    sms = sdk.SMSApi(client)
    assert data(sms.sms_price_post(messages("one", "two")))["total_price"] == 0.143
    sent = data(sms.sms_send_post(messages("one", "two")))
    assert [message["status"] for message in sent["messages"]] == ["SUCCESS", "SUCCESS"]
    for message in sent["messages"]:
        api.final(message["message_id"])
    listed = data(sms.sms_history_get(q="status:completed", page=1, limit=15))
    assert {row["message_id"] for row in listed["data"]} == {message["message_id"] for message in sent["messages"]}
    receipts = data(sms.sms_receipts_get(page=1, limit=15))
    assert {row["message_id"] for row in receipts["data"]} == {message["message_id"] for message in sent["messages"]}
    data(sms.sms_receipts_read_put())
    assert data(sms.sms_receipts_get(page=1, limit=15))["total"] == 0


def test_schedule_and_cancel(client: sdk.ApiClient) -> None:
    sms = sdk.SMSApi(client)
    later = int(time.time()) + 600
    first, _ = data(sms.sms_send_post(messages("one", "two", schedule=later)))["messages"]
    assert data(sms.sms_cancel_by_message_id_put(first["message_id"])) is None
    assert data(sms.sms_cancel_all_put()) == {"count": 1}


def test_templates_and_account(client: sdk.ApiClient, api: Api) -> None:
    sms = sdk.SMSApi(client)
    made = data(sms.sms_templates_post(sdk.SmsTemplate(template_name="greeting", body="Hello")))
    key = made["template_id"]
    changed = sms.sms_templates_by_template_id_put(key, sdk.SmsTemplate(template_name="greeting", body="Hi"))
    assert data(changed)["body"] == "Hi"
    assert data(sms.sms_templates_get())["total"] == 1
    data(sms.sms_templates_by_template_id_delete(key))
    account = data(sdk.AccountApi(client).account_get())
    assert account["username"] == api.username


def test_lists_and_contacts(client: sdk.ApiClient) -> None:
    lists, people = sdk.ContactListApi(client), sdk.ContactApi(client)
    key = data(lists.lists_post(sdk.ContactList(list_name="SDK")))["list_id"]
    other = data(lists.lists_post(sdk.ContactList(list_name="Other")))["list_id"]
    assert data(lists.lists_by_list_id_put(key, sdk.ContactList(list_name="Renamed")))["list_name"] == "Renamed"
    made = data(
        people.lists_contacts_by_list_id_post(sdk.Contact(phone_number=NUMBER, custom_1="c", email="a@b.c"), key)
    )
    one = made["contact_id"]
    changed = sdk.Contact(phone_number=NUMBER, custom_1="d", address_country="AU")
    assert data(people.lists_contacts_by_list_id_and_contact_id_put(key, one, changed))["custom_1"] == "d"
    assert data(people.lists_contacts_by_list_id_and_contact_id_get(key, one))["email"] == "a@b.c"
    assert data(people.lists_copy_contact_put(key, one, other))["list_id"] == other
    assert data(people.lists_transfer_contact_put(key, one, other))["list_id"] == other
    fields = sdk.Fields(fields=sdk.FieldsFields(phone_number=NUMBER))
    assert data(lists.lists_remove_duplicates_by_list_id_put(other, fields)) == {"deleted": 1}
    opt_out = data(lists.lists_get(page=1, limit=15))["data"][0]["list_id"]
    assert (
        data(people.lists_remove_opted_out_contacts_by_list_id_and_opt_out_list_id_put(other, opt_out))["deleted"] == 0
    )
    assert data(sdk.SearchApi(client).search_contacts_lists_get(q="renamed"))["total"] == 1
    sent = sdk.SMSApi(client).sms_send_post(
        sdk.SmsMessageCollection(messages=[sdk.SmsMessage(source="sdk", body="hi", list_id=other)])
    )
    assert data(sent)["queued_count"] == 1
    (kept,) = data(people.lists_contacts_by_list_id_get(other, page=1, limit=15, updated_after=1))["data"]
    loading = sdk.ContactListImport(file_url="http://127.0.0.1:9/import.csv", field_order=["phone"])
    assert data(lists.lists_import_by_list_id_post(key, loading))["msg"] == "Messages put on queue."
    assert data(people.lists_contacts_by_list_id_and_contact_id_delete(other, kept["contact_id"])) == []
    assert data(lists.lists_by_list_id_delete(other)) == []


def test_subaccounts(client: sdk.ApiClient, api: Api) -> None:
    calls = sdk.SubaccountApi(client)
    person = {"email": "sub@example.com", "phone_number": "+61411111111", "first_name": "A", "last_name": "B"}
    name = f"{api.username}.sdk"
    made = data(calls.subaccounts_post(sdk.Subaccount(api_username=name, password="secret", **person)))
    key = made["subaccount_id"]
    changed = sdk.Subaccount(api_username=name, password="secret", access_billing=0, **person)
    assert data(calls.subaccounts_by_subaccount_id_put(key, changed))["access_billing"] == 0
    assert data(calls.subaccounts_by_subaccount_id_get(key))["api_key"] == made["api_key"]
    assert data(calls.subaccounts_regen_api_key_by_subaccount_id_put(key))["api_key"] != made["api_key"]
    assert data(calls.subaccounts_get())["total"] == 2
    assert data(calls.subaccounts_by_subaccount_id_delete(key)) is True


def test_recharge_and_numbers(client: sdk.ApiClient) -> None:
    calls = sdk.AccountRechargeApi(client)
    card = {"number": "4242424242424242", "expiry_month": 5, "expiry_year": 2099, "cvc": 123}
    data(calls.recharge_credit_card_put(sdk.CreditCard(name="Roland Robot", bank_name="Robotic Banking", **card)))
    assert data(calls.recharge_credit_card_get())["display_number"] == "XXXX-XXXX-XXXX-4242"
    package = data(calls.recharge_packages_get(country="AU"))["packages"][1]
    bought = data(calls.recharge_purchase_by_package_id_put(package["package_id"]))
    assert bought["amount"] == package["package_price"] == "50.00"
    (row,) = data(calls.recharge_transactions_get())["data"]
    assert data(calls.recharge_transactions_by_transaction_id_get(row["invoice_number"])) == row
    numbers = sdk.NumberApi(client)
    wanted = data(numbers.numbers_search_by_country_get("NZ", search="64", search_type=0))["data"][0]
    assert data(numbers.numbers_buy_by_dedicated_number_post(wanted["dedicated_number"]))["country"] == "NZ"
    assert data(numbers.numbers_get())["data"][0]["dedicated_number"] == wanted["dedicated_number"]


def test_reseller_and_referrals(client: sdk.ApiClient) -> None:
    person = {"user_email": "c@example.com", "user_phone": "+61411111111", "user_first_name": "C"}
    more = {"user_last_name": "D", "account_name": "E", "country": "AU", "password": "pass"}
    account = sdk.ResellerAccount(username=f"client{time.time_ns()}", **person, **more)
    calls = sdk.ResellerAccountApi(client)
    key = data(calls.reseller_accounts_post(account))["user_id"]
    account.account_name = "New"
    assert data(calls.reseller_accounts_by_client_user_id_put(key, account))["account_name"] == "New"
    assert data(calls.reseller_accounts_by_client_user_id_get(key))["user_id"] == key
    moved = sdk.ResellerAccountTransferCredit(client_user_id=key, balance=12, currency="AUD")
    assert data(sdk.TransferCreditApi(client).reseller_transfer_credit_put(moved))["balance"] == "12.000000"
    assert data(calls.reseller_accounts_get())["total"] == 1
    assert data(sdk.ReferralAccountApi(client).referral_accounts_get())["total"] == 0


def test_a_wrong_key_is_an_api_exception(server: Running) -> None:
    configuration = sdk.Configuration()
    configuration.host = f"http://127.0.0.1:{server.port}/v3"
    configuration.username, configuration.password = "nobody", "nothing"
    client = sdk.ApiClient(configuration)
    with pytest.raises(sdk.rest.ApiException) as refused:
        sdk.AccountApi(client).account_get()
    assert refused.value.status == 401
    client.rest_client.pool_manager.clear()
    client.pool.close()
    client.pool.join()


def test_the_account_section(client: sdk.ApiClient, api: Api) -> None:
    accounts = sdk.AccountApi(client)
    given = sdk.AccountVerify(country="AU", user_phone="0491 570 154", type="sms")
    code = data(accounts.account_verify_send_put(given))["activation_token"]
    assert data(accounts.account_verify_verify_by_activation_token_put(int(code)))["user_phone"] == "+61491570154"
    usage = data(accounts.account_useage_by_subaccount_get(time.gmtime().tm_year, time.gmtime().tm_mon))
    assert usage["sms_total"] == {"count": 0, "price": "0.0000"}
    forgotten = sdk.ForgotUsername(email="nobody@example.com", phone_number="3108147982")
    assert data(accounts.forgot_username_put(forgot_username=forgotten)) == []
    assert data(accounts.forgot_password_put(forgot_password=sdk.ForgotPassword(username=api.username))) == []
    (mail,) = api.until(lambda: api.server.mails(f"{api.username}@example.com"))
    key = dict(re.findall(r"(subaccount_id|activation_token): *(\S+)", mail.text))
    new = sdk.AccountForgotPasswordVerify(
        subaccount_id=int(key["subaccount_id"]), activation_token=key["activation_token"], password="secret"
    )
    assert data(accounts.forgot_password_verify_put(new)) == []


def test_reference_global_sending_statistics_and_issues(client: sdk.ApiClient, api: Api) -> None:
    assert len(data(sdk.CountriesApi(client).countries_get())) == 249
    assert "Australia/Melbourne" in data(sdk.TimezonesApi(client).timezones_get())
    sending = sdk.GlobalSendingApi(client)
    assert len(data(sending.list_countries_get())) == 245
    chosen = sdk.CountryListIds(country_list_ids=[1, 2])
    assert [one["code"] for one in data(sending.user_countries_post(chosen))] == ["AU", "NZ"]
    assert all(one["agreed_at"] for one in data(sending.user_countries_agree_post()))
    assert len(data(sending.user_countries_get())) == 2
    data(sdk.SMSApi(client).sms_send_post(messages("counted")))
    statistics = sdk.StatisticsApi(client)
    assert data(statistics.statistics_sms_get())["total"]["outbound"] == {"count": 1, "price": 0.0715}
    assert data(statistics.statistics_voice_get())["total"]["outbound"]["count"] == 0
    issues = sdk.DeliveryIssuesApi(client)
    issue = sdk.DeliveryIssue(
        type="SMS", description="late", message_id="x", client_comments="", email_address="a@b.example"
    )
    made = data(issues.delivery_issues_post(issue))
    assert [one["issue_id"] for one in data(issues.delivery_issues_get())["data"]] == [made["issue_id"]]


ACTIONS = {
    "AUTO_REPLY": "Thank you",
    "EMAIL_USER": "",
    "EMAIL_FIXED": "jane@example.com",
    "URL": "https://hooks.example/",
    "SMS": NUMBER,
    "POLL": "",
    "SMPP": "",
    "NONE": "",
    **dict.fromkeys(("GROUP_SMS", "MOVE_CONTACT", "CREATE_CONTACT", "CREATE_CONTACT_PLUS_EMAIL"), "list"),
    **dict.fromkeys(("CREATE_CONTACT_PLUS_NAME", "CREATE_CONTACT_PLUS_NAME_EMAIL"), "list"),
}
"""Every action that is served, and an address for it; that of lists is made."""


def test_inbound_rules(client: sdk.ApiClient, api: Api) -> None:
    calls = sdk.InboundSMSRulesApi(client)
    list_id = str(data(sdk.ContactListApi(client).lists_post(sdk.ContactList(list_name="Rules")))["list_id"])
    born = data(calls.sms_inbound_automations_get())["data"]
    keys = {}
    for action, address in ACTIONS.items():
        to = list_id if address == "list" else address
        given = {"dedicated_number": "*", "message_search_type": 1, "message_search_term": "join", "enabled": 1.0}
        rule = sdk.InboundSMSRule(rule_name=action, action=action, action_address=to, **given)
        made = data(calls.sms_inbound_automation_post(rule))
        assert (made["action"], made["action_address"], made["enabled"]) == (action, to, 1)
        keys[action] = made["inbound_rule_id"]
    key = keys["URL"]
    assert data(calls.sms_inbound_automation_get(key))["rule_name"] == "URL"
    changed = sdk.InboundSMSRule(
        rule_name="Other",
        dedicated_number="*",
        message_search_type=0,
        message_search_term="",
        action="POLL",
        action_address="",
        enabled=0,
    )
    assert data(calls.sms_inbound_automation_put(key, changed))["rule_name"] == "Other"
    listed = data(calls.sms_inbound_automations_get(q="rule_name:other", page=1, limit=15))["data"]
    assert [row["inbound_rule_id"] for row in listed] == [key]
    for key in keys.values():
        assert data(calls.sms_inbound_automation_delete(key)) == []
    assert data(calls.sms_inbound_automations_get())["data"] == born
    refused(lambda: calls.sms_inbound_automation_get(key), 404)
    rule.action, rule.action_address = "SMPP", "nobody"
    assert "must be a system_id of this account" in refused(lambda: calls.sms_inbound_automation_post(rule), 400)


def test_receipt_rules(client: sdk.ApiClient) -> None:
    calls = sdk.SMSDeliveryReceiptRulesApi(client)
    list_id = str(data(sdk.ContactListApi(client).lists_post(sdk.ContactList(list_name="Rules")))["list_id"])
    keys = []
    for action, address in ACTIONS.items():
        to = list_id if address == "list" else address
        rule = sdk.DeliveryReceiptRule(rule_name=action, match_type=0, action=action, action_address=to, enabled=1)
        made = data(calls.sms_delivery_receipt_automation_post(rule))
        assert (made["action"], made["action_address"]) == (action, to)
        keys.append(made["receipt_rule_id"])
    assert data(calls.sms_delivery_receipt_automation_get(keys[0]))["rule_name"] == "AUTO_REPLY"
    rule.rule_name = "Other"
    assert data(calls.sms_delivery_receipt_automation_put(keys[0], rule))["rule_name"] == "Other"
    assert data(calls.sms_delivery_receipt_automations_get(q="action:poll", page=1, limit=15))["total"] == 1
    for key in keys:
        assert data(calls.sms_delivery_receipt_automation_delete(key)) == []
    assert data(calls.sms_delivery_receipt_automations_get())["total"] == 0
    rule.action, rule.action_address = "SMPP", "nobody"
    told = refused(lambda: calls.sms_delivery_receipt_automation_post(rule), 400)
    assert "must be a system_id of this account" in told


def refused(call: Callable[[], Any], status: int) -> str:
    """The body of a refusal of this status."""
    with pytest.raises(sdk.rest.ApiException) as raised:
        call()
    assert raised.value.status == status
    return str(raised.value.body)


def test_sms_campaigns(client: sdk.ApiClient, api: Api) -> None:
    """Every operation of SmsCampaignApi."""
    book = data(sdk.ContactListApi(client).lists_post(sdk.ContactList(list_name="Campaign")))["list_id"]
    contact = sdk.Contact(phone_number=NUMBER, first_name="Ann", custom_1="VIP")
    data(sdk.ContactApi(client).lists_contacts_by_list_id_post(contact, book))
    campaigns = sdk.SmsCampaignApi(client)
    later = int(time.time()) + 600
    asked = sdk.SmsCampaign(
        list_id=book, name="My Campaign 1", body="(First Name), hello", _from="Heliograph", schedule=later
    )
    priced = data(campaigns.sms_campaigns_price_post(asked))
    assert (priced["total_count"], priced["total_price"], priced["data"]["body"]) == (1, "0.0715", "Ann, hello")
    made = data(campaigns.sms_campaigns_send_post(asked))
    key = made["sms_campaign_id"]
    assert (made["status"], made["schedule"], made["from"]) == ("Scheduled", str(later), "Heliograph")
    changed = sdk.SmsCampaign(list_id=book, name="Awesome campaign.", body="his is an awesome message.", schedule=later)
    assert data(campaigns.sms_campaigns_by_sms_campaign_id_put(key, changed))["name"] == "Awesome campaign."
    assert data(campaigns.sms_campaign_by_sms_campaign_id_get(key))["_total_count"] == 1
    assert [row["sms_campaign_id"] for row in data(campaigns.sms_campaigns_get(page=1, limit=15))["data"]] == [key]
    assert data(campaigns.sms_campaigns_cancel_by_sms_campaign_id_put(key))["status"] == "Cancelled"
    sent = data(campaigns.sms_campaigns_send_post(sdk.SmsCampaign(list_id=book, name="Now", body="Hi (Cust. 1)")))

    def ended() -> bool:
        row = data(campaigns.sms_campaign_by_sms_campaign_id_get(sent["sms_campaign_id"]))
        return bool(row["status"] == "Sent")

    api.until(ended)
    (message,) = data(sdk.SMSApi(client).sms_history_get(q="body:hi vip", page=1, limit=15))["data"]
    assert (message["to"], message["list_id"]) == (NUMBER, book)
    with pytest.raises(sdk.rest.ApiException) as refused:
        campaigns.sms_campaigns_cancel_by_sms_campaign_id_put(sent["sms_campaign_id"])
    assert refused.value.status == 400


def test_the_voice_api_whole(client: sdk.ApiClient, api: Api) -> None:
    calls, rules = sdk.VoiceApi(client), sdk.VoiceDeliveryReceiptRulesApi(client)
    rule = sdk.DeliveryReceiptRule(rule_name="poll", match_type=0, action="POLL", action_address="", enabled=1)
    key = data(rules.voice_delivery_receipt_automation_post(rule))["receipt_rule_id"]
    assert data(rules.voice_delivery_receipt_automation_get(key))["action"] == "POLL"
    rule.rule_name = "all"
    assert data(rules.voice_delivery_receipt_automation_put(key, rule))["rule_name"] == "all"
    assert data(rules.voice_delivery_receipt_automations_get(page=1, limit=15))["total"] == 1
    assert len(data(calls.voice_lang_get())) == 23

    def given(*numbers: str, **more: Any) -> sdk.VoiceMessageCollection:
        usual = {"body": "Hello", "lang": "en-au", "voice": "female", "custom_string": "mine", "country": "AU"}
        return sdk.VoiceMessageCollection([sdk.VoiceMessage(to=to, **{**usual, **more}) for to in numbers])

    assert data(calls.voice_price_post(given(NUMBER)))["total_price"] == 0.099
    later = int(time.time()) + 600
    first, _ = data(calls.voice_send_post(given(NUMBER, "+61491570157", schedule=later)))["messages"]
    assert data(calls.voice_cancel_by_message_id_put(first["message_id"])) == []
    assert data(calls.voice_cancel_all_put()) == {"count": 1}
    (declined,) = data(calls.voice_send_post(given("+61491999005")))["messages"]
    receipts = api.until(lambda: data(calls.voice_receipts_get(page=1, limit=15))["data"])
    assert [(one["message_id"], one["custom_string"]) for one in receipts] == [(declined["message_id"], "mine")]
    data(calls.voice_receipts_read_put())
    assert data(calls.voice_receipts_get())["total"] == 0
    assert data(calls.voice_receipts_post(sdk.Url(url="http://127.0.0.1:9/hook")))["status_code"] == "201"
    assert data(calls.voice_history_get(date_from=later - 1000, date_to=later, page=1, limit=15))["total"] == 3
    assert "/files/" in data(calls.voice_history_export_get("calls.csv"))["url"]
    assert data(rules.voice_delivery_receipt_automation_delete(key)) == []


def test_email_addresses(client: sdk.ApiClient, api: Api) -> None:
    """What EmailMarketingApi has for the addresses that mails come from."""
    calls = sdk.EmailMarketingApi(client)
    made = data(calls.allowed_email_address_post(email_address=sdk.EmailAddress(email_address="Ann@SDK.example.com")))
    key, address = made["email_address_id"], "Ann@sdk.example.com"
    assert (made["email_address"], made["verified"]) == (address, 0)
    assert int(made["date_added"]) <= time.time()
    assert data(calls.allowed_email_address_get(page=1, limit=15))["data"] == [made]
    assert data(calls.send_verification_token_get(key)) is None
    (mail,) = api.until(lambda: api.server.mails(address))
    (token,) = re.findall(r"asked for it: (\S+)", mail.text)
    assert "activation_token" in refused(lambda: calls.verify_allowed_email_address_get(key, "wrong"), 400)
    assert data(calls.verify_allowed_email_address_get(key, token)) == {**made, "verified": 1}
    assert data(calls.specific_allowed_email_address_get(key))["verified"] == 1
    assert data(calls.specific_allowed_email_address_delete(key)) is None
    refused(lambda: calls.specific_allowed_email_address_get(key), 404)


def test_transactional_email(client: sdk.ApiClient, api: Api) -> None:
    """TransactionalEmailApi and EmailDeliveryReceiptRulesApi whole."""
    rules = sdk.EmailDeliveryReceiptRulesApi(client)
    rule = sdk.DeliveryReceiptRule(rule_name="poll", match_type=0, action="POLL", action_address="", enabled=1)
    key = data(rules.email_delivery_receipt_automation_post(rule))["receipt_rule_id"]
    rule.rule_name = "other"
    assert data(rules.email_delivery_receipt_automation_put(key, rule))["rule_name"] == "other"
    assert data(rules.email_delivery_receipt_automation_get(key))["rule_name"] == "other"
    assert data(rules.email_delivery_receipt_automations_get(page=1, limit=15))["total"] == 1
    calls, to = sdk.TransactionalEmailApi(client), f"jane@{api.username}.example"
    file = sdk.Attachment(
        content="ZmlsZSBjb250ZW50cw==", type="text/plain", filename="a.txt", disposition="attachment", content_id="text"
    )
    mail = sdk.Email(
        to=[sdk.EmailRecipient(email=to, name="Jane")],
        cc=[sdk.EmailRecipient(email=f"cc@{api.username}.example", name="")],
        _from=sdk.EmailFrom(email_address_id=str(emails.sender(api)), name="Ann"),
        subject="Hello",
        body="<p>Good day</p>",
        attachments=[file],
        schedule=0,
    )
    assert data(calls.email_price_post(mail))["price"] == 0.01
    sent = data(calls.email_send_post(mail))
    assert (sent["status"], sent["price"], sent["bcc"]) == ("Queued:WaitSend", "0.0100", None)
    found = api.until(
        lambda: [one for one in data(calls.email_history_get(page=1, limit=15))["data"] if one["status"] == "Sent"]
    )
    assert [one["message_id"] for one in found] == [sent["message_id"]]
    assert data(calls.email_history_get(date_from=1, date_to=2))["total"] == 0
    assert "/files/" in data(calls.email_history_export_get("mails.csv"))["url"]
    (got,) = emails.arrived(api, to)
    assert [part.get_filename() for part in got.iter_attachments()] == ["a.txt"]
    assert data(rules.email_delivery_receipt_automation_delete(key)) is True


def test_email_campaigns(client: sdk.ApiClient, api: Api) -> None:
    """What EmailMarketingApi has for campaigns: every operation."""
    book = data(sdk.ContactListApi(client).lists_post(sdk.ContactList(list_name="Readers")))["list_id"]
    contact = sdk.Contact(phone_number=NUMBER, email="ann@sdk.example.com", custom_1="VIP")
    data(sdk.ContactApi(client).lists_contacts_by_list_id_post(contact, book))
    calls = sdk.EmailMarketingApi(client)
    usual = {"subject": "Hi", "body": "Hi (Email)", "from_email_address_id": emails.sender(api), "from_name": "Shop"}
    asked = sdk.EmailCampaign(name="Spring", list_id=book, schedule=int(time.time()) + 600, **usual)
    assert data(calls.email_campaign_price_post(asked))["queued_count"] == 1
    made = data(calls.email_campaign_post(asked))
    assert (made["total_count"], made["data"]["schedule"]) == (1, str(asked.schedule))
    key = made["data"]["email_campaign_id"]
    asked.name = "Summer"
    assert data(calls.email_campaign_put(key, asked))["name"] == "Summer"
    assert data(calls.email_campaign_get(key))["status"] == "Scheduled"
    assert [row["email_campaign_id"] for row in data(calls.email_campaigns_get(page=1, limit=15))["data"]] == [key]
    assert data(calls.cancel_email_campaign_put(key))["status"] == "Cancelled"
    now = data(calls.email_campaign_post(sdk.EmailCampaign(name="Now", list_id=book, **usual)))["data"]
    key = now["email_campaign_id"]
    assert now["schedule"] == ""
    api.until(lambda: data(calls.email_campaign_get(key))["status"] == "Sent")
    (row,) = data(calls.email_campaign_history_get(key, date_from=int(now["date_added"])))["data"]
    assert (row["to_address"], row["status"]) == ("ann@sdk.example.com", "Sent")
    assert "/files/" in data(calls.email_campaign_history_export_get(key))["url"]


def picture(client: sdk.ApiClient) -> str:
    """The name of an uploaded picture."""
    file = sdk.UploadFile(content=base64.b64encode(PICTURE).decode())
    return str(data(sdk.UploadApi(client).uploads_post(file, "mms"))["file_name"])


def test_the_mms_api_whole(client: sdk.ApiClient, api: Api) -> None:
    rules = sdk.SMSDeliveryReceiptRulesApi(client)
    rule = sdk.DeliveryReceiptRule(rule_name="poll", match_type=0, action="POLL", action_address="", enabled=1)
    data(rules.sms_delivery_receipt_automation_post(rule))
    mms, media = sdk.MMSApi(client), picture(client)
    message = sdk.MmsMessage(to=NUMBER, subject="Koalas", body="Look", custom_string="mine", country="AU")
    given = sdk.MmsMessageCollection(media_file=media, messages=[message])
    assert data(mms.mms_price_post(given))["total_count"] == 1
    (sent,) = data(mms.mms_send_post(given))["messages"]
    assert (sent["status"], sent["subject"]) == ("SUCCESS", "Koalas")

    def completed() -> bool:
        (row,) = data(mms.mms_history_get(q=f"message_id:{sent['message_id']}", page=1, limit=15))["data"]
        return bool(row["status"] == "Completed")

    api.until(completed)
    receipts = api.until(lambda: data(mms.mms_receipts_get(page=1, limit=15))["data"])
    assert [(one["message_id"], one["custom_string"]) for one in receipts] == [(sent["message_id"], "mine")]
    data(mms.mms_receipts_read_put())
    assert data(mms.mms_receipts_get())["total"] == 0
    assert "/files/" in data(mms.mms_history_export_get("mms.csv"))["url"]


def test_mms_campaigns(client: sdk.ApiClient, api: Api) -> None:
    """Every operation of MmsCampaignApi."""
    book = data(sdk.ContactListApi(client).lists_post(sdk.ContactList(list_name="Koalas")))["list_id"]
    contact = sdk.Contact(phone_number=NUMBER, first_name="Ann", custom_1="VIP")
    data(sdk.ContactApi(client).lists_contacts_by_list_id_post(contact, book))
    campaigns = sdk.MmsCampaignApi(client)
    usual = {"list_id": book, "body": "(First Name), look", "subject": "Koalas", "media_file": picture(client)}
    asked = sdk.MmsCampaign(name="Koalas", schedule=int(time.time()) + 600, **usual)
    assert data(campaigns.mms_campaigns_price_post(asked))["total_count"] == 1
    key = data(campaigns.mms_campaigns_send_post(asked))["mms_campaign_id"]
    asked.name = "More koalas"
    assert data(campaigns.mms_campaigns_by_mms_campaign_id_put(key, asked))["name"] == "More koalas"
    assert data(campaigns.mms_campaign_by_mms_campaign_id_get(key))["status"] == "Scheduled"
    listed = ast.literal_eval(campaigns.mms_campaigns_get(page=1, limit=15))  # the one answer without an envelope
    assert [row["mms_campaign_id"] for row in listed["data"]] == [key]
    assert data(campaigns.mms_campaigns_cancel_by_mms_campaign_id_put(key))["status"] == "Cancelled"
    now = data(campaigns.mms_campaigns_send_post(sdk.MmsCampaign(name="Now", **usual)))["mms_campaign_id"]
    api.until(lambda: data(campaigns.mms_campaign_by_mms_campaign_id_get(now))["status"] == "Sent")
    (message,) = data(sdk.MMSApi(client).mms_history_get(q="body:ann*", page=1, limit=15))["data"]
    assert (message["to"], message["body"]) == (NUMBER, "Ann, look")


def test_email_templates(client: sdk.ApiClient) -> None:
    """Every operation of MasterEmailTemplatesApi and UserEmailTemplatesApi."""
    masters, own = sdk.MasterEmailTemplatesApi(client), sdk.UserEmailTemplatesApi(client)
    listed = data(masters.master_email_templates_get(page=1, limit=20))["data"]
    chosen = data(masters.master_email_template_get(57))
    assert chosen in listed
    categories = data(masters.master_email_template_categories_get(page=1, limit=20))
    blank = next(one["category_id"] for one in categories if one["name"] == "Blank Template")
    assert data(masters.master_email_template_category_get(blank)) == {"category_id": blank, "name": "Blank Template"}
    within = data(masters.master_email_templates_in_category_get(blank, page=1, limit=20))
    assert [one["template_name"] for one in within] == ["Basic", "Basic 2"]
    made = data(own.email_template_post(sdk.EmailTemplateNew(template_name="Minions", template_id_master=57)))
    assert made["body"] == chosen["body"]
    key = made["template_id"]
    changed = sdk.EmailTemplateUpdate(template_name="Minions", body="This is a sample content.")
    assert data(own.email_template_put(key, changed))["body"] == "This is a sample content."
    assert data(own.email_template_put(key, sdk.EmailTemplateUpdate(body="b")))["template_name"] == "Minions"
    assert data(own.email_template_get(key)) == {**made, "body": "b"}
    assert data(own.email_templates_get(page=1, limit=15))["data"] == [{"template_id": key, "template_name": "Minions"}]
    assert data(own.email_template_delete(key)) == []
    refused(lambda: own.email_template_get(key), 404)


def test_email_to_sms(client: sdk.ApiClient, api: Api) -> None:
    mails = sdk.EmailToSmsApi(client)
    given = sdk.EmailSMSAddress(email_address=api.username + "@example.com", _from="Shop")
    made = data(mails.sms_email_sms_post(given))
    assert (made["email_address"], made["from"]) == (given.email_address, "Shop")
    paid_by = sdk.EmailSMSAddress(
        email_address="b@example.org", _from="+61411111111", subaccount_id=str(api.subaccount_id)
    )
    data(mails.sms_email_sms_post(paid_by))
    listed = data(mails.sms_email_sms_get(page=1, limit=15))["data"]
    assert [row["subaccount_id"] for row in listed] == [api.subaccount_id] * 2
    rule = data(mails.sms_email_sms_stripped_string_post(sdk.StrippedString(strip_string="~~~test~~~")))
    key = rule["rule_id"]
    assert data(mails.sms_email_sms_stripped_string_get(key))["strip_string"] == "~~~test~~~"
    changed = data(mails.sms_email_sms_stripped_string_put(sdk.StrippedString(strip_string="~~~test1~~~"), key))
    assert changed["strip_string"] == "~~~test1~~~"
    assert data(mails.sms_email_sms_stripped_strings_get(page=1, limit=15))["total"] == 1
    assert data(mails.sms_email_sms_stripped_string_delete(key)) is True
