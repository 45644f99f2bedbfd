"""Idempotency-Key: a repeated request gets the first answer again and does nothing. An addition to the contract."""

import hashlib

from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import idempotency
from heliograph.errors import BadRequest, Conflict
from heliograph.http.request import Request

LIFE = 24 * 3600
LONGEST = 255
SLICE = 500


def key_of(req: Request) -> str | None:
    """The key of a request that spends, or None. Raises BadRequest."""
    key = req.header("idempotency-key").strip() if req.route.endpoint.spends else ""
    if len(key) > LONGEST or "\x00" in key:
        raise BadRequest({"Idempotency-Key": f"Idempotency-Key must be at most {LONGEST} characters."})
    return key or None


def _fingerprint(req: Request) -> str:
    head = f"{req.route.method} {req.route.paths[0]} {sorted(req.params.items())}\n".encode()
    return hashlib.sha256(head + req.body).hexdigest()


def recall(tx: Tx, req: Request, key: str) -> bytes | None:
    """The answer that this key had; None when the request is the first with it, and then the key is taken.

    A request that takes a key holds it until its transaction ends: one in another process waits for it here.
    Raises Conflict when the key had another request.
    """
    row_key = [req.who.user_id, key]
    tx.driver("DELETE FROM idempotency WHERE user_id = ? AND key = ? AND created_at < ?", [*row_key, tx.now - LIFE])
    taken = tx.driver(
        "INSERT INTO idempotency (user_id, key, fingerprint, answer, created_at) VALUES (?, ?, ?, '', ?)"
        " ON CONFLICT (user_id, key) DO NOTHING",
        [*row_key, _fingerprint(req), tx.now],
    ).rowcount
    if taken:
        return None
    fingerprint, answer = tx.driver(
        "SELECT fingerprint, answer FROM idempotency WHERE user_id = ? AND key = ?", row_key
    ).fetchone()
    if fingerprint != _fingerprint(req):
        raise Conflict("This Idempotency-Key was used for another request.")
    return str(answer).encode()


def remember(tx: Tx, req: Request, key: str, answer: bytes) -> None:
    """Keep the answer for a day, under the key that `recall` has taken."""
    tx.driver(
        "UPDATE idempotency SET answer = ? WHERE user_id = ? AND key = ?", [answer.decode(), req.who.user_id, key]
    )


def prune(tx: Tx) -> bool:
    """Forget a slice of the answers older than a day; whether more may be left."""
    old = select(idempotency.c.user_id, idempotency.c.key).where(idempotency.c.created_at < tx.now - LIFE)
    rows = tx.rows(old.order_by(idempotency.c.created_at).limit(SLICE))
    for row in rows:
        tx.driver("DELETE FROM idempotency WHERE user_id = ? AND key = ?", [row["user_id"], row["key"]])
    return len(rows) == SLICE
