"""What the server and the process that converts a file for it tell each other. Imports nothing that takes time."""

import msgspec

from heliograph.transports.base import UNLIMITED, Limits

TARGETS = ("fax", "mms", "csv", "post", "postcard")
"""What `convert` may ask for. Source: endpoint 168."""

CONTACTS = "contacts"
"""Target of imports: rows of contacts. Customers cannot ask for it by name."""


class Refused(Exception):
    """A file that cannot be converted. The text is a sentence for the customer."""


class Unfinished(Refused):
    """A conversion that was broken off: its time was over, or the server stops. Another try may help."""


class Task(msgspec.Struct, frozen=True):
    """What to do with the file `source` of the working folder.

    `soffice` is the path of LibreOffice, empty without it; `memory` is in bytes, `seconds` are of the processor.
    `code_page` is what a text is written in when it is no Unicode. `reads` are further paths that may be read.
    A picture for an MMS has to keep to `limits`.
    """

    target: str
    soffice: str
    memory: int
    seconds: int
    code_page: str = "cp1252"
    reads: tuple[str, ...] = ()
    limits: Limits = UNLIMITED


class Outcome(msgspec.Struct, frozen=True):
    """What stands in `outcome`: the result lies in `result`, or why there is none. `pages` is 0 for what has none."""

    extension: str = ""
    pages: int = 0
    refusal: str = ""
