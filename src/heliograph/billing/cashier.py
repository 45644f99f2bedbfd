"""Payments and refunds through the gateway: it is called between two transactions, never while one is open."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from heliograph import audit
from heliograph.billing import payments
from heliograph.billing.gateways.base import Card, Charge, Gateway, GatewayAway
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.queue import jobs
from heliograph.queue.jobs import Job

log = structlog.get_logger(__name__)
LONGEST_PAUSE = 3600.0
FIRST = (payments.PAID, payments.OPEN, payments.DECLINED)
"""What counts when a gateway has several charges for one payment."""


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
        """Find or charge a payment that has no outcome; the row after it, PENDING while the charge is open.

        A payment that is older than KEY_LIFE is not charged, but given up when there is no charge of it. Raises
        GatewayAway.
        """
        if row["state"] != payments.PENDING or row["gateway"] != self.gateway.name:
            return row
        with _logged(payment=row["payment_id"]):
            charge = await self._outcome(row)
        return await self._give_up(row) if charge is None else await self._record(row, charge)

    async def _outcome(self, row: Mapping[str, Any]) -> Charge | None:
        """What the gateway has for a payment, or says to the charge of it. It is looked for first: a gateway may answer
        a key for ever with the fault that it had when it made the charge. None: it has none, and must not make it.
        """
        key, late = row["invoice_number"], row["created_at"] < self._database.clock() - payments.KEY_LIFE
        try:
            found = await self.gateway.find(row["token"], key, row["created_at"])
        except GatewayAway as silent:
            if late:
                raise
            log.warning("gateway.away", why=str(silent), payment=row["payment_id"])
            found = []  # the key alone sees to it that there is one charge
        fitting = [one for one in found if payments.matches(row, one)]
        if fitting:
            return min(fitting, key=lambda one: FIRST.index(one.state))
        if late:
            return None
        return await self.gateway.charge(row["token"], payments.amount_of(row), row["currency"], key)

    async def _record(self, row: Mapping[str, Any], charge: Charge) -> Mapping[str, Any]:
        """Record what became of a charge; the row after it. What does not fit is for the operator to look at."""
        about = {"payment": row["payment_id"], "charge": charge.charge_id}
        if not payments.matches(row, charge):
            log.error("payment.differs", amount=charge.amount, currency=charge.currency, key=charge.key, **about)
            return row
        after = await self._database.write(lambda tx: payments.settle(tx, row["payment_id"], charge))
        if charge.state == payments.PAID and after["charge_id"] != charge.charge_id:
            log.error("payment.charged_twice", credited=after["charge_id"], **about)
        return after

    async def run(self, job: Job) -> float | None:
        """Run a SETTLE_JOB: bring a payment that has no outcome to its end, and look at the charge of an event."""
        row = await self._database.read(lambda tx: payments.find(tx, job.payload["payment_id"]))
        if row["state"] == payments.PENDING and row["gateway"] != self.gateway.name:
            row = await self._give_up(row)
        pause = min(payments.ASK_AGAIN * job.attempt, LONGEST_PAUSE)
        try:
            row = await self.settle(row)
            if charge_id := job.payload.get("charge_id"):
                row = await self._look_at(row, charge_id)
        except GatewayAway:
            return pause
        return pause if row["state"] == payments.PENDING else None

    async def _look_at(self, row: Mapping[str, Any], charge_id: str) -> Mapping[str, Any]:
        """Record what became of a charge that an event was about; the row after it. Raises GatewayAway."""
        known = row["state"] in payments.WAS_PAID and row["charge_id"] == charge_id
        if known or row["gateway"] != self.gateway.name:
            return row
        with _logged(payment=row["payment_id"], charge=charge_id):
            charge = await self.gateway.fetch(charge_id)
        return row if charge is None else await self._record(row, charge)

    async def _give_up(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give up a payment whose outcome the gateway can no longer tell; the row after it."""
        log.error("payment.lost", payment=row["payment_id"], gateway=row["gateway"])
        return await self._database.write(lambda tx: payments.give_up(tx, row["payment_id"]))

    async def event(self, body: bytes, header: str) -> None:
        """Handle an event about a charge, whatever the outcome of its payment was before. The gateway is asked what
        became of the charge, since an event may be late or repeated; while it is away, a job goes on. An event about
        somebody else's charge is not an error: the gateway would send it for days. Raises BadEvent.
        """
        told = self.gateway.verify_webhook(body, header)
        row = await self._database.read(lambda tx: payments.by_invoice(tx, told.key)) if told else None
        if told is None or row is None:
            return
        try:
            await self._look_at(row, told.charge_id)
        except GatewayAway:
            payload = {"payment_id": row["payment_id"], "charge_id": told.charge_id}
            await self._database.write(lambda tx: jobs.enqueue(tx, payments.SETTLE_JOB, payload))

    async def refund(self, invoice_number: str) -> Mapping[str, Any]:
        """Give the money of a payment back, and take its credit; the row of the payment.

        Raises NotFound; Conflict: the money is with another gateway; InsufficientCredit; GatewayAway: the same call
        continues the same refund.
        """
        name = self.gateway.name
        row = await self._database.write(lambda tx: payments.begin_refund(tx, invoice_number, name))
        charge = await self.gateway.refund(row["charge_id"], f"refund-{invoice_number}")
        return await self._database.write(lambda tx: payments.end_refund(tx, row["payment_id"], charge))
