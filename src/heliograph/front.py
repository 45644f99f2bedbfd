"""The wiring of what a house shows: the API, and the pages of features by their paths."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from heliograph import routes, seed
from heliograph.accounts.consent_page import ConsentPage
from heliograph.app import House
from heliograph.contacts import optout
from heliograph.files.download import download
from heliograph.http import site
from heliograph.http.hot import Hot
from heliograph.http.pages import Demo
from heliograph.http.server import Server
from heliograph.http.site import Place
from heliograph.links.pages import LinkPages
from heliograph.mail.addresses.page import VerificationPage
from heliograph.mail.pages import ReaderPages, UnsubscribePage
from heliograph.mail.templates.pages import PreviewPage, thumbnail
from heliograph.mail.tracking import Tracker
from heliograph.messaging import message
from heliograph.messaging.carrier_page import CarrierPage
from heliograph.services import Services


def web(house: House) -> tuple[Any, Hot]:
    """The ASGI application over a started house, and the short way beside it."""
    options = house.options
    services = Services(
        options, house.database, house.vault, house.files, house.attachments, house.cashier, house.channels
    )
    server = Server(services, house.limits, routes.ROUTES)

    async def stored(request: Request) -> Response:
        return await download(house.database, house.files, request)

    tracker = Tracker(options, house.vault)
    both, parts = ("GET", "POST"), (house.database, house.vault)
    places = {
        "/files/{file_id}": Place(stored),
        "/carriers/{transport}": Place(CarrierPage(lambda: house.carriers, house.events).answer, both),
        "/confirm/{token}": Place(ConsentPage(*parts).answer, both, limited=True),
        "/verify-email/{email_address_id}/{token}": Place(VerificationPage(*parts).answer, both, limited=True),
        "/e/u/{token}": Place(UnsubscribePage(house.database, tracker, message.record).answer, both, limited=True),
        "/thumbnails/{name}": Place(thumbnail),
        "/previews/{token}": Place(PreviewPage(*parts).show, limited=True),
    }
    demo = Demo(seed.DEMO_USER, seed.DEMO_KEY) if house.demo else None
    short = (
        LinkPages(house.database, house.clicks, house.limits.codes, optout.opt_out),
        ReaderPages(house.database, tracker, house.readers),
    )
    application = site.application(server, routes.SECTIONS, options.public_url, demo, house.ready, places, short)
    return application, Hot(server, services, house.limits, routes.ROUTES)
