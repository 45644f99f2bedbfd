"""Messages for a carrier that is away keep their order, beside another carrier that is there."""

from types import SimpleNamespace
from typing import Any

from heliograph.messaging import deliver
from heliograph.messaging.routing import Router
from heliograph.transports.base import Retry
from heliograph.transports.options import RouteOptions
from support import quiet
from support.bench import Bench, play

AWAY = Retry(2.0, "not connected", waiting=True)


def test_what_was_accepted_first_goes_first(migrated_url: str) -> None:
    """Looks come at their own times: the carrier is back between the look at the first and the one at the second."""
    now = [1_800_000_000.0]
    there: Any = SimpleNamespace(capacity=10, connected=True, ready=True, name="there")

    async def scenario(bench: Bench) -> None:
        bench.delivery = quiet.delivery(
            bench.database, router=Router([RouteOptions(transport="there")], {"there": there})
        )

        async def look() -> list[deliver.Parcel]:
            return await bench.database.write(lambda tx: bench.delivery.collect(tx, 10))

        async def waits(parcels: list[deliver.Parcel]) -> None:
            attempts = [deliver.Attempt(parcel, "away", AWAY) for parcel in parcels]
            await bench.database.write(lambda tx: bench.delivery.settle(tx, attempts))

        for body in ("first", "second"):
            await bench.accepted(body)
            await waits(await look())
            now[0] += 0.5
        now[0] += 0.001
        await waits(await look())
        went = []
        for _ in range(4):
            now[0] += 0.5
            went += [parcel.row.body for parcel in await look()]
        assert went == ["first", "second"]

    play(migrated_url, scenario, lambda: now[0])
