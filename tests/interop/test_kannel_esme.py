"""Kannel as a customer: it binds to the SMPP server, submits, gets its receipts over a reconnect, and replies."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from heliograph.db.engine import Tx
from heliograph.esme import deliveries, login
from heliograph.esme.login import Login
from heliograph.messaging import rows
from interop.test_kannel import CONFIGURATION, Hook, get, listens, program, until
from support import installed
from support.server import Api, Running
from transports.conformance import run
from transports.ports import free_port

pytestmark = pytest.mark.slow
MANY = 1000
SPECIAL = {"61491570156": ("Hello [you] {€} ~", "0"), "61491570157": ("жизнь 😀", "2")}
LONG = {"61491570158": ("0123456789 {€} " * 20, "0"), "61491570159": ("длинный текст " * 20, "2")}


class Kannel:
    """Bearerbox and smsbox, configured for a system_id."""

    def __init__(self, folder: Path, smpp_port: int, hook_port: int, system_id: str, password: str) -> None:
        self.file, self.hook_port = folder / "kannel.conf", hook_port
        self.http, self.admin = free_port(), free_port()
        text = CONFIGURATION.format(
            admin=self.admin, box=free_port(), http=self.http, smsc=smpp_port, hook=hook_port, folder=folder
        )
        text = text.replace("smsc-username = kannel", f"smsc-username = {system_id}")
        text = text.replace("smsc-password = secret", f"smsc-password = {password}")
        self.file.write_text(
            text.replace("enquire-link-interval", "reconnect-delay = 1\nenquire-link-interval").replace(
                "dlr-storage = internal", "dlr-storage = internal\nsms-combine-concatenated-mo = 1"
            )
        )

    async def send(self, number: str, text: str, coding: str, key: str) -> None:
        report = f"http://127.0.0.1:{self.hook_port}/dlr?key={key}&kind=%d"
        query = {"username": "test", "password": "test", "from": "+61481074190", "charset": "utf-8", "dlr-mask": "3"}
        more = {"to": f"+{number}", "text": text, "coding": coding, "dlr-url": report}
        assert " 202 " in await get(self.http, query | more)


def test_kannel_is_a_customer(tmp_path: Path, sqlite_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    api = sqlite_server.account()

    def add(tx: Tx) -> str:
        main = login.subaccount(tx, api.user_id, None)
        made = Login(system_id="kannel", user_id=api.user_id, subaccount_id=main, password_hash="")
        return login.add(tx, sqlite_server.house.vault, made)

    password = sqlite_server.write(add)
    monkeypatch.setattr(deliveries, "is_any_due", lambda tx, system_id: False)
    boxes = installed.program("bearerbox"), installed.program("smsbox")
    run(scenario(tmp_path, *boxes, sqlite_server, api, password, monkeypatch))
    sqlite_server.close_clients()


async def scenario(
    folder: Path, bearerbox: str, smsbox: str, server: Running, api: Api, password: str, hold: pytest.MonkeyPatch
) -> None:
    hook = Hook()
    web = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    kannel = Kannel(folder, server.smpp_port, web.sockets[0].getsockname()[1], "kannel", password)
    try:
        async with program(bearerbox, "-v", "4", str(kannel.file)), contextlib.AsyncExitStack() as smsboxes:
            await listens(kannel.admin)
            await smsboxes.enter_async_context(program(smsbox, "-v", "4", str(kannel.file)))
            await listens(kannel.http)
            for number, (text, coding) in (SPECIAL | LONG).items():
                await kannel.send(number, text, coding, number)
            await asyncio.to_thread(all_ended, api)
            assert not delivered(hook)
            hold.undo()
            server.call(lambda: cut(server))
            await until(lambda: delivered(hook) >= set(SPECIAL | LONG))
            await check_history(api)
            await check_arrival(server, api, hook)
            for first in range(0, MANY, 50):
                sends = [kannel.send("61491570156", f"text {n}", "0", str(n)) for n in range(first, first + 50)]
                await asyncio.gather(*sends)
            await until(lambda: delivered(hook) >= set(map(str, range(MANY))))
    finally:
        web.close()
        await web.wait_closed()


def all_ended(api: Api) -> None:
    """Every message has its receipt, which waits for the ESME."""

    def ended() -> bool:
        rows = api.get("/sms/history?limit=100")["data"]
        return len(rows) == len(SPECIAL | LONG) and {row["status"] for row in rows} == {"Completed"}

    api.until(ended)


async def cut(server: Running) -> None:
    """The connection of the ESME is lost."""
    for connection in tuple(server.esmes.connections):
        connection.abort("the test cuts it")


def delivered(hook: Hook) -> set[str]:
    return {query["key"] for path, query in hook.got if path == "/dlr" and query["kind"] == "1"}


async def check_history(api: Api) -> None:
    found = await asyncio.to_thread(api.get, "/sms/history?limit=100")
    assert {row["to"][1:]: row["body"] for row in found["data"]} == {
        n: text for n, (text, _) in (SPECIAL | LONG).items()
    }


async def check_arrival(server: Running, api: Api, hook: Hook) -> None:
    """A long text of a subscriber arrives whole."""
    text = "Yes please " * 30
    arrived = rows.Inbound(
        user_id=api.user_id,
        subaccount_id=0,
        channel="sms",
        message_id="mo",
        timestamp=0,
        sender="+61491570156",
        recipient="+61481074190",
        body=text,
        original_message_id="",
        original_body="",
        custom_string="",
    )
    await asyncio.to_thread(server.write, lambda tx: deliveries.deliver(tx, api.user_id, "kannel", arrived))
    await until(lambda: any(path == "/mo" for path, _ in hook.got))
    assert [query["text"] for path, query in hook.got if path == "/mo"] == [text.strip()]
