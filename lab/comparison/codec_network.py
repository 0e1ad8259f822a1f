"""Small codecs to compare: an encoder of reduced width, or two, and a small PURENET, or two."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from heqcodec.lab.networks.code_quantizers import make_code
from heqcodec.lab.networks.position_attention import Attention
from heqcodec.lab.networks.reduced import CODE_CHANNELS, ReducedNqe
from heqcodec.lab.networks.reduced_encoder import EncoderPair, ReducedEncoder
from heqcodec.lab.training.vgg_task import laid_out, patches_of
from heqcodec.nqe_vgg.skips import Skip
from heqcodec.purenet.network import Purenet, PurenetConfig
from torch import Tensor, nn

PATCHES_AT_ONCE = 256
DECODER = PurenetConfig(
    inputs=CODE_CHANNELS,
    has_base=False,
    rates=1,
    width=48,
    blocks=1,
    local_blocks=1,
    fine_width=12,
    fine_blocks=1,
)
Ensemble = Literal["one", "encoders", "decoders"]
ENSEMBLES: tuple[Ensemble, ...] = ("one", "encoders", "decoders")
Refinement = Literal["frame", "patch"]
REFINEMENTS: tuple[Refinement, ...] = ("frame", "patch")


@dataclass(frozen=True)
class CodecForm:
    """What a small codec is made of.

    skips: of the encoder, see `heqcodec.nqe_vgg.skips`.
    code: what makes its code, see `heqcodec.lab.networks.code_quantizers`.
    attention: before the bottleneck, see `heqcodec.lab.networks.position_attention`.
    ensemble: "encoders", two of about half the weights each that make half of the code each;
        "decoders", two of about half the weights each, whose pictures are averaged.
    refinement: "frame", PURENET refines whole frames; "patch", it sees each patch alone.
    """

    skips: Skip = "none"
    code: str = "binary"
    attention: Attention = "none"
    ensemble: Ensemble = "one"
    refinement: Refinement = "frame"


def half_width(width: int) -> int:
    """The width, even, at which a network has most nearly half the weights."""
    return 2 * round(width / math.sqrt(2) / 2)


def make_encoder(form: CodecForm, width: int, seed: int) -> ReducedEncoder:
    """The encoder of a form.

    Raises:
        ValueError: two encoders of another code than signs.
    """

    def one(width: int, code: str, seed: int) -> ReducedNqe:
        return ReducedNqe(
            width,
            seed=seed,
            skips=form.skips,
            code_quantizer=code,
            attention=form.attention,
        )

    if form.ensemble != "encoders":
        return one(width, form.code, seed)
    if form.code != "binary":
        raise ValueError("two encoders make codes of signs")
    narrow, half = half_width(width), f"binary-{CODE_CHANNELS // 2}"
    # Apart by more than seeds are, so that no two encoders of a comparison begin alike.
    return EncoderPair(one(narrow, half, seed), one(narrow, half, seed + 1000))


class DecoderPair(nn.Module):
    """Two decoders, whose pictures are averaged."""

    def __init__(self, make: Callable[[], Purenet]) -> None:
        super().__init__()
        self.members = nn.ModuleList([make(), make()])

    def forward(self, cells: Tensor, base: Tensor | None, rate: Tensor) -> Tensor:
        """As `Purenet.forward`."""
        return torch.stack([member(cells, base, rate) for member in self.members]).mean(0)


def make_decoder(form: CodecForm) -> nn.Module:
    """The decoder of a form, with weights from torch's generator."""
    config = replace(DECODER, inputs=make_code(form.code).channels)
    if form.ensemble != "decoders":
        return Purenet(config)
    width, fine = half_width(DECODER.width), half_width(DECODER.fine_width)
    narrow = replace(config, width=width, fine_width=fine)
    return DecoderPair(lambda: Purenet(narrow))


class CodecNetwork(nn.Module):
    """A reduced NQE and a small PURENET.

    Args:
        width: of the encoder.
        seed: of all initial weights.
        form: see there.
    """

    def __init__(self, width: int, seed: int, form: CodecForm | None = None) -> None:
        super().__init__()
        self.form = form or CodecForm()
        self.encoder = make_encoder(self.form, width, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = make_decoder(self.form)

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 (B, 3, 32 R, 32 C) -> decoded, RGB / 255, float32, same shape."""
        rows, columns = frames.shape[2] // 32, frames.shape[3] // 32
        parts = patches_of(frames).split(PATCHES_AT_ONCE)
        code = torch.cat([self.encoder(part) for part in parts])
        alone = self.form.refinement == "patch"
        cells = code if alone else laid_out(code, rows, columns)
        rate = torch.zeros(len(cells), dtype=torch.int64, device=frames.device)
        cells = cells.contiguous(memory_format=torch.channels_last)
        decoded = cast(Tensor, self.decoder(cells, None, rate))
        if not alone:
            return decoded
        grid = decoded.view(-1, rows, columns, 3, 32, 32).permute(0, 3, 1, 4, 2, 5)
        return grid.reshape(-1, 3, 32 * rows, 32 * columns)
