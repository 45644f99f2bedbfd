"""Rules of an account: stored, found, matched."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from heliograph.contacts import lists
from heliograph.db.engine import Tx
from heliograph.db.tables import rules
from heliograph.errors import NotFound
from heliograph.phone import identity
from heliograph.texts import folded, letters, words

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


def matching_inbound(
    tx: Tx, user_id: int, family: str, number: str, text: str, opting_out: Collection[str] = ()
) -> list[Mapping[str, Any]]:
    """The rules that an arriving text to this number meets, compared as `texts.folded` says.

    `opting_out` are the words that opt out, as letters: where one is the term of a rule into the Opt-Out List, it has
    to be a whole word.
    """
    heard, written_to = _Heard(text), identity(number)
    return [
        rule
        for rule in _enabled(tx, user_id, family)
        if identity(rule["dedicated_number"]) in ("*", written_to)
        and heard.meets(
            rule, whole_word=letters(rule["message_search_term"] or "") in opting_out and _opts_out(tx, rule)
        )
    ][:MOST_FIRING]


def _opts_out(tx: Tx, rule: Mapping[str, Any]) -> bool:
    into = str(lists.opt_out_list(tx, rule["user_id"]))
    return (rule["action"], rule["action_address"]) == ("MOVE_CONTACT", into)


_OPENING = "\"'`([{<\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\u300c\u300e\u00a1"
"""Quotes and brackets that people put around a word, as `texts.folded` leaves them."""


class _Heard:
    """An arriving text in the forms in which rules look at it."""

    def __init__(self, text: str) -> None:
        self._text = folded(text)
        self._bare = self._text.lstrip(_OPENING)
        self._words = f" {words(text)} "

    def meets(self, rule: Mapping[str, Any], *, whole_word: bool) -> bool:
        """message_search_type: 0 any, 1 starts with, 2 contains, 3 does not contain; no term keeps nothing out.

        Source: endpoint 153.
        """
        kind, term = rule["message_search_type"], folded(rule["message_search_term"] or "")
        if not term:
            return True
        if whole_word:
            word = f" {words(term)} "
            return (True, self._words.startswith(word), word in self._words, word not in self._words)[kind]
        starts = self._text.startswith(term) or self._bare.startswith(term)
        return (True, starts, term in self._text, term not in self._text)[kind]
