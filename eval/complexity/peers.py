"""Learned codecs of others: counted by running their networks, part by part."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines.codec import Codec
from heqcodec.eval.baselines.compressai_models import CompressAIModel
from heqcodec.eval.baselines.compressai_weights import ZOO_QUALITIES
from heqcodec.eval.baselines.mcucoder import McuCoderCodec
from heqcodec.eval.peers.latent_code import SYMBOLS
from heqcodec.eval.peers.load import ARCHITECTURES, build, load_peer
from heqcodec.eval.peers.mcucoder import CHANNELS, McuCoder
from heqcodec.eval.peers.peer import Peer
from numpy.typing import NDArray
from torch import Tensor, nn

from .candidate import Begin, Candidate, Networks, silent
from .networks import multiply_accumulates, peak_activation_bytes, stage_inputs, weight_bits
from .work import Cost, Stage, Work

PARTS = {
    "encoder": ("g_a", "encoder"),
    "entropy encoder": ("h_a", "h_s", "context_prediction", "entropy_parameters"),
    "entropy decoder": ("h_s", "context_prediction", "entropy_parameters"),
    "decoder": ("g_s", "decoder"),
}
"""Parts of networks by stage, by the names that CompressAI and MCUCoder give them."""
CODED = ("entropy_bottleneck", "gaussian_conditional")
"""Parts whose inputs are what is entropy-coded."""
ZOO_NAMES = {"factorized": "bmshj2018-factorized", "mean-scale": "mbt2018-mean"}
"""Our architectures by CompressAI's names."""
NOTE = "Networks run in float32 on the whole frame; entropy coding is by tables, in symbols."
SMALL_NOTE = (
    f"{NOTE} A device would run the encoder in 8-bit integers and on a smaller frame: its memory "
    "is then a fraction of this."
)
MIDDLE_QUALITY = 3
SIX_CHANNELS = 6.0


def peer_candidates(
    frame: NDArray[np.uint8], weights: Sequence[Path], begin: Begin = silent
) -> list[Candidate]:
    """Our torch-only peers, with trained weights where given, else with fresh ones.

    Args:
        frame: uint8 (H, W, 3), sides multiples of 64.
        weights: files that ``heqcodec eval train-peer`` exported.

    Raises:
        HeqError: a file holds no peer, or two hold the same architecture.
    """
    trained: dict[str, tuple[Path | None, Peer]] = {}
    for file in weights:
        network, _ = load_peer(file)
        before, _ = trained.setdefault(network.architecture, (file, network))
        if before != file:
            raise HeqError(
                f"{before} and {file} both hold a {network.architecture} network, which costs the "
                "same at every rate; give one of them."
            )
    candidates = []
    for architecture in ARCHITECTURES:
        if architecture not in trained:
            trained[architecture] = None, build(architecture, {}).eval()
        path, network = trained[architecture]
        name = ZOO_NAMES.get(architecture, architecture)
        begin(name)
        about = inspect.cleandoc(type(network).__doc__ or "").partition("\n")[0]
        codec, setting = _codec(architecture, path)
        candidate = network_candidate(name, about, network, frame, codec, setting)
        candidates.append(
            _with_huffman(candidate) if architecture == McuCoder.architecture else candidate
        )
    return candidates


def _with_huffman(candidate: Candidate) -> Candidate:
    """MCUCoder's tables, without its networks: two ranges and 64 code lengths a channel."""
    bits = CHANNELS * (2 * 32 + 8 * SYMBOLS)
    stages = [
        replace(stage, weight_bits=bits) if stage.name.startswith("entropy") else stage
        for stage in candidate.cost.stages
    ]
    return replace(candidate, cost=replace(candidate.cost, stages=stages, note=SMALL_NOTE))


def zoo_candidates(frame: NDArray[np.uint8], begin: Begin = silent) -> list[Candidate]:
    """CompressAI's other architectures, with fresh weights; none where it is not installed."""
    if find_spec("compressai") is None:
        return []
    from compressai.zoo import image_models

    candidates = []
    for name in ZOO_QUALITIES:
        if name not in ZOO_NAMES.values():
            begin(name)
            network = image_models[name](quality=MIDDLE_QUALITY, pretrained=False).eval()
            about = f"{name} of CompressAI, quality {MIDDLE_QUALITY}"
            candidates.append(network_candidate(name, about, network, frame, None, 0.0))
    return candidates


def _codec(architecture: str, path: Path | None) -> tuple[Codec | None, float]:
    """What writes real files with trained weights, and the setting to do it at."""
    if path is None:
        return None, 0.0
    codec: Codec
    if architecture == McuCoder.architecture:
        codec, setting = McuCoderCodec(str(path)), SIX_CHANNELS
    else:
        codec, setting = CompressAIModel(ZOO_NAMES[architecture], str(path)), 1.0
    return (codec, setting) if codec.missing() is None else (None, 0.0)


def network_candidate(
    name: str,
    about: str,
    network: nn.Module,
    frame: NDArray[np.uint8],
    codec: Codec | None,
    setting: float,
) -> Candidate:
    """A network with parts of the names in `PARTS`, counted on a frame."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255
    there = {
        stage: [part for part in parts if hasattr(network, part)] for stage, parts in PARTS.items()
    }
    coded = [part for part in CODED if hasattr(network, part)]
    known = sorted({part for parts in there.values() for part in parts})
    inputs = stage_inputs(network, [*known, *coded], pixels)
    size = frame.shape[0] * frame.shape[1]
    # What is coded, or without an entropy model what the decoder is given.
    latents = [inputs[part][0] for part in coded or there["decoder"]]
    symbols = sum(latent.numel() for latent in latents) / size
    model_bits = sum(weight_bits(network.get_submodule(part)) for part in coded)
    stages = []
    for stage, parts in there.items():
        count = sum(
            multiply_accumulates(network.get_submodule(part), *inputs[part]) for part in parts
        )
        held = [peak_activation_bytes(network.get_submodule(part), *inputs[part]) for part in parts]
        bits = sum(weight_bits(network.get_submodule(part)) for part in parts)
        entropy = stage.startswith("entropy")
        work = Work(multiply_accumulates=count / size, symbols=symbols if entropy else 0.0)
        stages.append(
            Stage(stage, bits + (model_bits if entropy else 0), work, max(held, default=0))
        )
    networks = Networks(
        encode=lambda: _run(network, [*there["encoder"], *there["entropy encoder"]], inputs),
        decode=lambda: _run(network, [*there["entropy decoder"], *there["decoder"]], inputs),
    )
    return Candidate(Cost(name, about, NOTE, stages, {}), networks, codec, setting)


def _run(
    network: nn.Module, parts: Iterable[str], inputs: dict[str, tuple[Tensor, ...]]
) -> list[Any]:
    with torch.inference_mode():
        return [network.get_submodule(part)(*inputs[part]) for part in parts]
