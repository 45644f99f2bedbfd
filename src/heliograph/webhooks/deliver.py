"""The job that pushes one event: no transaction is open while the customer's server answers."""

from collections.abc import Mapping
from functools import partial

import msgspec

from heliograph.db.database import Database
from heliograph.queue.jobs import GIVEN_UP, Job
from heliograph.settings import Settings
from heliograph.webhooks import outgoing, signature
from heliograph.webhooks.fetch import Answer, WebClient


class Pusher:
    """Runs jobs of kind `webhook`."""

    def __init__(self, database: Database, client: WebClient, settings: Settings) -> None:
        self._database = database
        self._client = client
        self._attempts = settings.webhook_attempts
        self._interval = float(settings.webhook_interval)

    async def run(self, job: Job) -> float | None:
        """One attempt. Source of the schedule: api-v3, "Push inbound SMS" (10 tries, 10 minutes apart)."""
        key = int(job.payload["delivery_id"])
        delivery = await self._database.read(lambda tx: outgoing.load(tx, key))
        if delivery is None:
            return None
        answer = await self._push(delivery)
        last = job.attempt >= self._attempts
        delivered = await self._database.write_until_taken(lambda tx: outgoing.attempted(tx, key, answer, last=last))
        if delivered:
            return None
        return GIVEN_UP if last else self._interval

    async def _push(self, delivery: outgoing.Delivery) -> Answer:
        sign = partial(_headers, delivery, int(self._database.clock()))
        if delivery.webhook_type == "json":
            body = msgspec.json.encode(delivery.payload)
            return await self._client.send("POST", delivery.url, json=body, sign=sign)
        texts = {name: "" if value is None else str(value) for name, value in delivery.payload.items()}
        if delivery.webhook_type == "get":
            return await self._client.send("GET", delivery.url, query=texts, sign=sign)
        return await self._client.send("POST", delivery.url, form=texts, sign=sign)


def _headers(delivery: outgoing.Delivery, at: int, sent: bytes) -> Mapping[str, str]:
    return signature.headers(delivery.secret, delivery.event_id, at, sent)
