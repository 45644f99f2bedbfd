"""A template as a page for a browser: cleaned, in a frame without rights, under a policy that lets nothing be loaded
but pictures. Each of the three walls would do.

The house fetches nothing that a body names. Style sheets elsewhere are no part of what is shown: `<link>` is taken out,
and the policy (Content Security Policy Level 3, 6.1.13) stops `@import`.
"""

from html import escape

import nh3

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
_STYLE = "html,body{margin:0;height:100%}iframe{display:block;border:0;width:100%;height:100%}"

_cleaner = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS | {"style", "font"},
    clean_content_tags={"script", "title", "noscript"},
    attributes={
        "*": {"style", "class", "align", "valign", "bgcolor", "width", "height", "dir", "lang", "role", "title"},
        "table": {"border", "cellpadding", "cellspacing"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan"},
        "style": {"media"},
        "font": {"color", "face", "size"},
        "a": {"href", "target"},
        "img": {"src", "alt", "border"},
    },
    url_schemes={"http", "https", "mailto", "tel", "data"},
)


def cleaned(html: str) -> str:
    """A body without what a mail reader would not show: scripts, handlers, forms, frames, sheets from elsewhere.

    The body is one without a fault (mail/bounds.py). Not on the event loop: large ones take a while.
    """
    return _cleaner.clean(html)


def page(name: str, html: str) -> str:
    """The page that shows a body under its name."""
    inner = f"<!doctype html>{_HEAD}{cleaned(html)}"
    return (
        f'<!doctype html>\n<html lang="en">\n{_HEAD}\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(name)}</title>\n<style>{_STYLE}</style>\n"
        f'<iframe sandbox title="{escape(name)}" srcdoc="{escape(inner)}"></iframe>\n</html>\n'
    )
