"""Forms of the small codec: attention by hand, two encoders, patches that stand alone."""

from __future__ import annotations

import pytest
import torch
from heqcodec.lab.comparison.codec_network import CodecForm, CodecNetwork, DecoderPair, half_width
from heqcodec.lab.networks.position_attention import KEYS, PositionAttention, attended
from heqcodec.lab.networks.reduced import ReducedNqe
from heqcodec.lab.networks.reduced_encoder import EncoderPair

FRAMES = torch.randint(256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(5)).byte()


def test_attention_sums_values_by_the_ones_that_are_shared() -> None:
    # Of four keys the query of the first position shares 2, 0 and 1 with the three positions.
    q = torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]])
    k = torch.tensor([[[1.0, 0, 1], [1, 0, 0], [1, 1, 1], [0, 1, 0]]])
    v = torch.tensor([[[1.0, 2, 3]]])
    assert attended(q, k, v, "linear")[0, 0].tolist() == [2 * 1 + 1 * 3, 0, 0]
    # More than a quarter of four is 2 or more.
    assert attended(q, k, v, "hard")[0, 0].tolist() == [1, 0, 0]


def test_hard_attention_passes_gradients_to_scores() -> None:
    q = torch.ones(1, 4, 1, requires_grad=True)
    k, v = torch.ones(1, 4, 1), torch.full((1, 1, 1), 3.0)
    attended(q, k, v, "hard").sum().backward()
    # dy / dscore is v over the box of width 4; dscore / dq is k.
    assert q.grad is None or q.grad.flatten().tolist() == [0, 0, 0, 0]
    k = torch.tensor([[[1.0], [1.0], [0], [0]]])
    q.grad = None
    attended(q, k, v, "hard").sum().backward()
    assert q.grad is not None and q.grad.flatten().tolist() == [0.75, 0.75, 0, 0]


def test_attention_keeps_levels_and_never_lowers_them() -> None:
    torch.manual_seed(0)
    x = torch.randint(4, (6, 8, 4, 4)).float()
    made = PositionAttention(8, "linear", 1.0, 0.5)(x, torch.randint(2, (6, 2 * KEYS, 4, 4)))
    assert set(made.unique().tolist()) == {0, 1, 2, 3} and bool((made >= x).all())
    assert bool((made > x).any())


def test_attention_is_of_a_patch_alone_and_costs_two_projections() -> None:
    plain, network = ReducedNqe(4, seed=1), ReducedNqe(4, seed=1, attention="hard")
    assert network.weight_bits() - plain.weight_bits() == 2 * KEYS * 16
    assert [layer.name for layer, _ in network.reduced_blocks()][-2:] == ["attention", "bottleneck"]
    patches = FRAMES[:, :, :32, :32]
    network.eval()
    both, one = network(patches), network(patches[:1])
    assert torch.equal(both[:1], one)


def test_two_encoders_make_half_of_the_code_each() -> None:
    network = CodecNetwork(12, 3, CodecForm(ensemble="encoders")).eval()
    pair = network.encoder
    assert isinstance(pair, EncoderPair) and half_width(12) == 8
    patches = FRAMES[:, :, :32, :32]
    code = pair(patches)
    assert code.shape == (2, 16, 4, 4)
    assert torch.equal(code[:, :8], pair.first(patches))
    assert not torch.equal(code[:, :8], code[:, 8:])
    whole = ReducedNqe(12)
    assert pair.weight_bits() == pytest.approx(whole.weight_bits(), rel=0.12)
    with pytest.raises(ValueError, match="codes of signs"):
        CodecNetwork(12, 3, CodecForm(ensemble="encoders", code="rhombic"))


def test_two_decoders_are_averaged() -> None:
    network = CodecNetwork(4, 3, CodecForm(ensemble="decoders")).eval()
    decoder = network.decoder
    assert isinstance(decoder, DecoderPair)
    cells, rate = torch.randn(1, 16, 8, 8), torch.zeros(1, dtype=torch.int64)
    first, second = (member(cells, None, rate) for member in decoder.members)
    torch.testing.assert_close(decoder(cells, None, rate), (first + second) / 2)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("refinement", ["frame", "patch"])
def test_neighbours_matter_only_to_a_decoder_of_frames(refinement: str) -> None:
    torch.manual_seed(1)
    network = CodecNetwork(4, 3, CodecForm(refinement=refinement)).eval()  # type: ignore[arg-type]
    for parameter in network.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    other = FRAMES.clone()
    other[:, :, :, 32:64] = 255 - other[:, :, :, 32:64]
    with torch.no_grad():
        first, second = network(FRAMES)[..., :32], network(other)[..., :32]
        alone = network(FRAMES[:, :, :32, :32])
    assert first.shape == (2, 3, 64, 32)
    assert torch.equal(first, second) == (refinement == "patch")
    assert torch.allclose(first[:, :, :32], alone, atol=1e-5) == (refinement == "patch")
