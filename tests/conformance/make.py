"""Make the golden files of this folder: run once when a model is added or a decoder replaced.

    python tests/conformance/make.py

For each model and rate: a source photograph, its ``.heq`` file, and the pixels it decodes to. Files
that exist keep their bytes: were an encoder to write others, that is an error, because the ids in
the file promise the bytes. Expected pixels are written anew, since a better decoder may ship.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec import models
from PIL import Image

FOLDER = Path(__file__).parent
HEADER = 44


def sources() -> dict[str, Image.Image]:
    """Small crops of photographs that come with scikit-image (public domain and CC0)."""
    from skimage import data

    astronaut, cat = Image.fromarray(data.astronaut()), Image.fromarray(data.chelsea())
    clear = astronaut.crop((170, 20, 270, 100)).convert("RGBA")
    clear.putalpha(Image.fromarray(np.tile(np.arange(100, dtype=np.uint8) * 2, (80, 1))))
    return {
        "colour": cat.crop((110, 60, 227, 131)),
        "gray": Image.fromarray(data.camera()).crop((180, 60, 260, 125)),
        "alpha": clear,
        "pixel": cat.crop((150, 100, 151, 101)),
    }


def main() -> None:
    """Write sources, files, expected pixels and ``index.json``."""
    index = []
    for name, image in sources().items():
        image.save(FOLDER / f"{name}.png")
        for model in models.model_names("patch"):
            for bits in models.load_encoder(model).rates:
                stem = f"{name}-{model}-{bits}"
                data = heqcodec.encode(image, bpp=bits / 1024, model=model)
                path = FOLDER / f"{stem}.heq"
                before = path.read_bytes() if path.exists() else data
                if before[:HEADER] == data[:HEADER] and before != data:
                    sys.exit(f"{path.name}: the encoder writes other bytes under the same id")
                path.write_bytes(data)
                pixels = heqcodec.decode(data, device="cpu")
                shown = pixels[..., 0] if pixels.shape[2] == 1 else pixels
                Image.fromarray(shown).save(FOLDER / f"{stem}.png", optimize=True)
                index.append(
                    {
                        "file": path.name,
                        "source": f"{name}.png",
                        "model": model,
                        "bits": bits,
                        "sha256": hashlib.sha256(data).hexdigest(),
                        "pixels": f"{stem}.png",
                    }
                )
    text = json.dumps(index, indent=1) + "\n"
    (FOLDER / "index.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
