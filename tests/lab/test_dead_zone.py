"""The thresholds of `heqcodec.lab.comparison.dead_zone` are those of CoDeQ's quantizer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heqcodec.lab.comparison.dead_zone import codeq_levels, cost, distortion, entropies, uniform
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.quantizers.codeq import DeadZoneQuantizer

STEP = 500


@pytest.mark.parametrize("sixteenths", [6, 11, 24])
def test_levels_are_codes_of_the_quantizer(sixteenths: int) -> None:
    encoder = RateNqe(stem_tensors())
    rng = np.random.default_rng(1)
    spread = 1.5 * float(encoder.integer_steps(STEP).mean())
    coefficients = rng.laplace(0, spread, (6, 2, 3, 1024)).astype(np.int32)
    levels, transform_sizes = codeq_levels(encoder, uniform(sixteenths))(coefficients, STEP)
    steps = encoder.integer_steps(STEP)
    chosen = coefficients[np.arange(6), transform_sizes]
    quantizer = DeadZoneQuantizer(bits=16)
    half, top = sixteenths / 16, 2**15 - 1
    # A range at which the quantizer's step is 1, and the parameter of that dead zone.
    quantizer.double().magnitude.fill_(top - 0.5 + half)
    with torch.no_grad():
        share = 1 - half / float(quantizer.magnitude)
        quantizer.dead_zone_logit.fill_(float(np.arctanh(share)))
        scaled = torch.from_numpy(chosen / steps[transform_sizes][:, :, None])
        wanted = quantizer.codes(scaled).numpy()
    # Where a coefficient lies on a threshold the float may fall to either side.
    beyond = (np.abs(scaled.numpy()) - half) % 1
    clear = np.minimum(beyond, 1 - beyond) > 1e-6
    assert clear.mean() > 0.9 and len(np.unique(levels)) > 5
    assert np.array_equal(levels[clear], wanted[clear])


def test_cost_is_squared_error_and_entropy() -> None:
    x = np.array([0.2, 0.4, 1.1, 1.3, 2.0, 5.0], np.float32)
    levels = np.array([0, 0, 1, 1, 2, 5])
    # Levels of 1 stand at 1.2; those of 2 and 5 are alone in their classes.
    assert distortion(x, levels) == pytest.approx(0.2 + 0.02, abs=1e-5)
    bands = np.array([0, 0, 0, 0, 1, 2])
    # Four magnitudes of one bit, and four signs.
    assert entropies(levels, bands) == pytest.approx(4 + 4)
    found = cost(x, bands, 8)
    assert found == pytest.approx(distortion(x, levels) + 0.14 * 8, abs=1e-5)
