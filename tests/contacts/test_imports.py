"""Imports of contacts: from a URL and from an upload, in every format, and everything that can go wrong."""

import asyncio
import csv
import io
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contacts import books
from heliograph.contacts import contact, importer, imports
from heliograph.contacts.importer import Importer
from heliograph.contacts.imports import Note, Slice
from heliograph.db.engine import Tx
from heliograph.files import store as files
from heliograph.queue import jobs
from heliograph.queue.jobs import Job
from heliograph.queue.worker import MOST_ATTEMPTS
from support.server import Api, Running

HERE = Path(__file__).parent
TABLE = [["Phone", "First Name", "Last Name"], [61491570006, "Zoë", "Müller"], ["+61491570156", "Li", "王"]]
TABLE += [["nonsense", "No", "Number"]]
TEXT = "\n".join(";".join(map(str, row)) for row in TABLE)
ORDER = ["phone", "first_name", "last_name"]


@contextmanager
def site(answer: Any) -> Iterator[str]:
    """A web server whose GET calls `answer(handler)`, or gives these bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not isinstance(answer, bytes):
                answer(self)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/contacts"
    finally:
        server.shutdown()
        server.server_close()


def made(api: Api) -> int:
    return int(api.post("/lists", {"list_name": "Imported"})["list_id"])


def start(api: Api, list_id: int, url: str, order: Any = ORDER) -> int:
    answer = api.post(f"/lists/{list_id}/import", {"file_url": url, "field_order": order})
    assert answer["ids"] == [answer["id"]]
    return int(answer["id"])


def ended(api: Api, list_id: int, key: int) -> dict[str, Any]:
    def over() -> Any:
        row = api.get(f"/lists/{list_id}/imports/{key}")
        return row if row["state"] in ("done", "failed") else None

    row: dict[str, Any] = api.until(over)
    assert api.get(f"/lists/{list_id}")["_import_in_progress"] == 0
    return row


def imported(api: Api, content: bytes, order: Any = ORDER) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the import at its end, the first contacts of the list)."""
    list_id = made(api)
    with site(content) as url:
        row = ended(api, list_id, start(api, list_id, url, order))
    return row, api.get(f"/lists/{list_id}/contacts?limit=100")["data"]


