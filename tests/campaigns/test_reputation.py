"""A campaign of mails that harms the house's name stands still, says so, and goes on by command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaigns.books import balance
from campaigns.test_email_campaigns import becomes, order, view
from channels.test_email import hears
from contacts.test_lists import added, made
from heliograph.channels.email.campaigns import counts
from heliograph.channels.email.campaigns.counts import Counts, Reputation
from heliograph.cli import main
from heliograph.settings import Settings
from support.server import Api, Running


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Running]:
    """A server that judges a campaign from the second mail on."""
    server = Running(tmp_path / "data", campaign_judged_from=2)
    yield server
    server.close_clients()
    server.stop()


def commanded(server: Running, *words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--data", str(server.options.data)])
    assert ended.value.code in (0, None)


def test_a_campaign_to_dead_addresses_stands_still_until_it_is_told_to_go_on(
    strict: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    api = strict.account()
    list_id = made(api)
    for number in range(3):
        added(api, list_id, email=f"bounce@{number}.{api.username}.example")
    added(api, list_id, email=f"later@{api.username}.example")
    before = balance(api)
    key = order(api, list_id)["data"]["email_campaign_id"]
    row = becomes(api, key, "Paused")
    assert (row["send_count"], row["hard_bounce_count"], row["abuse_count"]) == (3, 3, 0)
    (mail,) = api.until(lambda: strict.mails(f"{api.username}@example.com"))
    assert "3 of 3 mails (100.0 %) came back" in " ".join(mail.text.split())
    assert api.call("PUT", f"/email-campaigns/{key}", {"name": "On"}).status == 400
    commanded(strict, "campaigns", "list", api.username)
    assert "more than 10 % are too many" in " ".join(capsys.readouterr().out.split())
    commanded(strict, "campaigns", "resume", str(key))
    assert becomes(api, key, "Sending")["hard_bounce_count"] == 3
    assert api.put(f"/email-campaigns/{key}/cancel")["status"] == "Cancelled"
    assert balance(api) == before, "what came back, and what was not sent, costs nothing"


@pytest.mark.parametrize(
    ("now", "forgiven", "said"),
    [
        (Counts(send_count=499, abuse_count=400), "", ""),
        (Counts(send_count=500, abuse_count=1), "", ""),
        (Counts(send_count=500, abuse_count=2), "", "2 of 500 mails (0.4 %) were called spam"),
        (Counts(send_count=1000, abuse_count=3, hard_bounce_count=100), "", ""),
        (Counts(send_count=1000, hard_bounce_count=101), "", "101 of 1000 mails (10.1 %) came back"),
        (Counts(send_count=1000, hard_bounce_count=200), '{"send_count":600,"hard_bounce_count":150}', ""),
        (Counts(send_count=1200, hard_bounce_count=210), '{"send_count":600,"hard_bounce_count":150}', ""),
        (Counts(send_count=1200, hard_bounce_count=211), '{"send_count":600,"hard_bounce_count":150}', "61 of 600"),
    ],
)
def test_what_is_too_much(monkeypatch: pytest.MonkeyPatch, now: Counts, forgiven: str, said: str) -> None:
    monkeypatch.setattr(counts, "counts", lambda tx, ids: {7: now})
    tx: Any = None
    why = Reputation(Settings()).fault(tx, {"campaign_id": 7, "forgiven": forgiven or None})
    assert (why or "").startswith(said)
    assert bool(why) is bool(said)


def test_what_is_heard_of_mails_is_counted_once_each(api: Api) -> None:
    list_id = made(api)
    for name in ("a", "b", "c"):
        added(api, list_id, email=f"{name}@{api.username}.example")
    key = order(api, list_id)["data"]["email_campaign_id"]
    becomes(api, key)
    rows = api.get(f"/email-campaigns/{key}/history")["data"]
    a, b, c = (row["message_id"] for row in rows)
    hears(api, a, "delayed", error="4.2.2", raw="452 4.2.2 full")
    hears(api, a, "delayed", error="4.2.2", raw="452 4.2.2 full")
    for _ in range(2):
        hears(api, a, "failed", error="5.1.1", raw="550 5.1.1 no such user")
        hears(api, b, "complaint", raw="abuse")
    row = view(api, key)
    names = ("send_count", "hard_bounce_count", "soft_bounce_count", "abuse_count", "status")
    assert [row[name] for name in names] == [3, 1, 2, 1, "Sent"]
    rows = api.get(f"/email-campaigns/{key}/history")["data"]
    assert [(one["status"], one["hard_bounce_count"], one["soft_bounce_count"]) for one in rows] == [
        ("Failed", 1, 2),
        ("SpamReport", 0, 0),
        ("Sent", 0, 0),
    ]
    assert [one["message_id"] for one in rows] == [a, b, c]
    assert api.get(f"/email-campaigns/{key}/history?q=status:failed")["total"] == 1
    (listed,) = api.get("/email-campaigns")["data"]
    assert listed == row
    again = order(api, list_id)
    assert (again["total_count"], again["queued_count"]) == (3, 1), "two of them are suppressed by now"
