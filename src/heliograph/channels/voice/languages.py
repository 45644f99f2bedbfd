"""The languages of voice messages and the voices that each has. Source: api-v3, "Allowed Languages" (endpoint 169)."""

from collections.abc import Mapping

import msgspec

FEMALE, MALE = "female", "male"
BOTH = (FEMALE, MALE)


class Language(msgspec.Struct, frozen=True):
    """A language by its name, and its voices; the first one speaks when none is asked for."""

    name: str
    voices: tuple[str, ...] = BOTH


LANGUAGES: Mapping[str, Language] = {
    "en-us": Language("English, US"),
    "en-au": Language("English, Australia"),
    "en-gb": Language("English, UK"),
    "en-in": Language("English, India", (FEMALE,)),
    "en-gb-wls": Language("English, Wales"),
    "cy-gb-wls": Language("Celtic, Wales"),
    "de-de": Language("German, Germany"),
    "es-es": Language("Spanish, Spain"),
    "es-us": Language("Spanish, US"),
    "fr-ca": Language("French, Canada", (FEMALE,)),
    "fr-fr": Language("French, France"),
    "is-is": Language("Icelandic, Iceland"),
    "it-it": Language("Italian, Italy"),
    "da-dk": Language("Danish, Denmark"),
    "nl-nl": Language("Dutch, Netherlands"),
    "nb-no": Language("Norwegian, Norway", (FEMALE,)),
    "pl-pl": Language("Polish, Poland"),
    "pt-pt": Language("Portuguese, Portugal", (MALE,)),
    "pt-br": Language("Portuguese, Brazil"),
    "ro-ro": Language("Romanian, Romania", (FEMALE,)),
    "ru-ru": Language("Russian, Russia"),
    "sv-se": Language("Swedish, Sweden", (FEMALE,)),
    "tr-tr": Language("Turkish, Turkey", (FEMALE,)),
}
"""Code -> language, in the document's order."""

_NEAR = {"AU": "en-au", "GB": "en-gb", "IN": "en-in"}


def near(country: str) -> str:
    """The language of a message that names none, by the recipient's country."""
    return _NEAR.get(country, "en-us")
