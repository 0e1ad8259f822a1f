"""What recipes of all kinds have in common: TOML, keys that are known, keys that must be there."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["check_keys", "is_number", "read_values", "tomllib"]


def read_values(path: Path) -> dict[str, Any]:
    """The values of a recipe's file.

    Raises:
        HeqError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HeqError(f"{path} cannot be read as a recipe: {error}.") from error


def check_keys(
    values: dict[str, Any], known: Iterable[str], required: Sequence[str], origin: object
) -> None:
    """Refuse keys that nobody knows, and a recipe that lacks one.

    Args:
        values: of the recipe.
        known, required: keys.
        origin: what messages call the recipe.

    Raises:
        HeqError: the message names all such keys.
    """
    offered = sorted(known)
    unknown = sorted(set(values) - set(offered))
    if unknown:
        raise HeqError(
            f"{origin} has the unknown keys {', '.join(unknown)}; those known are "
            f"{', '.join(offered)}."
        )
    missing = [key for key in required if key not in values]
    if missing:
        raise HeqError(f"{origin} is no complete recipe: it lacks {', '.join(missing)}.")


def is_number(value: Any, low: float, high: float = math.inf, kind: type | None = None) -> bool:
    """Whether a value is a number (of a kind) within bounds; true and false are none."""
    right = isinstance(value, kind or (int, float)) and not isinstance(value, bool)
    return right and bool(low <= value <= high)
