"""What readers do with the mails of a campaign: pictures, links, and the page on which they unsubscribe."""

import http.client
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from heliograph.db.engine import Connector
from heliograph.db.tables import messages
from heliograph.mail import suppressions, uses
from heliograph.mail.pages import PICTURE
from heliograph.mail.readers import Mailed, Seen, counted, is_reader
from heliograph.mail.tracking import keep_links
from heliograph.mail.tracking_counts import Counts, times_used
from heliograph.mail.uses import CLICK, OPEN, PREFETCH, Use
from links.telephone import IPHONE, WINDOWS, Page
from links.telephone import ask as asked
from mail.campaign import TARGETS, Sent, campaign
from support.server import ONE_DATABASE, Api, Running

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
APPLE = "Mozilla/5.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def ask(mail: Sent, path: str, method: str = "GET", *, agent: str | None = IPHONE, **headers: str) -> Page:
    return asked(mail.api.server, path, method, agent=agent, **headers)


def until(mail: Sent, wanted: Callable[[Counts], bool]) -> Counts:
    """The counts as soon as they are so; they are written shortly after the answers."""
    found: Counts = mail.api.until(lambda: counts if wanted(counts := mail.counts()) else None)
    return found


def kinds(mail: Sent) -> list[tuple[str, int, int]]:
    """(kind, number, count) of what is stored of a mail."""
    found = mail.api.server.read(
        lambda tx: tx.driver(
            "SELECT kind, number, count FROM email_uses WHERE message_id = ? ORDER BY kind, number", [mail.message_id]
        ).fetchall()
    )
    return [tuple(row) for row in found]


def test_people_are_counted_and_nobody_else_is(api: Api) -> None:
    """Whatever does not count is asked before what does: once that is there, it would be there as well."""
    first, second = campaign(api, 2)
    for agent in (None, "", "curl/8.14.1", GOOGLEBOT, "facebookexternalhit/1.1"):
        ask(first, first.picture, agent=agent)
        ask(first, first.link(0), agent=agent)
    ask(first, first.picture, "HEAD")
    ask(first, first.link(0), "HEAD")
    ask(first, first.picture, Sec_Purpose="prefetch")
    ask(first, first.link(0), agent=GMAIL)  # Google fetches pictures for its readers, and follows links for itself
    for agent in (IPHONE, GMAIL, YAHOO, APPLE):
        ask(first, first.picture, agent=agent)
    ask(second, second.picture, agent=WINDOWS)
    ask(first, first.link(0))
    ask(first, first.link(0), agent=WINDOWS)
    ask(second, second.link(2))
    found = until(first, lambda counts: counts.opens >= 5 and counts.clicks >= 3)
    assert found == Counts(opens=5, unique_opens=2, clicks=3, unique_clicks=2, unsubscribes=0)
    assert kinds(first) == [("click", 0, 2), ("open", 0, 4)]
    assert sorted(first.timeline()) == ["Clicked", "Opened", "Sent"]
    ask(first, first.picture)
    ask(first, first.link(1))
    assert until(first, lambda counts: counts.clicks == 4 and counts.opens == 6).unique_clicks == 2
    assert sorted(first.timeline()) == ["Clicked", "Clicked", "Opened", "Sent"]


def test_what_apple_fetches_in_advance_stands_apart(api: Api) -> None:
    (mail,) = campaign(api, ago=5.0)
    ask(mail, mail.picture, agent=APPLE)
    ask(mail, mail.picture, agent=IPHONE)
    assert until(mail, lambda counts: counts.opens > 0) == Counts(opens=1, unique_opens=1)
    assert kinds(mail) == [("open", 0, 1), ("prefetch", 0, 1)]
    assert sorted(mail.timeline()) == ["Fetched", "Opened", "Sent"]


@pytest.fixture
def mail(sqlite_server: Running) -> Sent:
    return campaign(sqlite_server.account())[0]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_picture(mail: Sent, method: str) -> None:
    page = ask(mail, mail.picture, method)
    assert (page.status, page.headers["content-type"], page.headers["content-length"]) == (200, "image/gif", "43")
    assert page.headers["cache-control"] == "no-store"
    assert len(PICTURE) == 43
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_leads_to_what_the_campaign_has_stored(mail: Sent, method: str) -> None:
    for number, location in enumerate((TARGETS[0], "https://xn--bcher-kva.example/stra%C3%9Fe", TARGETS[2])):
        page = ask(mail, mail.link(number) + "?url=https://evil.example", method)
        assert (page.status, page.headers["location"], page.text) == (302, location, "")
        assert page.headers["cache-control"] == "no-store"
    for nothing in ("3", "-1", "0x1", "", "0/", "0/https://evil.example", "9" * 9, "9" * 30, "%D9%A1", "a"):
        page = ask(mail, f"/e/c/{mail.token}/{nothing}")
        assert page.status == 404
        assert "location" not in page.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_pictures_and_links_are_only_looked_at(mail: Sent, method: str) -> None:
    for path in (mail.picture, mail.link(0)):
        page = ask(mail, path, method)
        assert (page.status, page.headers["allow"]) == (405, "GET, HEAD")


