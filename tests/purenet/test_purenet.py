"""PURENET: what it starts from, how far a patch reaches, and tiles against the whole."""

from __future__ import annotations

from pathlib import Path

import heqcodec.purenet.tiles as tiles_module
import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.image.patches import split_patches
from heqcodec.lab.training.recipe import Recipe
from heqcodec.models.registry import TRANSFORM, VGG
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.purenet.config import CELLS
from heqcodec.purenet.decoder import PurenetDecoder
from heqcodec.purenet.device import find_device
from heqcodec.purenet.network import Purenet, PurenetConfig
from heqcodec.purenet.patch_readers import BinaryReader, Reader, TransformReader
from heqcodec.purenet.torch_network import TorchNetwork
from slow_cases import quick_first
from small_models import photograph, randomised, small_purenet, transform_tensors

RATES = (64, 128, 256, 512)
CPU = torch.device("cpu")
RECIPES = sorted((Path(__file__).parents[2] / "weights" / "recipes").glob("*.toml"))
RNG = np.random.default_rng(11)


@pytest.fixture(scope="module")
def encoder() -> TransformNqe:
    return TransformNqe(transform_tensors())


@pytest.fixture(scope="module")
def codes(encoder: TransformNqe) -> np.ndarray:
    """Real codes of a photograph, 5 x 6 patches at 256 bits."""
    patches = split_patches(photograph()[96:256, 128:320])
    return encoder.encode_patches(patches, 256).reshape(5, 6, 32)


