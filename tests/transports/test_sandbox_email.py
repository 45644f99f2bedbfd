"""The built-in mail carrier: real SMTP on loopback, files in a folder."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, cast

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from heliograph.transports.base import Failed, Outcome, Outgoing, Retry, Sent
from heliograph.transports.sandbox import mailsink
from heliograph.transports.sandbox.email import SandboxEmail
from heliograph.transports.sandbox.mailsink import MailSink, listing
from transports.conformance import Conformance, Fate, Peer, Recorder, run
from transports.ports import free_port
from transports.relay import a_mail, one


class CuttingSink(MailSink):
    """Listens on the same port at each start, and hangs up instead of an answer to a mail to cut@example.net."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()

    async def start(self, port: int = 0) -> int:
        return await super().start(self._port)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if envelope.rcpt_tos == ["cut@example.net"]:
            cast(asyncio.WriteTransport, server.transport).abort()
        return await super().handle_DATA(server, session, envelope)


class SandboxPeer(Peer):
    """The mail server inside of the transport."""

    inside = True
    names: ClassVar[dict[Fate, str]] = {"taken": "bob", "refused": "bounce", "put off": "later", "cut": "cut"}

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sandbox = SandboxEmail("sandbox-email", folder)
        self._sandbox.sink = CuttingSink(folder)

    async def start(self) -> None:
        await self._sandbox.sink.start()

    async def stop(self) -> None:
        await self._sandbox.sink.stop()

    def transport(self) -> SandboxEmail:
        return self._sandbox

    def message(self, fate: Fate, number: int) -> Outgoing:
        return a_mail(to=f"{self.names[fate]}@example.net", key=f"MESSAGE-{number}")

    @property
    def taken(self) -> int:
        return len(listing(self._folder))


class TestConformance(Conformance):
    ids = False

    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self._folder = tmp_path

    def peer(self) -> Peer:
        return SandboxPeer(self._folder / "mail")


@asynccontextmanager
async def carrier(folder: Path) -> AsyncIterator[SandboxEmail]:
    made = SandboxEmail("sandbox-email", folder)
    await made.open(Recorder())
    try:
        yield made
    finally:
        await made.close()


def test_mails_are_kept_and_listed_the_newest_last(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with carrier(tmp_path / "mail") as out:
            before = int(datetime.now(UTC).timestamp())
            for number in range(5):
                outcome = await one(out, a_mail(subject=f"No. {number} 😀", text=f"Zażółć\n.\n{number}"))
                assert isinstance(outcome, Sent)
        found = listing(tmp_path / "mail")
        assert [mail.subject for mail in found] == [f"No. {number} 😀" for number in range(5)]
        assert [mail.text for mail in found] == [f"Zażółć\n.\n{number}" for number in range(5)]
        assert {(mail.sender, mail.recipient) for mail in found} == {("ann@example.com", "bob@example.net")}
        assert all(before <= mail.at <= before + 20 for mail in found)
        assert len({mail.id for mail in found}) == 5
        names = sorted(path.name for path in (tmp_path / "mail").iterdir())
        assert [name.rpartition("-")[2] for name in names] == [f"{mail.id}.eml" for mail in found]

    run(scenario())


def test_the_answer_names_the_file_and_the_file_is_the_mail_under_its_envelope(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with carrier(tmp_path) as out:
            outcome = await one(out, a_mail())
        assert isinstance(outcome, Sent)
        kept = (tmp_path / outcome.detail.rpartition(" ")[2]).read_bytes()
        assert kept.startswith(
            b"Return-Path: <ann@example.com>\r\nDelivered-To: bob@example.net\r\nFrom: ann@example.com\r\n"
        )
        assert kept.endswith(b"\r\n\r\nGood day\r\n")

    run(scenario())


@pytest.mark.parametrize(
    ("local", "outcome"),
    [
        ("bounce", Failed(550, "550 5.1.1 The sandbox has no mailbox of this name")),
        ("Bounce", Failed(550, "550 5.1.1 The sandbox has no mailbox of this name")),
        ("later", Retry(60.0, "451 4.2.1 The sandbox mailbox is not available now", 451)),
    ],
)
def test_scenarios(local: str, outcome: Outcome, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with carrier(tmp_path) as out:
            assert await one(out, a_mail(to=f"{local}@example.net")) == outcome
            assert isinstance(await one(out, a_mail(to=f"{local}er@example.net")), Sent)
        assert [mail.recipient for mail in listing(tmp_path)] == [f"{local}er@example.net"]

    run(scenario())


def test_the_scenarios_are_in_the_manual() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox-email.md").read_text(encoding="utf-8")
    for local, answer in mailsink.SCENARIOS.items():
        assert f"| `{local}@` any domain | `{answer}` |" in page


def test_only_the_newest_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        for number in range(mailsink.KEEP - 1):
            (tmp_path / f"20250101T000000.{number:06d}Z-{number:012x}.eml").write_bytes(b"Subject: old\r\n\r\n")
        (tmp_path / "notes.txt").write_text("not a mail")
        async with carrier(tmp_path) as out:
            for _ in range(3):
                await one(out, a_mail())
        found = listing(tmp_path)
        assert len(found) == mailsink.KEEP
        assert [mail.subject for mail in found[-4:]] == ["old", "Hello", "Hello", "Hello"]
        assert found[0].id == f"{2:012x}"
        assert (tmp_path / "notes.txt").exists()

    run(scenario())


def test_mails_of_an_earlier_run_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        for _ in range(2):
            async with carrier(tmp_path) as out:
                await one(out, a_mail())
        assert len(listing(tmp_path)) == 2

    run(scenario())


def test_what_cannot_be_stored_is_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "mail"
        async with carrier(folder) as out:
            folder.rmdir()
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert outcome.code == 452
            assert not outcome.maybe_sent
            folder.mkdir()
            assert isinstance(await one(out, a_mail()), Sent)
        assert len(listing(folder)) == 1

    run(scenario())


def test_many_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with carrier(tmp_path) as out:
            outcomes = await out.send([a_mail(subject=f"No. {number}") for number in range(200)])
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert {mail.subject for mail in listing(tmp_path)} == {f"No. {number}" for number in range(200)}

    run(scenario())
    assert len(listing(tmp_path)) == len(list(tmp_path.iterdir())), "no unfinished file stays"


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert listing(tmp_path / "none") == []


def test_the_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with carrier(tmp_path / "a" / "mail"):
            pass
        assert stat.S_IMODE((tmp_path / "a" / "mail").stat().st_mode) == 0o700

    run(scenario())


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        (b"Subject: x\r\nContent-Type: text/plain; charset=nonsense\r\n\r\ncaf\xe9\r\n", "caf\ufffd"),
        (b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\xc5\xbc</p>\r\n", "<p>ż</p>"),
        (b"Subject: x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n", ""),
    ],
)
def test_mails_of_other_programs_are_listed_too(mail: bytes, text: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = MailSink(tmp_path)
        port = await sink.start()
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, local_hostname="client.test")
        await client.connect()
        await client.sendmail(
            "ann@example.com", ["bob@example.net", "józef@example.net"], mail, mail_options=["SMTPUTF8"]
        )
        await sink.stop()
        (found,) = listing(tmp_path)
        assert (found.subject, found.text) == ("x", text)
        assert found.recipient == "bob@example.net, józef@example.net"
        client.close()

    run(scenario())
