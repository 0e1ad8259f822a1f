"""A folder of results as ``heqcodec eval run --keep`` leaves it, made with Pillow's codecs."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from heqcodec.eval.folder import data_hash, image_files, read_pixels
from heqcodec.eval.kept_files import decoded_file
from heqcodec.eval.measure import measure
from heqcodec.eval.rows import TABLE, table_text
from heqcodec.eval.summary import Claim, DataSet, codec_document, document_text
from PIL import Image, features
from skimage import data


@dataclass
class PillowCodec:
    """JPEG or WebP at a quality; the file's pixels and nothing else."""

    name: str
    kind: str
    settings: tuple[float, ...]
    about: str
    setting_name: str = "quality"
    single_threaded: bool = True
    suffix: str = ".bin"

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return f"{self.kind} {features.version('webp') or ''}".strip()

    def prepare(self) -> None:
        pass

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, self.kind, quality=int(setting))
        path.write_bytes(stream.getvalue())

    def decode(self, path: Path) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))


CODECS = (
    PillowCodec("jpeg", "JPEG", (5, 20, 60), "JPEG of </script><b>Pillow</b>, 4:2:0"),
    PillowCodec("webp", "WEBP", (5, 30, 80), "WebP of Pillow"),
)
# Names that would do harm as markup, and that sort differently as text and as numbers.
NAMES = ("cat 10.png", "cat 9.png", "\"><img src=x onerror=alert(1)>' &amp;.png")


@dataclass(frozen=True)
class Folders:
    """Photographs and what was measured on them."""

    photographs: Path
    results: Path


def write_photographs(folder: Path) -> list[Path]:
    """Three photographs of 256x192 pixels: skin and cloth, fur, and a cup."""
    folder.mkdir()
    crops = (
        data.astronaut()[:192, 100:356],
        data.chelsea()[60:252, 100:356],
        data.coffee()[100:292, 150:406],
    )
    for name, pixels in zip(NAMES, crops, strict=True):
        Image.fromarray(pixels).save(folder / name)
    return image_files(folder)


def write_results(folder: Path, photographs: list[Path], keep: bool = True) -> None:
    """Measure ``CODECS`` on the photographs, and write what a run writes."""
    folder.mkdir()
    images = DataSet(len(photographs), data_hash(photographs))
    rows = []
    for codec in CODECS:
        own = []
        for path in photographs:
            pixels = read_pixels(path)
            for setting in codec.settings:
                file = folder / "coded"
                own.append(measure(codec, setting, path.name, pixels, file))
                if keep:
                    target = decoded_file(folder, codec.name, setting, path.name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(codec.decode(file)).save(target)
                file.unlink()
        rows += own
        claim = Claim(
            codec=codec.name,
            version=codec.version(),
            about=codec.about,
            setting_name=codec.setting_name,
            settings=codec.settings,
            record={"command": "heqcodec eval run --data photographs", "machine": "test"},
        )
        document = codec_document(claim, images, own)
        (folder / f"{codec.name}.json").write_text(document_text(document), "utf-8")
    (folder / TABLE).write_text(table_text(rows), "utf-8")
