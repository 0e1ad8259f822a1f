"""What recipes of all kinds have in common: TOML, and fields that say which values they take."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from heqcodec.base.errors import HeqError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "ABOVE_ZERO",
    "FILE_NAME",
    "FLAG",
    "LINE",
    "SHARE",
    "TABLE",
    "Check",
    "check_keys",
    "faults",
    "is_number",
    "key",
    "number",
    "one_of",
    "read_values",
    "refuse",
    "required_keys",
    "tomllib",
    "whole",
]


class Check(NamedTuple):
    """What a value must be. must: as text, after "must be".  holds: whether a value is that."""

    must: str
    holds: Callable[[Any], bool]


def is_number(value: Any, low: float, high: float = math.inf, kind: type | None = None) -> bool:
    """Whether a value is a number (of a kind) within bounds; true and false are none."""
    right = isinstance(value, kind or (int, float)) and not isinstance(value, bool)
    return right and bool(low <= value <= high)


def whole(low: int, high: int | None = None) -> Check:
    """An integer within bounds."""
    must = f"a whole number from {low}" + (f" to {high}" if high else "")
    return Check(must, lambda value: is_number(value, low, high or math.inf, int))


def number(low: float, high: float | None = None) -> Check:
    """A finite number within bounds."""
    top = sys.float_info.max if high is None else high
    must = f"a number from {low:g}" + ("" if high is None else f" to {high:g}")
    return Check(must, lambda value: is_number(value, low, top))


def one_of(offered: Iterable[Any]) -> Check:
    """One of these values."""
    values = tuple(offered)
    return Check(f"one of {', '.join(map(str, values))}", lambda value: value in values)


ABOVE_ZERO = Check(
    "a number above 0", lambda value: is_number(value, sys.float_info.min, sys.float_info.max)
)
SHARE = number(0, 1)
TABLE = Check("a table", lambda value: isinstance(value, dict))
FLAG = Check("true or false", lambda value: isinstance(value, bool))
LINE = Check("a line of text", lambda value: isinstance(value, str) and bool(value))
FILE_NAME = Check(
    "letters, digits, dots and hyphens: it names files",
    lambda value: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(value)) is not None,
)


def key(check: Check, default: Any = MISSING) -> Any:
    """A field of a recipe's dataclass with the values that it takes; required without a default."""
    return field(default=default, metadata={"check": check})


def required_keys(recipe: type) -> list[str]:
    """The fields of a recipe's dataclass that have no default."""
    return [
        item.name
        for item in fields(recipe)
        if item.default is MISSING and item.default_factory is MISSING
    ]


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


def faults(recipe: type, values: dict[str, Any]) -> list[str]:
    """What is wrong with values of a recipe's dataclass, each by its own field's check."""
    return [
        f"{item.name} must be {check.must}"
        for item in fields(recipe)
        if item.name in values
        and (check := item.metadata.get("check")) is not None
        and not check.holds(values[item.name])
    ]


def refuse(found: Sequence[str], origin: object) -> None:
    """Raise what is wrong with a recipe, if anything is.

    Raises:
        HeqError: with all faults.
    """
    if found:
        raise HeqError(f"{origin} is no recipe to train from: {'; '.join(found)}.")
