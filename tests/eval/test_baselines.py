"""The codecs to compare with: all of one protocol, found by name, honest about what they lack."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval import baselines
from heqcodec.eval.baselines import CodecMaker, codec_names, make_codec, matching_specs
from heqcodec.eval.metrics import psnr
from heqcodec.models import registry
from PIL import Image, JpegImagePlugin, features
from slow_cases import slow

NAMES = [
    "heq", "heq-packed", "heq-patch", "jpeg", "jpeg2000", "webp", "avif", "heic", "jxl", "bpg420",
    "bpg444",
    "compressai-bmshj2018-factorized", "compressai-bmshj2018-hyperprior",
    "compressai-mbt2018-mean", "compressai-mbt2018", "compressai-cheng2020-anchor",
    "compressai-cheng2020-attn",
]  # fmt: skip
WITH_LIBRARIES = [
    "jpeg", "jpeg2000", "jpeg2000-ffmpeg", "webp", "avif", "heic", "heic444", "jxl", "vvc",
]  # fmt: skip


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """uint8 (160, 192, 3)."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[20:180, 130:322])


@pytest.fixture(
    params=[slow(name) if name == "vvc" else name for name in (*WITH_LIBRARIES, "heq-patch")]
)
def codec(request: pytest.FixtureRequest) -> baselines.Codec:
    made = make_codec(request.param)
    reason = made.missing()
    if reason:
        pytest.skip(reason)
    made.prepare()
    return made


def coded(codec: baselines.Codec, pixels: np.ndarray, setting: float, path: Path) -> np.ndarray:
    codec.encode(pixels, setting, path)
    decoded = codec.decode(path)
    assert decoded.dtype == np.uint8
    assert decoded.shape == pixels.shape
    return decoded


def test_the_names_of_the_issue_are_there() -> None:
    assert set(NAMES) <= set(codec_names())
    assert len(set(codec_names())) == len(codec_names())


@pytest.mark.parametrize("name", codec_names())
def test_every_codec_says_what_the_protocol_asks(name: str) -> None:
    codec = make_codec(name)
    assert codec.name == name
    assert codec.setting_name
    assert codec.about and "\n" not in codec.about
    assert codec.suffix.startswith(".")
    assert len(codec.settings) >= 4
    assert isinstance(codec.single_threaded, bool)
    steps = np.diff(codec.settings)
    falling = codec.setting_name in ("QP", "distance")
    assert np.all(steps < 0 if falling else steps > 0)


