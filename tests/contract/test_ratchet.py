"""Endpoints in the table are served, served endpoints are in the table, and the list of missing ones only shrinks."""

from pathlib import Path

from contract import oracle
from heliograph import routes

MISSING = Path(__file__).parent / "missing.txt"
ADDITIONS = {
    ("PUT", "/account"): "an account that only its operator can change is no self-service (facts J10)",
    ("GET", "/account/usage"): "the document's curl sample has this spelling (clients 2): the present month",
    ("GET", "/statistics/mms"): "the document has statistics of SMS and voice only; the others are counted alike",
    **dict.fromkeys((("GET", f"/statistics/{channel}") for channel in ("fax", "post", "email")), "the same"),
    ("GET", "/exports/{export_id}"): "a long export is written by a job, and its caller wants to know how far it is",
    ("GET", "/sms/{message_id}/timeline"): "each step of a message is what support asks for first (user needs 1, 8)",
    ("GET", "/voice/{message_id}/timeline"): "the same",
    ("GET", "/voice/{message_id}/audio"): "who pays for a call wants to hear what is said",
    ("POST", "/voice/receipts"): "the official clients have it (clients 2), as SMS has",
    ("PUT", "/voice/receipts-read"): "the same",
    ("GET", "/lists/{list_id}/imports/{import_id}"): "an import runs for minutes, and its refused rows must be found",
    ("GET", "/reseller/settings"): "resellers live by a margin on their clients' prices (facts I10)",
    ("PUT", "/reseller/settings"): "the same",
    ("GET", "/recharge/auto-recharge"): "GET /account shows the three values, nothing documented sets them (facts I9)",
    ("PUT", "/recharge/auto-recharge"): "the same",
    ("GET", "/recharge/transactions/{transaction_id}/invoice"): "an account's bookkeeping needs a document",
    ("POST", "/recharge/events"): "the payment gateway tells how a charge ended whose answer was lost",
    ("GET", "/opt-outs"): "who opted out, and why: on record, as the law of many countries wants it (user needs 5)",
    ("GET", "/sms/inbound/{original_message_id}"): "the official client 6.0.2 has it (clients 2)",
    ("GET", "/mms/receipts"): "the official client 6.0.2 has it (clients 2)",
    ("GET", "/mms/receipts/{message_id}"): "what a push lost is asked for, as in SMS",
    ("PUT", "/mms/receipts-read"): "the official client 6.0.2 has it (clients 2)",
    ("GET", "/mms/inbound"): "pictures that arrive are polled as texts are",
    ("PUT", "/mms/inbound-read"): "the same",
    ("PUT", "/mms/inbound-read/{message_id}"): "the same",
    ("PUT", "/mms/{message_id}/cancel"): "a scheduled message can be taken back, as in SMS",
    ("PUT", "/mms/cancel-all"): "the same",
    ("GET", "/mms/{message_id}/timeline"): "each step of a message is what support asks for first (user needs 1, 8)",
    ("GET", "/email/receipts"): "a POLL rule needs a list to poll, and email has no such endpoint in the document",
    ("GET", "/email/receipts/{message_id}"): "what a push lost is asked for, as in SMS",
    ("PUT", "/email/receipts-read"): "the read mark of that list",
    ("PUT", "/email/{message_id}/cancel"): "a scheduled mail can be taken back, as an SMS",
    ("GET", "/email/{message_id}/timeline"): "each step of a message is what support asks for first (user needs 1, 8)",
    ("GET", "/email/templates/{template_id}/preview"): "who edits a body wants to see what becomes of it",
    ("GET", "/email/master-templates/{template_id}/preview"): "the same",
    ("GET", "/sms/email-sms/{email_address_id}"): "nothing documented tells whether its owner has agreed",
    ("PUT", "/sms/email-sms/{email_address_id}"): "nothing documented changes what the SMS come from",
    ("DELETE", "/sms/email-sms/{email_address_id}"): "nothing documented removes one",
    ("GET", "/short-url/statistics/{source}/{source_id}"): "newer clients have it (clients 2)",
    ("GET", "/short-url/tracking/{long_url_id}"): "the same",
    ("GET", "/email/suppressions"): "who gets no mail, and why: a sender has to know it, and to keep it (user needs 5)",
    ("POST", "/email/suppressions"): "the same",
    ("DELETE", "/email/suppressions"): "the same",
}


def served() -> dict[tuple[str, str], int]:
    rows = routes.ROUTES
    return {(row.method, path): row.number for row in rows for path in row.paths}


def missing() -> set[str]:
    return {line.strip() for line in MISSING.read_text().splitlines() if line.strip() and not line.startswith("#")}


def test_every_endpoint_is_served_or_listed_as_missing() -> None:
    numbers = set(served().values())
    open_ = {f"{one.method} {one.path}" for one in oracle.endpoints() if one.number not in numbers}
    assert open_ == missing()


def test_served_endpoints_have_the_documents_paths_and_verbs() -> None:
    known = {one.number: one for one in oracle.endpoints()}
    for (method, path), number in served().items():
        if number:
            assert method in known[number].methods
            assert path in (known[number].path, known[number].alias)
        else:
            assert (method, path) in ADDITIONS


def test_both_spellings_are_served() -> None:
    rows = served()
    for one in oracle.endpoints():
        if one.number in rows.values() and one.alias:
            assert (one.method, one.alias) in rows
