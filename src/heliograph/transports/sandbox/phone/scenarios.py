"""What the built-in phone does with a call, by the last digits of the number that is called (docs/sandbox.md)."""

from collections.abc import Mapping

import msgspec


class Scenario(msgspec.Struct, frozen=True):
    """`refusal` is the SIP status that it answers with instead of taking the call; with `once`, only the first time.

    `ring` is how many seconds it rings, None: for ever. It presses `keys`, greets like a mailbox, and hangs up after
    `hangs_up` seconds, None: never.
    """

    name: str
    refusal: int = 0
    once: bool = False
    ring: float | None = 0.05
    keys: str = ""
    mailbox: bool = False
    hangs_up: float | None = None


LISTENS = Scenario("listens")

SCENARIOS: Mapping[str, Scenario] = {
    "999001": Scenario("busy", refusal=486),
    "999002": Scenario("answers late", ring=10.0),
    "999003": Scenario("rings for ever", ring=None),
    "999004": Scenario("unknown number", refusal=404),
    "999005": Scenario("declines", refusal=603),
    "999006": Scenario("presses 1", keys="1"),
    "999007": Scenario("presses 159#", keys="159#"),
    "999008": Scenario("mailbox", mailbox=True),
    "999009": Scenario("hangs up after a second", hangs_up=1.0),
    "999010": Scenario("never hangs up"),
    "999011": Scenario("first the trunk is away", refusal=503, once=True),
}


def scenario_of(number: str) -> Scenario:
    """The scenario of a number; most numbers answer and listen."""
    return SCENARIOS.get(number[-6:], LISTENS)
