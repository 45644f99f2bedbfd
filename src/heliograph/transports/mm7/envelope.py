"""MM7 as XML: SOAP 1.1 envelopes as both ends write and read them. Knows no socket and no message of ours.

Source of names and order: 3GPP TS 23.140, annex L, schema REL-6-MM7-1-4. Older releases have the same elements in the
same order, and lack some of them. What MMSCs write beside it: facts O.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SCHEMAS = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/"
"""What the namespace of every release begins with."""

VERSIONS: Mapping[str, str] = {"REL-5": "5.3.0", "REL-6-MM7-1-0": "6.3.0", "REL-6": "6.8.0"}
"""MM7Version by how the release of the schema begins, where the carrier asks for no other (facts O2)."""

ORDER: Mapping[str, Sequence[str]] = {
    "SubmitReq": (
        "MM7Version",
        "SenderIdentification",
        "Extension",
        "Recipients",
        "PreferredChannels",
        "ServiceCode",
        "LinkedID",
        "MessageClass",
        "TimeStamp",
        "ReplyCharging",
        "EarliestDeliveryTime",
        "ExpiryDate",
        "DeliveryReport",
        "ReadReply",
        "Priority",
        "Subject",
        "ChargedParty",
        "ChargedPartyID",
        "ThirdPartyPayer",
        "DistributionIndicator",
        "DeliveryCondition",
        "ApplicID",
        "ReplyApplicID",
        "AuxApplicInfo",
        "ContentClass",
        "DRMContent",
        "Content",
        "AdditionalInformation",
        "MessageExtraData",
    ),
    "SubmitRsp": ("MM7Version", "Status", "Extension", "MessageID"),
    "DeliverReq": (
        "MM7Version",
        "MMSRelayServerID",
        "Extension",
        "VASPID",
        "VASID",
        "LinkedID",
        "Sender",
        "Recipients",
        "Previouslysentby",
        "Previouslysentdateandtime",
        "SenderSPI",
        "RecipientSPI",
        "TimeStamp",
        "ReplyChargingID",
        "Priority",
        "Subject",
        "ApplicID",
        "ReplyApplicID",
        "AuxApplicInfo",
        "UACapabilities",
        "Content",
        "AdditionalInformation",
        "MessageExtraData",
    ),
    "DeliverRsp": ("MM7Version", "Status", "Extension", "ServiceCode"),
    "DeliveryReportReq": (
        "MM7Version",
        "MMSRelayServerID",
        "Extension",
        "MessageID",
        "Recipient",
        "Sender",
        "Date",
        "MMStatus",
        "MMStatusExtension",
        "StatusText",
        "ApplicID",
        "ReplyApplicID",
        "AuxApplicInfo",
        "UACapabilities",
    ),
    "DeliveryReportRsp": ("MM7Version", "Status", "Extension"),
    "ReadReplyReq": (
        "MM7Version",
        "MMSRelayServerID",
        "Extension",
        "MessageID",
        "Recipient",
        "Sender",
        "TimeStamp",
        "MMStatus",
        "StatusText",
        "ApplicID",
        "ReplyApplicID",
        "AuxApplicInfo",
    ),
    "ReadReplyRsp": ("MM7Version", "Status", "Extension"),
    "RSErrorRsp": ("MM7Version", "Status", "Extension"),
}
"""Children of each body, in the order in which the schema wants them."""

REPEATED = ("Extension", "Content", "AdditionalInformation")
"""Children that may stand there several times."""

_UTF_16 = re.compile(rb"<\?xml[^>]{0,100}encoding=[\"']utf-?16", re.IGNORECASE)

SUCCESS, PARTLY = 1000, 1100
ADDRESS_ERROR, CONTENT_REFUSED, CORRUPT, SERVER_ERROR, IMPROPER, UNAVAILABLE = 2002, 2004, 2007, 3000, 4001, 4006
"""StatusCode. Source: 3GPP TS 23.140, section 8.7.8."""

Tree: TypeAlias = "Sequence[tuple[str, str | Tree | Mapping[str, str]]]"
"""Elements in order: a name, and its text, its children, or (as a mapping) its attributes."""


class Malformed(ValueError):
    """Octets that are no MM7; the text says why, in one sentence without a full stop."""


class Dialect(NamedTuple):
    """How one carrier writes MM7: the namespace of its schema, and the version that it is told."""

    namespace: str = SCHEMAS + "REL-6-MM7-1-4"
    version: str = "6.8.0"


class Envelope(NamedTuple):
    """A message that was read: what it is called (`SubmitReq`), whose answer it is for, what stands in it."""

    dialect: Dialect
    name: str
    transaction_id: str
    body: "etree._Element"

    def text(self, *path: str) -> str:
        """The text of the first element at this path below the body; empty when there is none."""
        found = self.child(*path)
        return "" if found is None else (found.text or "").strip()

    def child(self, *path: str) -> "etree._Element | None":
        """The first element at this path below the body, in whatever namespace it stands."""
        here: etree._Element | None = self.body
        for name in path:
            here = None if here is None else next((one for one in here if local(one) == name), None)
        return here

    @property
    def status(self) -> tuple[int, str]:
        """(StatusCode, what is said of it); code 0 when there is none that can be read.

        An MMSC may leave the element around them out (facts O6).
        """
        place = ("Status",) if self.child("Status") is not None else ()
        code = self.text(*place, "StatusCode")
        words = " ".join(filter(None, (self.text(*place, "StatusText"), self.text(*place, "Details"))))
        return (int(code) if code.isascii() and code.isdigit() and len(code) == 4 else 0), words


def local(element: "etree._Element") -> str:
    """The name of an element without its namespace."""
    return etree.QName(element).localname


def version_of(namespace: str) -> str:
    """The MM7Version that goes with a namespace; that of the newest release for one that is not of 3GPP."""
    release = namespace.removeprefix(SCHEMAS)
    return next((version for begins, version in VERSIONS.items() if release.startswith(begins)), VERSIONS["REL-6"])


def write(dialect: Dialect, name: str, transaction_id: str, body: Tree, *, fault: bool = False) -> bytes:
    """An envelope as UTF-8. `fault` wraps the body into a SOAP Fault, as RSErrorRsp wants it.

    Raises ValueError for text that XML cannot hold (control characters, halves of characters).
    """
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP})
    own = {None: dialect.namespace}
    header = etree.SubElement(root, f"{{{SOAP}}}Header")
    transaction = etree.SubElement(header, f"{{{dialect.namespace}}}TransactionID", nsmap=own)
    transaction.set(f"{{{SOAP}}}mustUnderstand", "1")
    transaction.text = transaction_id
    place = etree.SubElement(root, f"{{{SOAP}}}Body")
    if fault:
        wrapper = etree.SubElement(place, f"{{{SOAP}}}Fault")
        etree.SubElement(wrapper, "faultcode").text = "env:Client"
        etree.SubElement(wrapper, "faultstring").text = "MM7 error"
        place = etree.SubElement(wrapper, "detail")
    _fill(etree.SubElement(place, f"{{{dialect.namespace}}}{name}", nsmap=own), body, dialect.namespace)
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def _fill(parent: "etree._Element", tree: Tree, namespace: str) -> None:
    for name, value in tree:
        element = etree.SubElement(parent, f"{{{namespace}}}{name}")
        if isinstance(value, str):
            element.text = value
        elif isinstance(value, Mapping):
            for attribute, text in value.items():
                element.set(attribute, text)
        else:
            _fill(element, value, namespace)


def read(octets: bytes, own: str = SCHEMAS) -> Envelope:
    """Read an envelope, also one whose body is a Fault. Nothing that it refers to is loaded. Raises Malformed.

    The message stands in a namespace of 3GPP, or in `own`, which is what the other end has for one. Octets that say of
    themselves to be UTF-16, and are not, are read as UTF-8 (facts O4).
    """
    octets = octets.strip()
    said = "utf-8" if _UTF_16.match(octets) else None
    parser = etree.XMLParser(
        encoding=said, resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError as problem:
        raise Malformed(f"The XML cannot be read: {problem.msg}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("The XML has a document type, which SOAP forbids")
    if root.tag != f"{{{SOAP}}}Envelope":
        raise Malformed("The XML is no SOAP 1.1 envelope")
    transactions = [one for header in root.findall(f"{{{SOAP}}}Header") for one in header]
    transaction = next((one for one in transactions if local(one) == "TransactionID"), None)
    bodies = [one for body in root.findall(f"{{{SOAP}}}Body") for one in body]
    if len(bodies) != 1:
        raise Malformed("The SOAP body does not hold exactly one message")
    body = bodies[0]
    if body.tag == f"{{{SOAP}}}Fault":
        body = _inside(body)
    namespace = etree.QName(body).namespace or ""
    if not namespace.startswith(SCHEMAS) and namespace != own:
        raise Malformed("The message has no namespace of MM7")
    version = next((one.text or "" for one in body if local(one) == "MM7Version"), "")
    transaction_id = "" if transaction is None else (transaction.text or "").strip()
    return Envelope(Dialect(namespace, version.strip()), local(body), transaction_id, body)


def _inside(fault: "etree._Element") -> "etree._Element":
    """The MM7 message that a Fault carries. Raises Malformed with the words of a Fault that carries none."""
    inner = [one for detail in fault if local(detail) == "detail" for one in detail]
    if inner:
        return inner[0]
    words = " ".join(" ".join(one.itertext()).strip() for one in fault if local(one) == "faultstring")
    raise Malformed(f"SOAP Fault: {words or 'no words'}")


def misplaced(envelope: Envelope) -> str | None:
    """What is wrong with the children of a message: the first one that is unknown, double or out of order; or None."""
    order = ORDER.get(envelope.name)
    if order is None:
        return f"{envelope.name} is no MM7 message"
    at = -1
    for child in envelope.body:
        name = local(child)
        if name not in order:
            return f"{name} is unknown in {envelope.name}"
        if order.index(name) < at + (name not in REPEATED):
            return f"{name} stands at a wrong place in {envelope.name}"
        at = order.index(name)
    return None
