"""Choosing a transport for a message: match, priority, weight, failover."""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from heliograph.media import Medium
from heliograph.transports.base import UNLIMITED, Limits, Transport
from heliograph.transports.options import RouteOptions


class Router:
    """The routes of the configuration over the open transports. Swapped whole when the configuration changes.

    `limits` has those of the carriers that take less than others, by the names of their transports.
    """

    def __init__(
        self,
        routes: Sequence[RouteOptions],
        transports: Mapping[str, Transport],
        limits: Mapping[str, Limits] = MappingProxyType({}),
    ) -> None:
        self.routes = list(routes)
        self.transports = dict(transports)
        self._limits = limits
        self.by_account = any(route.account for route in routes)
        self._only = {medium: name for medium in {route.medium for route in routes} if (name := _only(routes, medium))}

    def capacity(self, medium: Medium) -> int:
        """How many messages of a medium may be on their way at once, by the carriers that are there."""
        names = {route.transport for route in self.routes if route.medium == medium}
        return sum(self.transports[name].capacity for name in names if self.transports[name].connected)

    def only(self, medium: Medium) -> str | None:
        """The name of the transport that every message of a medium gets, whatever it is; None when it depends."""
        return self._only.get(medium)

    def limits_of(self, transport: str) -> Limits:
        """How large a picture may be that goes to the carrier of this transport."""
        return self._limits.get(transport, UNLIMITED)

    def matching(
        self, medium: Medium, *, country: str, recipient: str, sender: str, account: str
    ) -> list[RouteOptions]:
        """Routes that fit, in the order in which they are tried; equal priorities are drawn by weight."""
        fit = [
            route
            for route in self.routes
            if route.medium == medium
            and (not route.country or route.country.upper() == country)
            and recipient.startswith(route.prefix)
            and (not route.sender or route.sender == sender)
            and (not route.account or route.account.lower() == account)
        ]
        if len(fit) < 2:
            return fit
        return sorted(fit, key=lambda route: (route.priority, -(random.random() ** (1 / route.weight))))  # noqa: S311

    def choose(
        self, medium: Medium, *, country: str, recipient: str, sender: str, account: str, attempt: int = 1
    ) -> Transport | None:
        """The transport of a message: the first fitting one that is ready, a later try the next of them."""
        fit = self.matching(medium, country=country, recipient=recipient, sender=sender, account=account)
        if not fit:
            return None
        ready = [route for route in fit if self.transports[route.transport].ready] or fit
        return self.transports[ready[(attempt - 1) % len(ready)].transport]


def _only(routes: Sequence[RouteOptions], medium: Medium) -> str | None:
    first, *others = [route for route in routes if route.medium == medium]
    picks = first.country or first.prefix or first.sender or first.account
    return None if others or picks else first.transport
