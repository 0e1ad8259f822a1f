"""What a model brings to its C encoder: tables of weights, sources, and words for the header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.container.header import Coder, Mode
from heqcodec.native.transform_packing import PackedTransform, pack_transform
from heqcodec.nqe_r.cost_layer import CostLayer
from heqcodec.nqe_vgg.bit_planes import PackedVgg, pack_vgg
from numpy.typing import NDArray

from .c_tables import FAST_ONLY, NOT_FAST, TWO_PRODUCTS, CTable
from .transform_network import network_text, products

if TYPE_CHECKING:
    from heqcodec.nqe_vgg.encoder import VggNqe


class CParts(NamedTuple):
    """The parts of an encoder.

    Attributes:
        mode, coder: of the header.
        encoder_id, coder_id: likewise, 8 bytes.
        tables: of weights.
        constants: lines of an enumeration: what else the sources must know, and bounds of sums.
        kernels: sources of ``codec/native`` that it is made of.
        driver: source of ``codec/export/c`` that puts them together.
        words: for the placeholders of heq_encoder.h.
        written: further sources by name, written for the weights.
    """

    mode: Mode
    coder: Coder
    encoder_id: bytes
    coder_id: bytes
    tables: list[CTable]
    constants: tuple[str, ...]
    kernels: tuple[str, ...]
    driver: str
    words: dict[str, str]
    written: Mapping[str, str] = {}


NETWORK = "heq_transform_network.h"
Tensors = Mapping[str, NDArray[Any]]


def rate_parts(tensors: Tensors, default_quality: float) -> CParts:
    """The parts of a model of variable rate.

    Args:
        tensors: of its encoder and of its device coder.
        default_quality: 1 to 100.

    Raises:
        HeqError: it does not fit the C source.
    """
    from heqcodec.file.options import step_of_quality
    from heqcodec.nqe_r.coders import OWN
    from heqcodec.nqe_r.encoder import RateNqe, packed_cross, packed_near
    from heqcodec.nqe_r.transform import STAGE_SHIFT

    encoder = RateNqe(tensors, native=False)
    coder = OWN.make(tensors)
    layer = encoder.costs
    layers = tensors["layers"]
    transform = pack_transform(layers, STAGE_SHIFT)
    check_levels(layers, STAGE_SHIFT, tensors["steps"])
    tables = [
        *transform_tables(transform, layers),
        CTable(
            "rate_steps",
            tensors["steps"],
            "steps of an octave in sixteenths, by transform size and plane",
        ),
        CTable(
            "cost_near",
            packed_near(layer),
            "quinary weights of the levels around, bit planes",
            FAST_ONLY,
        ),
        CTable("cost_cross", packed_cross(layer), "and of the other planes", FAST_ONLY),
        CTable("cost_pairs", paired_near(layer), "weights of the levels around, by twos", NOT_FAST),
        CTable("cost_others", layer.cross, "and of the other planes", NOT_FAST),
        CTable("cost_bias", layer.bias, "biases by transform size, plane and level"),
        CTable("cost_shifts", layer.shifts, "shifts of the two sums"),
        CTable(
            "device_start", tensors["start"], "log odds of each context at the start of a strip"
        ),
        CTable("device_weights", tensors["weights"], "weights of a decision's contexts, by set"),
        CTable("device_scores", tensors["scores"], "log odds of a level by bins of sums around it"),
        CTable(
            "device_places", tensors["places"], "log odds of a level by plane, size, band and level"
        ),
        CTable("device_stretch", tensors["stretch"], "log odds by probability"),
        CTable("device_squash", tensors["squash"], "probability by log odds"),
        CTable("device_widths", tensors["widths"], "width of the rarer bit by log odds and range"),
    ]
    words = {
        "STRIP_ROWS": str(OWN.strip_rows),
        "DEFAULT_RATE": str(step_of_quality(default_quality)),
        "ENCODER_BYTES": "22480",
        "WIDE_BYTES": "22540",  # where addresses have 64 bits
    }
    return CParts(
        Mode.RATE,
        OWN.number,
        encoder.encoder_id,
        coder.coder_id,
        tables,
        transform_constants(transform),
        (
            "heq_transform.c",
            "heq_transform_fast.c",
            "heq_levels.c",
            "heq_levels_fast.c",
            "heq_levels_codes.c",
            "heq_device.c",
        ),
        "heq_rate_encoder.c",
        words,
        {NETWORK: network_text(layers)},
    )


def patch_parts(tensors: Tensors) -> CParts:
    """The parts of a patch-constant model of the family of nqe-t; errors as `rate_parts`."""
    from heqcodec.nqe_t.encoder import TransformNqe
    from heqcodec.nqe_t.transform import STAGE_SHIFT

    encoder = TransformNqe(tensors)
    layers = np.stack([tensors["coarse"], tensors["fine"]])
    transform = pack_transform(layers, STAGE_SHIFT)
    tables = [
        *transform_tables(transform, layers),
        rates_table(encoder.rates),
        CTable("patch_significance", tensors["significance"], "states; see heq_patch_tables"),
        CTable("patch_flag", tensors["flag"], "states; see heq_patch_tables"),
        CTable("patch_refinement", tensors["refinement"], "states; see heq_patch_tables"),
        CTable("patch_lps", tensors["lps"], "width of bit 1 by state and range"),
        CTable("patch_order", tensors["order"], "zones as they are coded"),
    ]
    words = patch_words(encoder.rates, 10368, "0.9 KB")
    return CParts(
        Mode.PATCH,
        Coder.PATCH,
        encoder.encoder_id,
        encoder.coder_id,
        tables,
        transform_constants(transform),
        ("heq_transform.c", "heq_transform_fast.c", "heq_patch_code.c"),
        "heq_patch_encoder.c",
        words,
        {NETWORK: network_text(layers)},
    )


def vgg_parts(tensors: Tensors) -> CParts:
    """The parts of nqe-vgg; errors as `rate_parts`."""
    from heqcodec.nqe_t.transform import STAGE_SHIFT
    from heqcodec.nqe_vgg.encoder import VggNqe

    encoder = VggNqe(tensors)
    packed = pack_vgg(encoder.network.layers)
    layers = np.stack([tensors["coarse"], tensors["fine"]])
    transform = pack_transform(layers, STAGE_SHIFT)
    tables = [
        rates_table(encoder.rates),
        *vgg_tables(packed),
        *transform_tables(transform, layers),
        *class_tables(encoder),
    ]
    return CParts(
        Mode.PATCH,
        Coder.NONE,
        encoder.encoder_id,
        encoder.coder_id,
        tables,
        (
            *transform_constants(transform, end=","),
            f"CLASS_SHIFT = {int(encoder.band_shift[0])},",
            *vgg_constants(packed),
        ),
        (
            # The transform first: only the scalar convolutions include its heq_shifts.h.
            "heq_transform.c",
            "heq_transform_fast.c",
            "heq_vgg.c",
            "heq_vgg_fast.c",
            "heq_coefficients.c",
            "heq_class_code.c",
        ),
        "heq_vgg_encoder.c",
        patch_words(encoder.rates, 27392, "4 KB"),
        {NETWORK: network_text(layers)},
    )


def class_tables(encoder: VggNqe) -> list[CTable]:
    """The tables of classes and of the quantizer."""
    allocation = encoder.allocation
    pairs = allocation.scales.reshape(-1, 2)
    return [
        CTable("class_scales", pairs[:, 0] | pairs[:, 1] << 4, "by class, two a byte"),
        CTable("class_cuts", allocation.cuts, "thresholds of magnitudes"),
        CTable("class_gains", allocation.gains, "what a coefficient's bits are worth"),
        CTable("class_bias", encoder.bias, "of the classes"),
        CTable("class_bands", packed_bands(encoder.bands), "weights of bands, bit planes"),
    ]


def packed_bands(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Quinary weights (32, 23) to bit planes, uint8 (32, 3, 3): below 0, of magnitude 1, of 2."""
    padded = np.zeros((len(weights), 24), dtype=np.int8)
    padded[:, : weights.shape[1]] = weights
    planes = np.stack([padded < 0, np.abs(padded) == 1, np.abs(padded) == 2], axis=1)
    return np.packbits(planes, axis=-1, bitorder="little")


