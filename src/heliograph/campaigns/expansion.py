"""The job of a campaign: it makes messages of the recipients, slice by slice, and sees to it that none is left waiting.

Texts are written with no transaction open for writing. The cursor moves in the transaction that inserts the messages
of a slice and their places in the queue: killed at whatever moment, a slice is there as a whole or not at all.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.campaigns import campaign
from heliograph.campaigns.campaign import Row
from heliograph.campaigns.plan import SLICE, Recipient, Texts
from heliograph.channels.table import CAMPAIGNS
from heliograph.contacts import audience, lists
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import NotFound, Status
from heliograph.mailaddress import small
from heliograph.messaging import accept, cancel
from heliograph.messaging.channel import Accepted, Channel, Draft, Order
from heliograph.queue import jobs, mail
from heliograph.queue.jobs import Job
from heliograph.queue.worker import MOST_ATTEMPTS

SECONDS_A_RUN = 20.0
"""For which one run of the job goes on: the next one continues, after those of other accounts."""

FIRST_LOOK, LAST_LOOK = 0.5, 60.0
"""Seconds between two looks at what still waits; they grow with the time that it has waited, a tenth of it."""


Judge = Callable[[Tx, Row], str | None]


class Piece(msgspec.Struct):
    """A slice whose texts are written. `order` None: the campaign cannot go on, `why` says why."""

    row: Row
    recipients: list[Recipient]
    order: Order | None = None
    why: str = ""


class Expansion:
    """Runs the jobs of campaigns in whatever channel. `lease` is in seconds: no slice takes nearly as long.

    `judges` say, by channel, why a campaign must stand still; None: it need not. Mails about that come from `sender`.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        lease: float,
        judges: Mapping[str, Judge] | None = None,
        sender: str = "",
    ) -> None:
        self._database = database
        self._channels = channels
        self._lease = min(lease, jobs.LEASE)
        self._judges = judges or {}
        self._sender = sender

    async def run(self, job: Job) -> float | None:
        """One run. None: the campaign has come to its end, or another run has taken it over."""
        campaign_id, run = job.payload["campaign_id"], job.payload["run"]
        of_job = partial(campaign.of_job, campaign_id=campaign_id, run=run)
        end = time.monotonic() + SECONDS_A_RUN
        row = await self._database.write(lambda tx: self._held(tx, job), urgent=False)
        while row is not None and row["status"] in campaign.UNDER_WAY and row["cursor"] < row["slices"]:
            piece = await self._database.read(partial(self._written, row=row))
            row = await self._database.write(partial(self._placed, job=job, piece=piece), urgent=False)
            if time.monotonic() > end:
                return 0.0
        if row is None or row["status"] not in (campaign.SENDING, campaign.CANCELLED):
            return None
        channel = self._channels[row["channel"]]
        if row["status"] == campaign.CANCELLED:
            await withdraw(self._database, channel, row, self._withdrawn)
        still, why = await self._database.read(partial(self._looked, row=row))
        await self._database.write(lambda tx: self._noted(tx, job, of_job, still, why), urgent=False)
        return _pause(self._database.clock() - (row["closed_at"] or 0)) if still is not None else None

    def _withdrawn(self, work: Callable[[Tx], Any]) -> Awaitable[Any]:
        """Alone of what is written here this may take long: in a thread all takes twice as long (decision 0016)."""
        return self._database.write(work, urgent=False, slow=True)

    def _held(self, tx: Tx, job: Job) -> Row | None:
        """The campaign of a job, which no other process takes for a while."""
        jobs.hold(tx, job.job_id, self._lease)
        row = campaign.of_job(tx, job.payload["campaign_id"], job.payload["run"], lock=True)
        if row is not None and job.attempt >= MOST_ATTEMPTS and row["status"] in campaign.UNDER_WAY:
            return campaign.fail(tx, row, f"{job.attempt} tries in a row came to nothing")
        return row

    def _written(self, tx: Tx, row: Row) -> Piece:
        """The next slice of a campaign: the texts for those of its recipients who are still in the list."""
        recipients = campaign.recipients(tx, row["campaign_id"], only=row["cursor"])
        who = _sender(tx, row)
        if who is None:
            return Piece(row, recipients, why="the account is closed")
        try:
            lists.find(tx, who.user_id, row["list_id"])
        except NotFound:
            return Piece(row, recipients, why="its list was deleted")
        channel = self._channels[row["channel"]]
        texts = Texts(who, channel, CAMPAIGNS[channel.name], campaign.wanted(row))
        left = audience.those_left(tx, row["list_id"], [one.contact_id for one in recipients])
        there = [one for one in recipients if one.contact_id in left]
        drafts = texts.drafts([left[one.contact_id] for one in there], tx.clock)
        _refuse_doubles(tx, row, there, drafts)
        order = Order(
            principal=who,
            channel=channel,
            request_id=row["request_id"],
            drafts=drafts,
            campaign_id=row["campaign_id"],
            prepaid=[one.micros for one in there],
        )
        return Piece(row, recipients, order)

    def _placed(self, tx: Tx, job: Job, piece: Piece) -> Row | None:
        """Make messages of a slice, unless another process has, or the campaign was stopped or changed meanwhile."""
        before = piece.row
        row = campaign.of_job(tx, before["campaign_id"], before["run"], lock=True)
        if row is None or row["cursor"] != before["cursor"] or row["status"] not in campaign.UNDER_WAY:
            return row
        jobs.progress(tx, job.job_id, self._lease)
        if piece.order is None:
            return campaign.fail(tx, row, piece.why)
        piece.order.channel.judge(tx, [piece.order])
        (fates,) = accept.accept(tx, [piece.order])
        good = [fate for fate in fates if fate.status == Status.SUCCESS]
        _note_addresses(tx, row, piece, good)
        return campaign.advance(tx, row, sum(fate.price_micros for fate in good), len(piece.recipients) - len(good))

    def _looked(self, tx: Tx, row: Row) -> tuple[int | None, str | None]:
        """Where the first message is that still waits, and why the campaign must stand still; None: nothing of it."""
        still = campaign.waiting(tx, row, 1)
        judge = self._judges.get(row["channel"]) if still and row["status"] == campaign.SENDING else None
        return (still[0][0] if still else None), (judge(tx, row) if judge else None)

    def _noted(
        self, tx: Tx, job: Job, of_job: Callable[..., Row | None], open_from: int | None, why: str | None
    ) -> None:
        row = of_job(tx, lock=True)
        if row is not None:
            jobs.progress(tx, job.job_id, self._lease)
            campaign.note(tx, row, open_from)
            if why is not None and row["status"] == campaign.SENDING:
                self._pause(tx, row, why)

    def _pause(self, tx: Tx, row: Row, why: str) -> None:
        campaign.pause(tx, row, why)
        who = account.by_user(tx, row["user_id"])
        if who is not None and who.email:
            mail.enqueue(tx, self._sender, who.email, f"Paused: {row['name']}"[:200], _told(row, why))


