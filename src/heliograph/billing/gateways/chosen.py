"""Who charges cards, by the settings."""

from heliograph.billing.gateways.base import Gateway
from heliograph.billing.gateways.manual import ManualGateway
from heliograph.settings import Settings


def gateway(options: Settings) -> Gateway:
    """Who charges cards."""
    if options.payment_gateway == "stripe":
        from heliograph.billing.gateways.stripe import StripeGateway  # half a second that most servers can save

        return StripeGateway(options.stripe_key, options.stripe_webhook_secret, options.stripe_address)
    return ManualGateway(sandbox=options.mode == "sandbox")
