"""Put an exported model into a folder of weights.

    python -m heqcodec.lab.training.install OUT/weights/NAME.json --weights weights/ --default

With ``--retire VERSION``, files of the model that is replaced are recorded as readable by that
release of heqcodec.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from heqcodec.base.errors import HeqError

from .export import install


def main(arguments: list[str] | None = None) -> int:
    """Install as the arguments say (``sys.argv`` if None); returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heqcodec.lab.training.install",
        description="Put an exported model into a folder of weights.",
    )
    parser.add_argument("exported", type=Path, metavar="EXPORTED.json")
    parser.add_argument("--weights", type=Path, required=True, metavar="DIR")
    parser.add_argument("--default", action="store_true", help="make it the default model")
    parser.add_argument(
        "--retire", metavar="VERSION", help="release that reads files of the model it replaces"
    )
    given = parser.parse_args(arguments)
    try:
        name = install(given.exported, given.weights, given.default, given.retire)
    except (HeqError, OSError) as error:
        print(f"heqcodec: {error}", file=sys.stderr)
        return 1
    print(f"installed {name} in {given.weights}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
