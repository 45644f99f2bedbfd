"""kill -9 while mails stream in: what got its 250 is an SMS, and a mail that is sent again is none twice."""

import contextlib
import smtplib
import threading
from pathlib import Path

import pytest

from mailserver.mails import DOMAIN, mail
from support.program import Program, ask, serving

pytestmark = pytest.mark.slow
MANY = 60
TO = f"61491570156@{DOMAIN}"


def hand_in(server: Program, numbers: list[int], taken: set[int]) -> None:
    """Hand mails in until the server is gone; those that got a 250 are in `taken`."""
    port = int(server.heard("mailserver.listening")["port"])
    with (
        contextlib.suppress(smtplib.SMTPException, OSError),
        contextlib.closing(smtplib.SMTP("127.0.0.1", port, timeout=30)) as client,
    ):
        for number in numbers:
            octets = mail("demo@example.com", f"text {number}", message_id=f"<{number}@example.com>")
            assert client.sendmail("demo@example.com", [TO], octets) == {}
            taken.add(number)


def bodies(server: Program) -> list[str]:
    return sorted(row["body"] for row in ask(server.port, "GET", "/v3/sms/history?limit=100")[2]["data"]["data"])


def test_nothing_acknowledged_is_lost_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    data, options = tmp_path / "data", {"smtp_port": "0", "smpp_port": "off", "log_format": "json"}
    taken: set[int] = set()
    with serving(data, **options) as server:
        assert server.port
        halves = [list(range(0, MANY, 2)), list(range(1, MANY, 2))]
        threads = [threading.Thread(target=hand_in, args=(server, half, taken)) for half in halves]
        for thread in threads:
            thread.start()
        while len(taken) < MANY // 3:
            threads[0].join(0.002)
        server.process.kill()
        for thread in threads:
            thread.join()
        server.process.wait()
    assert len(taken) < MANY, "it was killed too late to say anything"
    with serving(data, **options) as server:
        there = bodies(server)
        assert {f"text {number}" for number in taken} <= set(there)
        again: set[int] = set()
        hand_in(server, list(range(MANY)), again)
        assert again == set(range(MANY))
        assert bodies(server) == sorted(f"text {number}" for number in range(MANY))
        server.end()
