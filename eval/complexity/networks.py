"""Counting torch networks by running them: multiply-accumulates, weights, memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def multiply_accumulates(function: Callable[..., Any], *inputs: Any) -> int:
    """Products of weights and activations in one call, by torch's own counter.

    Convolutions, transposed ones included, and matrix products, wherever in a network they are
    called; nothing pointwise.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        function(*inputs)
    # torch counts a multiplication and an addition for each.
    return counter.get_total_flops() // 2


def weight_bits(module: nn.Module) -> int:
    """Bits of all parameters, in the types that they have."""
    return sum(8 * value.numel() * value.element_size() for value in module.parameters())


class _LiveStorages(TorchDispatchMode):
    """Sums up the storages of tensors made while it is active, and notes the peak.

    What an operation needs inside for a moment (a library's workspace) is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, weakref.finalize[Any, Any]] = {}

    def known(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that exist already, such as inputs."""
        for tensor in tensors:
            self._enter(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor):
                self._enter(value)
        return result

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._alive[key] = weakref.finalize(storage, self._leave, key, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _leave(self, key: int, size: int) -> None:
        del self._alive[key]
        self.now -= size


@torch.no_grad()
def peak_activation_bytes(module: nn.Module, *inputs: Any) -> int:
    """The most bytes of tensors alive at once in one call, inputs included, parameters not."""
    live = _LiveStorages()
    apart = [*module.parameters(), *module.buffers()]
    live.known(apart)
    base = live.now
    live.known(value for value in inputs if isinstance(value, Tensor))
    live.peak = live.now
    with live:
        module(*inputs)
    return live.peak - base


@torch.no_grad()
def stage_inputs(
    network: nn.Module, names: Iterable[str], *inputs: Any
) -> dict[str, tuple[Tensor, ...]]:
    """What named parts of a network are given in one call of it."""
    seen: dict[str, tuple[Tensor, ...]] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, given: seen.update({name: given})

    hooks = []
    for name in names:
        part = network.get_submodule(name)
        # A sequence may be gone through by hand; what its first layer is given, it is given.
        while isinstance(part, nn.Sequential):
            part = part[0]
        hooks.append(part.register_forward_pre_hook(note(name)))
    try:
        network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return seen
