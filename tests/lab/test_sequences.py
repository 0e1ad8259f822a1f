"""Frame sequences: one integer state on both sides, what a lost frame costs, the gated unit."""

from __future__ import annotations

import json
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from command_runner import names, run
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.eval.baselines.video import h264, motion_jpeg
from heqcodec.eval.metrics import psnr
from heqcodec.file.options import step_of_quality
from heqcodec.image.images import load_image
from heqcodec.image.patches import patch_batches
from heqcodec.lab.sequences import comparison, scenes
from heqcodec.lab.sequences.comparison import Parts, load_parts
from heqcodec.lab.sequences.gated_unit import GatedUnit, IntegerGatedUnit, train_unit
from heqcodec.lab.sequences.patch_states import (
    NEVER_SKIP,
    Choice,
    SequenceDecoder,
    SequenceEncoder,
    StateRules,
    code_guess,
    skippable,
    unpack_frame,
)
from heqcodec.lab.sequences.scenes import (
    DIRECTIONS,
    NOISE,
    PACE,
    SCENES,
    make_sequence,
    moving_images,
)
from PIL import Image

SIDE, COUNT = 128, 16
STEP = step_of_quality(60)
ASTRONAUT = Path(__file__).parents[2] / "cli" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.asarray(load_image(ASTRONAUT).pixels)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts("plain")


def pair(parts: Parts, rules: StateRules) -> tuple[SequenceEncoder, SequenceDecoder]:
    return (
        SequenceEncoder(parts.encoder, parts.coder, rules, COUNT),
        SequenceDecoder(parts.coder, rules, COUNT),
    )


