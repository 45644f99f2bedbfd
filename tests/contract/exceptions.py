"""Where an answer may differ from the documented example, and why. The number is the endpoint's in endpoints.json.

The document's example is the rule. What real services were seen to answer, or what the official clients cannot do
without, is an exception, and each has its reason here. Sources: facts A20, B, F12; clients 3, 4, 5.
"""

STRING_PRICE = "Live captures and the official client 6.0.2 have the price of a message as a string of four decimals."
NULL = "The example is []; the live service has null, and the official client 6.0.2 takes only an object or null."
NONE_GIVEN = "An email without it has null here (see the example of endpoint 64), not an empty list."
ECHO = "The example gives back the type that the request had; every sibling endpoint has the other one."
FILLED_LATER = "The example is null because nothing had happened yet; the official client 6.0.2 expects an object."
NOT_SCHEDULED = "The example only shows the empty string of a message without a schedule; with one it is a Unix time."

EXCEPTIONS: dict[tuple[int, str], tuple[str, str]] = {
    (62, "data.cc"): ("array null", NONE_GIVEN),
    (62, "data.bcc"): ("array null", NONE_GIVEN),
    (62, "data._attachments"): ("array null", NONE_GIVEN),
    (63, "data.cc_array"): ("array null", NONE_GIVEN),
    (63, "data.bcc_array"): ("array null", NONE_GIVEN),
    (64, "data.data[].cc"): ("array null", NONE_GIVEN),
    (64, "data.data[].bcc"): ("array null", NONE_GIVEN),
    (64, "data.data[]._attachments"): ("array null", NONE_GIVEN),
    (76, "data[].registration_entity"): ("object null", FILLED_LATER),
    (77, "data[].registration_entity"): ("object null", FILLED_LATER),
    (78, "data[].registration_entity"): ("object null", FILLED_LATER),
    (90, "data.messages[].schedule"): ("integer string", NOT_SCHEDULED),
    (91, "data.messages[].schedule"): ("integer string", NOT_SCHEDULED),
    (96, "data.list_id"): ("integer string", ECHO),
    (117, "data.address_postal_code"): ("string integer", ECHO),
    (123, "data._subaccount"): ("object null", FILLED_LATER),
    (126, "data.messages[].message_price"): ("string", STRING_PRICE),
    (131, "data"): ("null", NULL),
    (134, "data"): ("null", NULL),
    (136, "data"): ("null", NULL),
    (169, "data.messages[].message_price"): ("string number", STRING_PRICE),
    (170, "data.messages[].message_price"): ("string number", STRING_PRICE),
}
"""(endpoint, place in the answer) -> (allowed JSON types, reason)."""

TEXTS: dict[int, tuple[str, str]] = {
    126: ("Messages queued for delivery.", "All live captures of a send have this text."),
    136: ("Scheduled sms message has been cancelled.", "A live capture has this text."),
    169: ("Messages queued for delivery.", "As endpoint 126: the same sending code answers."),
}
"""Endpoint -> another response_msg that is right too, and why."""

_PAGE = "data.first_page_url:string data.last_page_url:string data.path:string data.links:array"
_FLAGS = "access_smpp:integer access_global_sending:integer hide_pricing:integer is_main:integer sign_up_type:string"
_LATER_FLAGS = f"{_FLAGS} access_mms:integer share_campaigns:integer notes:string"
_CAMPAIGN = "url_to_shorten:string unsubscribe_link:integer senders:array _total_count:integer _list_name:string"
_CLIENT = "old_dashboard:integer balance_commission:string timezone:string"
_LIST_STATE = "_import_in_progress:integer _optout_in_progress:integer"
_RECEIPT = "status:string user_id:integer subaccount_id:integer message_type:string digits:integer"


def _at(place: str, keys: str) -> str:
    return " ".join(f"{place}.{key}" for key in keys.split())


_VOICE = _at(
    "data.messages[]",
    "date_added:integer list_id:string machine_detected:number digits:string carrier:string status_code:string "
    "status_text:string _api_username:string",
)

