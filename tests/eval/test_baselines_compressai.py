"""CompressAI's models run live: real files, whose pictures are those of the model itself.

Untrained weights stand in for trained ones: the way into a file and back is the same.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines import compressai_weights, make_codec
from heqcodec.eval.baselines.compressai_weights import checkpoint_ladder
from heqcodec.eval.baselines.string_file import StringFile

try:
    import compressai.zoo  # noqa: F401
except Exception as error:  # torchvision raises a RuntimeError with another torch
    REASON = f"CompressAI cannot be imported: {error}"
else:
    REASON = ""
needs_compressai = pytest.mark.skipif(bool(REASON), reason=REASON)

# Sizes of networks small enough for a test.
SIZES = {
    "bmshj2018-factorized": (12, 16),
    "bmshj2018-hyperprior": (12, 16),
    "mbt2018-mean": (12, 16),
    "mbt2018": (12, 12),
    "cheng2020-anchor": (8,),
    "cheng2020-attn": (8,),
}


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """uint8 (100, 150, 3): sides that are no multiples of 64."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[20:120, 150:300])


def untrained(architecture: str, seed: int) -> Any:
    """A model whose latents have a deviation of 3, so that rounding leaves something of them."""
    import torch
    from compressai.zoo.image import model_architectures

    torch.manual_seed(seed)
    model = model_architectures[architecture](*SIZES[architecture])
    with torch.no_grad():
        values = torch.rand(1, 3, 128, 128)
        for layers in (model.g_a, getattr(model, "h_a", None)):
            if layers is not None:
                factor = 3 / layers(values).std()
                for parameter in list(layers)[-1].parameters():
                    parameter.mul_(factor)
                values = layers(values)
    return model


def save(model: Any, path: Path) -> Path:
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return path


@needs_compressai
@pytest.mark.parametrize("architecture", ["bmshj2018-factorized", "bmshj2018-hyperprior",
                                          "mbt2018-mean"])  # fmt: skip