FORMATS = {
    "csv": TEXT.encode(),
    "csv-cp1252": TEXT.replace("王", "Wang").encode("cp1252"),
    "csv-utf-16": TEXT.encode("utf-16"),
    "xlsx": books.xlsx(TABLE),
    "ods": books.ods(TABLE),
    "xls": (HERE / "files" / "contacts.xls").read_bytes(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(api: Api, name: str) -> None:
    row, found = imported(api, FORMATS[name])
    assert row["error"] is None
    counts = [row[f"rows_{kind}"] for kind in ("done", "added", "updated", "refused")]
    assert (row["state"], counts) == ("done", [3, 2, 0, 1])
    assert row["refused"] == [{"line": 4, "reason": "Phone number must be a valid phone number."}]
    contacts = [(one["phone_number"], one["first_name"], one["last_name"]) for one in found]
    last = "Wang" if name == "csv-cp1252" else "王"
    assert contacts == [("+61491570006", "Zoë", "Müller"), ("+61491570156", "Li", last)]


def test_the_country_of_a_row(server: Running) -> None:
    """By its code, its name in English or in its own language, or a usual abbreviation; none is guessed (H9)."""
    rows = {
        "7012345678,Asha,India": "+917012345678",
        "7012345679,Asha,भारत": "+917012345679",
        "07400123456,Ann,UK": "+447400123456",
        "0551234567,Ali,KSA": "+966551234567",
        "0151 23456789,Eva,Deutschland": "+4915123456789",
        "0412345678,Bea,aus": "+61412345678",
        "2025550142,Cid,": "+12025550142",
        "+917012345670,Dee,Atlantis": "+917012345670",
        "7012345671,Eve,Wakanda": "Phone number has no country: Wakanda is no name and no ISO 3166 code of a country.",
        "4155550143,Fay,Singapore": "Phone number must be a valid phone number of SG, or have its calling code.",
    }
    row, found = imported(
        server.account(country="US"), "\n".join(rows).encode(), ["phone", "first_name", "address_country"]
    )
    assert [one["phone_number"] for one in found] == [one for one in rows.values() if one.startswith("+")]
    refused = [(at, one) for at, one in enumerate(rows.values(), 1) if not one.startswith("+")]
    assert [(one["line"], one["reason"]) for one in row["refused"]] == refused


def test_two_spellings_of_a_number_are_one_contact(api: Api) -> None:
    row, found = imported(api, b"+5491123456789,Ana\n+541123456789,Eva\n+5215512345678,Luz\n+525512345678,Sol\n")
    assert [row[f"rows_{kind}"] for kind in ("added", "updated")] == [2, 2]
    assert [(one["phone_number"], one["first_name"]) for one in found] == [
        ("+541123456789", "Eva"),
        ("+525512345678", "Sol"),
    ]


def test_cards(api: Api) -> None:
    cards = "BEGIN:VCARD\nVERSION:3.0\nN:Diaz;Ellen;;;\nFN:Ellen Diaz\nTEL;TYPE=CELL:0491 570 006\nEND:VCARD\n"
    row, found = imported(api, (cards + "BEGIN:VCARD\nVERSION:3.0\nFN:Nobody\nN:;;;;\nEND:VCARD\n").encode(), ["phone"])
    assert (row["rows_added"], row["rows_refused"], row["refused"][0]["line"]) == (1, 1, 7)
    assert (found[0]["phone_number"], found[0]["first_name"], found[0]["last_name"]) == (
        "+61491570006",
        "Ellen",
        "Diaz",
    )


def test_refused_rows_can_be_downloaded(api: Api) -> None:
    row, _ = imported(api, b'+61491570006,a,b\n12,=cmd(),b\n"x",c,d\n')
    path = row["error_file_url"].partition("/files/")[2]
    assert list(csv.reader(io.StringIO(fetched(api, f"/files/{path}").decode(), newline=""))) == [
        ["line", "reason", "content"],
        ["2", "Phone number must be a valid phone number.", "'12,=cmd(),b"],
        ["3", "Phone number must be a valid phone number.", "'x,c,d"],
    ]
    known = api.server.read(lambda tx: files.find(tx, path))
    assert known is not None
    assert known["user_id"] == api.user_id


def test_what_is_left_out_of_a_row_is_said(api: Api) -> None:
    """The good number is imported, what is bad beside it changes nothing, and the report has both kinds of rows."""
    list_id = made(api)
    api.post(f"/lists/{list_id}/contacts", {"phone_number": "+61491570156", "email": "old@example.com"})
    text = b"+61491570006 ::: +61491570157,nobody,Smith &amp; Co,x\n0491570156,a@,Bea,y\nbad,b@example.com,z,z\n"
    with site(text) as url:
        row = ended(api, list_id, start(api, list_id, url, ["phone", "email"]))
    counts = [row[f"rows_{kind}"] for kind in ("done", "added", "updated", "partial", "refused")]
    assert counts == [3, 1, 1, 2, 1]
    without = "Imported without email: Email must be an email address."
    assert row["partial"] == [{"line": 1, "reason": without}, {"line": 2, "reason": without}]
    assert row["refused"] == [{"line": 3, "reason": "Phone number must be a valid phone number."}]
    report = fetched(api, f"/files/{row['error_file_url'].partition('/files/')[2]}").decode()
    assert [line[:3] for line in report.splitlines()[1:]] == ["1,I", "2,I", "3,P"]
    found = api.get(f"/lists/{list_id}/contacts")["data"]
    assert [(one["phone_number"], one["email"]) for one in found] == [
        ("+61491570156", "old@example.com"),
        ("+61491570006", None),
    ]


def test_a_web_page_that_is_called_a_sheet_is_refused_once(api: Api) -> None:
    row, found = imported(api, b"<html><body><table><tr><td>+61491570006</td></tr></table></body></html>")
    assert (row["state"], row["rows_refused"], found) == ("failed", 0, [])
    assert row["error"].startswith("The file is HTML, XML or SVG, whatever its name says.")


def test_long_cells_cost_their_rows_and_no_time(api: Api) -> None:
    """Spaces around a cell are none of it. Before, a cell of many spaces held up every request for seconds."""
    spaces = " " * 30_000
    lines = [f"a{spaces}b,Ann", f"+61491570006{spaces},Bea", f"+61491570156,{'x' * 301}", f"+61491570157,{'x' * 255}"]
    lines.append(f"{'0' * 301},{'x' * 301}")
    row, found = imported(api, "\n".join(lines).encode())
    assert row["refused"] == [
        {"line": 1, "reason": "Phone number is longer than 300 characters."},
        {"line": 3, "reason": "First name is longer than 300 characters."},
        {
            "line": 5,
            "reason": "Phone number is longer than 300 characters. First name is longer than 300 characters.",
        },
    ]
    assert [one["phone_number"] for one in found] == ["+61491570006", "+61491570157"]


def test_all_fields_in_both_spellings_and_as_one_text(api: Api) -> None:
    order = "phone,first_name,,custom1,custom_2,fax_number,organization_name,email,address_line_1,address_country"
    row, found = imported(api, b"020 7946 0018,Ann,left out,c1,c2,020 7946 0019,Acme,a@example.com,1 Road,GB\n", order)
    assert row["rows_added"] == 1
    one = found[0]
    assert (one["phone_number"], one["fax_number"], one["last_name"]) == ("+442079460018", "+442079460019", "")
    assert (one["custom_1"], one["custom_2"], one["organization_name"]) == ("c1", "c2", "Acme")
    assert (one["email"], one["address_line_1"], one["address_country"]) == ("a@example.com", "1 Road", "GB")


def test_a_known_number_is_updated_and_empty_cells_keep_what_is_there(api: Api) -> None:
    list_id = made(api)
    api.post(f"/lists/{list_id}/contacts", {"phone_number": "+61491570006", "first_name": "Ann", "custom_1": "kept"})
    text = b"0491570006,,Old\n+61491570006,Beatrice,\n+61491570156,New,\n0491570156,,Last\n"
    with site(text) as url:
        row = ended(api, list_id, start(api, list_id, url))
    assert [row[f"rows_{kind}"] for kind in ("done", "added", "updated", "refused")] == [4, 1, 3, 0]
    found = api.get(f"/lists/{list_id}/contacts")["data"]
    shown = [(one["first_name"], one["last_name"], one["custom_1"]) for one in found]
    assert shown == [("Beatrice", "Old", "kept"), ("New", "Last", "")]
    assert api.get(f"/lists/{list_id}")["_contacts_count"] == 2


def test_a_national_number_updates_a_contact_of_another_country(api: Api) -> None:
    """The row means the account's country, whatever the contact that it meets says of itself."""
    list_id = made(api)
    api.post(f"/lists/{list_id}/contacts", {"phone_number": "+61491570006", "address_country": "GB"})
    with site(b"0491 570 006,Ann\n0491570156,Bea\n0491570156,Cid\n") as url:
        row = ended(api, list_id, start(api, list_id, url))
    assert [row[f"rows_{kind}"] for kind in ("done", "added", "updated", "refused")] == [3, 1, 2, 0]
    found = api.get(f"/lists/{list_id}/contacts")["data"]
    assert [(one["phone_number"], one["first_name"]) for one in found] == [
        ("+61491570006", "Ann"),
        ("+61491570156", "Cid"),
    ]
    one = api.server.read(lambda tx: contact.find(tx, api.user_id, list_id, found[0]["contact_id"])[1])
    assert one["phone_original"] == "0491 570 006"


def fetched(api: Api, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{api.server.port}{path}") as answer:
        return bytes(answer.read())


def stored(api: Api, content: bytes) -> str:
    key = api.server.write(lambda tx: files.create(tx, api.user_id, "contacts.csv", "text/csv", 3600))
    api.server.house.files.put(key, io.BytesIO(content))
    api.server.write(lambda tx: files.finish(tx, key, len(content)))
    return key


def is_there(api: Api, key: str) -> bool:
    try:
        api.server.house.files.read(key, 0, 1)
    except FileNotFoundError:
        return False
    return True


def test_an_upload_by_its_id_and_by_its_address(api: Api) -> None:
    key = stored(api, TEXT.encode())
    base = f"http://127.0.0.1:{api.server.port}"
    for url in (key, key.lower(), f"/files/{key}", f"{base}/files/{key}.csv", f"{base}/files/{key}?filename=a.csv"):
        list_id = made(api)
        assert ended(api, list_id, start(api, list_id, url))["rows_added"] == 2
    assert is_there(api, key), "the customer's file is still there"
    copies = "SELECT COUNT(*) FROM files WHERE user_id = ? AND name = 'import.csv'"
    assert api.server.read(lambda tx: tx.driver(copies, [api.user_id]).fetchone()[0]) == 0


def test_uploads_of_others_and_unknown_ones_are_refused(server: Running) -> None:
    mine, theirs = server.account(), server.account()
    key = stored(theirs, TEXT.encode())
    list_id = made(mine)
    base = f"http://127.0.0.1:{server.port}"
    for url in (key, f"{base}/files/{key}", "00000000-0000-0000-0000-000000000000"):
        refused = mine.call("POST", f"/lists/{list_id}/import", {"file_url": url, "field_order": ORDER})
        assert (refused.status, refused.data) == (400, {"file_url": "There is no such file."})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"file_url": None}, "file_url"),
        ({"file_url": ""}, "file_url"),
        ({"file_url": "file:///etc/passwd"}, "file_url"),
        ({"file_url": "../../etc/passwd"}, "file_url"),
        ({"file_url": "/files/../../etc/passwd"}, "file_url"),
        ({"file_url": "http://exa mple.com/"}, "file_url"),
        ({"file_url": "http://127.0.0.1/" + "x" * 3000}, "file_url"),
        ({"file_url": 5}, "file_url"),
        ({"file_url": ["http://127.0.0.1:9/"]}, "file_url"),
        ({"field_order": None}, "field_order"),
        ({"field_order": []}, "field_order"),
        ({"field_order": ["first_name"]}, "field_order"),
        ({"field_order": ["phone", "nonsense"]}, "field_order"),
        ({"field_order": ["phone", "phone_number"]}, "field_order"),
        ({"field_order": "phone;name"}, "field_order"),
        ({"field_order": 7}, "field_order"),
        ({"field_order": {"a": 1}}, "field_order"),
        ({"field_order": [["phone"]]}, "field_order.0"),
    ],
)
def test_bad_requests(api: Api, change: dict[str, Any], fault: str) -> None:
    list_id = made(api)
    body = {"file_url": "http://127.0.0.1:9/x.csv", "field_order": ORDER, **change}
    refused = api.call("POST", f"/lists/{list_id}/import", body)
    assert (refused.status, set(refused.data)) == (400, {fault})
    assert api.get(f"/lists/{list_id}")["_import_in_progress"] == 0


