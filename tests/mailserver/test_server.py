"""The SMTP edge: what it takes, refuses and survives, with a desk of the test behind it."""

import asyncio
import base64
import contextlib
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import uvloop

from heliograph.accounts.account import Principal
from heliograph.errors import TooManyRequests, Unauthorized, Unavailable
from heliograph.mailserver import server as edge
from heliograph.mailserver import session
from heliograph.mailserver.desk import Arrived, Recipient, Refusal, Visit
from heliograph.mailserver.server import MailServer
from heliograph.option import SettingsError
from heliograph.settings import load
from support.certificates import self_signed

FROM, TO = "a@example.com", "box@desk.test"
WHO: Any = object()
PATIENCE = 8


class Box:
    """A desk that keeps what it gets; `no` is what it refuses with, `gate` lets it store."""

    def __init__(self, domain: str = "desk.test", *, nulls: bool = False) -> None:
        self.domains: Collection[str] = {domain}
        self.got: list[Arrived] = []
        self.no: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self._nulls = nulls

    async def knows(self, visit: Visit, recipient: Recipient) -> bool:
        if not visit.sender and not self._nulls:
            raise Refusal("550 5.7.1 No null sender")
        return recipient.local == "box"

    async def take(self, arrived: Arrived) -> str:
        self.asked.set()
        await self.gate.wait()
        if self.no is not None:
            raise self.no
        self.got.append(arrived)
        return "kept"


async def prove(header: bytes, address: str) -> Principal:
    assert address == "127.0.0.1"
    given = base64.b64decode(header.removeprefix(b"Basic "))
    if given == b"demo:busy":
        raise TooManyRequests
    if given == b"demo:away":
        raise Unavailable
    if given != b"demo:key":
        raise Unauthorized
    return WHO  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def listening(tmp_path: Path, *boxes: Box, **options: Any) -> AsyncIterator[MailServer]:
    async with MailServer(load(data=tmp_path, **{"smtp_port": "0", **options}), boxes, prove) as server:
        yield server


def run(work: Any) -> Any:
    """On the loop that the house runs on."""

    async def soon() -> Any:
        return await asyncio.wait_for(work, PATIENCE)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(soon())


async def talk(server: MailServer, scene: Callable[[smtplib.SMTP], Any]) -> Any:
    """A client of the standard library, in a thread."""

    def play() -> Any:
        with contextlib.closing(smtplib.SMTP("127.0.0.1", server.port, timeout=PATIENCE)) as client:
            return scene(client)

    return await asyncio.to_thread(play)


