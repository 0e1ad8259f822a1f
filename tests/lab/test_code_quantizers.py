"""Codes of a patch at equal bits: how many there are of each, and what passes through them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
import typer
from heqcodec.lab.comparison import variants
from heqcodec.lab.comparison.codec_network import ENSEMBLES, REFINEMENTS
from heqcodec.lab.networks.code_quantizers import (
    BOTTLENECKS,
    CODES,
    POSITION_BITS,
    PairCode,
    make_code,
)
from heqcodec.lab.networks.position_attention import ATTENTIONS
from heqcodec.lab.networks.reduced import ReducedNqe
from heqcodec.nqe_vgg.skips import SKIPS
from typer.testing import CliRunner

POINTS = {
    "binary": [2] * 16,
    "scalar4": [4] * 8,
    "rectangular": [16] * 4,
    "hexagonal": [16] * 4,
    # L_x L_y + (L_x - 1)(L_y - 1)
    "rhombic": [13, 13, 13, 23],
    "rhombic-fine": [221, 263],
}


@pytest.mark.parametrize("name", CODES)
def test_bits_are_those_of_all_codes(name: str) -> None:
    code = make_code(name)
    assert code.bits == pytest.approx(math.log2(math.prod(POINTS[name])))
    assert code.bits <= POSITION_BITS
    # One more point in the smallest grid would not fit any more, but for those that fit exactly.
    assert code.bits == POSITION_BITS or code.bits > POSITION_BITS - 0.4


@pytest.mark.parametrize("name", CODES)
def test_values_are_of_so_many_points(name: str) -> None:
    torch.manual_seed(3)
    code = make_code(name)
    values = code(torch.randn(4000, code.channels, 2, 2)).movedim(1, -1).reshape(-1, code.channels)
    parts = POINTS[name]
    each = code.channels // len(parts)
    for place, points in enumerate(parts):
        own = values[:, place * each : (place + 1) * each]
        assert len(torch.unique(own.mul(1000).round(), dim=0)) == points
    assert values.abs().max() <= 1.25


@pytest.mark.parametrize("name", CODES)
def test_gradients_reach_what_is_not_cut_off(name: str) -> None:
    code = make_code(name)
    z = (0.3 * torch.randn(8, code.channels, 4, 4)).clamp(-0.9, 0.9).requires_grad_()
    code(z).sum().backward()
    assert z.grad is not None and bool((z.grad > 0).all())


def test_channels_of_a_pair_are_neighbours() -> None:
    code = make_code("rhombic")
    assert isinstance(code, PairCode)
    z = torch.randn(2, 8, 3, 5)
    with torch.no_grad():
        one = code(z)[1, :, 2, 4]
        assert torch.equal(one, code.pairs(z[1, :, 2, 4]))


def test_an_encoder_has_the_channels_of_its_code() -> None:
    for name in CODES:
        network = ReducedNqe(4, seed=1, code_quantizer=name)
        code = network(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
        assert code.shape == (2, make_code(name).channels, 4, 4)
    with pytest.raises(ValueError, match="codes are binary"):
        ReducedNqe(4, code_quantizer="ternary")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "key", "kinds"),
    [
        ("codes", "code", CODES),
        ("skips", "skips", SKIPS),
        ("bottleneck", "code", BOTTLENECKS),
        ("attention", "attention", ATTENTIONS),
        ("ensemble", "ensemble", ENSEMBLES),
        ("refinement", "refinement", REFINEMENTS),
    ],
)
def test_comparison_of_variants_goes_on(
    what: str, key: str, kinds: Iterable[str], photographs: Path, held_out: Path, tmp_path: Path
) -> None:
    app = typer.Typer()
    app.command()(variants.main)
    given = [what, str(photographs), "--held-out", str(held_out), "--out", str(tmp_path)]
    given += ["--minutes", "0.001", "--float-minutes", "0.001", "--width", "4", "--seeds", "1"]
    first = CliRunner().invoke(app, given)
    assert first.exit_code == 0, first.output
    rows = json.loads((tmp_path / f"{what}.json").read_text())["rows"]
    assert [row[key] for row in rows] == list(kinds) and all(row["psnr"] > 3 for row in rows)
    if what == "skips":
        shares = [share for row in rows[1:] for share in row["joined"].values()]
        assert len(shares) == 6 and all(0 <= share <= 1 for share in shares)
    again = CliRunner().invoke(app, given)
    assert again.output == (tmp_path / f"{what}.md").read_text()


def test_table_of_variants() -> None:
    figures = [("none", 1, 20.0), ("or", 1, 20.5), ("none", 2, 19.0), ("or", 2, 18.75)]
    rows = [
        {"skips": kind, "seed": seed, "psnr": psnr, "psnr_float": 18.0, "steps": 7}
        for kind, seed, psnr in figures
    ]
    *_, last, _, deviation = variants.markdown(rows, variants.VARIANTS["skips"]).splitlines()
    # Variances of 0.5 and 1.53.
    assert "by 1.01 dB" in deviation and "2 degrees" in deviation
    assert last == "| or | 18.00, 18.00 | 20.50, 18.75 | 19.62 | +0.50, -0.25 | 7, 7 |"
