"""A carrier that does what a test says: it fulfils the protocol of transports and speaks no other."""

import queue
import time
from collections.abc import Callable, Sequence

from heliograph.messaging.events import StoredEvents
from heliograph.messaging.routing import Router
from heliograph.transports.base import Events, Inbound, Outcome, Outgoing, Receipt, ReceiptState, Sent
from heliograph.transports.options import RouteOptions
from support.server import Api, Running

NAME = "scripted"


def taken(outgoing: Outgoing) -> Outcome:
    """Each message gets an id of its own, so a receipt will follow."""
    return Sent((f"id-{outgoing.key.message_id}",))


class Carrier:
    """`given` has what was handed over, in order; `answer` makes the outcome of each message."""

    name = NAME
    connected = ready = True
    capacity = 100

    def __init__(self, server: Running) -> None:
        self.server = server
        self.given: queue.Queue[Outgoing] = queue.Queue()
        self.answer: Callable[[Outgoing], Outcome] = taken
        self._events: Events

    async def open(self, events: Events) -> None:
        self._events = events

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        for outgoing in batch:
            self.given.put(outgoing)
        return [self.answer(outgoing) for outgoing in batch]

    async def close(self) -> None:
        pass

    def carry(self, *media: str) -> None:
        """Be the only way out of the server for these media."""
        house = self.server.house
        routes = [RouteOptions(transport=NAME, medium=medium) for medium in media]  # type: ignore[arg-type]
        self.server.call(lambda: self.open(StoredEvents(house.database, house.hooks)))
        house.router = Router(routes, {**house.router.transports, NAME: self})

    def next(self, api: Api) -> Outgoing:
        """The next message of an account that was handed over. Those of tests that are over may still come."""
        while True:
            outgoing = self.given.get(timeout=60)
            if outgoing.key.user_id == api.user_id:
                return outgoing

    def was_given(self, api: Api) -> list[Outgoing]:
        """The messages of an account that were handed over and not taken by `next`."""
        return [outgoing for outgoing in list(self.given.queue) if outgoing.key.user_id == api.user_id]

    def reports(self, message_id: str, state: ReceiptState, error: str | None = None) -> None:
        """A receipt arrives, and is stored."""
        receipt = Receipt(NAME, f"id-{message_id}", state, int(time.time()), error, "the carrier's words")
        self.server.call(lambda: self._events.on_receipts([receipt]))

    def brings(self, channel: str, sender: str, recipient: str, body: str) -> None:
        """A message arrives, and is stored."""
        arrived = Inbound(NAME, channel, sender, recipient, body, int(time.time()))
        self.server.call(lambda: self._events.on_inbound(arrived))
