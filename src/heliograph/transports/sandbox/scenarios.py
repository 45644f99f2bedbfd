"""How the subscribers of the simulated SMSC behave, by the last six digits of their number (docs/sandbox.md)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from heliograph.transports.smpp import pdu

ECHO: Final = ""
"""A reply that repeats the text."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to a message.

    `status` refuses it at once. `stat`, `state` and `error` go into the receipt; no `stat`: no receipt. `throttled`
    and `dropped` count how often that befalls the same submit_sm before it is answered as usual.
    """

    status: int = pdu.ESME_ROK
    stat: str = "DELIVRD"
    state: int = 2
    error: str = "000"
    late: bool = False
    copies: int = 1
    reply: str | None = None
    throttled: int = 0
    dropped: int = 0


DELIVERED: Final = Scenario()

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "999001": Scenario(stat="UNDELIV", state=5, error="001"),
    "999002": Scenario(late=True),
    "999003": Scenario(stat=""),
    "999004": Scenario(status=pdu.ESME_RINVDSTADR),
    "999005": Scenario(throttled=3),
    "999006": Scenario(reply="STOP"),
    "999007": Scenario(reply=ECHO),
    "999008": Scenario(stat="EXPIRED", state=3, error="003"),
    "999009": Scenario(dropped=1),
    "999010": Scenario(copies=2),
}


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that the simulated network takes."""

    receipt: float = 0.05
    late_receipt: float = 30.0
    reply: float = 0.2
    redelivery: float = 5.0


def scenario_of(recipient: str) -> Scenario:
    """What happens to messages to this number; most are delivered."""
    return SCENARIOS.get(recipient[-6:], DELIVERED)
