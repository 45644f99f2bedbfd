"""`heliograph demo`: the first SMS, sent through the public API and watched on its way; and the card of a sandbox."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from heliograph import carriers, logs
from heliograph.accounts import account
from heliograph.app import House
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import message
from heliograph.process import Problem, Server, make_server, told
from heliograph.seed import DEMO_KEY, DEMO_MAIL, DEMO_PASSWORD, DEMO_USER
from heliograph.settings import Settings
from heliograph.terminal import say
from heliograph.transports.options import SandboxOptions
from heliograph.webhooks import outgoing

RULE = "Demo push"
RECIPIENT = "+61491570006"
PATIENCE = 20.0
"""Seconds that each part of the tour may take."""


async def run(options: Settings, *, stay: bool) -> None:
    """Start the server, send, show every step; `stay`: keep serving. Raises Problem, and what serving raises."""
    _check(options)
    server, serving, house = await _start(options)
    if house is None:
        await serving
        return
    tour = asyncio.ensure_future(_tour(server.url, _doors(server, options), house, stay=stay))
    await asyncio.wait({serving, tour}, return_when=asyncio.FIRST_COMPLETED)
    if not tour.done():  # Ctrl-C came first
        tour.cancel()
        await asyncio.gather(tour, return_exceptions=True)
    elif stay and tour.exception() is None:
        logs.configure(options.log_level, options.log_format)
    else:
        server.should_exit = True
    await serving
    if not tour.cancelled():
        tour.result()


async def serve(options: Settings) -> None:
    """Serve until a signal ends it, and show on the terminal how a sandbox is used. Raises as `process.serve` does."""
    server, serving, house = await _start(options)
    if house is not None:
        _card(server.url, _doors(server, options), house)
        say("\nServing until Ctrl-C.")
    await serving


async def _start(options: Settings) -> tuple[Server, asyncio.Future[None], House | None]:
    """(server, what serves until its end, the house as soon as it stands; None when it has ended before)."""
    started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    server = make_server(options, started)
    serving = asyncio.ensure_future(server.serve())
    waiting: set[asyncio.Future[Any]] = {serving, started}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    return server, serving, None if serving.done() else started.result()


def _check(options: Settings) -> None:
    """The demo must not send by somebody's carrier. Raises Problem."""
    if options.mode != "sandbox":
        raise Problem("The demo needs sandbox mode, but HELIOGRAPH_MODE is production.")
    found = carriers.read(options)
    used = {found.transports[route.transport] for route in found.routes if route.medium == "sms"}
    if not all(isinstance(transport, SandboxOptions) for transport in used):
        path = carriers.path(options)
        raise Problem(f"{path} sends SMS by a carrier; the demo will not. Use `serve`, or another folder: --data DIR.")


async def _tour(base: str, doors: str, house: House, *, stay: bool) -> None:
    if not house.demo:
        raise Problem(f"{_no_demo(house)} Use `serve`, or another folder: --data DIR.")
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth(DEMO_USER, DEMO_KEY)) as client, _listener() as hook:
        address, heard = hook
        rules = base + "/v3/automations/sms/receipts"
        for left in (await _call(client, "GET", rules + "?limit=100"))["data"]["data"]:
            if left["rule_name"] == RULE:  # of a demo that was interrupted
                await _call(client, "DELETE", f"{rules}/{left['receipt_rule_id']}")
        rule = {"rule_name": RULE, "match_type": 0, "action": "URL", "action_address": address, "enabled": 1}
        made = await _call(client, "POST", rules, rule)
        try:
            async with asyncio.timeout(PATIENCE):
                await _send_and_watch(client, base, house, heard)
                await _settled(house, address)
        except TimeoutError:
            raise Problem(
                f"The message or its receipt did not arrive in time; `{told('doctor', house.options)}` may know why."
            ) from None
        finally:
            await _call(client, "DELETE", f"{rules}/{made['data']['receipt_rule_id']}")
    _card(base, doors, house)
    say(
        "\nServing until Ctrl-C."
        if stay
        else f"\nThis server ends now; `{told('serve', house.options)}` starts it again."
    )


