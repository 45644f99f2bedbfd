"""/confirm/{token}: the page on which the owner of an address agrees to the mails of an account.

Scanners of mail follow links, so that a GET shows a button and changes nothing. It works without JavaScript.
"""

from html import escape

from starlette.requests import Request
from starlette.responses import Response

from heliograph.accounts import consent
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.errors import DatabaseAway
from heliograph.htmlpage import away, page


class ConsentPage:
    """Its two handlers."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def show(self, request: Request) -> Response:
        """GET: the question, with one button."""
        token = request.path_params["token"]
        try:
            found = await self._database.read(lambda tx: consent.question(tx, self._vault, token))
        except DatabaseAway as gone:
            return away(gone.status, gone.headers)
        if found is None:
            return _unknown()
        name, address = (escape(text) for text in found)
        return page(
            "May we send you mails?",
            f"<p>The account “{name}” wants to send its notifications to <b>{address}</b>: replies and delivery reports"
            " of text messages.</p>\n"
            '<form method="post"><button>Yes, send them</button></form>\n'
            "<p>If you do not want them, close this page.</p>",
        )

    async def confirm(self, request: Request) -> Response:
        """POST: the button was pressed."""
        token = request.path_params["token"]
        try:
            good = await self._database.write(lambda tx: consent.confirm(tx, self._vault, token))
        except DatabaseAway as gone:
            return away(gone.status, gone.headers)
        return page("Thank you", "<p>From now on you get these mails.</p>") if good else _unknown()


def _unknown() -> Response:
    text = "<p>It is not known here, was used already, or is too old.</p>"
    return page("This link does not work", text, 404)
