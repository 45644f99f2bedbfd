"""/confirm/{token}: the page on which the owner of an address agrees to what an account wants with it."""

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
        name, address, purpose = found
        wants = purpose.wants.format(address=f"<b>{escape(address)}</b>")
        return (
            purpose.subject,
            f"<p>The account “{escape(name)}” {wants}.</p>\n"
            f"{button('Yes, I agree')}<p>If you do not want it, close this page.</p>",
        )

    async def press(self, request: Request) -> str | None:
        """The owner agrees."""
        token = request.path_params["token"]
        good = await self._database.write(lambda tx: consent.confirm(tx, self._vault, token))
        return f"<p>{good.agreed}</p>" if good else None
