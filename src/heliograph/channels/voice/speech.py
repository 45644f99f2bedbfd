"""Speech for calls, seen from the server: each text is spoken once, in a process of its own (speaker.py), and kept."""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import wave
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path

import msgspec
import structlog

from heliograph.channels.voice.resample import RATE
from heliograph.channels.voice.speaker import Task
from heliograph.settings import Settings

LONGEST = 300.0
"""Seconds of speech that a text can make; what is beyond is not said."""

PACKAGE = "espeakng-loader"
LOOK = 100
"""Texts after which the folder of what was spoken is looked through for what has to go."""

log = structlog.get_logger(__name__)


class Text(msgspec.Struct, frozen=True):
    """What is said: harmless markup (ssml.py), a language and a voice of languages.py."""

    markup: str
    lang: str
    voice: str


class Failure(Exception):
    """A text could not be spoken, told to the customer. `final`: it never can be; `why` is for the operator."""

    def __init__(self, told: str, *, final: bool, why: str = "") -> None:
        super().__init__(told)
        self.final = final
        self.why = why or told


class Speaker:
    """Speaks texts, a few at a time, and keeps the newest in a folder. Sound is 16-bit samples of 8000 Hz."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.data / "speech"
        self._program = settings.voice_engine
        self._models = str(Path(settings.piper_voices).absolute()) if settings.piper_voices else ""
        self._engine = f"{self._program} {engine_version(self._program)} {self._models}"
        self._room = asyncio.Semaphore(settings.conversions)
        self._speaking: dict[str, asyncio.Task[bytes]] = {}
        self._spoken = 0

    async def sound(self, text: Text) -> bytes:
        """The sound of a text. It is spoken once, however many ask for it. Raises Failure."""
        name = hashlib.sha256("\0".join((self._engine, text.lang, text.voice, text.markup)).encode()).hexdigest()
        if name not in self._speaking:
            self._speaking[name] = asyncio.create_task(self._kept(name, text))
            self._speaking[name].add_done_callback(lambda _: self._speaking.pop(name, None))
        return await asyncio.shield(self._speaking[name])

    async def _kept(self, name: str, text: Text) -> bytes:
        path = self._folder / name
        try:
            return await asyncio.to_thread(_read, path)
        except FileNotFoundError:
            pass
        async with self._room:
            sound = await asyncio.to_thread(self.speak, text)
        self._spoken += 1
        await asyncio.to_thread(self._keep, path, sound, look=self._spoken % LOOK == 1)
        return sound

    def speak(self, text: Text) -> bytes:
        """Run the speaker, which blocks. Raises Failure."""
        patience = self._settings.convert_seconds
        task = Task(text.markup, text.lang, text.voice, self._program, self._models, LONGEST, patience)
        command = [sys.executable, "-I", "-m", "heliograph.channels.voice.speaker"]
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(  # noqa: S603
                command, input=msgspec.json.encode(task), capture_output=True, timeout=patience, env=environment
            )
        except subprocess.TimeoutExpired:
            raise Failure("The text takes too long to be spoken.", final=True) from None
        except OSError as problem:
            raise Failure(f"The speech engine cannot be started: {problem.strerror}", final=False) from None
        if done.returncode:
            why = done.stderr.decode("utf-8", "replace").strip()[-500:]
            log.error("speech.failed", status=done.returncode, why=why)
            raise Failure("The speech engine failed at this text.", final=done.returncode < 0, why=why)
        if not any(done.stdout):
            raise Failure("The text has nothing that can be spoken.", final=True)
        return done.stdout

    def _keep(self, path: Path, sound: bytes, *, look: bool) -> None:
        """Keep a sound. A full disk is no reason not to call: the text is then spoken again the next time."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as part:
                part.write(sound)
            os.replace(part.name, path)
            if look:
                self._forget()
        except OSError as problem:
            log.warning("speech.not_kept", why=str(problem))

    def _forget(self) -> None:
        """Remove what was not asked for longest, beyond the bytes that may be kept."""
        found = sorted(
            ((entry.stat(), entry.path) for entry in os.scandir(self._folder)), key=lambda one: one[0].st_mtime
        )
        over = sum(facts.st_size for facts, _ in found) - self._settings.speech_kept * 2**20
        for facts, path in found:
            if over <= 0:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            over -= facts.st_size


def _read(path: Path) -> bytes:
    sound = path.read_bytes()
    os.utime(path)
    return sound


def engine_version(program: str) -> str:
    """The version of the package's engine; "" for a program, and where the package is missing."""
    try:
        return "" if program else version(PACKAGE)
    except PackageNotFoundError:
        return ""


def as_wav(sound: bytes) -> bytes:
    """A sound as a WAV file."""
    made = BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(sound)
    return made.getvalue()
