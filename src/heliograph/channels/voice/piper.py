"""The engine Piper, for operators who bring its voices: `pip install heliograph[piper]`, and a folder of models.

Piper knows no SSML: pauses, substitutions and paragraphs are kept, everything else of the markup is not heard.
"""

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

from heliograph.channels.voice.engines import Engine, EngineError

PAUSES = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.8, "x-strong": 1.2}
"""Seconds of a break by its strength."""


class Piper:
    """Speaks the languages that there are models for; `other` speaks the rest."""

    def __init__(self, folder: Path, other: Engine) -> None:
        self._folder = folder
        self._other = other

    def speak(self, markup: str, lang: str, voice: str, seconds: float) -> "tuple[array[int], int]":
        """Speak by the model of this language and voice, or of this language. Raises EngineError."""
        model = next(
            (path for name in (f"{lang}-{voice}", lang) if (path := self._folder / f"{name}.onnx").is_file()), None
        )
        if model is None:
            return self._other.speak(markup, lang, voice, seconds)
        try:
            from piper import PiperVoice
        except ImportError:
            raise EngineError("The package piper-tts is not installed.") from None
        speaker = PiperVoice.load(str(model))
        made, rate = array("h"), int(speaker.config.sample_rate)
        for piece in pieces(markup):
            if isinstance(piece, float):
                made.extend([0] * int(piece * rate))
                continue
            for chunk in speaker.synthesize(piece):
                made.frombytes(chunk.audio_int16_bytes)
            if len(made) >= seconds * rate:
                break
        return made[: int(seconds * rate)], rate


def pieces(markup: str) -> list[str | float]:
    """The texts of some markup (ssml.py), and the seconds of silence between them."""
    found: list[str | float] = []
    silent: list[bool] = []

    def add(text: str) -> None:
        if found and isinstance(found[-1], str):
            found[-1] += text
        else:
            found.append(text)

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name == "break":
            time = attributes.get("time", "")
            found.append(
                float(time.removesuffix("ms")) / 1000 if time else PAUSES[attributes.get("strength", "medium")]
            )
        elif name == "sub" and "alias" in attributes:
            add(attributes["alias"])
        elif name in ("p", "s"):
            add("\n")
        silent.append(name == "sub" and "alias" in attributes)

    def text(data: str) -> None:
        if not any(silent):
            add(data)

    def end(name: str) -> None:
        silent.pop()
        if name in ("p", "s"):
            add("\n")

    parser: Any = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.Parse(markup.encode(), True)
    return [piece for piece in found if isinstance(piece, float) or piece.strip()]
