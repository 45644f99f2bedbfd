"""The mail server of a house: its desks in the order in which they are asked, and who may log in."""

from collections.abc import Sequence

from heliograph.accounts.vault import Vault
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.db.database import Database
from heliograph.http.auth import Authenticator
from heliograph.http.logins import Logins
from heliograph.http.throttle import Limits
from heliograph.mail.nameservers import NameServers
from heliograph.mailserver.desk import Desk
from heliograph.mailserver.returns import ReturnsDesk
from heliograph.mailserver.server import MailServer
from heliograph.mailserver.sms import SmsDesk
from heliograph.messaging.hooks import Hooks
from heliograph.settings import Settings


def mails(options: Settings, database: Database, vault: Vault, hooks: Hooks, limits: Limits) -> MailServer:
    """What mails arrive at; it listens in processes that deliver."""
    logins = Logins(Authenticator(database, vault), limits)
    return MailServer(
        options, desks(options, database, vault, hooks), lambda header, address: logins.prove(header, address, [])
    )


def desks(options: Settings, database: Database, vault: Vault, hooks: Hooks) -> Sequence[Desk]:
    """Who takes what. Another kind of recipient is another desk."""
    servers = NameServers(options.dns)
    return (
        SmsDesk(options, database, vault, hooks.channels[SMS], servers),
        ReturnsDesk(options, database, vault, hooks),
    )
