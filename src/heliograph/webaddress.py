"""What a web address looks like."""

from yarl import URL

LONGEST_URL = 2000
"""Characters of a URL that a customer gives."""


def problem(url: str) -> str | None:
    """What is wrong with the form of a URL, in one sentence; None when it is a web address. Looks nothing up.

    Only http and https are: anything else (javascript:, data:, file:) would run or open what its sender wants.
    """
    if len(url) > LONGEST_URL:
        return f"The URL is longer than {LONGEST_URL} characters."
    if any(character <= " " or character == "\x7f" for character in url):
        return "The URL has spaces or control characters."
    try:
        parsed = URL(url)
    except ValueError:
        return "The URL is malformed."
    if not parsed.scheme:
        return "The URL has no scheme: it must start with http:// or https://."
    if parsed.scheme not in ("http", "https"):
        return "The scheme of the URL must be http or https."
    if not parsed.raw_host:
        return "The URL has no host."
    return None
