"""The contract's shell: credentials, errors, paging, search, limits, idempotency, CORS."""

import base64
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from heliograph.accounts import account
from heliograph.accounts.vault import hash_password
from support.server import Api, Running

NUMBER = "+61491570006"
UNAUTHORIZED = {
    "http_code": 401,
    "response_code": "UNAUTHORIZED",
    "response_msg": "Authorization failed.",
    "data": None,
}


def encoded(user: str, key: str) -> str:
    return base64.b64encode(f"{user}:{key}".encode()).decode()


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!!", "Basic " + encoded("nobody", "x"), "Bearer token", "Digest x", "Basic " + "Og=="],
)
def test_every_fault_of_credentials_has_one_answer(api: Api, header: str) -> None:
    answer = api.call("GET", "/account", headers={"Authorization": header})
    assert answer.status == 401
    assert answer.body == UNAUTHORIZED


def test_key_password_and_bearer_open_the_same_account(server: Running) -> None:
    api = server.account(password_hash=hash_password("secret word"))
    assert api.get("/account")["user_id"] == api.user_id
    for header in (
        "Basic " + encoded(api.username, "secret word"),
        "bearer " + encoded(api.username.upper(), api.key),
    ):
        answer = api.call("GET", "/account", headers={"Authorization": header})
        assert answer.data["user_id"] == api.user_id
    assert (
        api.call("GET", "/account", headers={"Authorization": "Basic " + encoded(api.username, "wrong")}).status == 401
    )


def test_a_revoked_key_dies_at_once(server: Running, api: Api) -> None:
    api.get("/account")

    def revoke(tx) -> None:
        new = server.house.vault.key_hash(api.username, "another key")
        tx.execute(
            text("UPDATE subaccounts SET key_hash = :new WHERE user_id = :user"), {"new": new, "user": api.user_id}
        )
        account.touch(tx)

    server.write(revoke)
    assert api.call("GET", "/account").status == 401
    assert api.call("POST", "/sms/send", {"messages": [{"to": NUMBER, "body": "x"}]}).status == 401


def test_a_subaccount_without_the_flag_is_forbidden(server: Running, api: Api) -> None:
    def take(tx) -> None:
        tx.execute(text("UPDATE subaccounts SET access_sms = 0 WHERE user_id = :user"), {"user": api.user_id})
        account.touch(tx)

    api.send(NUMBER)
    server.write(take)
    assert api.call("POST", "/sms/send", {"messages": [{"to": NUMBER, "body": "x"}]}).status == 403
    assert api.get("/sms/history")["total"] == 1


def test_the_documented_test_users(server: Running) -> None:
    body = {"messages": [{"to": NUMBER, "body": "x"}]}
    answers = {}
    for name in ("nocredit", "notactive", "banned"):
        answers[name] = server.client(name, account.TEST_KEY).call("POST", "/sms/send", body)
    assert answers["nocredit"].data["messages"][0]["status"] == "INSUFFICIENT_CREDIT"
    assert (answers["notactive"].status, answers["notactive"].body["response_code"]) == (403, "ACCOUNT_NOT_ACTIVATED")
    assert (answers["banned"].status, answers["banned"].body["response_code"]) == (403, "FORBIDDEN")


def test_unknown_paths_wrong_verbs_and_slashes(api: Api) -> None:
    assert api.call("GET", "/nothing").body["response_msg"] == "Invalid endpoint. Please try again."
    assert api.call("GET", "/sms/send").body["response_code"] == "METHOD_NOT_ALLOWED"
    assert api.call("GET", "/account/").status == 200
    answer = api.call("GET", "/account")
    assert {"x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit-reset"} <= set(answer.headers)


def test_what_no_database_holds_is_refused(api: Api) -> None:
    assert api.call("POST", "/sms/templates", {"template_name": "a\x00", "body": "b"}).status == 400
    for path in ("/sms/receipts/%00", "/sms/%00/timeline"):
        assert api.call("GET", path).status == 404
    for number in (2**63, -(2**63) - 1, 10**40):
        answer = api.call("PUT", "/sms/receipts-read", {"date_before": number})
        assert (answer.status, list(answer.data)) == (400, ["date_before"])
    assert api.call("GET", "/sms/templates?q=template_name:%00").status == 400
    assert api.call("GET", "/sms/history?date_from=99999999999999999999").status == 400


