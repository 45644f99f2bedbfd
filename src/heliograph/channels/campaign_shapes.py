"""What campaigns of all channels that reach telephones take and answer alike."""

from typing import Annotated

import msgspec

from heliograph.fields import UnixTime, about

LONGEST_BODY = 10_000
"""Characters of a text with its placeholders: far more than a message holds, and each is written 20,000 times."""


class CampaignBody(msgspec.Struct, kw_only=True):
    """Body of send, price and update; an update changes what it names."""

    list_id: Annotated[int | None, about("The contact list; at most 20,000 contacts. Needed at first.", 428)] = None
    name: Annotated[str | None, about("Your name for the campaign. Needed at first.", "My Campaign 1")] = None
    body: Annotated[
        str | None, about("The text, with placeholders. Needed at first.", "(First Name), this is my message.")
    ] = None
    from_: Annotated[
        str | None, about("Sender: a number, or up to 11 letters and digits; without it, a shared number.")
    ] = msgspec.field(default=None, name="from")
    schedule: Annotated[
        int | str | float | None,
        about("Unix time in seconds, up to four months ahead; without it, or in the past: at once."),
    ] = None
    custom_string: Annotated[str | None, about("Your reference: replies and receipts bring it back.", "spring")] = None
    source: Annotated[str | None, about("The program that sends.")] = None
    country: Annotated[
        str | None, about("ISO 3166 code of the country of national numbers; by default, the account's.")
    ] = None
    url_to_shorten: Annotated[
        str | None, about("Where the literal smsu.io/xxxxx in the text leads to.", "https://example.com/spring")
    ] = None


class FirstMessage(msgspec.Struct, kw_only=True):
    """The message to the first recipient, in the answer to a price."""

    from_: Annotated[str, about("The sender that the recipient sees.", "+61411111111")] = msgspec.field(name="from")
    body: Annotated[str, about("The text, with placeholders filled.", "John, this is my message.")]
    schedule: UnixTime
