"""What every channel has to do, from the request to the last receipt, over HTTP and a carrier that a test scripts.

A channel's test file inherits `Conformance` under a name that begins with Test, and says what its requests look like.
"""

import csv
import io
import itertools
import time
from abc import ABC, abstractmethod
from typing import Any

import pytest

from files.fetching import fetch
from heliograph.automations import rules
from heliograph.billing.prices import Rates, RatesError
from heliograph.db.engine import Tx
from heliograph.messaging.channel import Channel
from heliograph.transports.base import Outcome, Outgoing, Retry, Sent
from support.carrier import Carrier, taken
from support.server import Api

TO, OTHER = "+61411000001", "+61411000002"
NUMBERS = itertools.count(1)
LATER = 10 * 24 * 3600


class Conformance(ABC):
    """`channel`: its name. `price`: the key of the price in the entries of send and price.

    `looks_up`: a receipt can be asked for by the id of its message. `hears`: messages arrive in the channel.
    """

    channel: str
    price: str
    looks_up = True
    hears = True

    def message(self, to: str = TO, body: str = "", **more: Any) -> dict[str, Any]:
        """A message as the channel's requests have it, with a text that no other has."""
        return {"to": to, "body": body or f"Hello {next(NUMBERS)}", **more}

    def request(self, api: Api, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The body of a request for these messages."""
        return {"messages": messages}

    def send(self, api: Api, **more: Any) -> dict[str, Any]:
        """Send one message; its entry in the answer."""
        (entry,) = api.post(f"/{self.channel}/send", self.request(api, [self.message(**more)]))["messages"]
        return dict(entry)

    def row(self, api: Api, message_id: str) -> dict[str, Any]:
        """Its entry in the history."""
        (entry,) = api.get(f"/{self.channel}/history?q=message_id:{message_id}")["data"]
        return dict(entry)

    def becomes(self, api: Api, message_id: str, status: str) -> dict[str, Any]:
        """Its entry in the history once it has this status."""
        return dict(api.until(lambda: [row for row in [self.row(api, message_id)] if row["status"] == status])[0])

    def made(self, carrier: Carrier) -> Channel:
        return carrier.server.house.channels[self.channel]

    def rule(self, api: Api, family: str, action: str = "POLL", **values: Any) -> None:
        """A rule of a family, which need not have endpoints."""
        given = {"rule_name": "r", "action": action, **values}
        api.server.write(lambda tx: rules.create(tx, api.user_id, family, given))

    def balance(self, api: Api) -> str:
        return str(api.get("/account")["balance"])

    def make_due(self, api: Api, message_id: str, *, accepted: int | None = None) -> None:
        """Let a scheduled message be due now; `accepted`: as if it had been accepted at that time."""

        def work(tx: Tx) -> None:
            if accepted is not None:
                mine = [accepted, accepted, api.user_id, message_id]
                tx.driver("UPDATE messages SET date = ?, schedule = ? WHERE user_id = ? AND message_id = ?", mine)
            tx.driver("UPDATE queue SET due_at = 0 WHERE user_id = ? AND message_id = ?", [api.user_id, message_id])
            tx.wake("queue:" + self.channel)

        api.server.write(work)

    # Accepting

    def test_the_price_that_is_quoted_is_the_price_that_is_taken(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        (quoted,) = api.post(f"/{self.channel}/price", self.request(api, [self.message()]))["messages"]
        assert self.balance(api) == "100.000000"
        sent = self.send(api)
        assert sent["status"] == "SUCCESS"
        assert sent[self.price] == quoted[self.price] != "0.0000"
        assert float(self.balance(api)) == pytest.approx(100 - float(sent[self.price]))
        assert float(self.row(api, sent["message_id"])["message_price"]) == float(sent[self.price])

    def test_without_credit_nothing_is_sent(self, carrier: Carrier) -> None:
        api = carrier.server.account(credit=1)
        assert self.send(api)["status"] == "INSUFFICIENT_CREDIT"
        assert api.get(f"/{self.channel}/history")["total"] == 0
        assert self.balance(api) == "0.000001"

    def test_a_message_that_the_rates_do_not_price_is_refused_and_costs_nothing(
        self, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unpriced(*_: Any) -> int:
            raise RatesError("There is no such price.")

        api = carrier.server.account()
        with monkeypatch.context() as patch:
            patch.setattr(Rates, "price", unpriced)
            assert self.send(api)["status"] == "SOMETHING_IS_WRONG"
        assert (api.get(f"/{self.channel}/history")["total"], self.balance(api)) == (0, "100.000000")

    # Waiting

    def test_a_scheduled_message_can_be_cancelled_and_is_paid_back(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        keys = [self.send(api, schedule=int(time.time()) + LATER)["message_id"] for _ in range(3)]
        assert {self.row(api, key)["status"] for key in keys} == {"Scheduled"}
        assert api.call("PUT", f"/{self.channel}/{keys[0]}/cancel").status == 200
        assert self.row(api, keys[0])["status"] == "Cancelled"
        assert api.call("PUT", f"/{self.channel}/{keys[0]}/cancel").status == 404
        assert api.put(f"/{self.channel}/cancel-all") == {"count": 2}
        assert self.balance(api) == "100.000000"

    def test_who_opts_out_before_the_hand_over_gets_nothing(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        list_id = api.post("/lists", {"list_name": "Readers"})["list_id"]
        api.post(f"/lists/{list_id}/contacts", {"phone_number": TO})
        given = {**self.message(), "to": None, "list_id": list_id, "schedule": int(time.time()) + LATER}
        (sent,) = api.post(f"/{self.channel}/send", self.request(api, [given]))["messages"]
        assert (sent["status"], sent["to"]) == ("SUCCESS", TO)
        (opt_out,) = [one["list_id"] for one in api.get("/lists")["data"] if one["list_name"] == "Opt-Out List"]
        api.post(f"/lists/{opt_out}/contacts", {"phone_number": TO})
        self.make_due(api, sent["message_id"])
        row = self.becomes(api, sent["message_id"], "Failed")
        assert row["status_text"] == "Failed: The recipient opted out before the message was sent."
        assert self.balance(api) == "100.000000"
        assert carrier.was_given(api) == []

    def test_a_message_that_no_carrier_took_in_time_fails_and_is_paid_back(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        key = self.send(api, schedule=int(time.time()) + LATER)["message_id"]
        self.make_due(api, key, accepted=1)
        assert self.becomes(api, key, "Failed")["status_text"] == (
            "Failed: The message expired before a carrier took it."
        )
        assert self.balance(api) == "100.000000"

    # Handed over

    def test_a_message_is_handed_over_and_tried_again(self, carrier: Carrier) -> None:
        answers: list[Outcome] = [Retry(after=0.0, why="busy"), Sent(("id",), "queued as 7")]
        api = carrier.server.account()
        carrier.answer = lambda outgoing: answers.pop(0) if outgoing.key.user_id == api.user_id else taken(outgoing)
        key = self.send(api, body="Carry me")["message_id"]
        outgoing = carrier.next(api)
        assert (outgoing.key.message_id, outgoing.recipient, outgoing.attempt) == (key, TO, 1)
        self.carried(outgoing, "Carry me")
        api.until(lambda: len(api.get(f"/{self.channel}/{key}/timeline")) == 2)
        self.make_due(api, key)
        assert carrier.next(api).attempt == 2
        assert self.becomes(api, key, "Sent")["status_text"] == self.made(carrier).words.sent
        details = [step["detail"] for step in api.get(f"/{self.channel}/{key}/timeline")]
        assert details[1].startswith("Not taken by scripted: busy.")
        assert details[2] == "Taken by scripted: queued as 7."

    @abstractmethod
    def carried(self, outgoing: Outgoing, body: str) -> None:
        """Check what the transport got for a message."""

    # Reported

    def test_a_receipt_speaks_in_the_words_of_the_channel_and_runs_its_own_rules(self, carrier: Carrier) -> None:
        channel, api = self.made(carrier), carrier.server.account()
        for other in carrier.server.house.channels.values():
            if other.receipt_rules != channel.receipt_rules:
                self.rule(api, other.receipt_rules)
        first, second = (self.send(api, body=str(number))["message_id"] for number in range(2))
        for key in (first, second):
            self.becomes(api, key, "Sent")
        carrier.reports(first, "delivered")
        row = self.becomes(api, first, "Completed")
        assert (row["status_code"], row["status_text"]) == ("201", channel.words.delivered)
        assert api.get(f"/{self.channel}/receipts")["total"] == 0
        self.rule(api, channel.receipt_rules)
        carrier.reports(second, "failed", "17")
        row = self.becomes(api, second, "Failed")
        assert (row["status_code"], row["status_text"]) == ("301", f"Failed: {channel.words.undelivered}")
        (polled,) = api.get(f"/{self.channel}/receipts")["data"]
        assert (polled["message_id"], polled["status"], polled["error_code"]) == (second, "Undelivered", "17")
        assert polled["message_type"] == self.channel
        if self.looks_up:
            assert api.get(f"/{self.channel}/receipts/{first}")["status_text"] == channel.words.delivered
        api.put(f"/{self.channel}/receipts-read")
        assert api.get(f"/{self.channel}/receipts")["total"] == 0

    def test_a_failure_after_the_end_changes_nothing(self, carrier: Carrier) -> None:
        channel, api = self.made(carrier), carrier.server.account()
        self.rule(api, channel.receipt_rules)
        key = self.send(api)["message_id"]
        self.becomes(api, key, "Sent")
        carrier.reports(key, "delivered")
        self.becomes(api, key, "Completed")
        carrier.reports(key, "failed", "550")
        assert self.row(api, key)["status"] == "Completed"
        assert [one["status"] for one in api.get(f"/{self.channel}/receipts")["data"]] == ["Delivered"]
        steps = [one["detail"] for one in api.get(f"/{self.channel}/{key}/timeline")]
        assert [one for one in steps if "delivered" in one or "Listed" in one] == steps[2:4]

    def test_without_a_receipt_a_message_expires(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        key = self.send(api)["message_id"]
        self.becomes(api, key, "Sent")
        api.server.write(lambda tx: tx.driver("UPDATE handovers SET at = 1 WHERE message_id = ?", [key]))
        duties = api.server.house._upkeep._duties
        api.server.write(duties["expire messages"])
        assert self.row(api, key)["status_text"] == "Failed: receipt expired"

    # Arriving

    def test_an_answer_finds_its_message_and_runs_the_rules_of_the_channel(self, carrier: Carrier) -> None:
        if not self.hears:
            pytest.skip("nothing arrives in this channel")
        channel, api = self.made(carrier), carrier.server.account()
        key = self.send(api, to=OTHER, **self.reachable())["message_id"]
        sender = carrier.next(api).sender
        self.becomes(api, key, "Sent")
        carrier.brings(self.channel, OTHER, sender, "not polled")
        self.rule(api, channel.inbound_rules)
        carrier.brings(self.channel, OTHER, sender, "Yes please")
        (arrived,) = api.get(f"/{self.channel}/inbound")["data"]
        assert (arrived["body"], arrived["from"], arrived["original_message_id"]) == ("Yes please", OTHER, key)
        api.put(f"/{self.channel}/inbound-read/{arrived['message_id']}")
        assert api.get(f"/{self.channel}/inbound")["total"] == 0

    def reachable(self) -> dict[str, Any]:
        """What a message needs so that its recipient can answer it."""
        return {}

    # Looked at

    def test_history_pages_searches_and_counts(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        sent = [self.send(api, body=f"text {number}")["message_id"] for number in range(17)]
        page = api.get(f"/{self.channel}/history?page=2")
        assert (page["total"], [row["message_id"] for row in page["data"]]) == (17, sent[15:])
        assert [
            row["body"] for row in api.get(f"/{self.channel}/history?q=body:text 7".replace(" ", "%20"))["data"]
        ] == ["text 7"]
        for other in carrier.server.house.channels.values():
            if other.name != self.channel:
                assert api.get(f"/{other.name}/history")["total"] == 0
        counted = api.get(f"/statistics/{self.made(carrier).medium}")["total"]["outbound"]
        assert counted["count"] == 17

    def test_an_export_is_written_by_a_job(self, carrier: Carrier) -> None:
        api = carrier.server.account()
        sent = [self.send(api, body=f"text {number}")["message_id"] for number in range(3)]
        for key in sent:
            self.becomes(api, key, "Sent")
        url = api.get(f"/{self.channel}/history/export")["url"]
        got = api.until(lambda: [one for one in [fetch(url)] if one.status == 200])[0]
        rows = list(csv.DictReader(io.StringIO(got.raw.decode(), newline="")))
        assert [row["message_id"] for row in rows] == sent
        assert list(rows[0]) == list(api.get(f"/{self.channel}/history")["data"][0])

    def test_another_account_sees_and_moves_nothing(self, carrier: Carrier) -> None:
        api, other = carrier.server.account(), carrier.server.account()
        key = self.send(api, schedule=int(time.time()) + LATER)["message_id"]
        calls: list[tuple[str, str]] = [
            ("PUT", f"/{self.channel}/{key}/cancel"),
            ("GET", f"/{self.channel}/receipts/{key}"),
            ("GET", f"/{self.channel}/{key}/timeline"),
            ("PUT", f"/{self.channel}/inbound-read/{key}"),
        ]
        assert [other.call(*call).status for call in calls] == [404] * 4
        assert other.get(f"/{self.channel}/history?q=message_id:{key}")["total"] == 0
        assert self.row(api, key)["status"] == "Scheduled"
