"""Query parameters that many endpoints have. Those of one feature stand beside its handlers."""

from heliograph.http import loose, search
from heliograph.http.route import Query


def unix_time(name: str, text: str) -> Query:
    """A parameter that `Request.unix_time` reads."""
    return Query(name, text, {"type": "integer", "minimum": -loose.LARGEST, "maximum": loose.LARGEST})


PAGING = (
    Query("page", "Number of the page; less than 1 is 1.", {"type": "integer", "default": 1}),
    Query(
        "limit",
        "Records on a page, from 15 to 100; what lies outside is moved to the nearer end.",
        {"type": "integer", "default": 15},
    ),
)

SEARCHING = (
    Query(
        "q",
        "Search: `field:value` pairs with commas between, in any case; `*` stands for any text, and a backslash takes "
        "the meaning of a comma, a star or a backslash away. Fields that are unknown or have no value filter nothing; "
        "`x-search-ignored` names them.",
        {"type": "string", "maxLength": search.LONGEST},
    ),
    Query(
        "operator",
        "Whether all pairs of `q` must be met or one of them, in any case.",
        {"type": "string", "enum": ["AND", "OR"], "default": "AND"},
    ),
    Query(
        "order_by",
        "Sort: `field:asc` or `field:desc`; several with commas between, the first one first. Unknown fields are "
        "ignored as those of `q` are.",
        {"type": "string", "maxLength": search.LONGEST},
    ),
)

DATES = (
    unix_time("date_from", "Unix time in seconds; older records are left out."),
    unix_time("date_to", "Unix time in seconds; newer records are left out."),
)
