"""The ``heqcodec`` command. It imports the codec, and the codec never imports it."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process with 0 (done), 1 (data) or 2 (usage)."""
    import logging

    from heqcodec.cli.application import app

    # Pillow logs what it finds odd in a file; what the user should know, heqcodec says itself.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    app(prog_name="heqcodec")