def test_the_picture_is_that_of_the_model_s_forward_pass(
    architecture: str, photograph: np.ndarray, tmp_path: Path
) -> None:
    import torch

    model = untrained(architecture, 1).eval()
    codec = make_codec(f"compressai-{architecture}@{save(model, tmp_path / 'a.safetensors')}")
    assert codec.missing() is None
    codec.prepare()
    path = tmp_path / "coded.strings"
    codec.encode(photograph, 1, path)

    padded = np.zeros((128, 192, 3), np.uint8)
    padded[14:114, 21:171] = photograph
    with torch.no_grad():
        frame = model(torch.from_numpy(padded).permute(2, 0, 1)[None] / 255)["x_hat"]
    wanted = (frame[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(codec.decode(path), wanted[14:114, 21:171])
    assert wanted.std() > 1


@needs_compressai
@pytest.mark.parametrize("architecture", list(SIZES))
def test_the_file_holds_the_strings_of_the_model(
    architecture: str, photograph: np.ndarray, tmp_path: Path
) -> None:
    import torch
    from compressai.ops import compute_padding

    model = untrained(architecture, 2).eval()
    checkpoint = save(model, tmp_path / "a.safetensors")
    codec = make_codec(f"compressai-{architecture}@{checkpoint}")
    path = tmp_path / "coded.strings"
    codec.encode(photograph, 1, path)
    decoded = codec.decode(path)
    assert decoded.shape == photograph.shape and decoded.dtype == np.uint8

    model.update()
    padding, cropping = compute_padding(100, 150, min_div=64)
    frame = torch.from_numpy(photograph).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        coded = model.compress(torch.nn.functional.pad(frame, padding))
        again = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    file = StringFile.parse(path.read_bytes())
    assert file.strings == tuple(strings[0] for strings in coded["strings"])
    assert sum(len(string) for string in file.strings) > 40
    assert file.identity == hashlib.sha256(checkpoint.read_bytes()).digest()[:4]
    wanted = (torch.nn.functional.pad(again, cropping)[0] * 255).clamp(0, 255).round().byte()
    assert np.array_equal(decoded, wanted.permute(1, 2, 0).numpy())


@needs_compressai
def test_a_folder_is_a_ladder_and_files_find_their_weights(
    photograph: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "Peers of 5 minutes"
    folder.mkdir()
    for seed, name in enumerate(("low", "middle", "top")):
        save(untrained("bmshj2018-factorized", seed), folder / f"{name}.safetensors")
    codec = make_codec(f"compressai-bmshj2018-factorized@{folder}")
    assert codec.name == "compressai-bmshj2018-factorized-peers-of-5-minutes"
    assert codec.settings == (1, 2, 3)
    assert str(tmp_path) not in codec.about + codec.version() + codec.name
    paths = [tmp_path / f"{place}.strings" for place in codec.settings]
    for place, path in zip(codec.settings, paths, strict=True):
        codec.encode(photograph, place, path)
    assert len({path.read_bytes() for path in paths}) == 3
    pictures = [codec.decode(path) for path in paths]
    other = make_codec(f"compressai-bmshj2018-factorized@one={folder / 'middle.safetensors'}")
    assert other.name == "compressai-bmshj2018-factorized-one"
    assert np.array_equal(other.decode(paths[1]), pictures[1])
    with pytest.raises(HeqError, match="coded with weights that are not of"):
        other.decode(paths[0])
    with pytest.raises(HeqError, match="whole checkpoint from 1 to 3"):
        codec.encode(photograph, 4, paths[0])


@needs_compressai
@pytest.mark.parametrize("style", ["_matrix0", "matrices.0"])
def test_names_of_old_and_new_versions_are_read(
    style: str, photograph: np.ndarray, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    plain = save(untrained("bmshj2018-factorized", 1), tmp_path / "plain.safetensors")
    renamed = {}
    for name, tensor in load_file(plain).items():
        for old, new in (("_matrix", "matrices"), ("_bias", "biases"), ("_factor", "factors")):
            pattern, to = (
                (rf"{new}\.(\d)$", old) if style == "_matrix0" else (rf"{old}(\d)$", f"{new}.")
            )
            name = re.sub(rf"(?<=entropy_bottleneck\.){pattern}", rf"{to}\1", name)
        renamed[name] = tensor
    assert f"entropy_bottleneck.{style}" in renamed
    save_file(renamed, tmp_path / "renamed.safetensors")
    pictures = []
    for path in (plain, tmp_path / "renamed.safetensors"):
        codec = make_codec(f"compressai-bmshj2018-factorized@{path}")
        codec.encode(photograph, 1, tmp_path / "coded.strings")
        pictures.append(codec.decode(tmp_path / "coded.strings"))
    assert np.array_equal(*pictures)


@needs_compressai
def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = save(untrained("bmshj2018-factorized", 1), tmp_path / "a.safetensors")
    codec = make_codec(f"compressai-mbt2018@{path}")
    with pytest.raises(HeqError, match="do not fit mbt2018"):
        codec.prepare()
    (tmp_path / "b.safetensors").write_bytes(b"not weights")
    with pytest.raises(HeqError, match="cannot be read as safetensors"):
        make_codec(f"compressai-mbt2018@{tmp_path / 'b.safetensors'}").prepare()


@needs_compressai
def test_a_damaged_file_is_an_error(photograph: np.ndarray, tmp_path: Path) -> None:
    checkpoint = save(untrained("bmshj2018-factorized", 1), tmp_path / "a.safetensors")
    codec = make_codec(f"compressai-bmshj2018-factorized@{checkpoint}")
    path = tmp_path / "coded.strings"
    codec.encode(photograph, 1, path)
    whole = path.read_bytes()
    file = StringFile.parse(whole)
    path.write_bytes(whole[:-1])
    with pytest.raises(HeqError, match="ends in a string"):
        codec.decode(path)
    wrong = StringFile(file.identity, 150, 100, 3, 5, file.strings)
    path.write_bytes(wrong.pack())
    with pytest.raises(HeqError, match="3x5 latents, which is no shape for 150x100 pixels"):
        codec.decode(path)
    path.write_bytes(StringFile(file.identity, 150, 100, 8, 12, file.strings * 2).pack())
    with pytest.raises(HeqError, match=r"coded\.strings is no file of"):
        codec.decode(path)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without a network, and with an empty cache of torch's; returns its folder of weights."""
    import torch

    def unreachable(*arguments: Any, **options: Any) -> None:
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    compressai_weights._unreachable.cache_clear()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@needs_compressai
def test_pretrained_weights_that_cannot_be_had_are_told_in_a_sentence(
    offline: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    codec = make_codec("compressai-mbt2018")
    reason = str(codec.missing())
    assert reason.startswith(
        "its pretrained weights are not in torch's cache and cannot be fetched"
    )
    assert "no network in this test" in reason and "mbt2018-1-3f36cd77.pth.tar" in reason
    with pytest.raises(HeqError, match="not in torch's cache"):
        codec.prepare()
    with pytest.raises(HeqError, match="not in torch's cache"):
        codec.encode(photograph, 1, tmp_path / "a.strings")


@needs_compressai
def test_cached_weights_of_the_zoo_need_no_network(
    offline: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    import torch

    model = untrained("bmshj2018-factorized", 1)
    torch.save(model.state_dict(), offline / "bmshj2018-factorized-prior-1-446d5c7f.pth.tar")
    codec = make_codec("compressai-bmshj2018-factorized")
    assert codec.missing() is None
    assert codec.settings == (1, 2, 3, 4, 5, 6, 7, 8)
    assert "446d5c7f" in codec.version()
    codec.prepare()
    path = tmp_path / "a.strings"
    codec.encode(photograph[:64, :64], 1, path)
    assert StringFile.parse(path.read_bytes()).identity.hex() == "446d5c7f"
    assert codec.decode(path).shape == (64, 64, 3)
    with pytest.raises(HeqError, match="factorized-prior-2-87279a02"):
        codec.encode(photograph, 2, path)


class Harmful:
    """What runs code when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@needs_compressai
def test_code_in_a_cached_file_does_not_run(offline: Path, tmp_path: Path) -> None:
    import torch

    trace = tmp_path / "ran"
    name = "bmshj2018-factorized-prior-1-446d5c7f.pth.tar"
    torch.save({"g_a.0.weight": Harmful(trace)}, offline / name)
    with pytest.raises(HeqError, match="cannot be used"):
        make_codec("compressai-bmshj2018-factorized").prepare()
    assert not trace.exists()
    pickle.loads(pickle.dumps(Harmful(trace)))
    assert trace.exists()


def test_checkpoints_make_a_label_and_a_ladder(tmp_path: Path) -> None:
    for name in ("b.safetensors", "a.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    label, ladder = checkpoint_ladder(f"Our 5_min=={b},{a}")
    assert label == "our-5-min"
    assert [weights.path for weights in ladder] == [b, a]
    label, ladder = checkpoint_ladder(f"all={tmp_path}")
    assert [weights.path for weights in ladder] == [a, b]
    assert checkpoint_ladder(str(b))[0] == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No checkpoint is given"),
        ("x=", "No checkpoint is given"),
        ("none.safetensors", "There is no file none.safetensors"),
        ("weights.pth.tar", "is no .safetensors file"),
        ("???=a.safetensors", "gives no name for results"),
        ("empty", "There is no .safetensors file in empty"),
    ],
)
def test_checkpoints_that_are_not_there_are_told(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(HeqError) as caught:
        make_codec(f"compressai-mbt2018@{text}")
    assert message in str(caught.value)
