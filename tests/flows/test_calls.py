"""Voice messages from the request to the ear, by real calls to the built-in phone."""

import io
import itertools
import os
import signal
import time
import wave
from typing import Any

import pytest

from files.fetching import fetch
from heliograph.transports.sandbox.phone import records
from heliograph.transports.sandbox.phone.records import CallRecord
from support.hooks import hooks
from support.server import Api, Running

NUMBERS = itertools.count(1)
LISTENS, PRESSES = "+61491570006", "+61491999006"


@pytest.fixture
def api(sqlite_server: Running) -> Api:
    return sqlite_server.account()


def say(api: Api, to: str, body: str = "", **more: Any) -> str:
    """Send one voice message; its id."""
    given = {"to": to, "body": body or f"Message {next(NUMBERS)}.", **more}
    (entry,) = api.post("/voice/send", {"messages": [given]})["messages"]
    assert entry["status"] == "SUCCESS"
    return str(entry["message_id"])


def ends(api: Api, key: str, status: str) -> dict[str, Any]:
    def there() -> list[dict[str, Any]]:
        rows = api.get(f"/voice/history?q=message_id:{key}")["data"]
        return [row for row in rows if row["status"] == status]

    return dict(api.until(there)[0])


def taken(api: Api, called: str, since: int) -> CallRecord:
    """The record that the phone has kept of the newest call to a number."""
    folder = records.phone_folder(api.server.options.data)

    def there() -> list[CallRecord]:
        return [call for call in records.listing(folder) if call.called == called and call.at >= since]

    return list(api.until(there))[-1]


def seconds(wav: bytes) -> tuple[float, int]:
    """(length, loudest sample) of a WAV file."""
    with wave.open(io.BytesIO(wav)) as file:
        frames = file.readframes(file.getnframes())
        samples = memoryview(frames).cast("h")
        return file.getnframes() / file.getframerate(), max(map(abs, samples))


def test_a_text_is_heard_to_its_end_and_a_key_comes_back(api: Api) -> None:
    api.post("/automations/voice/receipts", {"rule_name": "p", "match_type": 0, "action": "POLL", "action_address": ""})
    begun = int(time.time())
    key = say(api, PRESSES, require_input=1)
    row = ends(api, key, "Completed")
    assert (row["digits"], row["machine_detected"], row["status_code"]) == ("1", 0, "201")
    (polled,) = api.get("/voice/receipts")["data"]
    assert (polled["message_id"], polled["digits"]) == (key, "1")
    call = taken(api, PRESSES, begun)
    said = fetch(api.get(f"/voice/{key}/audio")["url"])
    length, loudest = seconds(said.raw)
    told = [step["detail"] for step in api.get(f"/voice/{key}/timeline")][-1]
    assert told.startswith("Taken by sandbox-voice: built-in phone, answered")
    assert f"heard {length:.1f} of {length:.1f} s, pressed 1" in told
    heard = records.heard(records.phone_folder(api.server.options.data), call.id)
    assert heard is not None
    heard_length, heard_loudest = seconds(heard.read_bytes())
    assert heard_length >= length - 0.1
    assert heard_loudest > loudest / 2 > 1000


def test_who_declines_pays_nothing_and_is_pushed(api: Api) -> None:
    with hooks() as (hook,):
        url = {"rule_name": "u", "match_type": 2, "action": "URL", "action_address": hook.url}
        api.post("/automations/voice/receipts", url)
        key = say(api, "+61491999005")
        pushed = hook.next().form
        assert (pushed["message_id"], pushed["message_type"], pushed["digits"]) == (key, "voice", "")
        assert (pushed["status_code"], pushed["error_code"]) == ("301", "603")
    row = ends(api, key, "Failed")
    assert row["status_text"] == "Failed: declined (603 Decline)"
    assert api.get("/account")["balance"] == "100.000000"


@pytest.mark.slow
def test_each_message_ends_once_when_the_calling_process_is_killed(api: Api) -> None:
    api.post("/automations/voice/receipts", {"rule_name": "p", "match_type": 0, "action": "POLL", "action_address": ""})
    server, sandbox = api.server, api.server.house.router.transports["sandbox-voice"]
    ends(api, say(api, LISTENS), "Completed")  # the process is there
    text = "This is a longer message, so that all of them are being said when the process is killed."
    given = [{"to": f"+61491571{number:03d}", "body": text, "voice": "male"} for number in range(10)]
    sent = api.post("/voice/send", {"messages": given})["messages"]
    worker = sandbox._worker  # type: ignore[attr-defined]
    api.until(lambda: len(worker._calls) == 10)
    killed, pid = time.monotonic(), worker.pid
    os.kill(pid, signal.SIGKILL)
    api.until(lambda: worker.pid not in (0, pid))
    assert time.monotonic() - killed < 10, "it takes half a second; a busy machine gets more"
    keys = [one["message_id"] for one in sent]
    doubts = "The carrier may have taken it, so it may be sent twice."

    def doubtful() -> bool:
        steps = [api.get(f"/voice/{key}/timeline")[-1]["detail"] for key in keys]
        return all(step.endswith(doubts) for step in steps)

    api.until(doubtful)
    server.write(lambda tx: (tx.driver("UPDATE queue SET due_at = 0"), tx.wake("queue:voice")))
    for key in keys:
        ends(api, key, "Completed")
    listed = api.get("/voice/receipts?limit=100")["data"]
    assert sorted(one["message_id"] for one in listed[1:]) == sorted(keys)
    assert float(api.get("/account")["balance"]) == pytest.approx(100 - 11 * 0.099)
