"""Texts that an account has cut out of the mails that become its SMS. Source: endpoints 33 to 37; facts H4, H5."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from heliograph.db.engine import Tx
from heliograph.db.tables import email_sms_strings as table
from heliograph.errors import BadRequest, NotFound, required

NO_RECORD = "Stripped string rule not found."
LONGEST = 500
MOST = 100
"""Rules of an account: each is looked for in each mail."""
COLUMNS = {"rule_id": table.c.rule_id, "strip_string": table.c.strip_string}


def of(user_id: int) -> Select[Any]:
    """The rules of an account, to search and page through."""
    return select(table).where(table.c.user_id == user_id)


def find(tx: Tx, user_id: int, key: int) -> Mapping[str, Any]:
    """One rule. Raises NotFound."""
    row = tx.row(of(user_id).where(table.c.rule_id == key))
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def create(tx: Tx, user_id: int, text: str) -> Mapping[str, Any]:
    """Save a new rule. Raises BadRequest."""
    _check(text)
    if len(strings(tx, user_id)) >= MOST:
        raise BadRequest({"strip_string": f"An account has at most {MOST} stripped strings."})
    made = table.insert().values(user_id=user_id, strip_string=text).returning(table.c.rule_id)
    return find(tx, user_id, int(tx.scalar(made)))


def update(tx: Tx, user_id: int, key: int, text: str) -> Mapping[str, Any]:
    """Change a rule. Raises NotFound, BadRequest."""
    find(tx, user_id, key)
    _check(text)
    tx.execute(table.update().where(table.c.rule_id == key).values(strip_string=text))
    return find(tx, user_id, key)


def delete(tx: Tx, user_id: int, key: int) -> None:
    """Remove a rule. Raises NotFound."""
    find(tx, user_id, key)
    tx.execute(table.delete().where(table.c.rule_id == key))


def strings(tx: Tx, user_id: int) -> Sequence[str]:
    """What is cut out of the mails of an account, the longest first: one may be part of another."""
    found = [str(row["strip_string"]) for row in tx.rows(of(user_id))]
    return sorted(found, key=len, reverse=True)


def _check(text: str) -> None:
    if not text.strip():
        raise BadRequest({"strip_string": required("strip_string")})
    if len(text) > LONGEST:
        raise BadRequest({"strip_string": f"Strip string must have at most {LONGEST} characters."})
