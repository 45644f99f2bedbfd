"""/confirm/{token}: the page on which the owner of an address agrees to the mails of an account."""

from html import escape

from starlette.requests import Request

from heliograph.accounts import consent
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.htmlpage import ButtonPage, button


class ConsentPage(ButtonPage):
    """The question, and the answer."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def question(self, request: Request) -> tuple[str, str] | None:
        """Who wants to send what to which address."""
        token = request.path_params["token"]
        found = await self._database.read(lambda tx: consent.question(tx, self._vault, token))
        if found is None:
            return None
        name, address = (escape(text) for text in found)
        return (
            "May we send you mails?",
            f"<p>The account “{name}” wants to send its notifications to <b>{address}</b>: replies and delivery reports"
            f" of text messages.</p>\n{button('Yes, send them')}<p>If you do not want them, close this page.</p>",
        )

    async def press(self, request: Request) -> str | None:
        """The owner agrees."""
        token = request.path_params["token"]
        good = await self._database.write(lambda tx: consent.confirm(tx, self._vault, token))
        return "<p>From now on you get these mails.</p>" if good else None
