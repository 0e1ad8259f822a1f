"""C sources of the package, joined to one file, with words in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from .amalgamation import Amalgamation


def own_source(folder: str, file: str) -> str:
    """A source or template of ``codec/export``, in its folder ``c`` or ``c_classifier``."""
    return (files("heqcodec.export") / folder / file).read_text(encoding="utf-8")


def filled(template: str, words: Mapping[str, str]) -> str:
    """A template with a value in the place of each ``@WORD@``."""
    for word, value in words.items():
        template = template.replace(f"@{word}@", value)
    return template


def build_files(folder: str, library: str, program: str) -> dict[str, str]:
    """Makefile and CMakeLists.txt of a library and its program, by name.

    Args:
        folder: with ``test.mk``, the rule of ``make test``.
        library, program: without endings.
    """
    words = {"LIBRARY": library, "PROGRAM": program, "TEST": own_source(folder, "test.mk")}
    return {file: filled(own_source("c", file), words) for file in ("Makefile", "CMakeLists.txt")}


def joined_text(
    title: str, header: str, weights: str, own: Mapping[str, str], names: Sequence[str]
) -> str:
    """One C file of many.

    Args:
        title: what it is.
        header: its own header, which stays a file of its own.
        weights: definitions that come first.
        own: sources by name, in addition to those of ``codec/native``.
        names: of the sources to be joined, in order.
    """
    native = files("heqcodec") / "native"
    sources = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in native.iterdir()
        if entry.name.startswith("heq_") and entry.name.endswith((".c", ".h"))
    }
    joined = Amalgamation({**sources, **own}, public=(header,))
    kernel = joined.text("heq_kernel.h")  # tables depend on it
    body = "\n".join(joined.text(file) for file in names)
    system = "\n".join(joined.system_headers)
    return (
        f"/* {title}; see {header}. Written by `heqcodec export c`, joined of\n"
        " * sources that heqcodec itself runs, with the weights of the model.\n"
        " *\n"
        " * SPDX-License-Identifier: Apache-2.0\n"
        " */\n"
        f'#include "{header}"\n\n{system}\n\n'
        f"{kernel}\n/* ==== Weights {'=' * 77} */\n\n{weights}\n{body}"
    )
