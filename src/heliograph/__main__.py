"""`heliograph`, and `python -m heliograph`."""

import gc
import signal


def main() -> None:
    """Import the program, and run a command. None of what is imported is ever garbage, so the collector is not asked
    to look for it: neither meanwhile nor later. That is a fifth of the time of a start.

    Ctrl-C ends the process meanwhile: as an exception it would be a traceback, or be lost between two imports.
    """
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else who started it wants none heard
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()
    from heliograph import cli

    gc.freeze()
    gc.enable()
    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
