"""Messages for a carrier that is away keep their order, beside another that is there; those that are early come again
when their turn is."""

from types import SimpleNamespace
from typing import Any

from heliograph.messaging import deliver, message
from heliograph.messaging.routing import Router
from heliograph.transports.base import Retry
from heliograph.transports.options import RouteOptions
from support import quiet
from support.bench import Bench, play

EARLY = Retry(20.0, "Mails to a.example go out at 3 a second", early=True)
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


def test_what_comes_too_early_was_no_try_and_comes_again_at_its_turn(migrated_url: str) -> None:
    now = [1_800_000_000.0]
    there: Any = SimpleNamespace(capacity=10, connected=True, ready=True, name="there")

    async def scenario(bench: Bench) -> None:
        router = Router([RouteOptions(transport="there")], {"there": there})
        bench.delivery = quiet.delivery(bench.database, router=router)
        await bench.accepted("first")
        for pause in (20.0, 20.0, 20.0):
            (parcel,) = await bench.database.write(lambda tx: bench.delivery.collect(tx, 10))
            assert parcel.claimed.attempt == 1
            await bench.delivery._settle([deliver.Attempt(parcel, "there", EARLY)])
            assert await bench.delivery.next_due() == now[0] + pause
            now[0] += pause
        told = await bench.database.read(lambda tx: message.timeline(tx, *parcel.row.key))
        assert [detail for _, _, detail in told].count(f"Waits for there: {EARLY.why}.") == 1

    play(migrated_url, scenario, lambda: now[0])
