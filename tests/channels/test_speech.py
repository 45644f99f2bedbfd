"""Speech by the engines: every language, hostile texts, what is kept, and engines that fail."""

import asyncio
import contextlib
import math
import os
import stat
import sys
import types
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from heliograph.channels.voice import speech, ssml
from heliograph.channels.voice.engines import EngineError, EspeakLibrary, EspeakProgram
from heliograph.channels.voice.languages import LANGUAGES
from heliograph.channels.voice.piper import Piper, pieces
from heliograph.channels.voice.resample import RATE, to_telephone
from heliograph.channels.voice.speech import Failure, Speaker, Text
from heliograph.settings import Settings
from support import installed


def speaker(data: Path, **options: Any) -> Speaker:
    return Speaker(Settings(data=data, **options))


def said(maker: Speaker, markup: str, lang: str = "en-us", voice: str = "female") -> bytes:
    return asyncio.run(maker.sound(Text(markup, lang, voice)))


def test_every_language_and_voice_is_spoken() -> None:
    """In this process, which the program never does: 46 processes would take longer than the speaking."""
    pytest.importorskip("espeakng_loader")
    engine = EspeakLibrary()
    made = {}
    for lang, language in LANGUAGES.items():
        for voice in language.voices:
            samples, rate = engine.speak(ssml.written("Hello, one two three."), lang, voice, 60.0)
            assert rate == 22_050
            assert 0.5 < len(samples) / rate < 5
            assert max(map(abs, samples)) > 3000
            made[lang, voice] = samples
    assert made["en-us", "female"] != made["en-us", "male"]
    assert made["de-de", "male"] != made["en-us", "male"]
    cut, _ = engine.speak(ssml.written("word " * 100), "en-us", "male", 1.0)
    assert len(cut) == 22_050


def test_markup_has_its_effect_and_a_comma_is_a_pause() -> None:
    pytest.importorskip("espeakng_loader")
    engine = EspeakLibrary()

    def length(body: str) -> float:
        found = ssml.read(body, 1200)
        samples, rate = engine.speak(found.markup if found else ssml.written(body), "en-us", "female", 60.0)
        return len(samples) / rate

    plain = length("one two three four")
    assert length("one two <break time='2s'/> three four") - plain == pytest.approx(2.0, abs=0.4)
    assert length("<prosody rate='50%'>one two three four</prosody>") > 1.3 * plain
    assert length("one, two, three, four") > plain + 0.2
    assert length("<sub alias='supercalifragilistic'>a</sub>") > length("a") + 0.3
    assert length("one two three four") == pytest.approx(plain, abs=0.01), "nothing stays of the text before"


@pytest.mark.parametrize("program", ["", "espeak-ng"])
def test_a_text_is_spoken_once_and_kept_for_its_owner_only(tmp_path: Path, program: str) -> None:
    if program:
        installed.program(program)
    first = speaker(tmp_path, voice_engine=program)
    sound = said(first, ssml.written("Hello there"))
    assert 0.4 < len(sound) / 16000 < 3
    (kept,) = (tmp_path / "speech").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) & 0o077 == 0
    kept.write_bytes(b"\1\0" * 100)
    assert said(speaker(tmp_path, voice_engine=program), ssml.written("Hello there")) == b"\1\0" * 100
    assert said(first, ssml.written("Hello there"), voice="male") != sound


def test_many_who_ask_at_once_wait_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = []

    def speak(self: Speaker, text: Text) -> bytes:
        spoken.append(text)
        return b"\1\0"

    monkeypatch.setattr(Speaker, "speak", speak)

    async def scenario() -> None:
        maker = speaker(tmp_path)
        assert await asyncio.gather(*(maker.sound(Text("x", "en-us", "male")) for _ in range(20))) == [b"\1\0"] * 20

    asyncio.run(scenario())
    assert len(spoken) == 1


def test_what_was_not_asked_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speaker, "speak", lambda self, text: os.urandom(400_000))
    monkeypatch.setattr(speech, "LOOK", 1)
    maker = speaker(tmp_path, speech_kept=1)
    monkeypatch.setattr(maker, "_spoken", 0)
    for number in range(5):
        said(maker, str(number))
        for age, path in enumerate(sorted((tmp_path / "speech").iterdir(), key=lambda one: one.stat().st_mtime)):
            os.utime(path, (1000 + age, 1000 + age))
    maker._forget()
    assert sum(path.stat().st_size for path in (tmp_path / "speech").iterdir()) <= 2**20


