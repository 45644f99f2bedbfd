"""Stripe, by its own SDK. Amounts are in minor units; the key of a charge is Stripe's idempotency key and metadata."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec
import stripe

from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, Charge, GatewayAway, Notice
from heliograph.clock import DAY

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

SKEW = DAY
"""Seconds that our clock may be ahead of Stripe's: a charge is looked for from this long before its payment."""

DECLINED, REFUNDED = "Your card was declined.", "The payment was refunded."
STATES: Mapping[str, Literal["paid", "open"]] = {"succeeded": "paid", "processing": "open", "requires_capture": "open"}
REASONS = {"requires_action": "Your bank wants to hear from you first.", "canceled": "The payment was canceled."}
"""Statuses of an intent in which nothing more comes by itself -> what the customer is told."""


class _Intent(msgspec.Struct):
    id: str
    metadata: dict[str, str] | None = None


class _Data(msgspec.Struct):
    object: msgspec.Raw


class _Event(msgspec.Struct):
    """The fields of an event of Stripe that are read. Objects have fields of other kinds than intents have."""

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
            raise CardRefused(problem.user_message or DECLINED) from None
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
            return Charge("", "declined", problem.user_message or DECLINED, amount, currency, key)
        except stripe.StripeError as problem:
            raise GatewayAway(_why(problem)) from None
        asked = {"amount": amount, "currency": currency, "metadata": {"key": key}}
        return _charge({**asked, **made.to_dict()}) or Charge(made.id, "open", "", amount, currency, key)

    async def find(self, token: str, key: str, since: int) -> Sequence[Charge]:
        """The charges of a customer with this key in their metadata: by the list, since Stripe's search is late."""
        customer = token.partition("/")[0]
        asked: stripe.params.PaymentIntentListParams = {"customer": customer, "created": {"gte": since - SKEW}}
        try:
            charges = [_charge(intent) async for intent in self._intents(asked)]
        except stripe.StripeError as problem:
            if problem.code == "resource_missing":
                return []  # Stripe no longer has the customer
            raise GatewayAway(_why(problem)) from None
        return [one for one in charges if one is not None and one.key == key]

    async def fetch(self, charge_id: str) -> Charge | None:
        """A payment intent by its id. None: it is unknown to our account at Stripe, or was never confirmed."""
        try:
            return _charge(await self._retrieve(charge_id))
        except stripe.InvalidRequestError:
            return None
        except stripe.StripeError as problem:
            raise GatewayAway(_why(problem)) from None

    async def _retrieve(self, charge_id: str) -> dict[str, Any]:
        intent = await self._ask(self._api.payment_intents.retrieve, charge_id, {"expand": ["latest_charge"]})
        return intent.to_dict()

    async def refund(self, charge_id: str, key: str) -> Charge:
        """Give a charge back. Stripe knows the key for a day: after that it says that the charge was given back.

        An answer that is a fault of Stripe's is repeated for the key, so the charge itself is asked whether it was.
        """
        try:
            await self._ask(self._api.refunds.create, {"payment_intent": charge_id}, {"idempotency_key": key})
        except stripe.InvalidRequestError as problem:
            if problem.code != "charge_already_refunded":
                return Charge(charge_id, "declined", problem.user_message or "Stripe refused the refund.", key=key)
        except stripe.StripeError as problem:
            if not await self._given_back(charge_id):
                raise GatewayAway(_why(problem)) from None
        return Charge(charge_id, "paid", key=key)

    async def _given_back(self, charge_id: str) -> bool:
        """Whether Stripe says that the whole of a charge was given back."""
        try:
            intent = await self._retrieve(charge_id)
        except stripe.StripeError:
            return False
        return bool(intent["amount"]) and _given_back(intent) >= intent["amount"]

    async def list(self, limit: int) -> Sequence[Charge]:
        """The charges that succeeded among the newest `limit` payments."""
        try:
            charges = [_charge(intent) async for intent in self._intents({}, limit)]
        except stripe.StripeError as problem:
            raise GatewayAway(_why(problem)) from None
        return [one for one in charges if one is not None and one.state == "paid"]

    async def _intents(
        self, asked: stripe.params.PaymentIntentListParams, limit: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Payment intents page by page, the newest first; at most `limit`. Raises StripeError."""
        asked["expand"] = ["data.latest_charge"]
        while limit is None or limit > 0:
            asked["limit"] = MOST_LISTED if limit is None else min(limit, MOST_LISTED)
            page = await self._ask(self._api.payment_intents.list, asked)
            for intent in page.data:
                yield intent.to_dict()
            if not page.has_more or not page.data:
                break
            limit = None if limit is None else limit - len(page.data)
            asked["starting_after"] = page.data[-1].id

    def verify_webhook(self, body: bytes, header: str) -> Notice | None:
        """The payment intent that an event with Stripe's signature is about, and the key in its metadata."""
        if not self._webhook_secret:
            # with an empty secret anybody could make a valid signature
            raise BadEvent("There is no secret to check its signature with.")
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), header, self._webhook_secret, stripe.Webhook.DEFAULT_TOLERANCE
            )
            event = msgspec.json.decode(body, type=_Event)
            if not event.type.startswith("payment_intent."):
                return None
            intent = msgspec.json.decode(event.data.object, type=_Intent)
        except (ValueError, msgspec.DecodeError, stripe.SignatureVerificationError) as problem:
            raise BadEvent(str(problem)) from None
        key = (intent.metadata or {}).get("key")
        return Notice(intent.id, key) if key else None


def _charge(intent: Mapping[str, Any]) -> Charge | None:
    """What a payment intent has come to; None: nobody has tried to charge it, or that is going on at this moment."""
    status, amount, reason = intent["status"], intent.get("amount") or 0, ""
    state: Literal["paid", "declined", "open"] = STATES.get(status, "declined")
    if state == "paid":  # what was captured or kept in part was paid in part
        received = intent.get("amount_received") or amount
        kept = received - _given_back(intent)
        state, amount, reason = ("paid", kept, "") if kept > 0 else ("declined", received, REFUNDED)
    elif state == "declined":
        refused = intent.get("last_payment_error") or {}
        if status not in REASONS and not refused:
            return None
        reason = REASONS.get(status) or refused.get("message") or DECLINED
    key = (intent.get("metadata") or {}).get("key", "")
    return Charge(intent["id"], state, reason, amount, (intent.get("currency") or "").upper(), key)


def _given_back(intent: Mapping[str, Any]) -> int:
    """How much of a payment intent was given back, in minor units; its charge is an id where it was not asked for."""
    charge = intent.get("latest_charge")
    return int(charge.get("amount_refunded") or 0) if isinstance(charge, dict) else 0


def _why(problem: stripe.StripeError) -> str:
    """The kind of a fault and the id of its request, for the log. Not its text, which might repeat the card that was
    sent.
    """
    return f"{type(problem).__name__} {problem.request_id or ''}".strip()
