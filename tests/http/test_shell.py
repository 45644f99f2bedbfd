"""What needs the whole shell: values that no database holds, and history pages by their place."""

from support.server import Api

NUMBER = "+61491570006"


def test_what_no_database_holds_is_refused(api: Api) -> None:
    assert api.call("POST", "/sms/templates", {"template_name": "a\x00", "body": "b"}).status == 400
    for path in ("/sms/receipts/%00", "/sms/%00/timeline"):
        assert api.call("GET", path).status == 404
    for number in (2**63, -(2**63) - 1, 10**40):
        answer = api.call("PUT", "/sms/receipts-read", {"date_before": number})
        assert (answer.status, list(answer.data)) == (400, ["date_before"])
    assert api.call("GET", "/sms/templates?q=template_name:%00").status == 400
    assert api.call("GET", "/sms/history?date_from=99999999999999999999").status == 400


def test_history_pages_by_date_both_ways(api: Api) -> None:
    sent = api.post("/sms/send", {"messages": [{"to": NUMBER, "body": f"text {n}"} for n in range(20)]})
    ids = [message["message_id"] for message in sent["messages"]]
    date = sent["messages"][0]["date"]
    up = [row["message_id"] for page in (1, 2) for row in api.get(f"/sms/history?page={page}")["data"]]
    down = [
        row["message_id"] for page in (1, 2) for row in api.get(f"/sms/history?page={page}&order_by=date:desc")["data"]
    ]
    assert up == ids
    assert down == ids[::-1]
    assert api.get(f"/sms/history?date_from={date}")["total"] == 20
    assert api.get(f"/sms/history?date_to={date - 1}")["total"] == 0
    assert api.call("GET", "/sms/history?date_from=yesterday").status == 400
    assert api.get("/sms/history?q=body:text%207")["data"][0]["message_id"] == ids[7]
