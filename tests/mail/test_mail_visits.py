"""Recipients in the sandbox that open, click, unsubscribe, or whose programs do so in advance: by real requests."""

import smtplib
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.mail import tracking
from heliograph.mail.tracking_counts import Counts
from heliograph.settings import own_url
from heliograph.transports.sandbox import mailvisits
from heliograph.transports.sandbox.mailvisits import Found, found
from mail.campaign import Sent, campaign, tracker
from support.server import Running

HTML = '<p>Hello <a href="https://a.example/?b=1&amp;c=2">a</a> <a href="https://d.example/">d</a></p>'
HOUSE = "https://house.example"


def written(mail: Sent, recipient: str) -> bytes:
    """The octets of a campaign's mail."""
    made = tracker(mail.api).prepare(HTML, track=True)
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "ann@sender.example", recipient, "Hello"
    for name, value in tracker(mail.api).unsubscribe_headers(mail.message_id):
        letter[name] = value
    letter.set_content("Hello")
    letter.add_alternative(made.html.replace(tracking.MARK, mail.token), subtype="html")
    return letter.as_bytes(policy=SMTP)


def test_recipients_do_what_their_names_say(sqlite_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    api = sqlite_server.account()
    (transport,) = [one for one in sqlite_server.house.router.transports.values() if hasattr(one, "sink")]
    sink: Any = transport
    monkeypatch.setattr(sink.sink.visitor, "_reads_after", 0.0)
    mails = {name: campaign(api, recipient=f"{name}@b.example")[0] for name in ("open", "click", "unsubscribe")}
    mails["prefetch"] = campaign(api, ago=5.0, recipient="prefetch@b.example")[0]
    mails["scanner"] = campaign(api, ago=None, recipient="scanner@b.example")[0]
    mails["jane"] = campaign(api, recipient="jane@b.example")[0]
    with capture_logs() as logs, smtplib.SMTP("127.0.0.1", sink._options.port) as client:
        for name, mail in mails.items():
            recipient = f"{name.title()}@b.example"
            client.sendmail("b@house.example", recipient, written(mail, recipient))
        api.until(lambda: len([one for one in logs if one["event"].startswith("mailsink.")]) == 5)
    said = {one["visit"]: one["status"] for one in logs if one["event"] == "mailsink.visited"}
    assert said == {"open": 200, "click": 302, "unsubscribe": 200, "prefetch": 200, "scanner": 200}
    api.until(lambda: mails["click"].counts().clicks and mails["open"].counts().opens)
    api.until(lambda: "Fetched" in mails["prefetch"].timeline())
    assert {name: mail.counts() for name, mail in mails.items()} == {
        "open": Counts(opens=1, unique_opens=1),
        "click": Counts(opens=1, unique_opens=1, clicks=1, unique_clicks=1),
        "unsubscribe": Counts(unsubscribes=1),
        "prefetch": Counts(),
        "scanner": Counts(),
        "jane": Counts(),
    }


def mail_of(html: str, header: str = "") -> bytes:
    return f"List-Unsubscribe: {header}\r\nContent-Type: text/html\r\n\r\n{html}".encode()


@pytest.mark.parametrize(
    ("octets", "wanted"),
    [
        (
            mail_of(f'<a href="{HOUSE}/e/c/T/0">a</a><img src={HOUSE}/e/o/T.gif>', f"<{HOUSE}/e/u/T>, <mailto:u@b.c>"),
            Found([f"{HOUSE}/e/o/T.gif"], [f"{HOUSE}/e/c/T/0"], [f"{HOUSE}/e/u/T"]),
        ),
        (
            mail_of(
                '<a href="https://evil.example/e/c/T/0"><img src="https://house.example.evil/e/o/T.gif">',
                f"<{HOUSE}.evil/e/u/T>, <https://evil.example/?{HOUSE}/e/u/T>",
            ),
            Found([], [], []),
        ),
        (b"Content-Type: text/html; charset=nonsense\r\n\r\n" + HOUSE.encode() + b"/e/o/T.gif", Found([], [], [])),
        (b"", Found([], [], [])),
        (b"\xff\xfe\0" * 1000, Found([], [], [])),
    ],
)
def test_only_the_house_is_visited(octets: bytes, wanted: Found) -> None:
    assert found(octets, HOUSE) == wanted


def test_the_sandbox_knows_the_paths_of_the_house(sqlite_server: Running) -> None:
    assert (mailvisits.PICTURES, mailvisits.LINKS) == (tracking.OPENS, tracking.CLICKS)
    assert own_url(sqlite_server.house.options) == f"http://127.0.0.1:{sqlite_server.port}"
