"""Cases of a test of which one shows the behaviour: the others run with the slow tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slow(*values: Any, id: str | None = None) -> Any:
    """A case of `pytest.mark.parametrize` or of a fixture that runs with the slow tests alone."""
    return pytest.param(*values, marks=pytest.mark.slow, id=id)


def quick_first(cases: Iterable[Any]) -> list[Any]:
    """Cases of which all but the first are `slow`; a tuple has the values of several parameters."""
    first, *others = cases
    return [first, *(slow(*case) if isinstance(case, tuple) else slow(case) for case in others)]
