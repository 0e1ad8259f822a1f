"""``.heq`` files as a torch dataset, and in WebDataset pipelines: uint8 tensors, channels first.

For training, the reduced sizes and the decoder "plain" need no network and cost little more than
reading; "fast" and "strong" run by onnxruntime in the workers of a ``DataLoader``, which has to
start them with ``multiprocessing_context="spawn"`` if a network was loaded before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.arguments import DecoderName
from heqcodec.base.errors import HeqError
from heqcodec.base.threads import limit_threads
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source
from heqcodec.file.decoding import decode_file
from heqcodec.file.reduced import SCALES, decode_reduced
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

__all__ = ["HeqDataset", "TensorDecoder", "padded_collate"]


@dataclass(frozen=True)
class TensorDecoder:
    """Decodes files to tensors; also a handler of ``webdataset.WebDataset(...).decode(...)``.

    Attributes:
        scale: 1, or 2, 4 or 8: images of 1/2, 1/4 or 1/8, without a network, of files of the
            variable-rate mode.
        decoder: as in `heqcodec.decode`, at scale 1.
        channels: 1, 3 or 4; None for those of each file. Gray is repeated into R, G and B; alpha
            is left out, or 255 where there is none; colours become gray by their BT.601 luma.

    Raises:
        HeqError: another scale or number of channels.
    """

    scale: int = 1
    decoder: DecoderName = "plain"
    channels: int | None = 3

    def __post_init__(self) -> None:
        if self.scale not in (1, *SCALES):
            raise HeqError(f"scale is {self.scale}; choose 1, 2, 4 or 8.")
        if self.channels not in (None, 1, 3, 4):
            raise HeqError(f"channels is {self.channels}; choose 1, 3, 4 or None.")

    def decode(self, data: Source, region: tuple[int, int, int, int] | None = None) -> torch.Tensor:
        """A file, or a rectangle of it, as uint8 (channels, H, W).

        Args:
            data: bytes, a path, or a binary file object.
            region: (x, y, width, height), at scale 1.

        Raises:
            HeqError, OSError: as `heqcodec.decode`, except that no image is too large.
        """
        if self.scale > 1:
            pixels = decode_reduced(data, self.scale)
        else:
            pixels = decode_file(data, region, False, None, "auto", decoder=self.decoder).pixels
        chosen = _with_channels(pixels, self.channels)
        return torch.from_numpy(np.ascontiguousarray(chosen.transpose(2, 0, 1)))

    def __call__(self, key: str, data: bytes) -> torch.Tensor | None:
        """What a WebDataset pipeline calls: the tensor of a ``.heq`` member; None for others."""
        return self.decode(data) if key.lower().endswith(".heq") else None


class HeqDataset(Dataset[Any]):
    """The ``.heq`` files of a folder, in the order of their paths, or of a list.

    Args:
        files: a folder, looked through with all its folders, or paths.
        decoder: how they are decoded.
        crop: (height, width) of a random rectangle, at ``decoder.scale``; smaller images are
            given whole. At scale 1 only the strips around it are read. Torch's generator chooses.
        transform: called with each tensor.
        classes: return pairs with a number for the folder that holds the file, as torchvision's
            ``ImageFolder`` does.

    Attributes:
        files: paths.
        classes: names of the folders, by their numbers.

    Raises:
        HeqError: the folder holds no such file.
    """

    def __init__(
        self,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        decoder: TensorDecoder = TensorDecoder(),
        *,
        crop: tuple[int, int] | None = None,
        transform: Callable[[torch.Tensor], Any] | None = None,
        classes: bool = False,
    ) -> None:
        if isinstance(files, (str, os.PathLike)):
            self.files = sorted(path for path in Path(files).rglob("*.heq") if path.is_file())
            if not self.files:
                raise HeqError(f"{os.fspath(files)} holds no .heq file.")
        else:
            self.files = [Path(path) for path in files]
        self.classes = sorted({path.parent.name for path in self.files})
        self._decoder, self._crop, self._transform = decoder, crop, transform
        self._numbers = {name: number for number, name in enumerate(self.classes)}
        self._labelled = classes
        self._limited = False

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        """A tensor uint8 (channels, H, W), or what ``transform`` makes of it; a pair with the
        number of its class if those were asked for. Errors are those of `TensorDecoder.decode`."""
        if not self._limited and get_worker_info() is not None:
            limit_threads(1)  # the workers of a loader share the cores
            self._limited = True
        path = self.files[index]
        image = self._image(path)
        value = image if self._transform is None else self._transform(image)
        return (value, self._numbers[path.parent.name]) if self._labelled else value

    def _image(self, path: Path) -> torch.Tensor:
        if self._crop is None:
            return self._decoder.decode(path)
        if self._decoder.scale == 1:
            with path.open("rb") as stream:
                header = ContainerReader(stream, max_pixels=None).header
                stream.seek(0)
                top, left, height, width = _random_place(header.height, header.width, self._crop)
                return self._decoder.decode(stream, (left, top, width, height))
        image = self._decoder.decode(path)
        top, left, height, width = _random_place(image.shape[1], image.shape[2], self._crop)
        return image[:, top : top + height, left : left + width]


def padded_collate(images: Sequence[Any]) -> Any:
    """A ``collate_fn`` for images of different sizes: zeros below and to the right.

    Args:
        images: tensors (channels, H, W) of one dtype and number of channels; or pairs of one
            and a class.

    Returns:
        The batch (N, channels, H, W) of the largest height and width, and the sizes int64 (N, 2):
        height, width; of pairs, the classes int64 (N,) as a third.
    """
    if isinstance(images[0], tuple):
        batch, sizes = padded_collate([image for image, _ in images])
        return batch, sizes, torch.tensor([number for _, number in images])
    sizes = torch.tensor([image.shape[1:] for image in images])
    height, width = (int(side) for side in sizes.amax(0))
    batch = images[0].new_zeros((len(images), images[0].shape[0], height, width))
    for place, image in zip(batch, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return batch, sizes


def _random_place(height: int, width: int, crop: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width of a rectangle inside an image."""
    rows, columns = min(crop[0], height), min(crop[1], width)
    top = int(torch.randint(height - rows + 1, ()))
    left = int(torch.randint(width - columns + 1, ()))
    return top, left, rows, columns


def _with_channels(pixels: NDArray[np.uint8], channels: int | None) -> NDArray[np.uint8]:
    """uint8 (H, W, 1, 3 or 4) with another number of channels."""
    found = pixels.shape[2]
    if channels is None or channels == found:
        return pixels
    if channels == 1:
        luma = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
        return np.rint(luma).astype(np.uint8)[..., None]
    colours = np.repeat(pixels, 3, axis=2) if found == 1 else pixels[..., :3]
    if channels == 3:
        return colours
    return np.concatenate((colours, np.full((*colours.shape[:2], 1), 255, np.uint8)), axis=2)
