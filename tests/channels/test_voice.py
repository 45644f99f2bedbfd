"""Voice does what every channel does, and what is its own."""

import time
from typing import Any

import pytest

from channels.conformance import TO, Conformance
from heliograph.accounts import account
from heliograph.billing.commission import Terms
from heliograph.channels.voice.channel import Voice
from heliograph.channels.voice.languages import LANGUAGES
from heliograph.channels.voice.shapes import VoiceMessage
from heliograph.channels.voice.speech import Speaker, Text
from heliograph.messaging.channel import Charge
from heliograph.seed import DEMO_KEY, DEMO_USER
from heliograph.settings import Settings
from heliograph.transports.base import Failed, Outcome, Outgoing, Retry, Sent, Spoken
from support.carrier import Carrier
from support.server import Api, Running

LANDLINE = "+61299999999"
LATER = 600


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[Text]:
    """What was to be spoken. Nothing is: the engine has tests of its own."""
    texts: list[Text] = []

    async def sound(self: Speaker, text: Text) -> bytes:
        texts.append(text)
        return b"\1\0" * 8000

    monkeypatch.setattr(Speaker, "sound", sound)
    return texts


@pytest.fixture
def server(sqlite_server: Running) -> Running:
    """What is tested here beside the life of a message does not differ between the databases."""
    return sqlite_server


class TestVoice(Conformance):
    channel = "voice"
    price = "message_price"
    looks_up = hears = False

    def carried(self, outgoing: Outgoing, body: str) -> None:
        assert outgoing.content == Spoken(b"\1\0" * 8000)


def entries(api: Api, *messages: dict[str, Any], to: str = "send") -> list[dict[str, Any]]:
    given = [{"to": TO, "body": f"Hello {time.time_ns()}", **message} for message in messages]
    return list(api.post(f"/voice/{to}", {"messages": given})["messages"])


@pytest.mark.parametrize(
    ("body", "parts", "kept"),
    [
        ("a" * 300, 1, 300),
        ("a" * 301, 2, 301),
        ("a" * 901, 4, 901),
        ("a" * 1201, 4, 1200),
        ("я" * 150, 1, 150),
        ("я" * 151, 2, 151),
        ("я" * 451, 4, 451),
        ("я" * 601, 4, 600),
        ("a" * 600 + "я", 4, 600),
        ("€" * 300, 1, 300),
        ("<speak>" + "a" * 300 + "<break time='1s'/></speak>", 1, 333),
        ("<s>" + "a" * 1300 + "</s>", 4, 1222),
    ],
)
def test_parts_and_what_is_cut(api: Api, body: str, parts: int, kept: int) -> None:
    (entry,) = entries(api, {"body": body, "schedule": int(time.time()) + LATER})
    assert (entry["message_parts"], len(entry["body"])) == (parts, kept)
    assert float(entry["message_price"]) == pytest.approx(0.099 * parts)


def test_what_is_charged_depends_on_the_kind_of_line(api: Api) -> None:
    mobile, landline, either, test = entries(
        api, {}, {"to": LANDLINE}, {"to": "+12025550142"}, {"to": "+61411111111"}, to="price"
    )
    kinds = [entry["to_type"] for entry in (mobile, landline, either, test)]
    assert kinds == ["mobile", "landline", "mobile", "mobile"]
    prices = [entry["message_price"] for entry in (mobile, landline, either, test)]
    assert prices == ["0.0990", "0.0583", "0.0258", "0.0000"]
    assert test["message_parts"] == 0
    assert not any("carrier" in entry for entry in (mobile, landline))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"lang": "xx"}, "INVALID_LANG"),
        ({"lang": "pt-pt", "voice": "female"}, "INVALID_VOICE"),
        ({"voice": 1}, "INVALID_VOICE"),
        ({"voice": "robot"}, "INVALID_VOICE"),
        ({"to": "12"}, "INVALID_RECIPIENT"),
        ({"to": "000"}, "INVALID_RECIPIENT"),
        ({"to": "911", "country": "US"}, "INVALID_RECIPIENT"),
        ({"to": "+19005550123"}, "INVALID_RECIPIENT"),
        ({"to": "+449098790000"}, "INVALID_RECIPIENT"),
        ({"to": "+88210000000"}, "INVALID_RECIPIENT"),
        ({"to": ""}, "MISSING_REQUIRED_FIELDS"),
        ({"from": "Heliograph"}, "INVALID_SENDER_ID"),
        ({"from": "+61411000009"}, "INVALID_SENDER_ID"),
        ({"body": ""}, "EMPTY_MESSAGE"),
        ({"body": " \n"}, "EMPTY_MESSAGE"),
        ({"body": "<speak><break time='3s'/></speak>"}, "EMPTY_MESSAGE"),
        ({"schedule": 10**12}, "INVALID_SCHEDULE"),
        ({"to": None, "list_id": 7}, "NOT_ENOUGH_PERMISSION_TO_LIST_ID"),
    ],
)
def test_each_message_is_refused_by_itself(api: Api, given: dict[str, Any], status: str) -> None:
    for way in ("send", "price"):
        bad, good = entries(api, given, {}, to=way)
        assert (bad["status"], good["status"]) == (status, "SUCCESS")
        assert (bad["message_parts"], bad["message_price"]) == (0, "0.0000")