async def _send_and_watch(client: aiohttp.ClientSession, base: str, house: House, heard: "asyncio.Future[str]") -> None:
    """Message, timeline, webhook, receipt."""
    body = f"Hello from Heliograph, {time.strftime('%H:%M:%S')}."
    sent = await _call(client, "POST", base + "/v3/sms/send", {"messages": [{"to": RECIPIENT, "body": body}]})
    first = sent["data"]["messages"][0]
    if first["status"] != "SUCCESS":
        raise Problem(f"The demo's message was refused: {first['status']}.")
    price = f"{sent['data']['_currency']['currency_name_short']} {first['message_price']}"
    say(f"\nPOST /v3/sms/send to {RECIPIENT}: {first['status']}, {price}, {first['message_id']}")
    async for at, status, detail in watch(house.database, first["message_id"], first["user_id"]):
        say(f"  {time.strftime('%H:%M:%S', time.localtime(at))}  {status:10} {detail}")
    pushed = (await heard).split("&")
    say(f"\nPushed to a webhook: {pushed[2]} and {len(pushed) - 1} more fields")
    listed = await _call(client, "GET", base + "/v3/sms/receipts?limit=100")
    newest = [entry for entry in listed["data"]["data"] if entry["message_id"] == first["message_id"]]
    for entry in newest:
        say(f"GET /v3/sms/receipts: {entry['status_code']} {entry['status_text']}")


async def watch(database: Database, message_id: str, user_id: int) -> AsyncIterator[tuple[float, str, str]]:
    """The steps of a message as they happen, each as (Unix time, status, detail), until it is final."""

    def look(tx: Tx) -> tuple[bool, list[tuple[float, str, str]]]:
        row = message.find(tx, user_id, message_id)  # first, so that what made it final is among the steps
        return row is None or not message.MOVES[row.status], message.timeline(tx, user_id, message_id)

    seen = 0
    while True:
        final, steps = await database.read(look)
        for step in steps[seen:]:
            yield step
        if final:
            return
        seen = len(steps)
        await asyncio.sleep(0.05)


async def _settled(house: House, address: str) -> None:
    """Wait until the push to this address is recorded, so that a demo that ends leaves nothing behind."""

    def waiting(tx: Tx) -> bool:
        demo = account.find(tx, DEMO_USER)
        mine = outgoing.listing(tx, demo["user_id"]) if demo else []
        return any(entry["url"] == address and entry["state"] == outgoing.WAITING for entry in mine)

    while await house.database.read(waiting):  # noqa: ASYNC110 - a database has no event to wait for
        await asyncio.sleep(0.05)


async def _call(client: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    async with client.request(method, url, json=body) as answer:
        found = await answer.json()
        if answer.status != 200:
            raise Problem(f"{method} {url} was answered with {answer.status}: {found['response_msg']}")
        return found


@asynccontextmanager
async def _listener() -> "AsyncIterator[tuple[str, asyncio.Future[str]]]":
    """A customer's server on a free port: its URL, and the body of the first POST."""
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
        body = (await reader.readexactly(length)).decode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        if not heard.done():
            heard.set_result(body)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/receipts", heard
    finally:
        server.close()
        await server.wait_closed()


def _doors(server: Server, options: Settings) -> str:
    """Where an ESME binds and where mails arrive, and how; or that they cannot."""
    smpp, smtp = server.esmes.port, server.mails.port
    bind = f"127.0.0.1:{smpp}, system_id {DEMO_USER}, password {DEMO_PASSWORD}" if smpp else "off"
    to = f"{RECIPIENT.removeprefix('+')}@{server.mails.domain}"
    mail = f"127.0.0.1:{smtp}; {told(f'mail send {DEMO_MAIL} {to}', options)}" if smtp else "off"
    return f"  SMPP      {bind}\n  mail      {mail}\n"


def _no_demo(house: House) -> str:
    return f"The demo account of this database has another key ({told(f'account key {DEMO_USER}', house.options)})."


def _card(base: str, doors: str, house: House) -> None:
    if not house.demo:
        say(f"\n  {_no_demo(house)}\n  API       {base}/v3\n  document  {base}/v3/docs\n{doors}")
        return
    say(
        f"\n  username  {DEMO_USER}\n  API key   {DEMO_KEY}\n  API       {base}/v3\n"
        f"  document  {base}/v3/docs\n{doors}\n"
        f"  curl -u {DEMO_USER}:{DEMO_KEY} -H 'Content-Type: application/json' \\\n"
        f'       -d \'{{"messages":[{{"to":"{RECIPIENT}","body":"Hello"}}]}}\' {base}/v3/sms/send'
    )