def vgg_tables(packed: PackedVgg) -> list[CTable]:
    """The tables of packed convolutions."""
    return [
        CTable("vgg_planes", packed.planes, "bit planes of each layer's weights"),
        CTable("vgg_cuts", packed.cuts, "where outputs step up, bit fields; see heq_vgg"),
        CTable("vgg_weights", packed.weights, "of all layers, bit planes; see heq_vgg"),
    ]


def vgg_constants(packed: PackedVgg) -> tuple[str, ...]:
    """What the sources must know of packed convolutions."""
    bounds = ", ".join(f"{bound:,}" for bound in packed.bounds)
    return (
        f"/* Sums of the layers reach {bounds}. */",
        f"VGG_CUT_BITS = {packed.cut_bits},",
        f"VGG_CUT_OFFSET = {packed.cut_offset},",
        f"VGG_CUTS_OF_EACH_OUTPUT = {int(packed.own_cuts)}",
    )


def patch_words(rates: tuple[int, ...], encoder_bytes: int, stack: str) -> dict[str, str]:
    """Words for the header of a patch-constant model."""
    from heqcodec.file.options import BITS_PER_PIXEL, DEFAULT_BPP

    return {
        "RATES": ", ".join(map(str, rates)),
        "STRIP_ROWS": "1",
        "DEFAULT_RATE": str(BITS_PER_PIXEL[DEFAULT_BPP]),
        "ENCODER_BYTES": str(encoder_bytes),
        "STACK": stack,
    }


