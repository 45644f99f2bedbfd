"""Email templates (endpoints 38 to 47)."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.accounts import account
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, label, required
from heliograph.fields import Nothing, UnixText, UnixTime, about
from heliograph.http import paging, search
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import PAGING
from heliograph.http.request import Reply, Request
from heliograph.mail import bounds
from heliograph.mail.templates import masters, preview, template
from heliograph.mail.templates.masters import Master
from heliograph.mail.templates.template import LONGEST_NAME

NO_CATEGORY = "Category record not found."
MOST_BODY = 6 * bounds.LONGEST + 64 * 1024
"""Bytes of a change: JSON may write a character in six."""

Name = Annotated[str, about("Name of the template; not empty.", "Spring letter", pattern=r"\S", maxLength=LONGEST_NAME)]
MasterId = Annotated[int, about("Id of the master template.", 57)]
CategoryId = Annotated[int, about("Id of the category.", 2)]
Body = Annotated[str, about("HTML or plain text, with placeholders.", "<p>Hello (First Name)</p>")]


class Thumbnail(msgspec.Struct, kw_only=True):
    """Pictures of a master template."""

    small: Annotated[str, about("URL of a PNG of 200 x 250 pixels.")]
    large: Annotated[str, about("URL of a PNG of 480 x 600 pixels.")]


class MasterTemplate(msgspec.Struct, kw_only=True):
    """A master template (38, 39)."""

    template_id_master: MasterId
    template_name: str
    body: Body
    date_added: UnixText
    thumbnail: Thumbnail


class CategorizedTemplate(MasterTemplate, kw_only=True):
    """A master template with its category (42)."""

    category_id: CategoryId


class MasterTemplatePage(paging.Page, kw_only=True):
    """`data` of 38."""

    data: list[MasterTemplate]


class Category(msgspec.Struct, kw_only=True):
    """A category of master templates (41)."""

    category_id: CategoryId
    name: Annotated[str, about("Its name.", "Birthday")]


class ListedCategory(Category, kw_only=True):
    """A category in the list (40), under both names that clients know it by (clients 6)."""

    category_name: Annotated[str, about("Its name again.", "Birthday")]


class ListedTemplate(msgspec.Struct, kw_only=True):
    """A template of the account in the list (43)."""

    template_id: Annotated[int, about("Id of the template.", 1)]
    template_name: str


class EmailTemplate(ListedTemplate, kw_only=True):
    """A template of the account (44 to 46)."""

    template_id_master: MasterId
    body: Body


class NewEmailTemplate(msgspec.Struct):
    """Body of 44."""

    template_name: Name
    template_id_master: Annotated[int, about("The master template whose body it gets.", 57)]


class ChangedEmailTemplate(msgspec.Struct):
    """Body of 46. What is not given stays as it is; one of the two has to be."""

    body: (
        Annotated[
            str,
            about(
                f"HTML or plain text, with placeholders; not empty. At most {bounds.MOST_TAGS} tags, "
                f"{bounds.DEEPEST} elements within each other.",
                "<p>Hello (First Name)</p>",
                pattern=r"\S",
                maxLength=bounds.LONGEST,
            ),
        ]
        | None
    ) = None
    template_name: Name | None = None


class Preview(msgspec.Struct, kw_only=True):
    """Where a browser shows a template."""

    url: Annotated[str, about("A page with the body, cleaned; whoever has the URL can see it.")]
    expires: Annotated[UnixTime, about("Until when it works.")]


MasterTemplates = Annotated[list[CategorizedTemplate], about("Master templates of one category.")]
Categories = Annotated[list[ListedCategory], about("All categories, or those of a page.")]


@endpoint("Here are your email templates.", MasterTemplatePage, query=PAGING)
def view_masters(req: Request) -> Reply:
    """View the master templates. They come with the server, and can be cloned."""
    window = paging.window(req)
    rows = [_shown(req, one) for one in masters.MASTERS[window.offset : window.offset + window.limit]]
    found = paging.page(req, window, len(masters.MASTERS), rows, lambda row: MasterTemplate(**row))
    return Reply(MasterTemplatePage(**msgspec.structs.asdict(found)))


@endpoint("Here is your email template", MasterTemplate)
def view_master(req: Request) -> Reply:
    """View a master template."""
    return Reply(MasterTemplate(**_shown(req, _master(req))))


@endpoint("Here is your preview.", Preview)
def preview_master(req: Request) -> Reply:
    """Have a master template shown in a browser, for an hour."""
    return _preview(req, preview.HOUSE, _master(req).template_id_master)


@endpoint("List of Email Categories", Categories, query=PAGING)
def view_categories(req: Request) -> Reply:
    """View the categories of master templates. With `page` or `limit`, a slice of them."""
    found = paging.cut(req, masters.CATEGORIES)
    return Reply([ListedCategory(category_id=one.category_id, name=one.name, category_name=one.name) for one in found])


@endpoint("List of Email Categories", Category)
def view_category(req: Request) -> Reply:
    """View a category of master templates."""
    return Reply(Category(**_category(req)._asdict()))


@endpoint("List of Email Templates By Category", MasterTemplates, query=PAGING)
def view_masters_within(req: Request) -> Reply:
    """View the master templates of a category. With `page` or `limit`, a slice of them."""
    category_id = _category(req).category_id
    found = paging.cut(req, masters.within(category_id))
    return Reply([CategorizedTemplate(category_id=category_id, **_shown(req, one)) for one in found])


def _category(req: Request) -> masters.Category:
    """Raises NotFound."""
    found = masters.category(req.number("category_id", NO_CATEGORY))
    if found is None:
        raise NotFound(NO_CATEGORY)
    return found


def _master(req: Request) -> Master:
    """Raises NotFound."""
    found = masters.find(req.number("template_id", template.NO_RECORD))
    if found is None:
        raise NotFound(template.NO_RECORD)
    return found


def _shown(req: Request, master: Master) -> Mapping[str, Any]:
    """The fields of a master template; its pictures are at this server."""
    urls = {size: f"{req.base_url}/thumbnails/{masters.picture(master, size)}" for size in masters.SIZES}
    return {
        "template_id_master": master.template_id_master,
        "template_name": master.template_name,
        "body": masters.body(master),
        "date_added": str(masters.ADDED),
        "thumbnail": Thumbnail(**urls),
    }


@endpoint("Here are your email templates.", ListedTemplate, paged=True)
def view_templates(req: Request) -> Reply:
    """View the templates of the account."""
    base = template.of(req.who.user_id)
    return search.page(req, base, template.COLUMNS, ("template_id", False), lambda row: ListedTemplate(**row))


@endpoint("New email template has been saved.", EmailTemplate)
def create_template(req: Request, body: NewEmailTemplate) -> Reply:
    """Clone a master template."""
    _check_name(body.template_name)
    master = masters.find(body.template_id_master)
    if master is None:
        raise BadRequest({"template_id_master": "Template id master must be the id of a master template."})
    return _answer(template.clone(req.tx, req.who.user_id, master, body.template_name))


@endpoint("Here is your email template.", EmailTemplate)
def view_template(req: Request) -> Reply:
    """View a template of the account."""
    return _answer(_own(req))


@endpoint("Here is your preview.", Preview)
def preview_template(req: Request) -> Reply:
    """Have a template of the account shown in a browser, for an hour."""
    return _preview(req, req.who.user_id, _own(req).template_id)


@endpoint("Your email template has been updated.", EmailTemplate, most_body=MOST_BODY)
async def update_template(req: Request, body: ChangedEmailTemplate) -> Reply:
    """Change a template of the account. What is not given stays as it is."""
    key = req.number("template_id", template.NO_RECORD)
    if body.template_name is not None:
        _check_name(body.template_name)
    if body.body is not None or body.template_name is None:
        await _check_body(body.body or "")

    def change(tx: Tx) -> Reply:
        who = account.current(tx, req.who)
        return _answer(template.update(tx, who.user_id, key, body.template_name, body.body))

    return await req.services.database.write(change, slow=True)


@endpoint("Your email template has been deleted.", Nothing)
def delete_template(req: Request) -> Reply:
    """Delete a template of the account."""
    template.delete(req.tx, req.who.user_id, req.number("template_id", template.NO_RECORD))
    return Reply([])


def _own(req: Request) -> template.Template:
    """Raises NotFound."""
    found = template.find(req.tx, req.who.user_id, req.number("template_id", template.NO_RECORD))
    if found is None:
        raise NotFound(template.NO_RECORD)
    return found


def _preview(req: Request, user_id: int, template_id: int) -> Reply:
    until = req.tx.now + preview.LIFE
    token = preview.token(req.services.vault, user_id, template_id, until)
    return Reply(Preview(url=f"{req.base_url}/previews/{token}", expires=until))


def _check_name(name: str) -> None:
    """Raises BadRequest."""
    if not name.strip():
        raise BadRequest({"template_name": required("template_name")})
    if len(name) > LONGEST_NAME:
        raise BadRequest({"template_name": f"{label('template_name')} must have at most {LONGEST_NAME} characters."})


async def _check_body(body: str) -> None:
    """Raises BadRequest."""
    if not body.strip():
        raise BadRequest({"body": required("body")})
    fault = await asyncio.to_thread(bounds.fault, body)
    if fault:
        raise BadRequest({"body": f"Body {fault}"})


def _answer(found: template.Template) -> Reply:
    return Reply(EmailTemplate(**msgspec.structs.asdict(found)))
