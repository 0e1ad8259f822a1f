"""Training images as cameras give them: optics, sensor, development, drawings, packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.camera import development, drawings
from heqcodec.lab.training.camera.development import (
    as_jpeg,
    photographed,
    to_linear,
    to_srgb,
    with_noise,
)
from heqcodec.lab.training.camera.drawings import DRAWINGS
from heqcodec.lab.training.camera.optics import blurred, defocus_kernel, motion_kernel
from heqcodec.lab.training.camera.pack import main as make_pack
from heqcodec.lab.training.camera.sensor import bilinear, malvar, mosaic, noise_levels, noisy
from heqcodec.lab.training.photographs import load_frame_groups, load_tiles
from PIL import Image
from small_models import photograph


def test_light_is_linear_there_and_back() -> None:
    every = np.arange(256, dtype=np.uint8)
    linear = to_linear(every)
    assert linear[0] == 0 and linear[255] == 1
    # A sample of 188 is half the light.
    assert linear[188] == pytest.approx(0.5, abs=0.005)
    np.testing.assert_allclose(255 * to_srgb(linear), every, atol=1e-3)


def test_kernels_keep_light_and_spread_it() -> None:
    disc = defocus_kernel(2.5)
    assert disc.sum() == pytest.approx(1) and disc.shape == (7, 7)
    np.testing.assert_allclose(disc, disc.T)
    assert disc[3, 3] == pytest.approx(1 / (np.pi * 2.5**2), rel=0.05)
    line = motion_kernel(6, 0.0)
    middle = len(line) // 2
    assert line.sum() == pytest.approx(1) and line[middle].sum() == pytest.approx(1)
    assert (line[middle, 1:-1] > 0.1).all()
    np.testing.assert_allclose(motion_kernel(6, np.pi / 2), line.T, atol=1e-6)
    flat = np.full((32, 32, 3), 0.3, dtype=np.float32)
    np.testing.assert_allclose(blurred(flat, np.random.default_rng(0)), flat, rtol=1e-5)


def test_noise_has_the_variance_of_photons_and_amplifier() -> None:
    rng = np.random.default_rng(1)
    for signal in (0.05, 0.4):
        seen = noisy(np.full((400, 400), signal, np.float32), 2e-3, 0.01, rng)
        assert seen.mean() == pytest.approx(signal, abs=5e-4)
        assert seen.var() == pytest.approx(2e-3 * signal + 1e-4, rel=0.03)
    gains, reads = zip(*(noise_levels(rng) for _ in range(200)), strict=True)
    assert 4e-5 < min(gains) < 1e-4 and 3e-3 < max(gains) < 5.1e-3
    assert np.corrcoef(np.log(gains), np.log(reads))[0, 1] > 0.8


@pytest.mark.parametrize("fill", [bilinear, malvar])
def test_demosaicing_is_exact_on_ramps(fill) -> None:  # type: ignore[no-untyped-def]
    y, x = np.mgrid[:24, :32].astype(np.float32)
    gray = 0.01 * x + 0.02 * y
    # The ramps differ in level, and by as much everywhere, as white balance errors do.
    scene = np.stack([gray + 0.1, gray, gray + 0.2], axis=-1)
    filled = fill(mosaic(scene))
    np.testing.assert_allclose(filled[4:-4, 4:-4], scene[4:-4, 4:-4], atol=1e-5)


def test_malvar_is_the_better_one_on_a_photograph() -> None:
    scene = to_linear(photograph()[:256, :256])
    errors = [((fill(mosaic(scene)) - scene) ** 2).mean() for fill in (bilinear, malvar)]
    assert errors[1] < 0.7 * errors[0]


def test_camera_images_differ_and_are_repeatable() -> None:
    tile = photograph()[:256, :256]
    made = [photographed(tile, np.random.default_rng(seed)) for seed in range(12)]
    for image in made:
        assert image.shape == tile.shape and image.dtype == np.uint8
        assert (image != tile).mean() > 0.2
    assert len({image.tobytes() for image in made}) == 12
    np.testing.assert_array_equal(made[3], photographed(tile, np.random.default_rng(3)))
    gray = [image for image in made if (image == image[..., :1]).all()]
    assert len(gray) < 6


def test_noise_of_enlarged_images_is_smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    tile = np.full((96, 128, 3), 120, dtype=np.uint8)
    for share in ("JPEG_ONLY_SHARE", "NOISE_ONLY_SHARE", "BLUR_SHARE", "JPEG_SHARE"):
        monkeypatch.setattr(development, share, 0.0)
    means = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(development, "ENLARGED_SHARE", share)
        made = [photographed(tile, np.random.default_rng(seed)).astype(float) for seed in range(30)]
        assert all(image.shape == tile.shape for image in made)
        # 1 for noise without a neighbourhood, 0 for what does not change from pixel to pixel.
        means.append(np.mean([np.diff(image, axis=1).var() / 2 / image.var() for image in made]))
    assert means[1] < 0.6 * means[0]


def test_noise_and_jpeg_alone() -> None:
    rng = np.random.default_rng(2)
    tile = np.full((128, 128, 3), 120, dtype=np.uint8)
    assert with_noise(tile, 4.0, rng).std() == pytest.approx(4, rel=0.05)
    photo = photograph()[:128, :128]
    found = as_jpeg(photo, rng, gray=False).astype(float)
    # Steps are larger across the borders of 8 x 8 blocks than elsewhere; the photograph's are not.
    excess = np.abs(np.diff(found, axis=1)).mean((0, 2)) / np.abs(
        np.diff(photo.astype(float), axis=1)
    ).mean((0, 2))
    border = np.arange(1, 128) % 8 == 0
    assert excess[border].mean() > excess[~border].mean()


@pytest.mark.parametrize("kind", DRAWINGS, ids=lambda kind: kind.__name__)
def test_drawings(kind) -> None:  # type: ignore[no-untyped-def]
    made = [kind(np.random.default_rng([5, seed])) for seed in range(6)]
    for tile in made:
        assert tile.shape == (256, 256, 3) and tile.dtype == np.uint8
    assert len({tile.tobytes() for tile in made}) == 6
    assert np.mean([tile.std() for tile in made]) > 20
    np.testing.assert_array_equal(made[1], kind(np.random.default_rng([5, 1])))


def test_gradients_are_smooth_and_often_gray_and_curved() -> None:
    made = [drawings.gradient(np.random.default_rng([6, seed])).astype(int) for seed in range(200)]
    gray = [tile for tile in made if (tile == tile[..., :1]).all()]
    assert 70 < len(gray) < 130
    # Neighbours differ by the steepest slope at most, but where a ramp begins again.
    jumps = [(np.abs(np.diff(tile, axis=1)).max(2) > 60).mean() for tile in made]
    assert max(jumps) < 0.07 and np.median(jumps) == 0
    # A power bends a straight ramp: its slopes differ from one another, which even ones do not.
    straight = [tile[0, :, 0] for tile in gray if (tile == tile[:1]).all()]
    slopes = [np.diff(row)[np.diff(row) > 0] for row in straight]
    bent = [found.max() - found.min() > 3 for found in slopes if len(found) > 20]
    assert any(bent) and not all(bent)


@pytest.mark.slow
def test_a_pack_is_repeatable_and_can_be_trained_on(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "native").mkdir()
    Image.fromarray(photograph()).save(tmp_path / "clean/a.png")
    Image.fromarray(photograph()).save(tmp_path / "native/b.png")
    options = ["--clean", str(tmp_path / "clean"), "--count", "24", "--seed", "3"]
    options += ["--native", str(tmp_path / "native")]
    for name in ("one", "two"):
        assert make_pack([str(tmp_path / f"{name}.npy"), *options]) == 0
    tiles, digest = load_tiles(tmp_path / "one.npy")
    again, same = load_tiles(tmp_path / "two.npy")
    assert tiles.shape == (24, 256, 256, 3) and digest == same
    np.testing.assert_array_equal(tiles, again)
    clean = {tile.tobytes() for tile in load_tiles(tmp_path / "clean")[0]}
    assert 4 <= sum(tile.tobytes() in clean for tile in tiles) <= 14
    np.save(tmp_path / "other.npy", np.zeros((2, 256, 256), dtype=np.uint8))
    with pytest.raises(HeqError, match="is no pack of tiles: it holds uint8"):
        load_tiles(tmp_path / "other.npy")
    (tmp_path / "text.npy").write_text("nothing")
    with pytest.raises(HeqError, match="cannot be read as a pack"):
        load_tiles(tmp_path / "text.npy")


def test_shares_of_a_pack(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    Image.fromarray(photograph()).save(tmp_path / "clean/a.png")
    own = {tile.tobytes() for tile in load_tiles(tmp_path / "clean")[0]}
    options = [str(tmp_path / "p.npy"), "--clean", str(tmp_path / "clean"), "--count", "8"]
    assert make_pack([*options, "--camera-share", "0", "--drawn-share", "0"]) == 0
    assert {tile.tobytes() for tile in load_tiles(tmp_path / "p.npy")[0]} <= own
    native = ["--native", str(tmp_path / "clean"), "--cuts", "40"]
    assert make_pack([*options, *native, "--camera-share", "0", "--drawn-share", "0"]) == 0
    # Ten cuts of the reduced photograph for each tile of its own, of which a few are drawn.
    assert sum(t.tobytes() not in own for t in load_tiles(tmp_path / "p.npy")[0]) >= 5
    assert make_pack([*options, "--camera-share", "0", "--drawn-share", "1"]) == 0
    assert not own & {tile.tobytes() for tile in load_tiles(tmp_path / "p.npy")[0]}
    gradients = ["--camera-share", "0", "--drawn-share", "1", "--drawn", "gradient"]
    assert make_pack([*options, *gradients]) == 0
    rngs = [np.random.default_rng([1, index]) for index in range(8)]
    expected = [drawings.drawing(rng, [drawings.gradient]) for rng in rngs]
    np.testing.assert_array_equal(load_tiles(tmp_path / "p.npy")[0], expected)
    only = ["--camera-share", "0", "--drawn-share", "0", "--noise-share", "1"]
    assert make_pack([*options, *only]) == 0
    clean = load_tiles(tmp_path / "clean")[0].astype(int)
    for tile in load_tiles(tmp_path / "p.npy")[0]:
        # One of the clean tiles, with noise of 1 to 12 samples.
        assert 0.9 < (tile - clean).std(axis=(1, 2, 3)).min() < 12.5
    with pytest.raises(SystemExit):
        make_pack([*options, "--camera-share", "0.6", "--drawn-share", "0.5"])


def test_held_out_photographs_by_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(photograph()[:70, :64]).save(tmp_path / folder / "x.png")
    groups = load_frame_groups(tmp_path)
    assert {name: [f.shape for f in frames] for name, frames in groups.items()} == {
        "a": [(64, 64, 3)],
        "b": [(64, 64, 3)],
    }
    Image.fromarray(photograph()[:32, :32]).save(tmp_path / "y.png")
    assert {name: len(frames) for name, frames in load_frame_groups(tmp_path).items()} == {"": 3}


def test_drawn_pictures_are_written_for_decoders_to_be_tested_with(tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert drawings.main([str(tmp_path / folder), "--count", "8", "--seed", str(seed)]) == 0
    files = {name: sorted((tmp_path / name).iterdir()) for name in "abc"}
    read = {name: [file.read_bytes() for file in files[name]] for name in files}
    assert read["a"] == read["b"]
    assert len(set(read["a"] + read["c"])) == 16
    kinds = {file.stem.split("-")[1] for file in files["a"]}
    assert kinds == {kind.__name__ for kind in DRAWINGS}
