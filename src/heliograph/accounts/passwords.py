"""What a password must be. In production mode it is none of the commonest: those are what is guessed first."""

from functools import cache
from importlib.resources import files

SHORTEST, LONGEST = 4, 200
"""The document's own example has four characters, so sandbox mode takes it."""
SHORTEST_STRICT = 8
"""NIST SP 800-63B, 5.1.1.2; so is the comparison with common ones."""


def fault(password: str, strict: bool) -> str:
    """What is wrong with a password, or nothing; `strict` in production mode."""
    least = SHORTEST_STRICT if strict else SHORTEST
    if not least <= len(password) <= LONGEST:
        return f"Password must have {least} to {LONGEST} characters."
    if strict and password.strip().lower() in _common():
        return "Password is one of the commonest: choose another one."
    return ""


@cache
def _common() -> frozenset[str]:
    text = files("heliograph.accounts").joinpath("passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
