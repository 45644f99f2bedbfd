"""The invoice of a transaction as one printable page (A4, PDF)."""

import io
import time

import msgspec
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import select

from heliograph.billing import payments, prices
from heliograph.db.engine import Tx
from heliograph.db.tables import users
from heliograph.settings import Settings, SettingsError

LEFT, RIGHT, TOP = 20 * mm, A4[0] - 20 * mm, A4[1] - 20 * mm
LINE = 5.5 * mm


class Invoice(msgspec.Struct, frozen=True):
    """What an invoice says; the amount as a text with its currency."""

    number: str
    date: str
    buyer: tuple[str, ...]
    item: str
    amount: str
    refunded: bool


def facts(tx: Tx, user_id: int, invoice_number: str) -> Invoice:
    """The invoice of a transaction of this account. Raises NotFound."""
    row = payments.transaction(tx, user_id, invoice_number)
    user = tx.row(select(users).where(users.c.user_id == user_id))
    assert user is not None
    person = f"{user['first_name']} {user['last_name']}".strip()
    package = row["package_id"]
    return Invoice(
        number=row["invoice_number"],
        date=time.strftime("%d %B %Y", time.gmtime(row["settled_at"])),
        buyer=tuple(line for line in (user["account_name"], person, user["email"], user["country"]) if line),
        item=f"Messaging credit, package #{package}" if package else "Messaging credit, automatic recharge",
        amount=f"{row['currency']} {prices.fixed(row['micros'], 2)}",
        refunded=row["state"] != payments.PAID,
    )


def draw(invoice: Invoice, settings: Settings) -> bytes:
    """The PDF. Takes some milliseconds: not on the event loop. Raises SettingsError: the font cannot be read."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=True)
    canvas.setTitle(f"Invoice {invoice.number}")
    plain, bold = _fonts(settings.invoice_font)
    issuer = [line.strip() for line in settings.invoice_issuer.split(";")]
    canvas.setFont(bold, 20)
    canvas.drawString(LEFT, TOP - 5 * mm, "Invoice")
    canvas.setFont(plain, 10)
    _block(canvas, RIGHT, TOP - 2 * mm, issuer, right=True)
    _block(canvas, LEFT, TOP - 45 * mm, list(invoice.buyer))
    facts_of_it = [f"Invoice number: {invoice.number}", f"Date: {invoice.date}", "Paid by card"]
    _block(canvas, LEFT, TOP - 80 * mm, facts_of_it)
    _table(canvas, invoice, bold, plain, TOP - 110 * mm)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _fonts(path: str) -> tuple[str, str]:
    """Names of the fonts for text and for headings."""
    if not path:
        return "Helvetica", "Helvetica-Bold"
    name = f"invoice {path}"
    if name not in pdfmetrics.getRegisteredFontNames():
        try:
            pdfmetrics.registerFont(TTFont(name, path))
        except TTFError as problem:
            raise SettingsError(f"HELIOGRAPH_INVOICE_FONT={path!r}: {problem}") from None
    return name, name


def _block(canvas: Canvas, x: float, y: float, lines: list[str], *, right: bool = False) -> None:
    for number, line in enumerate(lines):
        (canvas.drawRightString if right else canvas.drawString)(x, y - number * LINE, line[:90])


def _table(canvas: Canvas, invoice: Invoice, bold: str, plain: str, y: float) -> None:
    canvas.setFont(bold, 10)
    canvas.drawString(LEFT, y, "Description")
    canvas.drawRightString(RIGHT, y, "Amount")
    canvas.line(LEFT, y - 2 * mm, RIGHT, y - 2 * mm)
    canvas.setFont(plain, 10)
    canvas.drawString(LEFT, y - 8 * mm, invoice.item)
    canvas.drawRightString(RIGHT, y - 8 * mm, invoice.amount)
    canvas.line(LEFT, y - 11 * mm, RIGHT, y - 11 * mm)
    canvas.setFont(bold, 10)
    canvas.drawString(LEFT, y - 17 * mm, "Total")
    canvas.drawRightString(RIGHT, y - 17 * mm, invoice.amount)
    canvas.setFont(plain, 10)
    if invoice.refunded:
        canvas.drawString(LEFT, y - 27 * mm, "This payment was refunded.")
