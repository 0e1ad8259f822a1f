"""MCUCoder's class as a codec: Huffman codes, latents as bytes, files."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.eval.baselines import make_codec
from heqcodec.eval.baselines.mcucoder import McuCoderCodec
from heqcodec.eval.baselines.string_file import StringFile
from heqcodec.eval.peers.huffman import HuffmanCode, code_lengths
from heqcodec.eval.peers.latent_code import SYMBOLS, LatentCode
from heqcodec.eval.peers.mcucoder import CHANNELS, McuCoder
from heqcodec.lab.peers.run import save_peer
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import photograph

counts = st.lists(st.integers(0, 10_000), min_size=2, max_size=70)


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    return np.stack([photograph()[:256, :256], photograph("chelsea")[:256, 100:356]])


@pytest.fixture(scope="module")
def peer(tiles: np.ndarray) -> tuple[McuCoder, LatentCode]:
    torch.manual_seed(4)
    network = McuCoder(8).eval()
    return network, LatentCode.fit(network, tiles)


@pytest.fixture(scope="module")
def weights(peer: tuple[McuCoder, LatentCode], tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, code = peer
    folder = tmp_path_factory.mktemp("weights")
    save_peer(folder, network, code.tensors(), {"name": "mcucoder-test"})
    return folder / "mcucoder-test.safetensors"


class TestHuffman:
    @given(counts)
    def test_no_prefix_code_is_shorter_on_average_than_the_entropy_allows(
        self, values: list[int]
    ) -> None:
        lengths = code_lengths(np.array(values)).astype(int)
        assert sum(2.0**-length for length in lengths) == 1
        weights = np.maximum(values, 1)
        fractions = weights / weights.sum()
        entropy = -sum(fraction * math.log2(fraction) for fraction in fractions)
        mean = float((fractions * lengths).sum())
        assert entropy - 1e-9 <= mean < entropy + 1

    def test_is_the_best_code_of_five_symbols(self) -> None:
        values = np.array([15, 7, 6, 6, 5])
        least = min(
            sum(int(v) * length for v, length in zip(values, lengths, strict=True))
            for lengths in itertools.product(range(1, 5), repeat=5)
            if sum(2.0**-length for length in lengths) <= 1
        )
        assert int((values * code_lengths(values)).sum()) == least == 87

    @given(counts, st.data())
    def test_symbols_come_back(self, values: list[int], data: st.DataObject) -> None:
        code = HuffmanCode(code_lengths(np.array(values)))
        symbols = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=50))
        bits = code.encode(np.array(symbols, dtype=np.int64))
        after = data.draw(st.lists(st.integers(0, 1), max_size=9))
        padded = np.concatenate([bits, np.array(after, dtype=np.uint8)])
        found, used = code.decode(padded, len(symbols))
        assert found.tolist() == symbols and used == len(bits)

    def test_canonical_words(self) -> None:
        code = HuffmanCode(np.array([2, 1, 3, 3], dtype=np.uint8))
        words = ["".join(map(str, code.encode(np.array([s])))) for s in range(4)]
        assert words == ["10", "0", "110", "111"]

    def test_ends_too_early(self) -> None:
        code = HuffmanCode(np.array([2, 1, 3, 3], dtype=np.uint8))
        with pytest.raises(HeqFormatError, match="ends before all"):
            code.decode(np.array([0, 0], dtype=np.uint8), 3)
        with pytest.raises(HeqFormatError, match="within a word"):
            code.decode(np.array([0, 1, 1], dtype=np.uint8), 2)

    @pytest.mark.parametrize("lengths", [[1], [1, 2], [1, 1, 1], [0, 1], [33, 1], []])
    def test_lengths_of_no_code(self, lengths: list[int]) -> None:
        with pytest.raises(HeqFormatError, match="code"):
            HuffmanCode(np.array(lengths, dtype=np.uint8))

    def test_longest_words_fit(self) -> None:
        fibonacci = [1, 1]
        while len(fibonacci) < 33:
            fibonacci.append(sum(fibonacci[-2:]))
        lengths = code_lengths(np.array(fibonacci))
        assert lengths.max() == 32
        code = HuffmanCode(lengths)
        symbols = np.arange(33)
        assert code.decode(code.encode(symbols), 33)[0].tolist() == symbols.tolist()
        with pytest.raises(ValueError, match="more than 32"):
            code_lengths(np.array([*fibonacci, sum(fibonacci[-2:])]))


class TestLatentCode:
    def test_levels_are_within_half_a_step(self, peer: tuple[McuCoder, LatentCode]) -> None:
        _, code = peer
        generator = torch.Generator().manual_seed(0)
        span = (code.high - code.low)[:, None, None]
        latents = code.low[:, None, None] + span * torch.rand(
            1, CHANNELS, 5, 7, generator=generator
        )
        back = code.decode(code.encode(latents, CHANNELS), 5, 7)
        step = span * 4 / 255
        assert ((back - latents).abs() <= 0.5 * step * 1.001).all()

    def test_out_of_range_saturates(self, peer: tuple[McuCoder, LatentCode]) -> None:
        _, code = peer
        latents = torch.full((1, CHANNELS, 2, 2), 1e6)
        back = code.decode(code.encode(latents, CHANNELS), 2, 2)
        step = (code.high - code.low) * 4 / 255
        assert ((back[0, :, 0, 0] - code.high).abs() <= 0.5 * step).all()

    def test_the_first_channels_are_a_beginning(self, peer: tuple[McuCoder, LatentCode]) -> None:
        _, code = peer
        latents = torch.randn(1, CHANNELS, 4, 4, generator=torch.Generator().manual_seed(1))
        whole = code.encode(latents, CHANNELS)
        assert code.encode(latents, 5) == whole[:5]
        some = code.decode(whole[:5], 4, 4)
        assert torch.equal(some[:, :5], code.decode(whole, 4, 4)[:, :5])
        assert not some[:, 5:].any()

    def test_fits_what_it_saw(self, peer: tuple[McuCoder, LatentCode], tiles: np.ndarray) -> None:
        """Ranges are those of the tiles, and common symbols have shorter words."""
        network, code = peer
        with torch.no_grad():
            frames = torch.from_numpy(tiles).permute(0, 3, 1, 2) / 255
            latents = network.encoder(frames)
        torch.testing.assert_close(code.low, latents.amin((0, 2, 3)))
        torch.testing.assert_close(code.high, latents.amax((0, 2, 3)))
        size = sum(len(s) for part in latents for s in code.encode(part[None], CHANNELS))
        assert 8 * size < 0.9 * 6 * latents.numel()

    def test_damage_is_told(self, peer: tuple[McuCoder, LatentCode]) -> None:
        _, code = peer
        strings = code.encode(torch.zeros(1, CHANNELS, 4, 4), 2)
        with pytest.raises(HeqFormatError, match="ends"):
            code.decode([strings[0][:-1], strings[1]], 4, 4)
        with pytest.raises(HeqFormatError, match="follows the last latent"):
            code.decode([strings[0] + b"\0", strings[1]], 4, 4)
        with pytest.raises(HeqFormatError, match="13 strings for 12"):
            code.decode([strings[0]] * 13, 4, 4)

    def test_tensors_that_do_not_fit(self, peer: tuple[McuCoder, LatentCode]) -> None:
        tensors = peer[1].tensors()
        with pytest.raises(HeqFormatError, match="lacks 'low'"):
            LatentCode.from_tensors({key: tensors[key] for key in ("high", "lengths")})
        with pytest.raises(HeqFormatError, match="do not fit"):
            LatentCode.from_tensors({**tensors, "high": tensors["low"]})
        with pytest.raises(HeqFormatError, match="no complete prefix code"):
            LatentCode.from_tensors(
                {**tensors, "lengths": torch.full((CHANNELS, SYMBOLS), 5, dtype=torch.uint8)}
            )


class TestCodec:
    @settings(max_examples=12, deadline=None)
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, CHANNELS))
    def test_files_come_back_in_their_size(
        self,
        weights: Path,
        tmp_path_factory: pytest.TempPathFactory,
        height: int,
        width: int,
        kept: int,
    ) -> None:
        codec = McuCoderCodec(str(weights))
        path = tmp_path_factory.mktemp("files") / "a.mcu"
        pixels = photograph()[:height, :width]
        codec.encode(pixels, kept, path)
        decoded = codec.decode(path)
        assert decoded.shape == pixels.shape and decoded.dtype == np.uint8

    def test_decodes_what_the_network_would(
        self, peer: tuple[McuCoder, LatentCode], weights: Path, tmp_path: Path
    ) -> None:
        network, code = peer
        codec = McuCoderCodec(str(weights))
        pixels = photograph()[:64, :96]
        codec.encode(pixels, 7, tmp_path / "a.mcu")
        with torch.no_grad():
            latents = network.encoder(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
            quantized = code.decode(code.encode(latents, 7), 8, 12)
            expected = (network.decoder(quantized)[0] * 255).round().permute(1, 2, 0).numpy()
        assert np.array_equal(codec.decode(tmp_path / "a.mcu"), expected)
        file = StringFile.parse((tmp_path / "a.mcu").read_bytes())
        assert file.strings == code.encode(latents, 7)

    def test_same_bytes_in_any_order(self, weights: Path, tmp_path: Path) -> None:
        pixels = photograph()[:64, :64]
        first, second = McuCoderCodec(str(weights)), McuCoderCodec(str(weights))
        first.encode(pixels, 12, tmp_path / "a")
        second.encode(photograph("chelsea")[:80, :80], 3, tmp_path / "b")
        second.encode(pixels, 12, tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_name_and_weights(self, weights: Path) -> None:
        codec = make_codec(f"mcucoder@{weights}")
        assert codec.name == "mcucoder-test" and codec.missing() is None
        assert "weights" in codec.version()
        assert make_codec(f"mcucoder@mine={weights}").name == "mcucoder-mine"
        bare = make_codec("mcucoder")
        assert bare.name == "mcucoder" and "train-peer mcucoder.toml" in str(bare.missing())
        with pytest.raises(HeqError, match="needs weights"):
            bare.prepare()

    def test_errors(self, weights: Path, tmp_path: Path) -> None:
        codec = McuCoderCodec(str(weights))
        pixels = photograph()[:32, :32]
        with pytest.raises(HeqError, match="whole channels from 1 to 12"):
            codec.encode(pixels, 13, tmp_path / "a")
        codec.encode(pixels, 1, tmp_path / "a")
        data = (tmp_path / "a").read_bytes()
        (tmp_path / "b").write_bytes(data[:4] + b"\0\0\0\0" + data[8:])
        with pytest.raises(HeqError, match="other weights"):
            codec.decode(tmp_path / "b")
        file = StringFile.parse(data)
        wrong = StringFile(file.identity, 32, 32, 2, 2, file.strings)
        (tmp_path / "c").write_bytes(wrong.pack())
        with pytest.raises(HeqError, match="no shape for"):
            codec.decode(tmp_path / "c")
        with pytest.raises(HeqError, match="one file of weights"):
            McuCoderCodec(f"{weights},{weights}")
