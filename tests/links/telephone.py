"""Links in messages, and a telephone that opens them."""

import http.client
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from heliograph.accounts import account
from heliograph.channels import audience
from heliograph.channels.sms.shapes import CampaignText
from heliograph.contacts.audience import members
from heliograph.db.engine import Tx
from heliograph.messaging import accept
from heliograph.messaging.channel import Accepted, Order
from support.server import Api, Running

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.5 Mobile/15E148 Safari/604.1"
)
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)
TARGET = "https://shop.example/spring?from=sms"


class Page(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


def ask(server: Running, path: str, method: str = "GET", *, agent: str | None = IPHONE, **headers: str) -> Page:
    """One request; `agent` None: without a User-Agent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=sent if agent is None else {"User-Agent": agent, **sent})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Page(answer.status, found, answer.read().decode("utf-8", "replace"))
    finally:
        connection.close()


def paths(server: Running, text: str) -> list[str]:
    """The links of the house in a text, as paths."""
    return re.findall(rf"127\.0\.0\.1:{server.port}(/\w+)", text)


def quick(api: Api, *bodies: str, to: str = "+61491570006", **more: Any) -> list[dict[str, Any]]:
    """The entries of the answer to a send with `shorten_urls`."""
    messages = [{"to": to, "body": body, **more} for body in bodies]
    found: list[dict[str, Any]] = api.post("/sms/send", {"messages": messages, "shorten_urls": True})["messages"]
    return found


def link(api: Api, url: str = TARGET, to: str = "+61491570006") -> tuple[str, str]:
    """(path, message_id) of a new link to this URL."""
    (entry,) = quick(api, f"Look: {url}", to=to)
    assert entry["status"] == "SUCCESS"
    (path,) = paths(api.server, entry["body"])
    return path, entry["message_id"]


def number_of(api: Api) -> int:
    """The number of the one campaign that an account has here: none that a campaign of other tests gets."""
    return 5_000_000 + api.user_id


def campaign(api: Api, list_id: int, body: str, url: str = "") -> list[Accepted]:
    """What becomes of a text that a campaign sends to a list."""
    channel = api.server.house.channels["sms"]
    text = CampaignText(body=body, from_="Shop", url_to_shorten=url)

    def work(tx: Tx) -> list[Accepted]:
        who = account.by_user(tx, api.user_id)
        assert who is not None
        everybody = members(tx, api.user_id, list_id, 1000) or []
        drafts = audience.for_members(who, channel, list_id, everybody, channel.personal(text), tx.clock)
        order = Order(principal=who, channel=channel, request_id="R", drafts=drafts, campaign_id=number_of(api))
        return accept.accept(tx, [order])[0]

    found: list[Accepted] = api.server.write(work)
    return found


def people(api: Api, *contacts: Mapping[str, str]) -> int:
    """A new list with these contacts."""
    key = int(api.post("/lists", {"list_name": "People"})["list_id"])
    for contact in contacts:
        api.post(f"/lists/{key}/contacts", contact)
    return key


def statistics(api: Api, source: str, source_id: Any) -> dict[str, Any]:
    """Of the one target of a message or a campaign."""
    answer = api.call("GET", f"/short-url/statistics/{source}/{source_id}")
    assert answer.status == 200, answer.raw
    (found,) = answer.body["data"]
    return dict(found)


def counted(api: Api, source: str, source_id: Any, clicks: int) -> dict[str, Any]:
    """The statistics as soon as they have so many clicks: they are written shortly after the answers."""

    def there() -> dict[str, Any] | None:
        found = statistics(api, source, source_id)
        return found if found["links"]["opened_total"] >= clicks else None

    found: dict[str, Any] = api.until(there)
    assert found["links"]["opened_total"] == clicks
    return found
