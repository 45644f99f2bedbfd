"""Links to a template as a browser shows it: whoever has one sees the template for an hour."""

from heliograph.accounts.vault import Vault
from heliograph.db.engine import Tx
from heliograph.mail.templates import masters, template

LIFE = 3600
"""Seconds that a link works."""
HOUSE = 0
"""Stands for the account of a master template."""
_LONGEST_TOKEN = 200
_URL = str.maketrans("+/", "-_")
_BASE64 = str.maketrans("-_", "+/")


def token(vault: Vault, user_id: int, template_id: int, until: int) -> str:
    """What a link ends with; it works until this Unix time."""
    return vault.seal(f"preview {user_id} {template_id} {until}").translate(_URL)


def shown(tx: Tx, vault: Vault, given: str) -> tuple[str, str] | None:
    """(name, body) of the template that a token is for; None when it is wrong or too old, or the template is gone."""
    try:
        words = vault.unseal(given[:_LONGEST_TOKEN].translate(_BASE64)).split()
    except ValueError:
        return None
    if len(words) != 4 or words[0] != "preview" or int(words[3]) <= tx.now:
        return None
    user_id, template_id = int(words[1]), int(words[2])
    if user_id == HOUSE:
        master = masters.find(template_id)
        return (master.template_name, masters.body(master)) if master is not None else None
    found = template.find(tx, user_id, template_id)
    return (found.template_name, found.body) if found is not None else None
