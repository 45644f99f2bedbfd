"""What the database costs a message on its way out: taken from the queue, its hand-over recorded, its receipt joined.

One thread, no network; CPU of this process alone, commits included.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from heliograph import carriers
from heliograph.app import House, database_url
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import deliver, receipts
from heliograph.settings import load
from heliograph.transports.base import Receipt, Sent
from storage import Filled

BATCHES = (20, 250)
MESSAGES = 20_000
CARRIER = "carrier"
RAW = "id:{} sub:001 dlvrd:001 submit date:2611301200 done date:2611301200 stat:DELIVRD err:000 text:Hello"


class Stages:
    """CPU seconds by stage."""

    def __init__(self, filled: Filled) -> None:
        self._filled = filled
        self.spent: dict[str, float] = {}

    def write(self, stage: str, work: Callable[[Tx], Any]) -> Any:
        """Run one transaction, and count it to its stage."""
        began = time.process_time()
        tx = self._filled.connector.begin_write()
        result = work(tx)
        tx.driver("COMMIT")
        self.spent[stage] = self.spent.get(stage, 0.0) + time.process_time() - began
        return result


async def stages(database: str, batch: int) -> dict[str, float]:
    """Microseconds of CPU a message by stage, in batches of `batch`."""
    filled = Filled(database, MESSAGES, queued=True, start=int(time.time()) - MESSAGES)
    options = load(data=filled.data, database=database)
    house = House(options, carriers.read(options), Database(database_url(options)))
    delivery = house._delivery(house.channels["sms"])
    counted = Stages(filled)

    def carry(first: int) -> int:
        parcels: list[deliver.Parcel] = counted.write("take", lambda tx: delivery.collect(tx, batch))
        ids = [f"{first + place:016x}" for place in range(len(parcels))]
        taken = [deliver.Attempt(parcel, CARRIER, Sent((key,))) for parcel, key in zip(parcels, ids, strict=True)]
        counted.write("settle", lambda tx: delivery.settle(tx, taken))
        arrived = [Receipt(CARRIER, key, "delivered", 0, raw=RAW.format(key)) for key in ids]
        counted.write("receipts", lambda tx: receipts.store(tx, arrived, house.hooks))
        return first + len(parcels)

    done = 0
    while done < MESSAGES:
        done = carry(done)
    await house.stop()
    filled.close()
    return {stage: spent / MESSAGES * 1e6 for stage, spent in counted.spent.items()}


def report(kind: str, database: str) -> None:
    """Print it."""
    for batch in BATCHES:
        found = asyncio.run(stages(database, batch))
        parts = ", ".join(f"{stage} {spent:.1f}" for stage, spent in found.items())
        print(
            f"{kind}, delivery in batches of {batch}: {parts}; together {sum(found.values()):.1f} µs of CPU a message"
        )