def test_a_country_may_be_given_by_name(api: Api) -> None:
    """As in an SMS: the same reading of a number in all channels."""
    for to, country, number in (
        ("9876543210", "India", "+919876543210"),
        ("9876543210", " IND ", "+919876543210"),
        ("07911123456", "UK", "+447911123456"),
        ("0411000001", "", "+61411000001"),
    ):
        (entry,) = entries(api, {"to": to, "country": country})
        assert (entry["status"], entry["to"]) == ("SUCCESS", number)
    (entry,) = entries(api, {"to": "9876543210", "country": "Atlantis"})
    assert entry["status"] == "INVALID_RECIPIENT"


@pytest.mark.parametrize(
    ("given", "lang", "voice"),
    [
        ({}, "en-au", "female"),
        ({"to": "+442079460000"}, "en-gb", "female"),
        ({"to": "+919812345678"}, "en-in", "female"),
        ({"to": "+4915112345678"}, "en-us", "female"),
        ({"lang": "PT-pt"}, "pt-pt", "male"),
        ({"lang": "de-de", "voice": " Male"}, "de-de", "male"),
        ({"lang": "", "voice": ""}, "en-au", "female"),
    ],
)
def test_the_voice_that_speaks(api: Api, given: dict[str, Any], lang: str, voice: str) -> None:
    (entry,) = entries(api, given, to="price")
    assert (entry["lang"], entry["voice"]) == (lang, voice)


def test_every_language_has_the_voices_of_the_document(api: Api) -> None:
    listed = api.get("/voice/lang")
    assert [(one["code"], one["gender"]) for one in listed] == [
        (code, list(language.voices)) for code, language in LANGUAGES.items()
    ]
    assert len(listed) == 23
    assert listed[0] == {"code": "en-us", "country": "English, US", "gender": ["female", "male"]}
    asked = [{"lang": one["code"], "voice": voice} for one in listed for voice in ("female", "male")]
    statuses = [entry["status"] for entry in entries(api, *asked, to="price")]
    right = [voice in one["gender"] for one in listed for voice in ("female", "male")]
    assert [status == "SUCCESS" for status in statuses] == right
    assert {status for status, good in zip(statuses, right, strict=True) if not good} == {"INVALID_VOICE"}


def test_a_number_of_the_account_may_call(api: Api) -> None:
    number = api.get("/numbers/search/AU")["data"][0]["dedicated_number"]
    api.call("POST", f"/numbers/buy/{number}")
    mine, none = entries(api, {"from": number}, {}, to="price")
    assert (mine["from"], none["from"]) == (number, None)


def test_flags_are_loose_and_shown_as_numbers(api: Api) -> None:
    one, two, three = entries(
        api,
        {"require_input": "1", "machine_detection": True},
        {"require_input": 0},
        {"require_input": "yes"},
        to="price",
    )
    flags = [(entry["require_input"], entry["machine_detection"]) for entry in (one, two, three)]
    assert flags == [(1, 1), (0, 0), (1, 0)]


