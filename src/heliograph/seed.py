"""What a sandbox database begins with: the demo account, whose key everybody knows, and the test users."""

import structlog

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.automations import rules
from heliograph.automations.families import SMS_INBOUND, SMS_RECEIPTS, VOICE_RECEIPTS
from heliograph.db.engine import Tx
from heliograph.esme import login
from heliograph.esme.login import Login
from heliograph.mail import domains
from heliograph.mail.addresses import address
from heliograph.mailserver import senders
from heliograph.option import SettingsError
from heliograph.webhooks.signature import new_secret

DEMO_USER, DEMO_KEY = "demo", "DEMO0000-0000-4000-8000-000000000000"
DEMO_MAIL = "demo@example.com"
DEMO_PASSWORD = "demo1234"  # noqa: S105 - everybody knows it
"""Of the system_id `demo`."""
DEMO_DOMAIN = "heliograph.localdomain"
DEMO_ADDRESS = f"demo@{DEMO_DOMAIN}"
CREDIT = 1_000_000_000
"""Micros of the demo account."""

log = structlog.get_logger(__name__)


def plant(tx: Tx, vault: Vault) -> bool:
    """Make the demo account (with POLL rules, so that receipts and replies can be pulled) and the test users, once.

    Whether its key is the one that everybody knows: it may have been replaced, or made with another secret.
    """
    if account.find(tx, DEMO_USER) is not None:
        if not any(map(vault.unseal, account.sealed_keys(tx))):
            log.warning("secret.other", why="The database was made with another secret: its API keys are no use here.")
        _plant_doors(tx, vault)
        _plant_sender(tx, vault)
        return _has_demo(tx, vault)
    demo = NewAccount(
        username=DEMO_USER,
        email=DEMO_MAIL,
        phone="+61411111111",
        first_name="Demo",
        last_name="Account",
        account_name="Demo",
        api_key=DEMO_KEY,
        webhook_secret=new_secret(),
        credit_micros=CREDIT,
    )
    user_id = account.seed_sandbox(tx, vault, demo)
    for family in (SMS_INBOUND, SMS_RECEIPTS, VOICE_RECEIPTS):
        rules.create(tx, user_id, family.name, {"rule_name": "Poll", "action": "POLL"})
    _plant_doors(tx, vault)
    _plant_sender(tx, vault)
    return True


def _plant_doors(tx: Tx, vault: Vault) -> None:
    """Let an ESME bind for the demo account, and its mails become SMS, also in a database that is older than these."""
    who = account.by_key(tx, vault, DEMO_USER, DEMO_KEY)
    if who is None:
        return
    if login.find(tx, DEMO_USER) is None:
        made = Login(
            system_id=DEMO_USER, user_id=who.user_id, subaccount_id=who.subaccount_id, password_hash="", window=100
        )
        login.add(tx, vault, made, DEMO_PASSWORD)
    senders.plant(tx, who, DEMO_MAIL)


def _plant_sender(tx: Tx, vault: Vault) -> None:
    """Let mails come from the demo account, signed, also in a database that is older than sending domains.

    Its address is planted with the domain: one that somebody has deleted stays away.
    """
    who = account.by_key(tx, vault, DEMO_USER, DEMO_KEY)
    if who is None or DEMO_DOMAIN in {row["domain"] for row in domains.listing(tx)}:
        return
    # The key takes a twentieth of a second, in the transaction: nothing else runs before a first start is over.
    domains.add(tx, vault, DEMO_DOMAIN, "demo", domains.new_key())
    address.seed(tx, who.user_id, DEMO_ADDRESS)


def refuse_demo(tx: Tx, vault: Vault) -> None:
    """Raises SettingsError when the demo account is in a database of production."""
    if _has_demo(tx, vault):
        raise SettingsError(
            "The database holds the demo account, whose key everybody knows: it was made in sandbox mode. "
            "Production mode needs a database of its own."
        )


def _has_demo(tx: Tx, vault: Vault) -> bool:
    return account.by_key(tx, vault, DEMO_USER, DEMO_KEY) is not None
