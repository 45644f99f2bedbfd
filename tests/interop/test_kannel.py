"""Kannel as an ESME of the simulated SMSC: a client that nobody here wrote says whether the server speaks SMPP."""

import asyncio
import contextlib
import urllib.parse
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from heliograph.transports.sandbox.smsc import SimulatedSmsc
from support import installed
from transports.conformance import run
from transports.ports import free_port

PATIENCE = 100.0
CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = test
admin-interface = 127.0.0.1
smsbox-port = {box}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 0
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = sandbox
host = 127.0.0.1
port = {smsc}
transceiver-mode = 1
smsc-username = kannel
smsc-password = secret
system-type = ""
enquire-link-interval = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {http}
sendsms-interface = 127.0.0.1
log-file = "{folder}/smsbox.log"
log-level = 0

group = sendsms-user
username = test
password = test
concatenation = true
max-messages = 10

group = sms-service
keyword = default
max-messages = 0
get-url = "http://127.0.0.1:{hook}/mo?from=%p&text=%a"
"""
TEXTS = {
    "61400000001": "Hello [you]",
    "61400000002": "0123456789 {€} " * 20,
    "61400000003": "жизнь",
    "61400999001": "never",
    "61400999006": "offers",
}

pytestmark = pytest.mark.slow


class Hook:
    """An HTTP server that keeps the path and the query of its requests."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str]]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        address = urllib.parse.urlsplit(head.split()[1].decode())
        self.got.append((address.path, dict(urllib.parse.parse_qsl(address.query))))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - other processes announce nothing
            await asyncio.sleep(0.05)


async def listens(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def program(*command: str) -> AsyncIterator[None]:
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=nowhere, stderr=nowhere)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def get(port: int, query: dict[str, str]) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/cgi-bin/sendsms?{urllib.parse.urlencode(query)}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readline()
    writer.close()
    return answer.decode()


def test_kannel_sends_gets_receipts_and_a_reply(tmp_path: Path) -> None:
    run(scenario(tmp_path, installed.program("bearerbox"), installed.program("smsbox")))


async def scenario(folder: Path, bearerbox: str, smsbox: str) -> None:
    arrived: dict[str, str] = {}
    smsc = SimulatedSmsc(
        authenticate=lambda bind: (bind.system_id, bind.password) == ("kannel", "secret"),
        on_message=lambda _, recipient, text: arrived.update({recipient: text}),
    )
    hook = Hook()
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    hook_port = server.sockets[0].getsockname()[1]
    admin, box, http = free_port(), free_port(), free_port()
    file = folder / "kannel.conf"
    port = await smsc.start()
    file.write_text(CONFIGURATION.format(admin=admin, box=box, http=http, smsc=port, hook=hook_port, folder=folder))
    try:
        async with program(bearerbox, "-v", "4", str(file)):
            await until(lambda: smsc.counts["binds"] == 1)
            async with program(smsbox, "-v", "4", str(file)):
                await listens(http)
                await send_all(http, hook_port)
                await until(lambda: len(arrived) == len(TEXTS))
                assert arrived == {f"+{number}": text for number, text in TEXTS.items()}
                await check_reports(smsc, hook)
    finally:
        server.close()
        await server.wait_closed()
        await smsc.stop()


async def send_all(http: int, hook_port: int) -> None:
    login = {"username": "test", "password": "test", "from": "+61481074190", "charset": "utf-8", "dlr-mask": "3"}
    for number, text in TEXTS.items():
        report = f"http://127.0.0.1:{hook_port}/dlr?to={number}&kind=%d"
        coding = "0" if number != "61400000003" else "2"
        query = login | {"to": f"+{number}", "text": text, "coding": coding, "dlr-url": report}
        assert " 202 " in await get(http, query)


async def check_reports(smsc: SimulatedSmsc, hook: Hook) -> None:
    def kinds() -> dict[str, str]:
        return {query["to"]: query["kind"] for path, query in hook.got if path == "/dlr"}

    await until(lambda: len(kinds()) == len(TEXTS))
    assert kinds() == dict.fromkeys(TEXTS, "1") | {"61400999001": "2"}
    await until(lambda: any(path == "/mo" for path, _ in hook.got))
    assert [query["text"] for path, query in hook.got if path == "/mo"] == ["STOP"]
    assert smsc.counts["undelivered"] == 0
