"""What an endpoint is, as its handler says it."""

from functools import partial
from typing import Any

import msgspec
import pytest

from heliograph.http.endpoint import Merged, endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route


class Body(msgspec.Struct):
    name: str


@endpoint("Done.", int)
def create(req: Request, body: Body) -> Reply:
    """Create a thing. It is
    blue."""
    return Reply(1)


@endpoint("Done.", int)
async def fetch(req: Request) -> Reply:
    """Fetch a thing."""
    return Reply(1)


def test_the_body_is_the_annotation_of_the_second_parameter() -> None:
    assert (create.body, create.takes_body, create.is_edge) == (Body, True, False)
    assert (fetch.body, fetch.takes_body, fetch.is_edge) == (None, False, True)


def test_the_docstring_is_summary_and_notes() -> None:
    assert (create.summary, create.notes) == ("Create a thing", "It is blue.")
    assert (fetch.summary, fetch.notes) == ("Fetch a thing", "")


def test_a_handler_that_a_function_makes_says_what_its_signature_cannot() -> None:
    def made(req: Request, body: Any) -> Reply:
        """Create something. It is blue."""
        return Reply(1)

    generated = endpoint("Done.", int, body=Body, summary="Create a rule for faxes")(made)
    assert (generated.body, generated.takes_body) == (Body, True)
    assert (generated.summary, generated.notes) == ("Create a rule for faxes", "It is blue.")


def test_with_its_body_named_a_handler_may_read_it_itself() -> None:
    def upload(req: Request) -> Reply:
        return Reply(req.body)

    assert (endpoint("", int, body=Body)(upload).body, endpoint("", int, body=Body)(upload).takes_body) == (Body, False)


def test_a_merged_handler_is_asked_for_its_body_and_described_by_its_answer() -> None:
    def prepare(req: Request, body: Body, *, quote: bool) -> Any:
        """Not this."""

    def render(req: Request, result: Any) -> Reply:
        """Send things."""
        return Reply(result)

    sending = endpoint("", int)(Merged(partial(prepare, quote=True), lambda tx, items: items, render))
    assert (sending.body, sending.takes_body, sending.is_edge) == (Body, True, False)
    assert sending.summary == "Send things"


def test_types_in_a_path_are_for_the_document() -> None:
    route = Route(7, "PUT /a/{key:int}/b/{name}", create, "sms", also=("/c/{key:int}/{name}",))
    assert (route.method, route.at) == ("PUT", "PUT /a/{key}/b/{name}")
    assert route.paths == ("/a/{key}/b/{name}", "/c/{key}/{name}")
    assert route.parameters == {"key": "integer", "name": "string"}


def test_an_unknown_type_in_a_path_is_a_defect() -> None:
    with pytest.raises(KeyError):
        Route(0, "GET /a/{key:uuid}", fetch, None)
