"""What the search chooses from, what a choice costs on `nqe-vgg`, and how a recipe says it."""

from __future__ import annotations

from typing import Any, NamedTuple

from heqcodec.base.constants import PATCH
from heqcodec.nqe_vgg.layout import VGG_LAYERS
from heqcodec.quantizers.accuracy_predictor import Condition, encode
from heqcodec.quantizers.elastic import GRANULARITIES, Granularity
from heqcodec.quantizers.search import Genes, LayerCost
from torch import Tensor

from .switched_quantizer import MOST_BITS

STEP_BITS = 16
"""Of a stored step or offset (our choice)."""


class NqePrecision(NamedTuple):
    """One choice: bits of each layer, and the form that all layers share.

    Attributes:
        bits: of the weights of each layer, 1 to 8.
        granularity: one step for a tensor, or one for each output channel.
        symmetric: without offsets.
    """

    bits: tuple[int, ...]
    granularity: Granularity
    symmetric: bool

    def table(self) -> dict[str, Any]:
        """As the table ``[quantizers]`` of a recipe."""
        form = {"granularity": self.granularity, "symmetric": self.symmetric}
        return {
            layer.name: "binary" if bits == 1 else {"name": "eqnet", "bits": bits, **form}
            for layer, bits in zip(VGG_LAYERS, self.bits, strict=True)
        }

    def vector(self) -> Tensor:
        """Input of the predictor; a binary layer has no one of the 7 widths, so its entries are 0.

        Returns:
            Float32 (6 + 14 L,).
        """
        widths = [bits if bits > 1 else 0 for bits in self.bits]
        condition = Condition(self.granularity == "channel", self.symmetric, True)
        return encode(condition, widths, [0] * len(widths))


def layer_costs() -> tuple[LayerCost, ...]:
    """Weights and multiply-accumulates a patch of the layers of `nqe-vgg`."""
    costs, side = [], PATCH
    for layer in VGG_LAYERS:
        costs.append(LayerCost(layer.weights, layer.weights * side * side))
        side = side // 2 if layer.pool else side
    return tuple(costs)


class NqeSpace:
    """Bits of each layer, granularity and symmetry, as genes; see ``GeneticSearch``.

    EQ-Net lets the layers of a subnet share granularity and symmetry, and so do we. Costs are those
    of the full-width `nqe-vgg`, whatever the width of the network that is searched in.
    """

    layers = layer_costs()

    @property
    def choices(self) -> tuple[int, ...]:
        """Number of alternatives of each gene: 8 widths a layer, 2 granularities, 2 symmetries."""
        return (MOST_BITS,) * len(self.layers) + (len(GRANULARITIES), 2)

    def precision(self, genes: Genes) -> NqePrecision:
        """What genes mean; the first alternative is the cheapest."""
        count = len(self.layers)
        bits = tuple(gene + 1 for gene in genes[:count])
        return NqePrecision(bits, GRANULARITIES[genes[count]], genes[count + 1] == 0)

    def costs(self, genes: Genes) -> tuple[float, ...]:
        """Bits of weights, steps and offsets; MACs a patch, each times the bits of its weight."""
        precision = self.precision(genes)
        memory = operations = 0
        for bits, cost, layer in zip(precision.bits, self.layers, VGG_LAYERS, strict=True):
            steps = layer.outputs if precision.granularity == "channel" else 1
            # A binary layer has no step: normalization has its scale.
            kept = 0 if bits == 1 else steps * (1 if precision.symmetric else 2)
            memory += bits * cost.weights + STEP_BITS * kept
            operations += bits * cost.operations
        return float(memory), float(operations)
