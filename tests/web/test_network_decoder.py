"""The decoders fast and strong of the JavaScript package, by onnxruntime-web, beside `heqcodec`."""

from __future__ import annotations

from pathlib import Path

import heqcodec
import numpy as np
import pytest
from web_package import WEB, as_rgba, require_package, rgba_file, run_package

GOLDEN = Path(__file__).resolve().parents[1] / "conformance"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A photograph, in grey too; one with a lost strip; one of saturated blocks; several tiles."""
    from skimage import data

    require_package()
    if not (WEB / "node_modules" / "onnxruntime-web").exists():
        pytest.skip("needs onnxruntime-web (npm ci in web/)")
    folder = tmp_path_factory.mktemp("networks")
    astronaut = data.astronaut()
    draw = np.random.default_rng(5)
    blocks = draw.choice([0, 255], (12, 12, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    damaged = bytearray(heqcodec.encode(astronaut[:400, :160], quality=40, coder="device"))
    damaged[len(damaged) // 2] ^= 1
    made = {
        "photograph": heqcodec.encode(astronaut[:200, 100:290], quality=40),
        "grey": heqcodec.encode(data.camera()[:150, :170, None], quality=20),
        "tuned": heqcodec.encode(astronaut[:200, 100:290], quality=40, tune="ssim"),
        "lost": bytes(damaged),
        "blocks": heqcodec.encode(blocks, quality=15),
        "tiles": heqcodec.encode(np.tile(astronaut[100:180], (1, 2, 1))[:, :900], quality=30),
        "rates": heqcodec.encode(astronaut[:400, 100:228], budget=6000),
    }
    for name, content in made.items():
        (folder / f"{name}.heq").write_bytes(content)
    golden = GOLDEN / "alpha-nqe-r-packed-60.heq"
    return {**{name: folder / f"{name}.heq" for name in made}, "golden": golden}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "names"),
    [
        ("fast", ("photograph",)),
        ("fast", ("grey", "lost", "blocks", "tiles", "rates", "golden", "tuned")),
        ("strong", ("photograph", "golden", "tuned")),
    ],
)
def test_networks(
    files: dict[str, Path], tmp_path: Path, decoder: str, names: tuple[str, ...]
) -> None:
    jobs = [
        {
            "file": files[name],
            "pixels": tmp_path / name,
            "options": {"decoder": decoder, "partial": name == "lost"},
        }
        for name in names
    ]
    for name, result in zip(names, run_package(jobs), strict=True):
        assert "error" not in result, (name, result)
        data = files[name].read_bytes()
        own = as_rgba(heqcodec.decode_partial(data, decoder=decoder, device="cpu").pixels)
        plain = as_rgba(heqcodec.decode_partial(data, decoder="plain").pixels)
        given = rgba_file(tmp_path / name, result)
        apart = np.abs(given.astype(int) - own)
        assert apart.max() <= 1, (name, apart.max())
        assert (apart > 0).mean() < 0.01, name
        # The network has a say, but for saturated blocks, of which the guard keeps the plain ones.
        changed = np.abs(own.astype(int) - plain).mean()
        assert changed > 0.15 or name == "blocks", (name, changed)


@pytest.mark.slow
def test_a_region_by_a_network(files: dict[str, Path], tmp_path: Path) -> None:
    region = (600, 20, 70, 50)
    job = {
        "file": files["tiles"],
        "pixels": tmp_path / "part",
        "options": {"decoder": "fast", "region": region},
    }
    (result,) = run_package([job])
    own = heqcodec.decode(files["tiles"].read_bytes(), decoder="fast", region=region, device="cpu")
    given = rgba_file(tmp_path / "part", result)
    assert np.abs(given.astype(int) - as_rgba(own)).max() <= 1
