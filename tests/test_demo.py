"""What the demo shows of its message, whatever happens between two looks."""

from collections.abc import Callable
from typing import Any

import pytest

from heliograph.db.engine import Tx
from heliograph.demo import watch
from heliograph.messaging import message
from support import steps
from support.quiet import draft, order


class Busy:
    """A database where something happens after each look."""

    def __init__(self, house: steps.Steps, *happens: Callable[[Tx], Any]) -> None:
        self._database, self._happens = house.database, list(happens)

    async def read(self, work: Callable[[Tx], Any]) -> Any:
        found = await self._database.read(work)
        if self._happens:
            await self._database.write(self._happens.pop(0))
        return found


@pytest.mark.parametrize("later", [(message.COMPLETED,), (message.SENT, message.COMPLETED)])
def test_the_last_step_of_a_message_is_shown_however_soon_it_comes(migrated_url: str, later: tuple[str, ...]) -> None:
    with steps.taken(migrated_url) as house:
        who = house.account()
        ((sent,),) = house.accept(order(who, draft()))

        def becomes(status: str) -> Callable[[Tx], None]:
            def moved(tx: Tx) -> None:
                assert message.move(tx, [(who.user_id, sent.message_id)], status, None, None)
                message.record(tx, [(who.user_id, sent.message_id, status, "so it was")])

            return moved

        async def shown() -> list[str]:
            busy: Any = Busy(house, *map(becomes, later))
            return [status async for _, status, _ in watch(busy, sent.message_id, who.user_id)]

        assert house.run(shown()) == [message.QUEUED, *later]
