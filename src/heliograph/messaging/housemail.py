"""Mails that the house itself writes (queue/mail.py), on their way out through the email routes."""

import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from heliograph.mail.letter import Enclosed, Letter, Person, Unwritable, written
from heliograph.messaging.routing import Router
from heliograph.queue.jobs import Job
from heliograph.transports.base import Failed, Mail, MessageKey, Outgoing, Retry

NO_ROUTE = 300.0
"""Seconds after which a mail without a route is tried again."""
MOST_ATTEMPTS = 20

AUTOMATIC = (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "OOF, AutoReply"))
"""Headers of every such mail, so that no absence notice answers it (RFC 3834; the other one is for Exchange)."""

log = structlog.get_logger(__name__)


class HouseMail:
    """Hands mails over. `router` is asked each time, since a new configuration may replace it; `attached` reads files
    by their names; `signed` signs a mail that comes from an address, if the house has a key for its domain.
    """

    def __init__(
        self,
        router: Callable[[], Router],
        attached: Callable[[Sequence[str]], Awaitable[tuple[Enclosed, ...]]],
        signed: Callable[[Mail, str], Awaitable[Mail]],
    ) -> None:
        self._router = router
        self._attached = attached
        self._signed = signed

    async def run(self, job: Job) -> float | None:
        """Run a job of queue/mail.py; seconds until the next try, or None."""
        given = job.payload
        transport = self._router().choose(
            "email", country="", recipient=given["to"], sender=given["from"], account="", attempt=job.attempt
        )
        if transport is None:
            log.warning("mail.no_route", job=job.job_id)
            return NO_ROUTE
        letter = Letter(
            sender=Person(given["from"]),
            to=(Person(given["to"]),),
            reply_to=Person(given.get("reply_to") or given["from"]),
            subject=given["subject"],
            text=given["text"],
            files=await self._attached(given.get("files", ())),
            headers=AUTOMATIC,
            message_id=f"job-{job.job_id}",
            date=time.time(),
        )
        try:
            content = await self._signed(written(letter, ""), given["from"])
        except Unwritable as why:
            log.warning("mail.refused", job=job.job_id, why=str(why))
            return None
        key = MessageKey(0, "email", letter.message_id)
        mail = Outgoing(key=key, sender=given["from"], recipient=given["to"], content=content, valid_until=0)
        (outcome,) = await transport.send([mail])
        if isinstance(outcome, Retry) and outcome.early:
            return outcome.after
        if isinstance(outcome, Retry) and job.attempt < MOST_ATTEMPTS:
            return max(outcome.after, 60.0 * job.attempt)
        if isinstance(outcome, Retry | Failed):
            event = "mail.refused" if isinstance(outcome, Failed) else "mail.given_up"
            log.warning(event, job=job.job_id, why=outcome.why)
        return None
