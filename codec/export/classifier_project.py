"""``heqcodec export c --model nqe-bsn``: a classifier as C, its program and its test."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from heqcodec.base.files import write_bytes
from heqcodec.models.classifiers import SIDE, ShippedClassifier
from heqcodec.nqe_vgg.bit_planes import pack_vgg
from numpy.typing import NDArray

from .c_parts import vgg_constants, vgg_tables
from .c_source import CSources, filled, joined_text, own_source
from .c_tables import CTable, table_bytes, tables_text
from .vectors import pnm, scene

FOLDER = "c_classifier"
KERNELS = ("heq_vgg.c", "heq_vgg_fast.c")
DRIVER = "heq_classify.c"
MEMORY_BYTES = 25600
"""Of the scalar kernel; the fast one has its maps on the stack."""
SCENES = 6
HEADER_WIDTH = 96


def classifier_sources(classifier: ShippedClassifier) -> CSources:
    """The sources of a classifier and of its program.

    Raises:
        HeqError: its encoder does not fit the C source.
    """
    from heqcodec.base.version import __version__

    network = classifier.network
    packed = pack_vgg(network.encoder.layers)
    tables = [
        *vgg_tables(packed),
        CTable("head_weights", network.weight, "of the code's bits, by class"),
        CTable("head_biases", network.bias, "by class"),
    ]
    weight_bytes = table_bytes(tables)
    words = {
        "MODEL": classifier.name,
        "VERSION": __version__,
        "CLASSES": str(network.classes),
        "NAMES": textwrap.fill(", ".join(classifier.classes), HEADER_WIDTH),
        "PROTOCOL": classifier.facts["protocol"],
        "ACCURACY": f"{classifier.facts['accuracy']:.2f}",
        "CLASSIFIER_BYTES": str(MEMORY_BYTES),
        "WEIGHT_BYTES": f"{weight_bytes:,}",
    }
    constants = "".join(f"    {line}\n" for line in vgg_constants(packed))
    names = "".join(f'    "{name}",\n' for name in classifier.classes)
    weights = (
        f"enum {{\n{constants}}};\n\n"
        f"const char *const heq_class_names[HEQ_CLASSES] = {{\n{names}}};\n\n"
        f"{tables_text(tables)}"
    )
    own = {DRIVER: own_source(FOLDER, DRIVER)}
    title = f"The classifier {classifier.name}"
    return CSources(
        classifier.name,
        "heq_classifier",
        "heqclass",
        {
            "heq_classifier.h": filled(own_source(FOLDER, "heq_classifier.h"), words),
            "heq_classifier.c": joined_text(
                title, "heq_classifier.h", weights, own, (*KERNELS, DRIVER)
            ),
        },
        {
            "heqclass.c": own_source(FOLDER, "heqclass.c"),
            "heq_pnm.h": own_source("c", "heq_pnm.h"),
        },
        FOLDER,
        weight_bytes,
        MEMORY_BYTES,
    )


def write_classifier_vectors(classifier: ShippedClassifier, folder: Path) -> None:
    """Write images, and the class and the scores that each must have.

    Args:
        classifier: whose scores.
        folder: made if it is not there.
    """
    folder.mkdir(exist_ok=True)
    lines = []
    for name, pixels in _images().items():
        write_bytes(folder / name, pnm(pixels))
        scores = classifier.network.scores(pixels[None])[0]
        listed = " ".join(map(str, scores.tolist()))
        lines.append(f"{name} {classifier.classes[int(scores.argmax())]} {listed}\n")
    write_bytes(folder / "expected", "".join(lines).encode())


def _images() -> dict[str, NDArray[np.uint8]]:
    """Scenes, noise, and both ends of the range, in the order of their names."""
    images = {"black.ppm": np.zeros((SIDE, SIDE, 3), np.uint8)}
    images["grey.pgm"] = scene(SIDE, SIDE, 1)
    images["noise.ppm"] = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    wide = scene(SIDE, SIDE * SCENES, 3)
    for index in range(SCENES):
        part = wide[:, index * SIDE : (index + 1) * SIDE]
        images[f"scene{index}.ppm"] = np.ascontiguousarray(part)
    images["white.ppm"] = np.full((SIDE, SIDE, 3), 255, np.uint8)
    return images
