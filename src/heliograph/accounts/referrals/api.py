"""HTTP shape of the referral section (endpoint 119)."""

from heliograph.accounts.referrals import referral
from heliograph.http import paging, search
from heliograph.http.request import Reply, Request


def view(req: Request) -> Reply:
    """119. The accounts that this one has referred."""
    shown = paging.window(req)
    base = referral.of(req.who.user_id)
    total, rows = search.rows(req, base, referral.COLUMNS, shown, default=("referral_rule_id", False))
    return Reply(paging.page(req, shown, total, rows, dict))
