"""What the C export is made of: fixed tables, packed weights, joined sources."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_runner import run
from heqcodec.base.errors import HeqError
from heqcodec.export.amalgamation import Amalgamation
from heqcodec.export.c_parts import check_levels, paired_near
from heqcodec.export.c_tables import CTable, tables_text
from heqcodec.export.transform_network import matrix_squares, products, square_lines
from heqcodec.native.transform_packing import pack_transform
from heqcodec.nqe_r import transform as rate_transform
from heqcodec.nqe_r.cost_layer import CostLayer
from heqcodec.nqe_t import transform as patch_transform
from heqcodec.nqe_t import zones as geometry
from heqcodec.nqe_vgg.bit_planes import pack_vgg
from sample_cost_layers import random_cost_layer
from sample_vgg import OTHER, PAPER, THIRD, random_encoder

NATIVE = Path(__file__).resolve().parents[2] / "codec" / "native"


def test_zones_of_the_c_source() -> None:
    text = (NATIVE / "heq_zones.h").read_text("utf-8")
    found = {
        name: [int(number) for number in re.findall(r"\d+", body)]
        for name, body in re.findall(r"(\w+)(?:\[\d+\])+ = \{(.*?)\};", text, re.DOTALL)
    }
    zones = geometry.zones()

    def places(members: tuple[geometry.Zone, ...]) -> tuple[list[int], list[int]]:
        listed, starts = [], [0]
        for zone in members:
            for half in zone.halves:
                row, column = np.divmod(half % geometry.SIDE**2, geometry.SIDE)
                listed += (32 * (row - geometry.MARGIN) + column - geometry.MARGIN).tolist()
                starts.append(len(listed))
        return listed, starts

    assert places(zones[:28]) == (found["luma_places"], found["luma_halves"])
    assert places(zones[28:35]) == (found["chroma_places"], found["chroma_halves"])
    assert places(zones[35:]) == places(zones[28:35])
    near = [(*zone.near, 255, 255, 255, 255)[:4] for zone in zones]
    assert found["zones_near"] == [index for row in near for index in row]


def unpacked(square: np.ndarray, side: int, layers: int) -> np.ndarray:
    """Digits (layers, side, side) of the bytes of a square."""
    bits = np.unpackbits(square.reshape(side, layers, 3, -1), axis=-1, bitorder="little")
    digits = (bits[..., :side].astype(int) * np.array([4, 2, 1])[:, None]).sum(axis=2) - 2
    return digits.swapaxes(0, 1)


@pytest.mark.parametrize(
    "layers", [rate_transform.dct_layers(), np.stack(patch_transform.dct_layers())]
)
def test_packed_transform_is_the_matrix(layers: np.ndarray) -> None:
    packed = pack_transform(layers, 5)
    count = len(layers)
    ends = np.cumsum([3 * count * 8, 3 * count * 4])
    squares = [packed.large, *np.split(packed.small, ends)]
    samples = np.random.default_rng(1).integers(-510, 511, 32)
    made = np.empty((count, 32), dtype=int)
    part, stride = samples, 1
    for square, side in zip(squares, (16, 8, 4, 4), strict=True):
        digits = unpacked(square, side, count)
        if square is squares[-1]:
            made[:, ::stride] = digits @ part
        else:
            half, mirrored = len(part) // 2, part[::-1]
            made[:, stride :: 2 * stride] = digits @ (part - mirrored)[:half]
            part, stride = (part + mirrored)[:half], 2 * stride
    np.testing.assert_array_equal(made, layers.astype(int) @ samples)
    assert packed.field < 2**15 and packed.sum < 2**31
    assert packed.large.nbytes + packed.small.nbytes == 144 * count


@pytest.mark.parametrize(
    "layers", [rate_transform.dct_layers(), np.stack(patch_transform.dct_layers())]
)
def test_sums_of_shifted_samples_are_the_matrix(layers: np.ndarray) -> None:
    for square, stride, begin in zip(
        matrix_squares(layers), (1, 2, 4, 4), (0, 1, 2, 0), strict=True
    ):
        lines = square_lines(square, stride, begin)
        x = np.random.default_rng(2).integers(-20_000, 20_001, len(square)).tolist()
        values: dict[str, object] = {"x": x, "y": [0] * 16}
        for line in lines:  # C statements of these forms are Python ones
            exec(re.sub(r"(SET|ADD|SUB)\((\w+), (.*)\);", _as_assignment, line), values)
        made = values["y"]
        assert isinstance(made, list)
        assert made[begin::stride][: len(square)] == (square @ np.array(x)).tolist()
        assert all("*" not in line for line in lines)


def _as_assignment(match: re.Match[str]) -> str:
    return f"{match[2]} {dict(SET='', ADD='+', SUB='-')[match[1]]}= {match[3]};"


def test_products_are_the_matrix() -> None:
    layers = rate_transform.dct_layers()
    large = np.tensordot([16, 4, 1], layers.astype(int), 1)
    odd, small, even_half, odd_half = np.split(products(layers), [256, 512, 576])
    np.testing.assert_array_equal(odd.reshape(16, 16), large[1::2, :16])
    np.testing.assert_array_equal(small.reshape(16, 16), large[::2, :16])
    np.testing.assert_array_equal(even_half.reshape(8, 8), large[::4, :8])
    np.testing.assert_array_equal(odd_half.reshape(8, 8), large[2::4, :8])
    with pytest.raises(HeqError, match="weights are too large"):
        products(np.concatenate([layers, layers[:1]]))


def test_sums_of_pairs_of_the_c_source() -> None:
    text = (NATIVE / "heq_pair_sums.h").read_text("utf-8")
    body = re.search(r"pair_sums\[25 \* 16\] = \{(.*?)\};", text, re.DOTALL)
    assert body
    found = np.array(re.findall(r"-?\d+", body[1]), dtype=int).reshape(5, 5, 4, 4)
    weights, magnitudes = np.arange(-2, 3), np.arange(4)
    wanted = (
        weights[:, None, None, None] * magnitudes
        + weights[None, :, None, None] * magnitudes[:, None]
    )
    np.testing.assert_array_equal(found, wanted)


def test_pairs_of_weights_are_those_of_the_cost_layer() -> None:
    layer = CostLayer(random_cost_layer(4))
    pairs = paired_near(layer).astype(int)
    weights = np.stack([pairs // 5 - 2, pairs % 5 - 2], axis=-1).reshape(2, 3, 4, 5, 5, 4)
    np.testing.assert_array_equal(weights.transpose(0, 1, 2, 5, 3, 4), layer.near)


def test_levels_that_a_code_cannot_hold_are_refused() -> None:
    layers, steps = rate_transform.dct_layers(), np.full((2, 3, 128), 1600, dtype=np.uint16)
    check_levels(layers, 5, steps)
    steps[1, 2, 7] = 600
    with pytest.raises(HeqError, match="levels of plane 2 could pass 4094"):
        check_levels(layers, 5, steps)


def test_transforms_that_c_cannot_have_are_refused() -> None:
    lopsided = rate_transform.dct_layers()
    lopsided[0, 5, 0] = 0
    with pytest.raises(HeqError, match="even and odd"):
        pack_transform(lopsided, 5)
    with pytest.raises(HeqError, match="more than 16 and 32 bits"):
        pack_transform(rate_transform.dct_layers(), 1)


def test_sources_are_joined_once_and_without_other_branches() -> None:
    header = "#ifndef HEQ_A_H\n#define HEQ_A_H\n#include <stdint.h>\nint a;\n#endif\n"
    source = (
        '#include "a.h"\n#include "b.h"\n#ifdef HEQ_DEVICE_TRACE\nint fast;\n#else\nint slow;\n'
        "#endif\n#ifndef HEQ_ENCODE_ONLY\nint decode;\n#endif\n"
        "#if X\nint x;\n#else\nint y;\n#endif\n"
        "HEQ_INTERNAL int f(int first,\n                   int second);\n"
    )
    joined = Amalgamation({"a.h": header, "b.h": '#include "a.h"\nint b;', "c.c": source}, ())
    text = joined.text("c.c")
    assert re.findall(r"int (\w+);", text) == ["a", "b", "slow", "x", "y"]
    assert "#if X" in text and "#include" not in text and "HEQ_A_H" not in text
    assert "static int f(int first,\n             int second);" in text
    assert joined.system_headers == ["#include <stdint.h>"]


def test_tables_tell_their_size() -> None:
    text = tables_text([CTable("a", np.arange(-3, 40, dtype=np.int8), "numbers")])
    assert "static const int8_t a[43] = {" in text and "sizeof a" in text
    assert [int(number) for number in re.findall(r"(-?\d+),", text)] == list(range(-3, 40))


def test_models_that_cannot_be_exported(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("export", "c", "--model", "nqe-x", "--out", out)
    assert result.exit_code == 2 and "'nqe-x' is not one of nqe-r, " in result.stderr
    assert not out.exists()
    result = run("export", "c", "--model", "nqe-t", "--out", tmp_path / "none" / "out")
    assert result.exit_code == 1 and "cannot be written" in result.stderr


@pytest.mark.parametrize("counts", [PAPER, OTHER, THIRD])
def test_packed_convolutions_are_the_weights(counts: tuple[int, ...]) -> None:
    layers = random_encoder(1, counts).layers
    packed = pack_vgg(layers)
    assert packed.planes.tolist() == [3, *({2: 1, 3: 2, 5: 3}[count] for count in counts[1:])]
    begin = 0
    for index, (item, planes) in enumerate(zip(layers, packed.planes.tolist(), strict=True)):
        outputs, inputs, side, _ = item.levels.shape
        width = 32 if index == 0 else 64
        words = outputs * (1 if index == 0 else side * side * inputs // 64)
        end = begin + words * planes * width // 8
        bits = np.unpackbits(packed.weights[begin:end], bitorder="little")
        begin = end
        bits = bits.reshape(words, planes, width).astype(int)
        sizes = (np.ones_like(bits[:, 0]), bits[:, 1 % planes], bits[:, 1 % planes])[planes - 1]
        if planes == 3:
            sizes = bits[:, 1] + 2 * bits[:, 2]
        weights = np.where(bits[:, 0] == 1, -sizes, sizes).reshape(outputs, -1)
        weights = weights[:, : inputs * side * side].reshape(outputs, side, side, inputs)
        np.testing.assert_array_equal(weights.transpose(0, 3, 1, 2), item.levels)
    assert begin == len(packed.weights)


@pytest.mark.parametrize("own_cuts", [False, True])
def test_packed_cuts_are_those_of_the_layers(own_cuts: bool) -> None:
    layers = random_encoder(2, OTHER, own_cuts).layers
    packed = pack_vgg(layers)
    counts = [len(la.layer.cuts) * (la.layer.outputs if own_cuts else 1) for la in layers]
    bits = np.unpackbits(packed.cuts)[: sum(counts) * packed.cut_bits]
    worth = 1 << np.arange(packed.cut_bits - 1, -1, -1)
    cuts = bits.reshape(-1, packed.cut_bits) @ worth - packed.cut_offset
    parts = np.split(cuts, np.cumsum(counts)[:-1])
    for item, part, bound in zip(layers, parts, packed.bounds, strict=True):
        sums = np.arange(-bound, bound + 1)
        reached = (sums[:, None] >= part.reshape(-1, len(item.layer.cuts))[0]).sum(axis=1)
        if item.thresholds is not None:
            wanted = (sums[:, None] >= item.thresholds[0]).sum(axis=1)
        elif len(item.layer.cuts) == 1:
            wanted = sums >= 0
        else:
            wanted = np.clip(sums >> item.shift, 0, 3)
        np.testing.assert_array_equal(reached, wanted)
    for shift in (-40, -1, 0, 40, 127):
        packed = pack_vgg([replace(la, thresholds=None, shift=shift) for la in layers])
        assert packed.cut_bits <= 16 and not packed.own_cuts


def test_convolutions_that_c_cannot_have_are_refused() -> None:
    with pytest.raises(HeqError, match="conv2 has weights of 4 levels"):
        pack_vgg(random_encoder(1, (5, 4, 3, 2, 2, 2, 2)).layers)
    first, *others = random_encoder(1).layers
    loud = replace(first, layer=replace(first.layer, top=1000))
    with pytest.raises(HeqError, match=r"conv1 reach .* more than 16 bits"):
        pack_vgg([loud, *others])
