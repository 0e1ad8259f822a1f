"""The variable-rate encoder's transforms, levels and plain inverse."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.cost_layer import CostLayer
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.nqe_r.layout import LEVELS, band_frequencies, cell_places
from heqcodec.nqe_r.quantizer import integer_steps, quantize, step_size, step_table, units
from heqcodec.nqe_r.transform import RateStem, dct_layers
from heqcodec.purenet.dequantizer import Dequantizer, default_places, fit_places
from heqcodec.purenet.trust import level_hints
from numpy.typing import NDArray
from sample_cost_layers import random_cost_layer
from scipy.fft import dctn


@pytest.fixture(scope="module")
def encoder() -> RateNqe:
    return RateNqe(stem_tensors())


@pytest.fixture(scope="module")
def choosy() -> RateNqe:
    """An encoder whose cost layer has random weights."""
    return RateNqe({**stem_tensors(), **random_cost_layer(7)})


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    from skimage import data

    return data.astronaut()[64:288, 96:352]


@pytest.fixture(scope="module")
def patches(photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return split_patches(photograph)


def extremes() -> NDArray[np.uint8]:
    """Patches of 0 and 255 that drive sums as far as they go."""
    rng = np.random.default_rng(3)
    signs = dct_layers()[0] > 0
    agree = [signs[u][:, None] == signs[v][None] for u in (0, 1, 7, 31) for v in (0, 2, 31)]
    plain = np.repeat(255 * np.stack(agree)[..., None], 3, axis=3)
    colours = rng.integers(0, 2, (8, 32, 32, 3)) * 255
    return np.concatenate([plain, colours]).astype(np.uint8)


class TestLayout:
    def test_orders_bands_by_frequency(self) -> None:
        squares = (band_frequencies() ** 2).sum(axis=1)
        assert (np.diff(squares) >= 0).all()
        assert sorted(16 * u + v for u, v in band_frequencies()) == list(range(256))

    def test_takes_each_cell_once(self) -> None:
        assert sorted(cell_places()) == list(range(LEVELS))


class TestStem:
    def test_has_the_coding_gain_of_the_exact_transform(self) -> None:
        for matrix, exact in zip(RateStem(dct_layers()).matrices, (9.7736, 9.4555), strict=True):
            n = len(matrix)
            correlation = 0.95 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
            variances = np.diag(matrix @ correlation @ matrix.T)
            duals = (np.linalg.inv(matrix) ** 2).sum(axis=0)
            assert -10 * np.log10(variances * duals).mean() == pytest.approx(exact, abs=0.004)

    def test_rows_have_equal_norms(self) -> None:
        for matrix in RateStem(dct_layers()).matrices:
            norms = (np.linalg.inv(matrix) ** 2).sum(axis=0) ** -0.5
            assert norms.max() / norms.min() < 1.025

    def test_is_exact_in_every_arithmetic(
        self, encoder: RateNqe, patches: NDArray[np.uint8]
    ) -> None:
        hard = np.concatenate([patches, extremes()])
        exact = encoder.coefficients(hard, "int64")
        np.testing.assert_array_equal(encoder.coefficients(hard), exact)
        np.testing.assert_array_equal(encoder.coefficients(hard, "float64"), exact)

    @pytest.mark.parametrize("size", [0, 1])
    def test_agrees_with_the_cosine_transform(
        self, encoder: RateNqe, patches: NDArray[np.uint8], size: int
    ) -> None:
        found = encoder.coefficients(patches)[:, size, 0] / units(encoder.stem)[size, 0]
        luma = (patches.astype(float).sum(axis=3) - 384) / 3**0.5
        if size == 0:
            exact = dctn(luma, axes=(1, 2), norm="ortho").reshape(len(luma), LEVELS)
            exact = exact[:, cell_places()]
            np.testing.assert_allclose(found, exact, rtol=0.03, atol=16)
        quarters = luma.reshape(-1, 2, 16, 2, 16).swapaxes(2, 3)
        fields = dctn(quarters, axes=(3, 4), norm="ortho").reshape(-1, 4, 16, 16)
        if size == 1:
            u, v = band_frequencies()[5]
            fifth = found.reshape(-1, 256, 4)[:, 5]
            np.testing.assert_allclose(fifth, fields[..., u, v], rtol=0.03, atol=2)
            means = fields[..., 0, 0].sum(axis=1) / 2
            np.testing.assert_allclose(found[:, 0], means, rtol=0.03, atol=2)

    def test_refuses_other_weights(self) -> None:
        with pytest.raises(ValueError, match="quinary"):
            RateStem(np.full((3, 32, 32), 3, dtype=np.int8))

    def test_gray_is_the_first_plane_of_equal_channels(
        self, encoder: RateNqe, patches: NDArray[np.uint8]
    ) -> None:
        gray = patches[..., :1]
        colour = np.repeat(gray, 3, axis=3)
        np.testing.assert_array_equal(
            encoder.coefficients(gray)[:, :, 0], encoder.coefficients(colour)[:, :, 0]
        )


class TestLevels:
    def test_steps_double_every_octave(self, encoder: RateNqe) -> None:
        nominal = [step_size(index) for index in (0, 128, 256, 1023)]
        assert nominal[:3] == [2, 4, 8] and nominal[3] < 512
        table = step_table(encoder.stem)
        for index in (0, 77, 400, 1023):
            wanted = step_size(index) * units(encoder.stem)
            np.testing.assert_allclose(integer_steps(table, index), wanted, rtol=0.02)
        with pytest.raises(ValueError, match="1023"):
            integer_steps(table, 1024)

    def test_levels_are_the_rounded_quotients(self) -> None:
        steps = np.array([16, 7, 1000], dtype=np.int32)
        given = np.arange(-40, 41, dtype=np.int32)[None, None].repeat(3, axis=1)
        given = np.pad(given, ((0, 0), (0, 0), (0, LEVELS - given.shape[2])))
        levels = quantize(given, steps, CostLayer(stem_tensors()), size=1)
        for plane, step in enumerate(steps):
            for value, level in zip(given[0, 0], levels[0, plane], strict=True):
                magnitude = abs(int(value))
                many = (magnitude + step // 2 - step // 16) // step
                wanted = many if many >= 2 else int(magnitude >= 11 * step // 16)
                assert level == int(np.sign(value)) * wanted

    def test_finer_steps_give_no_smaller_levels(
        self, encoder: RateNqe, patches: NDArray[np.uint8]
    ) -> None:
        given = encoder.coefficients(patches)
        energy = [
            int(np.abs(encoder.levels(given, step)[0].astype(int)).sum())
            for step in range(100, 1000, 100)
        ]
        assert energy == sorted(energy, reverse=True)

    def test_edges_take_quarters_and_smooth_patches_do_not(self, encoder: RateNqe) -> None:
        y, x = np.mgrid[:32, :32]
        smooth = (60 + 3 * x + 2 * y).astype(np.uint8)
        corner = np.where((x < 16) & (y < 16), (x * 37 + y * 91) % 256, 128).astype(np.uint8)
        given = encoder.coefficients(np.stack([smooth, corner])[..., None])
        assert encoder.levels(given, 512)[1].tolist() == [0, 1]

    def test_each_patch_alone(self, encoder: RateNqe, patches: NDArray[np.uint8]) -> None:
        levels, transform_sizes = encoder.levels(encoder.coefficients(patches), 500)
        for index in (0, 17, len(patches) - 1):
            one = encoder.coefficients(patches[index : index + 1])
            alone, size = encoder.levels(one, 500)
            np.testing.assert_array_equal(alone[0], levels[index])
            assert size[0] == transform_sizes[index]


class TestPlainInverse:
    @pytest.mark.parametrize(("step", "least"), [(0, 49.5), (300, 37), (553, 29.5), (1000, 17)])
    def test_is_as_close_as_the_step(
        self, encoder: RateNqe, patches: NDArray[np.uint8], step: int, least: float
    ) -> None:
        levels, transform_sizes = encoder.levels(encoder.coefficients(patches), step)
        back = Dequantizer(encoder, default_places()).pixels(levels, transform_sizes, step)
        error = back - np.moveaxis(patches, -1, 1).astype(np.float32)
        assert 10 * np.log10(255**2 / (error**2).mean()) > least
        assert 0 < transform_sizes.mean() < 1

    def test_of_gray_patches_has_equal_channels(
        self, encoder: RateNqe, patches: NDArray[np.uint8]
    ) -> None:
        gray = patches[..., :1]
        levels, transform_sizes = encoder.levels(encoder.coefficients(gray), 200)
        back = Dequantizer(encoder, default_places()).pixels(levels, transform_sizes, 200)
        assert np.abs(back[:, 0] - gray[..., 0]).max() < 24
        np.testing.assert_allclose(back[:, 1:], back[:, :1].repeat(2, axis=1), atol=1e-3)

    def test_fitted_places_are_the_means(
        self, encoder: RateNqe, patches: NDArray[np.uint8]
    ) -> None:
        given = encoder.coefficients(patches)
        fitted = Dequantizer(encoder, fit_places(encoder, given, [500]))
        plain = Dequantizer(encoder, default_places())
        levels, transform_sizes = encoder.levels(given, 500)
        truth = np.moveaxis(patches, -1, 1).astype(np.float32)
        errors = [
            float(((one.pixels(levels, transform_sizes, 500) - truth) ** 2).mean())
            for one in (fitted, plain)
        ]
        assert errors[0] < errors[1]

    @pytest.mark.parametrize("kind", ["encoder", "choosy"])
    def test_torch_twin_makes_the_same_frames_and_hints(
        self, kind: str, photograph: NDArray[np.uint8], request: pytest.FixtureRequest
    ) -> None:
        torch = pytest.importorskip("torch")
        from heqcodec.lab.training.rate_frames import RateFrames

        encoder: RateNqe = request.getfixturevalue(kind)

        rng = np.random.default_rng(5)
        places = default_places() + rng.normal(0, 0.05, default_places().shape).astype(np.float32)
        twin = RateFrames(encoder, places)
        frame = torch.from_numpy(photograph.transpose(2, 0, 1).copy())[None]
        steps = [120, 553, 700, 999]
        frames, hints = twin(frame.repeat(len(steps), 1, 1, 1), torch.tensor(steps))
        patches = split_patches(photograph)
        rows, columns = photograph.shape[0] // 32, photograph.shape[1] // 32
        for index, step in enumerate(steps):
            levels, chosen = encoder.levels(encoder.coefficients(patches), step)
            made = hints[index].flatten(1).numpy().T
            np.testing.assert_array_equal(made[:, 0], chosen)
            np.testing.assert_allclose(made[:, 1:], level_hints(levels), atol=2e-6)
            plain = Dequantizer(encoder, places).pixels(levels, chosen, step)
            grid = plain.reshape(rows, columns, 3, 32, 32).transpose(2, 0, 3, 1, 4)
            wanted = grid.reshape(3, *photograph.shape[:2]) / 255
            np.testing.assert_allclose(frames[index].numpy(), wanted, atol=2e-5)
