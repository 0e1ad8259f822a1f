"""The start of the ``heqcodec`` command, outside the package: importing that takes a while, and
Ctrl-C in the meantime ends the process at once and without a traceback."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line; see `heqcodec.cli.main`."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is begun that needs an end
    from heqcodec.cli import main as run

    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    run()