def test_private_addresses_are_refused_at_once(tmp_path: Path) -> None:
    server = Running(tmp_path, webhook_private="refuse")
    try:
        api = server.account()
        list_id = made(api)
        for url in ("http://127.0.0.1:9/x.csv", "http://[::1]/x.csv", "http://2130706433/x", "http://localhost/x"):
            refused = api.call("POST", f"/lists/{list_id}/import", {"file_url": url, "field_order": ORDER})
            assert (refused.status, set(refused.data)) == (400, {"file_url"})
    finally:
        server.close_clients()
        server.stop()


DAMAGED = "The file is damaged."
BROKEN = {
    "broken-xlsx": (b"PK\x03\x04" + b"broken" * 100, DAMAGED),
    "half-xlsx": (books.xlsx(TABLE)[:400], DAMAGED),
    "broken-xls": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
        "The file is of an unknown kind, which cannot be converted for contacts. Supported: xlsx, xls, ods, vcf.",
    ),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "The file is neither CSV"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(api: Api, name: str) -> None:
    content, error = BROKEN[name]
    row, found = imported(api, content)
    assert (row["state"], found) == ("failed", [])
    assert row["error"].startswith(error)


def test_an_empty_file_is_an_import_of_nothing(api: Api) -> None:
    row, found = imported(api, b"")
    assert (row["state"], row["rows_done"], found) == ("done", 0, [])


