"""No gateway: in sandbox mode the test cards of docs/payments.md, in production mode no card at all.

The token of a card says what happens to its charges, and the id of a charge is a hash of its key: nothing is stored.
"""

import datetime
import hashlib
from collections.abc import Sequence
from secrets import token_hex

from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, Charge, GatewayAway, Notice

CARDS = {
    "4242424242424242": "accepted",
    "5520000000000000": "accepted",
    "5555555555554444": "accepted",
    "4000000000000002": "refused",
    "4000000000000341": "declined",
    "4000000000000069": "expired",
    "4000000000000119": "silent",
}
"""Number of a test card -> what happens to it. The numbers are Stripe's; the second one stands in the API document."""

REASONS = {"declined": "Your card was declined.", "expired": "Your card has expired."}


class ManualGateway:
    """Takes the test cards in sandbox mode, and no card otherwise."""

    name = "manual"

    def __init__(self, *, sandbox: bool) -> None:
        self._sandbox = sandbox
        self._silent: set[str] = set()

    async def tokenise(self, card: Card) -> str:
        """Take a test card."""
        if not self._sandbox:
            raise CardRefused("Cards are not taken here. Ask the operator of this server for credit.")
        kind = CARDS.get(card.number)
        if kind is None:
            raise CardRefused("Only the test cards of docs/payments.md are taken in sandbox mode.")
        if kind == "refused":
            raise CardRefused("Your card was declined.")
        return f"card-{kind}-{card.expiry_year:04}{card.expiry_month:02}-{token_hex(8)}"

    async def charge(self, token: str, amount: int, currency: str, key: str) -> Charge:
        """Answer as the card's token says. A `silent` card gives no answer to the first call with a key, only to
        the second.
        """
        _, kind, expiry, _ = token.split("-")
        if kind == "silent" and key not in self._silent:
            self._silent.add(key)
            raise GatewayAway("The test card says nothing at first.")
        self._silent.discard(key)
        if expiry < datetime.datetime.now(datetime.UTC).strftime("%Y%m"):
            kind = "expired"
        if kind in REASONS:
            return Charge("", "declined", REASONS[kind], amount, currency, key)
        charge_id = "ch_" + hashlib.sha256(key.encode()).hexdigest()[:24]
        return Charge(charge_id, "paid", "", amount, currency, key)

    async def find(self, token: str, key: str, since: int) -> Sequence[Charge]:
        """Nothing: charges of test cards are not stored."""
        return []

    async def fetch(self, charge_id: str) -> Charge | None:
        """Nothing, as above."""
        return None

    async def refund(self, charge_id: str, key: str) -> Charge:
        """Answer that the charge was refunded: no money has moved."""
        return Charge(charge_id, "paid", key=key)

    async def list(self, limit: int) -> Sequence[Charge]:
        """Nothing: charges of test cards are not stored."""
        return []

    def verify_webhook(self, body: bytes, header: str) -> Notice | None:
        """Raise BadEvent: this gateway sends no events."""
        raise BadEvent("The manual gateway sends no events.")
