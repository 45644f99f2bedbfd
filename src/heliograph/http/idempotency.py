"""Idempotency-Key: a repeated request gets the first answer again and does nothing. An addition to the contract."""

import hashlib

from heliograph.db.engine import Tx
from heliograph.db.tables import idempotency
from heliograph.errors import BadRequest, Conflict
from heliograph.http.request import Request

LIFE = 24 * 3600
LONGEST = 255


def key_of(req: Request) -> str | None:
    """The key of a request that spends, or None. Raises BadRequest."""
    key = req.header("idempotency-key").strip()
    if len(key) > LONGEST or "\x00" in key:
        raise BadRequest({"Idempotency-Key": f"Idempotency-Key must be at most {LONGEST} characters."})
    return key if key and req.route.spends else None


def _fingerprint(req: Request) -> str:
    head = f"{req.route.method} {req.route.paths[0]} {sorted(req.params.items())}\n".encode()
    return hashlib.sha256(head + req.body).hexdigest()


def recall(tx: Tx, req: Request, key: str) -> bytes | None:
    """The answer that this key had, or None. Raises Conflict when it was another request."""
    row = tx.driver(
        "SELECT fingerprint, answer, created_at FROM idempotency WHERE user_id = ? AND key = ?",
        [req.who.user_id, key],
    ).fetchone()
    if row is None or row[2] < tx.now - LIFE:
        return None
    if row[0] != _fingerprint(req):
        raise Conflict("This Idempotency-Key was used for another request.")
    return str(row[1]).encode()


def remember(tx: Tx, req: Request, key: str, answer: bytes) -> None:
    """Keep the answer for a day."""
    tx.execute(idempotency.delete().where(idempotency.c.user_id == req.who.user_id, idempotency.c.key == key))
    tx.execute(
        idempotency.insert().values(
            user_id=req.who.user_id,
            key=key,
            fingerprint=_fingerprint(req),
            answer=answer.decode(),
            created_at=tx.now,
        )
    )


def prune(tx: Tx) -> None:
    """Forget answers older than a day."""
    tx.execute(idempotency.delete().where(idempotency.c.created_at < tx.now - LIFE))
