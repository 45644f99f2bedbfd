"""`make bench`: accept, end-to-end, delivery, redirects, pictures, history, claim, memory, MMS, mails, in ratios.

Everything stays on loopback and ends by itself. Needs wrk (Debian package) for the load, and PostgreSQL for its part.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import campaigns
import delivery
import esme
import mails
import mms
import readers
import storage
from heliograph.app import database_url
from heliograph.settings import load
from machine import AUTH, PROGRAM, Child, cpu_seconds, drain, free_port, make_account, serve, wrk
from machine import load as load_of

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support import postgres

NOOP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""
CARRIER = """
[transports.sink]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "bench"
password = "bench"
window = 500

[[routes]]
transport = "sink"
channel = "sms"
"""
DURABLE = ("shared_buffers=512MB", "max_wal_size=4GB", "listen_addresses=")


def noop(seconds: int) -> float:
    """Requests a second of an application that does nothing, on the same web server."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "noop.py").write_text(NOOP)
        server = Child(
            *(sys.executable, "-m", "uvicorn", "noop:app", "--app-dir", folder),
            *("--port", str(port), "--log-level", "error", "--no-access-log"),
            port=port,
        )
        result = wrk(port, "/", 64, seconds, 1)
        server.stop()
    return result["requests"] / result["duration"]


def sending(
    seconds: int, connections: int, messages: int, role: str, database: str = "", engine: int | None = None
) -> dict[str, float]:
    """Load on POST /v3/sms/send; with role `all` also until every receipt is joined.

    `engine` is the process of the database server, whose CPU time counts as ours.
    """
    data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
    smsc_port = free_port()
    (data / "heliograph.toml").write_text(CARRIER.format(port=smsc_port))
    make_account(data, database, "bench", "key")
    smsc = Child(PROGRAM, "smsc", "--port", str(smsc_port), port=smsc_port)
    server = serve(data, database, role)

    def used() -> float:
        return server.cpu() + (cpu_seconds(engine) if engine else 0.0)

    wrk(server.port, "/v3/sms/send", connections, 1, messages)  # to be warm
    if role == "all":
        drain(database_url(load(data=data, database=database)))
    before = used()
    result = wrk(server.port, "/v3/sms/send", connections, seconds, messages)
    sent = result["requests"] * messages
    if role == "all":
        drain(database_url(load(data=data, database=database)))
    result["rate"] = sent / result["duration"]
    result["per_cpu_second"] = sent / max(0.01, used() - before)
    server.stop()
    smsc.stop()
    shutil.rmtree(data)
    return result


@contextlib.contextmanager
def databases(kind: str) -> Iterator[tuple[str, int | None]]:
    """(URL of an empty database, "" for SQLite in the data folder; process of its server)."""
    if kind == "sqlite":
        yield "", None
        return
    with postgres.server(DURABLE) as (url, pid), postgres.database(url) as made:
        yield made, pid


def loads(kind: str, seconds: int, base: float) -> None:
    for role in ("api", "all"):
        with databases(kind) as (url, engine):
            single = sending(seconds, 64, 1, role, url, engine)
        with databases(kind) as (url, engine):
            bulk = sending(seconds, 4, 1000, role, url, engine)
        print(
            f"{kind}, role {role}: 1 a request, 64 connections: {single['rate']:,.0f}/s ({single['rate'] / base:.2f} of"
            f" the no-op, p50 {single['p50']:.0f} ms, p99 {single['p99']:.0f} ms,"
            f" {single['per_cpu_second']:,.0f} per CPU-second)"
        )
        print(
            f"{kind}, role {role}: 1000 a request, 4 connections: {bulk['rate']:,.0f} messages/s"
            f" ({bulk['per_cpu_second']:,.0f} per CPU-second)"
        )