def rates_table(rates: tuple[int, ...]) -> CTable:
    """The rates of a patch-constant model."""
    return CTable("patch_rates", np.array(rates, dtype=np.uint16), "bits of a patch")


def transform_constants(transform: PackedTransform, end: str = "") -> tuple[str, ...]:
    """What the sources must know of a packed transform."""
    return (
        f"TRANSFORM_LAYERS = {transform.layers},",
        f"/* Magnitudes reach {transform.field:,} after the rows; sums stay below"
        f" {transform.sum:,}. */",
        f"TRANSFORM_SHIFT = {transform.shift}{end}",
    )


def transform_tables(transform: PackedTransform, layers: NDArray[np.int8]) -> list[CTable]:
    """The tables of a transform.

    Args:
        transform, layers: the same, packed and as digits (L, 32, 32).
    """
    return [
        CTable(
            "transform_large",
            transform.large,
            "quinary weights of 32 points, bit planes",
            FAST_ONLY,
        ),
        CTable("transform_small", transform.small, "and of 16, 8 and 4 points", FAST_ONLY),
        CTable("transform_products", products(layers), "weights of 32 and 16 points", TWO_PRODUCTS),
    ]


LARGEST_SAMPLES = (384, 255, 510)
"""Magnitudes of samples, by colour plane."""
LARGEST_LEVEL = 4094
"""That a code of codec/native/heq_field.h holds."""


def check_levels(layers: NDArray[np.int8], shift: int, steps: NDArray[np.uint16]) -> None:
    """Raise HeqError where a level could pass what the kernels without vectors hold.

    Args:
        layers: int8 (L, 32, 32), digits of the transform.
        shift: of the rounding of a stage.
        steps: uint16 (2, 3, 128), sixteenths, by size and plane: those of the finest octave.
    """
    worth = 4 ** np.arange(len(layers) - 1, -1, -1, dtype=np.int64)
    matrix = np.abs((worth[:, None, None] * layers).sum(axis=0))
    gains = (matrix.sum(axis=1).max(), matrix[::2, :16].sum(axis=1).max())
    for size, gain in enumerate(gains):
        for plane, largest in enumerate(LARGEST_SAMPLES):
            field = (largest * int(gain) >> shift) + 1
            # The sums of the quarters' means are halved.
            coefficient = ((field * int(gain) >> shift) + 1) << size
            step = int(steps[size, plane].min()) + 8 >> 4
            if step < 1 or coefficient // step + 1 > LARGEST_LEVEL:
                raise HeqError(
                    f"levels of plane {plane} could pass {LARGEST_LEVEL}; this model cannot be "
                    "exported."
                )


def paired_near(layer: CostLayer) -> NDArray[np.uint8]:
    """The 5x5 weights of the cost layer by twos, rows of codec/native/heq_pair_sums.h.

    Returns:
        uint8 (24, 5, 5, 2): by size, plane and sub; by neighbour; by its first and last two subs.
    """
    by_cell = np.moveaxis(layer.near, 3, -1).reshape(-1, 5, 5, 2, 2).astype(np.int64) + 2
    return (5 * by_cell[..., 0] + by_cell[..., 1]).astype(np.uint8)
