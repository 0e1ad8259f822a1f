"""Products whose two gradients, of activations and of weights, are quantized apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from .gradient_quantizers import GradientQuantizer, quantize_gradient


def bifurcated(
    product: Callable[..., Tensor],
    x: Tensor,
    parameters: Sequence[Tensor],
    activation: GradientQuantizer,
    weight: GradientQuantizer,
) -> Tensor:
    """A linear layer or convolution computed twice, once for each gradient.

    Gradient bifurcation of arXiv 2010.14298, as in the authors' code: of two copies of the output,
    one with a detached input and one with detached weights, the sum out1 + out2 - out1.detach() has
    the value of one and the gradients of both, and each copy has a quantizer of its own.

    Args:
        product: (x, *parameters) -> output.
        x: (N, ...), N samples.
        parameters: the weight, and the bias if there is one, which goes with the weight.
        activation: quantizer of the gradient that goes on to the input.
        weight: quantizer of the gradient that the parameters get (8 bits in the paper).

    Returns:
        The output, with the gradients of both copies.
    """
    for_input = product(x, *(parameter.detach() for parameter in parameters))
    for_weight = product(x.detach(), *parameters)
    for_input = quantize_gradient(for_input, activation)
    for_weight = quantize_gradient(for_weight, weight)
    # The difference of equal numbers first: the value is that of one copy, to the bit.
    return for_input + (for_weight - for_weight.detach())
