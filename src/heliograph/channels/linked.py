"""Texts of campaigns: placeholders filled for one contact, and short links that are its own."""

from collections.abc import Callable

from heliograph.contacts import audience
from heliograph.contacts.audience import Member
from heliograph.links import literals
from heliograph.links.link import URL, NewLink, Shortener

Written = tuple[str, tuple[NewLink, ...]]


def writer(shortener: Shortener, text: str, url: str) -> Callable[[Member], Written]:
    """A function that writes `text` to a member: (the text, the links in it). Literals of links lead to `url`."""
    kinds = sorted(literals.found(text))
    write = audience.personal(text, links=bool(kinds))

    def written(member: Member) -> Written:
        links = tuple(shortener.new(kind, url if kind == URL else "") for kind in kinds)
        shown: dict[str, str] = {link.kind: shortener.shown(link) for link in links}
        return write({**member, **shown} if shown else member), links

    return written
