"""What a refusal says of the address that was refused: whether there is no such mailbox, or something else is wrong."""

import re

ENHANCED = re.compile(r"(?<![0-9.])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")
"""An enhanced status code (RFC 3463): class, subject, detail. No piece of an address like 10.5.1.1."""

REPLY = re.compile(r"(?<![0-9.])([45])[0-5][0-9](?=[ :-])")
"""A reply code of SMTP that refuses (RFC 5321, 4.2)."""

OF_THE_SENDER = ("5.1.7", "5.1.8")
"""Subject 1 is about addresses, but these two about that of the sender (RFC 3463, 3.2)."""
ALIVE = ("5.2.2", "5.2.3", "5.3.4")
"""Full, or too large a mail for it: whoever owns the mailbox can change that."""

_LIVES = re.compile(
    r"\b(?:full|over ?quota|quota exceeded|exceeded (?:its |the )?(?:storage|quota)|(?:out of|insufficient) storage"
    r"|at a rate|too (?:quickly|fast)|rate limit|too many messages"
    r"|spam|blocked|blacklisted|blocklisted|blacklist|blocklist|policy|reputation|will not accept)\b"
)
"""Words that make a code of a dead address one of a full, hurried or guarded mailbox."""
_SOMEBODY = r"(?:user|account|mailbox|recipient|address|addressee|person|customer|alias)"
_NOBODY = re.compile(
    rf"\b{_SOMEBODY}(?: is| was| name| id)? (?:unknown|not found|not known|unrecognized|unrouteable|deleted)\b"
    rf"|\b(?:unknown|invalid|unrouteable|nonexistent|non-existent|no such|unrecognized|not a valid|not a known)"
    rf" (?:virtual |local |e-?mail |mail )?{_SOMEBODY}\b"
    rf"|\bno {_SOMEBODY} (?:here|by that name|with that name|of that name)\b"
    r"|\b(?:does not|doesn't) have an? .{1,60} account\b"
    r"|\b(?:disabled or discontinued|recip(?:ient)?notfound|isn't in our directory|not our customer|not listed in)\b"
)
"""That there is no such user, in the words of many hosts: small letters, one blank between words."""
_GONE = re.compile(
    r"\b(?:(?:does not|doesn't|do not|don't|did not) exist"
    r"|no longer (?:exists?|valid|available|active|in use|with us))\b"
)
_SOMEONE = re.compile(rf"\b{_SOMEBODY}s?\b")
"""Of whom _GONE has to speak: records of a domain may not exist as well."""
_OF_ANOTHER = re.compile(
    r"\b(?:sender|mail from|return[ -]path|from address|helo|ehlo|host name|ip address|spf|dkim|dmarc|ptr|reverse)\b"
)
"""A sentence that has one of these is not about the recipient."""
_SENTENCES = re.compile(r"[.;](?= )|\n")


def is_dead(status: str, words: str) -> bool:
    """Whether a refusal for good means that its address is dead: no mail to it can arrive, whatever it is.

    `status` is an enhanced code or "", `words` what the refusing host said. 5.1.x (bad address) and 5.2.1 (mailbox
    disabled) say it by themselves; all other codes are given for policy as well, there the words decide. Full and
    hurried mailboxes live, and so does one whose host only said "later" until a relay gave up.
    Sources: RFC 3463, 3.2 and 3.3.
    """
    reply = REPLY.search(words)
    passing = reply is not None and reply[1] == "4"
    if passing or status in ALIVE or not (status.startswith("5.") or not status):
        return False
    if names_nobody(words):
        return True
    by_status = (status.startswith("5.1.") and status not in OF_THE_SENDER) or status == "5.2.1"
    return by_status and _LIVES.search(_plain(words)) is None


def names_nobody(words: str) -> bool:
    """Whether the words of a host say that there is no such user."""
    return any(map(_is_of_nobody, _SENTENCES.split(_plain(words))))


def _is_of_nobody(sentence: str) -> bool:
    gone = _NOBODY.search(sentence) or (_GONE.search(sentence) and _SOMEONE.search(sentence))
    return bool(gone) and _OF_ANOTHER.search(sentence) is None


def best_status(status: str, words: str) -> str:
    """The most exact code of a refusal: relays without one of their own write 5.0.0, and the host's in the words."""
    if status and not status.endswith(".0.0"):
        return status
    found = ENHANCED.search(words)
    said = ".".join(found.groups()) if found else ""
    return said if said and (not status or said[0] == status[0]) else status


def _plain(words: str) -> str:
    """Small letters without addresses: somebody may be called no-such-user@."""
    kept = (word for word in words.lower().replace("\u2019", "'").split() if "@" not in word)
    return " ".join(kept)
