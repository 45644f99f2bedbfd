"""The master templates: made of their sources, fit for mail, and what the endpoints show of them (38 to 42)."""

import http.client
import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from contract.oracle import endpoints
from heliograph.contacts import audience
from heliograph.mail import bounds
from heliograph.mail.templates import masters
from heliograph.mail.templates.masters import CATEGORIES, MASTERS, Master
from support.server import ONE_DATABASE, Api, Running

KNOWN = ("First Name", "Last Name", "Company Name", "Email", "Phone", "Unsubscribe")
CONTACT = {"first_name": "Ann", "last_name": "Lee", "organization_name": "Lee Ltd", "email": "a@example.com"}

each = pytest.mark.parametrize("master", MASTERS, ids=lambda master: master.slug)


def made() -> ModuleType:
    """What makes the files: the script of `make templates`."""
    path = Path(__file__).parents[2] / "scripts" / "email_templates.py"
    spec = importlib.util.spec_from_file_location("email_templates", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = made()


@each
def test_the_committed_files_are_those_that_the_source_makes(master: Master) -> None:
    assert masters.body(master) == SCRIPT.html(master.slug), "stale: run `make templates`"
    for size, pixels in SCRIPT.SIZES.items():
        found = masters.thumbnail(masters.picture(master, size))
        assert found is not None
        assert len(found) < 40_000
        with Image.open(io.BytesIO(found)) as picture:
            assert picture.size == pixels
            assert picture.info[SCRIPT.SHOWS] == SCRIPT.digest(masters.body(master)), "stale: run `make templates`"


def test_there_are_no_other_files() -> None:
    slugs = {master.slug for master in MASTERS}
    assert {file.stem for file in (SCRIPT.FOLDER / "html").iterdir()} == slugs
    assert {file.stem for file in (SCRIPT.FOLDER / "mjml").glob("*.mjml")} == slugs
    assert len(list((SCRIPT.FOLDER / "thumbnails").iterdir())) == len(slugs) * len(masters.SIZES)


def test_there_is_a_choice_and_ids_are_unique() -> None:
    assert len(MASTERS) >= 12
    assert len({master.template_id_master for master in MASTERS}) == len({one.slug for one in MASTERS}) == len(MASTERS)
    assert len({one.category_id for one in CATEGORIES}) == len(CATEGORIES)
    assert {master.category_id for master in MASTERS} == {one.category_id for one in CATEGORIES}


@each
def test_it_loads_nothing_and_is_fit_for_mail(master: Master) -> None:
    html = masters.body(master)
    assert bounds.fault(html) == ""
    assert len(html.encode()) < 100_000, "Gmail clips a mail at 102 kB"
    assert re.findall(r"(?i)\bsrc=|url\(|@import|<link|<script|\bon\w+=", html) == []
    assert "max-width:600px" in html
    for needed in ('name="viewport"', 'name="color-scheme"', "prefers-color-scheme: dark", 'lang="en"', "<h1"):
        assert needed in html


@each
def test_its_placeholders_are_filled_as_those_of_an_sms(master: Master) -> None:
    html = masters.body(master)
    shown = re.sub(r"(?s)<style.*?</style>|<!--.*?-->", "", html)
    named = [one for one in re.findall(r"\(([A-Z][\w. ]*)\)", shown) if one in KNOWN]
    assert "First Name" in named
    filled = audience.personal(html)(CONTACT)
    assert [one for one in KNOWN if f"({one})" in filled and one != "Unsubscribe"] == []
    assert "Ann" in filled
    sold = master.category_id in (1, 3, 4, 8, 11, 23)
    assert not sold or 'href="(Unsubscribe)"' in html


def test_categories_are_a_bare_list_under_both_names(api: Api) -> None:
    found = api.get("/email/master-templates-categories")
    assert [one["category_id"] for one in found] == [one.category_id for one in CATEGORIES]
    assert all(one["name"] == one["category_name"] for one in found)
    assert {"category_id": 2, "name": "Alerts/Notificartions", "category_name": "Alerts/Notificartions"} in found
    assert api.get("/email/master-templates-categories/4") == {"category_id": 4, "name": "Birthday"}


@ONE_DATABASE
@pytest.mark.parametrize(
    ("path", "whole"),
    [("master-templates-categories", len(CATEGORIES)), ("master-templates-categories/6/master-templates", 2)],
)
def test_a_bare_list_is_cut_by_page_and_limit(api: Api, path: str, whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.http.paging.SMALLEST", 1)
    everything = api.get(f"/email/{path}")
    assert len(everything) == whole
    assert api.get(f"/email/{path}?page=2&limit=1") == everything[1:2]
    assert api.get(f"/email/{path}?page=99") == []
    assert api.call("GET", f"/email/{path}?page=x").status == 400


def test_templates_are_a_page_and_each_can_be_had(api: Api) -> None:
    first, second = (api.get(f"/email/master-templates?page={page}") for page in (1, 2))
    assert (first["total"], first["last_page"], len(first["data"])) == (len(MASTERS), 2, 15)
    listed = first["data"] + second["data"]
    assert [one["template_id_master"] for one in listed] == [master.template_id_master for master in MASTERS]
    for one in (listed[0], listed[-1]):
        assert api.get(f"/email/master-templates/{one['template_id_master']}") == one
        assert one["body"].startswith("<!doctype html>")
    for one in api.get("/email/master-templates-categories/2/master-templates"):
        assert one["category_id"] == 2
        assert {key: value for key, value in one.items() if key != "category_id"} in listed


@ONE_DATABASE
@pytest.mark.parametrize("path", ["master-templates/9999", "master-templates/x", "master-templates-categories/9999"])
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.call("GET", f"/email/{path}").status == 404


def fetched(server: Running, path: str, headers: dict[str, str] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer, raw


def test_thumbnails_are_served_by_the_house(sqlite_server: Running) -> None:
    api = sqlite_server.account()
    shown = api.get("/email/master-templates/57")["thumbnail"]
    for size, pixels in SCRIPT.SIZES.items():
        base, _, path = shown[size].partition("/thumbnails/")
        assert base == f"http://127.0.0.1:{sqlite_server.port}"
        answer, raw = fetched(sqlite_server, f"/thumbnails/{path}")
        assert (answer.status, answer.getheader("content-type")) == (200, "image/png")
        assert Image.open(io.BytesIO(raw)).size == pixels
        again, empty = fetched(sqlite_server, f"/thumbnails/{path}", {"If-None-Match": answer.getheader("etag")})
        assert (again.status, empty) == (304, b"")
    for name in ("basic-2-huge.png", "..%2Fmasters.py", "%00"):
        assert fetched(sqlite_server, f"/thumbnails/{name}")[0].status == 404
    sqlite_server.close_clients()


def test_the_documents_ids_are_there() -> None:
    """A documented request can be tried as it stands."""
    assert masters.find(endpoints()[44 - 1].curl_body["template_id_master"]) is not None
    assert masters.category(endpoints()[41 - 1].response["data"]["category_id"]) is not None
