"""SMS templates of an account."""

from typing import Any

from sqlalchemy import Select, select

from heliograph.db.engine import Tx
from heliograph.db.tables import sms_templates
from heliograph.errors import NotFound

NO_RECORD = "Template record not found."
COLUMNS = {
    "template_id": sms_templates.c.template_id,
    "template_name": sms_templates.c.template_name,
    "body": sms_templates.c.body,
}


def of(user_id: int) -> Select[Any]:
    """The templates of an account, to search and page through."""
    return select(sms_templates.c.template_id, sms_templates.c.body, sms_templates.c.template_name).where(
        sms_templates.c.user_id == user_id
    )


def create(tx: Tx, user_id: int, name: str, body: str) -> int:
    """Save a new template; its id."""
    made = sms_templates.insert().values(user_id=user_id, template_name=name, body=body)
    return int(tx.scalar(made.returning(sms_templates.c.template_id)))


def update(tx: Tx, user_id: int, key: int, name: str, body: str) -> None:
    """Change a template. Raises NotFound."""
    mine = (sms_templates.c.user_id == user_id) & (sms_templates.c.template_id == key)
    if not tx.execute(sms_templates.update().where(mine).values(template_name=name, body=body)).rowcount:
        raise NotFound(NO_RECORD)


def delete(tx: Tx, user_id: int, key: int) -> None:
    """Remove a template. Raises NotFound."""
    mine = (sms_templates.c.user_id == user_id) & (sms_templates.c.template_id == key)
    if not tx.execute(sms_templates.delete().where(mine)).rowcount:
        raise NotFound(NO_RECORD)
