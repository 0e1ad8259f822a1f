"""What the packed coder expects at the borders of patches, to the last bit."""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_r.packed_coder import borders
from heqcodec.nqe_r.packed_coder import tables as tables_module
from sample_packed_strips import TABLES


def test_expected_levels_are_rounded_half_up() -> None:
    weights = np.zeros_like(TABLES["border"])
    weights[..., 0] = 1
    around = borders.Borders(
        tables_module.checked_tables({**TABLES, "border": weights}), np.zeros((1, 1), np.uint8)
    )
    whole = borders.Position(0, 0, 0, 1, 0)
    beyond: list[np.ndarray | None] = [np.full(32, 2047), None, None, None]
    assert around.expect(whole, 1, beyond) == (0, [2047, 0, 0, 0])
    quarters = borders.Position(0, 0, 0, 1, 1)
    for sub in (1, 2, 3):
        assert around.expect(quarters, sub, [None] * 4) == (0, [0] * 4)
    # Beyond: 100 along the first quarter of each side, and 10 along the second.
    beyond = [100 * (np.arange(32) == 0) + 10 * (np.arange(32) == 16)] * 4
    assert [around.expect(quarters, sub, beyond)[1] for sub in (1, 2, 3)] == [
        [110, 90, 110, 90],
        [90, 110, 90, 110],
        [90] * 4,
    ]


def test_profiles_are_rounded_half_up_between_sizes() -> None:
    tables = tables_module.checked_tables({**TABLES, "halves": np.eye(32, dtype=np.int16)})
    around = borders.Borders(tables, np.array([[0, 1]], dtype=np.uint8))
    around._profiles[0, 0, 1, borders.LEFT, :4] = 2047, 2048, -2048, -2049
    beyond = around.around(borders.Position(0, 0, 0, 3, 0))[borders.RIGHT]
    assert beyond is not None and beyond[:4].tolist() == [0, 1, 0, -1]
