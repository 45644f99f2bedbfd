"""SMS does what every channel does."""

from channels.conformance import Conformance
from heliograph.transports.base import Outgoing, SmsText


class TestSms(Conformance):
    channel = "sms"
    price = "message_price"

    def carried(self, outgoing: Outgoing, body: str) -> None:
        assert outgoing.content == SmsText((body,), False)
