"""Stripe, by its own SDK. Amounts are in minor units; the key of a charge is Stripe's idempotency key and metadata."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import msgspec
import stripe

from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, Charge, GatewayAway

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 30
"""How long a call may take. An answer that comes later counts as none (GatewayAway)."""

CALLS = 16
"""Calls at once, each in a thread of the gateway's own pool: while Stripe does not answer, other work still finds
threads.
"""

MOST_LISTED = 100
"""Charges that Stripe lists in one answer."""


class _Object(msgspec.Struct):
    metadata: dict[str, str] = {}


class _Data(msgspec.Struct):
    object: _Object


class _Event(msgspec.Struct):
    """The fields of an event of Stripe that are read."""

    type: str
    data: _Data


class StripeGateway:
    """Cards are payment methods of a customer: the token is `<customer>/<payment method>`."""

    name = "stripe"

    def __init__(self, key: str, webhook_secret: str = "", address: str = "") -> None:
        self._webhook_secret = webhook_secret
        client = stripe.StripeClient(
            key,
            base_addresses={"api": address} if address else {},
            http_client=stripe.RequestsClient(timeout=SECONDS),
            max_network_retries=0,
        )
        self._api = client.v1
        self._threads = ThreadPoolExecutor(CALLS, "stripe")

    async def _ask(self, call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(call, *given, **named))

    async def tokenise(self, card: Card) -> str:
        """Keep a card at Stripe."""
        details: stripe.params.PaymentMethodCreateParamsCard = {
            "number": card.number,
            "exp_month": card.expiry_month,
            "exp_year": card.expiry_year,
            "cvc": card.cvc,
        }
        try:
            method = await self._ask(
                self._api.payment_methods.create,
                {"type": "card", "card": details, "billing_details": {"name": card.name}},
            )
            customer = await self._ask(self._api.customers.create, {"name": card.name})
            await self._ask(self._api.payment_methods.attach, method.id, {"customer": customer.id})
        except (stripe.CardError, stripe.InvalidRequestError) as problem:
            raise CardRefused(problem.user_message or "Your card was declined.") from None
        except stripe.StripeError as problem:
            raise GatewayAway(_why(problem)) from None
        return f"{customer.id}/{method.id}"

    async def charge(self, token: str, amount: int, currency: str, key: str) -> Charge:
        """Charge a stored card; the customer is not there to confirm anything."""
        customer, _, method = token.partition("/")
        try:
            made = await self._ask(
                self._api.payment_intents.create,
                {
                    "amount": amount,
                    "currency": currency.lower(),
                    "customer": customer,
                    "payment_method": method,
                    "confirm": True,
                    "off_session": True,
                    "metadata": {"key": key},
                },
                {"idempotency_key": key},
            )
        except (stripe.CardError, stripe.InvalidRequestError) as problem:
            return Charge("", "declined", problem.user_message or "Your card was declined.", amount, currency, key)
        except stripe.StripeError as problem:
            raise GatewayAway(_why(problem)) from None
        if made.status != "succeeded":
            return Charge(made.id, "declined", "Your bank wants to hear from you first.", amount, currency, key)
        return Charge(made.id, "paid", "", amount, currency, key)

    async def refund(self, charge_id: str, key: str) -> Charge:
        """Give a charge back. Stripe knows the key for a day: after that it says that the charge was given back."""
        try:
            await self._ask(self._api.refunds.create, {"payment_intent": charge_id}, {"idempotency_key": key})
        except stripe.InvalidRequestError as problem:
            if problem.code != "charge_already_refunded":
                return Charge(charge_id, "declined", problem.user_message or "Stripe refused the refund.", key=key)
        except stripe.StripeError as problem:
            raise GatewayAway(_why(problem)) from None
        return Charge(charge_id, "paid", key=key)

    async def list(self, limit: int) -> Sequence[Charge]:
        """The charges that succeeded among the newest `limit` payments."""
        found: list[Charge] = []
        asked: stripe.params.PaymentIntentListParams = {}
        while limit > 0:
            asked["limit"] = min(limit, MOST_LISTED)
            try:
                page = await self._ask(self._api.payment_intents.list, asked)
            except stripe.StripeError as problem:
                raise GatewayAway(_why(problem)) from None
            found += [
                Charge(one.id, "paid", "", one.amount, one.currency.upper(), one.metadata.to_dict().get("key", ""))
                for one in page.data
                if one.status == "succeeded"
            ]
            if not page.has_more or not page.data:
                break
            limit -= len(page.data)
            asked["starting_after"] = page.data[-1].id
        return found

    def verify_webhook(self, body: bytes, header: str) -> str | None:
        """The key in the metadata of a payment intent, by an event with Stripe's signature."""
        if not self._webhook_secret:
            # with an empty secret anybody could make a valid signature
            raise BadEvent("There is no secret to check its signature with.")
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), header, self._webhook_secret, stripe.Webhook.DEFAULT_TOLERANCE
            )
            event = msgspec.json.decode(body, type=_Event)
        except (ValueError, msgspec.DecodeError, stripe.SignatureVerificationError) as problem:
            raise BadEvent(str(problem)) from None
        if not event.type.startswith("payment_intent."):
            return None
        return event.data.object.metadata.get("key")


def _why(problem: stripe.StripeError) -> str:
    """The kind of a fault and the id of its request, for the log. Not its text, which might repeat the card that was
    sent.
    """
    return f"{type(problem).__name__} {problem.request_id or ''}".strip()
