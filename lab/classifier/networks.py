"""Networks by the name that a recipe gives them, and their weights in files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from heqcodec.base.errors import HeqError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .blocks import weighted_convolutions
from .gated_resnet import DEPTHS, GatedResNet
from .gated_vgg import MuxOrNet11, OrNet11, Vgg11
from .nqe_classifier import NqeClassifier
from .recipe import ClassifierRecipe
from .vgg_small import VggSmall

ARCHITECTURE = (
    "name",
    "about",
    "network",
    "width",
    "active",
    "weights",
    "options",
    "norm_init",
    "gate_threshold",
    "gate_opens",
    "skips",
    "binary_code",
    "code_channels",
    "head",
)
"""Keys of a recipe that decide what `build_network` makes."""
GATED = {"vgg-11": Vgg11, "ornet-11": OrNet11, "muxornet-11": MuxOrNet11}


def build_network(
    recipe: ClassifierRecipe, classes: int, side: int = 32, weights: str | None = None
) -> nn.Module:
    """The network that a recipe asks for, with fresh weights from torch's generator.

    Args:
        recipe: see there.
        classes: number of classes.
        side: of the images; 32 for all but the gated networks.
        weights: another weight quantizer than the recipe's, "none" to hold levels as they are.

    Returns:
        A module: uint8 pixels (N, 3, side, side) -> logits (N, classes).

    Raises:
        HeqError: the images are of another size than the network's, or it is of no such kind.
    """
    arguments: dict[str, Any] = {"classes": classes}
    arguments["weights"] = recipe.weights if weights is None else weights
    arguments["options"] = recipe.options if weights is None else {}
    if recipe.active:
        arguments["active"] = recipe.active
    if recipe.width:
        arguments["width"] = recipe.width
    arguments["head"] = recipe.head
    if recipe.network not in GATED and side != 32:
        raise HeqError(
            f"{recipe.network} sees images of 32x32 pixels, but these are {side}x{side}."
        )
    try:
        if recipe.network == "nqe":
            return NqeClassifier(
                **arguments,
                norm_init=recipe.norm_init,
                binary_code=recipe.binary_code,
                code_channels=recipe.code_channels,
            )
        if recipe.network == "vgg-small":
            return VggSmall(**arguments, norm_init=recipe.norm_init)
        gates: dict[str, Any] = {
            "gate_threshold": recipe.gate_threshold,
            "gate_opens": recipe.gate_opens,
        }
        if recipe.network in DEPTHS:
            return GatedResNet(DEPTHS[recipe.network], **arguments, skips=recipe.skips, **gates)
        return GATED[recipe.network](**arguments, side=side, **gates)
    except (TypeError, ValueError) as error:
        raise HeqError(f"{recipe.name} asks for no network that there is: {error}.") from error


def latent_state(network: nn.Module) -> dict[str, Tensor]:
    """Weights, biases and statistics by name, as if nothing was quantized.

    Latent weights take the place of levels; quantizers' own state is left out. So networks of one
    architecture that differ in quantization have the same names.
    """
    latents = {name: conv.latent for name, conv in weighted_convolutions(network)}
    state = {
        key: value for key, value in network.state_dict().items() if ".parametrizations." not in key
    }
    return state | {f"{name}.weight": latent.detach() for name, latent in latents.items()}


@torch.no_grad()
def load_latent_state(
    network: nn.Module, state: dict[str, Tensor], norms: bool = True, origin: str = "the weights"
) -> None:
    """Put `latent_state` of a network of the same architecture into this one, and refresh it.

    Args:
        network: to be filled.
        state: by name.
        norms: whether normalization is taken over; otherwise it stays as it is.
        origin: where the state comes from, for the message.

    Raises:
        HeqError: the state is of another architecture.
    """
    own = latent_state(network)
    for name in own:
        if ".norm." in name and not norms:
            continue
        if name not in state or state[name].shape != own[name].shape:
            raise HeqError(
                f"{origin} are of another network: {name} is missing or of another size."
            )
    plain = {k: v for k, v in state.items() if k in own and (norms or ".norm." not in k)}
    convolutions = dict(weighted_convolutions(network))
    for name, conv in convolutions.items():
        conv.latent.copy_(plain.pop(f"{name}.weight"))
        conv.refresh()
    network.load_state_dict(plain, strict=False)


def save_latent_state(network: nn.Module, path: Path) -> None:
    """Write `latent_state` as float32 safetensors, for runs that start from it."""
    state = {k: v.detach().cpu().contiguous().clone() for k, v in latent_state(network).items()}
    save_file(state, path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        HeqError: there is none, or it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            return tensors, stored.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HeqError(f"the weights {path} cannot be read: {error}.") from error


@torch.no_grad()
def save_classifier(
    network: nn.Module, recipe: ClassifierRecipe, classes: tuple[str, ...], side: int, path: Path
) -> None:
    """Write what classifies: levels as int8, everything else as float32.

    Weights that are no small integers (full precision, quantizers with levels of their own) are
    written as float16.
    """
    state = latent_state(network)
    for name, conv in weighted_convolutions(network):
        weight = conv.weight.detach()
        whole = bool((weight == weight.round()).all()) and bool(weight.abs().max() <= 127)
        state[f"{name}.weight"] = weight.to(torch.int8 if whole else torch.float16)
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    facts = {"recipe": asdict(recipe), "classes": classes, "side": side}
    save_file(tensors, path, metadata={"classifier": json.dumps(facts)})


def load_classifier(path: Path) -> tuple[nn.Module, tuple[str, ...], int]:
    """A classifier that ``save_classifier`` wrote.

    Returns:
        The network in evaluation mode, its classes, and the side of its images.

    Raises:
        HeqError: the file holds none, or is damaged.
    """
    tensors, metadata = read_tensors(path)
    try:
        facts = json.loads(metadata["classifier"])
        # What decides the network; the rest says how it was trained, by names that may change.
        known = {key: value for key, value in facts["recipe"].items() if key in ARCHITECTURE}
        recipe = ClassifierRecipe(epochs=0, **known)
        classes, side = tuple(facts["classes"]), int(facts["side"])
    except (KeyError, TypeError, ValueError) as error:
        raise HeqError(f"{path} holds no classifier: {error}.") from error
    network = build_network(recipe, len(classes), side, weights="none")
    load_latent_state(network, tensors, origin=f"the weights of {path}")
    return network.eval(), classes, side
