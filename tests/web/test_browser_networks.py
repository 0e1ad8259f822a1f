"""PURENET by onnxruntime-web in headless Chromium, on WebAssembly and WebGPU, beside `heqcodec`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from chromium import browser
from PIL import Image
from web_package import ROOT, WEB, as_rgba, require_package, rgba_file, run_package
from web_site import Site, serving

GOLDEN = ROOT / "tests" / "conformance"
DATA = Path(os.environ.get("HEQCODEC_DATA", ROOT / "../shared/data"))
PAGE = """<!doctype html><title>t</title>
<script type=importmap>{"imports": {"onnxruntime-web":
"/web/node_modules/onnxruntime-web/dist/RUNTIME"}}</script>
<script type=module>
import { decode } from "/web/src/index.js";
window.run = async (path, options) => {
  const { data, width, height } = await decode(await (await fetch(path)).arrayBuffer(), options);
  await fetch("/", { method: "POST", body: data });
  return [width, height];
};
</script>"""
GPU_FLAGS = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
"""A device in software, so that the test runs anywhere; with HEQCODEC_WEBGPU=1 the real one."""


@contextmanager
def page(
    folder: Path, runtime: str, files: dict[str, bytes], *flags: str
) -> Iterator[tuple[Any, Site]]:
    """A page that decodes, with files by name."""
    require_package()
    if not (WEB / "node_modules" / "onnxruntime-web").exists():
        pytest.skip("needs onnxruntime-web (npm ci in web/)")
    pages = {"/": PAGE.replace("RUNTIME", runtime), **{f"/{name}": files[name] for name in files}}
    with serving(pages) as site, browser(folder, *flags) as driver:
        driver.set_script_timeout(300)
        driver.get(f"{site.address}/")
        yield driver, site


def decoded(opened: tuple[Any, Site], name: str, **options: Any) -> np.ndarray:
    """RGBA of a file by the page."""
    driver, site = opened
    answer = driver.execute_async_script(
        """const [path, options, done] = arguments;
        const look = setInterval(() => {
          if (!window.run) return;
          clearInterval(look);
          run(path, options).then(done, (error) => done(`${error} ${error.cause ?? ""}`));
        }, 20);""",
        f"/{name}",
        options,
    )
    assert isinstance(answer, list), answer
    width, height = answer
    return np.frombuffer(site.posted, np.uint8).reshape(height, width, 4)


def kodak_files() -> dict[str, bytes]:
    """Parts of Kodak at three qualities, as device and packed files, and a damaged one."""
    made = {}
    for number, quality in ((4, 15), (23, 40), (4, 65)):
        with Image.open(DATA / "kodak" / f"kodim{number:02}.png") as image:
            part = np.asarray(image.convert("RGB"))[200:360, 150:310]
        device = heqcodec.encode(part, quality=quality)
        made[f"{quality}-device"], made[f"{quality}-packed"] = device, heqcodec.pack(device)
    damaged = bytearray(made["40-device"])
    damaged[len(damaged) // 3] ^= 1
    return {**made, "damaged": bytes(damaged)}


def golden_files() -> dict[str, bytes]:
    names = ("alpha-nqe-r-packed-60", "gray-nqe-r-device-20", "alpha-nqe-t-512", "gray-nqe-vgg-256")
    return {name: (GOLDEN / f"{name}.heq").read_bytes() for name in names}


def assert_near(given: np.ndarray, data: bytes, most: int, **options: Any) -> None:
    own = heqcodec.decode_partial(data, device="cpu", **options)
    apart = np.abs(given.astype(int) - as_rgba(own.pixels))
    assert apart.max() <= most
    assert (apart > 0).mean() < 0.01


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not (DATA / "kodak").exists(), reason="HEQCODEC_DATA has no Kodak images")
def test_kodak_in_node_and_chromium(tmp_path: Path) -> None:
    files = kodak_files()
    jobs: list[dict[str, Any]] = []
    with page(tmp_path / "profile", "ort.wasm.min.mjs", files) as opened:
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
            # Levels of both files are the same, so each network decodes one of them.
            decoder = "strong" if ("device" in name) == (name[:2] == "40") else "fast"
            more: dict[str, Any] = {"partial": True} if name == "damaged" else {}
            given = decoded(opened, name, decoder=decoder, **more)
            assert_near(given, data, 1, decoder=decoder)
            options = {"decoder": decoder, **more}
            jobs.append(
                {"file": tmp_path / name, "pixels": tmp_path / f"{name}.rgba", "options": options}
            )
        region = (20, 70, 100, 60)
        part = decoded(opened, "65-packed", decoder="fast", region=region)
        assert_near(part, files["65-packed"], 1, decoder="fast", region=region)
    for job, result in zip(jobs, run_package(jobs), strict=True):
        assert "error" not in result, (job["file"].name, result)
        given = rgba_file(job["pixels"], result)
        assert_near(given, job["file"].read_bytes(), 1, decoder=job["options"]["decoder"])


@pytest.mark.slow
def test_golden_files_in_chromium(tmp_path: Path) -> None:
    files = golden_files()
    with page(tmp_path, "ort.wasm.min.mjs", files) as opened:
        for name, data in files.items():
            decoder = "fast" if "gray-nqe-r" in name else "strong"
            assert_near(decoded(opened, name, decoder=decoder), data, 1, decoder=decoder)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["ort.webgpu.min.mjs", "ort.min.mjs"])
def test_webgpu(tmp_path: Path, runtime: str) -> None:
    """By onnxruntime-web's two kinds of WebGPU: the second is what the package's name imports."""
    files = {name: data for name, data in golden_files().items() if name.startswith("gray-nqe-r")}
    ((name, data),) = files.items()
    flags = () if os.environ.get("HEQCODEC_WEBGPU") else GPU_FLAGS
    with page(tmp_path, runtime, files, *flags) as opened:
        adapter = opened[0].execute_async_script(
            """const done = arguments[0];
            Promise.resolve(navigator.gpu?.requestAdapter()).then((found) => done(!!found));"""
        )
        if not adapter:
            pytest.skip("needs a WebGPU adapter: Chromium with SwiftShader, or a graphics card")
        given = decoded(opened, name, decoder="fast", executionProviders=["webgpu"])
    assert_near(given, data, 2, decoder="fast")
