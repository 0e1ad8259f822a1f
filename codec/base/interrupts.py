"""Ctrl-C while ``python -m heqcodec`` imports: it ends the process at once, without a traceback.

Python imports the package before its main module. `heqcodec_command` does the same for the command.
"""

from __future__ import annotations

import signal
import sys

__all__ = ["begin_imports", "end_imports"]


def begin_imports() -> None:
    """Let SIGINT end the process, if it runs this package; other programs keep what they have."""
    # While Python looks for the main module, "-m" stands for its path.
    runs_package = sys.argv[:1] == ["-m"] and "heqcodec" in sys.orig_argv
    if runs_package and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_imports() -> None:
    """From here on SIGINT raises ``KeyboardInterrupt`` again; unfinished outputs are removed.

    Where it is ignored, as in a shell's background jobs, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
