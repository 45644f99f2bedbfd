"""The invoice of a transaction as one printable page (A4, PDF). What draws it is imported with the first one."""

import io
import time
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from heliograph.billing import payments, prices
from heliograph.db.engine import Tx
from heliograph.db.tables import users
from heliograph.settings import Settings

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

    from heliograph.billing.lettering import Lettering

BOLD = "Helvetica-Bold"
mm = 72 / 25.4
"""In points, in which PDF measures."""
A4 = (210 * mm, 297 * mm)
LEFT, RIGHT, TOP = 20 * mm, A4[0] - 20 * mm, A4[1] - 20 * mm
LINE, SIZE = 5.5 * mm, 10
ISSUER, BUYER = 100 * mm, 120 * mm
"""Width in points of the blocks with their addresses."""


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
        amount=f"{row['currency']} {prices.grouped(row['micros'])}",
        refunded=row["state"] != payments.PAID,
    )


def draw(invoice: Invoice, settings: Settings) -> bytes:
    """The PDF. Takes some milliseconds: not on the event loop. Raises OSError: the font cannot be read."""
    from reportlab.pdfgen.canvas import Canvas

    from heliograph.billing.lettering import Lettering

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=True)
    canvas.setTitle(f"Invoice {invoice.number}")
    canvas.setFont(BOLD, 20)
    canvas.drawString(LEFT, TOP - 5 * mm, "Invoice")
    letters = Lettering(canvas, SIZE, settings.invoice_font)
    issuer = [line.strip() for line in settings.invoice_issuer.split(";")]
    y = letters.block(RIGHT, TOP - 2 * mm, issuer, ISSUER, LINE, right=True)
    y = letters.block(LEFT, min(y - LINE, TOP - 45 * mm), invoice.buyer, BUYER, LINE)
    said = [f"Invoice number: {invoice.number}", f"Date: {invoice.date}", "Paid by card"]
    y = letters.block(LEFT, min(y - LINE, TOP - 80 * mm), said, BUYER, LINE)
    y = _table(canvas, letters, invoice, min(y - 2 * LINE, TOP - 110 * mm))
    if invoice.refunded:
        letters.block(LEFT, y - 10 * mm, ["This payment was refunded."], BUYER, LINE)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _table(canvas: "Canvas", letters: "Lettering", invoice: Invoice, y: float) -> float:
    """Draw the table of what was paid; where it ends, in points from the foot of the page."""
    canvas.setFont(BOLD, SIZE)
    canvas.drawString(LEFT, y, "Description")
    canvas.drawRightString(RIGHT, y, "Amount")
    canvas.drawString(LEFT, y - 17 * mm, "Total")
    canvas.drawRightString(RIGHT, y - 17 * mm, invoice.amount)
    for down in (2 * mm, 11 * mm):
        canvas.line(LEFT, y - down, RIGHT, y - down)
    letters.block(LEFT, y - 8 * mm, [invoice.item], BUYER, LINE)
    letters.block(RIGHT, y - 8 * mm, [invoice.amount], ISSUER, LINE, right=True)
    return y - 17 * mm
