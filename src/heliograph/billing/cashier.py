"""Payments and refunds through the gateway: it is called between two transactions, never while one is open."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from heliograph import audit
from heliograph.billing import payments
from heliograph.billing.gateways.base import Card, Gateway, GatewayAway
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.queue.jobs import Job

log = structlog.get_logger(__name__)
LONGEST_PAUSE = 3600.0


@contextlib.contextmanager
def _logged(**about: Any) -> Iterator[None]:
    """Log why the gateway gave no answer, for the operator; customers are only told that there was none."""
    try:
        yield
    except GatewayAway as silent:
        log.warning("gateway.away", why=str(silent), **about)
        raise


class Cashier:
    """Stores cards, buys packages, finishes payments, refunds them."""

    def __init__(self, database: Database, gateway: Gateway) -> None:
        self._database = database
        self.gateway = gateway

    async def keep_card(self, user_id: int, card: Card, actor: str) -> str:
        """Give a card to the gateway; its token. `actor` is named in the audit log. Raises CardRefused, GatewayAway."""
        with _logged():
            token = await self.gateway.tokenise(card)

        def keep(tx: Tx) -> None:
            payments.keep_card(tx, user_id, self.gateway.name, token, card)
            audit.record(tx, user_id, actor, "card.changed", card.display_number)

        await self._database.write(keep)
        return token

    async def purchase(self, user_id: int, package_id: int, request_key: str | None) -> Mapping[str, Any]:
        """Buy a package; the row of the payment. Raises as payments.purchase, and GatewayAway.

        After GatewayAway the payment is still open: the same call continues it, and so does a job (SETTLE_JOB).
        """
        name = self.gateway.name
        row = await self._database.write(lambda tx: payments.purchase(tx, user_id, package_id, name, request_key))
        return await self.settle(row)

    async def settle(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Charge a payment that has no outcome, or give it up after KEY_LIFE; the row after it. Raises GatewayAway."""
        if row["state"] != payments.PENDING or row["gateway"] != self.gateway.name:
            return row
        if row["created_at"] < self._database.clock() - payments.KEY_LIFE:
            return await self._give_up(row)
        with _logged(payment=row["payment_id"]):
            charge = await self.gateway.charge(
                row["token"], payments.amount_of(row), row["currency"], row["invoice_number"]
            )
        return await self._database.write(lambda tx: payments.settle(tx, row["payment_id"], charge))

    async def run(self, job: Job) -> float | None:
        """Run a SETTLE_JOB: charge a payment that has no outcome, or give it up."""
        row = await self._database.read(lambda tx: payments.find(tx, job.payload["payment_id"]))
        if row["state"] == payments.PENDING and row["gateway"] != self.gateway.name:
            row = await self._give_up(row)
        try:
            await self.settle(row)
        except GatewayAway:
            return min(payments.ASK_AGAIN * job.attempt, LONGEST_PAUSE)
        return None

    async def _give_up(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give up a payment whose outcome the gateway can no longer tell; the row after it."""
        log.error("payment.lost", payment=row["payment_id"], gateway=row["gateway"])
        return await self._database.write(lambda tx: payments.give_up(tx, row["payment_id"]))

    async def event(self, body: bytes, header: str) -> None:
        """Handle an event about a charge. The gateway is asked for the outcome, since an event may be late or repeated.

        Raises BadEvent, GatewayAway.
        """
        key = self.gateway.verify_webhook(body, header)
        row = await self._database.read(lambda tx: payments.by_invoice(tx, key)) if key else None
        if row is not None:
            await self.settle(row)

    async def refund(self, invoice_number: str) -> Mapping[str, Any]:
        """Give the money of a payment back, and take its credit; the row of the payment.

        Raises NotFound; Conflict: the money is with another gateway; InsufficientCredit; GatewayAway: the same call
        continues the same refund.
        """
        name = self.gateway.name
        row = await self._database.write(lambda tx: payments.begin_refund(tx, invoice_number, name))
        charge = await self.gateway.refund(row["charge_id"], f"refund-{invoice_number}")
        return await self._database.write(lambda tx: payments.end_refund(tx, row["payment_id"], charge))
