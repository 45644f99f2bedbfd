"""The envelope of every answer. Source: api-v3; errors as in facts A."""

from typing import Annotated, Any

import msgspec

from heliograph.errors import ApiError
from heliograph.fields import about

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


class Envelope(msgspec.Struct):
    """Every answer has these four keys."""

    http_code: Annotated[int, about("The HTTP status once more.")]
    response_code: Annotated[str, about("SUCCESS, or a word for what was wrong.")]
    response_msg: Annotated[str, about("A sentence for people.")]
    data: Any


def success(message: str, data: Any) -> bytes:
    """A 200."""
    return encode(Envelope(200, "SUCCESS", message, data))


def failure(error: ApiError) -> bytes:
    """A refusal."""
    return encode(Envelope(error.status, error.code, error.message, error.data))
