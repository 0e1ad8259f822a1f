"""The transform stem: exact integers, quinary weights, and what it costs against the exact DCT."""

from __future__ import annotations

import numpy as np
import patch_code_reference as reference
import pytest
from adversarial import adversarial_patches
from heqcodec.base.numerics import Arithmetic
from heqcodec.models import registry
from heqcodec.nqe_t import zones as geometry
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.nqe_t.patch_code import Coefficients
from heqcodec.nqe_t.transform import TransformStem, dct_layers
from sample_patches import all_patches_of_a_photograph, noise_patches

EXACT_GAIN = 9.77
"""dB, the DCT of 32 points on a Markov source of correlation 0.95 (a closed form)."""


def worst_patches() -> np.ndarray:
    """Patches that drive coefficients to their extremes, noise and a photograph, all uint8."""
    coarse, fine = dct_layers()
    basis = np.sign(4.0 * coarse + fine)
    patches = []
    for u, v in ((0, 0), (0, 1), (1, 0), (5, 5), (16, 16), (8, 8), (31, 31), (24, 8)):
        positive = np.outer(basis[u], basis[v]) > 0
        for colour in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1)):
            up, down = np.array(colour), 1 - np.array(colour)
            patches.append(255 * np.where(positive[..., None], up, down))
            patches.append(255 * np.where(positive[..., None], down, up))
    extremes = np.stack(patches).astype(np.uint8)
    others = adversarial_patches(), noise_patches(10, seed=0), all_patches_of_a_photograph()
    return np.concatenate([extremes, *others])


@pytest.fixture(scope="module")
def levels(encoder: TransformNqe) -> np.ndarray:
    """8 T as the stem holds it, recovered from what it does: int64 (32, 32)."""
    return np.rint(8 * np.linalg.inv(encoder.stem.inverse_matrix.astype(np.float64))).astype(int)


def plain_integers(patches: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The page's formulas in int64 and nothing else."""
    x = patches.astype(np.int64)
    if x.shape[3] == 1:
        planes = 3 * x.transpose(0, 3, 1, 2) - 384
    else:
        r, g, b = x.transpose(3, 0, 1, 2)
        planes = np.stack([r + g + b - 384, r - b, r - 2 * g + b], axis=1)
    rows = (np.einsum("vx,ncyx->ncyv", levels, planes) + 4) >> 3
    made = (np.einsum("uy,ncyv->ncuv", levels, rows) + 4) >> 3
    if x.shape[3] == 3:
        made[:, 1] += made[:, 1] >> 2
        made[:, 2] = (made[:, 2] >> 1) + (made[:, 2] >> 2)
    return made


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "int64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_arithmetic_is_exact(
    encoder: TransformNqe, levels: np.ndarray, arithmetic: Arithmetic, channels: int
) -> None:
    patches = worst_patches()[..., :channels]
    made = encoder.stem.forward(patches, arithmetic)
    assert made.dtype == np.int32
    assert np.array_equal(made, plain_integers(patches, levels))


def test_scalar_reference_agrees(encoder: TransformNqe) -> None:
    coarse, fine = dct_layers()
    tables = {"coarse": coarse.tolist(), "fine": fine.tolist()}
    patches = worst_patches()[[0, 3, 21, -9, -1]]
    for part in (patches, patches[..., :1]):
        expected = [reference.transform_patch(patch, tables) for patch in part.tolist()]
        assert encoder.stem.forward(part).tolist() == expected


def test_coefficients_fit_the_top_plane(encoder: TransformNqe, levels: np.ndarray) -> None:
    # All that the weights allow, before and after the channel gains 1, 5/4 and 3/4.
    gain = np.abs(levels).sum(axis=1).max()
    for top, numerator in ((384, 4), (255, 5), (510, 3)):
        bound = (((top * gain + 4) >> 3) * gain + 4) >> 3
        assert bound * numerator / 4 < 2**18
    assert 2**17 < np.abs(encoder.stem.forward(worst_patches())).max() < 2**18


def test_weights_are_quinary_and_few(encoder: TransformNqe, levels: np.ndarray) -> None:
    coarse, fine = dct_layers()
    for layer in (coarse, fine):
        assert set(np.unique(layer)) == {-2, -1, 0, 1, 2}
    assert np.array_equal(4 * coarse.astype(int) + fine, levels)
    parts = registry.weight_bits("nqe-t")
    assert parts == encoder.weight_bits()
    tables = encoder.tables
    assert max(table.max() for table in (tables.significance, tables.flag)) < 2**7
    assert len(parts) == 4 and sum(parts.values()) <= 2**20
    entries = sum(table.size for table in tables[:3])
    assert parts["context states (7 bits)"] == 7 * entries
    assert parts["transform, quinary (3 bits)"] == 3 * (coarse.size + fine.size)


def test_other_weights_are_refused() -> None:
    coarse, fine = dct_layers()
    wide = coarse.copy()
    wide[3, 4] = 3
    with pytest.raises(ValueError, match="not quinary"):
        TransformStem(wide, fine)
    with pytest.raises(ValueError, match="not quinary"):
        TransformStem(coarse, 2 * fine)


def coding_gain(transform: np.ndarray, correlation: float = 0.95) -> float:
    """dB over samples at equal steps, rows scaled by their duals; Markov source of order one."""
    places = np.arange(len(transform))
    covariance = correlation ** np.abs(np.subtract.outer(places, places))
    variances = np.diag(transform @ covariance @ transform.T)
    dual_energies = (np.linalg.inv(transform) ** 2).sum(axis=0)
    return float(-10 * np.log10(variances * dual_energies).mean())


def test_coding_gain_is_near_that_of_the_exact_transform(levels: np.ndarray) -> None:
    u, x = np.indices((32, 32))
    exact = coding_gain(np.cos((2 * x + 1) * u * np.pi / 64))
    assert exact == pytest.approx(EXACT_GAIN, abs=0.01)
    assert exact - 0.1 < coding_gain(levels.astype(np.float64)) < exact
    # The second layer is what buys it.
    assert coding_gain(dct_layers()[0].astype(np.float64)) < exact - 0.6


def test_one_step_serves_all_coefficients(levels: np.ndarray) -> None:
    dual_norms = np.linalg.norm(np.linalg.inv(levels / 8), axis=0)
    assert np.abs(4 * dual_norms - 1).max() < 0.06


@pytest.mark.parametrize("channels", [1, 3])
def test_inverse_restores_the_pixels(encoder: TransformNqe, channels: int) -> None:
    patches = worst_patches()[..., :channels]
    coefficients = encoder.stem.forward(patches).reshape(len(patches), -1).T
    shape = geometry.CELLS, len(patches)
    low, negative = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=bool)
    inside = geometry.cell_map()[: len(coefficients)]
    low[inside], negative[inside] = np.abs(coefficients), coefficients < 0
    intervals = Coefficients(low, np.zeros_like(low), negative, np.zeros(shape, dtype=np.uint8))
    restored = TransformCodeReader(encoder).pixels(intervals)
    error = restored - patches.transpose(0, 3, 1, 2).astype(np.float64)
    assert np.abs(error).max() < 1
    assert np.sqrt((error**2).mean()) < 0.2


def test_cells_by_patch_are_frequencies_of_planes() -> None:
    cells = np.arange(2 * geometry.CELLS).reshape(geometry.CELLS, 2)
    found = geometry.by_patch(cells)
    assert found.shape == (2, 3, 32, 32) and np.shares_memory(found, cells)
    for place in ((0, 0, 0), (1, 31, 5), (2, 7, 31)):
        assert found[(slice(None), *place)].tolist() == cells[geometry.cell(*place)].tolist()
