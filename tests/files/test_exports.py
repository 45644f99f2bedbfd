"""Exports of histories: what stands in the file, and the job that writes a long one."""

import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from files.fetching import fetch
from heliograph.channels.sms.shapes import SmsHistoryEntry
from heliograph.messaging import export
from support import postgres
from support.server import Api, Running


def exported(url: str) -> list[dict[str, str]]:
    got = fetch(url)
    assert (got.status, got.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(got.raw.decode("utf-8"), newline="")))


def fill(api: Api, count: int) -> None:
    """Send `count` messages and wait until all are final: an export must not race with its rows."""
    bodies = [{"to": "+61491570006", "body": f"message {number}"} for number in range(count)]
    before = api.get("/sms/history")["total"]
    api.post("/sms/send", {"messages": bodies})
    api.until(lambda: api.get("/sms/history?q=status:completed")["total"] == before + count)


def test_an_export_has_the_history(api: Api) -> None:
    fill(api, 3)
    url = api.get("/sms/history/export?filename=my export.csv".replace(" ", "%20"))["url"]
    assert url.endswith("?filename=my%20export.csv")
    assert fetch(url).headers["content-disposition"] == 'attachment; filename="my export.csv"'
    rows = exported(url)
    shown = api.get("/sms/history?limit=100")["data"]
    assert tuple(rows[0]) == tuple(field.encode_name for field in msgspec.structs.fields(SmsHistoryEntry))
    assert [row["message_id"] for row in rows] == [row["message_id"] for row in shown]
    assert rows[0] == {name: "" if value is None else str(value) for name, value in shown[0].items()}


@pytest.mark.parametrize("filename", ["", "../../a.csv", "😀", "a\r\nb", 'x"y', "n" * 500])
def test_the_name_of_an_export_is_only_a_name(api: Api, filename: str) -> None:
    url = api.get(f"/sms/history/export?filename={quote(filename)}")["url"]
    assert fetch(url).status == 200
    assert exported(url) == []


def test_dates_narrow_an_export(api: Api) -> None:
    fill(api, 2)
    at = int(api.get("/sms/history")["data"][0]["date"])
    assert len(exported(api.get(f"/sms/history/export?date_from={at}")["url"])) == 2
    assert exported(api.get(f"/sms/history/export?date_to={at - 1}")["url"]) == []
    assert api.call("GET", "/sms/history/export?date_from=tomorrow").status == 400


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x")', "+61 491"]


def test_a_text_is_no_formula_and_survives(api: Api) -> None:
    """Source of the characters: OWASP, "CSV Injection"."""
    texts = [*FORMULAS, "plain", 'quo"te, comma', "two\nlines", "łódź 😀", "a=1"]
    for number, text in enumerate(texts):
        api.send(f"+6149157{number:04d}", text, custom_string=text)
    rows = exported(api.get("/sms/history/export?filename=a.csv")["url"])
    for row, text in zip(rows, texts, strict=True):
        for cell in (row["body"], row["custom_string"]):
            assert cell[:1] not in "=+-@\t\r\n"
            assert cell.removeprefix("'").strip() == text.strip()
            assert cell.startswith("'") == (text in FORMULAS)
        assert row["to"].startswith("+61"), "a number is no formula"


@pytest.fixture(params=["sqlite", "postgres"])
def late(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A server that writes every export of more than 20 rows as a job, and none of more than 2,500."""
    more = {"export_at_once": 20, "export_rows": 2500, "throttle_seconds": 0}
    if request.param == "sqlite":
        yield from serving(tmp_path, "", more)
    else:
        with postgres.database(request.getfixturevalue("postgres_url")) as url:
            yield from serving(tmp_path, url, more)


def serving(data: Path, database: str, more: dict[str, int]) -> Iterator[Running]:
    running = Running(data, database, **more)
    yield running
    running.close_clients()
    running.stop()


def test_a_long_export_is_a_job_with_progress(late: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is held back, so that the file is seen while it is being written."""
    monkeypatch.setattr(export, "SLICE", 500)
    api, stranger = late.account(credit=1_000_000_000), late.account()
    for _ in range(3):
        fill(api, 800)
    gate = Gate(late)
    url = api.get("/sms/history/export?filename=all.csv")["url"]
    key = url.rsplit("/", 1)[1].partition("?")[0]
    api.until(lambda: gate.reached.wait(0.01))
    got = fetch(url)
    assert (got.status, got.headers["retry-after"]) == (503, "2")
    state = api.get(f"/exports/{key}")
    assert state == {"export_id": key, "ready": False, "rows_done": 2400, "rows": 2400, "url": url}
    assert stranger.call("GET", f"/exports/{key}").status == 404
    gate.open.set()
    api.until(lambda: api.get(f"/exports/{key}")["ready"])
    rows = exported(url)
    assert len({row["message_id"] for row in rows}) == 2400
    api.until(lambda: late.read(lambda tx: tx.driver("SELECT COUNT(*) FROM jobs").fetchone()[0]) == 0)
    fill(api, 200)
    refused = api.call("GET", "/sms/history/export?filename=all.csv")
    assert refused.status == 400
    assert "2600 messages; an export holds at most 2500" in refused.data["date_from"]


class Gate:
    """Holds back what is put into a server's file store."""

    def __init__(self, server: Running) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        store = server.house.files
        put = store.put

        def held(file_id: str, content: object) -> None:
            self.reached.set()
            assert self.open.wait(20)
            put(file_id, content)  # type: ignore[arg-type]

        store.put = held  # type: ignore[method-assign]


def test_a_job_that_is_run_again_writes_the_file_anew(late: Running) -> None:
    """As after a crash: the same job twice gives one whole file."""
    api = late.account()
    fill(api, 30)
    url = api.get("/sms/history/export?filename=all.csv")["url"]
    key = url.rsplit("/", 1)[1].partition("?")[0]
    api.until(lambda: api.get(f"/exports/{key}")["ready"])
    before = fetch(url).raw
    late.write(lambda tx: export.later(tx, api.user_id, key))
    late.write(lambda tx: export.later(tx, api.user_id, "gone"))
    api.until(lambda: late.read(lambda tx: tx.driver("SELECT COUNT(*) FROM jobs").fetchone()[0]) == 0)
    assert fetch(url).raw == before


@pytest.mark.parametrize("key", ["unknown", "1", "%00", "😀", "x" * 2000])
def test_an_unknown_export(api: Api, key: str) -> None:
    assert api.call("GET", f"/exports/{quote(key, safe='%')}").status == 404
