"""What comes back by mail changes the mails that the house has sent: the whole way, by SMTP, through the sandbox."""

from typing import Any

import pytest

from heliograph.mail.verp import UNSUBSCRIBE, Verp
from heliograph.mailserver.desk import Arrived, Recipient, Visit
from heliograph.mailserver.returns import COMPLAINTS, ReturnsDesk
from support.emails import a_mail
from support.server import Api, Running

DOMAIN = "bounce.heliograph.localdomain"


def sent(api: Api, local: str) -> dict[str, Any]:
    """A mail to this address of a domain of the account."""
    return dict(api.post("/email/send", a_mail(api, to=[{"email": f"{local}@{api.username}.example"}])))


def entry(api: Api, message_id: str) -> dict[str, Any]:
    (found,) = api.get(f"/email/history?q=message_id:{message_id}")["data"]
    return dict(found)


def suppressed(api: Api) -> list[tuple[str, str]]:
    return [(one["email_address"], one["reason"]) for one in api.get("/email/suppressions")["data"]]


@pytest.mark.parametrize(
    ("local", "status", "counts", "reasons"),
    [
        ("hard", "Failed", (0, 1), ["bounce"]),
        ("soft", "Failed", (0, 1), []),
        ("delayed", "Sent", (1, 0), []),
        ("complaint", "SpamReport", (0, 0), ["complaint"]),
    ],
)
def test_reports_of_hosts_come_back(
    api: Api, local: str, status: str, counts: tuple[int, int], reasons: list[str]
) -> None:
    api.post("/automations/email/receipts", {"rule_name": "r", "action": "POLL", "action_address": ""})
    mail = sent(api, local)

    def arrived() -> dict[str, Any] | None:
        row = entry(api, mail["message_id"])
        come = (row["soft_bounce_count"], row["hard_bounce_count"]) == counts
        return row if row["status"] == status and come else None

    api.until(arrived)
    assert suppressed(api) == [(f"{local}@{api.username}.example", reason) for reason in reasons]
    codes = [one["status_code"] for one in api.get("/email/receipts")["data"]]
    assert codes == ["201", "300" if local == "delayed" else "301"]


def desk(server: Running) -> ReturnsDesk:
    house = server.house
    return ReturnsDesk(house.options, house.database, house.vault, house.hooks)


def handed_in(server: Running, address: str, octets: bytes) -> str:
    recipient = Recipient.of(address)
    mail = Arrived(visit=Visit(peer="127.0.0.1", helo="x"), recipients=(recipient,), octets=octets)
    return str(server.call(lambda: desk(server).take(mail)))


def known(server: Running, address: str) -> bool:
    visit = Visit(peer="127.0.0.1", helo="x")
    return bool(server.call(lambda: desk(server).knows(visit, Recipient.of(address))))


def key_of(api: Api, send_id: str) -> str:
    def work(tx: Any) -> str:
        sql = "SELECT message_id FROM messages WHERE user_id = ? AND details LIKE ?"
        return str(tx.driver(sql, [api.user_id, f"%{send_id}%"]).fetchone()[0])

    return str(api.server.read(work))


REPORT = (
    "From: MAILER-DAEMON@mx.example\r\nTo: {to}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n'
    "--x\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
    "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--x--\r\n"
)


def test_a_forged_address_is_refused_and_counts_nothing(server: Running, api: Api) -> None:
    mail = sent(api, "jane")
    api.until(lambda: entry(api, mail["message_id"])["status"] == "Sent")
    good = Verp(server.house.vault, DOMAIN).address(key_of(api, mail["message_id"]))
    forged = good.replace("-", "-f", 1)
    assert known(server, good.upper())
    assert not known(server, forged)
    assert not known(server, f"somebody@{DOMAIN}")
    handed_in(server, forged, REPORT.format(to=forged).encode())
    assert entry(api, mail["message_id"])["status"] == "Sent"
    handed_in(server, good, REPORT.format(to=good).encode())
    handed_in(server, good, REPORT.format(to=good).encode())
    row = entry(api, mail["message_id"])
    assert (row["status"], row["hard_bounce_count"]) == ("Failed", 1)


def test_a_mail_to_the_unsubscribe_address_is_a_wish(server: Running, api: Api) -> None:
    mail = sent(api, "jane")
    address = Verp(server.house.vault, DOMAIN, UNSUBSCRIBE).address(key_of(api, mail["message_id"]))
    assert known(server, address)
    for _ in range(2):
        handed_in(server, address, b"From: jane@b.example\r\nSubject: unsubscribe\r\n\r\n")
    assert suppressed(api) == [(f"jane@{api.username}.example", "unsubscribe")]
    again = sent(api, "jane")  # it is asked for: only campaigns are kept back
    api.until(lambda: entry(api, again["message_id"])["status"] == "Sent")


def test_a_complaint_finds_its_mail_by_the_return_path_that_it_quotes(server: Running, api: Api) -> None:
    mail = sent(api, "jane")
    api.until(lambda: entry(api, mail["message_id"])["status"] == "Sent")
    good = Verp(server.house.vault, DOMAIN).address(key_of(api, mail["message_id"]))
    for path, status in ((good.replace("-", "-0", 1), "Sent"), (good, "SpamReport")):
        report = (
            "From: fbl@host.example\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="x"\r\n\r\n'
            "--x\r\nContent-Type: text/plain\r\n\r\nAbuse.\r\n--x\r\nContent-Type: message/feedback-report\r\n\r\n"
            f"Feedback-Type: abuse\r\nVersion: 1\r\nOriginal-Mail-From: <{path}>\r\n\r\n--x--\r\n"
        )
        assert known(server, f"{COMPLAINTS}@{DOMAIN}")
        handed_in(server, f"{COMPLAINTS}@{DOMAIN}", report.encode())
        assert entry(api, mail["message_id"])["status"] == status


@pytest.mark.parametrize(
    "octets", [b"", b"\x00\xff" * 1000, b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x" * 500]
)
def test_what_says_nothing_changes_nothing(server: Running, api: Api, octets: bytes) -> None:
    mail = sent(api, "jane")
    good = Verp(server.house.vault, DOMAIN).address(key_of(api, mail["message_id"]))
    handed_in(server, good, octets)
    assert entry(api, mail["message_id"])["status"] in ("Queued:WaitSend", "Sent")
