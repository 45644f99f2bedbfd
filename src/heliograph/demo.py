"""`heliograph demo`: the first SMS, sent through the public API and watched on its way."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
from rich.console import Console

from heliograph.app import DEMO_KEY, DEMO_USER, House, watch
from heliograph.db.engine import Tx
from heliograph.settings import Settings
from heliograph.webhooks import outgoing

RECIPIENT = "+61491570006"


class Server(Protocol):
    """What the demo needs of the server: to run it, and to ask it to stop."""

    should_exit: bool

    async def serve(self) -> None: ...


MakeServer = Callable[[Settings, "asyncio.Future[House]"], Server]


async def run(options: Settings, make_server: MakeServer, out: Console, *, stay: bool) -> None:
    """Start the server, send, show every step; `stay`: keep serving."""
    started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    server = make_server(options, started)
    serving = asyncio.ensure_future(server.serve())
    waiting: set[asyncio.Future[Any]] = {serving, started}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await serving
        sys.exit(1)
    base = f"http://{options.host}:{options.port}"
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth(DEMO_USER, DEMO_KEY)) as client:
        await _listening(client, base)
        await _tour(client, base, started.result(), out)
    _card(base, out)
    if stay:
        out.print("\nServing until Ctrl-C.", highlight=False)
    else:
        server.should_exit = True
    await serving


async def _listening(client: aiohttp.ClientSession, base: str) -> None:
    for _ in range(200):
        try:
            async with client.get(base + "/healthz"):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)
    raise SystemExit("The server does not answer.")


async def _tour(client: aiohttp.ClientSession, base: str, house: House, out: Console) -> None:
    """Rule, message, timeline, receipt, webhook."""
    hook = await _Listener.start()
    rule = {"rule_name": "Demo push", "match_type": 0, "action": "URL", "action_address": hook.url, "enabled": 1}
    made = await _call(client, "POST", base + "/v3/automations/sms/receipts", rule)
    body = f"Hello from Heliograph, {time.strftime('%H:%M:%S')}."
    sent = await _call(client, "POST", base + "/v3/sms/send", {"messages": [{"to": RECIPIENT, "body": body}]})
    first = sent["data"]["messages"][0]
    price = f"{sent['data']['_currency']['currency_name_short']} {first['message_price']}"
    out.print(
        f"\nPOST /v3/sms/send to {RECIPIENT}: {first['status']}, {price}, {first['message_id']}",
        highlight=False,
        soft_wrap=True,
    )
    async for at, status, detail in watch(house, first["message_id"], first["user_id"]):
        out.print(
            f"  {time.strftime('%H:%M:%S', time.localtime(at))}  {status:10} {detail}", highlight=False, soft_wrap=True
        )
    pushed = await asyncio.wait_for(hook.heard, 10)
    out.print(
        f"\nPushed to a webhook: {pushed.split('&')[2]} and {pushed.count('&') - 1} more fields",
        highlight=False,
        soft_wrap=True,
    )
    listed = await _call(client, "GET", base + "/v3/sms/receipts?limit=100")
    newest = next(entry for entry in listed["data"]["data"] if entry["message_id"] == first["message_id"])
    text = newest["status_text"]
    out.print(f"GET /v3/sms/receipts: {newest['status_code']} {text}", highlight=False)
    await _call(client, "DELETE", f"{base}/v3/automations/sms/receipts/{made['data']['receipt_rule_id']}")
    await _settled(house, first["user_id"])
    await hook.stop()


async def _settled(house: House, user_id: int) -> None:
    """Wait until no push is under way, so that a demo that ends leaves nothing behind."""

    def waiting(tx: Tx) -> bool:
        return any(entry["state"] == outgoing.WAITING for entry in outgoing.listing(tx, user_id, 5))

    for _ in range(100):
        if not await house.database.read(waiting):
            return
        await asyncio.sleep(0.05)


async def _call(client: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    async with client.request(method, url, json=body) as answer:
        found = await answer.json()
        if answer.status != 200:
            raise SystemExit(f"{method} {url}: {found}")
        return found


class _Listener:
    """A customer's server: hears one POST."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.url = ""
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(cls) -> "_Listener":
        made = cls()
        made._server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
        made.url = f"http://127.0.0.1:{made._server.sockets[0].getsockname()[1]}/receipts"
        return made

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
        body = (await reader.readexactly(length)).decode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        if not self.heard.done():
            self.heard.set_result(body)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()


def _card(base: str, out: Console) -> None:
    out.print(
        f"\n  username  {DEMO_USER}\n  API key   {DEMO_KEY}\n  API       {base}/v3\n"
        f"  document  {base}/v3/docs\n\n"
        f"  curl -u {DEMO_USER}:{DEMO_KEY} -H 'Content-Type: application/json' \\\n"
        f'       -d \'{{"messages":[{{"to":"{RECIPIENT}","body":"Hello"}}]}}\' {base}/v3/sms/send',
        highlight=False,
        soft_wrap=True,
    )
