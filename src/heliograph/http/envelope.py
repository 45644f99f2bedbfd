"""The envelope of every answer. Source: api-v3; errors as in facts A1-A10."""

from typing import Any

import msgspec

from heliograph.errors import ApiError

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def success(message: str, data: Any) -> bytes:
    """A 200."""
    return encode({"http_code": 200, "response_code": "SUCCESS", "response_msg": message, "data": data})


def failure(error: ApiError) -> bytes:
    """A refusal."""
    return encode(
        {"http_code": error.status, "response_code": error.code, "response_msg": error.message, "data": error.data}
    )
