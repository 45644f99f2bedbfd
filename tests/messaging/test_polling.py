"""The lists of unread receipts and messages are searched and sorted as every list is, and stay lists of the unread."""

import pytest

from contract.records import RULE
from support.server import Api


@pytest.fixture
def three(api: Api) -> Api:
    """An account with three unread receipts."""
    api.post("/automations/sms/receipts", RULE)
    for number in range(3):
        api.send(f"+6149157000{number}", f"text {number}", custom_string=f"order {number}")
    api.until(lambda: api.get("/sms/receipts")["total"] == 3)
    return api


def test_unread_receipts_are_searched_and_sorted(three: Api) -> None:
    def orders(query: str) -> list[str]:
        return [row["custom_string"] for row in three.get("/sms/receipts?" + query)["data"]]

    assert orders("q=custom_string:ORDER%201") == ["order 1"]
    assert orders("q=custom_string:order%200,custom_string:order%202&operator=or&order_by=custom_string:desc") == [
        "order 2",
        "order 0",
    ]
    assert orders("q=status:delivered&order_by=custom_string") == ["order 0", "order 1", "order 2"]
    assert orders("q=message_id:nothing") == []
    three.put("/sms/receipts-read")
    assert orders("order_by=custom_string") == orders("q=status:*") == []


@pytest.mark.parametrize("path", ["/sms/receipts", "/sms/inbound"])
@pytest.mark.parametrize("query", ["operator=XOR", "q=message_id:%00"])
def test_a_search_that_makes_no_sense_is_refused(api: Api, path: str, query: str) -> None:
    answer = api.call("GET", f"{path}?{query}")
    assert (answer.status, list(answer.data)) == (400, [query.partition("=")[0]])


def test_unread_messages_are_searched_and_sorted(api: Api) -> None:
    api.post("/automations/sms/inbound", {**RULE, "dedicated_number": "*"})
    for number in (1, 2):
        api.send("+61491999007", f"answer me {number}")
    api.until(lambda: api.get("/sms/inbound")["total"] == 2)
    rows = api.get("/sms/inbound?order_by=timestamp:desc")["data"]
    assert len(rows) == 2
    found = api.get(f"/sms/inbound?q=from:{rows[0]['from'].replace('+', '%2B')},message_id:{rows[0]['message_id']}")
    assert found["data"] == [rows[0]]
    assert found["total"] == 1
    api.put(f"/sms/inbound-read/{rows[0]['message_id']}")
    assert api.get("/sms/inbound?q=body:*")["data"] == [rows[1]]