def test_the_registry_imports_no_codec() -> None:
    program = (
        "import sys\n"
        "from heqcodec.eval.baselines import codec_names\n"
        "assert 'jpeg' in codec_names()\n"
        "print('\\n'.join(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert not {"torch", "pillow_heif", "imagecodecs", "compressai", "matplotlib"} & loaded
    assert not [name for name in loaded if name.startswith("heqcodec.eval.baselines.")]


def test_names_are_matched_by_pattern() -> None:
    assert matching_specs("jpeg*") == ["jpeg", "jpeg2000", "jpeg2000-ffmpeg"]
    assert matching_specs("webp") == ["webp"]
    assert len(matching_specs("compressai-*")) == 6
    spec = "compressai-mbt2018@folder/*.safetensors"
    assert matching_specs(spec) == [spec]


@pytest.mark.parametrize("ask", [matching_specs, make_codec])
@pytest.mark.parametrize("name", ["gif", "jpeg@folder", "compressai-none@folder", ""])
def test_a_name_that_is_none_gives_a_sentence(ask: object, name: str) -> None:
    with pytest.raises(HeqError, match=r"^(There is no codec|jpeg takes no checkpoints).*\.$"):
        ask(name)  # type: ignore[operator]


def test_a_maker_goes_to_other_processes() -> None:
    maker = pickle.loads(pickle.dumps(CodecMaker({"mine": "webp"})))
    assert maker("mine").name == "webp"
    assert maker("jpeg").name == "jpeg"


def test_every_size_comes_back(
    codec: baselines.Codec, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"coded{codec.suffix}"
    for height, width in ((1, 1), (33, 47), (64, 64), (160, 192)):
        for setting in (codec.settings[0], codec.settings[-1]):
            coded(codec, photograph[:height, :width], setting, path)


def test_a_higher_rate_is_a_better_picture(
    codec: baselines.Codec, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"coded{codec.suffix}"
    sizes, qualities = [], []
    for setting in (codec.settings[0], codec.settings[len(codec.settings) // 2]):
        qualities.append(psnr(photograph, coded(codec, photograph, setting, path)))
        sizes.append(path.stat().st_size)
    assert sizes[0] < sizes[1] < photograph.nbytes / 4
    assert 12 < qualities[0] + 1 < qualities[1] < 50


def test_a_file_depends_on_nothing_coded_before(
    codec: baselines.Codec, photograph: np.ndarray, tmp_path: Path
) -> None:
    setting = codec.settings[2]
    paths = [tmp_path / f"{k}{codec.suffix}" for k in range(3)]
    codec.encode(photograph, setting, paths[0])
    codec.encode(photograph[::-1, :100], codec.settings[0], paths[1])
    make_codec(codec.name).encode(photograph, setting, paths[2])
    assert paths[0].read_bytes() == paths[2].read_bytes()


def test_colours_are_not_swapped(
    codec: baselines.Codec, photograph: np.ndarray, tmp_path: Path
) -> None:
    ramp = np.linspace(0, 60, 96, dtype=np.uint8)[:, None]
    picture = np.stack([200 - ramp + 0 * ramp.T, 20 + ramp.T + 0 * ramp, 90 + 0 * ramp + ramp.T], 2)
    decoded = coded(codec, picture, codec.settings[-1], tmp_path / f"coded{codec.suffix}")
    assert np.abs(decoded.mean((0, 1)) - picture.mean((0, 1))).max() < 6


def test_a_version_names_library_and_number(codec: baselines.Codec) -> None:
    assert any(character.isdigit() for character in codec.version())
    assert "None" not in codec.version()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["gray", "alpha", "float", "empty"],
)
def test_other_arrays_are_refused(
    codec: baselines.Codec, pixels: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(HeqError, match="uint8 pixels of shape"):
        codec.encode(pixels, codec.settings[0], tmp_path / "coded")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", [-1, 1000, float("nan")])
def test_settings_outside_the_scale_are_refused(
    codec: baselines.Codec, photograph: np.ndarray, setting: float, tmp_path: Path
) -> None:
    with pytest.raises(HeqError, match=r"(takes a|choose one of)"):
        codec.encode(photograph, setting, tmp_path / "coded")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "heic", "heq-patch"])
def test_settings_between_two_are_refused(
    name: str, photograph: np.ndarray, tmp_path: Path
) -> None:
    codec = make_codec(name)
    if codec.missing():
        pytest.skip(str(codec.missing()))
    with pytest.raises(HeqError, match=r"(takes a whole quality|choose one of)"):
        codec.encode(photograph, codec.settings[1] + 0.01, tmp_path / "coded")


@pytest.mark.parametrize("content", [b"", b"not an image at all", bytes(2000)])
def test_no_file_of_the_codec_gives_an_error(
    codec: baselines.Codec, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.bin"
    path.write_bytes(content)
    with pytest.raises(HeqError):
        codec.decode(path)


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp", "avif", "heic", "jxl"])
def test_a_file_cut_short_is_no_picture_of_it(
    name: str, photograph: np.ndarray, tmp_path: Path
) -> None:
    codec = make_codec(name)
    if codec.missing():
        pytest.skip(str(codec.missing()))
    path = tmp_path / f"coded{codec.suffix}"
    codec.encode(photograph, codec.settings[3], path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(HeqError):
        codec.decode(path)


def test_heq_patch_writes_the_codec_s_own_files(photograph: np.ndarray, tmp_path: Path) -> None:
    import heqcodec

    path = tmp_path / "a.heq"
    make_codec("heq-patch").encode(photograph, 0.25, path)
    assert path.read_bytes() == heqcodec.encode(photograph, bpp=0.25, mode="patch")


def test_heq_patch_knows_every_model() -> None:
    from heqcodec.models.registry import model_names

    for model in model_names("patch"):
        assert model in make_codec(f"heq-patch-{model}").version()


def test_the_variable_rate_mode_is_told_to_be_missing(
    photograph: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("heq", "heq-packed"):
        codec = make_codec(name)
        monkeypatch.setattr(registry, "model_names", lambda mode: [])
        assert "no model of variable rate" in str(codec.missing())
        assert codec.version().startswith("heqcodec ")
        with pytest.raises(HeqError, match="variable-rate"):
            codec.encode(photograph, 50, tmp_path / "a.heq")


def test_views_are_of_the_network_that_their_name_says() -> None:
    best, two, strong = (
        make_codec(f"heq-packed{name}").version() for name in ("-best", "-best-2", "")
    )
    assert best == two != strong


def test_heq_is_the_library_s_device_file_and_heq_packed_its_packed_one(
    light_rate: Any, photograph: np.ndarray, tmp_path: Path
) -> None:
    import heqcodec

    pictures = []
    for name, coder in (("heq", "device"), ("heq-packed", "packed")):
        codec = make_codec(name)
        assert codec.missing() is None and list(codec.settings) == sorted(codec.settings)
        codec.prepare()
        assert light_rate.decoders_loaded
        codec.encode(photograph, 55, tmp_path / "a.heq")
        data = (tmp_path / "a.heq").read_bytes()
        assert data == heqcodec.encode(photograph, quality=55, coder=coder)
        pictures.append(codec.decode(tmp_path / "a.heq"))
    assert np.array_equal(*pictures) and psnr(photograph, pictures[0]) > 20


def test_jpeg_is_pillow_s_with_its_defaults(photograph: np.ndarray, tmp_path: Path) -> None:
    ours, plain = tmp_path / "ours.jpg", tmp_path / "plain.jpg"
    make_codec("jpeg").encode(photograph, 50, ours)
    Image.fromarray(photograph).save(plain, quality=50)
    assert ours.read_bytes() == plain.read_bytes()
    with Image.open(ours) as image:
        assert JpegImagePlugin.get_sampling(image) == 2  # 4:2:0


def test_a_format_that_pillow_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    assert "without AVIF" in str(make_codec("avif").missing())
    assert make_codec("jpeg").missing() is None


@pytest.mark.parametrize(
    ("name", "package"),
    [("heic", "pillow-heif"), ("jxl", "imagecodecs"), ("compressai-mbt2018", "compressai")],
)
def test_a_package_that_is_not_there_is_named(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = make_codec(name)
    module = sys.modules[type(codec).__module__]
    monkeypatch.setattr(module, "find_spec", lambda wanted: None)
    reason = str(codec.missing())
    assert reason.startswith(f"{package} is not installed; run pip install")
    assert reason.endswith(".") and "\n" not in reason
