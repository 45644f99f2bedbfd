"""The SIP transport against a phone on loopback: every way in which a call can end, and what a bad phone does."""

from collections.abc import Callable
from typing import Any

import msgspec

from heliograph.settings import SipOptions
from heliograph.transports.base import MessageKey, Outgoing, Spoken
from heliograph.transports.sandbox.phone.phone import Address, Dialog, Phone
from heliograph.transports.sip import message
from heliograph.transports.sip.message import Message
from heliograph.transports.sip.transport import SipTransport
from transports.conformance import Conformance, Fate, Peer
from transports.ports import free_port

TONE = b"\x00\x10\x00\xf0" * 1000
"""A quarter of a second of sound."""

NUMBERS = {"taken": "+61491570006", "refused": "+61491999004", "put off": "+61491999001", "cut": "+61491888001"}


def call(number: str = "+61491570006", sound: bytes = TONE, key: str = "M", **more: Any) -> Outgoing:
    flags = {name: more.pop(name) for name in ("keys", "machines") if name in more}
    return Outgoing(MessageKey(1, "voice", key), "", number, Spoken(sound, **flags), 0, **more)


class OddPhone(Phone):
    """A phone that does to a call what a test says, by its number. `requests` has the methods that it got."""

    def __init__(self) -> None:
        super().__init__(None)
        self.odd: dict[str, Callable[[Dialog], None]] = {}
        self.requests: list[Message] = []
        self.answers: list[int] = []
        self.picked_up = 0

    def datagram_received(self, data: bytes, addr: Address) -> None:
        request = message.decode(data)
        if request is not None:
            (self.answers.append(request.status) if request.status else self.requests.append(request))
        super().datagram_received(data, addr)

    async def _take(self, dialog: Dialog) -> None:
        await super()._take(dialog)
        self.picked_up += dialog.line is not None
        odd = self.odd.get(dialog.called)
        if odd is not None and dialog.line is not None:
            odd(dialog)

    def ask(self, dialog: Dialog, method: str, number: int, *headers: tuple[str, str], body: bytes = b"") -> None:
        """Send a request within a call."""
        invite = dialog.invite
        target = invite.get("contact").strip("<>")
        mine = f"127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"
        usual = [
            ("via", f"SIP/2.0/UDP {mine};branch=z9hG4bK{number}{dialog.tag}"),
            ("max-forwards", "70"),
            ("from", f"{invite.get('to')};tag={dialog.tag}"),
            ("to", invite.get("from")),
            ("call-id", invite.get("call-id")),
            ("cseq", f"{number} {method}"),
            ("contact", f"<sip:phone@{mine}>"),
        ]
        self._send(Message(f"{method} {target} SIP/2.0", [*usual, *headers], body), dialog.peer)


def vanish(dialog: Dialog) -> None:
    """The battery is empty: no sound any more, and no word."""
    assert dialog.line is not None
    dialog.line.tick = lambda: None  # type: ignore[method-assign]
    dialog.line.play(b"")


OPTIONS = SipOptions("127.0.0.1", ring=4.0, pause=1.0, rtp_timeout=1, ping=0.5, calls=20, key_wait=1.0, key_silence=0.4)


class PhonePeer(Peer):
    """The phone as the conformance suite wants it: what it does to a call is told by the number."""

    def __init__(self) -> None:
        self._port = free_port()
        self._taken = 0
        self.phone: OddPhone | None = None

    async def start(self) -> None:
        self.phone = OddPhone()
        self.phone.odd[NUMBERS["cut"]] = vanish
        await self.phone.start(self._port)

    async def stop(self) -> None:
        if self.phone is not None:
            self._taken = self.taken
            await self.phone.stop()
            self.phone = None

    def transport(self) -> SipTransport:
        return SipTransport("trunk", msgspec.structs.replace(OPTIONS, port=self._port))

    def message(self, fate: Fate, number: int) -> Outgoing:
        return call(NUMBERS[fate], TONE * 8 if fate == "cut" else TONE, f"MESSAGE-{number}")

    @property
    def taken(self) -> int:
        """Calls that were picked up."""
        now = 0 if self.phone is None else self.phone.picked_up
        return self._taken + now


class TestConformance(Conformance):
    ids = False

    def peer(self) -> Peer:
        return PhonePeer()
