"""Frames decoded together by torch are those decoded one by one in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heqcodec.base.constants import WEIGHTED
from heqcodec.image.patches import split_patches
from heqcodec.models import registry
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.purenet import torch_frames
from heqcodec.purenet.rate_decoder import PurenetRateDecoder
from heqcodec.purenet.torch_frames import RateFrame, TorchFrames
from heqcodec.purenet.torch_network import TorchNetwork
from numpy.typing import NDArray
from small_models import photograph
from small_rate_model import constant_trust

DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]


def loaded(device: str = "cpu", decoder: str = "fast") -> PurenetRateDecoder:
    made = registry.load_rate_decoder("nqe-r", device, decoder, "torch")
    assert isinstance(made, PurenetRateDecoder)
    return made


def frame_of(pixels: NDArray[np.uint8], steps: list[int]) -> RateFrame:
    """Levels of an image whose rows of patches have these steps."""
    encoder = registry.load_rate_encoder("nqe-r")
    assert isinstance(encoder, RateNqe)
    columns = pixels.shape[1] // 32
    given = encoder.coefficients(split_patches(pixels))
    rows = [
        encoder.levels(given[row * columns : (row + 1) * columns], step)
        for row, step in enumerate(steps)
    ]
    levels, sizes = (np.stack(part) for part in zip(*rows, strict=True))
    return RateFrame(levels.reshape(len(steps), columns, -1, 1024), sizes, np.array(steps))


def saturated() -> NDArray[np.uint8]:
    """Blocks at the corners of the cube of colours, of which the guard refuses much."""
    corners = np.array([[255, 0, 0], [0, 255, 0], [255, 255, 0], [0, 0, 255]], dtype=np.uint8)
    index = np.random.default_rng(3).integers(0, 4, (12, 16)).repeat(8, 0).repeat(8, 1)
    return corners[index]


def frames(channels: int) -> list[RateFrame]:
    images = [photograph()[:96, :128], saturated(), photograph("chelsea")[50:146, 200:328]]
    steps = [[560 + WEIGHTED] * 3, [850] * 3, [400, 600, 900 + WEIGHTED]]
    cut = [np.ascontiguousarray(image[..., :channels]) for image in images]
    return [frame_of(image, by_row) for image, by_row in zip(cut, steps, strict=True)]


def furthest(made: torch.Tensor, decoder: PurenetRateDecoder, given: list[RateFrame]) -> int:
    """The largest difference to frames decoded one by one."""
    single = np.stack([decoder.decode_frame(*frame).transpose(2, 0, 1) for frame in given])
    return int(np.abs(made.cpu().numpy().astype(int) - single).max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
def test_frames_together_are_those_one_by_one(channels: int, device: str) -> None:
    decoder, given = loaded(device), frames(channels)
    assert decoder.trust and len(np.unique(given[0].transform_sizes)) == 2
    made = TorchFrames(decoder).decode(given)
    assert made.dtype == torch.uint8 and made.device.type == device
    assert furthest(made, decoder, given) <= 1


def test_guard_and_trust_have_their_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network adds what the levels do not allow, in some patches more than in others."""
    ramp = torch.linspace(0, 0.1, 128)
    monkeypatch.setattr(TorchNetwork, "frames", lambda self, base, *_: base + ramp)
    decoder, given = loaded(), frames(3)
    together = TorchFrames(decoder)
    assert furthest(together.decode(given), decoder, given) <= 1
    monkeypatch.setattr(decoder, "trust", constant_trust(0.4))
    assert furthest(together.decode(given), decoder, given) <= 1
    for name, same in (
        ("_violations", torch.zeros(len(given) * 12)),
        ("_trusted", torch.ones(len(given), 3, 4)),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(TorchFrames, name, lambda *_, same=same: same)
            assert furthest(together.decode(given), decoder, given) > 5


def test_squares_of_a_drawing_keep_the_plain_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = registry.load_rate_decoder("nqe-r", "cpu", "plain", "auto")
    assert isinstance(plain, PurenetRateDecoder)
    monkeypatch.setattr(TorchNetwork, "frames", lambda self, base, *_: base + 0.01)
    given = [frame_of(saturated().repeat(2, 0).repeat(2, 1), [560] * 6)]
    assert furthest(TorchFrames(loaded()).decode(given), plain, given) == 0


def test_large_frames_and_many_are_cut_into_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = loaded()
    steps = [460 + 40 * row for row in range(14)]
    given = [frame_of(photograph()[: 32 * 14, left : left + 192], steps) for left in (0, 99)]
    monkeypatch.setattr("heqcodec.purenet.tiles.TILE", 5)
    monkeypatch.setattr(torch_frames, "TOGETHER", 20)
    assert furthest(TorchFrames(decoder).decode(given), decoder, given) <= 1
