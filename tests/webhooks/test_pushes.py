"""Events on their way: exact bytes and their signatures, tries as rows, giving up, replay, private addresses."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph import settings
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.queue import jobs
from heliograph.queue.worker import JobLoop
from heliograph.webhooks import outgoing
from heliograph.webhooks.deliver import Pusher
from heliograph.webhooks.fetch import Answer, WebClient
from heliograph.webhooks.signature import new_secret
from support import program
from support.clock import Clock, until
from support.hooks import Heard, Hook, hooks, silent
from support.server import Api, Running

ECHO = "+61491999007"


def secret_of(api: Api) -> str:
    row = api.server.read(lambda tx: account.find(tx, api.username))
    return str(row["webhook_secret"])


def is_signed(secret: str, heard: Heard) -> bool:
    """Written out from the specification, and not by what signs."""
    content = heard.query.encode() if heard.method == "GET" else heard.body
    key = base64.b64decode(secret[len("whsec_") :])
    signed = b".".join(
        [heard.headers["webhook-id"].encode(), heard.headers["webhook-timestamp"].encode(), content],
    )
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return expected in [part.partition(",")[2] for part in heard.headers["webhook-signature"].split()]


def deliveries(api: Api) -> list[dict[str, Any]]:
    """Oldest first, each with its attempts."""

    def load(tx: Any) -> list[dict[str, Any]]:
        found = [dict(row) for row in reversed(outgoing.listing(tx, api.user_id))]
        return [{**row, "attempts": [dict(a) for a in outgoing.attempts(tx, row["delivery_id"])]} for row in found]

    made: list[dict[str, Any]] = api.server.read(load)
    return made


def tried(api: Api, count: int = 1) -> list[dict[str, Any]]:
    """The deliveries, when there have been `count` attempts."""

    def enough() -> list[dict[str, Any]] | None:
        found = deliveries(api)
        return found if sum(len(one["attempts"]) for one in found) >= count else None

    made: list[dict[str, Any]] = api.until(enough)
    return made


def url_rule(api: Api, url: str, kind: str | None) -> None:
    rule = {"rule_name": "hook", "action": "URL", "action_address": url, "dedicated_number": "*"}
    api.post("/automations/sms/inbound", {**rule, "webhook_type": kind})


@pytest.mark.parametrize(
    ("kind", "method", "content_type"),
    [
        (None, "POST", "application/x-www-form-urlencoded"),
        ("post", "POST", "application/x-www-form-urlencoded"),
        ("json", "POST", "application/json"),
        ("get", "GET", None),
    ],
)
def test_every_kind_is_signed_over_what_arrives(
    api: Api, kind: str | None, method: str, content_type: str | None
) -> None:
    with hooks() as (hook,):
        url_rule(api, hook.url + "?token=a%20b%2Bc%21&flag", kind)
        sent = api.send(ECHO, "Zażółć & 50 % = + gęślą\n😀", custom_string="ref/1")
        heard = hook.next()
    assert (heard.method, heard.headers.get("content-type")) == (method, content_type)
    assert heard.query.startswith("token=a%20b%2Bc%21&flag"), "as it was given"
    assert is_signed(secret_of(api), heard)
    assert not is_signed(new_secret(), heard)
    fields = json.loads(heard.body) if kind == "json" else heard.form
    assert fields["body"] == fields["message"] == "Zażółć & 50 % = + gęślą\n😀"
    assert fields["original_message_id"] == sent["message_id"]
    assert fields["custom_string"] == "ref/1"


def test_the_pairs_of_a_form_and_of_json_are_the_documented_ones(api: Api) -> None:
    """Keys and types. Source: facts D4, D5, D6."""
    texts = {
        *("from", "sms", "to", "originalsenderid", "body", "message", "original_body", "originalmessage"),
        *("original_message_id", "originalmessageid", "custom_string", "customstring", "message_id"),
    }
    with hooks(2) as (hook, receipts):
        url_rule(api, hook.url, "json")
        receipt_rule = {"rule_name": "r", "action": "URL", "action_address": receipts.url, "match_type": 0}
        api.post("/automations/sms/receipts", receipt_rule)
        sent = api.send(ECHO, "Ping")
        payload = json.loads(hook.next().body)
        form = receipts.next().form
    assert {name for name, value in payload.items() if type(value) is str} == texts
    assert {name for name, value in payload.items() if type(value) is int} == {"timestamp", "user_id", "subaccount_id"}
    assert len(payload) == len(texts) + 3
    assert payload["from"] == payload["sms"] == ECHO
    assert payload["to"] == payload["originalsenderid"] == sent["from"]
    assert payload["custom_string"] == payload["customstring"] == ""
    assert set(form) == {
        *("timestamp_send", "timestamp", "message_id", "messageid", "status", "status_code", "status_text"),
        *("error_code", "error_text", "custom_string", "customstring", "user_id", "subaccount_id", "message_type"),
    }
    assert form["message_id"] == form["messageid"] == sent["message_id"]
    assert (form["status"], form["status_code"], form["error_code"]) == ("Delivered", "201", "")
    assert (form["message_type"], form["user_id"]) == ("sms", str(api.user_id))
    assert form["timestamp_send"].isdigit()
    assert form["timestamp"].isdigit()


def test_a_failed_message_says_why(api: Api) -> None:
    with hooks() as (hook,):
        rule = {"rule_name": "r", "action": "URL", "action_address": hook.url, "match_type": 2}
        api.post("/automations/sms/receipts", rule)
        api.send("+61491999001")
        form = hook.next().form
    assert (form["status"], form["status_code"]) == ("Undelivered", "301")
    assert form["error_code"] == "001"
    assert form["error_text"]


def test_an_attempt_is_a_row_with_time_status_and_the_beginning_of_the_answer(api: Api) -> None:
    """A NUL octet is a text that PostgreSQL refuses: the event must not come ten times for it."""
    with hooks() as (hook,):
        hook.answer = lambda heard: (503, b"no\x00pe" + b"x" * 5000)
        api.post("/sms/receipts", {"url": hook.url})
        hook.next()
        (found,) = tried(api)
    (attempt,) = found["attempts"]
    assert found["state"] == outgoing.WAITING
    assert (attempt["status"], attempt["error"]) == (503, None)
    assert attempt["answer"] == "no\ufffdpe" + "x" * (2048 - 5)
    assert abs(attempt["at"] - found["created_at"]) < 30
    assert 0 < attempt["seconds"] < 30
    ((_, wait),) = api.until(lambda: put_off(api))
    assert wait <= 600


def put_off(api: Api) -> list[tuple[int, float]]:
    """The jobs of an account that wait for another try; until then, a moment after the attempt, they are held."""
    return [job for job in api.server.read(lambda tx: jobs_of(tx, api.user_id)) if job[1] > jobs.LEASE]


def jobs_of(tx: Any, user_id: int) -> list[tuple[int, float]]:
    """(attempts, seconds until due) of the jobs that push for an account."""
    cursor = tx.driver("SELECT attempts, due_at FROM jobs WHERE lane LIKE ? ORDER BY job_id", [f"webhook:{user_id}:%"])
    return [(row[0], row[1] - tx.clock) for row in cursor.fetchall()]


def test_a_delivered_event_is_over(api: Api) -> None:
    with hooks() as (hook,):
        hook.answer = lambda heard: (204, b"")
        api.post("/sms/receipts", {"url": hook.url})
        hook.next()
        (found,) = tried(api)
        assert found["state"] == outgoing.DELIVERED
        api.until(lambda: not api.server.read(lambda tx: jobs_of(tx, api.user_id)))


def test_a_redirect_is_a_failed_try_and_is_not_followed(api: Api) -> None:
    with hooks(2) as (hook, inner):
        hook.answer = lambda heard: (302, inner.url.encode())
        api.post("/sms/receipts", {"url": hook.url})
        (found,) = tried(api)
        assert (found["state"], found["attempts"][0]["status"]) == (outgoing.WAITING, 302)
        assert inner.heard.empty()


def test_private_addresses_are_refused_at_the_rule_and_at_the_connection(tmp_path: Path) -> None:
    server = Running(tmp_path, webhook_private="refuse")
    api = server.account()
    rule = {"rule_name": "r", "action": "URL"}
    with hooks() as (hook,):
        for url in (hook.url, "http://localhost/", "http://2130706433/", "http://[::1]/", "http://169.254.169.254/x"):
            for family in ("inbound", "receipts"):
                answer = api.call("POST", f"/automations/sms/{family}", {**rule, "action_address": url})
                assert (answer.status, list(answer.data)) == (400, ["action_address"])
                assert "private" in answer.data["action_address"]
            for path in ("/sms/receipts", "/sms/inbound"):
                answer = api.call("POST", path, {"url": url})
                assert (answer.status, list(answer.data)) == (400, ["url"])
        made = api.post("/automations/sms/receipts", {**rule, "action_address": "https://hooks.example/"})
        key = made["receipt_rule_id"]
        answer = api.call("PUT", f"/automations/sms/receipts/{key}", {"action_address": hook.url})
        assert answer.status == 400
        assert api.get(f"/automations/sms/receipts/{key}")["action_address"] == "https://hooks.example/"

        server.write(lambda tx: outgoing.push(tx, api.user_id, hook.url, "post", {"a": 1}))
        (found,) = tried(api)
        assert found["attempts"][0]["status"] is None
        assert found["attempts"][0]["error"] == "The address 127.0.0.1 is private and not allowed."
        assert hook.heard.empty()
    server.close_clients()
    server.stop()


def test_a_private_address_that_was_allowed_once_does_not_lock_its_rule(tmp_path: Path) -> None:
    server = Running(tmp_path)
    api = server.account()
    made = api.post(
        "/automations/sms/receipts", {"rule_name": "r", "action": "URL", "action_address": "http://10.0.0.1/"}
    )
    server.close_clients()
    server.stop()
    server = Running(tmp_path, webhook_private="refuse")
    again = server.client(api.username, api.key)
    assert again.put(f"/automations/sms/receipts/{made['receipt_rule_id']}", {"enabled": 0})["enabled"] == 0
    server.close_clients()
    server.stop()


def commands(server: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[..., program.Done]:
    """`heliograph webhooks ...` beside a running server."""
    monkeypatch.setenv("HELIOGRAPH_DATABASE", server.options.database)
    return lambda *words: program.command("webhooks", *words, "--data", str(server.options.data))


def told(done: program.Done) -> str:
    """The secret that was printed: a server in a thread may have printed its log between."""
    return next(line for line in done.out.splitlines() if line.startswith("whsec_"))


def test_given_up_events_are_replayed_by_command(server: Running, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    command = commands(server, monkeypatch)
    with hooks() as (hook,):
        hook.answer = lambda heard: (200 if heard.form["n"] == "0" else 500, b"")
        keys = [
            server.write(lambda tx, n=n: outgoing.push(tx, api.user_id, hook.url, "post", {"n": n})) for n in range(4)
        ]
        first = {heard.form["n"]: heard.headers["webhook-id"] for heard in (hook.next() for _ in keys)}
        tried(api, len(keys))
        server.write(lambda tx: give_up(tx, api.user_id, keys[1:3]))

        hook.answer = lambda heard: (200, b"")
        assert "2 deliveries are pushed again." in command("replay", api.username).out
        heard = [hook.next() for _ in keys[1:3]]
        assert {(one.form["n"], one.headers["webhook-id"]) for one in heard} == {(n, first[n]) for n in ("1", "2")}
        api.until(lambda: [one["state"] for one in deliveries(api)][:3] == [outgoing.DELIVERED] * 3)
        assert hook.heard.empty()
        assert "4 deliveries are pushed again." in command("replay", api.username, *map(str, keys)).out
        # The last one still waits for its next try: that comes now, and no second one with it.
        assert sorted(hook.next().form["n"] for _ in keys) == ["0", "1", "2", "3"]
        api.until(lambda: not api.server.read(lambda tx: jobs_of(tx, api.user_id)))
        assert hook.heard.empty()
        assert [one["state"] for one in deliveries(api)] == [outgoing.DELIVERED] * 4
        assert [len(one["attempts"]) for one in deliveries(api)] == [2, 4, 4, 2]
    assert command("replay", server.account().username, str(keys[0])).code != 0
    assert len(deliveries(api)[0]["attempts"]) == 2


def give_up(tx: Any, user_id: int, keys: list[int]) -> None:
    """As after the last try."""
    for key in keys:
        outgoing.attempted(tx, key, Answer(500, "", None, 0.0), last=True)
        tx.driver(
            "DELETE FROM jobs WHERE lane LIKE ? AND payload = ?",
            [f"webhook:{user_id}:%", json.dumps({"delivery_id": key}, separators=(",", ":"))],
        )


def test_the_secret_is_shown_and_renewed_by_command(server: Running, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    command = commands(server, monkeypatch)
    before = told(command("secret", api.username))
    assert before == secret_of(api)
    after = told(command("secret", api.username.upper(), "--new"))
    assert after == secret_of(api) != before
    with hooks() as (hook,):
        api.post("/sms/receipts", {"url": hook.url})
        heard = hook.next()
    assert is_signed(after, heard)
    assert not is_signed(before, heard)


class Worker:
    """A database with one account, and the loop that pushes, on a clock that only the test moves."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        self.clock = Clock()
        self.database = Database(url, clock=self.clock)
        self.settings = settings.Settings(**options)
        self.client = WebClient(allow_private=True, timeout=float(self.settings.webhook_timeout))
        pusher = Pusher(self.database, self.client, self.settings)
        self.loop = JobLoop(self.database, {outgoing.JOB: pusher.run})
        self.vault = Vault.open("", folder)
        self.user_id = 0

    async def __aenter__(self) -> "Worker":
        new = NewAccount(username="worker", email="w@example.com", phone="", webhook_secret=new_secret())
        self.user_id = await self.database.write(lambda tx: account.create(tx, self.vault, new))
        self.loop.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.loop.stop()
        await self.client.close()
        await self.database.close()

    async def push(self, url: str) -> int:
        return await self.database.write(lambda tx: outgoing.push(tx, self.user_id, url, "post", {"a": 1}))

    async def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        await self.database.write(lambda tx: tx.wake("jobs"))

    async def until(self, what: Callable[[Any], Any]) -> Any:
        return await until(self.database, what)

    async def attempts(self, key: int, count: int) -> list[dict[str, Any]]:
        """The attempts, once there are so many and no job is due or under way (due when its lease ends)."""

        def enough(tx: Any) -> list[dict[str, Any]] | None:
            rows = [dict(row) for row in outgoing.attempts(tx, key)]
            calm = all(wait > 0 and wait != jobs.LEASE for _, wait in jobs_of(tx, self.user_id))
            return rows if len(rows) >= count and calm else None

        found: list[dict[str, Any]] = await self.until(enough)
        return found


