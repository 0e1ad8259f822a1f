"""A folder of photographs as tiles in memory."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqError
from heqcodec.image.images import load_image
from numpy.typing import NDArray

TILE = 256
PACK_SUFFIX = ".npy"
SUFFIXES = {".avif", ".bmp", ".heq", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


FrameGroups = dict[str, list[NDArray[np.uint8]]]
"""Held-out photographs by kind, see `load_frame_groups`."""


def image_files(folder: Path) -> list[Path]:
    """All image files below a folder, sorted.

    Raises:
        HeqError: there are none.
    """
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not found:
        raise HeqError(f"there is no image below {folder}; give a folder of photographs.")
    return found


def _rgb(path: Path) -> NDArray[np.uint8]:
    pixels = load_image(path).pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def load_tiles(folder: Path) -> tuple[NDArray[np.uint8], str]:
    """Whole tiles cut from all images of a folder; what is smaller than a tile is left out.

    A file ``.npy`` is a pack of tiles, as `heqcodec.lab.training.camera.pack` makes it.

    Returns:
        uint8 (N, 256, 256, 3), and the SHA-256 of the files (names and bytes) that they come from.

    Raises:
        HeqError: no image is as large as a tile, or one cannot be read.
    """
    if folder.suffix == PACK_SUFFIX:
        return _packed_tiles(folder)
    paths = image_files(folder)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    with ThreadPoolExecutor() as pool:
        tiles = np.concatenate(list(pool.map(_tiles, paths)))
    if not len(tiles):
        raise HeqError(
            f"no image below {folder} is at least {TILE} x {TILE} pixels; give larger photographs."
        )
    return tiles, digest.hexdigest()


def _packed_tiles(path: Path) -> tuple[NDArray[np.uint8], str]:
    try:
        tiles = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise HeqError(f"{path} cannot be read as a pack of tiles ({error}).") from error
    if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[1:] != (TILE, TILE, 3):
        raise HeqError(
            f"{path} is no pack of tiles: it holds {tiles.dtype} {tiles.shape}, not uint8 "
            f"(N, {TILE}, {TILE}, 3)."
        )
    with path.open("rb") as file:
        return tiles, hashlib.file_digest(file, "sha256").hexdigest()


def _tiles(path: Path) -> NDArray[np.uint8]:
    """Whole tiles of an image, uint8 (n, 256, 256, 3); a copy, so that the image can be freed."""
    image = _rgb(path)
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    whole = image[: rows * TILE, : columns * TILE]
    grid = whole.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2)
    return grid.reshape(-1, TILE, TILE, 3).copy()


def load_frames(folder: Path) -> list[NDArray[np.uint8]]:
    """Images of a folder, cropped to whole patches: held-out photographs.

    Returns:
        uint8 (H, W, 3) each, H and W multiples of 32; what is smaller than a patch is left out.

    Raises:
        HeqError: no image is as large as a patch, or one cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(_rgb, image_files(folder)))
    # Copies: decoders may hand out memory that must not be written to.
    frames = [
        image[: image.shape[0] // PATCH * PATCH, : image.shape[1] // PATCH * PATCH].copy()
        for image in images
        if min(image.shape[:2]) >= PATCH
    ]
    if not frames:
        raise HeqError(
            f"no image below {folder} is at least {PATCH} x {PATCH} pixels; give larger ones."
        )
    return frames


def load_frame_groups(folder: Path) -> FrameGroups:
    """The frames of a folder, and of each of its subfolders as a group of its own.

    Returns:
        See `load_frames`; by the subfolder's name. Images of the folder itself are the group "". A
        folder without images of its own has no such group.

    Raises:
        HeqError: as `load_frames`.
    """
    parts = sorted(path for path in folder.iterdir() if path.is_dir())
    own = any(path.suffix.lower() in SUFFIXES for path in folder.iterdir() if path.is_file())
    if own or not parts:
        return {"": load_frames(folder)}
    return {part.name: load_frames(part) for part in parts}


def turned(tiles: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """One of the eight flips and turns of square tiles (N, S, S, 3); view 0 changes nothing."""
    if view & 1:
        tiles = tiles[:, :, ::-1]
    if view & 2:
        tiles = tiles[:, ::-1]
    if view & 4:
        tiles = tiles.swapaxes(1, 2)
    return tiles


class CropSource:
    """Random crops of tiles, on the device where they are wanted.

    Args:
        tiles: uint8 (N, S, S, 3).
        device: holds the tiles: 0.2 MB each.
    """

    def __init__(self, tiles: NDArray[np.uint8], device: torch.device) -> None:
        self._tiles = torch.from_numpy(tiles).to(device)

    def __call__(
        self, side: int, count: int, generator: torch.Generator, grid: int = 1
    ) -> torch.Tensor:
        """Crops of random tiles, at random places and in random orientation.

        Args:
            side: of a crop in pixels, at most S.
            count: of crops.
            generator: of the CPU; draws them, the same on every device.
            grid: half of the crops begin at multiples of it; it divides ``side`` and S.

        Returns:
            uint8 (count, 3, side, side), channels last in memory.
        """
        tiles = self._tiles
        span = tiles.shape[1] - side + 1
        drawn = [
            torch.randint(len(tiles), (count, 1), generator=generator),
            torch.randint(span, (count, 2), generator=generator),
            torch.randint(VIEWS, (count, 1), generator=generator),
        ]
        if grid > 1:
            aligned = torch.randint(2, (count, 1), generator=generator)
            drawn[1] = drawn[1] - aligned * (drawn[1] % grid)
        which, corners, views = torch.cat(drawn, 1).to(tiles.device).split((1, 2, 1), 1)
        # Rows and columns of each crop as indices, so that one gather takes them all.
        along = torch.arange(side, device=tiles.device)
        rows = corners[:, :1] + torch.where(views & 2 > 0, side - 1 - along, along)
        columns = corners[:, 1:] + torch.where(views & 1 > 0, side - 1 - along, along)
        turned_over = (views & 4 > 0)[..., None]
        where = torch.where(
            turned_over,
            rows[:, None, :] * tiles.shape[2] + columns[:, :, None],
            rows[:, :, None] * tiles.shape[2] + columns[:, None, :],
        )
        where += which[..., None] * (tiles.shape[1] * tiles.shape[2])
        crops = tiles.view(-1, 3)[where]
        return crops.permute(0, 3, 1, 2)


VIEWS = 8
VIEW_ORDER = (0, 3, 5, 6, 1, 2, 4, 7)
"""Order in which views are added: the first four make every orientation of an edge appear."""
