"""Referrals: named at registration, listed, and paid for what the referred account spends on messages."""

import itertools
import time
from typing import Any

import pytest

from support.server import Api, Running

_names = itertools.count(time.time_ns())
PERSON = {
    "user_email": "r@example.com",
    "user_phone": "+61411111111",
    "user_first_name": "R",
    "user_last_name": "S",
    "account_name": "T",
    "country": "AU",
    "password": "pass",
}


def register(server: Running, referrer: Any, **more: Any) -> Any:
    anybody = server.client("nobody", "nothing")
    return anybody.call("POST", "/account", {**PERSON, "username": f"new{next(_names)}", "referrer": referrer, **more})


def referred_by(api: Api, **more: Any) -> Api:
    answer = register(api.server, api.username.upper(), **more)
    assert answer.status == 200, answer.raw
    made = answer.data
    return api.server.client(made["username"], made["_subaccount"]["api_key"], made["user_id"])


def test_referred_accounts_are_listed(api: Api) -> None:
    made = [referred_by(api).user_id for _ in range(2)]
    rows = api.get("/referral/accounts")["data"]
    assert [row["referred_user_id"] for row in rows] == [row["refered_user_id"] for row in rows] == made
    assert {row["percentage_referral"] for row in rows} == {5}
    assert all(abs(row["date_referred"] - time.time()) < 60 for row in rows)
    found = api.get(f"/referral/accounts?q=referred_user_id:{made[1]}&order_by=date_referred:desc")
    assert [row["referred_user_id"] for row in found["data"]] == made[1:]


def test_others_referrals_are_not_seen(server: Running, api: Api) -> None:
    referred_by(server.account())
    assert api.get("/referral/accounts")["total"] == 0


def test_a_share_of_each_send_is_earned_and_of_a_refund_given_back(api: Api) -> None:
    referred = referred_by(api)
    before = float(api.get("/account")["balance"])
    referred.post("/sms/send", {"messages": [{"to": "+61491570006", "body": f"Hello {n}"} for n in range(4)]})
    assert api.get("/account")["balance_commission"] == "0.014300"
    assert float(api.get("/account")["balance"]) == before
    sent = referred.send("+61491570006", "later", schedule=int(time.time()) + 600)
    assert api.get("/account")["balance_commission"] == "0.017875"
    referred.put(f"/sms/{sent['message_id']}/cancel")
    refused = referred.send("+61491999004", "refused by the carrier")
    referred.final(refused["message_id"], "Failed")
    assert api.get("/account")["balance_commission"] == "0.014300"
    assert referred.get("/account")["balance_commission"] == "0.000000"


def test_what_was_earned_in_another_currency_is_shown_in_ones_own(api: Api) -> None:
    referred = referred_by(api, country="US", user_phone="518-481-1002")
    price = float(referred.send("+14155550123")["message_price"])
    assert float(api.get("/account")["balance_commission"]) == pytest.approx(price * 0.05 * 1.52, abs=2e-6)


@pytest.mark.parametrize("referrer", ["no such user", "\x00", ["a"], {"a": 1}, "r" * 5000, "' OR 1=1 --", "Ωμέγα"])
def test_a_wrong_referrer_is_refused(server: Running, referrer: Any) -> None:
    answer = register(server, referrer)
    assert (answer.status, set(answer.data)) == (400, {"referrer"})


@pytest.mark.parametrize("referrer", [None, ""])
def test_nobody_has_to_be_named(server: Running, referrer: Any) -> None:
    assert register(server, referrer).status == 200
