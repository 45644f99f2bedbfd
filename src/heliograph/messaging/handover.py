"""Between the database and the transports: one channel's way out, and what transports report on the way in."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from heliograph.accounts import account
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import deliver, inbound, receipts
from heliograph.messaging.deliver import Compose, Parcel, SaidNo
from heliograph.messaging.inbound import Owner, Rules
from heliograph.messaging.receipts import Report
from heliograph.messaging.routing import Router
from heliograph.queue import claim
from heliograph.transports.base import Inbound, Outcome, Receipt, Retry

NO_ROUTE = Retry(after=60.0, why="no route fits")
UNROUTED = 100
log = structlog.get_logger(__name__)


class Handover:
    """How the loop of a channel claims messages, hands them to transports and records the outcome.

    `router` is asked each time, since a new configuration may replace it. `lease` and `validity` are in seconds.
    """

    def __init__(
        self,
        database: Database,
        router: Callable[[], Router],
        channel: str,
        compose: Compose,
        report: Report,
        said_no: SaidNo,
        *,
        lease: float,
        validity: float,
    ) -> None:
        self._database = database
        self._router = router
        self._channel = channel
        self._compose = compose
        self._report = report
        self._said_no = said_no
        self._lease = lease
        self._validity = validity
        self._names: dict[int, str] = {}

    def room(self) -> int:
        """Messages that may be on their way at once; some even without a route, so that their timelines say so."""
        return self._router().capacity(self._channel) or UNROUTED

    async def take(self, limit: int) -> Sequence[Parcel]:
        """Claim up to `limit` messages."""

        def work(tx: Tx) -> Sequence[Parcel]:
            options = (self._lease, self._validity, self._compose, self._report, self._said_no)
            return deliver.take(tx, self._channel, limit, *options)

        return await self._database.write(work, urgent=False)

    async def carry(self, parcels: Sequence[Parcel]) -> None:
        """Choose a transport for each, hand over, record."""
        router = self._router()
        groups: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            groups.setdefault(await self._choose(router, parcel), []).append(parcel)
        outcomes = await asyncio.gather(*(_send(router, name, group) for name, group in groups.items()))
        flat = [outcome for group in outcomes for outcome in group]
        await self._database.write(lambda tx: deliver.settle(tx, flat, self._report), urgent=False)

    async def next_due(self) -> float | None:
        """When the next message is due."""
        return await self._database.read(lambda tx: claim.next_due(tx, self._channel))

    async def _choose(self, router: Router, parcel: Parcel) -> str:
        row = parcel.row
        transport = router.choose(
            self._channel,
            country=row["country"],
            recipient=row["recipient"],
            sender=row["sender"],
            account=await self._username(row["user_id"]) if router.by_account else "",
            attempt=parcel.claimed.attempt,
        )
        return transport.name if transport else ""

    async def _username(self, user_id: int) -> str:
        if user_id not in self._names:
            found = await self._database.read(lambda tx: account.by_user(tx, user_id))
            self._names[user_id] = found.username if found else ""
        return self._names[user_id]


async def _send(router: Router, name: str, group: Sequence[Parcel]) -> list[deliver.Outcome]:
    said: Sequence[Outcome]
    if name:
        said = await router.transports[name].send([parcel.outgoing for parcel in group])
    else:
        said = [NO_ROUTE] * len(group)
    return [deliver.Outcome(parcel, name, outcome) for parcel, outcome in zip(group, said, strict=True)]


class Arrivals:
    """Stores what transports report, and has the account's rules run in the same transaction."""

    def __init__(self, database: Database, report: Report, rules: Rules, owner: Owner) -> None:
        self._database = database
        self._report = report
        self._rules = rules
        self._owner = owner

    async def on_receipts(self, arrived: Sequence[Receipt]) -> None:
        """Store receipts; they are durable when this returns."""
        await self._database.write(lambda tx: receipts.store(tx, arrived, self._report), urgent=False)

    async def on_inbound(self, message: Inbound) -> None:
        """Store an MO; one that answers nobody is logged without its text."""
        stored = await self._database.write(
            lambda tx: inbound.store(tx, message, self._rules, self._owner), urgent=False
        )
        if stored is None:
            log.warning("inbound.nobody", transport=message.transport, recipient=message.recipient)
