"""Make the golden files of this folder: run once when a model is added, replaced or retrained.

    python tests/conformance/make.py [MODEL ...]

For each model named (all without), each rate or quality and each coder: a source photograph, its
``.heq`` file, and the pixels it decodes to. Files that exist keep their bytes: were an encoder to
write others, that is an error, because the ids in the file promise the bytes; a model of other
weights has other ids. Expected pixels are written anew, since a better decoder may ship. What other
models made stays, also of models that are gone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
from heqcodec.models import registry
from PIL import Image

FOLDER = Path(__file__).parent
HEADER = 44
CODERS = ("device", "packed")
QUALITIES = (20, 60)
"""Of variable rate: few levels, and many."""
TUNED = {"colour": 40, "gray": 70}
"""Quality of the files that are tuned for the eye, by source."""


def sources() -> dict[str, Image.Image]:
    """Small crops of photographs that come with scikit-image (public domain and CC0)."""
    from skimage import data

    astronaut, cat = Image.fromarray(data.astronaut()), Image.fromarray(data.chelsea())
    clear = astronaut.crop((170, 20, 270, 100)).convert("RGBA")
    clear.putalpha(Image.fromarray(np.tile(np.arange(100, dtype=np.uint8) * 2, (80, 1))))
    return {
        "colour": cat.crop((110, 60, 227, 131)),
        "gray": Image.fromarray(data.camera()).crop((180, 60, 260, 125)),
        "neutral": Image.fromarray(data.camera()).crop((220, 80, 270, 120)).convert("RGB"),
        "alpha": clear,
        "pixel": cat.crop((150, 100, 151, 101)),
    }


def encode_options(entry: dict[str, Any]) -> dict[str, Any]:
    """What ``heqcodec.encode`` is given for an entry of the index."""
    if "bits" in entry:
        return {"model": entry["model"], "bpp": entry["bits"] / 1024}
    return {key: entry[key] for key in ("model", "quality", "coder", "tune") if key in entry}


def entries(source: str, model: str) -> Iterator[dict[str, Any]]:
    """The files of a model for a source, as the index has them but for the hash.

    Both coders write the same levels, so that their files share the expected pixels.
    """
    if registry.mode_of(model) == "patch":
        for bits in registry.load_encoder(model).rates:
            stem = f"{source}-{model}-{bits}"
            yield _entry(stem, source, model, stem, bits=bits)
        return
    for quality in QUALITIES:
        pixels = f"{source}-{model}-{quality}"
        for coder in CODERS:
            stem = f"{source}-{model}-{coder}-{quality}"
            yield _entry(stem, source, model, pixels, quality=quality, coder=coder)
    if source in TUNED:
        quality = TUNED[source]
        pixels = f"{source}-{model}-{quality}-ssim"
        for coder in CODERS:
            stem = f"{source}-{model}-{coder}-{quality}-ssim"
            yield _entry(stem, source, model, pixels, quality=quality, coder=coder, tune="ssim")


def _entry(stem: str, source: str, model: str, pixels: str, **how: object) -> dict[str, Any]:
    return {
        "file": f"{stem}.heq",
        "source": f"{source}.png",
        "model": model,
        **how,
        "sha256": "",
        "pixels": f"{pixels}.png",
    }


def write_file(folder: Path, image: Image.Image, entry: dict[str, Any]) -> None:
    """Encode and decode one, and note the hash in its entry."""
    data = heqcodec.encode(image, **encode_options(entry))
    path = folder / entry["file"]
    before = path.read_bytes() if path.exists() else data
    if before[:HEADER] == data[:HEADER] and before != data:
        sys.exit(f"{path.name}: the encoder writes other bytes under the same id")
    path.write_bytes(data)
    pixels = heqcodec.decode(data, device="cpu")
    shown = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(shown).save(folder / entry["pixels"], optimize=True)
    entry["sha256"] = hashlib.sha256(data).hexdigest()


def main(names: Sequence[str], folder: Path = FOLDER) -> None:
    """Write sources, files, expected pixels and ``index.json``."""
    chosen = list(names) or registry.model_names()
    path = folder / "index.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    index = [entry for entry in known if entry["model"] not in chosen]
    old = {entry[key] for entry in known for key in ("file", "pixels")}
    for source, image in sources().items():
        image.save(folder / f"{source}.png")
        for model in chosen:
            for entry in entries(source, model):
                write_file(folder, image, entry)
                index.append(entry)
    for name in old - {entry[key] for entry in index for key in ("file", "pixels")}:
        (folder / name).unlink()
    # By source, then as the models are listed: an order that does not depend on what was made when.
    order = {name: place for place, name in enumerate(sources())}
    index.sort(key=lambda entry: (order[Path(entry["source"]).stem], entry["model"]))
    path.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
