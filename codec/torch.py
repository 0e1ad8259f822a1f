"""``.heq`` files as a torch dataset, and in WebDataset pipelines: uint8 tensors, channels first.

For training, the reduced sizes and the decoder "plain" need no network and cost little more than
reading; "fast" and "strong" run by onnxruntime in the workers of a ``DataLoader``, which has to
start them with ``multiprocessing_context="spawn"`` if a network was loaded before. With a device
they run there by torch, once for all images of one size in a batch, and the tensors stay there:
such a loader has no workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from heqcodec.base.arguments import DecoderName
from heqcodec.base.errors import HeqError
from heqcodec.base.rate_protocols import RateDecoder
from heqcodec.base.threads import limit_threads
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source
from heqcodec.file.decoding import Region, decode_file
from heqcodec.file.rate_windows import RateWindow, read_window
from heqcodec.file.reduced import SCALES, decode_reduced
from heqcodec.models import registry
from heqcodec.purenet.torch_frames import RateFrame, TorchFrames
from torch.utils.data import Dataset, get_worker_info

_SINGLE_RUN = ("fast", "strong", "ssimulacra2")
"""Decoders that run one network once."""
_frames_by = cache(TorchFrames)

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
        device: of the tensors, and where the network runs: None for the CPU, by onnxruntime where
            that is installed; else a torch device, by torch. Of a decoder with several views, of
            files of the patch mode and of those with strips that were not sent, the pixels come
            over the CPU.

    Raises:
        HeqError: another scale or number of channels.
    """

    scale: int = 1
    decoder: DecoderName = "plain"
    channels: int | None = 3
    device: str | None = None

    def __post_init__(self) -> None:
        if self.scale not in (1, *SCALES):
            raise HeqError(f"scale is {self.scale}; choose 1, 2, 4 or 8.")
        if self.channels not in (None, 1, 3, 4):
            raise HeqError(f"channels is {self.channels}; choose 1, 3, 4 or None.")

    def decode(self, data: Source, region: Region | None = None) -> torch.Tensor:
        """A file, or a rectangle of it, as uint8 (channels, H, W).

        Args:
            data: bytes, a path, or a binary file object; with a device one that can seek.
            region: (x, y, width, height), at scale 1.

        Raises:
            HeqError, OSError: as `heqcodec.decode`, except that no image is too large.
        """
        return self.decode_batch([(data, region)])[0]

    def decode_batch(self, sources: Sequence[tuple[Source, Region | None]]) -> list[torch.Tensor]:
        """Several files, each with its rectangle or None; arguments and errors as `decode`.

        With a device, "fast", "strong" and "ssimulacra2" run once for all rectangles that need the
        same number of patches. Each sample is that of a single call within 1/255.
        """
        made: list[torch.Tensor | None] = [None] * len(sources)
        alike: dict[Any, list[tuple[int, RateWindow]]] = {}
        if self.device is not None and self.scale == 1 and self.decoder in _SINGLE_RUN:
            for index, (data, region) in enumerate(sources):
                window = read_window(data, region, self._load)
                if window is not None:
                    key = window.decoder, window.levels.shape
                    alike.setdefault(key, []).append((index, window))
        for (decoder, _), group in alike.items():
            frames = [RateFrame(w.levels, w.transform_sizes, w.steps) for _, w in group]
            decoded = _frames_by(decoder).decode(frames)
            for (index, window), pixels in zip(group, decoded, strict=True):
                made[index] = self._chosen(pixels[(..., *window.inside)], window)
        return [
            self._by_host(*source) if tensor is None else tensor
            for tensor, source in zip(made, sources, strict=True)
        ]

    def _load(self, name: str) -> RateDecoder:
        return registry.load_rate_decoder(name, str(self.device), self.decoder, "torch")

    def _by_host(self, data: Source, region: Region | None) -> torch.Tensor:
        """By numpy or onnxruntime; without a network, or one image by torch."""
        if self.scale > 1:
            pixels = decode_reduced(data, self.scale)
        else:
            device = self.device or "auto"
            pixels = decode_file(data, region, False, None, device, decoder=self.decoder).pixels
        tensor = torch.from_numpy(pixels).permute(2, 0, 1).to(self.device)
        return _with_channels(tensor, self.channels)

    def _chosen(self, pixels: torch.Tensor, window: RateWindow) -> torch.Tensor:
        """With the channels that `heqcodec.decode` gives, then with those wanted."""
        if window.alpha is not None:
            alpha = torch.tensor(window.alpha, device=pixels.device)[None]
            pixels = torch.cat((pixels.expand(3, -1, -1), alpha))
        elif window.header.gray_as_rgb:
            pixels = pixels.expand(3, -1, -1)
        return _with_channels(pixels, self.channels)

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
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """What a ``DataLoader`` asks for a batch; see `TensorDecoder.decode_batch`."""
        if not self._limited and get_worker_info() is not None:
            limit_threads(1)  # the workers of a loader share the cores
            self._limited = True
        paths = [self.files[index] for index in indices]
        images = self._decoder.decode_batch([(path, self._region(path)) for path in paths])
        if self._crop and self._decoder.scale > 1:
            for number, image in enumerate(images):
                left, top, width, height = _random_place(image.shape[1], image.shape[2], self._crop)
                images[number] = image[:, top : top + height, left : left + width]
        values = images if self._transform is None else [self._transform(image) for image in images]
        if not self._labelled:
            return values
        classes = [self._numbers[path.parent.name] for path in paths]
        return list(zip(values, classes, strict=True))

    def _region(self, path: Path) -> Region | None:
        """The part of an image that is decoded; None for the whole."""
        if self._crop is None or self._decoder.scale > 1:
            return None
        with path.open("rb") as stream:
            header = ContainerReader(stream, max_pixels=None).header
        return _random_place(header.height, header.width, self._crop)


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


def _random_place(height: int, width: int, crop: tuple[int, int]) -> Region:
    """A rectangle inside an image: x, y, width and height."""
    rows, columns = min(crop[0], height), min(crop[1], width)
    top = int(torch.randint(height - rows + 1, ()))
    left = int(torch.randint(width - columns + 1, ()))
    return left, top, columns, rows


def _with_channels(pixels: torch.Tensor, channels: int | None) -> torch.Tensor:
    """uint8 (1, 3 or 4, H, W) with another number of channels, contiguous."""
    found = len(pixels)
    if channels == 1 and found > 1:
        weights = torch.tensor([0.299, 0.587, 0.114], device=pixels.device)
        luma = torch.einsum("c,chw->hw", weights, pixels[:3].float())
        return luma.round().to(torch.uint8)[None]
    if channels in (3, 4) and channels != found:
        pixels = pixels[:3].expand(3, -1, -1)
        if channels == 4:
            pixels = torch.cat((pixels, torch.full_like(pixels[:1], 255)))
    return pixels.contiguous()
