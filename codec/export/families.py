"""What each family of encoders brings to the exports as C and as a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.models import registry
from numpy.typing import NDArray

from .c_parts import CParts, patch_parts, rate_parts, vgg_parts
from .layers import Layer, patch_layers, rate_layers
from .vgg_layers import stored_layers

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class FamilyExport:
    """The exports of a family.

    Attributes:
        parts: of the C encoder, from the tensors that a device holds and the model's name.
        layers: from these tensors.
    """

    parts: Callable[[Tensors, str], CParts]
    layers: Callable[[Tensors], list[Layer]]


EXPORTS = {
    registry.RATE: FamilyExport(
        lambda tensors, name: rate_parts(tensors, registry.default_quality(name)), rate_layers
    ),
    registry.TRANSFORM: FamilyExport(lambda tensors, name: patch_parts(tensors), patch_layers),
    registry.VGG_CLASS: FamilyExport(lambda tensors, name: vgg_parts(tensors), stored_layers),
}


def model_parts(name: str) -> CParts:
    """The parts of a model's C encoder.

    Raises:
        HeqUnsupportedError: there is no such model.
        HeqError: its encoder does not fit the C source.
    """
    tensors = registry.encoder_tensors(name)
    return _export_of(name).parts(tensors, name)


def model_layers(name: str) -> list[Layer]:
    """The layers of a model; errors as `model_parts`."""
    tensors = registry.encoder_tensors(name)
    return _export_of(name).layers(tensors)


def _export_of(name: str) -> FamilyExport:
    family = registry.manifest()["models"][name]["family"]
    if family not in EXPORTS:
        raise HeqError(f"{name} is of the family {family}, which has no C source.")
    return EXPORTS[family]
