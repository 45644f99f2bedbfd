"""What rules do when something arrives: every action, who matches, how many fire, and loops that end."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph import settings
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.automations import rules
from heliograph.automations.actions import Actions
from heliograph.automations.families import SMS_INBOUND, SMS_RECEIPTS
from heliograph.billing import ledger
from heliograph.channels.table import channels
from heliograph.clock import HOUR
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.transports.sandbox import mailsink
from heliograph.webhooks.signature import new_secret
from support import quiet
from support.clock import Clock
from support.hooks import hooks
from support.server import Api, Running

ECHO, DELIVERED, UNDELIVERED = "+61491999007", "+61491570006", "+61491999001"
OURS, CUSTOMER, OTHER = "+61481074190", "+61491570156", "+61491570157"


def rule(api: Api, family: str, action: str, address: str = "", **more: Any) -> None:
    given = {"rule_name": "test", "action": action, "action_address": address, **more}
    api.post(f"/automations/sms/{family}", given)


def mails(server: Running, to: str) -> list[mailsink.StoredMail]:
    return [mail for mail in mailsink.listing(server.options.data / "mail") if mail.recipient == to]


def bodies(api: Api, to: str) -> list[str]:
    rows = api.get(f"/sms/history?limit=100&q=to:{to.replace('+', '%2B')}")["data"]
    return [row["body"] for row in rows]


def test_receipts_by_mail_to_a_fixed_address_and_to_the_user(server: Running, api: Api) -> None:
    rule(api, "receipts", "EMAIL_FIXED", f"fixed-{api.username}@example.org")
    rule(api, "receipts", "EMAIL_USER")
    api.send(DELIVERED, "first")
    api.send(UNDELIVERED, "second", from_email=f"sender-{api.username}@example.org")
    api.until(lambda: len(mails(server, f"fixed-{api.username}@example.org")) == 2)
    (mine,) = api.until(lambda: mails(server, f"{api.username}@example.com"))
    assert mine.subject == f"Delivery report for {DELIVERED}: Delivered"
    assert "first" in mine.text
    (theirs,) = api.until(lambda: mails(server, f"sender-{api.username}@example.org"))
    assert theirs.subject == f"Delivery report for {UNDELIVERED}: Undelivered"


def test_replies_by_mail_to_a_fixed_address_and_to_the_sender_of_the_original(server: Running, api: Api) -> None:
    rule(api, "inbound", "EMAIL_FIXED", f"fixed-{api.username}@example.org")
    rule(api, "inbound", "EMAIL_USER")
    api.send(ECHO, "Ping", from_email=f"sender-{api.username}@example.org")
    for to in (f"fixed-{api.username}@example.org", f"sender-{api.username}@example.org"):
        (mail,) = api.until(lambda to=to: mails(server, to))
        assert mail.subject == f"Reply from {ECHO}"
        assert mail.sender.startswith(ECHO + "@")
        assert mail.text.startswith(f"You've received a reply from {ECHO}:\n\nPing\n")
    api.send(ECHO, "Pong")
    assert "Pong" in api.until(lambda: mails(server, f"{api.username}@example.com"))[0].text


def test_an_sms_rule_forwards_and_costs_what_an_sms_costs(api: Api) -> None:
    rule(api, "inbound", "SMS", DELIVERED)
    api.send(ECHO, "Ping", custom_string="c1")
    assert api.until(lambda: bodies(api, DELIVERED)) == [f"{ECHO}: Ping"]
    row = api.get(f"/sms/history?q=to:%2B{DELIVERED[1:]}")["data"][0]
    assert (row["custom_string"], row["message_price"]) == ("c1", "0.071500")
    assert api.get("/account")["balance"] == "99.857000"


def test_a_receipt_rule_tells_another_number_and_its_own_message_does_not(api: Api) -> None:
    """The receipt of the report would send the next report, for ever."""
    rule(api, "receipts", "SMS", DELIVERED)
    rule(api, "receipts", "POLL")
    sent = api.send(UNDELIVERED)
    (body,) = api.until(lambda: bodies(api, DELIVERED))
    assert body.startswith(f"Message to {UNDELIVERED}: Failed")
    listed = api.until(lambda: api.get("/sms/receipts")["total"] == 2 and api.get("/sms/receipts")["data"])
    assert listed[0]["message_id"] == sent["message_id"]
    assert len(bodies(api, DELIVERED)) == 1


def test_none_does_nothing(api: Api) -> None:
    rule(api, "inbound", "NONE")
    rule(api, "receipts", "NONE")
    rule(api, "inbound", "AUTO_REPLY", "marker")
    api.send(ECHO, "Ping")
    api.until(lambda: len(bodies(api, ECHO)) == 2)
    assert api.get("/sms/inbound")["total"] == 0
    assert api.get("/sms/receipts")["total"] == 0


def test_without_a_poll_rule_nothing_is_listed(api: Api) -> None:
    with hooks() as (hook,):
        rule(api, "inbound", "URL", hook.url)
        sent = api.send(ECHO, "Ping")
        hook.next()
    api.final(sent["message_id"])
    assert api.get("/sms/inbound")["total"] == 0
    assert api.get("/sms/receipts")["total"] == 0
    assert api.get(f"/sms/receipts/{sent['message_id']}")["status"] == "Delivered"


def test_a_rule_without_credit_for_its_sms_does_not_stop_the_others(server: Running) -> None:
    api = server.account(credit=71_500)
    with hooks() as (hook,):
        rule(api, "inbound", "AUTO_REPLY", "Too dear")
        rule(api, "inbound", "URL", hook.url)
        rule(api, "inbound", "POLL")
        api.send(ECHO, "Ping")
        assert hook.next().form["body"] == "Ping"
    assert api.until(lambda: api.get("/sms/inbound")["total"]) == 1
    assert bodies(api, ECHO) == ["Ping"]
    assert api.get("/account")["balance"] == "0.000000"


def test_a_disabled_rule_does_not_fire(api: Api) -> None:
    with hooks(2) as (off, on):
        rule(api, "inbound", "URL", off.url, enabled=0)
        rule(api, "inbound", "URL", on.url)
        api.send(ECHO, "Ping")
        on.next()
        assert off.heard.empty()


class Bench:
    """Rules, events and money of one account in a database, on a clock that only the test moves."""

    def __init__(self, tx: Tx, folder: Path, clock: Clock, **options: Any) -> None:
        self.tx, self.clock = tx, clock
        self.settings = settings.Settings(**options)
        self.vault = Vault.open("", folder)
        parts = quiet.parts(self.settings, folder, self.vault)
        self.actions = Actions(self.settings, self.vault, channels(parts))
        self.user = self.account("bench")

    def account(self, name: str, **more: Any) -> int:
        new = NewAccount(
            username=name, email="b@example.com", phone="", webhook_secret=new_secret(), credit_micros=10**9, **more
        )
        return account.create(self.tx, self.vault, new)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.tx.clock, self.tx.now = self.clock.now, int(self.clock.now)

    def rule(self, family: str = SMS_INBOUND.name, **values: Any) -> int:
        return int(rules.create(self.tx, self.user, family, {"rule_name": "r", **values})["rule_id"])

    def arrives(
        self, body: str = "hi", sender: str = CUSTOMER, to: str = OURS, user: int = 0, answers: Any = None
    ) -> bool:
        who = account.by_user(self.tx, user or self.user)
        assert who is not None
        row = quiet.inbound(who, self.tx.now, sender=sender, recipient=to, body=body)
        return self.actions.on_inbound(self.tx, row, answers)

    def sent(self, to: str = CUSTOMER) -> int:
        text = "SELECT COUNT(*) FROM messages WHERE recipient = ?"
        return int(self.tx.driver(text, [to]).fetchone()[0])

    def fired(self) -> list[str]:
        """The URLs that were pushed to since the last look."""
        urls = [row[0] for row in self.tx.driver("SELECT url FROM webhook_deliveries ORDER BY delivery_id").fetchall()]
        self.tx.driver("DELETE FROM webhook_deliveries")
        return urls


def on_bench(url: str, folder: Path, work: Callable[[Bench], None], **options: Any) -> None:
    async def scenario() -> None:
        clock = Clock()
        database = Database(url, clock=clock)
        try:
            await database.write(lambda tx: work(Bench(tx, folder, clock, **options)))
        finally:
            await database.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "term", "body", "matches"),
    [
        *((0, term, "anything", True) for term in (None, "", "other")),
        *((1, "stop", body, True) for body in ("stop", "STOP now", "  Stop", "stopping")),
        *((1, "stop", body, False) for body in ("please stop", "sto", "")),
        *((2, "stop", body, True) for body in ("please STOP it", "stop", "nonstop")),
        *((2, "stop", body, False) for body in ("s t o p", "")),
        *((3, "stop", body, True) for body in ("go on", "")),
        *((3, "stop", body, False) for body in ("stop", "do not Stop")),
        *((kind, term, body, True) for kind in (1, 2, 3) for term in (None, "", "  ") for body in ("text", "")),
        *((1, "ŻÓŁĆ", body, True) for body in ("żółć!", "Żółć", "z\u0307o\u0301łc\u0301")),
        *((1, "\u0130PTAL", body, True) for body in ("iptal", "IPTAL et", "\u0131ptal", "i\u0307ptal", '"iptal"')),
        *(
            (1, "stop", body, True)
            for body in ('"Stop"', "(stop)", "“Stop” it", "s\u200btop", "\U0001d412TOP", "\u2066stop\u2069")
        ),
        *((2, "straße 5", body, True) for body in ("in der STRASSE\u00a05", "Stra\u00dfe  5")),
        *((2, "arrêt", body, found) for body, found in (("l'ARRE\u0302T", True), ("arret", False))),
        *((3, "\u0130ptal", body, found) for body, found in (("IPTAL", False), ("evet", True))),
        *((2, "100%", body, found) for body, found in (("save 100% now", True), ("save 100 now", False))),
    ],
)
def test_search_types(migrated_url: str, tmp_path: Path, kind: int, term: str | None, body: str, matches: bool) -> None:
    def work(bench: Bench) -> None:
        bench.rule(message_search_type=kind, message_search_term=term, action="POLL")
        assert bench.arrives(body) is matches

    on_bench(migrated_url, tmp_path, work)


def test_dedicated_numbers(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        urls = {}
        for number in ("*", OURS, OURS[1:], "+61 481 074-190", OTHER, "HELIO"):
            urls[number] = f"http://hooks.example/{len(urls)}"
            bench.rule(dedicated_number=number, action="URL", action_address=urls[number])
        bench.arrives(to=OURS)
        assert bench.fired() == [urls[one] for one in ("*", OURS, OURS[1:], "+61 481 074-190")]
        bench.arrives(to=OTHER)
        assert bench.fired() == [urls["*"], urls[OTHER]]
        bench.arrives(to="Helio")
        assert bench.fired() == [urls["*"], urls["HELIO"]]

    on_bench(migrated_url, tmp_path, work)


def test_ten_fire_at_most_in_the_order_of_their_making(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        keys = []
        for number in range(14):
            off = {"enabled": 0} if number == 2 else {"message_search_type": 3, "message_search_term": "hi"}
            extra = off if number in (2, 5) else {}
            address = f"http://hooks.example/{number}"
            keys.append(bench.rule(action="URL", action_address=address, **extra))
        expected = [f"http://hooks.example/{number}" for number in range(14) if number not in (2, 5)]
        bench.arrives("hi")
        assert bench.fired() == expected[:10]
        # Seen at once, in the same transaction too: what fires is what is stored.
        rules.update(bench.tx, bench.user, SMS_INBOUND.name, keys[0], {"enabled": 0})
        bench.arrives("hi")
        assert bench.fired() == expected[1:11]
        rules.delete(bench.tx, bench.user, SMS_INBOUND.name, keys[1])
        bench.arrives("hi")
        assert bench.fired() == expected[2:12]
        bench.rule(action="URL", action_address="http://hooks.example/last")
        for key in keys[3:13]:
            rules.update(bench.tx, bench.user, SMS_INBOUND.name, key, {"enabled": 0})
        bench.arrives("hi")
        assert bench.fired() == [expected[-1], "http://hooks.example/last"]
        other = bench.account("other")
        bench.arrives("hi", user=other)
        assert bench.fired() == []

    on_bench(migrated_url, tmp_path, work)


@pytest.mark.parametrize(
    ("match_type", "codes"),
    [(0, {"200", "201", "300", "301"}), (1, {"201"}), (2, {"301"}), (3, {"200", "300"}), (4, set()), (1234, set())],
)
def test_match_types(migrated_url: str, tmp_path: Path, match_type: int, codes: set[str]) -> None:
    def work(bench: Bench) -> None:
        bench.rule(SMS_RECEIPTS.name, match_type=match_type, action="POLL")
        found = {
            code
            for code in ("200", "201", "300", "301")
            if rules.matching_receipt(bench.tx, bench.user, SMS_RECEIPTS.name, code)
        }
        assert found == codes

    on_bench(migrated_url, tmp_path, work)


def test_replies_to_one_number_are_capped_within_an_hour(migrated_url: str, tmp_path: Path) -> None:
    """Two machines that answer each other, slowly enough for the throttle."""

    def work(bench: Bench) -> None:
        bench.rule(action="AUTO_REPLY", body="Thank you")
        begun = bench.clock.now
        for _ in range(50):
            bench.arrives()
            bench.pass_time(61)
        assert bench.sent() == 10
        bench.arrives(sender=OTHER)
        assert bench.sent(OTHER) == 1  # another number is another conversation
        second = bench.account("second")
        rules.create(bench.tx, second, SMS_INBOUND.name, {"rule_name": "r", "action": "AUTO_REPLY", "body": "Thanks"})
        bench.arrives(user=second)
        assert bench.sent() == 11  # and another account another purse
        bench.pass_time(HOUR - (bench.clock.now - begun) - 1)
        bench.arrives()
        assert bench.sent() == 11
        bench.pass_time(62)
        bench.arrives()
        assert bench.sent() == 12
        spent = 10**9 - ledger.balance(bench.tx, bench.user)
        assert spent == 12 * 71_500

    on_bench(migrated_url, tmp_path, work)


def test_the_caps_are_settings_and_apart(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="AUTO_REPLY", body="Thank you")
        bench.rule(action="SMS", action_address=OTHER)
        for number in range(9):
            bench.arrives(f"text {number}")
            bench.pass_time(61)
        assert (bench.sent(), bench.sent(OTHER)) == (2, 4)

    on_bench(migrated_url, tmp_path, work, rule_replies=2, rule_forwards=4)


def test_a_text_goes_only_once_within_a_minute(migrated_url: str, tmp_path: Path) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="AUTO_REPLY", action_address="Thank you")
        bench.arrives()
        bench.pass_time(59)
        bench.arrives()
        assert bench.sent() == 1

    on_bench(migrated_url, tmp_path, work)


def test_nothing_is_forwarded_to_whoever_wrote_it(migrated_url: str, tmp_path: Path) -> None:
    """Each round would be a longer text, which no throttle knows."""

    def work(bench: Bench) -> None:
        bench.rule(action="SMS", action_address=f" {CUSTOMER[:6]} {CUSTOMER[6:]}".strip())
        bench.arrives(sender=CUSTOMER)
        assert bench.sent() == 0
        bench.arrives(sender=OTHER)
        assert bench.sent() == 1

    on_bench(migrated_url, tmp_path, work)


@pytest.mark.parametrize("flags", [{"banned": 1}, {"active": 0}])
def test_a_banned_or_inactive_account_sends_nothing(migrated_url: str, tmp_path: Path, flags: dict[str, int]) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="AUTO_REPLY", body="Thank you")
        bench.rule(action="POLL")
        ((name, value),) = flags.items()
        bench.tx.driver(f"UPDATE users SET {name} = ? WHERE user_id = ?", [value, bench.user])
        assert bench.arrives() is True
        assert bench.sent() == 0

    on_bench(migrated_url, tmp_path, work)


@pytest.mark.parametrize("sender", ["HELIO", "12345", "+999123", ""])
def test_what_cannot_be_answered_is_not(migrated_url: str, tmp_path: Path, sender: str) -> None:
    def work(bench: Bench) -> None:
        bench.rule(action="AUTO_REPLY", body="Thank you")
        bench.rule(action="POLL")
        assert bench.arrives(sender=sender) is True
        assert bench.tx.driver("SELECT COUNT(*) FROM messages").fetchone()[0] == 0

    on_bench(migrated_url, tmp_path, work)
