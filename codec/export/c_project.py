"""``heqcodec export c``: a folder with the encoder of a model as C, its program and its test."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.container.header import Mode

from .c_parts import CParts
from .c_source import CSources, filled, joined_text, own_source, standalone_text
from .c_tables import table_bytes, tables_text
from .families import model_parts
from .layouts import DEFAULT_PREFIX, check_prefix, desktop_folder, laid_out
from .vectors import write_vectors

DESKTOP = ("heqenc.c", "heqenc_packets.h", "heq_output.h", "heq_pnm.h", "heq_raw.h")
READERS = ("heq_read_rgb.c", "heq_read_yuv.c", "heq_read_bayer.c")
"""Sources of the library, of which a firmware links what its sensor needs."""
OWN_SOURCES = (
    "heq_file.h",
    "heq_file.c",
    "heq_patch_mode.h",
    "heq_transform_tables.h",
    "heq_rate_control.h",
    "heq_driver.c",
)
PACKET_SOURCES = ("heq_parity.c", "heq_packets.c")
"""Compiled where HEQ_PACKETS is defined."""
PACKETS_OF_MODE = {Mode.RATE: "heq_packets_levels.h", Mode.PATCH: "heq_packets_codes.h"}
"""What they take in as heq_packets_mode.h."""
WEIGHT_LIMIT = 1 << 17
"""Bytes of weights: 2^20 bits."""


def export_c(
    model: str, folder: Path, layout: str = "plain", prefix: str = DEFAULT_PREFIX
) -> dict[str, int]:
    """Write the folder; files of these names in it are replaced.

    Args:
        model: name of a model, or "default" for that of the variable-rate mode; or of a classifier.
        folder: made if it is not there; its parent must be.
        layout: of `layouts.LAYOUTS`.
        prefix: what external names begin with, see `layouts.renamed`.

    Returns:
        Figures: bytes of weights, and of memory.

    Raises:
        HeqError: the model has no encoder that C can be written for, there is no such layout, the
            prefix cannot begin a name of C, or the folder cannot be written.
    """
    from heqcodec.models import classifiers, registry

    from .classifier_project import classifier_sources, write_classifier_vectors

    check_prefix(prefix)
    name = registry.default_model(registry.RATE_MODE) if model == "default" else model
    if name in classifiers.index()["classifiers"]:
        classifier = classifiers.load_shipped(name)
        exported = classifier_sources(classifier)
        write = partial(write_classifier_vectors, classifier)
    else:
        exported = encoder_sources(name)
        write = partial(write_vectors, name)
    if exported.weight_bytes > WEIGHT_LIMIT:
        raise HeqError(
            f"{name} has {exported.weight_bytes} bytes of weights, more than {WEIGHT_LIMIT}."
        )
    texts = laid_out(exported, layout, prefix)
    try:
        folder.mkdir(exist_ok=True)
        for file, text in texts.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, text.encode())
        write(folder / desktop_folder(layout) / "vectors")
    except OSError as error:
        raise HeqError(f"{folder} cannot be written: {error.strerror}.") from error
    return {"weight_bytes": exported.weight_bytes, "memory_bytes": exported.memory_bytes}


def encoder_sources(name: str) -> CSources:
    """The sources of a model's encoder and of its program."""
    parts = model_parts(name)
    weight_bytes = table_bytes(parts.tables)
    return CSources(
        name,
        "heq_encoder",
        "heqenc",
        {
            "heq_encoder.h": header_text(name, parts, weight_bytes),
            "heq_encoder.c": encoder_text(name, parts),
            "heq_readers.h": own_source("c", "heq_readers.h"),
            "heq_packets.h": own_source("c", "heq_packets.h"),
            **{file: standalone_text(file) for file in READERS},
        },
        {file: own_source("c", file) for file in DESKTOP},
        "c",
        weight_bytes,
        int(parts.words["ENCODER_BYTES"]),
    )


def header_text(name: str, parts: CParts, weight_bytes: int) -> str:
    """heq_encoder.h of a model."""
    from heqcodec.base.version import __version__

    words = {
        **parts.words,
        "MODEL": name,
        "VERSION": __version__,
        "ENCODER_ID": parts.encoder_id.hex(),
        "CODER_ID": parts.coder_id.hex(),
        "MODE": str(int(parts.mode)),
        "CODER": str(int(parts.coder)),
        "WEIGHT_BYTES": f"{weight_bytes:,}",
    }
    # Lines of the template that begin with @rate@ or @patch@ are those of one mode.
    text = own_source("c", "heq_encoder.h")
    for mode in Mode:
        mark = f"@{mode.name.lower()}@"
        kept = "" if mode == parts.mode else r".*\n"
        text = re.sub(f"^{mark}{kept}", "", text, flags=re.MULTILINE)
    return filled(text, words)


def encoder_text(name: str, parts: CParts) -> str:
    """heq_encoder.c of a model."""
    files = (*OWN_SOURCES, "heq_parity.h", *PACKET_SOURCES, parts.driver)
    own = {file: own_source("c", file) for file in files}
    own["heq_packets_mode.h"] = own_source("c", PACKETS_OF_MODE[parts.mode])
    own.update(parts.written)
    names = (*parts.kernels, "heq_file.c", parts.driver, "heq_driver.c")
    optional = {"HEQ_PACKETS": PACKET_SOURCES}
    weights = f"{_constants(parts)}\n{tables_text(parts.tables)}"
    return joined_text(f"The encoder of {name}", "heq_encoder.h", weights, own, names, optional)


def _constants(parts: CParts) -> str:
    lines = "".join(f"    {line}\n" for line in parts.constants)
    return (
        "enum {\n"
        "    FORMAT_VERSION = 1,\n"
        f"    FILE_MODE = {int(parts.mode)},\n"
        f"    FILE_CODER = {int(parts.coder)},\n"
        f"{lines}"
        "};\n\n"
        f"static const uint8_t encoder_id[8] = {{{_bytes(parts.encoder_id)}}};\n"
        f"static const uint8_t coder_id[8] = {{{_bytes(parts.coder_id)}}};\n"
    )


def _bytes(data: bytes) -> str:
    return ", ".join(f"0x{byte:02X}" for byte in data)
