"""What the mails of a campaign cost: made for each recipient, signed, and handed over to a relay in another process."""

import asyncio
import http.client
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, cast

import uvloop

from campaigns import CLIENTS, Databases
from heliograph.accounts.vault import Vault
from heliograph.app import database_url
from heliograph.contacts import contact, lists
from heliograph.db.engine import Connector
from heliograph.mail import domains
from heliograph.mail.addresses import address
from heliograph.settings import load
from machine import AUTH, Child, cpu_seconds, make_account, serve, wrk

MOST = 20_000
SIZES = (5_000, 30_000)
"""Octets of the HTML of a mail."""
SENDER = "news@bench.example"
CARRIER = """
[transports.relay]
kind = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
connections = 8

[[routes]]
transport = "relay"
channel = "email"
"""


class Delivered(NamedTuple):
    """Mails a second and a CPU-second; megabytes after a quarter of them and at the most; octets of a mail."""

    rate: float
    by_cpu: float
    early: float
    peak: float
    size: int


class Rig:
    """A server with an account, a list of `contacts`, and a sender whose domain has a key."""

    def __init__(self, database: str, contacts: int, port: int) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
        (self.data / "heliograph.toml").write_text(CARRIER.format(port=port))
        make_account(self.data, database, "bench", "key")
        options = load(data=self.data, database=database)
        self.connector = Connector(database_url(options), time.time)
        vault = Vault.open(options.secret, self.data)
        tx = self.connector.begin_write()
        (user_id,) = tx.driver("SELECT user_id FROM users WHERE username = ?", ["bench"]).fetchone()
        row = lists.create(tx, user_id, "Bench")
        more = {"first_name": "Ann", "last_name": "Example"}
        rows = [
            contact.columns({"email": f"ann{number}@example.com", "custom_1": str(number), **more}, "AU")
            for number in range(contacts)
        ]
        contact.add(tx, row, rows)
        domains.add(tx, vault, "bench.example", "s1", domains.new_key())
        address.seed(tx, user_id, SENDER)
        self.address_id = address.create(tx, user_id, SENDER).email_address_id
        tx.driver("COMMIT")
        self.list_id = int(row["list_id"])
        self.server: Child = serve(self.data, database, "all")

    def order(self, body: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        asked = {"list_id": self.list_id, "name": "Bench", "subject": "News for (First Name)", "body": body}
        more = {"from_email_address_id": self.address_id, "from_name": "Bench"}
        connection.request("POST", "/v3/email-campaigns/send", json.dumps(asked | more), {"Authorization": AUTH})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"the campaign was refused: {text[:500]!r}")

    def close(self) -> None:
        self.server.stop()
        self.connector.close()
        shutil.rmtree(self.data)


def newsletter(size: int) -> str:
    """HTML of about so many octets, with links and placeholders throughout."""
    head = "<!doctype html><html><head><title>News</title></head><body><h1>Dear (First Name) (Last Name),</h1>"
    piece = (
        '<table width="100%"><tr><td style="padding:12px;font-family:sans-serif">Offer {0} for (First Name), with the'
        ' code (Cust. 1): <a href="https://shop.example/offers/{0}?from=news">have a look at it</a>, while it is there.'
        "</td></tr></table>\n"
    )
    pieces, length, number = [head], len(head), 0
    while length < size:
        pieces.append(piece.format(number))
        length, number = length + len(pieces[-1]), number + 1
    return "".join(pieces) + "</body></html>"


def delivering(database: str, engine: int | None, size: int, contacts: int = MOST) -> Delivered:
    """A campaign to `contacts`, from its order until the relay has the last mail."""
    with sink() as other:
        rig = Rig(database, contacts, other.recv())

        def used() -> float:
            return rig.server.cpu() + (cpu_seconds(engine) if engine else 0.0)

        began, before = time.perf_counter(), used()
        rig.order(newsletter(size))
        other.send(contacts // 4)
        other.recv()
        early = rig.server.memory()
        other.send(contacts)
        octets = other.recv()
        took, spent = time.perf_counter() - began, used() - before
        peak = rig.server.peak()
        rig.close()
    return Delivered(contacts / took, contacts / spent, early, peak, octets // contacts)


def single(database: str, seconds: int) -> tuple[float, float]:
    """p99 of single SMS sends in milliseconds: alone, and while the mails of a campaign are made and handed over."""
    with sink() as other:
        rig = Rig(database, MOST, other.recv())
        wrk(rig.server.port, "/v3/sms/send", CLIENTS, 1, 1)  # to be warm
        alone = wrk(rig.server.port, "/v3/sms/send", CLIENTS, seconds, 1)["p99"]
        rig.order(newsletter(SIZES[0]))
        other.send(MOST // 20)
        other.recv()
        meanwhile = wrk(rig.server.port, "/v3/sms/send", CLIENTS, seconds, 1)["p99"]
        rig.close()
    return alone, meanwhile


@contextmanager
def sink() -> Iterator[Connection]:
    """A relay in a process of its own. It tells its port; a number that it is told is answered, once it has taken so
    many mails, with their octets.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


class _Session(asyncio.Protocol):
    """One connection: it takes whatever comes."""

    taken = octets = 0
    changed: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by class
        self._data = bytearray()
        self._within = False
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            end = b"\r\n.\r\n" if self._within else b"\r\n"
            at = self._data.find(end)
            if at < 0:
                return
            line = bytes(self._data[:4]).upper()
            del self._data[: at + len(end)]
            if self._within:
                _Session.taken += 1
                _Session.octets += at
                _Session.changed.set()
            self._within = not self._within and line == b"DATA"
            self._transport.write(b"354 go on\r\n" if self._within else b"250 OK\r\n")


def _run(other: Connection) -> None:
    """The process of the relay, until it is terminated."""

    async def run() -> None:
        _Session.changed = asyncio.Event()
        server = await asyncio.get_running_loop().create_server(_Session, "127.0.0.1", 0)
        other.send(server.sockets[0].getsockname()[1])
        while True:
            wanted = await asyncio.to_thread(other.recv)
            while _Session.taken < wanted:
                _Session.changed.clear()
                await _Session.changed.wait()
            other.send(_Session.octets)

    uvloop.run(run())


def report(kind: str, seconds: int, databases: Databases) -> None:
    """Print it."""
    for size in SIZES:
        with databases(kind) as (url, engine):
            seen = delivering(url, engine, size)
        print(
            f"{kind}, {MOST:,} mails of a campaign with {size / 1000:.0f} kB of HTML ({seen.size / 1000:.1f} kB with"
            f" all), signed: {seen.rate:,.0f}/s end to end ({seen.by_cpu:,.0f} per CPU-second); {seen.early:.0f} MB"
            f" after a quarter of them, at most {seen.peak:.0f} MB"
        )
    with databases(kind) as (url, _):
        alone, meanwhile = single(url, seconds)
    print(f"{kind}, single SMS sends: p99 {alone:.0f} ms alone, {meanwhile:.0f} ms beside ({meanwhile / alone:.2f})")
