"""The only wiring: database, transports, routes and loops, by name and in order."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import IO, Any

import structlog
from sqlalchemy.exc import IntegrityError
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as HttpRoute

from heliograph import carriers, phone, routes
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.recovery import reminders
from heliograph.accounts.vault import Vault
from heliograph.automations import rules
from heliograph.automations.actions import Actions
from heliograph.automations.families import SMS_INBOUND, SMS_RECEIPTS
from heliograph.billing import low_credit, payments
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways.base import Gateway
from heliograph.billing.gateways.manual import ManualGateway
from heliograph.channels.table import channels
from heliograph.contacts import audience, imports, lists
from heliograph.contacts.importer import Importer
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest
from heliograph.files import store as files
from heliograph.files.attach import Attachments
from heliograph.files.bucket import BucketStore
from heliograph.files.convert import Converter
from heliograph.files.download import download
from heliograph.files.folder import FolderStore
from heliograph.files.store import FileStore
from heliograph.http import idempotency, openapi
from heliograph.http.server import Server
from heliograph.http.throttle import Limits
from heliograph.messaging import export, message, receipts
from heliograph.messaging.channel import Channel
from heliograph.messaging.deliver import Delivery
from heliograph.messaging.events import StoredEvents
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.housemail import HouseMail
from heliograph.messaging.routing import Router
from heliograph.numbers import number
from heliograph.queue import jobs, mail
from heliograph.queue.jobs import Job
from heliograph.queue.upkeep import Duty, Upkeep
from heliograph.queue.worker import ChannelLoop, JobLoop, Runner
from heliograph.services import Services
from heliograph.settings import Carriers, Settings, SettingsError, TransportOptions
from heliograph.transports import table
from heliograph.transports.base import Transport
from heliograph.webhooks import outgoing
from heliograph.webhooks.deliver import Pusher
from heliograph.webhooks.fetch import WebClient
from heliograph.webhooks.signature import new_secret

PAGES = ("/v3/openapi.json", "/v3/docs")
QUIET = 5.0
"""Seconds that batches under way get at the end to be handed over in their own time."""
DEMO_USER, DEMO_KEY = "demo", "DEMO0000-0000-4000-8000-000000000000"
log = structlog.get_logger(__name__)


def database_url(options: Settings) -> str:
    """Where the database is."""
    return options.database or f"sqlite:///{(options.data / 'heliograph.db').absolute()}"


def file_store(options: Settings) -> FileStore:
    """Where the bytes of files are kept. Raises SettingsError."""
    return BucketStore(options) if options.file_store else FolderStore(options.data / "files")


class House:
    """A running process: what `build` put together."""

    def __init__(self, options: Settings, carriers: Carriers, database: Database) -> None:
        self.options = options
        self.database = database
        self.vault = Vault.open(options.secret, options.data)
        self.files = file_store(options)
        self.converter = Converter(options)
        self.channels = channels(options)
        self.cashier = Cashier(database, gateway(options))
        self.limits = Limits(options.rate_limit, options.login_limit, options.rate_limit_store)
        self.carriers = carriers
        self.router = Router([], {})
        self.web = WebClient(options.private_webhooks, float(options.webhook_timeout))
        self.attachments = Attachments(
            database, self.files, self.converter, self.web.download, options.upload_life, options.max_upload
        )
        self._loops: list[ChannelLoop | JobLoop] = []
        self._upkeep: Upkeep | None = None
        actions = Actions(options, self.channels)
        self.hooks = Hooks(
            self.channels, actions.on_receipt, actions.on_inbound, number.owner, audience.opted_out_since
        )

    @property
    def works(self) -> bool:
        """Whether this process delivers."""
        return self.options.role != "api"

    async def start(self) -> None:
        """Open transports and begin to work. Raises SettingsError, OSError."""
        if self.options.mode == "sandbox":
            await self._seed_once()
        else:
            await self.database.read(self._refuse_demo)
        await asyncio.to_thread(self.converter.scratch.folder)
        threading.Thread(target=phone.warm_carriers, name="carrier-names", daemon=True).start()
        if not self.works:
            return
        await self.reload(self.carriers)
        pusher = Pusher(self.database, self.web, self.options)
        importer = Importer(self.database, self.files, self.converter, self._download)
        self._loops = [
            *(ChannelLoop(self.database, name, self._delivery(channel)) for name, channel in self.channels.items()),
            JobLoop(
                self.database,
                {
                    outgoing.JOB: pusher.run,
                    mail.JOB: HouseMail(lambda: self.router).run,
                    reminders.JOB: self._remind,
                    imports.JOB: importer.run,
                    payments.SETTLE_JOB: self.cashier.run,
                    **self._file_jobs(),
                },
            ),
        ]
        for loop in self._loops:
            loop.start()
        self._upkeep = Upkeep(self.database, self._duties())
        self._upkeep.start()

    async def stop(self) -> None:
        """Claim nothing more, finish what is under way, close everything.

        What is not handed over after QUIET seconds comes back out of the closing transports and is queued again: a
        batch that was cut off instead would be sent twice, with the messages that the carrier has taken.
        """
        if self._upkeep is not None:
            await self._upkeep.stop()
        loops = [asyncio.ensure_future(loop.stop()) for loop in self._loops]
        if loops:
            await asyncio.wait(loops, timeout=QUIET)
        transports = [asyncio.ensure_future(transport.close()) for transport in self.router.transports.values()]
        for result in await asyncio.gather(*loops, *transports, return_exceptions=True):
            if result is not None:
                log.error("house.stop_failed", exc_info=result)
        await self.web.close()
        await self.converter.close()
        await self.limits.close()
        await self.database.close()

    async def reload(self, carriers: Carriers) -> None:
        """Put a configuration in force; transports whose options did not change keep their binds.

        Raises OSError when a transport cannot be opened: then everything stays as it was.
        """
        if not self.works:
            return
        old = self.router.transports
        kept = {
            name: old[name]
            for name, options in carriers.transports.items()
            if name in old and self.carriers.transports.get(name) == options
        }
        fresh = {
            name: self._transport(name, options) for name, options in carriers.transports.items() if name not in kept
        }
        events = StoredEvents(self.database, self.hooks)
        opened = await asyncio.gather(*(transport.open(events) for transport in fresh.values()), return_exceptions=True)
        problem = next((result for result in opened if result is not None), None)
        if problem is not None:
            await asyncio.gather(*(transport.close() for transport in fresh.values()))
            raise problem
        if not carriers.routes:
            log.warning("routes.none", why="There is no way out: whatever is accepted waits for a route.")
        self.router = Router(carriers.routes, {**kept, **fresh})
        self.carriers = carriers
        await asyncio.gather(*(transport.close() for name, transport in old.items() if name not in kept))

    def _delivery(self, channel: Channel) -> Delivery:
        return Delivery(
            self.database,
            lambda: self.router,
            channel,
            self.hooks,
            lease=float(self.options.lease_seconds),
            validity=self.options.validity_hours * 3600.0,
        )

    def _transport(self, name: str, options: TransportOptions) -> Transport:
        return table.kind_of(options).make(name, options, self.options)

    async def _seed_once(self) -> None:
        try:
            await self.database.write(self._seed)
        except (BadRequest, IntegrityError):  # another process that starts now was first
            await self.database.write(self._seed)

    def _refuse_demo(self, tx: Tx) -> None:
        if account.by_key(tx, self.vault, DEMO_USER, DEMO_KEY) is not None:
            raise SettingsError(
                "The database holds the demo account, whose key everybody knows: it was made in sandbox mode. "
                "Production mode needs a database of its own."
            )

    def _seed(self, tx: Tx) -> None:
        """The demo account (with POLL rules, so that receipts and replies can be pulled) and the test users."""
        if account.find(tx, DEMO_USER) is not None:
            if account.by_key(tx, self.vault, DEMO_USER, DEMO_KEY) is None:
                log.warning(
                    "secret.other", why="The database was made with another secret: its API keys are no use here."
                )
            return
        demo = NewAccount(
            username=DEMO_USER,
            email="demo@example.com",
            phone="+61411111111",
            first_name="Demo",
            last_name="Account",
            account_name="Demo",
            api_key=DEMO_KEY,
            webhook_secret=new_secret(),
            credit_micros=1_000_000_000,
        )
        user_id = account.seed_sandbox(tx, self.vault, demo)
        for family in (SMS_INBOUND, SMS_RECEIPTS):
            rules.create(tx, user_id, family.name, {"rule_name": "Poll", "action": "POLL"})

    def _expire(self, tx: Tx) -> bool:
        before = tx.now - self.options.validity_hours * 3600
        return receipts.expire(tx, before, self.hooks) > 0

    def _file_jobs(self) -> dict[str, Runner]:
        return {
            export.JOB: lambda job: export.run(self.database, self.files, job),
            files.FORGET_JOB: lambda job: asyncio.to_thread(files.forget, self.files, job),
        }

    async def _download(self, url: str, into: IO[bytes]) -> tuple[str | None, bool]:
        """Fetch a file that contacts are imported from, in half of its job's lease: it has to be converted as well."""
        return await self.web.download(url, into, self.options.import_limit, jobs.LEASE / 2)

    def _recharge(self, tx: Tx) -> bool:
        return payments.recharge_all(tx, self.cashier.gateway.name)

    def _tell_of_low_credit(self, tx: Tx) -> bool:
        return low_credit.tell(tx, self.options.mail_from)

    def _renew(self, tx: Tx) -> bool:
        return number.renew_due(tx, self.options.number_grace_days)

    def _unpark(self, tx: Tx) -> bool:
        return receipts.forget_parked(tx, self.options.validity_hours * 3600.0)

    def _forget_webhooks(self, tx: Tx) -> bool:
        return outgoing.prune(tx, self.options.webhook_days * 86400.0)

    def _duties(self) -> list[Duty]:
        messages = [self._expire, self._unpark, self._forget_webhooks, idempotency.prune]
        return [
            *messages,
            files.expire,
            lists.sweep,
            imports.forget,
            self._recharge,
            self._renew,
            self._tell_of_low_credit,
        ]

    async def _remind(self, job: Job) -> None:
        found = await self.database.read(lambda tx: reminders.find(tx, job.payload))
        if found:
            await self.database.write(lambda tx: reminders.write(tx, self.vault, self.options, found))

    async def ready(self) -> dict[str, bool]:
        """What this process needs, and whether it has it: a database that can be written, and carriers.

        A carrier that asks to slow down is there all the same.
        """
        state: dict[str, bool] = {}
        try:
            await asyncio.wait_for(self.database.read(lambda tx: tx.driver("SELECT 1").fetchone()), 5)
            state["database"] = await self.database.ready()
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the answer is: not ready
            state["database"] = False
        for name, transport in self.router.transports.items():
            state["transport " + name] = transport.connected
        return state