def test_pages(api: Api) -> None:
    empty = api.get("/sms/templates")
    assert [empty[key] for key in ("total", "last_page", "from", "to", "current_page")] == [0, 0, 0, 0, 1]
    for number in range(17):
        api.post("/sms/templates", {"template_name": f"name {number}", "body": "body"})
    first = api.get("/sms/templates?limit=1&page=-3")
    assert [first[key] for key in ("total", "per_page", "current_page", "last_page", "from", "to")] == [
        17,
        15,
        1,
        2,
        1,
        15,
    ]
    assert first["prev_page_url"] is None
    second = api.get(first["next_page_url"].partition("/v3")[2])
    assert [row["template_name"] for row in second["data"]] == ["name 15", "name 16"]
    assert api.get("/sms/templates?page=99999999999")["data"] == []
    assert api.get("/sms/templates?limit=5000")["per_page"] == 100
    answer = api.call("GET", "/sms/templates?page=abc")
    assert (answer.status, list(answer.data)) == (400, ["page"])


def test_search_and_sort(api: Api) -> None:
    for name in ("Alpha", "beta", "Gamma, delta"):
        api.post("/sms/templates", {"template_name": name, "body": name * 2})

    def names(query: str) -> list[str]:
        return [row["template_name"] for row in api.get("/sms/templates?" + query)["data"]]

    assert names("q=template_name:ALPHA") == ["Alpha"]
    assert names("q=template_name:alpha,body:nothing") == []
    assert names("q=template_name:alpha,template_name:beta&operator=OR") == ["Alpha", "beta"]
    assert names("q=template_name:*ta") == ["beta", "Gamma, delta"]
    assert names("q=template_name:gamma%5C,%20delta") == ["Gamma, delta"]
    assert names("order_by=template_id:desc") == ["Gamma, delta", "beta", "Alpha"]
    for query in ("q=colour:red", "order_by=colour:asc"):
        answer = api.call("GET", "/sms/templates?" + query)
        assert answer.status == 400
        assert "template_name" in next(iter(answer.data.values()))


def test_history_pages_by_date_both_ways(api: Api) -> None:
    sent = api.post("/sms/send", {"messages": [{"to": NUMBER, "body": f"text {n}"} for n in range(20)]})
    ids = [message["message_id"] for message in sent["messages"]]
    date = sent["messages"][0]["date"]
    up = [row["message_id"] for page in (1, 2) for row in api.get(f"/sms/history?page={page}")["data"]]
    down = [
        row["message_id"] for page in (1, 2) for row in api.get(f"/sms/history?page={page}&order_by=date:desc")["data"]
    ]
    assert up == ids
    assert down == ids[::-1]
    assert api.get(f"/sms/history?date_from={date}")["total"] == 20
    assert api.get(f"/sms/history?date_to={date - 1}")["total"] == 0
    assert api.call("GET", "/sms/history?date_from=yesterday").status == 400
    assert api.get("/sms/history?q=body:text%207")["data"][0]["message_id"] == ids[7]


def test_an_idempotency_key_sends_once(api: Api) -> None:
    body = {"messages": [{"to": NUMBER, "body": "once"}]}
    answers = []

    def send() -> None:
        client = api.server.client(api.username, api.key)
        answers.append(client.call("POST", "/sms/send", body, {"Idempotency-Key": "k1"}))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.raw for answer in answers}) == 1
    assert api.get("/sms/history")["total"] == 1
    other = api.call("POST", "/sms/send", {"messages": []}, {"Idempotency-Key": "k1"})
    assert other.status in (400, 409)
    changed = {"messages": [{"to": NUMBER, "body": "twice"}]}
    assert api.call("POST", "/sms/send", changed, {"Idempotency-Key": "k1"}).status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b'{"messages":[{"to":"\\ud800","body":"x"}]}', 400),
        (b"", 400),
        (b"x" * (9 * 1024 * 1024), 413),
    ],
)
def test_bodies_that_are_none(api: Api, body: bytes, status: int) -> None:
    assert api.call("POST", "/sms/send", body).status == status


@pytest.mark.parametrize("kind", ["applicaiton/json", "text/plain", "application/x-www-form-urlencoded"])
def test_the_content_type_does_not_matter(api: Api, kind: str) -> None:
    body = {"template_name": "a", "body": "b"}
    assert api.call("POST", "/sms/templates", body, {"Content-Type": kind}).status == 200


def test_limits_and_origins_of_the_operator(tmp_path: Path) -> None:
    server = Running(tmp_path, rate_limit="3/minute", login_limit="2/minute", cors_origins="https://app.example")
    api = server.account()
    assert [api.call("GET", "/account").status for _ in range(4)] == [200, 200, 200, 429]
    refused = api.call("GET", "/account")
    assert int(refused.headers["retry-after"]) > 0
    wrong = server.client("nobody", "nothing")
    assert [wrong.call("GET", "/sms/history").status for _ in range(3)] == [401, 401, 429]
    allowed = api.call("OPTIONS", "/sms/send", headers={"Origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    other = api.call("OPTIONS", "/sms/send", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    server.close_clients()
    server.stop()
