"""Recipients and senders of the channels that write to telephones: numbers in E.164, short codes, names."""

import re
import zlib
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from heliograph import countries, phone
from heliograph.accounts.account import Principal
from heliograph.accounts.countries import selection
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.messaging.channel import Draft, Order
from heliograph.numbers import number
from heliograph.settings import Settings

NO_COUNTRY = "001"
"""What satellite and other global networks have for a country: there is no price for it."""

LONGEST_SHORT_CODE = 6
LONGEST_KNOWN = 40
"""Characters of a sender that is remembered."""
_SHORT_CODE = re.compile(rf"[0-9]{{1,{LONGEST_SHORT_CODE}}}")
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9._&'+*#@!?-]{1,11}", re.ASCII)

_NO_NAME = re.compile(r"\+[0-9]+|[0-9.]+E\+[0-9]+", re.IGNORECASE)
"""What has the characters of a name, but is a number that is too short, or one that a spreadsheet has rounded."""


class Telephone:
    """Fills the addresses of drafts in. It knows the settings; the database is asked by `judge`."""

    def __init__(self, settings: Settings) -> None:
        self._home_only = settings.countries == "home"
        self._shared: dict[str, list[str]] = {}
        for given in filter(None, (part.strip() for part in settings.shared_senders.split(","))):
            known = phone.parse(given)
            self._shared.setdefault(known.country if known else "", []).append(known.number if known else given)
        self.shared = [sender for senders in self._shared.values() for sender in senders]

    def address(self, draft: Draft, who: Principal, given: Any) -> str | None:
        """Fill recipient, country, carrier and sender of a draft in; the first reason to refuse it (facts B).

        `given` has `to`, `list_id` and `country`, as a request does.
        """
        if given.list_id is not None and not given.to:
            # It stands for the whole list until channels/audience.py has found it in the account.
            return Status.NOT_ENOUGH_PERMISSION_TO_LIST_ID
        if not given.to:
            return Status.MISSING_REQUIRED_FIELDS
        found = recipient(given, who)
        if found is None or found.country == NO_COUNTRY:
            return Status.INVALID_RECIPIENT
        draft.recipient, draft.country = found.number, found.country
        draft.carrier = phone.carrier(found)
        sender = self._sender(draft, who)
        if sender is None:
            return Status.INVALID_SENDER_ID
        draft.sender = sender
        if not selection.allows(who, draft.country, self._home_only):
            draft.units = 0
            return Status.COUNTRY_NOT_ENABLED
        return None

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        """Refuse the senders that belong to other accounts."""
        _refuse_foreign(tx, orders, self.shared)

    def _sender(self, draft: Draft, who: Principal) -> str | None:
        """The sender ID as it goes out, None for an invalid one (facts F1, F2). Numbers are in E.164, national ones are
        those of the account's country.

        When none is given, a number that the account has bought, one of the recipient's country if there is one; an
        account without numbers shares those of the house.
        """
        given, own = draft.sender.strip(), who.numbers
        if not given:
            near = [one for one in own if _country(one) == draft.country] if own else []
            pool = near or own or self._shared.get(draft.country) or self.shared
            return pool[zlib.crc32(draft.recipient.encode()) % len(pool)] if pool else None
        return _named_before(given, who.country) if len(given) <= LONGEST_KNOWN else _named(given, who.country)


def recipient(given: Any, who: Principal) -> phone.Phone | None:
    """The number that a request's `to` means: a national one is of its `country`, or of the account's."""
    country = (given.country or "").strip()
    return phone.parse(given.to, countries.code(country) if country else who.country)


def _named(given: str, country: str) -> str | None:
    """A sender that is given, as it goes out; None for an invalid one."""
    compact = re.sub(r"[\s()-]", "", given)
    if _SHORT_CODE.fullmatch(compact):
        return compact
    if sum(map(str.isdecimal, given)) > LONGEST_SHORT_CODE and not any(map(str.isalpha, given)):
        known = phone.parse(given, country)
        return known.number if known else None
    return given if _ALPHANUMERIC.fullmatch(given) and not _NO_NAME.fullmatch(given) else None


_named_before = lru_cache(maxsize=4096)(_named)
"""Most messages of a request, and of an account, have the same sender; to read it is half of what a draft costs."""


def _country(text: str) -> str:
    known = phone.parse(text)
    return known.country if known else ""


def _refuse_foreign(tx: Tx, orders: Sequence[Order], shared: Collection[str]) -> None:
    """Refuse the drafts whose sender is the dedicated number of another account: it would get the replies.

    `shared` are the senders that nobody can buy.
    """
    named = [
        (order, sender, known.number)
        for order in orders
        for sender in {draft.sender for draft in order.drafts}.difference(shared)
        if (known := phone.parse(sender, order.principal.country)) and known.number not in order.principal.numbers
    ]
    owners = number.owners(tx, {e164 for _, _, e164 in named})
    for order, sender, e164 in named:
        mine = order.principal.user_id
        if owners.get(e164, mine) != mine:
            for draft in order.drafts:
                if draft.sender == sender and draft.refusal is None:
                    draft.refusal = Status.INVALID_SENDER_ID
