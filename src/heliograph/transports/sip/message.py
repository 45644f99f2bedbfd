"""SIP messages (RFC 3261) as text: as much as a phone on loopback and a question to a trunk need."""

import re

import msgspec

_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_TAG = re.compile(r";\s*tag=([^;>\s]+)", re.IGNORECASE)

REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    503: "Service Unavailable",
    603: "Decline",
}


class Message(msgspec.Struct):
    """A request or a response. `start` is its first line; names of headers are in small letters."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def get(self, name: str) -> str:
        """The first header of this name; "" when there is none."""
        return next((value for known, value in self.headers if known == name), "")

    def all(self, name: str) -> list[str]:
        """Every header of this name, in order."""
        return [value for known, value in self.headers if known == name]

    @property
    def method(self) -> str:
        """Of a request; "SIP/2.0" for a response."""
        return self.start.partition(" ")[0]

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        code = self.start[8:11]
        return int(code) if self.start.startswith("SIP/2.0 ") and code.isdecimal() and code.isascii() else 0

    @property
    def uri(self) -> str:
        """Whom a request is for."""
        return self.start.split(" ")[1]

    def encode(self) -> bytes:
        """As it goes over the wire."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), f"content-length: {len(self.body)}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


def decode(data: bytes) -> Message | None:
    """A message out of a datagram; None for what is none."""
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.decode("utf-8", "replace").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    if len(start.split(" ")) < 3:
        return None
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon and _COMPACT.get(name, name) != "content-length":
            headers.append((_COMPACT.get(name, name), value.strip()))
    return Message(start, headers, body)


def response(
    request: Message, status: int, tag: str, more: list[tuple[str, str]] | None = None, body: bytes = b""
) -> Message:
    """The response to a request, in the dialog `tag` (RFC 3261, 8.2.6)."""
    same = [(name, value) for name, value in request.headers if name in ("via", "from", "call-id", "cseq")]
    to = request.get("to")
    same.append(("to", to if status == 100 or _TAG.search(to) else f"{to};tag={tag}"))
    return Message(f"SIP/2.0 {status} {REASONS.get(status, 'Unknown')}", [*same, *(more or [])], body)


def tag_of(header: str) -> str:
    """The tag of a From or To header; "" for none."""
    found = _TAG.search(header)
    return found[1] if found else ""


def user_of(header: str) -> str:
    """The user of an address or a URI; "" for none."""
    _, _, rest = header.partition("sip:")
    user, at, _ = rest.partition("@")
    return user if at and not set(user) & set(";<> \t") else ""
