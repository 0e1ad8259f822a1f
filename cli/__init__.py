"""The ``heqcodec`` command. It imports the codec, and the codec never imports it."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process with 0 (done), 1 (data) or 2 (usage).

    After a signal it ends with 128 and the signal's number, as shells report it.
    """
    import signal
    import sys

    try:
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # Ignored signals stay so: `nohup` asks for that.
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _end)
        _run()
    except KeyboardInterrupt:  # while modules are imported; commands say so themselves
        sys.stderr.write("heqcodec: Interrupted.\n")
        sys.exit(128 + signal.SIGINT)


def _run() -> None:
    import io
    import logging
    import sys

    from heqcodec.cli.application import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name may have characters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")

    # Pillow logs what it finds odd in a file; what the user should know, heqcodec says itself.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    app(prog_name="heqcodec")


def _end(number: int, _: object) -> None:
    """End by an exception, so that unfinished outputs are removed on the way."""
    raise SystemExit(128 + number)
