"""Submits over SMPP against sends over HTTP, one message each, both durable before they are answered, in turns.

An ESME with eight binds has as many submits unanswered (64) as wrk has connections. Run it by itself, or as a part of
run.py; as a process with arguments it is the ESME.
"""

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import Address, Bind
from heliograph.transports.smpp.session import Exchange, Request, Session
from machine import Child, free_port, heliograph, make_account, serve, wrk

BINDS, WINDOW = 8, 8
ROUNDS = 3
SOURCE = pdu.encode_address(Address(1, 1, "61481074190"))


class _Submit(Exchange):
    __slots__ = ("esme", "session")

    def __init__(self, esme: "Esme", session: Session, body: bytes) -> None:
        super().__init__(body)
        self.esme, self.session = esme, session

    def answered(self, status: int, body: bytes) -> None:
        if status:
            raise SystemExit(f"a submit was refused: {pdu.status_name(status)}")
        self.esme.taken += 1

    def lost(self, why: str) -> None:
        self.esme.lost += 1


class Esme:
    """Submits as fast as its windows allow, until it is told to stop."""

    def __init__(self) -> None:
        self.taken = self.lost = 0
        self.going = True
        self._numbers = itertools.count(1)

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        session.answer(requests, pdu.ESME_ROK, b"\0")

    def on_room(self, session: Session) -> None:
        if self.going and session.bound:
            session.submit(pdu.SUBMIT_SM, [_Submit(self, session, self._body()) for _ in range(session.room)])

    def on_closed(self, session: Session) -> None:
        pass

    def _body(self) -> bytes:
        number = next(self._numbers)
        dest = pdu.encode_address(Address(1, 1, f"61411{number * 7919 % 1_000_000:06d}"))
        text = b"Benchmark message %d" % number
        return pdu.encode_short_message(SOURCE, dest, text, registered_delivery=1)

    async def run(self, port: int, password: str, seconds: float) -> float:
        """Submits a second."""
        loop = asyncio.get_running_loop()
        sessions = []
        for _ in range(BINDS):
            _, session = await loop.create_connection(self._session, "127.0.0.1", port)
            status, _ = await session.call(pdu.BIND_TRANSMITTER, pdu.encode_bind(Bind("bench", password)))
            assert status == pdu.ESME_ROK
            session.bound = True
            sessions.append(session)
        began = loop.time()
        for session in sessions:
            self.on_room(session)
        await asyncio.sleep(seconds)
        rate = self.taken / (loop.time() - began)
        self.going = False
        await asyncio.gather(*(session.unbind(2) for session in sessions))
        return rate

    def _session(self) -> Session:
        return Session(self, frozenset({pdu.DELIVER_SM}), window=WINDOW, enquire_link=30, response_timeout=30)


def submitted(port: int, password: str, seconds: int) -> float:
    """Submits a second of an ESME in a process of its own."""
    command = [sys.executable, __file__, str(port), password, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def compare(kind: str, seconds: int, database: str = "") -> None:
    """Print the rates of both ways in, and the memory that the server had after each round."""
    data, port = Path(tempfile.mkdtemp(prefix="heliograph-bench-")), free_port()
    make_account(data, database, "bench", "key")
    words = ["smpp", "add", "bench", "bench", "--binds", str(BINDS), "--window", str(WINDOW), "--json"]
    password = json.loads(heliograph(data, database, *words))["password"]
    server: Child = serve(data, database, smpp_port=str(port))
    wrk(server.port, "/v3/sms/send", 64, 1, 1)
    submitted(port, password, 1)
    over_http, over_smpp, memory, spent = [], [], [], []
    for _ in range(ROUNDS):
        result = wrk(server.port, "/v3/sms/send", 64, seconds, 1)
        over_http.append(result["requests"] / result["duration"])
        before = server.cpu()
        over_smpp.append(submitted(port, password, seconds))
        spent.append(over_smpp[-1] * seconds / (server.cpu() - before))
        memory.append(server.memory())
    server.stop()
    shutil.rmtree(data)
    http, smpp = sorted(over_http)[ROUNDS // 2], sorted(over_smpp)[ROUNDS // 2]
    sizes = ", ".join(f"{size:.0f}" for size in memory)
    print(
        f"{kind}, SMPP in: {smpp:,.0f} submits/s, {smpp / http:.2f} of HTTP ({http:,.0f}/s);"
        f" {sorted(spent)[ROUNDS // 2]:,.0f} per CPU-second of the server; {sizes} MB"
    )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(uvloop.run(Esme().run(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))))
    else:
        compare("sqlite", 4)
