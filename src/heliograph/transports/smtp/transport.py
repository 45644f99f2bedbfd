"""The mail transport: hands messages to an SMTP relay over kept connections."""

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP

import aiosmtplib

from heliograph.settings import SmtpOptions
from heliograph.transports.base import Events, Failed, Mail, Outcome, Outgoing, Retry, Sent


class SmtpTransport:
    """A relay. It gives no receipts: what it took counts as delivered."""

    def __init__(self, name: str, options: SmtpOptions) -> None:
        self.name = name
        self._options = options
        self._idle: list[aiosmtplib.SMTP] = []
        self._slots = asyncio.Semaphore(options.connections)
        self._open = False

    @property
    def ready(self) -> bool:
        """A relay is asked when there is something for it; until then it counts as reachable."""
        return self._open

    @property
    def capacity(self) -> int:
        """A few mails for each connection."""
        return 10 * self._options.connections

    async def open(self, events: Events) -> None:
        """Connections are made when the first mails come."""
        self._open = True

    async def close(self) -> None:
        """Leave the relay; at most two seconds for each idle connection."""
        self._open = False
        idle, self._idle = self._idle, []
        await asyncio.gather(*(self._quit(client) for client in idle))

    async def _quit(self, client: aiosmtplib.SMTP) -> None:
        try:
            await asyncio.wait_for(client.quit(), 2.0)
        except (aiosmtplib.SMTPException, OSError):
            client.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One outcome for each mail."""
        return await asyncio.gather(*(self._one(message) for message in batch))

    async def _one(self, message: Outgoing) -> Outcome:
        try:
            mail = compose(message)
        except ValueError as problem:
            return Failed(None, f"The mail cannot be written: {problem}")
        async with self._slots:
            return await self._hand_over(message, mail)

    async def _hand_over(self, message: Outgoing, mail: EmailMessage) -> Outcome:
        try:
            client = await self._client()
        except (aiosmtplib.SMTPException, OSError) as problem:
            return Retry(after=30.0, why=f"The relay cannot be reached: {problem}")
        try:
            _, answer = await client.send_message(mail, sender=message.sender, recipients=[message.recipient])
        except aiosmtplib.SMTPRecipientsRefused as refused:
            self._idle.append(client)
            first = refused.recipients[0]
            return _refused(first.code, first.message)
        except aiosmtplib.SMTPResponseException as refused:
            client.close()
            return _refused(refused.code, refused.message)
        except (aiosmtplib.SMTPException, OSError) as problem:
            client.close()
            return Retry(after=30.0, why=f"The relay's answer was lost: {problem}", maybe_sent=True)
        self._idle.append(client)
        return Sent(detail=answer)

    async def _client(self) -> aiosmtplib.SMTP:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
        options = self._options
        client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            use_tls=options.tls == "implicit",
            start_tls=options.tls == "starttls",
            timeout=options.timeout,
        )
        await client.connect()
        if options.username:
            await client.login(options.username, options.password)
        return client


def _refused(code: int, answer: str) -> Outcome:
    """4yz may be tried again, 5yz is final (RFC 5321, 4.2.1)."""
    return Retry(after=60.0, why=f"{code} {answer}", code=code) if 400 <= code < 500 else Failed(code, answer)


def compose(message: Outgoing) -> EmailMessage:
    """The mail as it goes out. Raises ValueError for what no mail can hold (a line break in a header)."""
    content = message.content
    if not isinstance(content, Mail):
        raise ValueError("a mail relay takes mails only")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = message.sender
    mail["To"] = message.recipient
    mail["Subject"] = content.subject
    domain = message.sender.rpartition("@")[2].rstrip("> ") or "localhost"
    mail["Message-ID"] = f"<{message.key.message_id.lower()}@{domain}>"
    if content.reply_to:
        mail["Reply-To"] = content.reply_to
    mail.set_content(content.text)
    return mail