async def withdraw(
    database: Database, channel: Channel, row: Row, write: Callable[[Callable[[Tx], Any]], Awaitable[Any]]
) -> None:
    """Cancel the messages of a campaign that no worker has in hand, and give their prices back."""
    after = {**row}
    while found := await database.read(lambda tx: campaign.waiting(tx, after, SLICE)):
        ids = [message_id for _, message_id in found]
        await write(partial(cancel.cancel, user_id=row["user_id"], channel=channel, message_ids=ids))
        after["open_from"] = found[-1][0] + 1


def _sender(tx: Tx, row: Row) -> Principal | None:
    """Who sends: the account as it is now, by the subaccount that ordered; None: it may not send any more."""
    who = account.by_user(tx, row["user_id"])
    if who is None or who.banned or not who.active:
        return None
    return msgspec.structs.replace(who, subaccount_id=row["subaccount_id"])


def _refuse_doubles(tx: Tx, row: Row, recipients: list[Recipient], drafts: list[Draft]) -> None:
    """A contact whose address has changed gets the message there, unless another of the campaign has that address."""
    changed = [
        draft for one, draft in zip(recipients, drafts, strict=True) if small(draft.recipient) != small(one.recipient)
    ]
    if changed:
        known = {small(one.recipient) for one in campaign.recipients(tx, row["campaign_id"])}
        for draft in changed:
            if small(draft.recipient) in known:
                draft.refusal = draft.refusal or Status.INVALID_RECIPIENT
            known.add(small(draft.recipient))


def _note_addresses(tx: Tx, row: Row, piece: Piece, good: list[Accepted]) -> None:
    """Remember the addresses that recipients have by now, for the slices that follow."""
    now = {fate.draft.contact_id: fate.draft.recipient for fate in good}
    after = [one._replace(recipient=now.get(one.contact_id, one.recipient)) for one in piece.recipients]
    if after != piece.recipients:
        campaign.rename(tx, row["campaign_id"], row["cursor"], after)


def _told(row: Row, why: str) -> str:
    return (
        f'Your campaign "{row["name"]}" (id {row["campaign_id"]}) was paused: {why}.\n\n'
        "No more of its messages are sent. Please see where the addresses of its list come from. You can cancel it,"
        " which gives back the prices of what was not sent; or ask whoever runs this server to let it go on.\n"
    )


def _pause(waited: float) -> float:
    return min(LAST_LOOK, max(FIRST_LOOK, waited / 10))
