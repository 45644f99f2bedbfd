"""What readers do with the mails of a campaign: stored for each mail, added up for the campaign."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx

Kind = Literal["open", "prefetch", "click", "unsubscribe"]
OPEN: Kind = "open"
"""Its pictures were shown."""
PREFETCH: Kind = "prefetch"
"""A mail program has fetched its pictures when it came, whoever reads it."""
CLICK: Kind = "click"
UNSUBSCRIBE: Kind = "unsubscribe"

ROWS_A_STATEMENT = 500
_COLUMNS = ("campaign_id", "message_id", "kind", "number", "count", "first_at", "last_at")
_ADD = (
    " ON CONFLICT (campaign_id, message_id, kind, number)"
    " DO UPDATE SET count = email_uses.count + excluded.count, last_at = excluded.last_at"
)


class Use(NamedTuple):
    """One time that something was done with a mail of a campaign. `number` is a link's, 0 for other kinds."""

    campaign_id: int
    message_id: str
    kind: Kind
    number: int
    at: int


def add(tx: Tx, uses: Iterable[Use]) -> list[Use]:
    """Store what was done and add it up; what was done for the first time with a mail, or with a link of it."""
    groups: defaultdict[tuple[int, Kind], dict[tuple[str, int], list[Use]]] = defaultdict(lambda: defaultdict(list))
    for use in uses:
        groups[use.campaign_id, use.kind][use.message_id, use.number].append(use)
    first: list[Use] = []
    for (campaign_id, kind), group in sorted(groups.items()):  # in one order, so that nobody waits in a circle
        first += _add(tx, campaign_id, kind, group)
    return first


def is_known(tx: Tx, campaign_id: int, message_id: str, kind: Kind) -> bool:
    """Whether this was done with a mail before."""
    text = "SELECT 1 FROM email_uses WHERE campaign_id = ? AND message_id = ? AND kind = ?"
    return tx.driver(text, (campaign_id, message_id, kind)).fetchone() is not None


def _add(tx: Tx, campaign_id: int, kind: Kind, group: Mapping[tuple[str, int], Sequence[Use]]) -> list[Use]:
    """The sum comes first: its row is the lock, so that no two processes find the same mail new."""
    tx.driver(
        "INSERT INTO email_totals (campaign_id, kind, total, mails) VALUES (?, ?, ?, 0)"
        " ON CONFLICT (campaign_id, kind) DO UPDATE SET total = email_totals.total + excluded.total",
        (campaign_id, kind, sum(map(len, group.values()))),
    )
    mails = {message_id for message_id, _ in group}
    text = "SELECT message_id, number FROM email_uses WHERE campaign_id = ? AND kind = ? AND message_id IN ({})"
    known = {(row[0], row[1]) for row in tx.driver_in(text, (campaign_id, kind), mails)}
    fresh = mails - {message_id for message_id, _ in known}
    if fresh:
        tx.driver(
            "UPDATE email_totals SET mails = mails + ? WHERE campaign_id = ? AND kind = ?",
            (len(fresh), campaign_id, kind),
        )
    _store(tx, [(campaign_id, key[0], kind, key[1], len(of), of[0].at, of[-1].at) for key, of in sorted(group.items())])
    return [of[0] for key, of in group.items() if key not in known]


def _store(tx: Tx, rows: Sequence[Sequence[object]]) -> None:
    one = f"({','.join('?' * len(_COLUMNS))})"
    for chunk in chunks(rows, ROWS_A_STATEMENT):
        places = ",".join([one] * len(chunk))
        text = f"INSERT INTO email_uses ({','.join(_COLUMNS)}) VALUES {places}{_ADD}"  # noqa: S608
        tx.driver(text, [value for row in chunk for value in row])
