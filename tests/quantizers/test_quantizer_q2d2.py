"""Q2D2: sizes of grids, nearest points against brute force, codes and gradients."""

import math

import pytest
import torch
from heqcodec.quantizers.pair_grids import SHAPES, PairGrid
from heqcodec.quantizers.q2d2 import PairQuantizer, PairWeightQuantizer


@pytest.mark.parametrize(
    ("shape", "levels", "size"),
    [
        ("rhombic", (7, 7), 85),
        ("rhombic", (9, 9), 145),
        ("rhombic", (3, 5), 23),
        ("hexagonal", (7, 7), 49),
        ("hexagonal", (4, 4), 16),
        ("rectangular", (7, 7), 49),
        ("rectangular", (2, 5), 10),
    ],
)
def test_sizes(shape, levels, size):
    grid = PairGrid(shape, levels)
    points = grid.points()
    assert grid.size == size == len(points) == len(points.unique(dim=0))
    assert points.abs().max() <= max(levels) / 2
    torch.testing.assert_close(points.mean(0), torch.zeros(2), atol=0.13, rtol=0)
    assert {float(v) for v in points.unique()} == set(grid.coordinates())


@pytest.mark.parametrize(
    ("shape", "levels"),
    [(shape, levels) for shape in SHAPES for levels in ((3, 3), (7, 7))]
    + [("rhombic", (5, 9)), ("rectangular", (2, 6)), ("hexagonal", (2, 2)), ("hexagonal", (6, 6))],
)
def test_nearest_points_are_those_of_a_full_search(shape, levels):
    torch.manual_seed(0)
    grid = PairGrid(shape, levels)
    pairs = (torch.rand(4000, 2) - 0.5) * (max(levels) + 3)
    points = grid.points()
    least = torch.cdist(pairs, points).amin(1)
    nearest = grid.nearest(pairs)
    torch.testing.assert_close((pairs - nearest).norm(dim=1), least, rtol=1e-4, atol=1e-3)
    assert torch.equal(points[grid.indices(pairs)], nearest)
    assert torch.equal(grid.indices(points), torch.arange(grid.size))


def test_published_codebooks():
    rates = {
        ("hexagonal", (7,) * 6): (117_649, 16.84),
        ("rhombic", (7,) * 6): (614_125, 19.23),
        ("rhombic", (9, 9, 7, 7, 7, 7)): (1_047_625, 20.0),
        ("rhombic", (9, 9, 9, 9, 7, 7)): (1_787_125, 20.77),
    }
    for (shape, levels), (size, bits) in rates.items():
        quantizer = PairQuantizer(levels, shape)
        assert quantizer.codebook_size == size
        assert quantizer.bits == pytest.approx(bits, abs=5e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_codes_decode_to_what_was_quantized_and_all_are_used(shape):
    torch.manual_seed(1)
    quantizer = PairQuantizer((5, 5, 3, 3), shape)
    x = 1.3 * torch.randn(50, 400, 4)
    y, indices = quantizer(x), quantizer.indices(x)
    assert indices.shape == (50, 400)
    assert indices.min() >= 0 and indices.max() < quantizer.codebook_size
    torch.testing.assert_close(quantizer.decode(indices), y)
    assert y.abs().max() <= 1.26
    first = indices % quantizer.grids[0].size
    assert len(first.unique()) == quantizer.grids[0].size


def test_gradient_is_that_of_the_tanh_over_the_divisor():
    x = torch.tensor([[-1.0, 0.2, 0.7, 2.0]], requires_grad=True)
    PairQuantizer((7, 7, 4, 4), "rectangular")(x).sum().backward()
    slope = 1 - x.detach().tanh().square()
    torch.testing.assert_close(x.grad, slope / torch.tensor([3.0, 3.0, 2.0, 2.0]))
    half = PairQuantizer((7, 7))(x[:, :2].detach().bfloat16())
    assert half.dtype == torch.float32


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_weights_use_the_grid_evenly(shape):
    torch.manual_seed(2)
    weight = 0.03 * torch.randn(200_000)
    quantizer = PairWeightQuantizer(shape, 5)
    quantizer.refresh(weight)
    pairs = quantizer(weight).view(-1, 2)
    indices = quantizer.grid.indices(pairs)
    assert torch.equal(quantizer.grid.points()[indices], pairs)
    p = torch.bincount(indices, minlength=quantizer.grid.size).double() / len(pairs)
    entropy = float(-torch.xlogy(p, p).sum()) / math.log(2)
    # The rows of a hexagonal grid end beyond the range on one side and short of it on the other.
    assert entropy > (0.95 if shape == "hexagonal" else 0.97) * quantizer.pair_bits
    assert quantizer.bits == 3


def test_weight_gradient_is_one_at_zero_and_fades():
    quantizer = PairWeightQuantizer()
    w = torch.tensor([0.0, 1.0, -5.0, 0.0], requires_grad=True)
    quantizer(w).sum().backward()
    expected = 1 - (0.851 * w.detach()).tanh().square()
    torch.testing.assert_close(w.grad, expected)


def test_what_makes_no_grid_is_refused():
    for arguments in (("rhombic", (4, 5)), ("hexagonal", (3, 4)), ("square", (3, 3))):
        with pytest.raises(ValueError):
            PairGrid(*arguments)
    with pytest.raises(ValueError, match="2 levels or more"):
        PairGrid("rectangular", (1, 3))
    with pytest.raises(ValueError, match="in pairs"):
        PairQuantizer((7, 7, 7))
    with pytest.raises(ValueError, match="do not make pairs"):
        PairWeightQuantizer()(torch.zeros(3))


def test_features_and_weights_are_stretched_by_a_thousandth():
    """(L - 1)(1 + 1e-3) / 2 of Q2D2: thresholds of the grid lie where 3.003 tanh is a half."""
    half = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)
    for side in (-1, 1):
        # A tenth of the difference that the stretch makes.
        z = (half / 3.003 * (1 + side * 1e-4)).atanh()
        expected = half + side / 2
        y = PairQuantizer((7, 7), "rectangular")(torch.stack([z, -z], dim=1))
        torch.testing.assert_close(y * 3, torch.stack([expected, -expected], 1), check_dtype=False)
        weight = (z / 0.851).repeat_interleave(2).float()
        points = PairWeightQuantizer("rectangular", 7)(weight)
        assert points.tolist() == expected.repeat_interleave(2).tolist()
