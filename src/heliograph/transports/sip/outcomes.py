"""What the end of a call means for its message. Pure: the table of docs/voice.md."""

from heliograph.transports.base import Failed, Outcome, Retry, Sent
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.orders import Ended

BUSY = frozenset({486, 600})
NO_ANSWER = frozenset({408, 480, 487})
DECLINED = frozenset({603, 607, 608})
NO_SUCH_NUMBER = frozenset({404, 410, 484, 604})
OUR_FAULT = frozenset({401, 403, 407, 488})
"""Final responses of a call (RFC 3261, 21; RFC 8197, RFC 8688)."""

AWAY = 1.0
"""Seconds after which a message that found the trunk away is looked at again."""


def is_away(ended: Ended) -> bool:
    """Whether the trunk, and not the person, is why a call was not answered."""
    if ended.how == "silent":
        return True
    return ended.how == "refused" and (ended.status in OUR_FAULT or ended.status < 300 or 500 <= ended.status < 600)


def away(why: str) -> Retry:
    """The trunk is not there: this was no try."""
    return Retry(AWAY, why, waiting=True)


def outcome(ended: Ended, attempt: int, options: SipOptions) -> Outcome:
    """What is to be recorded. `attempt` is the number of this call, from 1."""
    if is_away(ended):
        return away(said(ended))
    if ended.how in ("played", "hung up", "too long"):
        details = {"digits": ended.digits, "machine_detected": int(ended.machine)}
        return Sent(detail=said(ended), arrived=True, details=details)
    final = ended.status in DECLINED or ended.status in NO_SUCH_NUMBER
    if final or attempt >= options.tries:
        return Failed(ended.status or None, said(ended))
    return Retry(options.pause, said(ended), ended.status or None, maybe_sent=ended.how == "lost")


def lost(why: str, attempt: int, options: SipOptions) -> Outcome:
    """What is to be recorded of a call of which nobody knows how it went."""
    return Failed(None, why) if attempt >= options.tries else Retry(options.pause, why, maybe_sent=True)


def said(ended: Ended) -> str:
    """How a call went, for the customer to read."""
    if ended.how == "silent":
        return "the trunk does not answer"
    if ended.how in ("played", "hung up", "too long"):
        who = "answered by a machine" if ended.machine else "answered"
        end = {"played": "", "hung up": ", then hung up", "too long": ", then the longest time was over"}[ended.how]
        keys = f", pressed {ended.digits}" if ended.digits else ""
        return f"{who}, heard {ended.heard:.1f} of {ended.spoken:.1f} s{end}{keys}"
    if ended.how == "lost":
        return f"the sound stopped after {ended.heard:.1f} of {ended.spoken:.1f} s"
    if ended.how == "mute":
        return "answered without sound"
    told = f" ({ended.status} {ended.reason})".replace(" )", ")") if ended.status else ""
    if ended.how == "unanswered" or ended.status in NO_ANSWER:
        return f"no answer{told}"
    if ended.status in BUSY:
        return f"busy{told}"
    if ended.status in DECLINED:
        return f"declined{told}"
    if ended.status in NO_SUCH_NUMBER:
        return f"unallocated number{told}"
    return f"refused: {ended.status} {ended.reason}".strip() if ended.status else f"refused: {ended.reason}"
