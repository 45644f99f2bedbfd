"""The only wiring: database, transports, routes and loops, by name and in order."""

import asyncio
import threading

import structlog
from sqlalchemy.exc import IntegrityError

from heliograph import phone, seed
from heliograph.accounts.vault import Vault
from heliograph.automations.actions import Actions
from heliograph.background import Background
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways.chosen import gateway
from heliograph.campaigns import campaign
from heliograph.channels import table as channel_table
from heliograph.channels.table import Parts, channels
from heliograph.contacts import audience
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.errors import BadRequest
from heliograph.esme.deliveries import reporting
from heliograph.files.attach import Attachments
from heliograph.files.convert import Converter
from heliograph.files.shrink import Shrinker
from heliograph.files.stores import file_store
from heliograph.http.throttle import Limits
from heliograph.links.clicks import Clicks
from heliograph.mail.readers import Readers
from heliograph.messaging import message
from heliograph.messaging.arrived_media import Keeper
from heliograph.messaging.channel import Channel
from heliograph.messaging.deliver import Delivery
from heliograph.messaging.events import StoredEvents
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.routing import Router
from heliograph.numbers import number
from heliograph.queue.upkeep import Upkeep
from heliograph.queue.worker import ChannelLoop, JobLoop
from heliograph.settings import Settings
from heliograph.transports import table
from heliograph.transports.base import Transport
from heliograph.transports.options import Carriers, TransportOptions
from heliograph.webhooks.fetch import WebClient

QUIET = 5.0
"""Seconds that batches under way get at the end to be handed over in their own time."""
log = structlog.get_logger(__name__)


def database_url(options: Settings) -> str:
    """Where the database is."""
    return options.database or f"sqlite:///{(options.data / 'heliograph.db').absolute()}"


class House:
    """A running process: what `build` put together."""

    def __init__(self, options: Settings, carriers: Carriers, database: Database) -> None:
        self.options = options
        self.demo = False
        """Whether everybody may use the demo account: it is there, with the key that everybody knows."""
        self.database = database
        self.vault = Vault.open(options.secret, options.data)
        self.files = file_store(options)
        self.converter = Converter(options)
        shrink = Shrinker(database, self.files, self.converter).fit
        self.channels = channels(Parts(options, self.files, database, self.vault, shrink))
        self.cashier = Cashier(database, gateway(options))
        self.limits = Limits(options.rate_limit, options.login_limit, options.rate_limit_store)
        self.carriers = carriers
        self.router = Router([], {})
        self.clicks = Clicks(database, options.country_file)
        self.readers = Readers(database, message.record)
        self.web = WebClient(options.private_webhooks, float(options.webhook_timeout))
        self.attachments = Attachments(
            database, self.files, self.converter, self.web.download, options.upload_life, options.max_upload
        )
        self._loops: list[ChannelLoop | JobLoop] = []
        self._upkeep: Upkeep | None = None
        actions = Actions(options, self.vault, self.channels)
        on_receipt = channel_table.heard(reporting(actions.on_receipt))
        gone = channel_table.withheld(audience.opted_out_since)
        self.hooks = Hooks(self.channels, on_receipt, actions.on_inbound, number.owner, gone, campaign.held)
        self.events = StoredEvents(database, self.hooks, Keeper(options, database, self.files, self.web.download))

    @property
    def works(self) -> bool:
        """Whether this process delivers."""
        return self.options.role != "api"

    async def start(self) -> None:
        """Open transports and begin to work. Raises SettingsError, OSError."""
        if self.options.mode == "sandbox":
            self.demo = await self._seed_once()
        else:
            await self.database.read(lambda tx: seed.refuse_demo(tx, self.vault))
        await asyncio.to_thread(self.converter.scratch.folder)
        threading.Thread(target=phone.warm_carriers, name="carrier-names", daemon=True).start()
        if not self.works:
            return
        await self.reload(self.carriers)
        background = Background(
            options=self.options,
            database=self.database,
            vault=self.vault,
            files=self.files,
            converter=self.converter,
            cashier=self.cashier,
            web=self.web,
            hooks=self.hooks,
            router=lambda: self.router,
        )
        deliveries = {name: self._delivery(channel) for name, channel in self.channels.items()}
        work = JobLoop(self.database, background.runners())
        for delivery in deliveries.values():
            await delivery.take_over()
        await work.take_over()
        self._loops = [*(ChannelLoop(self.database, name, delivery) for name, delivery in deliveries.items()), work]
        for loop in self._loops:
            loop.start()
        self._upkeep = Upkeep(self.database, background.duties())
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
        await self.clicks.stop()
        await self.readers.stop()
        await self.web.close()
        await self.converter.close()
        await self.limits.close()
        await self.database.close()

    async def reload(self, carriers: Carriers) -> None:
        """Put a configuration in force; transports whose options did not change keep their binds.

        Raises OSError when a transport cannot be opened: then everything stays as it was.
        """
        if not self.works:
            self.carriers = carriers
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
        opened = await asyncio.gather(
            *(transport.open(self.events) for transport in fresh.values()), return_exceptions=True
        )
        problem = next((result for result in opened if result is not None), None)
        if problem is not None:
            await asyncio.gather(*(transport.close() for transport in fresh.values()))
            raise problem
        if not carriers.routes:
            log.warning("routes.none", why="There is no way out: whatever is accepted waits for a route.")
        self.router = Router(carriers.routes, {**kept, **fresh}, table.limits(carriers))
        self.carriers = carriers
        await asyncio.gather(*(transport.close() for name, transport in old.items() if name not in kept))

    def _delivery(self, channel: Channel) -> Delivery:
        return Delivery(
            self.database,
            lambda: self.router,
            channel,
            self.hooks,
            lease=float(self.options.lease_seconds),
            validity=channel.validity or self.options.validity_hours * 3600.0,
        )

    def _transport(self, name: str, options: TransportOptions) -> Transport:
        return table.kind_of(options).make(name, options, self.options)

    async def _seed_once(self) -> bool:
        try:
            return await self.database.write(lambda tx: seed.plant(tx, self.vault))
        except (BadRequest, IntegrityError):  # another process that starts now was first
            return await self.database.write(lambda tx: seed.plant(tx, self.vault))

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


async def build(options: Settings, found: Carriers) -> House:
    """Open everything that the settings name; the data folder is there already, and an SQLite file is held by this
    process (db/holder.py). Raises SettingsError.
    """
    await asyncio.to_thread(migrate.upgrade, database_url(options))
    return House(options, found, Database(database_url(options), alone=True))
