"""``python -m heqcodec.lab.classifier.export RUN --data cifar.npz --name nqe-bsn --out weights``.

Packs the classifier of a finished run, tests what was packed, and enters it in
``classifiers.json``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes, write_json
from heqcodec.models.classifiers import INDEX
from safetensors.numpy import save

from .command_options import Data, console, reported_errors
from .images import LabelledImages, load_images
from .networks import load_classifier
from .nqe_classifier import NqeClassifier
from .packed_nqe import pack_nqe
from .run import RESULT, WEIGHTS

KEPT = (
    *("test_loss", "test_images", "protocol", "images_sha256", "seed", "epochs"),
    *("minutes", "conv_weight_bits", "shifts", "recipe", "command", "heqcodec", "torch", "numpy"),
    *("python", "device"),
)
"""What a run's result says that goes into the list."""


def export_classifier(run: Path, images: LabelledImages, name: str, out: Path) -> dict[str, Any]:
    """Write ``NAME.classifier.safetensors``, and its entry in ``classifiers.json`` beside it.

    Its ``accuracy`` is that of the packed classifier, in integers, on the test images, and
    ``accuracy_of_run`` that of the network that was trained.

    Args:
        run: folder with ``result.json`` and ``classifier.safetensors``.
        images: those that the run was tested on.
        name: under which it is listed; the first of a list is its default.
        out: folder.

    Returns:
        The entry.

    Raises:
        HeqError: the run has no such files, weights or images are not those that the result means,
            or the network is none that can be packed.
    """
    try:
        result = json.loads((run / RESULT).read_text(encoding="utf-8"))
        stored = hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest()
        listed = out / INDEX
        known = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else {}
    except (OSError, ValueError) as error:
        raise HeqError(f"the run {run} cannot be exported: {error}.") from error
    if stored != result.get("weights_sha256"):
        raise HeqError(f"the weights of {run} are not those whose accuracy {RESULT} tells.")
    if images.digest() != result.get("images_sha256"):
        raise HeqError(f"these are not the images that {run} was tested on; give the same --data.")
    network, classes, _ = load_classifier(run / WEIGHTS)
    if not isinstance(network, NqeClassifier):
        raise HeqError(f"{run} holds no NQE, the only network that is packed.")
    packed = pack_nqe(network)
    right = packed.scores(images.test).argmax(axis=1) == images.test_labels
    data = save(packed.packed(), {"classifier": name})
    entry: dict[str, Any] = {
        "file": f"{name}.classifier.safetensors",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "bits": packed.bits,
        "classes": list(classes),
        "accuracy": round(100 * float(right.mean()), 3),
        "accuracy_of_run": result["accuracy"],
        "run_weights_sha256": stored,
        **{key: result[key] for key in KEPT},
    }
    write_bytes(out / entry["file"], data)
    entries = {**known.get("classifiers", {}), name: entry}
    entry_text = {"default": known.get("default", name), "classifiers": entries}
    write_json(listed, entry_text)
    return entry


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", exists=True, file_okay=False)],
    data: Data,
    name: Annotated[str, typer.Option("--name", help="Under which it is listed.")],
    out: Annotated[Path, typer.Option("--out", exists=True, file_okay=False)],
) -> None:
    """Pack the classifier of a finished RUN, and enter it in the list of OUT.

    --data is what the run was tested on.
    """
    with reported_errors():
        entry = export_classifier(run, load_images(data), name, out)
    entry_text = f"{entry['file']}: {entry['bytes']} bytes, {entry['accuracy']:.2f} %"
    console.print(entry_text, highlight=False)


if __name__ == "__main__":
    typer.run(export)
