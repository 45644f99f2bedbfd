"""kill -9 between two parts of a long submit, and while submits stream in: nothing that was acknowledged is lost."""

import asyncio
from pathlib import Path

import pytest

from esme.peer import Esme, id_of, long, submit
from heliograph.transports.smpp import pdu
from support.program import Program, ask, serving
from transports.conformance import run
from transports.wire import Wire

pytestmark = pytest.mark.slow
LONG = "0123456789 " * 40


async def bound(server: Program) -> Esme:
    port = await asyncio.to_thread(lambda: int(server.heard("esme.listening")["port"]))
    await asyncio.to_thread(lambda: server.port)
    esme = Esme(await Wire.connect(port))
    assert await esme.bind("demo", "demo1234") == pdu.ESME_ROK
    return esme


def bodies(server: Program) -> list[str]:
    return [row["body"] for row in ask(server.port, "GET", "/v3/sms/history?limit=100")[2]["data"]["data"]]


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    data, options = tmp_path / "data", {"smpp_port": "0", "log_format": "json", "lease_seconds": "2"}
    ids: set[str] = set()

    async def before(server: Program) -> None:
        esme = await bound(server)
        first, second, _ = long(LONG)
        ids.update([id_of(await esme.ask(pdu.SUBMIT_SM, first)), id_of(await esme.ask(pdu.SUBMIT_SM, second))])
        sent = [esme.send(pdu.SUBMIT_SM, submit(f"text {number}")) for number in range(20)]
        ids.update(id_of(answer) for answer in await esme.answers(sent))
        server.process.kill()
        await esme.wire.close()

    async def after(server: Program) -> None:
        esme = await bound(server)
        ids.add(id_of(await esme.ask(pdu.SUBMIT_SM, long(LONG)[2])))
        told: set[str] = set()
        while told != ids:
            await esme.until(len(esme.delivered) + 1)
            told = {one.tlvs[pdu.TAG_RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode() for one in esme.delivered}
            assert told <= ids
        await esme.wire.close()

    with serving(data, **options) as server:
        run(before(server))
        server.process.wait()
    with serving(data, **options) as server:
        run(after(server))
        assert sorted(bodies(server)) == sorted([LONG, *(f"text {number}" for number in range(20))])
        server.end()
