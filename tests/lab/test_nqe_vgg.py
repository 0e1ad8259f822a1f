"""`nqe-vgg`: the bit budget, and one code from four arithmetics."""

import copy
import json
import struct
import subprocess
import sys

import heqcodec.nqe_vgg.integer as vgg_integer
import numpy as np
import pytest
import torch
from adversarial import adversarial_patches
from heqcodec.base.constants import BUDGET_BITS
from heqcodec.base.errors import HeqError, HeqFormatError, HeqUnsupportedError
from heqcodec.lab.networks.nqe_vgg import NqeVgg, truncate_code
from heqcodec.lab.training.tasks import rate_indices
from heqcodec.nqe_vgg.convolution import convolve_floats, convolve_integers
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.nqe_vgg.layer import check_float32_exact
from heqcodec.nqe_vgg.layout import VGG_LAYERS, total_bits, weight_bits
from heqcodec.nqe_vgg.payload import CODE_CHANNELS, RATES, pack_code, unpack_code
from heqcodec.quantizers import layer_report
from safetensors.numpy import load_file, save_file
from slow_cases import quick_first
from threadpoolctl import threadpool_limits


def some_patches(count: int, seed: int = 0) -> np.ndarray:
    """Smooth random patches, uint8 (count, 32, 32, 3), with the contrast of photographs."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 5, 5, generator=generator) * 60 + 128
    fine = torch.randn(count, 3, 32, 32, generator=generator) * 12
    pixels = torch.nn.functional.interpolate(coarse, 32, mode="bicubic") + fine
    return pixels.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def as_tensor(patches: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(patches).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    return np.concatenate([some_patches(12), adversarial_patches()])


@pytest.fixture(scope="module", params=quick_first(["shift", "thresholds"]))
def encoder(request) -> NqeVgg:
    """A graph in evaluation mode with negative and zero gammas, after a step of training."""
    torch.manual_seed(1)
    graph = NqeVgg()
    with torch.no_grad():
        for block in graph.quantized_blocks():
            gamma = block.norm.bn.weight
            gamma *= torch.where(torch.rand_like(gamma) < 0.3, -1.0, 1.0)
            gamma[0] = 0.0
    pixels = as_tensor(some_patches(16, seed=9))
    optimizer = torch.optim.Adam(graph.parameters(), lr=1e-3)
    (graph(pixels) * torch.randn(16, CODE_CHANNELS, 4, 4)).sum().backward()
    optimizer.step()
    graph.refresh()
    graph.recalibrate([pixels])
    if request.param == "shift":
        graph.switch_to_bsn()
    return graph.eval()


@pytest.fixture(scope="module")
def twin(encoder) -> IntegerVgg:
    """By numpy; test_native_vgg.py compares the C extension with it."""
    return IntegerVgg(encoder.integer_layers(), native=False)


def test_bit_count_of_the_network_itself():
    graph = NqeVgg()
    latent = [block.latent.numel() for block in graph.quantized_blocks()]
    bits = [block.quantizer.bits for block in graph.quantized_blocks()]
    assert sum(latent) == 710_336
    assert bits == [3, 3, 2, 2, 1, 1, 1]
    assert sum(n * b for n, b in zip(latent, bits, strict=True)) == 1_008_704 == weight_bits()
    assert total_bits("shift") == 1_008_704 + 6 * 8
    assert total_bits("thresholds") == 1_043_040 <= BUDGET_BITS
    with pytest.raises(ValueError, match="form"):
        total_bits("float")


def test_only_the_ternary_and_quinary_layers_have_a_zero():
    graph = NqeVgg()
    for block in graph.quantized_blocks():
        assert set(block.conv.weight.unique().tolist()) == set(block.layer.levels)
    assert [report["collapsed"] for report in layer_report(graph, 0)] == [False] * 7


@pytest.mark.slow
def test_every_arithmetic_gives_the_same_code(encoder, twin, patches):
    graph = encoder(as_tensor(patches)).numpy() > 0
    for arithmetic, some in (("float32", 1), ("float64", 1), ("int64", 4)):
        assert np.array_equal(twin.codes(patches[::some], arithmetic), graph[::some]), arithmetic
    # The comparison means something only if the codes differ among patches.
    assert len(np.unique(graph.reshape(len(graph), -1), axis=0)) > len(patches) // 2


def test_training_graph_in_phase_two_computes_the_integers_too(patches):
    torch.manual_seed(5)
    graph = NqeVgg(norm_init="halfwave")
    pixels = as_tensor(patches)
    graph.recalibrate([pixels])
    graph.switch_to_bsn()
    trained = graph.train()(pixels)
    assert torch.equal(trained, graph.eval()(pixels))


def test_batch_sizes_and_threads_do_not_matter(twin, patches):
    patches = patches[:16]
    whole = twin.encode_patches(patches, 512)
    singly = np.concatenate([twin.encode_patches(patches[i : i + 1], 512) for i in range(5)])
    sevens = np.concatenate(
        [twin.encode_patches(patches[i : i + 7], 512) for i in range(0, len(patches), 7)]
    )
    assert np.array_equal(singly, whole[:5])
    assert np.array_equal(sevens, whole)
    for threads in (1, 2):
        with threadpool_limits(threads):
            assert np.array_equal(twin.encode_patches(patches, 512), whole)


@pytest.mark.parametrize("layer", VGG_LAYERS, ids=lambda layer: layer.name)
def test_convolutions_are_exact_at_their_bounds(layer):
    """The largest sums of both signs and of alternating ones, on whole patches."""
    rng = np.random.default_rng(len(layer.name))
    low, high = layer.levels[0], layer.levels[-1]
    levels = rng.choice(layer.levels, layer.shape).astype(np.int8)
    levels[0], levels[1] = high, low
    levels[2] = np.where(rng.random(layer.shape[1:]) < 0.5, low, high)
    x = rng.integers(-layer.top, layer.top + 1, (4, layer.inputs, 8, 8))
    x[0], x[1] = layer.top, -layer.top
    x[2] = layer.top * rng.choice([-1, 1], x.shape[1:])
    expected = convolve_integers(x, levels.astype(np.int64), layer)
    assert np.abs(expected).max() == layer.bound < 2**24
    for kind in (np.float32, np.float64):
        found = convolve_floats(x.transpose(0, 2, 3, 1).astype(kind), levels, layer)
        assert found.dtype == kind
        assert np.array_equal(found.transpose(0, 3, 1, 2), expected)


def test_batches_beyond_the_internal_one(twin):
    many = some_patches(vgg_integer.BATCH + 3, seed=5)
    assert np.array_equal(twin.encode_patches(many, 64)[-3:], twin.encode_patches(many[-3:], 64))


def test_a_lower_rate_is_a_prefix(twin, patches):
    patches = patches[6:18]
    full = twin.encode_patches(patches, 512)
    for bits in RATES:
        payload = twin.encode_patches(patches, bits)
        assert payload.shape == (len(patches), bits // 8)
        assert payload.dtype == np.uint8
        assert np.array_equal(payload, full[:, : bits // 8])


def test_bit_order_is_channel_major_most_significant_first():
    code = -np.ones((1, CODE_CHANNELS, 4, 4))
    code[0, 0, 0, 0] = code[0, 1, 2, 3] = 1
    payload = pack_code(code, 64)
    # Channel 1, row 2, column 3 is bit 16 + 11 = 27: the fourth byte, bit 3 from the top.
    assert payload.tolist() == [[0x80, 0, 0, 0x10, 0, 0, 0, 0]]


def test_unpacking_restores_the_sent_channels_and_zeroes_the_rest(twin, patches):
    codes = twin.codes(patches).astype(np.int8) * 2 - 1
    for bits in RATES:
        restored = unpack_code(pack_code(codes, bits), bits)
        sent = bits // 16
        assert np.array_equal(restored[:, :sent], codes[:, :sent])
        assert not restored[:, sent:].any()
        truncated = truncate_code(torch.from_numpy(codes), sent)
        assert np.array_equal(truncated.numpy(), restored)
    grid = pack_code(codes[:6], 256).reshape(2, 3, 32)
    assert unpack_code(grid, 256).shape == (2, 3, 32, 4, 4)


def test_gray_is_taken_as_three_equal_channels(twin, patches):
    gray = patches[..., :1]
    assert np.array_equal(
        twin.encode_patches(gray, 256), twin.encode_patches(np.repeat(gray, 3, axis=3), 256)
    )


def test_protocol_fields_and_refusals(twin, patches):
    assert len(twin.encoder_id) == 8
    assert (twin.coder, twin.coder_id, twin.rates) == (0, bytes(8), (64, 128, 256, 512))
    with pytest.raises(HeqUnsupportedError, match="64, 128, 256, 512"):
        twin.encode_patches(patches, 100)
    with pytest.raises(ValueError, match="uint8"):
        twin.encode_patches(patches.astype(np.float32), 64)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        twin.encode_patches(patches[..., :2], 64)
    assert twin.encode_patches(patches[:0], 64).shape == (0, 8)


def test_weight_file_round_trip_and_real_size(twin, patches, tmp_path):
    path = tmp_path / "encoder.safetensors"
    twin.save(path)
    assert path.stat().st_size <= BUDGET_BITS // 8
    packed = load_file(path)
    assert sum(tensor.nbytes for tensor in packed.values()) * 8 == twin.bits
    assert list(tmp_path.iterdir()) == [path]
    loaded = IntegerVgg.load(path)
    assert loaded.encoder_id == twin.encoder_id
    assert loaded.form == twin.form
    assert np.array_equal(loaded.encode_patches(patches, 512), twin.encode_patches(patches, 512))


def test_encoder_id_follows_every_parameter(twin):
    layers = list(twin.layers)
    seen = {twin.encoder_id}
    for index, item in enumerate(twin.layers):
        changed = layers.copy()
        levels = item.levels.copy()
        levels.flat[-1] = -levels.flat[-1] or 1
        changed[index] = vgg_integer.IntegerLayer(item.layer, levels, item.thresholds, item.shift)
        seen.add(IntegerVgg(changed).encoder_id)
    last = layers[0]
    if last.thresholds is None:
        other = vgg_integer.IntegerLayer(last.layer, last.levels, shift=last.shift + 1)
    else:
        lower = np.maximum(last.thresholds - 1, -last.layer.bound)
        other = vgg_integer.IntegerLayer(last.layer, last.levels, lower)
    seen.add(IntegerVgg([other, *layers[1:]]).encoder_id)
    assert len(seen) == len(layers) + 2


def test_impossible_layers_are_refused(twin):
    first = twin.layers[0]
    cuts = np.zeros((64, 3), dtype=np.int32)
    with pytest.raises(HeqFormatError, match="int8"):
        vgg_integer.IntegerLayer(first.layer, first.levels.astype(np.int64))
    with pytest.raises(HeqFormatError, match="weights other than"):
        vgg_integer.IntegerLayer(first.layer, np.full_like(first.levels, 3))
    with pytest.raises(HeqFormatError, match="of shape"):
        vgg_integer.IntegerLayer(first.layer, first.levels, cuts[:, :2])
    with pytest.raises(HeqFormatError, match="ascend"):
        vgg_integer.IntegerLayer(first.layer, first.levels, cuts - np.arange(3, dtype=np.int32))
    with pytest.raises(HeqFormatError, match="lie in"):
        vgg_integer.IntegerLayer(first.layer, first.levels, cuts + first.layer.bound + 2)
    other = vgg_integer.IntegerLayer(
        first.layer, first.levels, None if twin.form[0] == "t" else cuts
    )
    with pytest.raises(HeqFormatError, match="all layers have thresholds or none"):
        IntegerVgg([other, *twin.layers[1:]])


def test_damaged_weight_files_are_named(twin, tmp_path):
    path = tmp_path / "encoder.safetensors"
    twin.save(path)
    packed = load_file(path)
    cases = {
        "short": {**packed, "conv3": packed["conv3"][:-1]},
        "missing": {name: packed[name] for name in packed if name != "conv5"},
        # 0xFF holds the 3-bit fields 7, 7, ..: no quinary level.
        "level": {**packed, "conv1": np.full_like(packed["conv1"], 255)},
    }
    for name, tensors in cases.items():
        broken = tmp_path / f"{name}.safetensors"
        save_file(tensors, broken)
        with pytest.raises(HeqFormatError, match=broken.name):
            IntegerVgg.load(broken)
    garbage = tmp_path / "garbage.safetensors"
    header = json.dumps({"conv1": 1}).encode()
    garbage.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(HeqFormatError, match="garbage"):
        IntegerVgg.load(garbage)
    with pytest.raises(HeqFormatError, match="layers"):
        IntegerVgg(twin.layers[:-1])


def test_float32_bound_is_taken_from_the_weights():
    levels = np.ones((2, 128, 3, 3), dtype=np.int8)
    check_float32_exact(levels, 255, "small")
    levels[1] = 127
    with pytest.raises(HeqError, match="wide: an accumulator can reach"):
        check_float32_exact(levels, 255, "wide")
    for layer in VGG_LAYERS:
        assert layer.bound < 2**24


def test_accumulators_of_the_first_layer_reach_their_bound():
    # The bound decides how many bits a threshold gets, so it must be attained, not just safe.
    layer = VGG_LAYERS[0]
    weight = np.full(layer.shape, 2, dtype=np.int64)
    dark = np.full((1, 3, 32, 32), -layer.top, dtype=np.int64)
    total = convolve_integers(dark, weight, layer)
    assert total.min() == -layer.bound == -6912


def test_gradients_reach_every_weight_and_autocast_does_not_change_the_code():
    torch.manual_seed(2)
    graph = NqeVgg().to(memory_format=torch.channels_last)
    pixels = as_tensor(some_patches(4))
    code = graph(pixels)
    assert code.shape == (4, CODE_CHANNELS, 4, 4)
    assert code.unique().tolist() == [-1, 1]
    truncate_code(code, torch.tensor([4, 8, 16, 32])).square().sum().backward()
    (truncate_code(graph(pixels), 32) * torch.randn(4, CODE_CHANNELS, 4, 4)).sum().backward()
    for block in graph.quantized_blocks():
        assert (block.latent.grad != 0).any(), block.layer.name
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = graph(pixels)
    assert torch.equal(again, code)


def test_random_truncation_draws_all_four_widths():
    drawn = rate_indices((1.0, 1.0, 0.5, 1.0), 400, torch.Generator().manual_seed(0))
    assert drawn.unique().tolist() == [0, 1, 2, 3]
    assert int((drawn == 2).sum()) < int((drawn == 1).sum())
    masked = truncate_code(torch.ones(3, CODE_CHANNELS, 4, 4), torch.tensor([4, 16, 32]))
    assert masked.sum(dim=(1, 2, 3)).tolist() == [64, 256, 512]


def test_switch_to_bsn_keeps_the_direction_of_inverted_channels():
    torch.manual_seed(3)
    graph = NqeVgg(norm_init="halfwave")
    pixels = as_tensor(some_patches(16))
    block = graph.blocks[0]
    with torch.no_grad():
        block.norm.bn.weight[:32] *= -1
    graph.recalibrate([pixels])
    before = block.latent.detach().clone()
    graph.switch_to_bsn()
    assert torch.equal(block.latent[:32], -before[:32])
    assert torch.equal(block.latent[32:], before[32:])
    with pytest.raises(RuntimeError, match="already"):
        graph.switch_to_bsn()
    restored = NqeVgg()
    restored.load_state_dict(graph.state_dict())
    code = graph.eval()(pixels)
    assert torch.equal(restored.eval()(pixels), code)
    assert torch.equal(copy.deepcopy(graph)(pixels), code)


def test_recalibration_sets_the_running_statistics_to_those_of_the_batches():
    torch.manual_seed(4)
    graph = NqeVgg()
    pixels = as_tensor(some_patches(16))
    graph.recalibrate([pixels])
    first = graph.blocks[0]
    total = first.conv(pixels.float() - 128)
    torch.testing.assert_close(first.norm.bn.running_mean, total.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(
        first.norm.bn.running_var, total.var(dim=(0, 2, 3)), rtol=1e-4, atol=0
    )
    assert first.norm.bn.momentum == 0.1
    assert graph.training


def test_the_twin_loads_without_torch_or_training_code(twin, tmp_path):
    path = tmp_path / "encoder.safetensors"
    twin.save(path)
    script = (
        "import sys; from heqcodec.nqe_vgg.integer import IntegerVgg; "
        f"print(IntegerVgg.load({str(path)!r}).encoder_id.hex()); "
        "print([m for m in sys.modules if m == 'torch' or m.startswith('heqcodec.quantizers')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.split("\n")[:2] == [twin.encoder_id.hex(), "[]"]
