"""No pattern that sees foreign text takes time that grows faster than the text: one cell must not hold up a server.

Each pattern of the house is tried on texts that are made of its own characters (a beginning that fits, one piece of it
over and over, an end that does not fit), in the way in which the house uses it. Not seconds are judged but growth, in
time of the processor that this thread had: four times the text is about four times the work, or sixteen times for a
pattern that goes back and forth. What other programs do meanwhile counts for neither.
"""

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import pytest

from support.growth import grows_too_fast
from test_house_rules import trees

MADE_AT_RUN_TIME = {
    "carriers.py _line": "a key of the operator's own file, escaped",
    "http/hints.py _contract": "paths of the contract, which is a file of the house",
    "http/server.py __init__": "paths of the house's own route table",
    "phone.py _lines": "rules of phonenumbers; they see at most 19 digits",
    "phone.py _rules": "rules of phonenumbers; they see at most 19 digits",
    "phone.py _valid": "rules of phonenumbers; they see at most 19 digits",
    "transports/sandbox/visits.py __init__": "the domain of the operator's own links, escaped",
}
"""file and function -> why a pattern that is put together there cannot be tried here, and what makes it harmless."""

SLOW_BUT_SHORT = {
    r"\s*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)\s*": "http/loose.py gives it at most 1000 characters",
    r"\b(id|stat|err)\s*[:=]\s*([^\s:]*)(?!\S*\s*:)": "a receipt of a carrier, which we trust not to attack us",
    r"0*([0-9a-f-]+|[0-9A-F-]+)": "the same",
}
"""pattern -> why it may be slow: what it sees is bounded, or no stranger's."""

SIZES = (*range(8, 32, 2), *(2**power for power in (5, 7, 9, 11, 13)))
"""Characters of the texts: at first in small steps, since some patterns never come to an end with thirty already."""

SCANNING = ("search", "findall", "finditer", "sub", "subn", "split")
ANCHORED = ("match", "fullmatch")


class Pattern(NamedTuple):
    """A pattern, where it stands, and how it is used: a method of compiled patterns."""

    where: str
    text: str | bytes
    flags: int
    method: str


# Where patterns are


def patterns() -> Iterator[Pattern]:
    """Every pattern in the house, once for each way in which it is used."""
    for name, tree in trees().items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_of_re(node.func)]
        for call in calls:
            where = f"{name}:{call.lineno}"
            found = value_of(name, call.args[0])
            if found is None:
                continue
            flags = 0
            for given in [*call.args[1:], *(one.value for one in call.keywords if one.arg == "flags")]:
                flag = value_of(name, given)
                flags |= int(flag) if isinstance(flag, re.RegexFlag) else 0
            for method in methods(tree, call):
                yield Pattern(where, found, flags, method)


def is_of_re(function: ast.AST) -> bool:
    """Whether this is a function of `re` that takes a pattern."""
    named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return named and function.value.id == "re" and function.attr in ("compile", *SCANNING, *ANCHORED)  # type: ignore[attr-defined]


def value_of(name: str, node: ast.expr) -> Any:
    """What an expression is in its module; None when that is known within a function only."""
    module = importlib.import_module("heliograph." + name.removesuffix(".py").replace("/", "."))
    try:
        return eval(compile(ast.Expression(node), name, "eval"), dict(vars(module)))
    except NameError:
        return None


def methods(tree: ast.Module, call: ast.Call) -> Sequence[str]:
    """How the pattern of a call is used; all that there is when that cannot be seen."""
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr != "compile":
        return [call.func.attr]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.value is call:
            return [node.attr]
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is call and isinstance(target, ast.Name):
            return sorted(used()[target.id]) or SCANNING
    return SCANNING


