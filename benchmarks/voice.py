"""What voice costs: `python benchmarks/voice.py`. Everything stays on loopback and ends by itself.

Accepting 1000 voice messages a body against as many SMS, by the server's CPU time; speech in times of real time; 50
calls at once over one worker, with the packets that went out empty; and accepting SMS while they are held.
"""

import asyncio
import http.client
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import uvloop
from structlog.testing import capture_logs

from heliograph.channels.voice import ssml
from heliograph.channels.voice.speech import Speaker, Text
from heliograph.settings import Settings
from heliograph.transports.base import MessageKey, Outgoing, Sent, Spoken
from heliograph.transports.sandbox.voice import SandboxVoice
from machine import AUTH, Child, cpu_seconds, make_account, serve

CALLS = 50
SECONDS = 10
TEXT = "Your parcel comes today between ten and eleven. To choose another day, press one. "
NUMBERS = itertools.count(1)


class Nobody:
    """Calls report nothing later."""


def send(server: Child, medium: str) -> None:
    """A body of 1000 messages."""
    bodies = [{"to": f"+61411{next(NUMBERS) % 10**6:06d}", "body": f"Message {next(NUMBERS)}"} for _ in range(1000)]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = {"Authorization": AUTH, "Content-Type": "application/json"}
    connection.request("POST", f"/v3/{medium}/send", json.dumps({"messages": bodies}), headers)
    answer = json.loads(connection.getresponse().read())
    assert answer["data"]["queued_count"] == 1000, answer
    connection.close()


def accepting(server: Child, rounds: int) -> None:
    """CPU time for each medium, in turn."""
    spent = {"sms": 0.0, "voice": 0.0}
    for medium in spent:
        send(server, medium)  # to be warm
    for _ in range(rounds):
        for medium in spent:
            before = server.cpu()
            send(server, medium)
            spent[medium] += server.cpu() - before
    sms, voice = (rounds * 1000 / spent[medium] for medium in spent)
    print(f"accepted a CPU second: {sms:.0f} SMS, {voice:.0f} voice messages; ratio {voice / sms:.2f}")


async def speech(folder: Path) -> bytes:
    speaker = Speaker(Settings(data=folder))
    text = Text(ssml.written(TEXT * 3), "en-us", "female")
    before = getrusage(RUSAGE_CHILDREN)
    sound = await speaker.sound(text)
    after = getrusage(RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = len(sound) / 16000
    begun = time.perf_counter()
    await speaker.sound(text)
    again = time.perf_counter() - begun
    print(f"speech: {seconds:.1f} s in {used:.2f} s of CPU, {seconds / used:.0f} times real time")
    print(f"the same text again: {again * 1e3:.1f} ms")
    return sound[: SECONDS * 16000]


async def calls(folder: Path, sound: bytes, server: Child) -> None:
    """Hold CALLS calls at once, and accept SMS beside them."""
    loop = asyncio.get_running_loop()

    async def rate() -> float:
        begun, count = time.perf_counter(), 0
        before = server.cpu()
        while time.perf_counter() - begun < SECONDS * 0.8:
            await loop.run_in_executor(None, send, server, "sms")
            count += 1000
        return count / (server.cpu() - before)

    alone = await rate()
    sandbox = SandboxVoice("sandbox", folder / "phone")
    await sandbox.open(Nobody())
    one = [Outgoing(MessageKey(1, "voice", "M"), "", "+61491570006", Spoken(sound[:8000]), 0)]
    await sandbox.send(one)
    batch = [
        Outgoing(MessageKey(1, "voice", str(number)), "", f"+6149157{number:04d}", Spoken(sound), 0)
        for number in range(CALLS)
    ]
    pid = sandbox._worker.pid
    with capture_logs() as logs:
        before, begun = cpu_seconds(pid), time.perf_counter()
        outcomes, beside = await asyncio.gather(sandbox.send(batch), rate())
        used, lasted = cpu_seconds(pid) - before, time.perf_counter() - begun
    await sandbox.close()
    starved = sum(entry["frames"] for entry in logs if entry["event"] == "sip.starved")
    good = sum(isinstance(one, Sent) for one in outcomes)
    print(
        f"{CALLS} calls of {len(sound) / 16000:.0f} s at once: {good} heard to the end in {lasted:.1f} s,"
        f" {used:.1f} s of CPU, {starved} packets starved"
    )
    print(f"SMS accepted a CPU second: {alone:.0f} alone, {beside:.0f} beside them; ratio {beside / alone:.2f}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as place:
        folder = Path(place)
        make_account(folder, "", "bench", "key")
        server = serve(folder, "", "api")
        try:
            accepting(server, int(sys.argv[1]) if len(sys.argv) > 1 else 30)
            sound = uvloop.run(speech(folder))
            uvloop.run(calls(folder, sound, server))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