def test_bad_rows_are_refused_alone(api: Api) -> None:
    million = b"1," * 1_000_000
    text = b"+61491570006,a,b\n" + million + b'\n"+61491570156,never,closed\n+61491570157,' + b"x" * 300 + b",b\n"
    text += b"+61491570158,a\x00b,c\n+61491570159,fine,row,and,more\n"
    row, found = imported(api, text)
    assert [one["line"] for one in row["refused"]] == [2, 3, 4, 5]
    assert [one["phone_number"] for one in found] == ["+61491570006", "+61491570159"]


def test_a_url_that_fails_is_tried_again_and_given_up(api: Api) -> None:
    list_id = made(api)
    with site(b"") as url:
        pass
    key = start(api, list_id, url)

    def due() -> Any:
        api.server.write(lambda tx: tx.driver("UPDATE jobs SET due_at = 0 WHERE kind = 'import' AND attempts > 0"))
        api.server.house.database._woken({"jobs"})
        return api.get(f"/lists/{list_id}/imports/{key}")["state"] == "failed"

    api.until(due)
    assert "could not be connected to" in api.get(f"/lists/{list_id}/imports/{key}")["error"]


def test_answers_that_are_no_file(api: Api) -> None:
    def missing(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(404)

    def circle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/again")
        handler.end_headers()

    def scheme(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(301)
        handler.send_header("Location", "file:///etc/passwd")
        handler.end_headers()

    for answer, error in (
        (missing, "127.0.0.1 answered with status 404."),
        (circle, "127.0.0.1 redirects more than 5 times."),
        (scheme, "The scheme of the URL must be http or https."),
    ):
        row, _ = imported(api, answer)  # type: ignore[arg-type]
        assert (row["state"], row["error"]) == ("failed", error)


def test_a_redirect_to_the_file_is_followed(api: Api) -> None:
    with site(TEXT.encode()) as inner:

        def moved(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", inner)
            handler.end_headers()

        row, _ = imported(api, moved)  # type: ignore[arg-type]
    assert (row["state"], row["rows_added"]) == ("done", 2)


def test_a_deleted_list_ends_its_import(api: Api) -> None:
    list_id, key = waiting(api, b"+61491570006,Ann\n")
    api.delete(f"/lists/{list_id}")
    house = api.server.house
    runner = Importer(house.database, house.files, house.converter, None)  # type: ignore[arg-type]
    job = Job(0, "import", "import", 1, {"import_id": key})
    copy = api.server.read(lambda tx: imports.load(tx, key))["file_id"]
    assert is_there(api, copy)
    assert api.server.call(lambda: runner.run(job)) == 60.0
    row = api.server.read(lambda tx: imports.load(tx, key))
    assert (row["state"], row["error"]) == ("failed", "The list was deleted.")
    assert api.server.call(lambda: runner.run(job)) is None
    api.until(lambda: not is_there(api, copy))


def waiting(api: Api, content: bytes) -> tuple[int, int]:
    """(list, import) whose file is here and whose work has not begun: its job is run by the test."""
    list_id = made(api)
    key = api.server.write(lambda tx: imports.copied(tx, api.user_id))
    api.server.house.files.put(key, io.BytesIO(content))

    def work(tx: Tx) -> int:
        made_ = imports.queue(tx, api.user_id, list_id, "AU", "x", None, ["phone_number", "first_name"])
        tx.driver("DELETE FROM jobs WHERE kind = 'import' AND payload LIKE ?", [f'%"import_id":{made_}}}'])
        imports.begin(tx, made_, "text", key, len(content))
        return made_

    return list_id, api.server.write(work)


@pytest.mark.parametrize("defect", [csv.Error, KeyError, RecursionError, UnicodeError])
def test_a_reader_that_fails_ends_its_import(
    api: Api, monkeypatch: pytest.MonkeyPatch, defect: type[Exception]
) -> None:
    """What was stored of the rows before stays."""
    list_id, key = waiting(api, b"+61491570006,Ann\n+61491570156,Bea\n")
    whole = importer._rows

    def rows(*given: Any) -> Iterator[Any]:
        yield next(iter(whole(*given)))
        raise defect

    monkeypatch.setattr(importer, "ROWS_A_SLICE", 1)
    monkeypatch.setattr(importer, "_rows", rows)
    house = api.server.house
    runner = Importer(house.database, house.files, house.converter, None)  # type: ignore[arg-type]
    assert api.server.call(lambda: runner.run(Job(0, "import", "import", 1, {"import_id": key}))) is None
    row = ended(api, list_id, key)
    assert (row["state"], row["error"], row["rows_added"]) == ("failed", "The file could not be read to its end.", 1)


def test_an_import_ends_with_the_last_attempt_of_its_job(api: Api) -> None:
    class Away:
        """A store that cannot be reached."""

        def __getattr__(self, name: str) -> Any:
            raise OSError(name)

    list_id, key = waiting(api, b"+61491570006,Ann\n")
    house = api.server.house
    runner = Importer(house.database, Away(), house.converter, None)  # type: ignore[arg-type]
    for attempt, state in ((1, "running"), (MOST_ATTEMPTS, "failed")):
        with pytest.raises(OSError, match=r"\w"):
            api.server.call(lambda attempt=attempt: runner.run(Job(0, "import", "", attempt, {"import_id": key})))
        assert api.get(f"/lists/{list_id}/imports/{key}")["state"] == state
    assert ended(api, list_id, key)["error"] == "The import could not be finished."


def test_attempts_are_counted_from_the_last_slice(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import may need more runs than a job that fails has attempts."""
    _, key = waiting(api, b"+61491570006,Ann\n")
    values = "('none', '', 9e12, 40, '{}')"
    sql = f"INSERT INTO jobs (kind, lane, due_at, attempts, payload) VALUES {values} RETURNING job_id"
    job_id = api.server.write(lambda tx: tx.driver(sql).fetchone()[0])
    monkeypatch.setattr(importer, "SECONDS_A_RUN", 0.0)
    house = api.server.house
    runner = Importer(house.database, house.files, house.converter, None)  # type: ignore[arg-type]
    assert api.server.call(lambda: runner.run(Job(job_id, "import", "", 40, {"import_id": key}))) == 0.0
    left = "DELETE FROM jobs WHERE job_id = ? RETURNING attempts"
    assert api.server.write(lambda tx: tx.driver(left, [job_id]).fetchone()[0]) == 1


def test_a_run_that_was_killed_anywhere_is_continued_without_doubles(api: Api, monkeypatch: Any) -> None:
    """Each run is cut off after a slice, as a kill between two commits does, and another one takes over."""
    monkeypatch.setattr(importer, "ROWS_A_SLICE", 3)
    numbers = [f"+6149157{number:04}" for number in range(50)]
    content = "phone,name\n" + "".join(f"{number},n\n" if at % 5 else "bad,n\n" for at, number in enumerate(numbers))
    list_id, key = waiting(api, content.encode())
    house = api.server.house

    class Killed(Exception):
        pass

    written = 0

    class Dying:
        """A database whose process ends at each third write."""

        def read(self, work: Any) -> Any:
            return house.database.read(work)

        async def write(self, work: Any, **how: Any) -> Any:
            nonlocal written
            written += 1
            if written % 3 == 0:
                raise Killed
            return await house.database.write(work, **how)

    job = Job(0, "import", "import", 1, {"import_id": key})
    runs = 0
    while api.server.read(lambda tx: imports.load(tx, key))["state"] == "running":
        runs += 1
        runner = Importer(Dying(), house.files, house.converter, None)  # type: ignore[arg-type]
        try:
            api.server.call(lambda runner=runner: runner.run(job))
        except Killed:
            continue
    assert runs > 5
    row = api.get(f"/lists/{list_id}/imports/{key}")
    assert [row[f"rows_{kind}"] for kind in ("done", "added", "updated", "refused")] == [50, 40, 0, 10]
    assert [one["line"] for one in row["refused"]] == list(range(2, 52, 5))
    found = api.get(f"/lists/{list_id}/contacts?limit=100")["data"]
    assert [one["phone_number"] for one in found] == [one for at, one in enumerate(numbers) if at % 5]
    assert api.get(f"/lists/{list_id}")["_contacts_count"] == 40


def test_what_a_lost_import_has_copied_is_forgotten(api: Api) -> None:
    _, key = waiting(api, b"")
    lost = api.server.write(lambda tx: imports.copied(tx, api.user_id))
    api.server.house.files.put(lost, io.BytesIO(b"x"))
    api.server.write(lambda tx: imports.begin(tx, key, "text", lost, 1))
    api.until(lambda: not is_there(api, lost))
    late = api.server.write(lambda tx: imports.copied(tx, api.user_id))
    api.server.house.files.put(late, io.BytesIO(b"x"))
    api.server.write(lambda tx: tx.driver("UPDATE files SET expires_at = 1 WHERE file_id = ?", [late]))
    api.server.write(files.expire)
    api.until(lambda: not is_there(api, late))
    assert is_there(api, api.server.read(lambda tx: imports.load(tx, key))["file_id"])


def test_a_fetch_holds_the_lease_of_its_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "HOLD_EVERY", 0.02)
    list_id, house = made(api), api.server.house

    def queue(tx: Tx) -> tuple[int, int]:
        """(import, job); nobody else runs it."""
        key = imports.queue(tx, api.user_id, list_id, "AU", "x", None, ["phone_number"])
        find = "SELECT job_id FROM jobs WHERE kind = 'import' AND payload LIKE ?"
        job_id = tx.driver(find, [f'%"import_id":{key}}}']).fetchone()[0]
        jobs.hold(tx, job_id)
        return key, job_id

    key, job_id = api.server.write(queue)
    due = "SELECT due_at FROM jobs WHERE job_id = ?"

    async def slow(_: str, into: Any) -> tuple[str | None, bool]:
        """Answer when the lease has been begun anew twice."""
        seen = set()
        while len(seen) < 3:
            seen.add((await house.database.read(lambda tx: tx.driver(due, [job_id]).fetchone()))[0])
            await asyncio.sleep(0.01)
        into.write(b"+61491570006\n")
        return None, False

    runner = Importer(house.database, house.files, house.converter, slow)
    assert api.server.call(lambda: runner.run(Job(job_id, "import", "import", 1, {"import_id": key}))) == 0.0
    assert api.get(f"/lists/{list_id}/imports/{key}")["state"] == "running"


def test_two_runs_of_one_import_do_not_both_store_a_slice(api: Api) -> None:
    list_id, key = waiting(api, b"")
    fields: dict[str, str | None] = {"phone_number": "+61491570006"}
    piece = Slice(0, 1, [(fields, contact.columns(fields, "AU"))], [])
    done = [api.server.write(lambda tx: imports.apply(tx, key, piece)) for _ in range(2)]
    assert (done, api.get(f"/lists/{list_id}")["_contacts_count"]) == ([True, False], 1)


def test_the_flag_shows_while_an_import_runs(api: Api) -> None:
    list_id, key = waiting(api, b"")
    assert api.get(f"/lists/{list_id}")["_import_in_progress"] == 1
    assert api.get(f"/lists/{list_id}/imports/{key}")["state"] == "running"
    for _ in range(2):
        api.server.write(lambda tx: imports.finish(tx, key))
    assert api.get(f"/lists/{list_id}")["_import_in_progress"] == 0


def test_old_imports_are_forgotten_in_slices(api: Api) -> None:
    list_id, key = waiting(api, b"")
    refused = [Note(line, "why", "row") for line in range(1500)]
    api.server.write(lambda tx: imports.apply(tx, key, Slice(0, 1, [], refused)))
    api.server.write(lambda tx: imports.finish(tx, key))
    assert len(api.get(f"/lists/{list_id}/imports/{key}")["refused"]) == 100
    while api.server.write(imports.forget):
        pass
    assert api.get(f"/lists/{list_id}/imports/{key}")["rows_refused"] == 1500
    api.server.write(lambda tx: tx.driver("UPDATE imports SET created_at = 1 WHERE import_id = ?", [key]))
    while api.server.write(imports.forget):
        pass
    assert api.call("GET", f"/lists/{list_id}/imports/{key}").status == 404
    sql = "SELECT COUNT(*) FROM import_refusals WHERE import_id = ?"
    assert api.server.read(lambda tx: tx.driver(sql, [key]).fetchone()[0]) == 0


def test_a_sheet_that_unpacks_to_a_mountain_ends_alone(api: Api) -> None:
    row, found = imported(api, books.bomb())
    assert (row["state"], found) == ("failed", [])
    assert row["error"] == "The file unpacks to more than can be converted."
