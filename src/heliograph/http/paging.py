"""Pages: `page` and `limit` in, the eight paging keys out. Source: api-v3, "Pagination"; facts A15, A16."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from heliograph.errors import BadRequest, label
from heliograph.fields import about
from heliograph.http.request import Request

T = TypeVar("T")
SMALLEST, LARGEST = 15, 100
FARTHEST = 10**9
_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}").fullmatch


class Window(msgspec.Struct, frozen=True):
    """Which rows a page shows: `limit` rows after `offset`."""

    page: int
    limit: int

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.page - 1) * self.limit


class Page(msgspec.Struct, kw_only=True):
    """The `data` of every list endpoint."""

    total: Annotated[int, about("How many records there are, or how many the search found.")]
    per_page: Annotated[int, about("The limit in force.", SMALLEST)]
    current_page: Annotated[int, about("The number of this page.", 1)]
    last_page: Annotated[int, about("The number of the last page; 0 when there are no records.")]
    next_page_url: Annotated[str | None, about("Where the next page is.", None)]
    prev_page_url: Annotated[str | None, about("Where the page before is.", None)]
    from_: Annotated[int, about("The place of the first record shown; 0 when there is none.")] = msgspec.field(
        name="from"
    )
    to: Annotated[int, about("The place of the last record shown; 0 when there is none.")]
    data: list[Any]


def window(req: Request) -> Window:
    """The page that is asked for. `limit` is clamped to 15..100; a page below 1 is page 1. Raises BadRequest."""
    return Window(max(1, _whole(req, "page", 1)), min(max(_whole(req, "limit", SMALLEST), SMALLEST), LARGEST))


def cut(req: Request, rows: Sequence[T]) -> Sequence[T]:
    """What a list without paging keys shows: all, or with `page` or `limit` a slice. Raises BadRequest."""
    if not (req.query.get("page") or req.query.get("limit")):
        return rows
    shown = window(req)
    return rows[shown.offset : shown.offset + shown.limit]


def _whole(req: Request, name: str, default: int) -> int:
    text = req.query.get(name, "").strip()
    if not text:
        return default
    if not _INTEGER(text):
        raise BadRequest({name: f"{label(name)} must be an integer."})
    return max(-FARTHEST, min(int(text), FARTHEST))


def page(
    req: Request,
    window: Window,
    total: int,
    rows: Sequence[Mapping[str, Any]],
    render: Callable[[Mapping[str, Any]], Any],
) -> Page:
    """The `data` of a list endpoint."""
    last = -(-total // window.limit)
    return Page(
        total=total,
        per_page=window.limit,
        current_page=window.page,
        last_page=last,
        next_page_url=_url(req, window, window.page + 1) if window.page < last else None,
        prev_page_url=_url(req, window, min(window.page - 1, last)) if window.page > 1 and last else None,
        from_=window.offset + 1 if rows else 0,
        to=window.offset + len(rows) if rows else 0,
        data=[render(row) for row in rows],
    )


def _url(req: Request, window: Window, number: int) -> str:
    path = "/v3" + req.route.paths[0]
    for name, value in req.params.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return f"{req.base_url}{path}?{urlencode({**req.query, 'page': number, 'limit': window.limit})}"
