"""Pictures without what they say about their maker: places, cameras, comments. Their pixels stay as they are. Pure."""

_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length. Source: ITU-T T.81, table B.1."""
_JPEG_KEPT = (b"JFIF\0", b"ICC_PROFILE\0", b"Adobe")
"""Beginnings of the application segments that a decoder needs for colours and proportions."""
_START_OF_SCAN, _END, _COMMENT, _FIRST_APPLICATION, _LAST_APPLICATION = 0xDA, 0xD9, 0xFE, 0xE0, 0xEF

_GIF_EXTENSION, _GIF_IMAGE, _GIF_TRAILER = 0x21, 0x2C, 0x3B
_GIF_APPLICATION, _GIF_COMMENT = 0xFF, 0xFE
_GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
"""Application extensions that say how often an animation runs."""


class Broken(ValueError):
    """Octets that are no picture of this kind."""


def jpeg(data: bytes) -> bytes:
    """A JPEG without comments, EXIF, XMP, IPTC and thumbnails, and without what follows its end. Raises Broken.

    The picture must stand upright: its orientation is lost as well.
    """
    out, at = bytearray(b"\xff\xd8"), 2
    if data[:2] != b"\xff\xd8":
        raise Broken
    while True:
        at, marker = _marker(data, at)
        if marker == _END:
            return bytes(out + b"\xff\xd9")
        if marker in _JPEG_ALONE:
            out += bytes((0xFF, marker))
            continue
        length = int.from_bytes(data[at : at + 2])
        segment = data[at : at + length]
        if length < 2 or len(segment) < length:
            raise Broken
        at += length
        if marker == _START_OF_SCAN:
            end = _end_of_scan(data, at)
            out += bytes((0xFF, marker)) + segment + data[at:end]
            at = end
        elif not _told(marker, segment[2:]):
            out += bytes((0xFF, marker)) + segment


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """(where it ends, a marker): 0xFF, as often as it stands there, and a byte."""
    if data[at : at + 1] != b"\xff":
        raise Broken
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data):
        raise Broken
    return at + 1, data[at]


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the next marker stands that is none of the compressed data."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise Broken
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2


def _told(marker: int, content: bytes) -> bool:
    """Whether a segment says something about the picture instead of being a part of it."""
    if marker == _COMMENT:
        return True
    return _FIRST_APPLICATION <= marker <= _LAST_APPLICATION and not content.startswith(_JPEG_KEPT)


def gif(data: bytes) -> bytes:
    """A GIF without comments, application data and what follows its end. Raises Broken. Source: GIF 89a."""
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        raise Broken
    at = 13 + _table(data[10])
    out = bytearray(data[:at])
    while True:
        kind = data[at : at + 1]
        if kind == bytes((_GIF_TRAILER,)):
            return bytes(out) + kind
        begin = at
        if kind == bytes((_GIF_EXTENSION,)):
            at = _blocks(data, at + 2)
            if not _is_remark(data[begin + 1], data[begin + 3 : begin + 14]):
                out += data[begin:at]
        elif kind == bytes((_GIF_IMAGE,)) and at + 10 <= len(data):
            at = _blocks(data, at + 11 + _table(data[at + 9]))
            out += data[begin:at]
        else:
            raise Broken


def _table(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> int:
    """Where a row of blocks ends, each of which says its length first."""
    while at < len(data):
        size = data[at]
        at += size + 1
        if not size:
            return at
    raise Broken


def _is_remark(label: int, name: bytes) -> bool:
    return label == _GIF_COMMENT or (label == _GIF_APPLICATION and name not in _GIF_KEPT)
