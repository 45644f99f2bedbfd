"""HTML that people give: whether the libraries that read it can, in a time that does not grow beyond all measure.

What browsers do with elements that are not closed (HTML Living Standard, 13.2.6) takes a look at each open one for each
tag, and with attributes a look at each one before; a library that goes down into the tree by recursion ends its process
at some depth. So HTML is counted before it is read, and measured before it is kept or sent.
"""

import re

LONGEST = 250_000
"""Characters. Gmail shows the first 102 kB of a mail."""
MOST_TAGS = 10_000
"""Of `<`, so of tags that open or close; large mails have a third of it."""
DEEPEST = 256
"""Levels of elements, each within the one before. Mails that are made of nested tables have some fifty."""
MOST_ATTRIBUTES = 200
"""Of one tag."""

_TAG = re.compile(r"<[A-Za-z][^\s/>]*([^>]*)")
"""What stands in a tag after its name, up to the first `>`. What only looks like one, in a comment, ends with it."""
_ATTRIBUTE = re.compile(r"""(?:=?[^\s/>=]+|=)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"'][^\s>]*|(?P<open>["']))?)?""")
"""HTML Living Standard, 13.2.5.33 to 13.2.5.38."""


def fault(html: str) -> str:
    """What is wrong with a body, as the end of a sentence that begins with its name; "" when it can be used.

    Takes up to a quarter of a second of the processor: not on the event loop, nor in a transaction.
    """
    if len(html) > LONGEST:
        return f"must have at most {LONGEST} characters."
    if html.count("<") > MOST_TAGS:
        return f"must have at most {MOST_TAGS} tags."
    for inside in _TAG.findall(html):
        attributes = list(_ATTRIBUTE.finditer(inside))
        if len(attributes) > MOST_ATTRIBUTES:
            return f"must have at most {MOST_ATTRIBUTES} attributes in a tag."
        if any(one["open"] for one in attributes):
            return "must have > written as &gt; within the values of attributes."
    if depth(html) > DEEPEST:
        return f"must have at most {DEEPEST} elements within each other."
    return ""


def depth(html: str) -> int:
    """How many nodes lie within each other below the root, as a browser places them. `html` is one that was counted."""
    from selectolax.lexbor import LexborHTMLParser

    node, level, deepest = LexborHTMLParser(html).root, 0, 0
    while node is not None:
        if node.child is not None:
            node, level = node.child, level + 1
            deepest = max(deepest, level)
            continue
        while node is not None and node.next is None:
            node, level = node.parent, level - 1
        node = node.next if node is not None else None
    return deepest
