"""HTTP shapes of global sending (endpoints 76 to 79)."""

from typing import Any

import msgspec

from heliograph import audit, countries
from heliograph.accounts.countries import selection
from heliograph.countries import Country
from heliograph.errors import BadRequest
from heliograph.http.request import Reply, Request


class CountryIds(msgspec.Struct):
    """Body of the selection and of the agreement: ids of GET /country-list, a list of them or a single one."""

    country_list_ids: list[int] | int | None = None


def view_all(req: Request) -> Reply:
    """79. The countries that can be selected."""
    return Reply(list(countries.reachable().values()))


def view_selected(req: Request) -> Reply:
    """77. The account's selection."""
    return Reply([_entry(country, agreed) for country, agreed in selection.of(req.tx, req.who.user_id)])


def select(req: Request) -> Reply:
    """76. Select exactly the countries given; none at all takes the restriction away."""
    ids = _ids(req)
    if ids is None:
        raise BadRequest({selection.FIELD: "Country list ids field is required."})
    selection.replace(req.tx, req.who.user_id, ids)
    codes = " ".join(country.code for country, _ in selection.of(req.tx, req.who.user_id))
    audit.record(req.tx, req.who.user_id, req.who.api_username, "countries.selected", codes)
    return view_selected(req)


def agree(req: Request) -> Reply:
    """78. Agree to the rules of selected countries: those given, or all of them (the example has no body)."""
    selection.agree(req.tx, req.who.user_id, _ids(req))
    return view_selected(req)


def _ids(req: Request) -> list[int] | None:
    given = req.decode(CountryIds).country_list_ids
    return [given] if isinstance(given, int) else given


def _entry(country: Country, agreed_at: int | None) -> dict[str, Any]:
    """A selected country. No country needs a registration here: what is said of it is always the same."""
    return {
        "id": country.id,
        "name": country.name,
        "code": country.code,
        "region": country.region,
        "agreed_at": agreed_at,
        "registration_entity": None,
        "registration_status": {"id": 1, "name": "NOT_INITIATED"},
        "jotform_id": "",
        "sms_registration_type": 0,
        "block_registration": 0,
        "block_leads": 0,
        "trial_from_address": "",
        "restricted_sending": 0,
        "trial_sending": 0,
        "trial_sending_description": "",
        "has_regulation_requirements": 0,
        "registration_steps_url": "",
        "regulation_requirements_description": "",
    }
