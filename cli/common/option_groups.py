"""Options that several commands have in common, as fields of a dataclass."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any


def takes_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of its dataclass parameters as options, in their place.

    Args:
        command: any of its parameters may be annotated with a dataclass whose fields are annotated
            as typer's options are; it is called with the dataclass made of them.
    """
    own = inspect.signature(command, eval_str=True).parameters
    groups = {
        name: inspect.signature(part.annotation, eval_str=True).parameters
        for name, part in own.items()
        if isinstance(part.annotation, type) and is_dataclass(part.annotation)
    }

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        for name, fields in groups.items():
            given[name] = own[name].annotation(**{field: given.pop(field) for field in fields})
        command(**given)

    parameters = [
        shown.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, part in own.items()
        for shown in (groups[name].values() if name in groups else (part,))
    ]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {part.name: part.annotation for part in parameters}
    return wrapped
