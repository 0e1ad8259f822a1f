"""What a model brings to its C encoder: tables of weights, sources, and words for the header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from heqcodec.container.header import Coder, Mode
from heqcodec.native.transform_packing import PackedTransform, pack_transform
from heqcodec.nqe_vgg.bit_planes import PackedVgg, pack_vgg
from numpy.typing import NDArray

from .c_tables import CTable

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
    transform = pack_transform(tensors["layers"], STAGE_SHIFT)
    tables = [
        *transform_tables(transform),
        CTable(
            "rate_steps",
            tensors["steps"],
            "steps of an octave in sixteenths, by transform size and plane",
        ),
        CTable("cost_near", packed_near(layer), "quinary weights of the levels around, bit planes"),
        CTable("cost_cross", packed_cross(layer), "and of the other planes"),
        CTable("cost_bias", layer.bias, "biases by transform size, plane and level"),
        CTable("cost_shifts", layer.shifts, "shifts of the two sums"),
        CTable(
            "device_start", tensors["start"], "log odds of each context at the start of a strip"
        ),
        CTable("device_weights", tensors["weights"], "weights of a decision's contexts, by set"),
        CTable("device_stretch", tensors["stretch"], "log odds by probability"),
        CTable("device_squash", tensors["squash"], "probability by log odds"),
        CTable("device_widths", tensors["widths"], "width of the rarer bit by log odds and range"),
    ]
    words = {
        "STRIP_ROWS": str(OWN.strip_rows),
        "DEFAULT_RATE": str(step_of_quality(default_quality)),
        "ENCODER_BYTES": "29696",
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
            "heq_device.c",
        ),
        "heq_rate_encoder.c",
        words,
    )


def patch_parts(tensors: Tensors) -> CParts:
    """The parts of a patch-constant model of the family of nqe-t; errors as `rate_parts`."""
    from heqcodec.nqe_t.encoder import TransformNqe
    from heqcodec.nqe_t.transform import STAGE_SHIFT

    encoder = TransformNqe(tensors)
    layers = np.stack([tensors["coarse"], tensors["fine"]])
    transform = pack_transform(layers, STAGE_SHIFT)
    tables = [
        *transform_tables(transform),
        rates_table(encoder.rates),
        CTable("patch_significance", tensors["significance"], "states; see heq_patch_tables"),
        CTable("patch_flag", tensors["flag"], "states; see heq_patch_tables"),
        CTable("patch_refinement", tensors["refinement"], "states; see heq_patch_tables"),
        CTable("patch_lps", tensors["lps"], "width of bit 1 by state and range"),
        CTable("patch_order", tensors["order"], "zones as they are coded"),
    ]
    words = patch_words(encoder.rates, 18688, "1.1 KB")
    return CParts(
        Mode.PATCH,
        Coder.PATCH,
        encoder.encoder_id,
        encoder.coder_id,
        tables,
        transform_constants(transform),
        ("heq_transform.c", "heq_transform_fast.c", "heq_coefficients.c", "heq_patch_code.c"),
        "heq_patch_encoder.c",
        words,
    )


def vgg_parts(tensors: Tensors) -> CParts:
    """The parts of nqe-vgg; errors as `rate_parts`."""
    from heqcodec.nqe_t.transform import STAGE_SHIFT
    from heqcodec.nqe_vgg.encoder import VggNqe

    encoder = VggNqe(tensors)
    packed = pack_vgg(encoder.network.layers)
    transform = pack_transform(np.stack([tensors["coarse"], tensors["fine"]]), STAGE_SHIFT)
    tables = [
        rates_table(encoder.rates),
        *vgg_tables(packed),
        *transform_tables(transform),
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
        patch_words(encoder.rates, 27392, "0.7 KB"),
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


def transform_tables(transform: PackedTransform) -> list[CTable]:
    """The tables of a packed transform."""
    return [
        CTable("transform_large", transform.large, "quinary weights of 32 points, bit planes"),
        CTable("transform_small", transform.small, "and of 16, 8 and 4 points"),
    ]
