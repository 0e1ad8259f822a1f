"""C sources of the package, joined to one file, with words in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from .amalgamation import Amalgamation


def own_source(folder: str, file: str) -> str:
    """A source or template of ``codec/export``, in its folder ``c`` or ``c_classifier``."""
    return (files("heqcodec.export") / folder / file).read_text(encoding="utf-8")


def filled(template: str, words: Mapping[str, str]) -> str:
    """A template with a value in the place of each ``@WORD@``."""
    for word, value in words.items():
        template = template.replace(f"@{word}@", value)
    return template


class CSources(NamedTuple):
    """What an exported folder holds but for its test vectors, each by name of file.

    Attributes:
        model: whose encoder or classifier it is.
        library, program: names without endings.
        sources: what a firmware is built of.
        desktop: the program for computers.
        templates: folder of ``codec/export`` with ``test.mk``, the rule of ``make test``.
        weight_bytes: of the model.
        memory_bytes: of its state.
    """

    model: str
    library: str
    program: str
    sources: dict[str, str]
    desktop: dict[str, str]
    templates: str
    weight_bytes: int
    memory_bytes: int


def build_files(exported: CSources, place: str) -> dict[str, str]:
    """Makefile and CMakeLists.txt of a library and its program, by name.

    Args:
        exported: what is built.
        place: of the library's sources as seen from the program, "" or a path that ends in "/".
    """
    words = {
        "LIBRARY": exported.library,
        "PROGRAM": exported.program,
        "PLACE": place,
        "SOURCES": " ".join(f"{place}{file}" for file in exported.sources if file.endswith(".c")),
        "INCLUDE": f"-I{place[:-1]} " if place else "",
        "FOLDER": f"/{place[:-1]}" if place else "",
        "TEST": own_source(exported.templates, "test.mk"),
    }
    return {file: filled(own_source("c", file), words) for file in ("Makefile", "CMakeLists.txt")}


def _native_sources() -> dict[str, str]:
    """The sources of ``codec/native`` by name."""
    native = files("heqcodec") / "native"
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in native.iterdir()
        if entry.name.startswith("heq_") and entry.name.endswith((".c", ".h"))
    }


def standalone_text(file: str) -> str:
    """A source of ``codec/export/c`` that is compiled by itself, with what it needs of others."""
    sources = {**_native_sources(), file: own_source("c", file)}
    joined = Amalgamation(sources, public=("heq_readers.h",))
    body = joined.text(file)
    return (
        "/* Written by `heqcodec export c`; a part of heq_encoder.\n"
        " *\n"
        " * SPDX-License-Identifier: Apache-2.0\n"
        " */\n"
        f'#include "heq_readers.h"\n\n{body}'
    )


def joined_text(
    title: str,
    header: str,
    weights: str,
    own: Mapping[str, str],
    names: Sequence[str],
    optional: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """One C file of many.

    Args:
        title: what it is.
        header: its own header, which stays a file of its own.
        weights: definitions that come first.
        own: sources by name, in addition to those of ``codec/native``.
        names: of the sources to be joined, in order.
        optional: names of further ones, by the macro that asks for them; a header of the name of
            the last one stays a file of its own.
    """
    parts = optional or {}
    own_headers = [files_[-1].replace(".c", ".h") for files_ in parts.values()]
    joined = Amalgamation({**_native_sources(), **own}, public=(header, *own_headers))
    kernel = joined.text("heq_kernel.h")  # tables depend on it
    body = "\n".join(joined.text(file) for file in names)
    for (macro, more), own_header in zip(parts.items(), own_headers, strict=True):
        text = "\n".join(joined.text(file) for file in more)
        body += f'\n#ifdef {macro}\n#include "{own_header}"\n\n{text}\n#endif\n'
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