class TestStates:
    def test_both_sides_hold_the_same(self, photograph: np.ndarray, parts: Parts) -> None:
        sender, receiver = pair(parts, StateRules(STEP, 1))
        seen = np.zeros(3, int)
        for frame in make_sequence(photograph, SCENES["object"], 5, SIDE, 1):
            choices = receiver.decode(sender.encode(frame))
            assert not sender.state.differing(receiver.state).any()
            seen += np.bincount(choices, minlength=3)
        assert (seen > 0).all()

    def test_without_skips_levels_are_those_of_a_picture(
        self, photograph: np.ndarray, parts: Parts
    ) -> None:
        sender, receiver = pair(parts, StateRules(STEP, NEVER_SKIP))
        for frame in make_sequence(photograph, SCENES["static"], 3, SIDE, 1):
            choices = receiver.decode(sender.encode(frame))
            patches = np.concatenate(list(patch_batches(frame)))
            levels, sizes = parts.encoder.levels(parts.encoder.coefficients(patches), STEP)
            same = receiver.state.transform_sizes == sizes
            assert (receiver.state.levels[same] == levels[same]).all()
            assert same[choices == Choice.REFRESH].all()
        assert (choices == Choice.REFINE).any()

    def test_a_refresh_ends_what_a_lost_frame_did(
        self, photograph: np.ndarray, parts: Parts
    ) -> None:
        rules = StateRules(STEP, 1, period=4)
        sender, receiver = pair(parts, rules)
        apart = []
        for index, frame in enumerate(make_sequence(photograph, SCENES["pan"], 8, SIDE, 1)):
            payload = sender.encode(frame)
            if index != 2:
                receiver.decode(payload)
            apart.append(int(sender.state.differing(receiver.state).sum()))
        assert apart[:2] == [0, 0] and apart[2] > 0
        assert apart[2 + rules.period :] == [0, 0]

    def test_every_patch_has_its_turn(self, photograph: np.ndarray, parts: Parts) -> None:
        frame = make_sequence(photograph, SCENES["static"], 2, SIDE, 1)[0]
        sender, receiver = pair(parts, StateRules(STEP, 1, period=4))
        turns = [receiver.decode(sender.encode(frame)) == Choice.REFRESH for _ in range(5)]
        assert turns[0].all()
        assert (np.sum(turns[1:], axis=0) == 1).all()
        # Nothing moved, so all else was skipped.
        assert [int(turn.sum()) for turn in turns[1:]] == [4, 4, 4, 4]

    def test_damage_is_found(self, photograph: np.ndarray, parts: Parts) -> None:
        frame = make_sequence(photograph, SCENES["static"], 2, SIDE, 1)[0]
        sender, receiver = pair(parts, StateRules(STEP))
        payload = bytearray(sender.encode(frame))
        for cut in (b"", payload[:9], payload[:-1], bytes(40)):
            with pytest.raises(HeqFormatError):
                receiver.decode(bytes(cut))
        payload[len(payload) // 2] ^= 1
        with pytest.raises(HeqFormatError, match="no frame of 16 patches"):
            receiver.decode(bytes(payload))


class TestRules:
    def test_what_a_change_counts(self) -> None:
        held = np.zeros((4, 3, 1024), np.int16)
        held[:, 0, :30] = 5
        change = np.zeros((4, 3, 1024), np.int32)
        change[0, 1, 500:508] = [1, -1] * 4
        change[1, 1, 500:509] = 1
        change[2, 2, 3] = -2
        change[3, 2, 3] = 3
        # 2 to the second times the change, at most 30 + 4: 8.5; a low frequency counts four times.
        assert skippable(change, held, 2).tolist() == [True, False, True, False]
        assert not skippable(0 * change, held, NEVER_SKIP).any()

    def test_guess(self) -> None:
        levels = np.zeros((1, 3, 1024), np.int32)
        levels[0, 0, :3] = [2, -40, 1]
        assert code_guess(levels).tolist() == [(2 + 1) + (15 + 1) + (1 + 1)]

    def test_layout_of_a_payload(self, photograph: np.ndarray, parts: Parts) -> None:
        sender, _ = pair(parts, StateRules(STEP, 1))
        frames = make_sequence(photograph, SCENES["object"], 2, SIDE, 1)
        sender.encode(frames[0])
        payload = sender.encode(frames[1])
        assert payload[:2] == b"\1\0"
        assert zlib.crc32(payload[:-4]) == int.from_bytes(payload[-4:], "little")
        choices, refreshed, refined = unpack_frame(payload, COUNT)
        assert int.from_bytes(payload[2:6], "little") == len(refreshed)
        flags = -(-int((choices != Choice.SKIP).sum()) // 8)
        assert len(payload) == 6 + 2 + flags + len(refreshed) + len(refined) + 4


class TestScenes:
    def test_a_fixed_camera_differs_by_noise(self, photograph: np.ndarray) -> None:
        first, second = make_sequence(photograph, SCENES["static"], 2, SIDE, 1).astype(float)
        inner = (first > 10) & (first < 245)
        assert (first - second)[inner].std() == pytest.approx(2**0.5 * NOISE, rel=0.05)

    def test_light_falls(self, photograph: np.ndarray) -> None:
        frames = make_sequence(photograph, SCENES["light"], 5, SIDE, 1).astype(float)
        assert frames[-1].mean() / frames[0].mean() == pytest.approx(0.75, abs=0.01)

    def test_a_pan_moves_the_picture(self, photograph: np.ndarray) -> None:
        frames = make_sequence(photograph, SCENES["pan"], 3, SIDE, 1).astype(float)
        moved = frames[2][:-2, :-4] - frames[0][2:, 4:]
        assert moved.std() < 2 * NOISE < (frames[2] - frames[0]).std()

    def test_too_small_a_photograph(self) -> None:
        with pytest.raises(HeqError, match="too small"):
            make_sequence(np.zeros((64, 64, 3), np.uint8), SCENES["pan"], 3, 64, 1)

    def test_images_go_where_they_are_said_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scenes, "LIGHTS", (1.0, 1.0))
        monkeypatch.setattr(scenes, "COARSE_NOISE", 0.0)
        images = np.random.default_rng(1).integers(0, 256, (24, 32, 32, 3), np.uint8)
        frames, ways = moving_images(images, 8, 1)
        assert set(ways.tolist()) == {0, 1, 2, 3}
        for image, sequence, way in zip(images, frames, ways, strict=True):
            down, right = DIRECTIONS[way]
            for index, frame in enumerate(sequence):
                place = PACE * index - 7
                top, left = 8 + place * down, 8 + place * right
                assert (frame[8:24, 8:24] == image[top : top + 16, left : left + 16]).all()


class TestBaselines:
    def test_jpeg_with_its_tables_once_shows_the_same(self, photograph: np.ndarray) -> None:
        frames = make_sequence(photograph, SCENES["pan"], 3, SIDE, 1)
        size, decoded = motion_jpeg(frames, 40)
        wholes = []
        for frame in frames:
            stream = BytesIO()
            Image.fromarray(frame).save(stream, "JPEG", quality=40)
            wholes.append(len(stream.getvalue()))
            stream.seek(0)
            assert (np.asarray(Image.open(stream)) == decoded[len(wholes) - 1]).all()
        assert sum(wholes) - 3 * 700 < size < sum(wholes) - 2 * 300

    def test_h264_spends_little_on_what_stands_still(self, photograph: np.ndarray) -> None:
        pytest.importorskip("imageio_ffmpeg")
        frames = make_sequence(photograph, SCENES["static"], 4, SIDE, 1)
        size, decoded = h264(frames, 27)
        alone, _ = h264(frames[:1], 27)
        assert alone < size < 3 * alone
        assert min(psnr(*both) for both in zip(frames, decoded, strict=True)) > 28


@pytest.fixture(scope="module")
def trained() -> tuple[GatedUnit, np.ndarray, np.ndarray]:
    """Which of two patterns came first? The mean of the codes cannot tell."""
    random = np.random.default_rng(1)
    patterns = random.integers(0, 2, (2, 16), dtype=np.uint8)
    labels = random.integers(0, 2, 600)
    order = np.stack([labels, 1 - labels], axis=1)
    codes = patterns[order] ^ (random.random((600, 2, 16)) < 0.1).astype(np.uint8)
    torch.manual_seed(1)
    unit = GatedUnit(6, 16, 2)
    train_unit(unit, 2 * torch.from_numpy(codes).float() - 1, torch.from_numpy(labels), 15, 1)
    return unit, codes, labels


class TestGatedUnit:
    def test_it_learns_order(self, trained: tuple[GatedUnit, np.ndarray, np.ndarray]) -> None:
        unit, codes, labels = trained
        assert (unit.integers().scores(codes).argmax(1) == labels).mean() > 0.9

    def test_integers_are_the_network(
        self, trained: tuple[GatedUnit, np.ndarray, np.ndarray]
    ) -> None:
        unit, codes, _ = trained
        whole = unit.integers()
        assert set(np.unique(whole.gate)) <= {-1, 0, 1}
        # With a unit matrix for a head the network's logits are the last state.
        unit.double()
        with torch.no_grad():
            kept = unit.head.weight.clone(), unit.head.bias.clone()
            head = torch.eye(6, dtype=torch.float64)
            unit.head.weight, unit.head.bias = torch.nn.Parameter(head), None
            shown = unit(2 * torch.from_numpy(codes).double() - 1).numpy()
            unit.head.weight, unit.head.bias = map(torch.nn.Parameter, kept)
        state = np.zeros((len(codes), 6), np.int32)
        for index in range(codes.shape[1]):
            state = whole.step(state, 2 * codes[:, index].astype(np.int32) - 1)
        assert (state == shown).all() and len(np.unique(state)) == 3

    def test_a_step_by_hand(self) -> None:
        weights = np.array([[1, 1, -1]], np.int8)
        one = np.array([[1]], np.int8)
        threshold = [np.array([value], np.int32) for value in (1, 2, -2)]
        unit = IntegerGatedUnit(weights, weights, *threshold, one, np.array([7], np.int32))
        # Sums: state + x0 - x1. Closed at 0 and below, so the state stays.
        codes = np.array([[[1, 0]], [[0, 1]], [[1, 1]]], np.uint8)
        assert unit.scores(codes)[:, 0].tolist() == [8, 7, 7]
        # From state 1 the gate opens at 1, and 1 is no level of the candidate: 0.
        assert unit.step(np.array([[1]], np.int32), np.array([[1, 1]], np.int32)).tolist() == [[0]]
        # From state -1 it is closed, and the state stays.
        assert unit.step(np.array([[-1]], np.int32), np.array([[1, 1]], np.int32)).tolist() == [
            [-1]
        ]
        assert unit.bits == 2 * 6 + 16 * 3 + 8 + 32


class TestCommand:
    @pytest.mark.slow
    def test_what_it_writes(
        self, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("imageio_ffmpeg")
        monkeypatch.setattr(comparison, "QUALITIES", (40, 80))
        monkeypatch.setattr(comparison, "SHIFTS", (NEVER_SKIP, 1))
        monkeypatch.setattr(comparison, "JPEG_QUALITIES", (20, 80))
        monkeypatch.setattr(comparison, "CRFS", (22, 32))
        monkeypatch.setattr(comparison, "SCENES", {"static": SCENES["static"]})
        held = tmp_path / "held"
        held.mkdir()
        (held / "astronaut.jpg").write_bytes(ASTRONAUT.read_bytes())
        random = np.random.default_rng(3)
        images = random.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        np.savez(tmp_path / "c.npz", images=images, labels=np.arange(40) % 4, train=30)
        given = ("--data", photographs, "--held-out", held, "--cifar", tmp_path / "c.npz")
        small = ("--photographs", "1", "--chosen-on", "1", "--frames", "2", "--images", "20")
        result = run(
            "eval", "sequences", *given, *small, "--epochs", "1", "--seeds", "1",
            "--out", tmp_path / "out",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "out") == ["curves.csv", "sequences.json", "table.md"]
        found = json.loads((tmp_path / "out" / "sequences.json").read_text())
        assert found["bd_rate"]["intra"]["static"] == pytest.approx(0, abs=1e-9)
        assert found["bd_rate"][comparison.FULL]["static"] < 0
        assert found["lost_frame"][0]["differing"][-1] == 0
        assert len(found["classes"]) == 10
        assert str(tmp_path) not in json.dumps(found)
        assert (tmp_path / "out" / "table.md").read_text() in result.stdout


def test_without_ffmpeg_it_stops_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    folders = ("--data", tmp_path, "--held-out", tmp_path)  # empty, which would be refused later
    result = run("eval", "sequences", *folders, "--out", tmp_path / "out")
    assert result.exit_code == 1 and 'pip install "heqcodec[baselines]"' in result.stderr