@cache
def used() -> defaultdict[str, set[str]]:
    """The methods that the house calls of what has a name, by the name. Each worker of the suite collects all tests:
    the trees are walked once, not once for each pattern.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in (*SCANNING, *ANCHORED):
                owner = getattr(node.value, "id", None) or getattr(node.value, "attr", None)
                found[str(owner)].add(node.attr)
    return found


def test_patterns_that_cannot_be_tried_are_excused() -> None:
    found = set()
    for name, tree in trees().items():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and is_of_re(node.func)]
                found |= {f"{name} {function.name}" for call in calls if value_of(name, call.args[0]) is None}
    assert found == set(MADE_AT_RUN_TIME)


# Texts that a pattern finds hard

parser, code = re._parser, re._constants  # type: ignore[attr-defined]
USUAL = "a0 _.,:;-+/@\"'()=#%\\\n\t\xe9\0"
CATEGORIES = {code.CATEGORY_DIGIT: str.isdigit, code.CATEGORY_SPACE: str.isspace, code.CATEGORY_WORD: str.isalnum}
REPEATS = (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT)
Node = tuple[Any, Any]


def fits(item: Node, character: str) -> bool:
    """Whether a part of a character class has a character."""
    kind, given = item
    if kind is code.LITERAL:
        return ord(character) == given
    if kind is code.RANGE:
        return bool(given[0] <= ord(character) <= given[1])
    positive = {str(one): test for one, test in CATEGORIES.items()}
    name = str(given).replace("NOT_", "")
    within = positive[name](character) or (name.endswith("WORD") and character == "_")
    return within != (name != str(given))


def characters(node: Node, some: str) -> list[str]:
    """One character for each thing that a node of one character takes; at most five, the first is the likeliest."""
    kind, given = node
    if kind is code.LITERAL:
        return [chr(given)]
    if kind is code.ANY:
        return [one for one in some if one != "\n"][:5]
    if kind is code.NOT_LITERAL:
        return [one for one in some if ord(one) != given][:5]
    if kind is not code.IN:
        return []
    if given[0][0] is code.NEGATE:
        return [one for one in some if not any(fits(item, one) for item in given[1:])][:5]
    found = (next((one for one in some if fits(item, one)), None) for item in given)
    return list(dict.fromkeys(one for one in found if one))[:5]


def sample(nodes: Sequence[Node], some: str, groups: dict[int, str]) -> str:
    """A short text that nodes, one after the other, would take."""
    out = ""
    for kind, given in nodes:
        single = characters((kind, given), some)
        if single:
            out += single[0]
        elif kind in REPEATS:
            out += sample(given[2], some, groups) * max(1, given[0])
        elif kind is code.SUBPATTERN:
            out += groups.setdefault(given[0], sample(given[3], some, groups))
        elif kind is code.ATOMIC_GROUP:
            out += sample(given, some, groups)
        elif kind is code.BRANCH:
            out += sample(given[1][0], some, groups)
        elif kind is code.GROUPREF:
            out += groups.get(given, "")
    return out


def hard_parts(nodes: Sequence[Node], some: str, before: str = "") -> Iterator[tuple[str, str]]:
    """(a beginning that leads to a repetition, what may be repeated there), for every repetition."""
    groups: dict[int, str] = {}
    for at, (kind, given) in enumerate(nodes):
        here = before + sample(nodes[:at], some, groups)
        if kind in REPEATS:
            body = given[2]
            pieces = characters(body[0], some) if len(body) == 1 else []
            yield from ((here, piece) for piece in (*pieces, sample(body, some, groups)))
            yield from hard_parts(body, some, here)
        elif kind is code.SUBPATTERN:
            yield from hard_parts(given[3], some, here)
        elif kind is code.ATOMIC_GROUP:
            yield from hard_parts(given, some, here)
        elif kind is code.BRANCH:
            for branch in given[1]:
                yield from hard_parts(branch, some, here)
        elif kind in (code.ASSERT, code.ASSERT_NOT):
            yield from hard_parts(given[1], some, here)
        yield "", before + sample(nodes[: at + 1], some, groups)


def literals(nodes: Any) -> str:
    """Every character that a pattern names."""
    if isinstance(nodes, tuple) and len(nodes) == 2 and nodes[0] in (code.LITERAL, code.NOT_LITERAL):
        return chr(nodes[1])
    if isinstance(nodes, tuple) and len(nodes) == 2 and nodes[0] is code.RANGE:
        return chr(nodes[1][0])
    parts = nodes if isinstance(nodes, tuple | list | parser.SubPattern) else ()
    return "".join(map(literals, parts))


def texts(pattern: str | bytes, flags: int) -> list[Callable[[int], str | bytes]]:
    """Functions that make a hard text of about so many characters."""
    tree = parser.parse(pattern, flags)
    some = "".join(dict.fromkeys(literals(list(tree))[:12] + USUAL))
    parts = dict.fromkeys(hard_parts(list(tree), some))
    ends = dict.fromkeys(("", *literals(list(tree))[:8], *"b 0:\0"))

    def make(before: str, piece: str, end: str) -> Callable[[int], str | bytes]:
        def text(size: int) -> str | bytes:
            made = before + piece * (size // len(piece) + 1) + end
            return made.encode("latin-1", "replace") if isinstance(pattern, bytes) else made

        return text

    return [
        make(start, piece, end)
        for before, piece in parts
        if piece
        for start in dict.fromkeys((before, ""))
        for end in ends
    ]


def hard_text(pattern: Pattern) -> str | bytes | None:
    """A text that takes a pattern too long, in its shortest form; None when there is none."""
    compiled = re.compile(pattern.text, pattern.flags)
    method = {"finditer": "findall", "subn": "sub"}.get(pattern.method, pattern.method)
    if method == "sub":
        nothing: Any = b"" if isinstance(pattern.text, bytes) else ""

        def call(text: Any) -> Any:
            return compiled.sub(nothing, text)
    else:
        call = getattr(compiled, method)
    makers = texts(pattern.text, pattern.flags)
    return next((make(12) for make in makers if grows_too_fast(call, make, SIZES)), None)


@pytest.mark.parametrize("pattern", sorted(set(patterns()), key=str), ids=lambda one: f"{one.where} {one.method}")
def test_no_pattern_takes_longer_than_its_text(pattern: Pattern) -> None:
    if pattern.text not in SLOW_BUT_SHORT:
        assert hard_text(pattern) is None


SLOW_ONES = [
    (r"(a+)+b", "match"),
    (r"\s+$", "search"),
    (r"([A-Za-z_]\w*)\(", "search"),
    (r"(?:\\[\\,]|[^,])+,", "match"),
    (r"\s*(?:=\"([^\"]*)\"|'?(.*?)((?<=\d{5})\.0+)?)\s*", "fullmatch"),
    (r"0*([0-9a-f-]+|[0-9A-F-]+)", "fullmatch"),
    (r"\b(id|stat)\s*[:=]\s*([^\s:]*)(?!\S*\s*:)", "findall"),
    (rb"<.*>", "finditer"),
]
QUICK_ONES = [
    (r"\+?[0-9]{3,24}", "fullmatch"),
    (r"[^@\s]{1,64}@[^@\s]{1,255}", "search"),
    (r"\s*(\d+)(\.0*)?\s*", "fullmatch"),
    (r"(?:\\[\\,]|[^,])+", "findall"),
    (rb"[:,\[]\s*-?\d{16}", "search"),
]


@pytest.mark.parametrize(("text", "method"), SLOW_ONES)
def test_a_slow_pattern_is_found(text: str | bytes, method: str) -> None:
    assert hard_text(Pattern("", text, re.DOTALL, method)) is not None


@pytest.mark.parametrize(("text", "method"), QUICK_ONES)
def test_a_quick_pattern_is_not(text: str | bytes, method: str) -> None:
    assert hard_text(Pattern("", text, re.DOTALL, method)) is None
