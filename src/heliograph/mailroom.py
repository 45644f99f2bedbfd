"""The mail server of a house: its desks in the order in which they are asked, and who may log in."""

from collections.abc import Mapping, Sequence

from heliograph.accounts.vault import Vault
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.db.database import Database
from heliograph.http.auth import Authenticator
from heliograph.http.logins import Logins
from heliograph.http.throttle import Limits
from heliograph.mail.nameservers import NameServers
from heliograph.mailserver.desk import Desk
from heliograph.mailserver.server import MailServer
from heliograph.mailserver.sms import SmsDesk
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings


def mails(
    options: Settings, database: Database, vault: Vault, channels: Mapping[str, Channel], limits: Limits
) -> MailServer:
    """What mails arrive at; it listens in processes that deliver."""
    logins = Logins(Authenticator(database, vault), limits)
    return MailServer(
        options, desks(options, database, vault, channels), lambda header, address: logins.prove(header, address, [])
    )


def desks(options: Settings, database: Database, vault: Vault, channels: Mapping[str, Channel]) -> Sequence[Desk]:
    """Who takes what. Another kind of recipient is another desk."""
    servers = NameServers(options.dns)
    return (SmsDesk(options, database, vault, channels[SMS], servers),)
