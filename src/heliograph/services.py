"""What app.py builds once and requests use beside the transaction."""

from collections.abc import Mapping

import msgspec

from heliograph.accounts.vault import Vault
from heliograph.billing.cashier import Cashier
from heliograph.db.database import Database
from heliograph.files.attach import Attachments
from heliograph.files.store import FileStore
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings


class Services(msgspec.Struct, frozen=True):
    """The parts of a running server. `channels` is the channel table, by name (channels/table.py)."""

    settings: Settings
    database: Database
    vault: Vault
    files: FileStore
    attachments: Attachments
    cashier: Cashier
    channels: Mapping[str, Channel]