def test_a_token_that_was_not_made_here_is_nothing(mail: Sent) -> None:
    changed = mail.token[:-1] + ("A" if mail.token[-1] != "A" else "B")
    for token in (changed, mail.token.swapcase(), mail.token[:-1], mail.token + "A", mail.message_id, "%ED%A0%80", "A"):
        for path in (f"/e/o/{token}.gif", f"/e/c/{token}/0", f"/e/u/{token}"):
            assert ask(mail, path).status == 404, path
        assert ask(mail, f"/e/u/{token}", "POST").status == 404
    for path in (
        "/e/o/",
        "/e/c/",
        "/e/u/",
        "/e/",
        f"/e/o/{mail.token}",
        f"/e/o/{mail.token}.png",
        f"/e/c/{mail.token}",
    ):
        assert ask(mail, path).status == 404
    assert mail.counts() == Counts()


@pytest.mark.parametrize("other", [{"campaign_id": None}, {"channel": "sms"}])
def test_only_mails_of_campaigns_are_unsubscribed_from(sqlite_server: Running, other: dict[str, Any]) -> None:
    (single,) = campaign(sqlite_server.account(), **other)
    assert ask(single, single.page).status == 404
    assert ask(single, single.page, "POST").status == 404
    assert ask(single, single.link(0)).status == 404


def listed(mail: Sent) -> list[tuple[str, str]]:
    found = mail.api.server.read(lambda tx: suppressions.newest(tx, mail.api.user_id, 10))
    return [(row["address"], row["reason"]) for row in found]


def test_a_post_unsubscribes_at_once_and_once(api: Api) -> None:
    mail, other = campaign(api, 2, recipient="Jane@Reader.example")
    for _ in range(2):
        page = ask(mail, mail.page, "POST", agent=None)
        assert page.status == 200
        assert not page.headers.keys() & {"location", "set-cookie", "www-authenticate"}
    assert listed(mail) == [("jane@reader.example", "unsubscribe")]
    assert mail.counts() == Counts(unsubscribes=1)
    assert mail.timeline() == ["Sent", "Unsubscribed"]
    assert ask(other, other.page, "POST").status == 200
    assert mail.counts() == Counts(unsubscribes=2)
    assert len(listed(mail)) == 1
    assert api.get("/email/suppressions")["data"][0]["message_id"] == mail.message_id


def test_who_was_taken_off_the_list_can_unsubscribe_again(mail: Sent) -> None:
    ask(mail, mail.page, "POST")
    mail.api.server.write(lambda tx: suppressions.remove(tx, mail.api.user_id, "jane@reader.example"))
    ask(mail, mail.page, "POST")
    assert len(listed(mail)) == 1
    assert mail.counts().unsubscribes == 1


