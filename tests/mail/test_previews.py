"""A template as a page: who may see it, and what of a body is left of it."""

import http.client
import re
import time

import pytest

from heliograph.mail import bounds
from heliograph.mail.templates import display, masters, preview
from support.server import ONE_DATABASE, Api, Running


def opened(server: Running, path: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def path_of(api: Api, body: str) -> str:
    """The path of the preview of a new template with this body."""
    made = api.post("/email/templates", {"template_name": "<Minions>", "template_id_master": 57})
    at = f"/email/templates/{made['template_id']}"
    api.put(at, {"body": body})
    url = str(api.get(f"{at}/preview")["url"])
    return url.removeprefix(f"http://127.0.0.1:{api.server.port}")


def test_a_template_is_shown_in_a_frame_without_rights(server: Running, api: Api) -> None:
    answer, text = opened(server, path_of(api, '<p onclick="x()">Hello<script>x()</script></p>'))
    assert answer.status == 200
    policy = answer.getheader("content-security-policy") or ""
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:" in policy
    assert "script" not in policy
    assert re.findall(r"<iframe ([\w-]+) title=\"&lt;Minions&gt;\" srcdoc=", text) == ["sandbox"]
    assert "&lt;p&gt;Hello&lt;/p&gt;" in text
    assert "x()" not in text


@ONE_DATABASE
def test_a_master_template_is_shown_whole(server: Running, api: Api) -> None:
    for master in masters.MASTERS:
        url = api.get(f"/email/master-templates/{master.template_id_master}/preview")["url"]
        answer, text = opened(server, "/previews/" + url.rpartition("/")[2])
        assert answer.status == 200
        assert "prefers-color-scheme: dark" in text
        assert "(First Name)" in text


@ONE_DATABASE
def test_a_link_is_of_this_house_of_this_template_and_of_this_hour(server: Running, api: Api) -> None:
    path = path_of(api, "Hello")
    vault, now = server.house.vault, server.read(lambda tx: tx.now)
    key = api.get("/email/templates")["data"][0]["template_id"]
    old = preview.token(vault, api.user_id, key, now)
    others = preview.token(vault, api.user_id + 1, key, now + 60)
    sealed = [vault.seal(text).translate(preview._URL) for text in ("", "preview", "another 1 1 9999999999")]
    wrong = [
        old,
        others,
        *sealed,
        path[10:-4],
        path[10:-9] + ("B" if path[-9] == "A" else "A") + path[-8:],
        "x",
        "%ff",
        "\u00e9".encode().hex(),
        "A" * 5000,
    ]
    for token in wrong:
        assert opened(server, f"/previews/{token}")[0].status == 404, token
    assert opened(server, path)[0].status == 200
    api.delete(f"/email/templates/{key}")
    assert opened(server, path)[0].status == 404


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ('<link rel="stylesheet" href="https://example.com/x.css">text', "text"),
        ("<script>alert(1)</script>text", "text"),
        ('<img src="x" onerror="alert(1)">', '<img src="x">'),
        ('<a href="javascript:alert(1)">x</a>', '<a rel="noopener noreferrer">x</a>'),
        ('<a href="(Unsubscribe)">x</a>', '<a href="(Unsubscribe)" rel="noopener noreferrer">x</a>'),
        ('<form action="https://example.com/"><input name="password"></form>', ""),
        ('<iframe src="https://example.com/"></iframe><object data="x"></object>', ""),
        ('<base href="https://example.com/"><meta http-equiv="refresh" content="0;url=https://example.com/">', ""),
        ("<!--[if mso]><p>Outlook</p><![endif]-->text", "text"),
        ('<svg onload="alert(1)"><style><img src=x onerror=alert(1)></style></svg>', '<img src="x">'),
        ("<style>p{color:red}</style><p>x</p>", "<style>p{color:red}</style><p>x</p>"),
        ("<style></style><script>alert(1)</script>", "<style></style>"),
        ('<p style="color:red" class="a" align="left">x</p>', '<p style="color:red" class="a" align="left">x</p>'),
        ("", ""),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
    ],
)
def test_what_is_left_of_a_body(html: str, left: str) -> None:
    assert display.cleaned(html) == left


WORST = {
    "nested": "<div>" * (bounds.DEEPEST - 2),
    "formats": "".join(f"<b class={n}>" for n in range(120)) + "<p>" * 120,
    "closed": "<span>" * 200 + "</div>" * (bounds.MOST_TAGS - 200),
    "rows": "<td>x" * bounds.MOST_TAGS,
    "attributes": f"<p {' '.join(f'{n:x}' for n in range(190))}>" * 350,
}
"""What a parser finds hard, within the limits."""


@pytest.mark.parametrize("kind", WORST)
def test_what_has_no_fault_is_cleaned_soon(kind: str) -> None:
    began = time.process_time()
    assert bounds.fault(WORST[kind]) == ""
    display.cleaned(WORST[kind])
    assert time.process_time() - began < 2
