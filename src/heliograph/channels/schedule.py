"""The `schedule` of a message, as every channel reads it."""

FARTHEST = 124 * 24 * 3600
"""A schedule may lie four months ahead (facts F10)."""


def due(given: int | str | float | None, now: float) -> int | None:
    """Unix seconds; 0: now (not given, or a time that has passed); None: it cannot be used (facts F10, F11)."""
    if given is None or given in ("", 0):
        return 0
    try:
        at = int(float(given))
    except (ValueError, OverflowError):
        return None
    if at > now + FARTHEST or at < 0:
        return None
    return at if at > now else 0