async def raw(server: MailServer, *sent: bytes) -> bytes:
    """All that the server says to these octets, each sent when it has said something, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    said = await reader.read(9999)
    for one in sent:
        writer.write(one)
        said += await reader.read(9999)
    said += await reader.read()
    writer.close()
    return said


def test_a_mail_is_acknowledged_when_its_desk_has_stored_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        box = Box()
        async with listening(tmp_path, box) as server:
            assert (tmp_path / "smtp.address").read_text() == f"127.0.0.1 {server.port}"
            box.gate.clear()
            sending = asyncio.create_task(talk(server, lambda c: c.sendmail(FROM, [TO], "Subject: x\n\n.dot\n..\n")))
            await asyncio.wait([sending], timeout=0.1)
            assert not sending.done()
            box.gate.set()
            assert await sending == {}
            (mail,) = box.got
            assert mail.octets == b"Subject: x\r\n\r\n.dot\r\n..\r\n"
            assert mail.recipients == (Recipient("box", "desk.test"),)
            assert (mail.visit.peer, mail.visit.sender, mail.visit.login, mail.visit.tls) == (
                "127.0.0.1",
                FROM,
                None,
                False,
            )
        assert not (tmp_path / "smtp.address").exists()

    run(scenario())


def test_nothing_is_relayed_and_unknown_recipients_are_refused(tmp_path: Path) -> None:
    def scene(client: smtplib.SMTP) -> list[int]:
        client.helo("x")
        client.mail(FROM)
        tos = ("b@elsewhere.test", "nobody@desk.test", "box", "box@desk.test@elsewhere.test", "BOX@DESK.TEST", TO)
        return [client.rcpt(to)[0] for to in tos]

    async def scenario() -> None:
        async with listening(tmp_path, Box()) as server:
            assert await talk(server, scene) == [550, 550, 550, 553, 550, 250]

    run(scenario())


def test_the_null_sender_is_for_desks_that_want_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        box, bounces = Box(), Box("bounce.test", nulls=True)
        async with listening(tmp_path, box, bounces) as server:
            assert await talk(server, lambda c: c.sendmail("", ["box@bounce.test"], "x")) == {}
            assert bounces.got[0].visit.sender == ""
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                await talk(server, lambda c: c.sendmail("", [TO], "x"))
            refused = await talk(server, lambda c: c.sendmail(FROM, [TO, "box@bounce.test"], "x"))
            assert {to: code for to, (code, _) in refused.items()} == {"box@bounce.test": 452}

    run(scenario())


@pytest.mark.parametrize(
    ("problem", "code"), [(Refusal("550 5.7.1 No"), 550), (Unavailable(), 451), (RuntimeError("defect"), 451)]
)
def test_what_a_desk_does_not_store_is_not_acknowledged(tmp_path: Path, problem: Exception, code: int) -> None:
    async def scenario() -> None:
        box = Box()
        box.no = problem
        async with listening(tmp_path, box) as server:
            with pytest.raises(smtplib.SMTPDataError) as told:
                await talk(server, lambda c: c.sendmail(FROM, [TO], "x"))
            assert told.value.smtp_code == code

    run(scenario())


def test_a_login_in_tls(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate))

    def scene(client: smtplib.SMTP, user: str = "demo", password: str = "key") -> Any:
        client.starttls(context=context)
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        client.login(user, password)
        return client.sendmail(FROM, [TO], "x" * 100_000)

    async def scenario() -> None:
        box = Box()
        async with listening(tmp_path, box, smtp_tls_cert=str(certificate)) as server:
            assert await talk(server, scene) == {}
            assert box.got[0].visit.login is WHO
            assert box.got[0].visit.tls
            for user, password, code in (
                ("demo", "no", 535),
                ("demo", "busy", 454),
                ("demo", "away", 454),
                ("de:mo", "key", 535),
            ):
                with pytest.raises(smtplib.SMTPAuthenticationError) as told:
                    await talk(server, lambda c, u=user, p=password: scene(c, u, p))
                assert told.value.smtp_code == code

    run(scenario())


def test_commands_sent_before_tls_are_not_those_of_the_client_in_it(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)

    def scene(client: smtplib.SMTP) -> Any:
        client.ehlo()
        assert client.sock is not None
        client.sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n")
        assert client.getreply()[0] == 220
        context = ssl.create_default_context(cafile=str(certificate))
        client.sock = context.wrap_socket(client.sock, server_hostname="127.0.0.1")
        client.file = None
        client.ehlo()
        return client.rcpt(TO)[0]

    async def scenario() -> None:
        async with listening(tmp_path, Box(), smtp_tls_cert=str(certificate)) as server:
            assert await talk(server, scene) == 503
            assert b"220" in await raw(server, b"EHLO x\r\n", b"STARTTLS\r\n", b"no TLS at all\r\n\r\n")
            assert await talk(server, lambda c: c.sendmail(FROM, [TO], "x")) == {}

    run(scenario())


def test_lines_end_with_cr_lf_only_and_may_be_long(tmp_path: Path) -> None:
    async def scenario() -> None:
        box = Box()
        async with listening(tmp_path, box) as server:
            start = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<box@desk.test>\r\nDATA\r\n"
            for content in (
                b"",
                b"\r\n",
                b"x\n.\nMAIL FROM:<evil@b>\r\n",
                b"x\r.\rMAIL\r\n",
                b"x\n.\r\nQUIT\n\r\n",
                b"y" * 3_000_000 + b"\r\n",
                (b"z" * 65_533 + b"\r\n") * 3,
            ):
                stuffed = content.replace(b"\r\n.", b"\r\n..")
                await raw(server, start, stuffed + b".\r\nQUIT\r\n")
                assert box.got.pop().octets == content

    run(scenario())


def test_a_mail_that_is_too_large_is_refused_and_not_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        box = Box()
        async with listening(tmp_path, box, smtp_max_size=2000) as server:
            start = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<box@desk.test>\r\nDATA\r\n"
            for content in (b"a\r\n" * 700, b"a" * 5_000_000 + b"\r\n"):
                assert b"552 5.3.4" in await raw(server, start, content + b".\r\nQUIT\r\n")
            assert b"250" in (await raw(server, start, b"a" * 1998 + b"\r\n.\r\nQUIT\r\n"))[-100:]
            assert b"552" in await raw(server, b"EHLO x\r\nMAIL FROM:<a@b> SIZE=2001\r\nQUIT\r\n")
            assert [len(one.octets) for one in box.got] == [2000]

    run(scenario())


def test_ten_thousand_recipients_are_as_many_as_are_allowed(tmp_path: Path) -> None:
    async def scenario() -> None:
        box = Box()
        async with listening(tmp_path, box, smtp_recipients=7) as server:
            lines = b"EHLO x\r\nMAIL FROM:<a@b>\r\n" + b"RCPT TO:<box@desk.test>\r\n" * 10_000
            said = await raw(server, lines + b"DATA\r\n", b"x\r\n.\r\nQUIT\r\n")
            assert said.count(b"452 4.5.3") == 10_000 - 7
            assert len(box.got) == 1

    run(scenario())


def test_errors_are_counted_and_commands_have_their_length(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listening(tmp_path, Box()) as server:
            assert (await raw(server, b"EHLO x\r\n" + b"RCPT TO:<x>\r\n" * 100)).endswith(
                b"421 4.7.0 Too many errors\r\n"
            )
            long = b"MAIL FROM:<" + b"a" * 200_000 + b">\r\n"
            assert b"500" in await raw(server, b"EHLO x\r\n" + long + b"QUIT\r\n")
            nested = b"MAIL FROM:<" + b"(" * 900 + b"a@b>\r\n"
            assert b"221" in await raw(server, b"EHLO x\r\n" + nested + b"QUIT\r\n")

    run(scenario())


def test_connections_are_counted_and_idle_ones_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "IDLE", 3.0)

    async def scenario() -> None:
        async with listening(tmp_path, Box(), smtp_connections=30) as server:
            opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(500)]
            said = [await reader.readline() for reader, _ in opened]
            monkeypatch.setattr(session, "IDLE", 300.0)
            assert await asyncio.gather(*(reader.read() for reader, _ in opened)) == [b""] * 500
            assert sum(one.startswith(b"220") for one in said) == edge.PER_ADDRESS
            assert sum(one.startswith(b"421") for one in said) == 500 - edge.PER_ADDRESS
            for _, writer in opened:
                writer.close()
            assert await talk(server, lambda c: c.noop()[0]) == 250

    run(scenario())


def test_the_server_ends_after_the_answer_to_a_mail_that_has_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        box = Box()
        box.gate.clear()
        async with listening(tmp_path, box) as server:
            idle = asyncio.create_task(raw(server))
            start = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<box@desk.test>\r\nDATA\r\n"
            handing = asyncio.create_task(raw(server, start, b"x\r\n.\r\n"))
            await box.asked.wait()
            asyncio.get_running_loop().call_later(0.2, box.gate.set)
        assert b"250 2.0.0 kept" in await handing
        assert (await idle).endswith(b"421 4.3.2 The server ends\r\n")

    run(scenario())


def test_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        for options in (
            {"smtp_port": "off"},
            {"role": "api"},
            {"mode": "production", "secret": "s" * 40, "smtp_port": "auto"},
        ):
            async with listening(tmp_path, Box(), **options) as server:
                assert server.port == 0
        async with listening(tmp_path, Box()) as first:
            monkeypatch.setattr(edge, "USUAL_PORT", first.port)
            async with listening(tmp_path / "b", Box(), smtp_port="auto") as second:
                assert second.port not in (0, first.port)
            with pytest.raises(SettingsError, match="HELIOGRAPH_SMTP_PORT"):
                async with listening(tmp_path, Box(), smtp_port=str(first.port)):
                    pass
        with pytest.raises(SettingsError, match="HELIOGRAPH_SMTP_TLS_CERT"):
            async with listening(tmp_path, Box(), smtp_tls_cert=str(tmp_path / "none.pem")):
                pass

    (tmp_path / "b").mkdir()
    run(scenario())
