"""/verify-email/{email_address_id}/{token}: the page on which whoever reads an address agrees to be a sender."""

from html import escape

from starlette.requests import Request

from heliograph import audit
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.htmlpage import ButtonPage, button
from heliograph.mail.addresses import address


class VerificationPage(ButtonPage):
    """The question, and the answer."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def question(self, request: Request) -> tuple[str, str] | None:
        """Which account wants to send from which address."""
        key, token = _link(request)
        found = await self._database.read(lambda tx: address.question(tx, self._vault, key, token))
        if found is None:
            return None
        name, email = escape(found[0]), escape(found[1].email_address)
        return (
            "Is this your email address?",
            f"<p>The account “{name}” wants to send mails with <b>{email}</b> as their sender.</p>\n"
            f"{button('Yes, it may')}<p>If you do not know this account, close this page.</p>",
        )

    async def press(self, request: Request) -> str | None:
        """The reader of the address agrees."""
        key, token = _link(request)

        def work(tx: Tx) -> address.Address | None:
            done = address.confirm(tx, self._vault, key, token)
            if done is not None:
                audit.record(tx, done.user_id, audit.LINK, "email_address.verified", done.email_address)
            return done

        done = await self._database.write(work)
        return None if done is None else f"<p>Mails may come from <b>{escape(done.email_address)}</b> now.</p>"


def _link(request: Request) -> tuple[int, str]:
    """What the link names; 0 is no address."""
    text = request.path_params["email_address_id"]
    good = text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if good else 0, request.path_params["token"]
