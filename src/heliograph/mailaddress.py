"""What a mail address looks like."""

import re

_ADDRESS = re.compile(r'[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,64}@[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,255}')


def is_address(text: str) -> bool:
    """Whether a text has the form of a mail address (RFC 5321, 4.1.2): no quoted names, no addresses in brackets.

    Only a mail that arrives proves one.
    """
    return _ADDRESS.fullmatch(text) is not None
