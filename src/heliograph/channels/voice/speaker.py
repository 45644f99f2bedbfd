"""The process that speaks: it has limits, no network and no files but libraries and voices.

Started by speech.py as `python -m heliograph.channels.voice.speaker`, one for each text. It reads a task from stdin and
writes 16-bit samples of 8000 Hz to stdout, or a sentence to stderr.
"""

import shutil
import sys
from pathlib import Path

import msgspec

from heliograph.channels.voice.engines import Engine, EngineError, EspeakLibrary, EspeakProgram
from heliograph.channels.voice.piper import Piper
from heliograph.channels.voice.resample import to_telephone
from heliograph.files import confine

MEMORY, MEMORY_OF_MODELS = 1024 * 2**20, 8192 * 2**20
"""Bytes of address space, and where a model has to be loaded; most of that is only reserved."""


class Task(msgspec.Struct):
    """What to say. `program` is an espeak-ng, "" the package's; `models` a folder for Piper, "" for none.

    The sound has `longest` seconds at most, the work `patience`.
    """

    markup: str
    lang: str
    voice: str
    program: str
    models: str
    longest: float
    patience: int


def main() -> None:
    """Speak what stdin says."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    program = shutil.which(task.program) if task.program else ""
    confine.limit(MEMORY_OF_MODELS if task.models else MEMORY, task.patience)
    confine.leave_network()
    confine.leave_files(Path("no-folder"), filter(None, (program, task.models)))
    try:
        if program is None:
            raise EngineError(f"There is no program {task.program!r}.")
        engine: Engine = EspeakProgram(program) if program else EspeakLibrary()
        if task.models:
            engine = Piper(Path(task.models), engine)
        samples, rate = engine.speak(task.markup, task.lang, task.voice, task.longest)
    except EngineError as problem:
        sys.exit(str(problem))
    made = to_telephone(samples, rate)
    if sys.byteorder == "big":
        made.byteswap()
    sys.stdout.buffer.write(made.tobytes())


if __name__ == "__main__":
    main()
