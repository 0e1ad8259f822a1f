"""Layers whose two gradients, of activations and of weights, are quantized apart."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .gradient_quantizers import GradientQuantizer, quantize_gradient


class Bifurcation(nn.Module):
    """A linear layer or convolution computed twice, once for each gradient.

    Gradient bifurcation of arXiv 2010.14298, as in the authors' code: of two copies of the output,
    one with a detached input and one with detached weights, the sum out1 + out2 - out1.detach() has
    the value of one and the gradients of both, and each copy has a quantizer of its own. The bias
    goes with the weights.

    Args:
        layer: the layer; its weight may be parametrized.
        activation: quantizer of the gradient that goes on to the input.
        weight: quantizer of the gradient that the weight and bias get (8 bits in the paper).
    """

    def __init__(
        self,
        layer: nn.Linear | nn.Conv2d,
        activation: GradientQuantizer,
        weight: GradientQuantizer,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.activation, self.weight = activation, weight

    def _apply_layer(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if isinstance(self.layer, nn.Conv2d):
            return self.layer._conv_forward(x, weight, bias)
        return F.linear(x, weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer does: (N, ...) samples in, (N, ...) out."""
        weight, bias = self.layer.weight, self.layer.bias
        for_input = self._apply_layer(x, weight.detach(), None if bias is None else bias.detach())
        if not self.training:
            return for_input
        for_weight = self._apply_layer(x.detach(), weight, bias)
        for_input = quantize_gradient(for_input, self.activation)
        for_weight = quantize_gradient(for_weight, self.weight)
        # The difference of equal numbers first: the value is that of one copy, to the bit.
        return for_input + (for_weight - for_weight.detach())