def binary_codes(rows: int, columns: int, bits: int = 256) -> np.ndarray:
    return RNG.integers(0, 256, (rows, columns, bits // 8), dtype=np.uint8)


def torch_decoder(reader: Reader, network: Purenet) -> PurenetDecoder:
    return PurenetDecoder(reader, TorchNetwork(network, CPU), RATES)


def binary_decoder(network: Purenet) -> PurenetDecoder:
    return torch_decoder(BinaryReader(), network)


def cells_of(rows: int, columns: int, inputs: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows * 100 + columns)
    shape = (1, inputs, CELLS * rows, CELLS * columns)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def patch_distance(rows: int, columns: int, patch: tuple[int, int]) -> np.ndarray:
    """Of each pixel from a patch's border, 0 inside, int64 (32 rows, 32 columns)."""
    axes = []
    for count, index in zip((rows, columns), patch, strict=True):
        place = np.arange(32 * count)
        axes.append(np.maximum(np.maximum(32 * index - place, place - 32 * index - 31), 0))
    return np.maximum(axes[0][:, None], axes[1][None])


def changed_pixels(network: Purenet, rows: int, columns: int, patch: tuple[int, int]) -> np.ndarray:
    """Where other cells in one patch change the frame, bool (32 rows, 32 columns)."""
    cells = cells_of(rows, columns, network.config.inputs).abs() + 1
    other = cells.clone()
    top, left = (CELLS * index for index in patch)
    other[..., top : top + CELLS, left : left + CELLS] += 1
    rate = torch.tensor([2])
    with torch.inference_mode():
        difference = network(cells, None, rate) - network(other, None, rate)
    return (difference[0] != 0).any(dim=0).numpy()


class TestUntrained:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_transform_purenet_is_the_plain_inverse(
        self, encoder: TransformNqe, channels: int
    ) -> None:
        patches = split_patches(photograph()[:64, :96])[..., :channels]
        codes = encoder.encode_patches(patches, 256)
        reader = TransformCodeReader(encoder)
        network = small_purenet(TRANSFORM)
        decoded = torch_decoder(TransformReader(reader), network).decode_frame(
            codes.reshape(2, 3, 32), 256, channels
        )
        plain = reader.read(codes, channels)[0].transpose(0, 2, 3, 1)
        if channels == 1:
            plain = plain.mean(axis=3, keepdims=True)
        expected = np.clip(np.rint(plain), 0, 255).astype(np.uint8)
        assert decoded.shape == (64, 96, channels)
        shown = split_patches(decoded).astype(int)
        # Dividing by 255 and multiplying again may move a half to either side.
        assert np.abs(shown - expected).max() <= 1
        assert (shown == expected).mean() > 0.999

    def test_binary_purenet_answers_to_the_code_at_once(self) -> None:
        torch.manual_seed(0)
        decoder = binary_decoder(small_purenet(VGG))
        first = decoder.decode_frame(binary_codes(1, 1), 256, 3)
        assert (first != decoder.decode_frame(binary_codes(1, 1), 256, 3)).any()


class TestReach:
    def test_patch_upsampling_does_not_leak(self) -> None:
        network = randomised(small_purenet(VGG, local_blocks=2)).double()
        cells = cells_of(3, 4)
        other = cells.clone()
        other[..., 4:8, 8:12] += 1
        rate = torch.eye(4)[None, [1]].double()
        with torch.inference_mode():
            before, after = (network.upsample_patches(x, rate) for x in (cells, other))
        changed = (before != after).any(dim=1)[0].numpy()
        assert changed[4:8, 8:12].all()
        changed[4:8, 8:12] = False
        assert not changed.any()

    def test_patch_upsampling_keeps_patches_at_their_places(self) -> None:
        network = randomised(small_purenet(VGG)).double()
        cells, rate = cells_of(2, 3), torch.eye(4)[None, [0]].double()
        with torch.inference_mode():
            whole = network.upsample_patches(cells, rate)
            for row in range(2):
                for column in range(3):
                    box = (
                        ...,
                        slice(CELLS * row, CELLS * (row + 1)),
                        slice(CELLS * column, CELLS * (column + 1)),
                    )
                    alone = network.upsample_patches(cells[box], rate)
                    torch.testing.assert_close(whole[box], alone)

    @pytest.mark.parametrize("path", quick_first(RECIPES), ids=lambda path: path.stem)
    def test_of_the_recipes_is_bounded_and_wide(self, path: Path) -> None:
        depth = {
            key: value for key, value in Recipe.load(path).purenet.items() if "width" not in key
        }
        network = randomised(small_purenet(VGG, width=6, fine_width=4, **depth)).double()
        distance = patch_distance(3, 11, (1, 5))
        assert distance.max() > network.radius
        reached = distance[changed_pixels(network, 3, 11, (1, 5))]
        # These go on from the strong decoder, whose blocks at 1/8 resolution are gone.
        least = 44 if path.stem in ("nqe-r-ssimulacra2", "nqe-r-camera") else 56
        assert least <= reached.max() <= network.radius

    @pytest.mark.parametrize(("blocks", "fine_blocks"), [(0, 0), (1, 0), (0, 2), (3, 1)])
    def test_radius_is_exact_where_no_path_is_blocked(self, blocks: int, fine_blocks: int) -> None:
        network = randomised(small_purenet(VGG, blocks=blocks, fine_blocks=fine_blocks)).double()
        with torch.no_grad():
            for value in network.parameters():
                value.abs_()
        distance = patch_distance(5, 5, (2, 2))
        changed = changed_pixels(network, 5, 5, (2, 2))
        assert distance[changed].max() == network.radius < distance.max()

    def test_a_corner_patch_reaches_no_further(self) -> None:
        network = randomised(small_purenet(VGG)).double()
        distance = patch_distance(4, 4, (0, 3))
        reached = distance[changed_pixels(network, 4, 4, (0, 3))]
        assert 0 < reached.max() <= network.radius < distance.max()


class TestRates:
    def test_each_rate_has_gains_and_shifts_of_its_own(self) -> None:
        network = randomised(small_purenet(VGG)).double()
        cells = cells_of(1, 2)
        with torch.inference_mode():
            before = [network(cells, None, torch.tensor([rate])) for rate in range(4)]
        assert all((before[0] != other).any() for other in before[1:])
        with torch.no_grad():
            for block in (*network.local, *network.coarse, *network.fine):
                block.gain[2] += 0.5
                block.shift[2] += 0.5
        with torch.inference_mode():
            after = [network(cells, None, torch.tensor([rate])) for rate in range(4)]
        assert [bool((a != b).any()) for a, b in zip(before, after, strict=True)] == [
            False,
            False,
            True,
            False,
        ]

    def test_a_batch_of_several_rates_is_each_alone(self) -> None:
        network = randomised(small_purenet(VGG)).double()
        cells = torch.cat([cells_of(2, 3), cells_of(2, 3).flip(3)])
        with torch.inference_mode():
            both = network(cells, None, torch.tensor([3, 0]))
            each = [
                network(cells[i : i + 1], None, torch.tensor([r])) for i, r in enumerate((3, 0))
            ]
        torch.testing.assert_close(both, torch.cat(each))

    def test_the_decoder_tells_the_network_the_rate(self) -> None:
        network = randomised(small_purenet(VGG))
        seen = []
        network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2].tolist()))
        decoder = binary_decoder(network)
        for bits in RATES:
            decoder.decode_frame(binary_codes(1, 1, bits), bits, 3)
        assert seen == np.eye(4)[:, None, None].tolist()