def state_of(tx: Any, key: int) -> str:
    return str(tx.driver("SELECT state FROM webhook_deliveries WHERE delivery_id = ?", [key]).fetchone()[0])


async def heard(hook: Hook) -> Heard:
    return await asyncio.to_thread(hook.next)


def test_ten_tries_ten_minutes_apart_and_then_no_more(migrated_url: str, tmp_path: Path) -> None:
    async def scenario(hook: Hook) -> None:
        async with Worker(migrated_url, tmp_path) as worker:
            key = await worker.push(hook.url)
            begun = worker.clock.now
            ids = set()
            for number in range(1, 11):
                one = await heard(hook)
                ids.add(one.headers["webhook-id"])
                assert one.headers["webhook-timestamp"] == str(int(worker.clock.now))
                await worker.attempts(key, number)
                state = await worker.database.read(lambda tx: state_of(tx, key))
                assert state == (outgoing.WAITING if number < 10 else outgoing.GIVEN_UP)
                await worker.pass_time(599)
                assert hook.heard.empty()
                await worker.pass_time(1)
            rows = await worker.attempts(key, 10)
            assert [row["at"] - begun for row in rows] == [600 * n for n in range(10)]
            assert len(ids) == 1
            assert await worker.database.read(lambda tx: jobs_of(tx, worker.user_id)) == []
            await worker.pass_time(100_000)
        assert hook.heard.empty()

    with hooks() as (hook,):
        hook.answer = lambda heard: (500, b"broken")
        asyncio.run(scenario(hook))


