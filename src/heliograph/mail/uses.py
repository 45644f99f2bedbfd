"""What readers do with the mails of a campaign: stored for each mail, added up for the campaign."""

from typing import Literal

Kind = Literal["open", "prefetch", "click", "unsubscribe"]
OPEN: Kind = "open"
"""Its pictures were shown."""
PREFETCH: Kind = "prefetch"
"""A mail program has fetched its pictures when it came, whoever reads it."""
CLICK: Kind = "click"
UNSUBSCRIBE: Kind = "unsubscribe"
