"""What the readers of campaign mails do: whether it was a person, and what is counted and told of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.links import judge
from heliograph.links.notes import Notes
from heliograph.mail import suppressions, uses
from heliograph.mail.uses import CLICK, OPEN, PREFETCH, UNSUBSCRIBE, Kind, Use

Record = Callable[[Tx, Sequence[tuple[int, str, str, str]]], None]
"""Appends to timelines: (user_id, message_id, status, detail)."""

HANDED_OVER = "Sent"
"""Status of the line in a timeline when a host has taken the mail."""
PROXIES = ("GoogleImageProxy", "YahooMailProxy")
"""They fetch a picture when a person opens the mail, and give their own name: lists of crawlers have it."""
APPLE = "Mozilla/5.0"
"""All that Apple's Mail Privacy Protection says of itself."""
PREFETCHED = 600.0
"""Seconds after the hand-over within which Apple's request is for the mail, and not for its reader."""
AT_ONCE = 1.0
"""Seconds after the hand-over, and between two links of one mail, in which only a scanner can be."""

LINES: Mapping[Kind, tuple[str, str]] = {
    OPEN: ("Opened", "The mail was opened: its picture was shown."),
    PREFETCH: ("Fetched", "The recipient's mail program has fetched the picture in advance. That is no opening."),
    CLICK: ("Clicked", "Link {number} of the mail was opened."),
    UNSUBSCRIBE: ("Unsubscribed", "The recipient has unsubscribed. No campaign goes to this address any more."),
}
"""Status and text in the timeline of a message, the first time that it happens."""


class Seen(NamedTuple):
    """A request that was answered. `at` is Unix time."""

    at: float
    kind: Kind
    message_id: str
    number: int
    agent: str


class Mailed(NamedTuple):
    """A message of a campaign. `handed` is when its host took it, in Unix time; None: it has not said so, or that
    was not looked up.
    """

    user_id: int
    campaign_id: int
    recipient: str
    handed: float | None = None


class Readers(Notes[Seen, Seen]):
    """What readers did, on its way to the database; gathered so long that what a scanner does is seen together."""

    name = "readers"
    longer = AT_ONCE

    def __init__(self, database: Database, record: Record) -> None:
        super().__init__(database)
        self._record = record

    def note(self, kind: Kind, message_id: str, number: int, headers: Mapping[bytes, bytes]) -> None:
        """Take note of a GET for the picture or a link. Does nothing that takes time."""
        if not judge.is_ahead(headers):
            self.add(Seen(self._database.clock(), kind, message_id, number, judge.agent(headers)))

    def judged(self, batch: Sequence[Seen]) -> list[Seen]:
        """Those of programs in which people read mails, or of which one cannot tell."""
        return [seen for seen in batch if is_reader(seen.kind, seen.agent)]

    def store(self, tx: Tx, rows: Sequence[Seen]) -> None:
        """Count what people did, and tell of what is done for the first time."""
        found = handed_over(tx, mails(tx, {seen.message_id for seen in rows}))
        self._record(tx, lines(uses.add(tx, counted(rows, found)), found))


def is_reader(kind: Kind, agent: str) -> bool:
    """Whether a User-Agent may be a person's, or fetches a picture for one."""
    return (kind == OPEN and any(name in agent for name in PROXIES)) or judge.client(agent) is not None


def counted(seen: Sequence[Seen], known: Mapping[str, Mailed]) -> list[Use]:
    """What is counted of it: not what comes before the mail can have been seen, nor several links at a time."""
    hasty = _hasty(seen)
    found = []
    for one in seen:
        mail = known.get(one.message_id)
        if mail is None:
            continue
        since = -1.0 if mail.handed is None else one.at - mail.handed
        fetched = one.kind == OPEN and one.agent.strip() == APPLE and since <= PREFETCHED
        if fetched or (since > AT_ONCE and (one.kind != CLICK or one.message_id not in hasty)):
            kind = PREFETCH if fetched else one.kind
            found.append(Use(mail.campaign_id, one.message_id, kind, one.number, int(one.at)))
    return found


def _hasty(seen: Sequence[Seen]) -> set[str]:
    """Messages of which two different links were opened within AT_ONCE: something follows all that there are."""
    clicks: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in seen:
        if one.kind == CLICK:
            clicks[one.message_id].append((one.at, one.number))
    return {
        message_id
        for message_id, times in clicks.items()
        if any(
            later[0] - earlier[0] <= AT_ONCE and later[1] != earlier[1]
            for earlier, later in zip(sorted(times), sorted(times)[1:], strict=False)
        )
    }


def mails(tx: Tx, message_ids: Iterable[str]) -> dict[str, Mailed]:
    """Those messages that are mails of a campaign, by id."""
    text = (
        "SELECT message_id, user_id, campaign_id, recipient FROM messages"
        " WHERE channel = 'email' AND campaign_id IS NOT NULL AND message_id IN ({})"
    )
    return {row[0]: Mailed(*row[1:]) for row in tx.driver_in(text, [], message_ids)}


def handed_over(tx: Tx, known: Mapping[str, Mailed]) -> dict[str, Mailed]:
    """The same mails, with the time when their hosts took them."""
    by_user: defaultdict[int, list[str]] = defaultdict(list)
    for message_id, mail in known.items():
        by_user[mail.user_id].append(message_id)
    text = (
        "SELECT message_id, MIN(seq) FROM message_events WHERE user_id = ? AND status = ? AND message_id IN ({})"
        " GROUP BY message_id"
    )
    found = dict(known)
    for user_id, ids in by_user.items():
        for message_id, seq in tx.driver_in(text, [user_id, HANDED_OVER], ids):
            found[message_id] = known[message_id]._replace(handed=int(seq) / 1e9)
    return found


def lines(first: Iterable[Use], known: Mapping[str, Mailed]) -> list[tuple[int, str, str, str]]:
    """What timelines say of what was done for the first time."""
    told = []
    for use in first:
        status, text = LINES[use.kind]
        told.append((known[use.message_id].user_id, use.message_id, status, text.format(number=use.number + 1)))
    return told


def unsubscribe(tx: Tx, message_id: str, record: Record) -> bool:
    """The recipient of a campaign's mail wants no more campaigns of its account; False: there is no such mail.

    Asking again changes nothing, unless the address was taken off the list meanwhile.
    """
    found = mails(tx, [message_id])
    if message_id not in found:
        return False
    mail = found[message_id]
    if suppressions.is_stored(mail.recipient):
        suppressions.add(tx, mail.user_id, [mail.recipient], suppressions.UNSUBSCRIBE, message_id=message_id)
    if not uses.is_known(tx, mail.campaign_id, message_id, UNSUBSCRIBE):
        record(tx, lines(uses.add(tx, [Use(mail.campaign_id, message_id, UNSUBSCRIBE, 0, tx.now)]), found))
    return True
