"""`nqe-vgg` in C and in numpy: the same bytes by every kernel, and which of them encodes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import heqcodec.nqe_vgg.native_encoder as native_vgg
import numpy as np
import pytest
from adversarial import adversarial_patches
from command_runner import run
from heqcodec.base import threads
from heqcodec.export.vectors import pnm, scene
from heqcodec.models import registry
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.nqe_vgg.payload import RATES
from sample_patches import photograph_patches
from sample_vgg import OTHER, PAPER, THIRD, random_encoder
from slow_cases import slow

needs_native = pytest.mark.skipif(
    find_spec("heqcodec._native") is None, reason="the C extension is not built"
)


def some_patches() -> np.ndarray:
    """Photographs, noise, and the ends of what may come; uint8 (N, 32, 32, 3)."""
    noise = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    return np.concatenate([photograph_patches()[:6], noise, adversarial_patches(1)])


@needs_native
@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(lambda: registry.load_encoder("nqe-vgg").network, id="shipped"),
        slow(lambda: random_encoder(1, PAPER, own_cuts=True), id="thresholds"),
        slow(lambda: random_encoder(2, OTHER), id="other levels"),
        slow(lambda: random_encoder(3, THIRD, own_cuts=False), id="third levels"),
    ],
)
def test_c_and_numpy_agree(encoder) -> None:
    native = encoder()
    plain = IntegerVgg(native.layers, native=False)
    assert plain.native is None and plain.kernel == "numpy"
    patches = some_patches()
    wanted = plain.codes(patches)
    assert 0.01 < wanted.mean() < 0.99
    np.testing.assert_array_equal(native.codes(patches), wanted)
    totals = plain.totals(patches)
    kernels = native.native.kernels
    assert native.kernel == f"C, {kernels[0]}"
    for index in range(len(kernels)):
        by_kernel = native_vgg.NativeVgg(native.native._extension, native.native._packed, index)
        codes = np.unpackbits(by_kernel.codes(patches), axis=1).reshape(wanted.shape)
        np.testing.assert_array_equal(codes, wanted, kernels[index])
        np.testing.assert_array_equal(by_kernel.totals(patches), totals)
    np.testing.assert_array_equal(native.totals(patches[:2]), plain.totals(patches[:2], "int64"))
    grey = patches[..., :1]
    np.testing.assert_array_equal(native.totals(grey[:3]), plain.totals(grey[:3]))
    for bits in (RATES[0], RATES[-1]):
        made = native.encode_patches(grey[:6], bits)
        np.testing.assert_array_equal(made, plain.encode_patches(grey[:6], bits))
        assert made.shape == (6, bits // 8)
    assert native.encode_patches(patches[:0], 64).shape == (0, 8)


@needs_native
def test_threads_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = registry.load_encoder("nqe-vgg").network
    patches = some_patches()
    alone = encoder.encode_patches(patches, 512)
    used = []

    class Pool(threads.ThreadPoolExecutor):
        def __init__(self, count: int) -> None:
            used.append(count)
            super().__init__(count)

    monkeypatch.setattr(threads, "ThreadPoolExecutor", Pool)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    np.testing.assert_array_equal(encoder.encode_patches(patches, 512), alone)
    assert used == [min(3, len(patches) // native_vgg.LEAST)]
    assert used[0] > 1


def test_numpy_encodes_where_c_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    four = random_encoder(1, (5, 4, 3, 2, 2, 2, 2))
    assert four.kernel == "numpy"
    assert four.encode_patches(some_patches()[:2], 64).shape == (2, 8)
    monkeypatch.setattr(native_vgg, "native_extension", lambda: None)
    without = random_encoder(1)
    assert without.kernel == "numpy"
    assert without.encode_patches(some_patches()[:2], 64).shape == (2, 8)


@needs_native
def test_wrong_arrays_are_refused() -> None:
    native = random_encoder(4).native
    packed, extension = native._packed, native._extension
    patches = np.zeros((1, 32, 32, 3), np.uint8)
    codes = np.zeros((1, 64), np.uint8)

    def call(packed: native_vgg.PackedVgg, channels: int = 3, kernel: int = 0) -> None:
        extension.vgg_codes(*packed[:6], patches, channels, codes, kernel, False)

    call(packed)
    for wrong in (
        packed._replace(weights=packed.weights[1:]),
        packed._replace(cuts=packed.cuts[:-1]),
        packed._replace(planes=np.full(7, 4, np.uint8)),
        packed._replace(cut_bits=17),
    ):
        with pytest.raises(ValueError):
            call(wrong)
    with pytest.raises(ValueError, match="no such kernel"):
        call(packed, kernel=len(native.kernels))
    with pytest.raises(ValueError, match="channels"):
        call(packed, channels=2)


@needs_native
def test_verbose_says_what_encodes(tmp_path: Path) -> None:
    image, out = tmp_path / "image.ppm", tmp_path / "out.heq"
    image.write_bytes(pnm(scene(40, 40, 3)))
    for model in ("nqe-vgg", "nqe-t", "nqe-r"):
        result = run("encode", image, out, "--model", model, "--verbose", "--force")
        assert result.exit_code == 0, result.stderr
        assert f"encoded by {model}, {registry.encoder_kernel(model)}." in result.stderr
        assert registry.encoder_kernel(model).startswith("C")
