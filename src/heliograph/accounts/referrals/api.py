"""HTTP shape of the referral section (endpoint 119)."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.accounts.referrals import referral
from heliograph.fields import UnixTime, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request


class Referral(msgspec.Struct):
    """An account that was referred (119). The official client spells its id with one r less."""

    referral_rule_id: int
    referred_user_id: int
    refered_user_id: int
    date_referred: UnixTime
    percentage_referral: Annotated[int, about("Percent of what it spends on messages that is earned.", 5)]


@endpoint("Here are your referrals.", Referral, paged=True)
def view(req: Request) -> Reply:
    """View the accounts that this one has referred."""
    base = referral.of(req.who.user_id)
    return search.page(req, base, referral.COLUMNS, ("referral_rule_id", False), _entry)


def _entry(row: Mapping[str, Any]) -> Referral:
    return Referral(**row, refered_user_id=row["referred_user_id"])
