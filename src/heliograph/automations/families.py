"""The rule families as data: five endpoints a row of this table, and five handlers for all."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from heliograph.fields import Nothing

ACTIONS = (
    "AUTO_REPLY",
    "EMAIL_USER",
    "EMAIL_FIXED",
    "URL",
    "SMS",
    "POLL",
    "GROUP_SMS",
    "MOVE_CONTACT",
    "CREATE_CONTACT",
    "CREATE_CONTACT_PLUS_EMAIL",
    "CREATE_CONTACT_PLUS_NAME_EMAIL",
    "CREATE_CONTACT_PLUS_NAME",
    "SMPP",
    "NONE",
)
"""What rules can do."""

LEARNED: Mapping[str, Sequence[str]] = {
    "CREATE_CONTACT": (),
    "CREATE_CONTACT_PLUS_EMAIL": ("email",),
    "CREATE_CONTACT_PLUS_NAME": ("first_name", "last_name"),
    "CREATE_CONTACT_PLUS_NAME_EMAIL": ("first_name", "last_name", "email"),
}
"""What a new contact gets out of the message, by the action that makes it."""

OF_ARRIVALS = ("AUTO_REPLY", *(action for action in LEARNED if "_PLUS_" in action))
"""Actions that need what somebody wrote: at a receipt they do nothing."""

OF_LISTS = ("GROUP_SMS", "MOVE_CONTACT", *LEARNED)
"""Actions whose address is the id of a list."""

INBOUND_FIELDS = (
    "dedicated_number",
    "rule_name",
    "message_search_type",
    "message_search_term",
    "action",
    "action_address",
    "body",
    "enabled",
    "webhook_type",
)
RECEIPT_FIELDS = ("rule_name", "match_type", "action", "action_address", "enabled")


class Family(msgspec.Struct, frozen=True):
    """One family of rules: its path, key, fields, documented texts and endpoint numbers; `title`: what they are for.

    `also` is another spelling of the path, where there is one. `gone` is what DELETE answers as `data`, and `gone_type`
    its type: families differ (facts N).
    """

    name: str
    title: str
    path: str
    key: str
    fields: tuple[str, ...]
    numbers: tuple[int, int, int, int, int]
    listed: str
    created: str
    viewed: str
    updated: str
    deleted: str
    also: str = ""
    gone: Any = ()
    gone_type: Any = Nothing

    @property
    def inbound(self) -> bool:
        """Whether the family is about arriving messages (else about receipts)."""
        return self.fields is INBOUND_FIELDS


SMS_INBOUND = Family(
    name="sms-inbound",
    title="inbound SMS",
    path="/automations/sms/inbound",
    key="inbound_rule_id",
    fields=INBOUND_FIELDS,
    numbers=(150, 151, 152, 153, 154),
    listed="Your list of inbound rules.",
    created="Your record has been added.",
    viewed="Your inbound rule.",
    updated="Your record has been updated.",
    deleted="Your record has been deleted.",
)
SMS_RECEIPTS = Family(
    name="sms-receipts",
    title="SMS receipts",
    path="/automations/sms/receipts",
    key="receipt_rule_id",
    fields=RECEIPT_FIELDS,
    numbers=(155, 156, 157, 158, 159),
    listed="Your list of rule incoming sms receipt.",
    created="Your new SMS receipt has been added.",
    # The contract says "voice" here.
    viewed="Your rule incoming voice receipt.",
    updated="Your rule incoming sms receipt has been updated.",
    deleted="Your rule incoming sms receipt has been deleted.",
)
VOICE_RECEIPTS = Family(
    name="voice-receipts",
    title="voice receipts",
    path="/automations/voice/receipts",
    key="receipt_rule_id",
    fields=RECEIPT_FIELDS,
    numbers=(177, 178, 179, 180, 181),
    listed="Your voice receipts.",
    created="Your new voice receipt has been added.",
    viewed="Your rule incoming voice receipt.",
    updated="Your rule incoming voice receipt.",
    deleted="Your rule voice receipt has been deleted.",
)
EMAIL_RECEIPTS = Family(
    name="email-receipts",
    title="email receipts",
    path="/automations/email/receipts",
    key="receipt_rule_id",
    fields=RECEIPT_FIELDS,
    numbers=(66, 67, 68, 69, 70),
    listed="Here is your result.",
    created="Automation email receipt rule has been created.",
    viewed="Here is your result.",
    updated="Automation email receipt rule has been updated.",
    deleted="Automation email receipt rule has been deleted.",
    also="/automations/email/receipt",
    gone=True,
    gone_type=Literal[True],
)
FAMILIES = (SMS_INBOUND, SMS_RECEIPTS, VOICE_RECEIPTS, EMAIL_RECEIPTS)
