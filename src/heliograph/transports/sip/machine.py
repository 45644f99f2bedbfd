"""Telling an answering machine from a human by loudness and time alone, as Asterisk's app_amd does. Pure."""

from typing import Literal

from heliograph.transports.sip.options import SipOptions

Verdict = Literal["human", "machine", "unsure"]


class Detector:
    """Hears a call from the answer on, a frame at a time, until it has a verdict."""

    def __init__(self, options: SipOptions) -> None:
        self._options = options
        self._total = self._voiced = self._silent = self._word = 0.0
        self._words = 0

    def hear(self, level: float, seconds: float) -> Verdict | None:
        """The verdict after a frame of this mean level; None: not yet."""
        options = self._options
        self._total += seconds
        if level >= options.machine_threshold:
            self._voice(seconds)
        else:
            self._silent += seconds
            if self._silent >= options.machine_between_words:
                self._word = 0.0
        if self._voiced >= options.machine_greeting or self._words > options.machine_words:
            return "machine"
        if self._silent >= (options.machine_after_greeting if self._words else options.machine_initial_silence):
            return "human"
        return "unsure" if self._total >= options.machine_total else None

    def _voice(self, seconds: float) -> None:
        before = self._word
        self._word += seconds
        self._voiced += seconds
        self._silent = 0.0
        if before < self._options.machine_word <= self._word:
            self._words += 1


class Ending:
    """Hears a machine's greeting until it is over."""

    def __init__(self, options: SipOptions) -> None:
        self._options = options
        self._silent = self._total = 0.0

    def hear(self, level: float, seconds: float) -> bool:
        """Whether the message may begin."""
        self._total += seconds
        self._silent = 0.0 if level >= self._options.machine_threshold else self._silent + seconds
        return self._silent >= self._options.machine_end or self._total >= self._options.machine_longest
