"""The Voice section (endpoints 169 to 176)."""

from functools import partial
from typing import Annotated

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.api import sending_and_pricing
from heliograph.channels.voice import shapes
from heliograph.channels.voice.channel import NAME, Voice, text_of
from heliograph.channels.voice.languages import LANGUAGES
from heliograph.channels.voice.shapes import SendVoice, SendVoiceAnswer, VoiceLanguage, VoiceReceipt
from heliograph.channels.voice.speech import Failure, as_wav
from heliograph.db.engine import Tx
from heliograph.errors import NotFound, Status, Unavailable
from heliograph.fields import about
from heliograph.files import store as files
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.messaging import api, message
from heliograph.messaging.channel import Accepted
from heliograph.messaging.rows import Message


class Audio(msgspec.Struct):
    """`data` of the audio of a message."""

    url: Annotated[str, about("Where the WAV file can be downloaded for a day, without credentials.")]


def _sent(req: Request, fates: list[Accepted]) -> Reply:
    """Send voice messages. Each has a status of its own, and only those that are accepted are charged."""
    return _answer(req, fates, quote=False)


def _priced(req: Request, fates: list[Accepted]) -> Reply:
    """See what voice messages would cost."""
    return _answer(req, fates, quote=True)


def _answer(req: Request, fates: list[Accepted], *, quote: bool) -> Reply:
    good = [fate for fate in fates if fate.status == Status.SUCCESS]
    render = partial(shapes.entry, quote=quote, user_id=req.who.user_id, subaccount_id=req.who.subaccount_id)
    return Reply(
        SendVoiceAnswer(
            total_price=prices.number(sum(fate.price_micros for fate in good)),
            total_count=len(fates),
            queued_count=len(good),
            messages=[render(fate) for fate in fates],
            currency=currencies.describe(req.who.currency),
        )
    )


send, price = sending_and_pricing(NAME, SendVoice, SendVoiceAnswer, _sent, _priced, most=shapes.MOST_MESSAGES)
view_history = api.viewing(NAME, shapes.SHEET, "Here is your history.")
export_history = api.exporting(NAME)
cancel, cancel_all = api.cancelling(NAME, "Voice have been cancelled.", "{count} messages have been cancelled.")
receipts = api.receipts(NAME, VoiceReceipt, VoiceReceipt, shapes.SampleVoiceReceipt)


@endpoint("Here are the possible languages.", list[VoiceLanguage])
def view_languages(req: Request) -> Reply:
    """View the languages, and the voices that each has."""
    return Reply([VoiceLanguage(code, one.name, list(one.voices)) for code, one in LANGUAGES.items()])


@endpoint("Download your file here.", Audio)
async def make_audio(req: Request) -> Reply:
    """Listen to what is said on the call of a message. An addition to the contract."""
    user_id, services = req.who.user_id, req.services
    key = req.params["message_id"].upper()
    row = await services.database.read(lambda tx: _message(tx, user_id, key))
    channel = services.channels[NAME]
    assert isinstance(channel, Voice)
    try:
        sound = as_wav(await channel.speaker.sound(text_of(row)))
    except Failure as problem:
        if problem.final:
            raise NotFound(str(problem)) from None
        raise Unavailable(str(problem), headers={"Retry-After": "10"}) from None
    name = f"{key}.wav"
    file_id = await files.save(
        services.database,
        services.files,
        sound,
        lambda tx: files.create(tx, user_id, name, "audio/wav", files.EXPORT_LIFE, size=len(sound)),
    )
    return Reply(Audio(f"{req.base_url}/files/{file_id}?filename={name}"))


def _message(tx: Tx, user_id: int, key: str) -> Message:
    """A voice message of the account. Raises NotFound."""
    row = message.find(tx, user_id, key)
    if row is None or row.channel != NAME:
        raise NotFound(api.NO_RECORD)
    return row
