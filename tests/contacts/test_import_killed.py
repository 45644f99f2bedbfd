"""kill -9 in the middle of an import: the next process goes on at once, where the last commit was."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from contacts.test_imports import site
from flows.test_crash import CREDENTIALS, Victim, connection, until

ROWS = 40_000


def call(victim: Victim, method: str, path: str, body: Any = None) -> Any:
    with contextlib.closing(connection(victim.port)) as customer:
        customer.request(method, "/v3" + path, json.dumps(body), {"Authorization": f"Basic {CREDENTIALS}"})
        answer = json.loads(customer.getresponse().read())
    assert answer["http_code"] == 200, answer
    return answer["data"]


@pytest.mark.slow
def test_an_import_survives_kills(tmp_path: Path) -> None:
    text = "".join(f"+614{number:08},Name {number},{number}@example.com\n" for number in range(ROWS))
    (tmp_path / "data").mkdir()
    victim = Victim(tmp_path / "data", f"sqlite:///{tmp_path / 'data' / 'heliograph.db'}")
    try:
        victim.start()
        victim.ready()
        list_id = call(victim, "POST", "/lists", {"list_name": "Killed"})["list_id"]
        with site(text.encode()) as url:
            body = {"file_url": url, "field_order": ["phone", "first_name", "email"]}
            key = call(victim, "POST", f"/lists/{list_id}/import", body)["id"]
            path = f"/lists/{list_id}/imports/{key}"
            until(lambda: call(victim, "GET", path)["rows_done"] > 0, 60, "the import did not begin")
        for _ in range(2):
            victim.kill()
            ((done,),) = victim.rows("SELECT rows_done FROM imports")
            assert 0 < done < ROWS, "the import was over before the kill"
            victim.start()
            victim.ready()
            until(lambda done=done: call(victim, "GET", path)["rows_done"] > done, 60, "the import did not go on")
        until(lambda: call(victim, "GET", path)["state"] == "done", 120, "the import did not end")
        row = call(victim, "GET", path)
        assert (row["rows_done"], row["rows_added"], row["rows_refused"]) == (ROWS, ROWS, 0)
        assert call(victim, "GET", f"/lists/{list_id}")["_contacts_count"] == ROWS
        assert victim.rows("SELECT COUNT(*), COUNT(DISTINCT msisdn), SUM(msisdn) FROM contacts") == [
            (ROWS, ROWS, sum(61_400_000_000 + number for number in range(ROWS)))
        ]
        assert victim.rows("SELECT SUM(count) FROM contact_blocks") == [(ROWS,)]
    finally:
        victim.close()