def test_the_number_of_tries_their_pause_and_their_patience_are_settings(migrated_url: str, tmp_path: Path) -> None:
    async def scenario(url: str) -> None:
        options = {"webhook_attempts": 2, "webhook_interval": 5, "webhook_timeout": 1}
        async with Worker(migrated_url, tmp_path, **options) as worker:
            key = await worker.push(url)
            (first,) = await worker.attempts(key, 1)
            assert first["error"] == "127.0.0.1 did not answer within 1 seconds."
            assert (first["status"], first["answer"]) == (None, "")
            await worker.pass_time(5)
            await worker.until(lambda tx: state_of(tx, key) == outgoing.GIVEN_UP)

    with silent() as url:
        asyncio.run(scenario(url))


def test_a_push_that_a_dead_process_held_comes_back(migrated_url: str, tmp_path: Path) -> None:
    async def scenario(hook: Hook) -> None:
        worker = Worker(migrated_url, tmp_path)
        new = NewAccount(username="worker", email="w@example.com", phone="", webhook_secret=new_secret())
        worker.user_id = await worker.database.write(lambda tx: account.create(tx, worker.vault, new))
        key = await worker.push(hook.url)
        (held,) = await worker.database.write(lambda tx: jobs.claim(tx, 10, {}))
        assert held.payload == {"delivery_id": key}
        worker.loop.start()
        await worker.pass_time(jobs.LEASE - 1)
        assert hook.heard.empty()
        await worker.pass_time(2)
        await heard(hook)
        (attempt,) = await worker.attempts(key, 1)
        assert attempt["status"] == 200
        await worker.__aexit__()

    with hooks() as (hook,):
        asyncio.run(scenario(hook))


