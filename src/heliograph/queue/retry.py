"""When to try again. Pure."""

FIRST = 5.0
LONGEST = 900.0


def pause(attempt: int, asked: float = 0.0) -> float:
    """Seconds until the next try after `attempt` (from 1): doubling from 5 s to 15 min, and never less than asked."""
    return max(asked, min(FIRST * 2 ** (attempt - 1), LONGEST) if attempt > 1 or not asked else asked)
