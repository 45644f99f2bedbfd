"""What a payment gateway does for us. Gateways know cards and charges; they know no accounts, ledgers or HTTP API."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class Card(msgspec.Struct, frozen=True):
    """A card as the customer gave it. Its number goes to the gateway only: it is never stored or logged."""

    number: str
    expiry_month: int
    expiry_year: int
    cvc: str
    name: str

    def __repr__(self) -> str:
        return "Card(…)"

    __str__ = __repr__

    @property
    def display_number(self) -> str:
        """The number as answers may show it: masked but for its last four digits."""
        return f"XXXX-XXXX-XXXX-{self.number[-4:]}"


class Charge(msgspec.Struct, frozen=True):
    """What became of a charge. `reason` is for the customer, when it was declined; amounts are in minor units.

    `open`: the gateway has the charge, and does not know yet whether it will be paid.
    """

    charge_id: str
    state: Literal["paid", "declined", "open"]
    reason: str = ""
    amount: int = 0
    currency: str = ""
    key: str = ""


class Notice(msgspec.Struct, frozen=True):
    """What an event is about: a charge, and the key that it says it was made by. The gateway is asked for the rest."""

    charge_id: str
    key: str


class CardRefused(Exception):
    """The gateway does not take this card; the text is for the customer."""


class GatewayAway(Exception):
    """The gateway gave no answer, so the call may have been carried out or not. Make it again with the same key."""


class BadEvent(Exception):
    """A request to the webhook that the gateway did not sign, or that is no event."""


class Gateway(Protocol):
    """A payment gateway. All but `name` may raise GatewayAway."""

    name: str

    async def tokenise(self, card: Card) -> str:
        """Keep a card at the gateway; the token that it is charged by. Raises CardRefused."""
        ...

    async def charge(self, token: str, amount: int, currency: str, key: str) -> Charge:
        """Charge `amount` minor units. However often it is called with one `key`, there is one charge."""
        ...

    async def find(self, token: str, key: str, since: int) -> Sequence[Charge]:
        """The charges of a token that name `key` and were tried after `since` (epoch seconds), whatever became of
        them.
        """
        ...

    async def fetch(self, charge_id: str) -> Charge | None:
        """What became of a charge by now. None: there is none, or nobody has tried it yet."""
        ...

    async def refund(self, charge_id: str, key: str) -> Charge:
        """Give a whole charge back, once for each `key`."""
        ...

    async def list(self, limit: int) -> Sequence[Charge]:
        """The newest charges, each with the key that it was made by."""
        ...

    def verify_webhook(self, body: bytes, header: str) -> Notice | None:
        """What an event is about; None when it is about no charge of ours. Raises BadEvent."""
        ...
