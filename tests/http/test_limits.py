"""How often one may call, which origins may, and what a defect looks like from outside."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from heliograph import settings
from heliograph.accounts import account
from heliograph.accounts.vault import hash_password, password_matches
from heliograph.http import auth
from heliograph.option import SettingsError
from support.server import ONE_DATABASE, Answer, Api, Running
from support.unjudged import ask_once

RATES = ("x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit-reset")


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path, rate_limit="3/minute", login_limit="2/minute")
    yield server
    server.close_clients()
    server.stop()


def rates(answer: Answer) -> tuple[int, int]:
    assert 1 <= int(answer.headers["ratelimit-reset"]) <= 60
    return int(answer.headers["x-ratelimit-limit"]), int(answer.headers["x-ratelimit-remaining"])


def test_each_account_has_a_limit_for_each_endpoint(strict: Running) -> None:
    api, other = strict.account(), strict.account()
    answers = [api.call("GET", "/account") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [rates(answer) for answer in answers] == [(3, 2), (3, 1), (3, 0), (3, 0), (3, 0)]
    refused = answers[-1]
    assert refused.body == {
        "http_code": 429,
        "response_code": "TOO_MANY_REQUESTS",
        "response_msg": "Too many attempts.",
        "data": None,
    }
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert api.call("GET", "/sms/templates").status == 200
    assert api.call("POST", "/sms/templates", {"template_name": "a", "body": "b"}).status == 200
    assert other.call("GET", "/account").status == 200
    # A page, an id or a slash makes no other endpoint of it.
    statuses = [api.call("GET", f"/sms/templates{end}").status for end in ("/", "?page=2", "?page=3")]
    assert statuses == [200, 200, 429]
    ids = [api.call("GET", f"/automations/sms/inbound/{number}").status for number in range(4)]
    assert ids == [404, 404, 404, 429]


def test_a_refused_call_does_nothing(strict: Running) -> None:
    api = strict.account()
    body = {"messages": [{"to": "+61491570006", "body": "x"}]}
    statuses = [
        api.call("POST", "/sms/send", {"messages": [{**body["messages"][0], "body": f"{n}"}]}).status for n in range(5)
    ]
    assert statuses == [200, 200, 200, 429, 429]
    assert api.get("/sms/history")["total"] == 3


def test_failed_logins_from_one_address_are_limited(strict: Running) -> None:
    wrong = [strict.client("nobody", f"guess {number}") for number in range(4)]
    answers = [client.call("GET", "/account") for client in wrong]
    assert [answer.status for answer in answers] == [401, 401, 429, 429]
    assert [rates(answer) for answer in answers[:2]] == [(2, 1), (2, 0)]
    assert int(answers[3].headers["retry-after"]) >= 1


def test_a_good_key_is_let_in_from_an_address_that_guesses(strict: Running) -> None:
    known = strict.account()
    known.get("/account")
    for number in range(3):
        strict.client("nobody", f"guess {number}").call("GET", "/account")
    assert known.call("GET", "/sms/history").status == 200  # remembered
    assert strict.account().call("GET", "/account").status == 200


def test_registrations_are_limited_by_address(strict: Running) -> None:
    answers = [strict.client("", "").call("POST", "/account", {}) for _ in range(4)]
    assert [answer.status for answer in answers] == [400, 400, 429, 429], "as often as failed logins"


def test_a_limit_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="many"):
        Running(tmp_path, rate_limit="many")


def test_no_defect_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server = Running(tmp_path)
    api = server.account()
    server.write(lambda tx: tx.execute(text("DROP TABLE sms_templates")) and None)
    for method, body in (("GET", None), ("POST", {"template_name": "a", "body": "b"})):
        raw = None if body is None else json.dumps(body).encode()
        status, answer, headers = ask_once(api, method, "/v3/sms/templates", raw)
        assert (status, answer) == (
            500,
            {
                "http_code": 500,
                "response_code": "INTERNAL_SERVER_ERROR",
                "response_msg": "Something is broken.",
                "data": None,
            },
        )
        logged = capfd.readouterr()
        assert headers["x-request-id"] in logged.out + logged.err
    assert api.get("/account")["user_id"] == api.user_id
    server.close_clients()
    server.stop()


def origins(server: Running, api: Api, value: str) -> None:
    def work(tx: Any) -> None:
        sql = "UPDATE users SET cors_origins = :value WHERE user_id = :user"
        tx.execute(text(sql), {"value": value, "user": api.user_id})

    server.write(work)


def allowed(api: Api, origin: str, method: str = "GET", path: str = "/account") -> str | None:
    return api.call(method, path, headers={"Origin": origin}).headers.get("access-control-allow-origin")


def test_origins_of_an_account(server: Running, api: Api) -> None:
    name = f"https://app{api.user_id}.example"
    origins(server, api, f"{name} http://localhost:{api.user_id}\nhttps://two.example:8443")
    for origin in (name, name.upper(), f"http://localhost:{api.user_id}", "https://two.example:8443"):
        assert allowed(api, origin) == origin
        assert allowed(api, origin, "OPTIONS", "/sms/send") == origin
    for origin in (
        *(name + ".evil", name[:-1], name + ":8080", name.replace("https", "http"), "https://two.example", "null"),
        *("", "*", "%", "_", f"{name} http://localhost:{api.user_id}", "https://", "x" * 5000),
    ):
        assert allowed(api, origin) is None
        assert allowed(api, origin, "OPTIONS", "/sms/send") is None


def test_what_a_browser_is_told(server: Running, api: Api) -> None:
    origin = f"https://told{api.user_id}.example"
    origins(server, api, origin)
    answer = api.call("OPTIONS", "/sms/send", headers={"Origin": origin})
    assert answer.status == 204
    assert "content-length" not in answer.headers, "RFC 9110 section 8.6"
    assert {"GET", "POST", "PUT", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"] == "Origin"
    for path, status in (("/account", 200), ("/nothing", 404)):
        seen = api.call("GET", path, headers={"Origin": origin})
        assert (seen.status, seen.headers["access-control-allow-origin"]) == (status, origin)
    wrong = server.client("nobody", "nothing").call("GET", "/account", headers={"Origin": origin})
    assert (wrong.status, wrong.headers["access-control-allow-origin"]) == (401, origin)


@pytest.mark.parametrize(
    ("setting", "origin", "good"),
    [
        *(
            ("https://a.example, https://b.example", origin, True)
            for origin in ("https://a.example", "https://B.example")
        ),
        *(("https://a.example", origin, False) for origin in ("https://b.example", "http://a.example", "null", "")),
        *(("*", origin, True) for origin in ("https://anything.example", "null")),
    ],
)
def test_origins_of_the_operator(tmp_path: Path, setting: str, origin: str, good: bool) -> None:
    server = Running(tmp_path, cors_origins=setting)
    api = server.account()
    assert allowed(api, origin) == (origin if good else None)
    server.close_clients()
    server.stop()


@ONE_DATABASE
@pytest.mark.parametrize(
    "header",
    [
        *("", "Basic", "Basic ", "Basic !!!", "Basic YQ", "Basic Og==", "Basic eDo=", "Basic OnM=", "Basic eA=="),
        *(
            "Bearer token",
            "Digest eDp5",
            "eDp5",
            "Basic eDp5 eDp5",
            "Basic eDp5\teDp5",
            "Basic /////w==",
            "Basic " + "A" * 9999,
        ),
        "Basic " + base64.b64encode(b"a\x00b:c").decode(),
    ],
)
def test_every_fault_of_credentials_has_one_answer(api: Api, header: str) -> None:
    for headers in ({"Authorization": header},):
        answer = api.call("GET", "/account", headers=headers)
        assert answer.status == 401
        assert answer.body == {
            "http_code": 401,
            "response_code": "UNAUTHORIZED",
            "response_msg": "Authorization failed.",
            "data": None,
        }
        assert "www-authenticate" not in answer.headers
        assert set(RATES) <= set(answer.headers)


def test_a_password_is_verified_only_once_a_minute(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes about 50 ms."""
    asked: list[str] = []

    def noted(proof: str, password: str) -> bool:
        asked.append(password)
        return password_matches(proof, password)

    monkeypatch.setattr(auth, "password_matches", noted)
    api = server.account(password_hash=hash_password("a password"))
    client = server.client(api.username, "a password")
    for _ in range(10):
        client.get("/account")
    assert asked == ["a password"]


