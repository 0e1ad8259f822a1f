"""Photographs of a folder as tiles, frames and views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.photographs import TILE, load_frames, load_tiles, turned
from PIL import Image
from small_models import photograph


class TestPhotographs:
    def test_mixed_sizes_and_modes(self, tmp_path: Path) -> None:
        photo = photograph()
        Image.fromarray(photo).save(tmp_path / "c.png")
        Image.fromarray(photo[:300, :300, 0]).save(tmp_path / "b.jpg", quality=95)
        (tmp_path / "deeper").mkdir()
        Image.fromarray(photo[:256, :700]).save(tmp_path / "deeper" / "a.webp", lossless=True)
        Image.fromarray(photo[:255]).save(tmp_path / "flat.png")
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "notes.txt").write_text("no image")
        tiles, _ = load_tiles(tmp_path)
        assert tiles.shape == (1 + 4 + 2, TILE, TILE, 3) and tiles.dtype == np.uint8
        assert (tiles[0] == tiles[0][..., :1]).all()
        np.testing.assert_array_equal(tiles[2], photo[:TILE, TILE:])
        np.testing.assert_array_equal(tiles[3], photo[TILE:, :TILE])
        np.testing.assert_array_equal(tiles[5], photo[:TILE, :TILE])

    def test_hash_follows_names_and_contents(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(photograph()[:TILE, :TILE]).save(path)
        first = load_tiles(tmp_path)[1]
        assert load_tiles(tmp_path)[1] == first
        renamed = path.rename(tmp_path / "b.png")
        second = load_tiles(tmp_path)[1]
        Image.fromarray(photograph()[1 : TILE + 1, :TILE]).save(renamed)
        assert len({first, second, load_tiles(tmp_path)[1]}) == 3

    def test_held_out_frames_are_whole_patches(self, photographs: Path) -> None:
        shapes = [frame.shape for frame in load_frames(photographs)]
        assert shapes == [(256, 512, 3), (288, 448, 3), (96, 96, 3)]

    def test_none_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("no image")
        for load in (load_tiles, load_frames):
            with pytest.raises(HeqError, match="no image below"):
                load(tmp_path)

    def test_all_too_small(self, tmp_path: Path) -> None:
        Image.fromarray(photograph()[:31, :200]).save(tmp_path / "a.png")
        with pytest.raises(HeqError, match="at least 256 x 256 pixels"):
            load_tiles(tmp_path)
        with pytest.raises(HeqError, match="at least 32 x 32 pixels"):
            load_frames(tmp_path)

    def test_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG but no more")
        with pytest.raises(HeqError, match=r"broken\.png"):
            load_tiles(tmp_path)

    def test_views_are_the_eight_of_a_square(self, tiles: np.ndarray) -> None:
        views = [turned(tiles, view)[0] for view in range(8)]
        np.testing.assert_array_equal(views[0], tiles[0])
        square = [
            np.rot90(flip, turns) for flip in (tiles[0], tiles[0][:, ::-1]) for turns in range(4)
        ]
        matches = [[np.array_equal(view, other) for other in square].index(True) for view in views]
        assert sorted(matches) == list(range(8))
