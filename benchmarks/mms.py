"""What MMS costs: accepting them beside SMS, and handing them over with their picture to an MMSC in another process."""

import asyncio
import base64
import http.client
import io
import itertools
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from PIL import Image

from campaigns import Databases
from heliograph.app import database_url
from heliograph.settings import load
from heliograph.transports.sandbox.mmsc import SimulatedMmsc
from machine import AUTH, Child, cpu_seconds, drain, make_account, serve

MOST = 1000
"""Messages of a request."""
ROUNDS = 15
SENDS = 3
"""Requests of MOST messages that are handed over while it is measured."""
SIDE, QUALITY = 325, 93
"""Of a picture of noise, a photograph at its worst: about 100 kB as a JPEG."""

NUMBERS = itertools.count()
CARRIER = """
[transports.mmsc]
kind = "mm7"
url = "http://127.0.0.1:{port}/"
inbound_username = "mmsc"
inbound_password = "bench"

[[routes]]
transport = "mmsc"
channel = "mms"
"""


class Delivered(NamedTuple):
    """Messages a second and a CPU-second, until the last report is joined; CPU milliseconds of the MMSC for each."""

    rate: float
    by_cpu: float
    theirs: float
    size: int
    """Bytes of the picture."""


class Cost(NamedTuple):
    """Seconds on the clock, and of the processor."""

    clock: float
    cpu: float


class Rig:
    """A server with an account, and a picture that it has uploaded. The database's CPU time (`engine`) is its own."""

    def __init__(self, database: str, engine: int | None, role: str, carrier: str = "") -> None:
        self.data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
        (self.data / "heliograph.toml").write_text(carrier)
        make_account(self.data, database, "bench", "key")
        self.database = database_url(load(data=self.data, database=database))
        self._engine = engine
        self.server: Child = serve(self.data, database, role)
        self.picture, self.size = "", 0

    def upload(self) -> float:
        """Upload the picture, which is converted for MMS; how many seconds that took."""
        content = base64.b64encode(photograph()).decode()
        answer, cost = self.post("/uploads?convert=mms", {"content": content})
        self.picture = answer["file_name"]
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        connection.request("GET", f"/files/{self.picture}")
        self.size = len(connection.getresponse().read())
        connection.close()
        return cost.clock

    def send(self, medium: str) -> Cost:
        """A request of MOST messages; those of MMS have the picture. What the server took to answer it."""
        bodies = [{"to": f"+61411{next(NUMBERS) % 10**6:06}", "body": f"Message {next(NUMBERS)}"} for _ in range(MOST)]
        asked: dict[str, Any] = {"messages": bodies}
        if medium == "mms":
            asked = {"media_file": self.picture, "messages": [{"subject": "Hello", **body} for body in bodies]}
        answer, cost = self.post(f"/{medium}/send", asked)
        assert answer["queued_count"] == MOST
        return cost

    def post(self, path: str, body: dict[str, Any]) -> tuple[Any, Cost]:
        """(`data` of the answer, and what the server took for it)."""
        octets = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        began, before = time.perf_counter(), self.used()
        connection.request("POST", f"/v3{path}", octets, {"Authorization": AUTH})
        answer = connection.getresponse()
        text = answer.read()
        cost = Cost(time.perf_counter() - began, self.used() - before)
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{path} was refused: {text[:500]!r}")
        return json.loads(text)["data"], cost

    def used(self) -> float:
        """CPU seconds until now."""
        return self.server.cpu() + (cpu_seconds(self._engine) if self._engine else 0.0)

    def close(self) -> None:
        self.server.stop()
        shutil.rmtree(self.data)


def photograph() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((SIDE, SIDE), 90).convert("RGB").save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def accepting(database: str, engine: int | None) -> tuple[dict[str, Cost], float]:
    """(the cost of a request of MOST messages, of ROUNDS in turns; seconds of an upload with its conversion)."""
    rig = Rig(database, engine, "api")
    rig.upload()
    seen: dict[str, list[Cost]] = {"sms": [], "mms": []}
    for medium in seen:
        rig.send(medium)  # to be warm
    conversion = rig.upload()
    for _ in range(ROUNDS):
        for medium, costs in seen.items():
            costs.append(rig.send(medium))
    rig.close()
    return {medium: _median(costs) for medium, costs in seen.items()}, conversion


def _median(costs: list[Cost]) -> Cost:
    """The median of the clock, and the mean of the processor, whose hundredths are too coarse for a median."""
    return Cost(statistics.median(one.clock for one in costs), statistics.fmean(one.cpu for one in costs))


def delivering(database: str, engine: int | None) -> Delivered:
    """Hand SENDS requests over."""
    with mmsc() as other:
        rig = Rig(database, engine, "all", CARRIER.format(port=other.recv()))
        other.send(f"http://127.0.0.1:{rig.server.port}/carriers/mmsc")
        rig.upload()
        rig.send("mms")  # to be warm
        drain(rig.database)
        began, before = time.perf_counter(), rig.used()
        for _ in range(SENDS):
            rig.send("mms")
        drain(rig.database)
        took, spent = time.perf_counter() - began, rig.used() - before
        other.send("")
        taken, theirs = other.recv()
        rig.close()
    if taken != (SENDS + 1) * MOST:
        raise SystemExit(f"{taken} messages reached the MMSC")
    return Delivered(SENDS * MOST / took, SENDS * MOST / spent, theirs / taken * 1e3, rig.size)


@contextmanager
def mmsc() -> Iterator[Connection]:
    """The built-in MMSC in a process of its own. It tells its port and is told where it reports; what it is told next
    is answered with how many messages it has taken, and with the CPU seconds that it has used.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


def _run(other: Connection) -> None:
    """The process of the MMSC, until it is terminated."""

    async def run(folder: Path) -> None:
        made = SimulatedMmsc(folder)
        other.send(await made.start())
        made.report_to = (await asyncio.to_thread(other.recv), "mmsc", "bench")
        await asyncio.to_thread(other.recv)
        other.send((made.counts["taken"], time.process_time()))
        await asyncio.get_running_loop().create_future()

    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(Path(folder)))


def report(kind: str, databases: Databases) -> None:
    """Print it."""
    with databases(kind) as (url, engine):
        costs, conversion = accepting(url, engine)
    sms, mms = costs["sms"], costs["mms"]
    print(
        f"{kind}, {MOST:,} MMS in a request against {MOST:,} SMS: {mms.clock * 1e3:.0f} ms and {sms.clock * 1e3:.0f} ms"
        f" ({mms.clock / sms.clock:.2f}; by CPU time {mms.cpu / sms.cpu:.2f}); the upload before it"
        f" {conversion * 1e3:.0f} ms"
    )
    with databases(kind) as (url, engine):
        seen = delivering(url, engine)
    print(
        f"{kind}, MMS with a picture of {seen.size / 1000:.0f} kB to an MMSC: {seen.rate:,.0f}/s end to end"
        f" ({seen.by_cpu:,.0f} per CPU-second; the MMSC needs {seen.theirs:.1f} ms of its own for each)"
    )
