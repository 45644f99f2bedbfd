"""How work grows with a text, in time of the processor that this thread had: what others do counts for nothing."""

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

SLOW = 0.004
"""Seconds from which work is worth to be compared; less is noise."""


def work(call: Callable[[Any], Any], given: Any, times: int) -> float:
    """Seconds of the processor that a call takes, at best. The collector, which comes when it will, is off."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(times):
            begun = time.thread_time()
            call(given)
            best = min(best, time.thread_time() - begun)
    finally:
        gc.enable()
    return best


def grows_too_fast(call: Callable[[Any], Any], make: Callable[[int], Any], sizes: Iterable[int]) -> bool:
    """Whether four times the size is much more than four times the work; looked at where the work is noticeable."""
    for size in sizes:
        if work(call, make(size), 1) > SLOW and work(call, make(size), 5) > SLOW:
            return work(call, make(size), 5) > 9 * work(call, make(size // 4), 9)
    return False
