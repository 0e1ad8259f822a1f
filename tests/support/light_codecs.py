"""Cheap codecs in the place of the real ones, and the ``heqcodec`` command with them alone.

``python light_codecs.py ARGS`` is that command, for tests that need processes of their own.
"""

from __future__ import annotations

import io
import os
import signal
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from PIL import Image

REPLACED = ("matching_specs", "make_codec", "CodecMaker")
"""What stands here in the place of `heqcodec.eval.baselines`."""
VERSION = "LIGHT_CODECS_VERSION"
"""Environment variable with the version that the codecs give."""
SLOWNESS = "LIGHT_CODECS_SECONDS"
"""Environment variable with the seconds that an encoder sleeps."""


class LightJpeg:
    """Pillow's JPEG. Red images (mean of red above 250) it refuses, each colour in its way."""

    name = "light-jpeg"
    setting_name = "quality"
    settings: tuple[float, ...] = (5, 20, 60)
    single_threaded = True
    suffix = ".jpg"
    about = "Pillow's JPEG, 4:2:0"

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return os.environ.get(VERSION, "light 1")

    def prepare(self) -> None:
        pass

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        time.sleep(float(os.environ.get(SLOWNESS, "0")))
        red, green, blue = pixels[-1, -1].tolist()
        if (red, green, blue) == (255, 0, 0):
            raise HeqError("it codes nothing that is red.")
        if (red, green, blue) == (255, 0, 1):
            raise ValueError("a bug of the codec")
        if (red, green, blue) == (255, 0, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        Image.fromarray(pixels).save(path, "JPEG", quality=int(setting))

    def decode(self, path: Path) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGB"))


class LightNoise(LightJpeg):
    """JPEG after noise: without its seed, no two runs would agree. Takes bits per pixel."""

    name = "light-noise"
    setting_name = "bpp"
    settings = (0.25, 0.5)
    single_threaded = False

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        time.sleep(float(os.environ.get(SLOWNESS, "0")))
        noise = np.random.normal(0, 8, pixels.shape)
        noisy = np.clip(pixels + noise, 0, 255).astype(np.uint8)
        for quality in range(95, 0, -5):
            buffer = io.BytesIO()
            Image.fromarray(noisy).save(buffer, "JPEG", quality=quality)
            if 8 * buffer.tell() <= setting * pixels.shape[0] * pixels.shape[1]:
                break
        path.write_bytes(buffer.getvalue())


class LightAbsent(LightJpeg):
    name = "light-absent"

    def missing(self) -> str | None:
        return "install the library of light-absent."


class LightUnready(LightJpeg):
    name = "light-unready"

    def prepare(self) -> None:
        raise HeqError("its weights are not here.")


class LightThreads(LightJpeg):
    """Tells with how many threads it was run."""

    name = "light-threads"

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        import torch

        raise HeqError(f"{torch.get_num_threads()} threads, {os.environ.get('OMP_NUM_THREADS')}.")


class LightManyThreads(LightThreads):
    name = "light-many-threads"
    single_threaded = False


CODECS = {
    codec.name: codec
    for codec in (
        LightJpeg,
        LightNoise,
        LightAbsent,
        LightUnready,
        LightThreads,
        LightManyThreads,
    )
}


def matching_specs(pattern: str) -> list[str]:
    found = [name for name in CODECS if fnmatchcase(name, pattern.partition("@")[0])]
    if not found:
        raise HeqError(f"There is no codec {pattern}; choose from {', '.join(CODECS)}.")
    return [pattern] if "@" in pattern else found


def make_codec(spec: str) -> LightJpeg:
    """The codec of a name; ``NAME@FILE`` has the quality that stands in a file."""
    name, at, file = spec.partition("@")
    codec = CODECS[name]()
    if at:
        codec.name = f"{name}-{Path(file).stem}"
        codec.settings = (int(Path(file).read_text()),)
    return codec


@dataclass(frozen=True)
class CodecMaker:
    specs: dict[str, str]

    def __call__(self, name: str) -> LightJpeg:
        return make_codec(self.specs[name])


def main() -> None:
    import light_codecs  # Not what runs as __main__: other processes import this one.
    from heqcodec.cli import main as heqcodec_main
    from heqcodec.eval import baselines

    for name in REPLACED:
        setattr(baselines, name, getattr(light_codecs, name))
    heqcodec_main()


if __name__ == "__main__":
    main()
