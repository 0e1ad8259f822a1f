"""Tiles coded once for training: what the decoder will see, kept in a folder."""

from __future__ import annotations

from pathlib import Path

import heqcodec.lab.training.coded_tiles as coded_tiles
import numpy as np
import pytest
import torch
from heqcodec.image.patches import split_patches
from heqcodec.lab.training.coded_tiles import code_frames, coded_view
from heqcodec.lab.training.photographs import turned
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.purenet.patch_readers import TransformReader
from small_models import transform_tensors

pytestmark = pytest.mark.usefixtures("light_training")


class TestCodedTiles:
    @pytest.mark.slow
    def test_cache_is_reused_and_right(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiles: np.ndarray
    ) -> None:
        monkeypatch.setattr(coded_tiles, "CHUNK", 1)
        encoder, seen = TransformNqe(transform_tensors()), []
        first = coded_view(encoder, tiles, 5, tmp_path / "coded", seen.append)
        fresh = code_frames(encoder, np.ascontiguousarray(turned(tiles, 5)))
        assert seen == [1, 1]
        damaged = sorted((tmp_path / "coded").iterdir())[1]
        damaged.write_bytes(damaged.read_bytes()[:1000])
        coded = []
        monkeypatch.setattr(
            coded_tiles,
            "code_frames",
            lambda encoder, frames: coded.append(len(frames)) or code_frames(encoder, frames),
        )
        again = coded_view(encoder, tiles, 5, tmp_path / "coded", seen.append)
        assert coded == [1] and seen == [1] * 4  # the damaged file alone
        for view in (first, again):
            np.testing.assert_array_equal(view.base, fresh.base)
            np.testing.assert_array_equal(view.hints, fresh.hints)

    def test_says_what_the_decoder_will_see(self, tiles: np.ndarray) -> None:
        encoder = TransformNqe(transform_tensors())
        frames = tiles[:1, :64, :96]
        coded = code_frames(encoder, frames)
        assert coded.base.shape == (1, 4, 3, 64, 96) and coded.hints.shape == (1, 4, 2, 3, 42)
        reader = TransformReader(TransformCodeReader(encoder))
        patches = split_patches(frames[0])
        for index, bits in enumerate(encoder.rates):
            codes = encoder.encode_patches(patches, bits).reshape(2, 3, bits // 8)
            features, _ = reader.read(codes, bits, 3, np.ones((2, 3), bool))
            base, hints = coded_tiles.network_inputs(
                torch.from_numpy(coded.base[:, index]), torch.from_numpy(coded.hints[:, index])
            )
            np.testing.assert_allclose(base[0], features.base, rtol=0, atol=0.001)
            np.testing.assert_allclose(hints[0], features.hints, rtol=1e-6)

    def test_cache_of_other_tiles_is_dropped(self, tmp_path: Path) -> None:
        tensors = transform_tensors()
        file = tmp_path / "coded" / "view0_000000.npz"

        def kept(data: str, resume: bool) -> bool:
            folder = coded_tiles.claim_cache(tmp_path / "coded", tensors, {"data": data}, resume)
            there = file.exists()
            assert file.parent == folder
            file.touch()
            return there

        assert not kept("a", False)
        assert kept("a", False) and kept("a", True)
        assert not kept("b", True) and not kept("a", False)
        note = tmp_path / "coded" / "source.json"
        note.unlink()
        assert kept("a", True)  # the checkpoint vouches for it
        note.unlink()
        assert not kept("a", False)
