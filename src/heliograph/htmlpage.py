"""The few pages that strangers see: one column that fits a telephone, nothing loaded, nothing run."""

import base64
import hashlib

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from heliograph.errors import DatabaseAway

STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 32rem; padding: 1.5rem 1.25rem; font: 1.0625rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; }
p { overflow-wrap: anywhere; }
button { width: 100%; min-height: 3rem; padding: .75rem; border: 0; border-radius: .5rem; font: inherit;
  font-weight: 600; color: #fff; background: #0b5cad; }
button:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px; }
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    # `form-action 'self'`: the button. Nothing else is loaded, run or framed.
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}


def page(title: str, body: str, status: int = 200, more: dict[str, str] | None = None) -> Response:
    """A page; `title` and `body` are HTML."""
    text = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
    )
    return HTMLResponse(text, status, HEADERS | (more or {}))


def away(status: int, headers: dict[str, str]) -> Response:
    """What there is while the database is away."""
    return page("Not now", "<p>The server is busy with itself. Please try again in a moment.</p>", status, headers)


def wrong_verb(allowed: str) -> Response:
    """What there is for a request that does not fit."""
    return page("This cannot be done here", "<p>Please open the link.</p>", 405, {"allow": allowed})


class ButtonPage:
    """A page with one button, behind a link out of a mail.

    Scanners of mail follow links, so that a GET shows the button and changes nothing. It works without JavaScript.
    """

    async def question(self, request: Request) -> tuple[str, str] | None:
        """Title and HTML of the page, with the button (`button`); None when the link is good for nothing."""
        raise NotImplementedError

    async def press(self, request: Request) -> str | None:
        """The button was pressed: the HTML that says what was done; None when the link is good for nothing."""
        raise NotImplementedError

    async def answer(self, request: Request) -> Response:
        """GET shows the page, POST is the button."""
        try:
            if request.method == "POST":
                done = await self.press(request)
                return page("Thank you", done) if done is not None else _useless()
            asked = await self.question(request)
        except DatabaseAway as gone:
            return away(gone.status, gone.headers)
        return page(*asked) if asked is not None else _useless()


def button(text: str) -> str:
    """The button, with this text."""
    return f'<form method="post"><button>{text}</button></form>\n'


def _useless() -> Response:
    text = "<p>It is not known here, was used already, or is too old.</p>"
    return page("This link does not work", text, 404)