def redirects(kind: str, seconds: int, base: float) -> None:
    """Short links that are opened, each click counted: the codes of a thousand messages, one after the other."""
    with databases(kind) as (url, _), tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        make_account(data, url, "bench", "key")
        server = serve(data, url)
        messages = [{"to": "+61491570006", "body": f"https://example.com/{number}"} for number in range(1000)]
        body = json.dumps({"messages": messages, "shorten_urls": True}).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{server.port}/v3/sms/send", body, {"Authorization": AUTH})
        with urllib.request.urlopen(asked) as answer:
            sent = json.load(answer)["data"]["messages"]
        codes = ",".join(message["body"].rpartition("/")[2] for message in sent)
        load_of(server.port, 64, 1, "links.lua", codes)  # to be warm
        result = load_of(server.port, 64, seconds, "links.lua", codes)
        rate = result["requests"] / result["duration"]
        server.stop()
    print(
        f"{kind}, redirects, 64 connections: {rate:,.0f}/s ({rate / base:.2f} of the no-op, p99 {result['p99']:.0f} ms)"
    )


def pictures(kind: str, seconds: int, base: float) -> None:
    """Pictures of mails that are shown, each opening counted: those of a thousand mails of one campaign."""
    with databases(kind) as (url, _), tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        make_account(data, url, "bench", "key")
        paths = ",".join(readers.pictures(data, url or database_url(load(data=data)), 1000))
        server = serve(data, url)
        load_of(server.port, 64, 1, "links.lua", paths)  # to be warm
        result = load_of(server.port, 64, seconds, "links.lua", paths)
        rate = result["requests"] / result["duration"]
        server.stop()
        counted = readers.opens(url or database_url(load(data=data)))
    print(
        f"{kind}, pictures, 64 connections: {rate:,.0f}/s ({rate / base:.2f} of the no-op, p99 {result['p99']:.0f} ms,"
        f" {counted:,} openings counted)"
    )


def sizes(kind: str, rows: int) -> None:
    few = min(10_000, rows)
    with databases(kind) as (url, _):
        small = storage.history(url, few)
    with databases(kind) as (url, _):
        large = storage.history(url, rows)
    for name in small:
        ratio = large[name] / small[name]
        print(f"{kind}, {name} page: {small[name]:.1f} ms of {few:,}, {large[name]:.1f} of {rows:,} ({ratio:.2f})")
    with databases(kind) as (url, _):
        first = storage.accepting(url, few)
    with databases(kind) as (url, _):
        last = storage.accepting(url, rows)
    for name in first:
        print(f"{kind}, writer, {name}: {first[name]:.1f} µs beside {few:,}, {last[name]:.1f} beside {rows:,} messages")
    for what, unit, measure in (("claim of 250", "ms", storage.claiming), ("memory", "MB", storage.memory)):
        with databases(kind) as (url, _):
            first = measure(url, few)
        with databases(kind) as (url, _):
            last = measure(url, rows)
        print(f"{kind}, {what}: {first:.1f} {unit} of {few:,}, {last:.1f} of {rows:,} ({last / first:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large history and queue")
    parser.add_argument("--kinds", default="sqlite,postgres")
    parser.add_argument("--parts", default="loads,delivery,esme,redirects,pictures,sizes,campaigns,mms,mails")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    base = noop(options.seconds)
    print(f"no-op application, 64 connections: {base:,.0f} requests/s")
    for kind in options.kinds.split(","):
        if "loads" in options.parts:
            loads(kind, options.seconds, base)
        if "delivery" in options.parts:
            with databases(kind) as (url, _):
                delivery.report(kind, url)
        if "redirects" in options.parts:
            redirects(kind, options.seconds, base)
        if "pictures" in options.parts:
            pictures(kind, options.seconds, base)
        if "esme" in options.parts:
            with databases(kind) as (url, _):
                esme.compare(kind, options.seconds, url)
        if "sizes" in options.parts:
            sizes(kind, options.rows)
        if "campaigns" in options.parts:
            campaigns.report(kind, options.seconds, databases)
        if "mms" in options.parts:
            mms.report(kind, databases)
        if "mails" in options.parts:
            mails.report(kind, options.seconds, databases)


if __name__ == "__main__":
    main()
