"""/confirm/{token}: the page on which the owner of an address agrees to what an account wants with it.

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
        name, address, purpose = found
        wants = purpose.wants.format(address=f"<b>{escape(address)}</b>")
        return page(
            purpose.subject,
            f"<p>The account “{escape(name)}” {wants}.</p>\n"
            '<form method="post"><button>Yes, I agree</button></form>\n'
            "<p>If you do not want it, close this page.</p>",
        )

    async def confirm(self, request: Request) -> Response:
        """POST: the button was pressed."""
        token = request.path_params["token"]
        try:
            good = await self._database.write(lambda tx: consent.confirm(tx, self._vault, token))
        except DatabaseAway as gone:
            return away(gone.status, gone.headers)
        return page("Thank you", f"<p>{good.agreed}</p>") if good else _unknown()


def _unknown() -> Response:
    text = "<p>It is not known here, was used already, or is too old.</p>"
    return page("This link does not work", text, 404)