@pytest.mark.parametrize("markup", ["<speak></speak>", "<speak> \n</speak>", "<speak><break time='500ms'/></speak>"])
def test_what_makes_no_sound_fails_for_good(tmp_path: Path, markup: str) -> None:
    with pytest.raises(Failure, match="nothing that can be spoken") as failure:
        said(speaker(tmp_path), markup)
    assert failure.value.final


def test_an_engine_that_is_missing_fails_for_now(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        said(speaker(tmp_path, voice_engine="no-such-program"), ssml.written("Hello"))
    assert not failure.value.final
    assert "no-such-program" in failure.value.why


def test_a_file_that_a_text_names_is_not_read(tmp_path: Path) -> None:
    """Even if markup of this kind reached the process: its walls keep it from other files and programs."""
    victim = tmp_path / "ran"
    hostile = f'<speak>Hi<audio src="x.wav; touch {victim}"/></speak>'
    with contextlib.suppress(Failure):
        said(speaker(tmp_path), hostile)
    assert not victim.exists()


def test_a_program_gets_no_phonetic_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "espeak"
    fake.write_text(f"#!/bin/sh\ncat > {tmp_path}/heard\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(Exception, match="ended with 3"):
        EspeakProgram(str(fake)).speak("<speak>[[h@l'oU]]</speak>", "en-us", "male", 1.0)
    assert (tmp_path / "heard").read_text() == "<speak>[ [h@l'oU]]</speak>"


def test_resampling_keeps_what_a_telephone_carries_and_folds_nothing_over() -> None:
    def level(frequency: float) -> float:
        tone = [round(10_000 * math.sin(2 * math.pi * frequency * at / 22_050)) for at in range(22_050)]
        made = to_telephone(tone, 22_050)
        assert abs(len(made) - RATE) <= 1
        return max(map(abs, made[1000:-1000])) / 10_000

    assert level(300) == pytest.approx(1, abs=0.02)
    assert level(3000) == pytest.approx(1, abs=0.1)
    assert level(5000) < 0.01
    assert level(9000) < 0.01
    assert to_telephone(array("h", [1, 2, 3]), RATE).tolist() == [1, 2, 3]
    assert len(to_telephone([], 22_050)) == 0


def test_piper_speaks_what_it_has_a_model_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FakeVoice:
        config = types.SimpleNamespace(sample_rate=22_050)
        loaded: ClassVar[list[str]] = []

        @classmethod
        def load(cls, model: str) -> "FakeVoice":
            cls.loaded.append(Path(model).name)
            return cls()

        def synthesize(self, text: str) -> Iterator[Any]:
            yield types.SimpleNamespace(audio_int16_bytes=b"\1\0" * 100 * len(text.split()))

    class Other:
        def speak(self, markup: str, lang: str, voice: str, seconds: float) -> Any:
            return array("h", [7]), 8000

    monkeypatch.setitem(sys.modules, "piper", types.SimpleNamespace(PiperVoice=FakeVoice))
    for name in ("en-us", "de-de-male"):
        (tmp_path / f"{name}.onnx").touch()
    engine = Piper(tmp_path, Other())
    markup = '<speak>one two<break time="1000ms"/><sub alias="three four">x</sub></speak>'
    samples, rate = engine.speak(markup, "en-us", "female", 60.0)
    assert (len(samples), rate, samples[200:22_250].count(0)) == (400 + 22_050, 22_050, 22_050)
    assert len(engine.speak(markup, "de-de", "male", 0.5)[0]) == 11_025
    assert engine.speak(markup, "de-de", "female", 60.0) == (array("h", [7]), 8000)
    assert FakeVoice.loaded == ["en-us.onnx", "de-de-male.onnx"]
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(EngineError, match="piper-tts is not installed"):
        engine.speak(markup, "en-us", "male", 60.0)


def test_what_piper_hears_of_markup() -> None:
    markup = '<speak><p>a <emphasis>b</emphasis></p><break strength="weak"/><break/> c</speak>'
    assert pieces(markup) == ["\na b\n", 0.25, 0.5, " c"]