def gateway(options: Settings) -> Gateway:
    """Who charges cards."""
    if options.payment_gateway == "stripe":
        from heliograph.billing.gateways.stripe import StripeGateway  # half a second that most servers can save

        return StripeGateway(options.stripe_key, options.stripe_webhook_secret, options.stripe_address)
    return ManualGateway(sandbox=options.mode == "sandbox")


async def build(options: Settings) -> House:
    """Open everything that the settings name. Raises SettingsError."""
    found = carriers.read(options) if options.role != "api" else Carriers()
    options.data.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(migrate.upgrade, database_url(options))
    return House(options, found, Database(database_url(options)))


def web(house: House) -> Any:
    """The ASGI application over a started house: Starlette for the pages, the API beside it.

    The API does not go through Starlette's layers: they would take a fifth of a send's time.
    """
    options = house.options
    api_routes = routes.table()
    services = Services(
        options, house.database, house.vault, house.files, house.attachments, house.cashier, house.channels
    )
    server = Server(services, house.limits, api_routes)

    async def healthz(request: HttpRequest) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: HttpRequest) -> Response:
        state = await house.ready()
        return JSONResponse(state, 200 if all(state.values()) else 503)

    async def described(request: HttpRequest) -> Response:
        base = options.public_url.rstrip("/") or str(request.base_url).rstrip("/")
        return JSONResponse(openapi.document(api_routes, base))

    async def browsable(request: HttpRequest) -> Response:
        return HTMLResponse(openapi.page())

    async def stored(request: HttpRequest) -> Response:
        return await download(house.database, house.files, request)

    app = Starlette(
        routes=[
            HttpRoute("/healthz", healthz),
            HttpRoute("/readyz", readyz),
            HttpRoute("/files/{file_id}", stored),
            HttpRoute("/v3/openapi.json", described),
            HttpRoute("/v3/docs", browsable),
        ]
    )

    async def entrance(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        own = scope["type"] == "http" and (path.startswith("/v3/") or path == "/v3") and path not in PAGES
        await (server if own else app)(scope, receive, send)

    return entrance


async def watch(house: House, message_id: str, user_id: int) -> AsyncIterator[tuple[float, str, str]]:
    """The steps of a message as they happen, until it is final."""
    seen = 0
    while True:
        steps = await house.database.read(lambda tx: message.timeline(tx, user_id, message_id))
        for step in steps[seen:]:
            yield step
        seen = len(steps)
        row = await house.database.read(lambda tx: message.find(tx, user_id, message_id))
        if row is None or not message.MOVES[row.status]:
            return
        await asyncio.sleep(0.05)
