"""Types of fields that many shapes have: the JSON type, and what a reader of the API document needs to know of it."""

from typing import Annotated, Any, Literal

from msgspec import Meta


def about(text: str, *examples: Any, **schema: Any) -> Meta:
    """A field's description in the API document, examples of its value, and further keywords of JSON Schema."""
    return Meta(description=text, examples=list(examples) or None, extra_json_schema=schema or None)


Flag = Annotated[Literal[0, 1], about("1 for yes, 0 for no.")]
UnixTime = Annotated[int, about("Unix time in seconds.", 1792137600)]
UnixText = Annotated[str, about("Unix time in seconds, as text.", "1792137600")]
PhoneNumber = Annotated[str, about("Phone number in E.164 format.", "+61411111111")]
Country = Annotated[str, about("ISO 3166 code of two letters.", "AU")]
Mail = Annotated[str, about("Email address.", "jane@example.com")]
MessageId = Annotated[str, about("A UUID in upper case.", "019AE42B-6E3D-7A51-B3C8-5D1F6A2E9074")]
CustomString = Annotated[str, about("Your reference, as it was given with the message.", "order 4711")]
Subaccount = Annotated[int, about("The subaccount whose credentials were used.", 1)]
RegionalPhone = Annotated[
    str, about("Phone number, in E.164 format or as it is written in the country.", "+61411111111")
]
CountryCode = Annotated[str, about("ISO 3166 code of two letters, in any case.", "AU")]
Price = Annotated[str, about("In units of the currency, four decimals.", "2.9400")]
Amount = Annotated[str, about("In units of the currency, two decimals.", "20.00")]
Nothing = Annotated[list[Any], Meta(description="Always an empty list.", max_length=0)]
Null = Annotated[None, Meta(description="Always null.")]
"""For answers without data where the live service has null and not the document's empty list: facts F12, clients 3."""
