"""HTTP shapes of global sending (endpoints 76 to 79)."""

from typing import Annotated, Any

import msgspec

from heliograph import audit, countries
from heliograph.accounts.countries import selection
from heliograph.countries import Country
from heliograph.errors import BadRequest, required
from heliograph.fields import CountryCode, Flag, about
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request


class CountryIds(msgspec.Struct):
    """Body of the selection and of the agreement."""

    country_list_ids: Annotated[list[int] | int | None, about("Ids of GET /country-list, or a single one.", [1])] = None


class RegistrationStatus(msgspec.Struct):
    """The state of a registration that some countries ask for."""

    id: int
    name: Annotated[str, about("What it is called.", "NOT_INITIATED")]


class SelectedCountry(msgspec.Struct, kw_only=True):
    """A selected country (76 to 78). No country needs a registration here: what is said of it is always the same."""

    id: int
    name: Annotated[str, about("English name.", "Australia")]
    code: CountryCode
    region: Annotated[str, about("Region of the United Nations.", "Oceania")]
    agreed_at: Annotated[int | None, about("Unix time of the agreement to its rules.", None)]
    registration_entity: Annotated[dict[str, Any] | None, about("Always null.", None)] = None
    registration_status: RegistrationStatus
    jotform_id: Annotated[str, about("Always empty.", "")] = ""
    sms_registration_type: int = 0
    block_registration: Flag = 0
    block_leads: Flag = 0
    trial_from_address: Annotated[str, about("Always empty.", "")] = ""
    restricted_sending: Flag = 0
    trial_sending: Flag = 0
    trial_sending_description: Annotated[str, about("Always empty.", "")] = ""
    has_regulation_requirements: Flag = 0
    registration_steps_url: Annotated[str, about("Always empty.", "")] = ""
    regulation_requirements_description: Annotated[str, about("Always empty.", "")] = ""


Selected = Annotated[list[SelectedCountry], about("The selected countries, by name.")]
Selectable = Annotated[list[Country], about("The countries that can be selected, by name.")]


@endpoint("List of Countries.", Selectable)
def view_all(req: Request) -> Reply:
    """View the countries that can be selected."""
    return Reply(list(countries.reachable().values()))


@endpoint("Here are your countries selection.", Selected)
def view_selected(req: Request) -> Reply:
    """View the selected countries."""
    return Reply(_selected(req))


def _selected(req: Request) -> list[SelectedCountry]:
    return [_entry(country, agreed) for country, agreed in selection.of(req.tx, req.who.user_id)]


@endpoint("Here are your countries selection.", Selected)
def select(req: Request, body: CountryIds) -> Reply:
    """Select exactly the countries given. None at all takes the restriction away."""
    ids = _ids(body)
    if ids is None:
        raise BadRequest({selection.FIELD: required(selection.FIELD)})
    selection.replace(req.tx, req.who.user_id, ids)
    codes = " ".join(country.code for country, _ in selection.of(req.tx, req.who.user_id))
    audit.record(req.tx, req.who.user_id, req.who.api_username, "countries.selected", codes)
    return Reply(_selected(req))


@endpoint("Here are your countries selection.", Selected)
def agree(req: Request, body: CountryIds) -> Reply:
    """Agree to the rules of selected countries. Without ids, of all of them."""
    selection.agree(req.tx, req.who.user_id, _ids(body))
    return Reply(_selected(req))


def _ids(body: CountryIds) -> list[int] | None:
    ids = body.country_list_ids
    return [ids] if isinstance(ids, int) else ids


def _entry(country: Country, agreed_at: int | None) -> SelectedCountry:
    return SelectedCountry(
        id=country.id,
        name=country.name,
        code=country.code,
        region=country.region,
        agreed_at=agreed_at,
        registration_status=RegistrationStatus(1, "NOT_INITIATED"),
    )
