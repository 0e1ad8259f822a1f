"""``python -m heqcodec`` is the same as the command ``heqcodec``."""

from heqcodec.cli import main

if __name__ == "__main__":
    main()
