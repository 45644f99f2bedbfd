"""The job that pushes one event: no transaction is open while the customer's server answers."""

from urllib.parse import urlencode

import msgspec

from heliograph.db.database import Database
from heliograph.queue.jobs import Job
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
        delivered = await self._database.write(lambda tx: outgoing.attempted(tx, key, answer, last=last), urgent=False)
        return None if delivered or last else self._interval

    async def _push(self, delivery: outgoing.Delivery) -> Answer:
        texts = {name: "" if value is None else str(value) for name, value in delivery.payload.items()}
        at = int(self._database.clock())
        if delivery.webhook_type == "json":
            body = msgspec.json.encode(delivery.payload)
            headers = signature.headers(delivery.secret, delivery.event_id, at, body)
            return await self._client.send("POST", delivery.url, json=body, headers=headers)
        encoded = urlencode(texts).encode()
        if delivery.webhook_type == "get":
            headers = signature.headers(delivery.secret, delivery.event_id, at, encoded)
            return await self._client.send("GET", delivery.url, query=texts, headers=headers)
        headers = signature.headers(delivery.secret, delivery.event_id, at, encoded)
        return await self._client.send("POST", delivery.url, form=texts, headers=headers)
