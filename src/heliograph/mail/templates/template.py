"""Email templates of an account: clones of master templates, to be changed and sent.

A body is HTML or plain text, kept as it was given. It refers to no other template, and what placeholders are filled
with is not searched for placeholders: there is nothing that could go round in circles.
"""

from typing import Any

import msgspec
from sqlalchemy import Select, func, select

from heliograph.db.engine import Tx
from heliograph.db.shown import Columns
from heliograph.db.tables import email_templates
from heliograph.errors import BadRequest, NotFound
from heliograph.mail.templates import masters
from heliograph.mail.templates.masters import Master

NO_RECORD = "Template record not found."
MOST_OF_ACCOUNT = 1000
"""Templates of one account: a program that clones in a loop does not fill the database."""
LONGEST_NAME = 255
COLUMNS: Columns = {
    name: email_templates.c[name] for name in ("template_id", "template_id_master", "template_name", "body")
}


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template of an account."""

    template_id: int
    template_id_master: int
    template_name: str
    body: str


def of(user_id: int) -> Select[Any]:
    """Ids and names of an account's templates, to search and page through."""
    columns = select(email_templates.c.template_id, email_templates.c.template_name)
    return columns.where(email_templates.c.user_id == user_id)


def find(tx: Tx, user_id: int, template_id: int) -> Template | None:
    """A template of an account; None when it has no such one."""
    columns = [email_templates.c[name] for name in Template.__struct_fields__]
    row = tx.row(select(*columns).where(_mine(user_id, template_id)))
    return Template(**row) if row is not None else None


def clone(tx: Tx, user_id: int, master: Master, name: str) -> Template:
    """Save a new template with the body of a master template. Raises BadRequest."""
    count = select(func.count()).select_from(email_templates).where(email_templates.c.user_id == user_id)
    if tx.scalar(count) >= MOST_OF_ACCOUNT:
        raise BadRequest(message=f"An account has at most {MOST_OF_ACCOUNT} email templates.")
    found = {"template_id_master": master.template_id_master, "template_name": name, "body": masters.body(master)}
    made = email_templates.insert().values(user_id=user_id, **found).returning(email_templates.c.template_id)
    return msgspec.convert({**found, "template_id": tx.scalar(made)}, Template)


def update(tx: Tx, user_id: int, template_id: int, name: str | None, body: str | None) -> Template:
    """Change what is not None. `body` is one without a fault (mail/bounds.py). Raises NotFound."""
    given = {"template_name": name, "body": body}
    values = {key: value for key, value in given.items() if value is not None}
    tx.execute(email_templates.update().where(_mine(user_id, template_id)).values(values))
    found = find(tx, user_id, template_id)
    if found is None:
        raise NotFound(NO_RECORD)
    return found


def delete(tx: Tx, user_id: int, template_id: int) -> None:
    """Remove a template. Raises NotFound."""
    if not tx.execute(email_templates.delete().where(_mine(user_id, template_id))).rowcount:
        raise NotFound(NO_RECORD)


def _mine(user_id: int, template_id: int) -> Any:
    return (email_templates.c.user_id == user_id) & (email_templates.c.template_id == template_id)
