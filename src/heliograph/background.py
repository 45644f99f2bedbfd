"""What a worker does beside handing messages over: the runner of each kind of job, and the regular duties."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import IO

import msgspec

from heliograph.accounts.recovery import reminders
from heliograph.accounts.vault import Vault
from heliograph.billing import low_credit, payments
from heliograph.billing.cashier import Cashier
from heliograph.campaigns import campaign
from heliograph.campaigns.expansion import Expansion
from heliograph.channels.table import judges_of
from heliograph.clock import DAY, HOUR
from heliograph.contacts import imports, lists
from heliograph.contacts.importer import Importer
from heliograph.db.database import Database
from heliograph.esme import deliveries, submits
from heliograph.files import store as files
from heliograph.files.convert import Converter
from heliograph.files.store import FileStore
from heliograph.http import idempotency
from heliograph.mail import domains
from heliograph.mail.signing import sign
from heliograph.mailserver import sms as mail_to_sms
from heliograph.messaging import export, parts, receipts
from heliograph.messaging.arrived_media import attached
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.housemail import HouseMail
from heliograph.messaging.routing import Router
from heliograph.numbers import number
from heliograph.queue import jobs, mail
from heliograph.queue.jobs import Job
from heliograph.queue.upkeep import Duty
from heliograph.queue.worker import Runner
from heliograph.settings import Settings
from heliograph.transports.base import Mail
from heliograph.webhooks import outgoing
from heliograph.webhooks.deliver import Pusher
from heliograph.webhooks.fetch import WebClient


class Background(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the process that jobs and duties work with. `router` is asked each time: it may be replaced."""

    options: Settings
    database: Database
    vault: Vault
    files: FileStore
    converter: Converter
    cashier: Cashier
    web: WebClient
    hooks: Hooks
    router: Callable[[], Router]

    def runners(self) -> Mapping[str, Runner]:
        """Kind of job -> what runs it."""
        return {
            outgoing.JOB: Pusher(self.database, self.web, self.options).run,
            mail.JOB: HouseMail(self.router, partial(attached, self.database, self.files), self._signed).run,
            reminders.JOB: self._remind,
            imports.JOB: Importer(self.database, self.files, self.converter, self._download).run,
            payments.SETTLE_JOB: self.cashier.run,
            export.JOB: lambda job: export.run(self.database, self.files, self.hooks.channels, job),
            campaign.JOB: self._expansion().run,
            files.FORGET_JOB: lambda job: asyncio.to_thread(files.forget, self.files, job),
        }

    def _expansion(self) -> Expansion:
        options, channels = self.options, self.hooks.channels
        lease, judges = float(options.lease_seconds), judges_of(options)
        return Expansion(self.database, channels, lease, judges, options.mail_from)

    def duties(self) -> Mapping[str, Duty]:
        """What is done every half minute, by name and in order."""
        options, validity = self.options, self.options.validity_hours * HOUR
        return {
            "expire messages": lambda tx: receipts.expire(tx, tx.now - validity, self.hooks) > 0,
            "join parked receipts": lambda tx: receipts.join_parked(tx, self.hooks),
            "forget parked receipts": lambda tx: receipts.forget_parked(tx, float(validity)),
            "forget parts": lambda tx: parts.forget(tx, float(validity)),
            "give up parts of submits": submits.give_up,
            "forget submits": lambda tx: submits.forget(tx, validity),
            "forget deliver_sm": deliveries.forget,
            "forget mails": mail_to_sms.forget,
            "forget webhooks": lambda tx: outgoing.prune(tx, options.webhook_days * float(DAY)),
            "forget idempotency keys": idempotency.prune,
            "expire files": files.expire,
            "sweep deleted lists": lists.sweep,
            "forget imports": imports.forget,
            "recharge accounts": lambda tx: payments.recharge_all(tx, self.cashier.gateway.name),
            "renew numbers": lambda tx: number.renew_due(tx, options.number_grace_days),
            "tell of low credit": lambda tx: low_credit.tell(tx, options.mail_from),
        }

    async def _download(self, url: str, into: IO[bytes]) -> tuple[str | None, bool]:
        """Fetch a file that contacts are imported from, in half of its job's lease: it has to be converted as well."""
        return await self.web.download(url, into, self.options.import_limit, jobs.LEASE / 2)

    async def _signed(self, written: Mail, sender: str) -> Mail:
        """A mail with a signature of its sender's domain, if the house has a key for it."""
        domain = sender.rpartition("@")[2]
        key = await self.database.read(lambda tx: domains.key_of(tx, self.vault, domain))
        if key is None:
            return written
        return msgspec.structs.replace(written, octets=await asyncio.to_thread(sign, written.octets, key))

    async def _remind(self, job: Job) -> None:
        reminded = await self.database.read(lambda tx: reminders.find(tx, job.payload))
        if reminded:
            await self.database.write(lambda tx: reminders.write(tx, self.vault, self.options, reminded))