def test_premium_numbers_are_called_where_the_operator_allows_it() -> None:
    who = account.Principal(
        **dict.fromkeys(("username", "api_username", "email", "proof"), ""),
        **dict.fromkeys(("user_id", "subaccount_id", "epoch"), 1),
        **dict.fromkeys(("throttle_seconds", "countries", "expires"), None),  # type: ignore[arg-type]
        country="US",
        currency="USD",
        char_limit=8,
        active=True,
        banned=False,
        is_main=True,
        access=frozenset(),
        terms=Terms(),
        numbers=(),
    )
    given = VoiceMessage(to="+19005550123", body="Hello")
    assert Voice(Settings()).draft(who, given, 0).refusal == "INVALID_RECIPIENT"
    draft = Voice(Settings(voice_premium="allow")).draft(who, given, 0)
    assert (draft.refusal, draft.charges) == (None, (Charge("landline", 1),))


def test_a_call_is_given_up_after_four_hours(carrier: Carrier) -> None:
    carrier.answer = lambda _: Retry(3600.0, "busy")
    api = carrier.server.account()
    (old, new) = entries(api, {"schedule": int(time.time()) + LATER}, {"schedule": int(time.time()) + LATER})
    hours = {old["message_id"]: 5, new["message_id"]: 3}
    for key, age in hours.items():
        TestVoice().make_due(api, key, accepted=int(time.time()) - age * 3600)
    ends(api, old["message_id"], "Failed")
    api.until(lambda: len(api.get(f"/voice/{new['message_id']}/timeline")) == 2)
    assert row(api, new["message_id"])["status"] != "Failed"


def test_the_demo_account_polls_receipts_of_calls(server: Running) -> None:
    demo = server.client(DEMO_USER, DEMO_KEY)
    (rule,) = demo.get("/automations/voice/receipts")["data"]
    assert (rule["action"], rule["enabled"]) == ("POLL", 1)


def test_a_country_that_is_not_selected_is_not_called(api: Api) -> None:
    api.post("/user-countries", {"country_list_ids": [2]})
    australia, zealand = entries(api, {}, {"to": "+64211234567"})
    assert (australia["status"], australia["message_parts"], australia["lang"]) == ("COUNTRY_NOT_ENABLED", 0, "en-au")
    assert zealand["status"] == "SUCCESS"


def test_too_many_messages_are_refused_as_a_whole(api: Api) -> None:
    answer = api.call("POST", "/voice/send", {"messages": [{"to": TO, "body": "x"}] * 1001})
    assert answer.status == 400
    assert api.call("POST", "/voice/send", {"messages": []}).status == 400


def test_a_list_gets_personal_calls_but_who_has_opted_out(api: Api) -> None:
    list_id = api.post("/lists", {"list_name": "Callers"})["list_id"]
    for number, name in ((TO, "Ann"), ("+61411000002", "Bob"), (LANDLINE, "Cy")):
        api.post(f"/lists/{list_id}/contacts", {"phone_number": number, "first_name": name})
    (opt_out,) = [one["list_id"] for one in api.get("/lists")["data"] if one["list_name"] == "Opt-Out List"]
    api.post(f"/lists/{opt_out}/contacts", {"phone_number": "+61411000002"})
    later = int(time.time()) + LATER
    given = {"body": "Hello (First Name)", "list_id": list_id, "schedule": later}
    sent = api.post("/voice/send", {"messages": [given]})["messages"]
    assert [(one["to"], one["body"], one["status"]) for one in sent] == [
        (TO, "Hello Ann", "SUCCESS"),
        ("+61411000002", "Hello Bob", "OPTED_OUT"),
        (LANDLINE, "Hello Cy", "SUCCESS"),
    ]
    assert api.put("/voice/cancel-all") == {"count": 2}


def test_the_texts_of_cancelling(api: Api) -> None:
    later = int(time.time()) + LATER
    first, _ = entries(api, {"schedule": later}, {"schedule": later})
    assert first["schedule"] == later
    one = api.call("PUT", f"/voice/{first['message_id']}/cancel").body
    assert (one["response_msg"], one["data"]) == ("Voice have been cancelled.", [])
    assert api.call("PUT", "/voice/cancel-all").body["response_msg"] == "1 messages have been cancelled."


def test_the_same_call_twice_is_throttled(api: Api) -> None:
    statuses = [entry["status"] for entry in entries(api, {"body": "same"}, {"body": "same"})]
    assert statuses == ["SUCCESS", "THROTTLED"]


