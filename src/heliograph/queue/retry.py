"""When to try again. Pure."""

FIRST = 5.0
LONGEST = 300.0


def pause(attempt: int, asked: float = 0.0) -> float:
    """Seconds until the next try after `attempt` (from 1): what was asked (or 5 s), doubling up to 5 minutes."""
    first = asked or FIRST
    doubled: float = first * 2 ** min(attempt - 1, 30)
    return max(first, min(doubled, LONGEST))