EXTRAS: dict[int, str] = {
    1: "data._subaccount.access_smpp:integer",
    2: "data.date_sign_up:integer data.reply_to:string data.delivery_to:string data.priority:integer "
    "data.country_ip:string data.price_rate:integer data.pricing_variant:integer data.on_trial:integer "
    "data.trial_expiry:string data._referrer_chosen:object data.cors_origins:string data.throttle_seconds:integer "
    "data.setting_email_tracking:integer " + _at("data._subaccount", _FLAGS),
    3: "data.sms[].notes:string data.voice[].notes:string data.fax[].notes:string data.post[].notes:string "
    "data.email[].notes:string data.mms:array data.email_transactional:array data.postcards:array "
    "data.mms_total:object data.email_transactional_total:object data.postcards_total:object data._currency:object",
    4: "data.activation_token:string",
    11: "data.currency:object "
    + _at(
        "data.packages[]",
        "price_rate:integer price_sms_carrier_fee:string mms_price:number mms_quantity:number "
        "price_mms_carrier_fee:string automation_price:number",
    ),
    16: "data.date_updated:string|integer",
    17: "data.date_updated:string|integer",
    18: "data.date_updated:string|integer",
    19: "data.date_updated:string|integer",
    20: "data.date_updated:string|integer",
    23: f"{_PAGE} " + _at("data.data[]", _LIST_STATE),
    24: _at("data", _LIST_STATE),
    25: _at("data", _LIST_STATE),
    26: _at("data", _LIST_STATE),
    31: _at("data.data[]", "subaccount_id:integer from_fax:string voice:string lang:string _subaccount_name:string"),
    35: "data.stripped_string:string",
    36: "data.stripped_string:string",
    38: "data.data[].body:string",
    39: "data.body:string",
    40: "data[].category_name:string",
    54: "data.totlal_count:number",
    56: "data.data[].body:string data.data[].body_plain_text:string",
    64: "data.data[]._currency:object data.data[].to[].name:string",
    92: _at("data.data[]", "subject:string priority:integer _media_file_url:string date_added:integer"),
    100: "data._currency:object "
    + _at(
        "data.data[]",
        "notes:string type:string number_type:string number_category:string number_guid:string "
        "form_submission_id:string status:object",
    ),
    102: "data.data[].address_requirement:string",
    104: "data.total_count:integer data.queued_count:integer data._currency:object",
    119: "data.data[].refered_user_id:integer",
    120: "data._currency:object data._subaccount:object "
    + _at("data.data[]", _CLIENT)
    + " "
    + _at("data.data[]._subaccount", _LATER_FLAGS),
    121: _at("data._subaccount", _LATER_FLAGS),
    122: _at("data", _CLIENT) + " " + _at("data._subaccount", _LATER_FLAGS),
    124: _at("data", _CLIENT) + " " + _at("data._subaccount", _LATER_FLAGS),
    126: "data.blocked_count:integer "
    + _at(
        "data.messages[]",
        "from_email:string list_id:string|integer contact_id:string|integer is_shared_system_number:boolean",
    ),
    127: "data._currency:object data._summary:object data.blocked_count:integer "
    + _at(
        "data.messages[]",
        "date:string|integer message_id:string contact_id:string|integer is_shared_system_number:boolean",
    ),
    129: _at("data.data[]", _RECEIPT),
    130: _at("data", _RECEIPT),
    128: _at("data", _RECEIPT) + " data.timestamp_send:string|integer",
    132: "data.timestamp_send:string|integer",
    144: _at("data", _CAMPAIGN),
    146: _at("data", _CAMPAIGN),
    147: _at("data", _CAMPAIGN),
    148: _at("data.data[]", _CAMPAIGN),
    149: _at("data", _CAMPAIGN),
    150: f"{_PAGE} data.data[].webhook_type:string",
    151: "data.body:string data.webhook_type:string",
    152: "data.webhook_type:string",
    153: "data.webhook_type:string",
    160: "data.total.bounced.price:number data.stats[].bounced.price:number",
    161: "data.total.inbound.price:number data.total.bounced.price:number data.stats:array "
    "data.stat[].inbound.price:number data.stat[].bounced.price:number",
    162: _at("data.data[]", _FLAGS),
    163: _at("data", _FLAGS),
    164: _at("data", _FLAGS),
    165: _at("data", _FLAGS),
    169: _VOICE,
    170: _VOICE,
    172: _at("data.data[]", _RECEIPT),
    175: "data.data[].date:string data.data[].machine_detection:number data.data[]._api_username:string",
}
"""Endpoint -> keys beyond the example, as place:type. They are documented in a property table, or the official client
6.0.2 and live captures have them, or (cors_origins, throttle_seconds,
setting_email_tracking) they are settings that only this program shows.
The permission access_smpp, which the client knows of the account (2), is shown at its registration (1) too.
null is always right for them."""

EXTRAS_ANYWHERE = {"_currency": {"min_recharge_amount": "string", "max_recharge_amount": "string"}}
"""Name of an object -> keys beyond its examples wherever it stands: the official client 6.0.2 has them."""
