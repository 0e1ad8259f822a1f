"""Exported models: they code as in training, and are installed among those that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from heqcodec.image.patches import split_patches
from heqcodec.lab.training.export import export_model
from heqcodec.lab.training.install import main as install_main
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.run import train
from heqcodec.models import registry
from heqcodec.models.registry import TRANSFORM, VGG
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.purenet.decoder import PurenetDecoder
from heqcodec.purenet.patch_readers import TransformReader
from heqcodec.purenet.torch_network import TorchNetwork
from rich.progress import Progress
from slow_cases import slow
from small_models import (
    photograph,
    small_purenet,
    transform_tensors,
    write_recipe,
)
from training_runs import CPU, checkpoint_of, task_of

pytestmark = pytest.mark.usefixtures("light_training")


class TestExport:
    @pytest.mark.slow
    def test_installed_transform_model_decodes_like_the_network_in_memory(
        self,
        weights: Path,
        photographs: Path,
        held_out: Path,
        encoder_file: Path,
        tmp_path: Path,
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", TRANSFORM, learning_rate=5e-3)
        entry = train(
            recipe,
            photographs,
            device="cpu",
            out_dir=tmp_path / "out",
            held_out_dir=held_out,
            encoder_from=encoder_file,
        )
        assert (
            install_main(
                [str(tmp_path / "out/weights/tiny-transform.json"), "--weights", str(weights)]
            )
            == 0
        )
        assert registry.default_model() == "tiny-transform"
        encoder = registry.load_encoder("tiny-transform")
        assert isinstance(encoder, TransformNqe)
        assert encoder.encoder_id.hex() == entry["encoder"]["encoder_id"]
        network = small_purenet(TRANSFORM)
        prefix = "average/purenet/"
        stored = checkpoint_of(tmp_path / "out")
        network.load_state_dict(
            {key.removeprefix(prefix): v for key, v in stored.items() if key.startswith(prefix)}
        )
        reader = TransformReader(TransformCodeReader(encoder))
        in_memory = PurenetDecoder(reader, TorchNetwork(network, CPU), encoder.rates)
        codes = encoder.encode_patches(split_patches(photograph()[:64, 128:224]), 256)
        codes = codes.reshape(2, 3, 32)
        expected = in_memory.decode_frame(codes, 256, 3).astype(int)
        loaded = registry.load_decoder(encoder.encoder_id, encoder.coder_id, "cpu")
        found = loaded.decode_frame(codes, 256, 3)
        assert np.abs(expected - found).max() <= 1
        untrained = TorchNetwork(small_purenet(TRANSFORM), CPU)
        plain = PurenetDecoder(reader, untrained, encoder.rates).decode_frame(codes, 256, 3)
        assert (expected != plain).any()  # something was learned, and came through

    @pytest.mark.parametrize(
        ("phases", "form"),
        [
            slow({"bsn_at": 1.0}, "thresholds"),
            ({"bsn_at": 0.5}, "shift"),
            slow({"bsn_at": 0.5, "fade_steps": 8}, "thresholds"),
            slow({"bsn_at": 1.0, "float_steps": 9}, "thresholds"),
        ],
        ids=["batch-normalization", "bit-shift", "fading", "not-quantized-yet"],
    )
    def test_vgg_export_codes_like_the_graph(
        self, phases: dict[str, float], form: str, tiles: np.ndarray, tmp_path: Path
    ) -> None:
        task = task_of(VGG, tiles, tmp_path / "coded", steps=3, **phases)
        facts = {"step": 0, "minutes": 0.0}
        loop = TrainingLoop(task, CPU, tmp_path, facts, Progress(disable=True))
        for _ in range(3):
            loop._one_step()
        exported = IntegerVgg.from_tensors(task.encoder_tensors(loop.ema))
        assert exported.form == form
        patches = split_patches(tiles[0])[::3]
        graph = task.settled(loop.ema, ship=True)
        assert not graph.training and not graph.is_floating
        with torch.inference_mode():
            code = graph(torch.from_numpy(patches).permute(0, 3, 1, 2))
        np.testing.assert_array_equal(exported.codes(patches), (code > 0).numpy())
        assert 0.01 < exported.codes(patches).mean() < 0.99

    def test_install_replaces_retires_and_chooses(
        self, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        exported = []
        tensors = transform_tensors()
        reordered = {**tensors, "order": tensors["order"][::-1]}
        models_made = (("a", "one", tensors), ("b", "two", tensors), ("c", "one", reordered))
        for out, name, encoder in models_made:
            network = small_purenet(TRANSFORM)
            export_model(tmp_path / out, name, TRANSFORM, "for tests", encoder, network, {}, {})
            exported.append(str(tmp_path / out / f"{name}.json"))
        target = ["--weights", str(weights)]
        assert [install_main([exported[0], *target]), install_main([exported[1], *target])] == [
            0,
            0,
        ]
        assert registry.model_names() == ["one", "two"]
        ids = registry.load_encoder("one")
        assert install_main([exported[1], *target, "--default"]) == 0
        assert install_main([exported[2], *target, "--retire", "0.1.0"]) == 0
        for cached in (registry.manifest, registry._encoder, registry._decoder):
            cached.cache_clear()
        assert registry.model_names() == ["two", "one"]
        assert registry.load_encoder("one").coder_id != ids.coder_id
        # "two" was made with the tables that "one" had: their files can still be read.
        assert registry.model_of(ids.encoder_id, ids.coder_id) == "two"
        key = f"{ids.encoder_id.hex()}-{ids.coder_id.hex()}"
        assert registry.manifest()["retired"] == {key: "0.1.0"}
        assert sorted(path.suffix for path in weights.iterdir()) == [".json"] + 4 * [".safetensors"]
        capsys.readouterr()
        (tmp_path / "c" / "one.purenet.safetensors").write_bytes(b"other")
        assert install_main([exported[2], *target]) == 1
        assert "is not the file that" in capsys.readouterr().err
        (tmp_path / "other.json").write_text("[1]")
        assert install_main([str(tmp_path / "other.json"), *target]) == 1
        assert "is not what heqcodec writes" in capsys.readouterr().err
        assert install_main([str(tmp_path / "none.json"), *target]) == 1
