"""Many C sources as one: includes in their places, and what an encoder does not need left out."""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFINED = {"HEQ_ENCODE_ONLY": True, "HEQ_DEVICE_TRACE": False}
"""Macros of the sources that are decided here, so that the reader of the result need not."""
DROPPED = re.compile(r"#define HEQ_(\w+_H|INTERNAL)$")
GUARD = re.compile(r"HEQ_(\w+_H|INTERNAL)$")
LOCAL_INCLUDE = re.compile(r'#include "(\w+\.h)"')
CONDITIONAL_HEADERS = {"#include <arm_acle.h>": "__ARM_FEATURE_SIMD32"}
"""System headers that only some targets have, and the macro of these."""
CONDITION = re.compile(r"#(ifdef|ifndef|else|endif)\b *(\w*)")


class Amalgamation:
    """Joins sources.

    Args:
        sources: text by name of file.
        public: headers that stay includes.
    """

    def __init__(self, sources: Mapping[str, str], public: tuple[str, ...]) -> None:
        self._sources = sources
        self._included = set(public)
        self.system_headers: list[str] = []

    def text(self, name: str) -> str:
        """A source with its headers, those left out that were included before.

        System headers are collected in `system_headers`.
        """
        kept = resolved(self._sources[name]).splitlines()
        lines: list[str] = [f"/* ==== {name} {'=' * (85 - len(name))} */", ""]
        for line in kept:
            local = LOCAL_INCLUDE.fullmatch(line)
            if local and local[1] not in self._included:
                self._included.add(local[1])
                lines += [*self.text(local[1]).splitlines(), ""]
            elif line.startswith("#include <"):
                macro = CONDITIONAL_HEADERS.get(line)
                header = f"#ifdef {macro}\n{line}\n#endif" if macro else line
                if header not in self.system_headers:
                    self.system_headers.append(header)
            if not line.startswith("#include"):
                lines.append(line)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def resolved(source: str) -> str:
    """A source without the branches that `DEFINED` rules out, include guards and `HEQ_INTERNAL`."""
    kept = []
    # Of each condition that is open: is it one of ours, and is its branch taken?
    open_conditions: list[tuple[bool, bool]] = []
    for line in source.splitlines():
        condition = CONDITION.match(line)
        if condition is None:
            if line.startswith("#if"):
                open_conditions.append((False, True))
            if all(taken for _, taken in open_conditions) and not DROPPED.match(line):
                kept.append(line)
            continue
        word, name = condition.groups()
        if word in ("ifdef", "ifndef"):
            ours = name in DEFINED or GUARD.match(name) is not None
            defined = DEFINED.get(name, False)
            open_conditions.append((ours, not ours or defined == (word == "ifdef")))
        ours, taken = open_conditions[-1]
        if word == "else" and ours:
            open_conditions[-1] = (ours, not taken)
        if word == "endif":
            open_conditions.pop()
        if not ours and all(taken for _, taken in open_conditions):
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", _with_internal_linkage("\n".join(kept)))


def _with_internal_linkage(source: str) -> str:
    """`HEQ_INTERNAL` as ``static``, with parameters that continue a line moved along."""

    def moved(match: re.Match[str]) -> str:
        shift = len("HEQ_INTERNAL") - len("static")
        text = match[0].replace("HEQ_INTERNAL", "static", 1)
        return re.sub(rf"\n {{{shift}}}(?= )", "\n", text)

    return re.sub(r"^HEQ_INTERNAL [^;{]*?\)", moved, source, flags=re.MULTILINE)
