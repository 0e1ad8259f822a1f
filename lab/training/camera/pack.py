"""Makes a pack of training tiles: clean photographs, camera images, drawings.

::

    python -m heqcodec.lab.training.camera.pack tiles.npy --clean tiles/ --native photographs/

Of the tiles, half are clean, 35 in a hundred as cameras give them, 15 drawn (``--camera-share``,
``--drawn-share``), none clean with even noise (``--noise-share``). Of the camera images, a third
are cuts of photographs at their own resolution, as they are. Of the clean ones, half are cut from
these photographs, reduced by 2; ``--cuts`` takes more. The pack is one array, uint8
(N, 256, 256, 3), which ``heqcodec train --data tiles.npy`` reads. Tile ``i`` is drawn from the
seed and ``i`` alone, so processes do not matter.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from heqcodec.lab.training.photographs import TILE, image_files, load_tiles
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .development import photographed, with_some_noise
from .drawings import DRAWINGS, Kind, drawing

CAMERA_SHARE, DRAWN_SHARE = 0.35, 0.15
NATIVE_SHARE = 0.33
"""Of the camera images."""
REDUCTIONS = (1.0, 1.5, 2.0)
LEAST_SPREAD = 4.0
"""Standard deviation of a cut, in samples: sky without anything in it teaches little."""


def cut_photograph(path: Path, count: int, reduction: float, seed: int) -> list[NDArray[np.uint8]]:
    """Tiles at random places of a photograph, first reduced (Lanczos); flat ones are left out."""
    rng = np.random.default_rng([seed, *path.name.encode()])
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    if reduction != 1:
        wide, high = (round(side / reduction) for side in image.size)
        image = image.resize((wide, high), Image.Resampling.LANCZOS)
    tiles: list[NDArray[np.uint8]] = []
    for _ in range(4 * count):
        if min(image.size) < TILE or len(tiles) == count:
            break
        # On the grid of JPEG blocks, which a reader of JPEG files sees.
        x, y = (int(rng.integers(0, side - TILE + 1)) // 8 * 8 for side in image.size)
        tile = np.asarray(image.crop((x, y, x + TILE, y + TILE)))
        if tile.std() > LEAST_SPREAD:
            tiles.append(tile)
    return tiles


def _cuts(paths: list[Path], wanted: int, reduced: bool, seed: int) -> NDArray[np.uint8]:
    each = -(-wanted // max(1, len(paths)))
    with ProcessPoolExecutor() as pool:
        jobs = [
            pool.submit(cut_photograph, path, each, _reduction(index, reduced), seed)
            for index, path in enumerate(paths)
        ]
        found = [tile for job in jobs for tile in job.result()]
    return np.stack(found) if found else np.empty((0, TILE, TILE, 3), np.uint8)


def _reduction(index: int, reduced: bool) -> float:
    return 2.0 if reduced else REDUCTIONS[index % 2]


def make_tile(
    index: int,
    seed: int,
    kind: str,
    clean: NDArray[np.uint8] | None,
    drawn: Sequence[Kind] = DRAWINGS,
) -> NDArray[np.uint8]:
    """One tile of a kind, "camera", "drawn" (of these kinds), "noise" or "clean" (as it is)."""
    rng = np.random.default_rng([seed, index])
    if kind == "drawn":
        return drawing(rng, drawn)
    assert clean is not None
    if kind == "noise":
        return with_some_noise(clean, rng)
    return photographed(clean, rng) if kind == "camera" else clean


def make_pack(
    out: Path,
    clean_dir: Path,
    native_dir: Path | None,
    count: int,
    seed: int,
    camera_share: float = CAMERA_SHARE,
    drawn_share: float = DRAWN_SHARE,
    noise_share: float = 0.0,
    cuts: int | None = None,
    drawn: Sequence[Kind] = DRAWINGS,
) -> None:
    """Write a pack of ``count`` tiles; see the module.

    Args:
        out: uint8 (count, 256, 256, 3), ``.npy``.
        clean_dir: photographs without noise.
        native_dir: photographs at their own resolution.
        count: of tiles.
        seed: of all that is drawn.
        camera_share: of the tiles, 0 to 1.
        drawn_share: the same.
        noise_share: the same, of clean tiles with even noise; what is left is clean.
        cuts: clean tiles to cut from ``native_dir``; None: as many as ``clean_dir`` has.
        drawn: kinds of drawings.
    """
    rng = np.random.default_rng(seed)
    clean, _ = load_tiles(clean_dir)
    native = np.empty((0, TILE, TILE, 3), np.uint8)
    if native_dir:
        paths = image_files(native_dir)
        wanted = len(clean) if cuts is None else cuts
        clean = np.concatenate([clean, _cuts(paths, wanted, True, seed)])
        native = _cuts(paths, int(count * camera_share * NATIVE_SHARE), False, seed + 1)
    shares = {
        "clean": 1 - camera_share - drawn_share - noise_share,
        "camera": camera_share,
        "drawn": drawn_share,
        "noise": noise_share,
    }
    kinds = rng.choice(list(shares), count, p=list(shares.values()))
    order = rng.permutation(np.resize(np.arange(len(clean)), max(count, len(clean))))
    camera = np.flatnonzero(kinds == "camera")
    kept = dict(zip(camera[: len(native)].tolist(), native, strict=False))
    pack = open_memmap(out, mode="w+", dtype=np.uint8, shape=(count, TILE, TILE, 3))
    with ProcessPoolExecutor() as pool:
        jobs = {}
        for index, kind in enumerate(kinds.tolist()):
            if index in kept:
                pack[index] = kept[index]
                continue
            tile = None if kind == "drawn" else clean[order[index]]
            if kind == "clean":
                pack[index] = tile
            else:
                jobs[index] = pool.submit(partial(make_tile, index, seed, kind, tile, drawn))
        for index, job in jobs.items():
            pack[index] = job.result()
    pack.flush()
    counts = {kind: int((kinds == kind).sum()) for kind in shares}
    print(f"{out}: {count} tiles, {counts}, {len(kept)} of the camera tiles at native resolution")


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    kinds = {kind.__name__: kind for kind in DRAWINGS}
    parser = argparse.ArgumentParser(
        prog="python -m heqcodec.lab.training.camera.pack", description=__doc__
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--clean", type=Path, required=True, help="photographs without noise")
    parser.add_argument("--native", type=Path, help="photographs at their own resolution")
    parser.add_argument("--count", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--camera-share", type=float, default=CAMERA_SHARE)
    parser.add_argument("--drawn-share", type=float, default=DRAWN_SHARE)
    parser.add_argument(
        "--drawn", action="append", choices=kinds, help="kinds of drawings (all); may be repeated"
    )
    parser.add_argument("--noise-share", type=float, default=0.0)
    parser.add_argument("--cuts", type=int, help="clean tiles from --native (as many as --clean)")
    given = parser.parse_args(arguments)
    shares = given.camera_share, given.drawn_share, given.noise_share
    if min(shares) < 0 or sum(shares) > 1:
        parser.error("the shares must be from 0 on, together at most 1")
    drawn = [kinds[name] for name in given.drawn or kinds]
    make_pack(
        given.out, given.clean, given.native, given.count, given.seed, *shares, given.cuts, drawn
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
