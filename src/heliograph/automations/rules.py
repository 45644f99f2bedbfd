"""Rules of an account: stored, found, matched."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from heliograph.db.engine import Tx
from heliograph.db.tables import rules
from heliograph.errors import NotFound
from heliograph.phone import identity

MOST_FIRING = 10
"""At most this many matching rules fire for one event, in the order of their making (facts D9, E)."""

NO_RECORD = "Rule record not found."


def of(user_id: int, family: str) -> Select[Any]:
    """The rules of a family, to search and page through."""
    return select(rules).where(rules.c.user_id == user_id, rules.c.family == family)


def _mine(user_id: int, family: str, key: int) -> Any:
    return (rules.c.user_id == user_id) & (rules.c.family == family) & (rules.c.rule_id == key)


def find(tx: Tx, user_id: int, family: str, key: int) -> Mapping[str, Any]:
    """One rule. Raises NotFound."""
    row = tx.row(select(rules).where(_mine(user_id, family, key)))
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def create(tx: Tx, user_id: int, family: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Save a new rule."""
    filled = {"match_type": 0, "dedicated_number": "*", "message_search_type": 0, "enabled": 1, **values}
    tx.memo.pop(_memo(user_id, family), None)
    key = tx.scalar(rules.insert().values(user_id=user_id, family=family, **filled).returning(rules.c.rule_id))
    return find(tx, user_id, family, int(key))


def update(tx: Tx, user_id: int, family: str, key: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Change what is given of a rule. Raises NotFound."""
    if values:
        tx.memo.pop(_memo(user_id, family), None)
        tx.execute(rules.update().where(_mine(user_id, family, key)).values(**values))
    return find(tx, user_id, family, key)


def delete(tx: Tx, user_id: int, family: str, key: int) -> None:
    """Remove a rule. Raises NotFound."""
    tx.memo.pop(_memo(user_id, family), None)
    if not tx.execute(rules.delete().where(_mine(user_id, family, key))).rowcount:
        raise NotFound(NO_RECORD)


def _memo(user_id: int, family: str) -> tuple[str, int, str]:
    return ("rules", user_id, family)


def _enabled(tx: Tx, user_id: int, family: str) -> Sequence[Mapping[str, Any]]:
    """The enabled rules in the order of their making; looked up once a transaction."""
    memo = _memo(user_id, family)
    if memo not in tx.memo:
        wanted = of(user_id, family).where(rules.c.enabled == 1).order_by(rules.c.rule_id)
        tx.memo[memo] = tx.rows(wanted)
    found: Sequence[Mapping[str, Any]] = tx.memo[memo]
    return found


def matching_receipt(tx: Tx, user_id: int, family: str, code: str) -> list[Mapping[str, Any]]:
    """The rules that a receipt of this status code meets.

    match_type 0 is every receipt; 1 delivered, 2 failed, 3 any other. Other numbers match nothing (facts E).
    """
    kind = {"201": 1, "301": 2}.get(code, 3)
    return [rule for rule in _enabled(tx, user_id, family) if rule["match_type"] in (0, kind)][:MOST_FIRING]


def matching_inbound(tx: Tx, user_id: int, family: str, number: str, text: str) -> list[Mapping[str, Any]]:
    """The rules that an arriving text to this number meets; case does not matter."""
    body, written_to = text.strip().lower(), identity(number)
    return [
        rule
        for rule in _enabled(tx, user_id, family)
        if identity(rule["dedicated_number"]) in ("*", written_to)
        and _found(rule["message_search_type"], (rule["message_search_term"] or "").strip().lower(), body)
    ][:MOST_FIRING]


def _found(kind: int, term: str, body: str) -> bool:
    """message_search_type: 0 any, 1 starts with, 2 contains, 3 does not contain; no term keeps nothing out.

    Source: endpoint 153.
    """
    return not term or (True, body.startswith(term), term in body, term not in body)[kind]
