"""``python -m heqcodec`` is the same as the command ``heqcodec``."""

from heqcodec.base.interrupts import end_imports
from heqcodec.cli import main

if __name__ == "__main__":
    end_imports()
    main()