def answered(carrier: Carrier, api: Api, outcome: Outcome, **message: Any) -> str:
    """Send one, let the carrier answer so; its id."""
    carrier.answer = lambda outgoing: outcome if outgoing.key.user_id == api.user_id else Sent()
    (entry,) = entries(api, message)
    return str(entry["message_id"])


def row(api: Api, key: str) -> dict[str, Any]:
    (found,) = api.get(f"/voice/history?q=message_id:{key}")["data"]
    return dict(found)


def ends(api: Api, key: str, status: str) -> dict[str, Any]:
    return dict(api.until(lambda: [one for one in [row(api, key)] if one["status"] == status])[0])


def test_a_call_that_was_answered_is_complete_with_its_digits(carrier: Carrier) -> None:
    api = carrier.server.account()
    api.post("/automations/voice/receipts", {"rule_name": "p", "match_type": 0, "action": "POLL", "action_address": ""})
    said = Sent(detail="answered", arrived=True, details={"digits": "5", "machine_detected": 0})
    key = answered(carrier, api, said, require_input=1, body="Press a key")
    assert carrier.next(api).content == Spoken(b"\1\0" * 8000, keys=True)
    found = ends(api, key, "Completed")
    assert (found["digits"], found["machine_detected"], found["require_input"]) == ("5", 0, 1)
    assert (found["status_code"], found["status_text"]) == ("201", "Success: Message received on handset.")
    assert (found["message_parts"], found["message_price"]) == ("1.00", "0.099")
    (polled,) = api.get("/voice/receipts")["data"]
    assert (polled["message_id"], polled["digits"], polled["message_type"]) == (key, "5", "voice")
    assert isinstance(polled["timestamp"], str)
    assert api.get(f"/voice/{key}/timeline")[-1]["detail"] == "Taken by scripted: answered."
    api.put("/voice/receipts-read", {"date_before": int(time.time()) + 60})
    assert api.get("/voice/receipts")["total"] == 0
    assert api.get("/statistics/voice")["total"]["outbound"]["count"] == 1


def test_a_machine_is_seen_in_the_history(carrier: Carrier) -> None:
    api = carrier.server.account()
    said = Sent(detail="answered", arrived=True, details={"digits": "", "machine_detected": 1})
    key = answered(carrier, api, said, machine_detection=1)
    found = ends(api, key, "Completed")
    assert (found["digits"], found["machine_detected"], found["machine_detection"]) == (None, 1, 1)


def test_a_call_that_nobody_took_is_paid_back_and_says_why(carrier: Carrier) -> None:
    api = carrier.server.account()
    api.post("/automations/voice/receipts", {"rule_name": "p", "match_type": 2, "action": "POLL", "action_address": ""})
    key = answered(carrier, api, Failed(486, "busy"))
    found = ends(api, key, "Failed")
    assert (found["status_code"], found["status_text"], found["digits"]) == ("301", "Failed: busy", None)
    (polled,) = api.get("/voice/receipts")["data"]
    assert (polled["error_code"], polled["error_text"], polled["digits"]) == ("486", "busy", "")
    assert api.get("/account")["balance"] == "100.000000"


def test_a_test_receipt_looks_like_a_call(server: Running, api: Api) -> None:
    sample = api.post("/voice/receipts", {"url": "http://127.0.0.1:9/"})
    assert (sample["digits"], sample["status_code"]) == ("", "201")


def test_the_audio_of_a_message_is_for_its_own_account(server: Running, api: Api, said: list[Text]) -> None:
    (entry,) = entries(api, {"body": "Tom & <Jerry>", "schedule": int(time.time()) + LATER, "voice": "male"})
    url = api.get(f"/voice/{entry['message_id']}/audio")["url"]
    assert url.endswith(f"?filename={entry['message_id']}.wav")
    heard = [one for one in said if "Jerry" in one.markup]  # the calls of other tests may still be under way
    assert heard == [Text("<speak>Tom &amp; &lt;Jerry&gt;</speak>", "en-au", "male")]
    assert server.account().call("GET", f"/voice/{entry['message_id']}/audio").status == 404
    sms = api.send(TO)["message_id"]
    assert api.call("GET", f"/voice/{sms}/audio").status == 404