@pytest.mark.parametrize("body", ["List-Unsubscribe=One-Click", "", "a" * 100_000])
def test_the_body_of_a_post_says_nothing(mail: Sent, body: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", mail.api.server.port, timeout=30)
    try:
        kind = "application/x-www-form-urlencoded"
        connection.request("POST", mail.page, body, {"Content-Type": kind, "Origin": "https://mail.example"})
        assert connection.getresponse().status == 200
    finally:
        connection.close()
    assert mail.counts().unsubscribes == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_asks_first(mail: Sent, method: str) -> None:
    page = ask(mail, mail.page, method)
    assert page.status == 200
    if method == "GET":
        assert '<form method="post"><button>Unsubscribe</button></form>' in page.text
        assert "j…@reader.example" in page.text
        assert "jane" not in page.text
    assert listed(mail) == []
    assert mail.counts() == Counts()


def test_what_a_page_shows_is_no_html(sqlite_server: Running) -> None:
    (mail,) = campaign(sqlite_server.account(account_name="<b>Ann</b> & Co"), recipient='"<i>"@reader.example')
    text = ask(mail, mail.page).text
    assert "<i>" not in text
    assert "Ann" in text
    assert "<b>Ann" not in text.replace("<p><b>", "<p>")


AT = 1_800_000_000.0


def test_what_is_a_person() -> None:
    assert is_reader(OPEN, GMAIL)
    assert is_reader(OPEN, YAHOO)
    assert is_reader(OPEN, APPLE)
    assert not is_reader(CLICK, GMAIL)
    assert not is_reader(OPEN, GOOGLEBOT)


@pytest.mark.parametrize(
    ("kind", "since", "agent", "found"),
    [
        (OPEN, 3600, IPHONE, OPEN),
        (OPEN, 3600, APPLE, OPEN),
        (OPEN, 601, APPLE, OPEN),
        (OPEN, 600, APPLE, PREFETCH),
        (OPEN, 600, " Mozilla/5.0 ", PREFETCH),
        (OPEN, 0.5, APPLE, PREFETCH),
        (OPEN, None, APPLE, PREFETCH),
        (OPEN, 600, IPHONE, OPEN),
        (OPEN, 1.1, GMAIL, OPEN),
        (OPEN, 1.0, IPHONE, None),
        (OPEN, -2.0, IPHONE, None),
        (OPEN, None, IPHONE, None),
        (CLICK, 1.1, IPHONE, CLICK),
        (CLICK, 60, APPLE, CLICK),
        (CLICK, 0.9, IPHONE, None),
        (CLICK, None, IPHONE, None),
    ],
)
def test_what_is_counted_depends_on_when_it_was(kind: Any, since: float | None, agent: str, found: Any) -> None:
    mails = {"M": Mailed(1, 7, "jane@reader.example", None if since is None else AT - since)}
    wanted = [] if found is None else [Use(7, "M", found, 0, int(AT))]
    assert counted([Seen(AT, kind, "M", 0, agent)], mails) == wanted


@pytest.mark.parametrize(
    ("clicks", "counts"),
    [
        ([(0, 0), (0.3, 1), (0.6, 2)], 0),
        ([(0.6, 2), (0, 0), (0.3, 1)], 0),
        ([(0, 0), (1.0, 1)], 0),
        ([(0, 0), (1.5, 1)], 2),
        ([(0, 0), (0.1, 0)], 2),
    ],
)
def test_nobody_opens_several_links_within_a_second(clicks: list[tuple[float, int]], counts: int) -> None:
    mails = {name: Mailed(1, 7, "jane@reader.example", AT - 3600) for name in "MN"}
    seen = [Seen(AT + at, CLICK, "M", number, IPHONE) for at, number in clicks]
    assert len(counted([*seen, Seen(AT, CLICK, "N", 0, IPHONE), Seen(AT, OPEN, "M", 0, IPHONE)], mails)) == counts + 2


def test_mails_that_are_gone_are_not_counted() -> None:
    assert counted([Seen(AT, OPEN, "M", 0, IPHONE)], {}) == []


def test_sums_are_those_of_the_rows(api: Api) -> None:
    mails = campaign(api, 30)
    number = mails[0].campaign_id
    some = [Use(number, one.message_id, CLICK, place % 3, 5) for place, one in enumerate(mails[:20])]
    first = api.server.write(lambda tx: uses.add(tx, [*some, *some[:5]]))
    assert sorted(first) == sorted(some)
    again = [one._replace(number=1, at=9) for one in some[:4]]
    assert len(api.server.write(lambda tx: uses.add(tx, again))) == 3
    assert mails[0].counts() == Counts(clicks=29, unique_clicks=20)

    def times(tx: Any) -> Any:
        wanted = select(messages.c.message_id, times_used(CLICK).label("times"), times_used(OPEN).label("none"))
        return tx.rows(wanted.where(messages.c.user_id == api.user_id).order_by(messages.c.ordinal))

    assert [row["times"] for row in api.server.read(times)][:5] == [3, 3, 3, 3, 2]
    assert {row["none"] for row in api.server.read(times)} == {0}

    def rows(tx: Any) -> Any:
        text = "SELECT SUM(count), COUNT(DISTINCT message_id) FROM email_uses WHERE campaign_id = ?"
        return tx.driver(text, [number]).fetchone()

    assert tuple(api.server.read(rows)) == (29, 20)


@ONE_DATABASE
def test_a_changed_campaign_has_other_links(api: Api) -> None:
    (mail,) = campaign(api)
    api.server.write(lambda tx: keep_links(tx, mail.campaign_id, ["https://other.example/"]))
    assert ask(mail, mail.link(0)).headers["location"] == "https://other.example/"
    assert ask(mail, mail.link(1)).status == 404
    api.server.write(lambda tx: keep_links(tx, mail.campaign_id, []))
    assert ask(mail, mail.link(0)).status == 404


def test_a_server_that_ends_has_counted_its_readers(tmp_path: Any) -> None:
    server = Running(tmp_path)
    (mail,) = campaign(server.account())
    for _ in range(3):
        ask(mail, mail.picture)
    server.close_clients()
    server.stop()
    with sqlite3.connect(tmp_path / "heliograph.db") as database:
        rows = database.execute("SELECT kind, total, mails FROM email_totals").fetchall()
    database.close()
    assert rows == [("open", 3, 1)]


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_processes_that_count_at_once_miss_nothing(api: Api) -> None:
    """Each finds mails that another one is counting, and must not call them new as well."""
    mails = campaign(api, 20)
    some = [Use(mails[0].campaign_id, one.message_id, kind, 0, 5) for one in mails for kind in (OPEN, CLICK)]
    url = api.server.options.database
    barrier = threading.Barrier(4)

    def count() -> None:
        connector = Connector(url, time.time)
        barrier.wait()
        for _ in range(5):
            tx = connector.begin_write()
            uses.add(tx, some)
            tx.driver("COMMIT")
        connector.close()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(count) for _ in range(4)]:
            done.result()
    assert mails[0].counts() == Counts(opens=400, unique_opens=20, clicks=400, unique_clicks=20)
