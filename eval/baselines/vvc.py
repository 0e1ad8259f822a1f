"""VVC (H.266) intra by VVenC, in the ffmpeg program that the package imageio-ffmpeg brings."""

from __future__ import annotations

import struct
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.container.header import padded_size
from heqcodec.eval.baselines.ffmpeg import run_ffmpeg
from heqcodec.eval.baselines.pixels import rgb_image, whole_setting
from heqcodec.image.patches import padded_band

LARGEST_QP = 63
COLOUR = "color_matrix=bt709:{}range=full"
SCALER = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
SIZE = struct.Struct(">HH")
"""Width and height, in front of the stream."""


class Vvc:
    """One intra picture as an H.266 stream after its size, by VVenC, tuned for PSNR.

    Preset medium, 4:2:0 in 10 bits: VVenC takes no other chroma format. RGB becomes full-range
    BT.709 and is reduced and enlarged by Lanczos kernels, so PSNR of RGB ends near 40 dB where
    colours are strong; PSNR of luma says more. Seconds hold the start of a program.
    """

    name = "vvc"
    setting_name = "QP"
    settings: tuple[float, ...] = (47, 42, 37, 32, 27, 22, 17)
    single_threaded = True
    suffix = ".266"
    about = (
        "VVC intra by VVenC (medium, 4:2:0, 10 bits, no perceptual adaptation) in the ffmpeg of "
        "imageio-ffmpeg, one thread; the stream and 4 bytes of size"
    )

    def missing(self) -> str | None:
        """See ``Codec``."""
        if find_spec("imageio_ffmpeg") is None:
            return 'imageio-ffmpeg is not installed; run pip install "heqcodec[baselines]".'
        if "libvvenc" not in run_ffmpeg(["-hide_banner", "-encoders"]).decode():
            return "the ffmpeg of this imageio-ffmpeg has no libvvenc; install a newer one."
        return None

    def version(self) -> str:
        """See ``Codec``."""
        first = run_ffmpeg(["-hide_banner", "-version"]).decode().split("\n", 1)[0]
        return f"imageio-ffmpeg {version('imageio-ffmpeg')}, {first.split(' Copyright')[0]}"

    def prepare(self) -> None:
        """Nothing to load: each call starts a program."""

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``; QP 0 to 63, smaller is better."""
        qp = whole_setting(self.name, "QP", setting, 0, LARGEST_QP)
        rgb = np.asarray(rgb_image(pixels))
        height, width = rgb.shape[:2]
        columns, rows = padded_size(width, height)
        padded = padded_band(rgb, 0, rows, 0, columns)
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s"]
        source += [f"{columns}x{rows}", "-i", "-"]
        to_yuv = f"scale=out_{COLOUR.format('out_')}:{SCALER},format=yuv420p10le"
        coder = ["-c:v", "libvvenc", "-preset", "medium", "-qp", str(qp), "-qpa", "0"]
        coder += ["-threads", "1", "-frames:v", "1", "-f", "vvc", "-"]
        stream = run_ffmpeg([*source, "-vf", to_yuv, *coder], padded.tobytes())
        path.write_bytes(SIZE.pack(width, height) + stream)

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        data = path.read_bytes()
        if len(data) <= SIZE.size:
            raise HeqError(f"{path.name} is too short to hold an image.")
        width, height = SIZE.unpack_from(data)
        columns, rows = padded_size(width, height)
        to_rgb = f"scale=in_{COLOUR.format('in_')}:{SCALER},format=rgb24"
        target = ["-frames:v", "1", "-f", "rawvideo", "-"]
        raw = run_ffmpeg(
            ["-threads", "1", "-f", "vvc", "-i", "-", "-vf", to_rgb, *target], data[SIZE.size :]
        )
        if len(raw) != rows * columns * 3:
            raise HeqError(f"ffmpeg gave no image of {columns}x{rows} for {path.name}.")
        return np.frombuffer(raw, dtype=np.uint8).reshape(rows, columns, 3)[:height, :width].copy()
