"""The MIME packages around MM7 envelopes: SOAP with attachments, and inside of it the message with its SMIL.

Knows no socket. Source: SOAP Messages with Attachments (W3C note of 2000), RFC 2387, 3GPP TS 23.140 section 8.7.
"""

import re
from collections.abc import Sequence
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from aiohttp import MultipartWriter
from multidict import CIMultiDict

from heliograph.transports.base import Media, Mms
from heliograph.transports.mm7.envelope import Malformed

CONTENT_ID = "content"
"""Content-ID of the part that has the message, to which the envelope's Content refers."""

MOST_PARTS, DEEPEST = 100, 4
"""Parts of a package that arrives, and multiparts inside of each other: more is no message but an attack."""

MOST_LINES = 10 * MOST_PARTS
"""Lines that begin as a boundary does, before anything is taken apart. Few stand in pictures by chance."""

_TEXT = "text/plain"
_SMIL = ("application/smil", "application/smil+xml", "text/smil")
_MULTIPART = re.compile(rb"content-type:\s*multipart/", re.IGNORECASE)
_SAFE_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


async def packed(soap: bytes, message: Mms | None = None) -> tuple[str, bytes]:
    """(Content-Type, octets) of an envelope, with the message that it speaks of."""
    if message is None:
        return "text/xml; charset=utf-8", soap
    outer = MultipartWriter("related")
    _append(outer, soap, "text/xml; charset=utf-8", "soap")
    inner = MultipartWriter("related")
    smil = _smil(message).encode()
    _append(inner, smil, "application/smil; charset=utf-8", "smil", "message.smil")
    if message.text:
        _append(inner, message.text.encode("utf-8", "replace"), "text/plain; charset=utf-8", "text.txt", "text.txt")
    for media in message.media:
        _append(inner, media.octets, media.content_type, media.name, media.name)
    inner.headers["Content-Type"] = f'{inner.content_type}; type="application/smil"; start="<smil>"'
    inner.headers["Content-ID"] = f"<{CONTENT_ID}>"
    outer.append_payload(inner)
    return f'{outer.content_type}; type="text/xml"; start="<soap>"', await outer.as_bytes()


def _append(package: MultipartWriter, octets: bytes, kind: str, content_id: str, location: str = "") -> None:
    headers = CIMultiDict({"Content-Type": kind, "Content-ID": f"<{content_id}>"})
    if location:
        headers["Content-Location"] = location
    package.append(octets, headers)


def _smil(message: Mms) -> str:
    """One page: the pictures (or whatever the files are), and the text below. Names are ours, so nothing is escaped."""
    shown = [f'<{_element(media.content_type)} src="cid:{media.name}" region="Image"/>' for media in message.media]
    if message.text:
        shown.append('<text src="cid:text.txt" region="Text"/>')
    return (
        '<smil><head><layout><root-layout width="100%" height="100%"/>'
        '<region id="Image" left="0" top="0" width="100%" height="70%" fit="meet"/>'
        '<region id="Text" left="0" top="70%" width="100%" height="30%" fit="scroll"/>'
        f'</layout></head><body><par dur="10s">{"".join(shown)}</par></body></smil>'
    )


def _element(content_type: str) -> str:
    """The SMIL element that shows a file of this type."""
    return {"image": "img", "audio": "audio", "video": "video", "text": "text"}.get(
        content_type.partition("/")[0], "ref"
    )


def opened(content_type: str, octets: bytes) -> tuple[bytes, Mms]:
    """(envelope, message) of a package; the message is empty when there is only an envelope. Raises Malformed."""
    if not content_type.lower().lstrip().startswith("multipart/"):
        return octets, Mms("", "", ())
    if octets.count(b"\n--") > MOST_LINES:
        raise Malformed("The MIME package has too many parts")
    if len(_MULTIPART.findall(octets)) >= DEEPEST:
        raise Malformed("The MIME parts are nested too deeply")
    head = f"Content-Type: {_one_line(content_type)}\r\n\r\n".encode("utf-8", "replace")
    package = BytesParser(policy=compat32).parsebytes(head + octets)
    parts = package.get_payload()
    if not isinstance(parts, list) or not parts:
        if octets.lstrip().startswith(b"<"):  # it says that it has parts, and is an envelope alone (facts O5)
            return octets, Mms("", "", ())
        raise Malformed("The MIME package has no parts")
    leaves = [leaf for leaf in package.walk() if not leaf.is_multipart()]
    if len(leaves) > MOST_PARTS:
        raise Malformed("The MIME package has too many parts")
    start = str(package.get_param("start", "")).strip("<>")
    root = next((one for one in leaves if start and _content_id(one) == start), leaves[0])
    return _octets(root), _message([leaf for leaf in leaves if leaf is not root])


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _content_id(part: Message) -> str:
    return str(part.get("Content-ID", "")).strip().strip("<>")


def _octets(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def _message(parts: Sequence[Message]) -> Mms:
    """Texts are joined, the page that arranges them is left out, and everything else is a file."""
    texts, media = [], []
    for number, part in enumerate(parts, 1):
        kind = part.get_content_type()
        if kind == _TEXT:
            texts.append(_decoded(part))
        elif kind not in _SMIL:
            media.append(Media(_name(part, number), kind, _octets(part)))
    return Mms("", "\n".join(texts), tuple(media))


def _decoded(part: Message) -> str:
    """The text of a part; what its charset does not know is replaced, and a charset that nobody knows is UTF-8."""
    octets = _octets(part)
    try:
        text = octets.decode(str(part.get_content_charset() or "utf-8"), "replace")
    except (LookupError, UnicodeError):
        text = octets.decode("utf-8", "replace")
    return text.replace("\0", "").replace("\r\n", "\n").strip("\n")


def _name(part: Message, number: int) -> str:
    """What the sender calls a file, if that is a plain name."""
    for given in (part.get("Content-Location"), part.get_filename(), _content_id(part)):
        if given and _SAFE_NAME.fullmatch(str(given).strip()):
            return str(given).strip()
    return f"file{number}"