class TestTiles:
    @pytest.mark.parametrize("grid", [(1, 1), (1, 7), (6, 1), (3, 4), (7, 5)])
    @pytest.mark.parametrize("blocks", [1, 3])
    def test_tiles_give_what_the_whole_gives(
        self, monkeypatch: pytest.MonkeyPatch, grid: tuple[int, int], blocks: int
    ) -> None:
        network = randomised(small_purenet(VGG, blocks=blocks), scale=0.4)
        decoder, codes = binary_decoder(network), binary_codes(*grid)
        whole = decoder.decode_frame(codes, 256, 3)
        monkeypatch.setattr(tiles_module, "TILE", 2)
        tiles = decoder.decode_frame(codes, 256, 3)
        assert whole.shape == (32 * grid[0], 32 * grid[1], 3)
        assert whole.std() > 10  # not clipped to nothing
        assert np.abs(whole.astype(int) - tiles).max() <= 1

    def test_the_surroundings_of_a_tile_are_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else the test above would pass without them."""
        network = randomised(small_purenet(VGG, blocks=3), scale=0.4)
        decoder, codes = binary_decoder(network), binary_codes(5, 5)
        whole = decoder.decode_frame(codes, 256, 3)
        monkeypatch.setattr(tiles_module, "TILE", 2)
        decoder.radius = 0
        tiles = decoder.decode_frame(codes, 256, 3)
        assert np.abs(whole.astype(int) - tiles).max() > 1

    def test_real_codes_in_tiles(
        self, monkeypatch: pytest.MonkeyPatch, encoder: TransformNqe, codes: np.ndarray
    ) -> None:
        network = randomised(small_purenet(TRANSFORM), scale=0.3)
        reader = TransformReader(TransformCodeReader(encoder))
        decoder = torch_decoder(reader, network)
        whole = decoder.decode_frame(codes, 256, 3)
        monkeypatch.setattr(tiles_module, "TILE", 3)
        assert np.abs(whole.astype(int) - decoder.decode_frame(codes, 256, 3)).max() <= 1

    def test_memory_does_not_grow_with_the_frame(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = randomised(small_purenet(VGG))
        shapes = []
        network.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape[2:]))
        monkeypatch.setattr(tiles_module, "TILE", 2)
        binary_decoder(network).decode_frame(binary_codes(9, 11), 256, 3)
        around = CELLS * (2 + 2 * -(-network.radius // 32))
        assert len(shapes) == 5 * 6
        assert max(max(shape) for shape in shapes) == around


class TestLostPatches:
    def test_pixels_beyond_the_radius_stay(self, encoder: TransformNqe, codes: np.ndarray) -> None:
        reader = TransformReader(TransformCodeReader(encoder))
        network = randomised(small_purenet(TRANSFORM), scale=0.3)
        decoder = torch_decoder(reader, network)
        valid = np.ones(codes.shape[:2], dtype=bool)
        whole = decoder.decode_frame(codes, 256, 3, valid)
        np.testing.assert_array_equal(whole, decoder.decode_frame(codes, 256, 3))
        valid[1, 0] = False
        lost = decoder.decode_frame(codes, 256, 3, valid)
        changed = (whole != lost).any(axis=2)
        distance = patch_distance(5, 6, (1, 0))
        assert changed[distance == 0].any()
        assert distance[changed].max() <= decoder.radius < distance.max()

    @pytest.mark.parametrize("family", [TRANSFORM, VGG])
    def test_their_codes_are_not_looked_at(self, encoder: TransformNqe, family: str) -> None:
        binary = family == VGG
        reader = BinaryReader() if binary else TransformReader(TransformCodeReader(encoder))
        decoder = torch_decoder(reader, randomised(small_purenet(family)))
        codes, valid = binary_codes(2, 2), np.array([[True, False], [True, True]])
        first = decoder.decode_frame(codes, 256, 3, valid)
        codes[0, 1] = RNG.integers(0, 256, 32, dtype=np.uint8)
        np.testing.assert_array_equal(first, decoder.decode_frame(codes, 256, 3, valid))


class TestOutput:
    def test_gray_is_the_mean_of_the_colours(self) -> None:
        class Colours(Purenet):
            """A network that always says the same colours."""

            def forward(self, cells, base, rate):  # type: ignore[no-untyped-def]
                colours = torch.tensor([0.0, 0.3, 0.9]).view(1, 3, 1, 1)
                return colours.expand(1, 3, 8 * cells.shape[2], 8 * cells.shape[3])

        decoder = binary_decoder(Colours(PurenetConfig(inputs=32, has_base=False)))
        gray = decoder.decode_frame(binary_codes(1, 2), 256, 1)
        assert gray.shape == (32, 64, 1) and gray.dtype == np.uint8
        assert (gray == round(255 * 0.4)).all()

    def test_is_limited_to_bytes(self) -> None:
        network = randomised(small_purenet(VGG), scale=3)
        frame = binary_decoder(network).decode_frame(binary_codes(2, 2), 256, 3)
        assert frame.dtype == np.uint8 and frame.min() == 0 and frame.max() == 255

    def test_a_gray_photograph_comes_back(self, encoder: TransformNqe) -> None:
        gray = photograph()[96:160, 128:192, 1:2]
        patches = split_patches(gray)
        reader = TransformReader(TransformCodeReader(encoder))
        decoder = torch_decoder(reader, small_purenet(TRANSFORM))
        code = encoder.encode_patches(patches, 256).reshape(2, 2, 32)
        decoded = decoder.decode_frame(code, 256, 1).astype(float)
        assert 10 * np.log10(255**2 / np.mean((decoded - gray) ** 2)) > 20


class TestDevice:
    def test_cpu_and_auto_are_found(self) -> None:
        assert find_device("cpu") == CPU
        assert find_device("auto").type in ("cpu", "cuda")

    @pytest.mark.parametrize("name", ["", "gpu", "meta", "cuda:99", "xla", "hpu", "cpu,cpu"])
    def test_others_are_told(self, name: str) -> None:
        with pytest.raises(HeqUnsupportedError, match=f'no device "{name}" here; use "auto"'):
            find_device(name)
