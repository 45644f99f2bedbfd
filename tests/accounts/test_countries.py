"""Global sending: the list, the selection, the agreement, and what they do to messages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.server import Api, Running

AU, NZ, GB = "+61491570006", "+64211234567", "+447400123456"


def ids(api: Api, *codes: str) -> list[int]:
    known = {one["code"]: one["id"] for one in api.get("/country-list")}
    return [known[code] for code in codes]


def select(api: Api, *codes: str) -> Any:
    return api.post("/user-countries", {"country_list_ids": ids(api, *codes)})


def codes(entries: Any) -> list[str]:
    return [one["code"] for one in entries]


def test_the_list_has_every_country_with_telephones(api: Api) -> None:
    data = api.get("/country-list")
    assert data[0].keys() == {"id", "name", "code", "region"}
    assert {"id": 1, "name": "Australia", "code": "AU", "region": "Oceania"} in data
    assert len(data) == len({one["id"] for one in data}) == 245
    assert [one["name"] for one in data[:3]] == ["Afghanistan", "Åland Islands", "Albania"]


def test_without_a_selection_messages_go_everywhere(api: Api) -> None:
    assert api.get("/user-countries") == []
    assert [api.send(number)["status"] for number in (AU, NZ, GB)] == ["SUCCESS"] * 3


def test_a_selection_refuses_all_other_countries(api: Api) -> None:
    assert codes(select(api, "NZ", "AU")) == codes(api.get("/user-countries")) == ["AU", "NZ"]
    data = api.post(
        "/sms/send", {"messages": [{"to": to, "body": "Hello", "custom_string": "c"} for to in (AU, GB, NZ)]}
    )
    assert [one["status"] for one in data["messages"]] == ["SUCCESS", "COUNTRY_NOT_ENABLED", "SUCCESS"]
    assert (data["total_count"], data["queued_count"], data["blocked_count"]) == (3, 2, 1)
    refused = data["messages"][1]
    assert (refused["message_parts"], refused["message_price"], refused["country"]) == (0, "0.0000", "GB")
    assert (refused["direction"], refused["to"], refused["custom_string"]) == ("out", GB, "c")
    assert isinstance(refused["schedule"], int)
    assert refused["from"]
    assert refused.keys() == data["messages"][0].keys()
    assert api.get("/sms/history")["total"] == 2


def test_a_refused_country_costs_nothing(api: Api) -> None:
    select(api, "AU")
    before = api.get("/account")["balance"]
    assert api.send(GB)["status"] == "COUNTRY_NOT_ENABLED"
    assert api.get("/account")["balance"] == before


def test_a_price_says_the_same(api: Api) -> None:
    select(api, "AU")
    data = api.post("/sms/price", {"messages": [{"to": to, "body": "Hello"} for to in (AU, GB)]})
    assert [one["status"] for one in data["messages"]] == ["SUCCESS", "COUNTRY_NOT_ENABLED"]
    assert (data["blocked_count"], data["total_price"]) == (1, 0.0715)
    assert data["messages"][1]["message_price"] == "0.0000"


def test_test_numbers_are_subject_to_the_selection(api: Api) -> None:
    select(api, "NZ")
    assert api.send("+61411111111")["status"] == "COUNTRY_NOT_ENABLED"


def test_a_bad_number_and_a_bad_sender_come_before_the_country(api: Api) -> None:
    select(api, "NZ")
    assert api.send("+6149")["status"] == "INVALID_RECIPIENT"
    assert api.send(AU, **{"from": "much too long for a sender"})["status"] == "INVALID_SENDER_ID"


def test_a_selection_holds_for_the_next_request_however_often_it_changes(api: Api) -> None:
    for at, chosen in enumerate(("AU", "NZ", "AU", "GB")):
        select(api, chosen)
        assert (api.send(AU, f"text {at}")["status"] == "SUCCESS") == (chosen == "AU")


def test_with_an_idempotency_key_the_newest_selection_counts_too(api: Api) -> None:
    api.get("/account")
    select(api, "NZ")
    answer = api.call("POST", "/sms/send", {"messages": [{"to": AU, "body": "Hello"}]}, {"Idempotency-Key": "first"})
    assert answer.data["messages"][0]["status"] == "COUNTRY_NOT_ENABLED"


def test_an_empty_selection_takes_the_restriction_away(api: Api) -> None:
    select(api, "NZ")
    assert api.post("/user-countries", {"country_list_ids": []}) == []
    assert api.send(AU)["status"] == "SUCCESS"


def test_a_selection_replaces_the_one_before_and_keeps_its_agreements(api: Api) -> None:
    select(api, "AU", "NZ")
    agreed = api.post("/user-countries/agree", {"country_list_ids": ids(api, "NZ")})
    assert [one["agreed_at"] is not None for one in agreed] == [False, True]
    changed = select(api, "GB", "NZ")
    assert codes(changed) == ["NZ", "GB"]
    assert [one["agreed_at"] for one in changed] == [agreed[1]["agreed_at"], None]
    assert select(api, "AU")[0]["agreed_at"] is None


def test_an_agreement_to_all_needs_no_ids(api: Api) -> None:
    select(api, "AU", "NZ")
    assert all(one["agreed_at"] for one in api.post("/user-countries/agree"))


def test_one_id_is_taken_for_a_list(api: Api) -> None:
    assert codes(api.post("/user-countries", {"country_list_ids": 1})) == ["AU"]
    assert codes(api.post("/user-countries", {"country_list_ids": ["1", 2.0, 1]})) == ["AU", "NZ"]
    assert codes(api.post("/user-countries/agree", {"country_list_ids": 2})) == ["AU", "NZ"]


def test_accounts_select_for_themselves(server: Running, api: Api) -> None:
    other = server.account()
    select(api, "NZ")
    assert other.get("/user-countries") == []
    assert other.send(AU)["status"] == "SUCCESS"
    answer = other.call("POST", "/user-countries/agree", {"country_list_ids": ids(api, "NZ")})
    assert answer.status == 400
    assert api.get("/user-countries")[0]["agreed_at"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"country_list_ids": None},
        {"country_list_ids": "AU"},
        {"country_list_ids": ["AU"]},
        {"country_list_ids": [0]},
        {"country_list_ids": [-1]},
        {"country_list_ids": [99_999]},
        {"country_list_ids": [2**63]},
        {"country_list_ids": [1.5]},
        {"country_list_ids": [[1]]},
        {"country_list_ids": {"1": 1}},
        {"country_list_ids": [True]},
        {"country_list_ids": list(range(1000, 9000))},
    ],
)
def test_wrong_ids_are_refused_and_nothing_is_changed(api: Api, body: Any) -> None:
    select(api, "NZ")
    answer = api.call("POST", "/user-countries", body)
    assert answer.status == 400
    assert all(name.startswith("country_list_ids") for name in answer.data)
    assert len(answer.raw) < 2000
    assert codes(api.get("/user-countries")) == ["NZ"]


def test_an_agreement_to_what_is_not_selected_is_refused(api: Api) -> None:
    select(api, "NZ")
    answer = api.call("POST", "/user-countries/agree", {"country_list_ids": ids(api, "AU", "NZ")})
    assert (answer.status, answer.data) == (400, {"country_list_ids": "These countries are not selected: AU."})
    assert api.get("/user-countries")[0]["agreed_at"] is None


@pytest.fixture
def homely(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, countries="home")
    yield running
    running.close_clients()
    running.stop()


def test_an_operator_can_keep_new_accounts_at_home(homely: Running) -> None:
    api = homely.account(country="NZ")
    assert [api.send(number)["status"] for number in (NZ, AU)] == ["SUCCESS", "COUNTRY_NOT_ENABLED"]
    select(api, "AU")
    assert [api.send(number, "again")["status"] for number in (NZ, AU)] == ["COUNTRY_NOT_ENABLED", "SUCCESS"]
    given = {"country": "GB", "user_phone": GB, "type": "sms"}
    assert api.put("/account-verify/send", given)["user_phone"] == GB  # the house is at home everywhere