def test_only_the_main_subaccount_has_the_password(server: Running) -> None:
    api = server.account(password_hash=hash_password("a password"))

    def second(tx: Any) -> None:
        row = dict(tx.row(text(f"SELECT * FROM subaccounts WHERE user_id = {api.user_id}")))
        del row["subaccount_id"]
        row |= {"is_main": 0, "api_username": api.username + "-sub", "access_users": 0}
        row["key_hash"] = server.house.vault.key_hash(row["api_username"], "sub key")
        names = ", ".join(row)
        tx.driver(f"INSERT INTO subaccounts ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        account.touch(tx)

    server.write(second)
    sub = server.client(api.username + "-sub", "sub key").get("/account")
    assert sub["user_id"] == api.user_id
    assert sub["_subaccount"]["access_users"] == 0
    assert server.client(api.username + "-sub", "a password").call("GET", "/account").status == 401
    assert server.client(api.username + "-sub", api.key).call("GET", "/account").status == 401


@pytest.mark.parametrize(
    ("trusted", "forwarded", "refused"),
    [
        ("", ["203.0.113.1", "203.0.113.2", "203.0.113.3"], True),
        ("192.0.2.1, 192.0.2.128/25", ["203.0.113.1", "203.0.113.2", "203.0.113.3"], True),
        ("127.0.0.1", ["203.0.113.1", "203.0.113.2", "203.0.113.3"], False),
        ("192.0.2.1,127.0.0.0/8", ["203.0.113.1", "203.0.113.2", "2001:db8::3"], False),
        ("127.0.0.1", ["203.0.113.1", "198.51.100.7, 203.0.113.1", "198.51.100.8, 203.0.113.1"], True),
        ("127.0.0.1,192.0.2.1", ["203.0.113.1", "8.8.8.8, 203.0.113.1, 192.0.2.1", "203.0.113.1, 127.0.0.1"], True),
        ("127.0.0.1", ["", ",", " "], True),
    ],
    ids=["nobody", "another", "the peer", "its network", "what it adds wins", "a chain of them", "nothing said"],
)
def test_only_a_trusted_proxy_says_who_calls(tmp_path: Path, trusted: str, forwarded: list[str], refused: bool) -> None:
    """The last address that is no trusted proxy's counts: all before it may be the client's own invention."""
    server = Running(tmp_path, login_limit="2/minute", trusted_proxies=trusted)
    client = server.client("nobody", "guess")
    statuses = [client.call("GET", "/account", headers={"X-Forwarded-For": value}).status for value in forwarded]
    assert statuses == [401, 401, 429 if refused else 401]
    server.close_clients()
    server.stop()


def test_links_have_the_scheme_that_a_trusted_proxy_says(tmp_path: Path) -> None:
    for trusted, scheme in (("", "http"), ("127.0.0.1", "https")):
        server = Running(tmp_path / scheme, trusted_proxies=trusted)
        headers = {"X-Forwarded-Proto": "https", "Host": "sms.example"}
        answer = server.account().call("GET", "/sms/history/export?filename=a.csv", headers=headers)
        assert answer.data["url"].startswith(f"{scheme}://sms.example/files/")
        server.close_clients()
        server.stop()


@pytest.mark.parametrize("trusted", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "1.2.3"])
def test_a_proxy_is_an_address_or_a_network(trusted: str) -> None:
    """A name, or the star of others, would be believed by nobody or by everybody, and nobody would know."""
    with pytest.raises(SettingsError, match=f"HELIOGRAPH_TRUSTED_PROXIES: '{re.escape(trusted)}' is no address"):
        settings.load(trusted_proxies=trusted)
