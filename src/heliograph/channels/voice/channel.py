"""What is particular to voice: reading a message out of a request, parts, languages, and the speech for a call."""

from collections.abc import Callable, Sequence

import msgspec

from heliograph import phone
from heliograph.accounts.account import Principal
from heliograph.accounts.countries import selection
from heliograph.channels.sms.segments import is_gsm
from heliograph.channels.telephone import NO_COUNTRY, recipient
from heliograph.channels.voice import languages, ssml
from heliograph.channels.voice.shapes import SHEET, VoiceMessage
from heliograph.channels.voice.speech import Failure, Speaker, Text
from heliograph.contacts import audience
from heliograph.contacts.audience import Member
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.media import Medium
from heliograph.messaging import dates, inbound
from heliograph.messaging.channel import Charge, Draft, Order, Words
from heliograph.messaging.rows import Message
from heliograph.phone import Phone
from heliograph.settings import Settings
from heliograph.transports.base import Failed, Inbound, Limits, Retry, Spoken

NAME = "voice"
MOST_PARTS = 4
GSM_PART, UNICODE_PART = 300, 150
"""Characters of a part, and parts that a message can have. Source: api-v3, "Send Voice Message"."""

GSM, UNICODE = "gsm", "unicode"
"""`messages.encoding`: what decides on the length of a part."""


class Voice:
    """The voice channel. It makes drafts, and has their texts spoken; it knows nothing of the database."""

    name = NAME
    medium: Medium = "voice"
    words = Words(
        sent="Call handed to the carrier",
        taken="Call completed",
        delivered="Success: Message received on handset.",
        undelivered="the carrier could not complete the call",
    )
    sheet = SHEET
    receipt_rules = "voice-receipts"
    inbound_rules = ""
    counted_as = "voice"
    unconfirmed = False
    lasting = True

    def __init__(self, settings: Settings) -> None:
        self.validity: float | None = settings.voice_validity_hours * 3600.0
        self.speaker = Speaker(settings)
        self._home_only = settings.countries == "home"
        self._premium = settings.voice_premium == "allow"

    def draft(self, who: Principal, given: VoiceMessage, now: float) -> Draft:
        """What a request asks for, or the first reason to refuse it. Recipient before sender (facts B)."""
        draft = Draft(
            recipient=given.to or "",
            sender=given.from_ or "",
            body=given.body or "",
            custom_string=given.custom_string or "",
            source=given.source or "",
        )
        draft.details = {
            "require_input": int(bool(given.require_input)),
            "machine_detection": int(bool(given.machine_detection)),
        }
        draft.refusal = self._refusal(draft, who, given, now)
        return draft

    def _refusal(self, draft: Draft, who: Principal, given: VoiceMessage, now: float) -> str | None:
        """Fill the draft in; the first reason to refuse it."""
        if given.list_id is not None and not given.to:
            # It stands for the whole list until channels/audience.py has found it in the account.
            return Status.NOT_ENOUGH_PERMISSION_TO_LIST_ID
        if not given.to:
            return Status.MISSING_REQUIRED_FIELDS
        number = recipient(given, who)
        line = phone.line(number) if number else None
        if number is None or line is None or number.country == NO_COUNTRY:
            return Status.INVALID_RECIPIENT
        draft.recipient, draft.country, draft.carrier = number.number, number.country, phone.carrier(number)
        if line == "premium":
            if not self._premium:
                return Status.INVALID_RECIPIENT
            line = "landline"
        refusal = _sender(draft, who) or _voice(draft, given, line)
        if refusal:
            return refusal
        if not selection.allows(who, draft.country, self._home_only):
            draft.units = 0
            return Status.COUNTRY_NOT_ENABLED
        if not _measure(draft):
            return Status.EMPTY_MESSAGE
        schedule = dates.scheduled(given.schedule, now)
        if schedule is None:
            return Status.INVALID_SCHEDULE
        draft.schedule = schedule
        _charge(draft, number, line)
        return None

    def personal(self, given: VoiceMessage) -> Callable[[Member], VoiceMessage]:
        """A message to a list, addressed to the phone number of one contact."""
        write = audience.personal(given.body or "")

        def address(member: Member) -> VoiceMessage:
            return msgspec.structs.replace(given, list_id=None, to=member["phone_number"] or "", body=write(member))

        return address

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        """Nothing is left to refuse: an account's numbers are known with it."""

    async def contents(self, messages: Sequence[Message], limits: Limits) -> Sequence[Spoken | Retry | Failed]:
        """The speech of each message, and how its call is held."""
        return [await self._content(row) for row in messages]

    async def _content(self, row: Message) -> Spoken | Retry | Failed:
        known = row.known()
        try:
            sound = await self.speaker.sound(text_of(row))
        except Failure as problem:
            return Failed(None, str(problem)) if problem.final else Retry(30.0, str(problem))
        return Spoken(sound, bool(known["require_input"]), bool(known["machine_detection"]))

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> Message | None:
        """The newest call from the number that was called, to the number that calls."""
        return inbound.by_number(tx, arrived, holder)


def text_of(row: Message) -> Text:
    """What is said on the call of a message, and by whom."""
    known = row.known()
    limit = MOST_PARTS * (GSM_PART if row.encoding == GSM else UNICODE_PART)
    speech = ssml.read(row.body, limit)
    return Text(speech.markup if speech else ssml.written(row.body), known["lang"], known["voice"])


def _sender(draft: Draft, who: Principal) -> str | None:
    """The number that calls must be one of the account's; without one, the carrier's is shown."""
    given = draft.sender.strip()
    if not given:
        draft.sender = ""
        return None
    number = phone.parse(given, who.country)
    if number is None or number.number not in who.numbers:
        return Status.INVALID_SENDER_ID
    draft.sender = number.number
    return None


def _voice(draft: Draft, given: VoiceMessage, line: str) -> str | None:
    """Language and voice: those asked for, or the usual ones."""
    assert draft.details is not None
    code = (given.lang or "").strip().lower() or languages.near(draft.country)
    language = languages.LANGUAGES.get(code)
    if language is None:
        return Status.INVALID_LANG
    voice = (given.voice or "").strip().lower() or language.voices[0]
    if voice not in language.voices:
        return Status.INVALID_VOICE
    draft.details |= {"lang": code, "voice": voice, "to_type": line}
    return None


def _measure(draft: Draft) -> bool:
    """Cut the body to the parts that there can be, and count them; False: nothing is left to be spoken.

    Of a body with markup only what is spoken counts. The alphabet is that of the whole text, also when the only
    character that asked for Unicode is cut off.
    """
    unlimited = ssml.read(draft.body, len(draft.body))
    spoken = unlimited.text if unlimited else draft.body
    if not spoken.strip():
        return False
    draft.encoding = GSM if is_gsm(spoken) else UNICODE
    size = GSM_PART if draft.encoding == GSM else UNICODE_PART
    limit = MOST_PARTS * size
    if len(spoken) > limit:
        cut = ssml.read(draft.body, limit)
        draft.body = cut.markup if cut else draft.body[:limit]
        spoken = spoken[:limit]
    draft.units = -(-len(spoken) // size)
    return bool(spoken.strip())


def _charge(draft: Draft, number: Phone, line: str) -> None:
    draft.charges = (Charge(line, draft.units),)
    if phone.is_test(number.number):
        draft.free, draft.units, draft.awaits = True, 0, 0
