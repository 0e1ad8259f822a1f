"""``python -m heqcodec.cli`` is the same as ``heqcodec``."""

from heqcodec.cli import main

if __name__ == "__main__":
    main()