def test_what_is_delivered_is_not_pushed_again_when_its_job_comes_back(migrated_url: str, tmp_path: Path) -> None:
    """A crash between the record of the attempt and the end of the job."""

    async def scenario(hook: Hook) -> None:
        async with Worker(migrated_url, tmp_path) as worker:
            key = await worker.push(hook.url)
            await heard(hook)
            await worker.until(lambda tx: state_of(tx, key) == outgoing.DELIVERED)
            again = {"delivery_id": key}
            await worker.database.write(lambda tx: jobs.enqueue(tx, outgoing.JOB, again, lane="x"))
            await worker.until(lambda tx: tx.driver("SELECT COUNT(*) FROM jobs").fetchone()[0] == 0)
        assert hook.heard.empty()

    with hooks() as (hook,):
        asyncio.run(scenario(hook))


def test_old_events_and_their_attempts_are_forgotten(migrated_url: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = Clock()
        database = Database(migrated_url, clock=clock)
        new = NewAccount(username="worker", email="w@example.com", phone="", webhook_secret=new_secret())
        user_id = await database.write(lambda tx: account.create(tx, Vault.open("", tmp_path), new))

        def made(tx: Any) -> int:
            key = outgoing.push(tx, user_id, "http://hooks.example/", "post", {})
            outgoing.attempted(tx, key, Answer(200, "", None, 0.1), last=False)
            return key

        def counts(tx: Any) -> tuple[int, int]:
            texts = ("SELECT COUNT(*) FROM webhook_deliveries", "SELECT COUNT(*) FROM webhook_attempts")
            return tuple(tx.driver(text).fetchone()[0] for text in texts)  # type: ignore[return-value]

        for _ in range(outgoing.SLICE + 20):
            await database.write(made)
        clock.now += 86400
        kept = await database.write(made)
        assert not await database.write(lambda tx: outgoing.prune(tx, 2 * 86400.0))
        assert await database.read(counts) == (outgoing.SLICE + 21, outgoing.SLICE + 21)
        assert await database.write(lambda tx: outgoing.prune(tx, 3600.0))
        assert not await database.write(lambda tx: outgoing.prune(tx, 3600.0))
        assert await database.read(counts) == (1, 1)
        assert await database.read(lambda tx: outgoing.load(tx, kept)) is None  # it is there, but delivered
        await database.close()

    asyncio.run(scenario())
