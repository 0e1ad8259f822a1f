"""Layouts of an exported folder: as the build systems of firmware take a library."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from importlib.resources import files
from typing import TYPE_CHECKING

from heqcodec.base.errors import HeqError
from heqcodec.base.version import __version__

from .c_source import CSources, build_files, filled

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

PLAIN = "plain"
LAYOUTS = (PLAIN, "arduino", "platformio", "esp-idf", "zephyr")
"""All but the first have templates in ``codec/export/packages``."""
DEFAULT_PREFIX = "heq"
LONGEST_PREFIX = 20
"""With "_classifier" 31 characters: names of Arduino's libraries have 32 at most."""
ENCODER = "heq_encoder"
EXAMPLES = ("examples/", "samples/")
"""Folders of the templates that are for encoders alone."""
SHARED = {
    "platformio": {
        "examples/camera_to_lora/src/main.cpp": "arduino/examples/CameraToLoRa/CameraToLoRa.ino",
        "examples/camera_to_lora/src/photograph.h": "arduino/examples/CameraToLoRa/photograph.h",
    }
}
"""Files of a layout that are those of another, by path."""
PACKETS = "heq_packets.h"
LICENCES = ("LICENSE", "NOTICE")


def check_prefix(prefix: str) -> None:
    """Raise HeqError where names of C, Kconfig and packages cannot begin so."""
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", prefix) is None:
        raise HeqError(
            f"the prefix {prefix!r} is none: it takes lower-case letters, digits and single "
            "underscores between them, and begins with a letter."
        )
    if len(prefix) > LONGEST_PREFIX:
        raise HeqError(f"the prefix {prefix!r} has more than {LONGEST_PREFIX} characters.")


def desktop_folder(layout: str) -> str:
    """Where the program for computers and the test vectors stand."""
    return "." if layout == PLAIN else "extras"


def laid_out(exported: CSources, layout: str, prefix: str) -> dict[str, str]:
    """Files of a folder by path, without its test vectors.

    Args:
        exported: the sources.
        layout: of `LAYOUTS`; in all but "plain" the sources stand in ``src``.
        prefix: see `check_prefix`.

    Raises:
        HeqError: there is no such layout.
    """
    if layout not in LAYOUTS:
        raise HeqError(f"there is no layout {layout!r}; there are {', '.join(LAYOUTS)}.")
    if layout == PLAIN:
        texts = {**exported.sources, **exported.desktop, **build_files(exported, "")}
    else:
        desktop = {**exported.desktop, **build_files(exported, "../src/")}
        texts = {f"src/{file}": _whole(text) for file, text in exported.sources.items()}
        texts.update({f"extras/{file}": text for file, text in desktop.items()})
    texts.update(_templates(exported, layout))
    named = {renamed(path, prefix): renamed(text, prefix) for path, text in texts.items()}
    return {**named, **_licences()}


def renamed(text: str, prefix: str) -> str:
    """Names that begin with ``heq_`` or ``HEQ_``, with another prefix.

    Those are all external symbols, types, macros and headers of an encoder: with prefixes of their
    own, two are linked into one firmware, and included in one source.
    """
    if prefix == DEFAULT_PREFIX:
        return text
    text = re.sub(r"\bheq_", f"{prefix}_", text)
    # Also as a compiler's option -DHEQ_, in makefiles.
    return re.sub(r"\b(CONFIG_|D)?HEQ_", rf"\1{prefix.upper()}_", text)


def _templates(exported: CSources, layout: str) -> dict[str, str]:
    """README.md, and what belongs to the layout, with words in their places."""
    words = {
        "MODEL": exported.model,
        "VERSION": __version__,
        "LIBRARY": exported.library,
        "UPPER": exported.library.upper(),
        "PROGRAM": exported.program,
        "KIND": exported.library.removeprefix(f"{DEFAULT_PREFIX}_"),
        "WEIGHT_BYTES": f"{exported.weight_bytes:,}",
        "MEMORY_BYTES": f"{exported.memory_bytes:,}",
        "SOURCES": " ".join(f"src/{file}" for file in exported.sources if file.endswith(".c")),
        "ZEPHYR_SOURCES": " ".join(
            f"../src/{file}" for file in exported.sources if file.endswith(".c")
        ),
    }
    packages = files("heqcodec.export") / "packages"
    found = {"README.md": (packages / "README.md").read_text(encoding="utf-8")}
    if layout != PLAIN:
        found["README.md"] += (packages / f"{layout}.md").read_text(encoding="utf-8")
        found.update(_tree(packages / layout))
        for path, source in SHARED.get(layout, {}).items():
            found[path] = (packages / source).read_text(encoding="utf-8")
    for place in {"/".join(path.split("/")[:2]) for path in found if path.startswith(EXAMPLES)}:
        example = {path: text for path, text in found.items() if path.startswith(f"{place}/")}
        if exported.library != ENCODER or not _runs_with(exported, example):
            found = {path: text for path, text in found.items() if path not in example}
    return {path: filled(text, words) for path, text in found.items()}


def _whole(source: str) -> str:
    """A source with its optional functions: firmware is linked with those that are called."""
    if "#ifdef HEQ_PACKETS\n" not in source:
        return source
    return f"#ifndef HEQ_PACKETS\n#define HEQ_PACKETS\n#endif\n{source}"


def _runs_with(exported: CSources, folder: dict[str, str]) -> bool:
    """Has the library the packets that an example's sources use?"""
    return PACKETS in exported.sources or all(PACKETS not in text for text in folder.values())


def _tree(folder: Traversable) -> dict[str, str]:
    """All files of a folder and of those in it, by path."""
    found = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found.update({f"{entry.name}/{path}": text for path, text in _tree(entry).items()})
        elif not entry.name.endswith(".pyc"):
            found[entry.name] = entry.read_text(encoding="utf-8")
    return found


def _licences() -> dict[str, str]:
    """The licence and the notice, as the package was installed with them."""
    found = {}
    for name in LICENCES:
        # A folder that a package was built in has metadata, too, without licences.
        texts = (place.read_text(f"licenses/{name}") for place in distributions(name="heqcodec"))
        text = next(filter(None, texts), None)
        if text is None:
            raise HeqError(f"heqcodec was installed without its {name}; install it again.")
        found[name] = text
    return found
