"""Speech engines. They run in the speaker's process only: eSpeak NG is under the GPL, and a hostile text may end it."""

import ctypes
import io
import subprocess
import wave
from array import array
from collections.abc import Mapping
from importlib import util
from pathlib import Path
from typing import Any, Protocol

VOICES: Mapping[str, str] = {
    "en-us": "en-us",
    "en-au": "en-gb-x-rp",
    "en-gb": "en",
    "en-in": "en",
    "en-gb-wls": "en",
    "cy-gb-wls": "cy",
    "de-de": "de",
    "es-es": "es",
    "es-us": "es-419",
    "fr-ca": "fr",
    "fr-fr": "fr",
    "is-is": "is",
    "it-it": "it",
    "da-dk": "da",
    "nl-nl": "nl",
    "nb-no": "nb",
    "pl-pl": "pl",
    "pt-pt": "pt",
    "pt-br": "pt-br",
    "ro-ro": "ro",
    "ru-ru": "ru",
    "sv-se": "sv",
    "tr-tr": "tr",
}
"""Language -> voice of eSpeak NG, the nearest one where it has none (en-au, en-in, en-gb-wls, fr-ca)."""

VARIANTS = {"female": "+f3", "male": "+m3"}

RATE = 22_050
"""Samples a second of eSpeak NG."""

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_UTF8, _SSML = 1, 0x10
"""espeak_AUDIO_OUTPUT and flags of espeak_Synth (speak_lib.h)."""

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EngineError(Exception):
    """The engine cannot speak. The text says why."""


class Engine(Protocol):
    """What turns harmless markup (ssml.py) into sound."""

    def speak(self, markup: str, lang: str, voice: str, seconds: float) -> "tuple[array[int], int]":
        """16-bit samples, `seconds` of them at most, and how many there are a second. Raises EngineError."""
        ...


class EspeakLibrary:
    """The eSpeak NG 1.52 of the wheel `espeakng-loader`, which has all its voices."""

    def __init__(self) -> None:
        place = home()
        if place is None:
            raise EngineError("The package espeakng-loader is not installed.")
        try:
            self._library: Any = ctypes.CDLL(str(next(place.glob("libespeak-ng.*"))))
        except (OSError, StopIteration) as problem:
            raise EngineError(f"eSpeak NG cannot be loaded: {problem}.") from None
        data = str(place / "espeak-ng-data").encode()
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT) != RATE:
            raise EngineError("eSpeak NG does not find its data.")

    def speak(self, markup: str, lang: str, voice: str, seconds: float) -> "tuple[array[int], int]":
        """Speak into memory."""
        library, made, most = self._library, array("h"), int(seconds * RATE)

        def take(samples: Any, count: int, _: Any) -> int:
            if samples and count > 0:
                made.frombytes(ctypes.string_at(samples, 2 * min(count, most - len(made))))
            return int(len(made) >= most)

        taking = _CALLBACK(take)
        library.espeak_SetSynthCallback(taking)
        if library.espeak_SetVoiceByName((VOICES[lang] + VARIANTS[voice]).encode()):
            raise EngineError(f"eSpeak NG has no voice for {lang}.")
        text = markup.encode()
        if library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8 | _SSML, None, None):
            raise EngineError("eSpeak NG could not speak the text.")
        library.espeak_Synchronize()
        return made, RATE


class EspeakProgram:
    """An eSpeak NG of the machine, as a program."""

    def __init__(self, program: str) -> None:
        self._program = program

    def speak(self, markup: str, lang: str, voice: str, seconds: float) -> "tuple[array[int], int]":
        """Have the program speak into a pipe."""
        # "[[" would begin a phonetic text.
        text = markup.replace("[[", "[ [").encode()
        command = [self._program, "-m", "-b", "1", "-v", VOICES[lang] + VARIANTS[voice], "--stdin", "--stdout"]
        try:
            done = subprocess.run(command, input=text, capture_output=True, check=False)  # noqa: S603
        except OSError as problem:
            raise EngineError(f"{self._program}: {problem.strerror}.") from None
        if done.returncode or not done.stdout:
            raise EngineError(f"{self._program} ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')}")
        return _samples(done.stdout, seconds)


def _samples(sound: bytes, seconds: float) -> "tuple[array[int], int]":
    """The samples of a WAV file of one channel, whose length in the header a pipe has left open."""
    with wave.open(io.BytesIO(sound)) as file:
        rate = file.getframerate()
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise EngineError("The engine does not speak in 16 bits and one channel.")
    start = sound.index(b"data") + 8
    whole = sound[start : start + 2 * int(seconds * rate)]
    return array("h", whole[: len(whole) // 2 * 2]), rate


def home() -> Path | None:
    """The folder of the wheel with eSpeak NG; None: it is not installed. Nothing of it is imported or loaded."""
    found = util.find_spec("espeakng_loader")
    return Path(found.origin).parent if found and found.origin else None
