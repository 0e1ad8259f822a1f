"""Fixtures that several test modules share."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import c_compilers
import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.base.threads import limit_threads, thread_count
from heqcodec.nqe_t.encoder import TransformNqe
from hypothesis import settings
from hypothesis_profiles import QUICK_EXAMPLES
from light_model import LightDecoder, LightEncoder
from light_rate_model import LightRateModels
from PIL import Image

if TYPE_CHECKING:
    from result_folder import Folders

# Trainings would keep memory that other tests, in the same process, look for.
os.environ["HEQCODEC_KEEP_MEMORY"] = "0"


@dataclass
class LightModels:
    """A registry of the light model alone; it counts how often the decoder is loaded."""

    encoder: LightEncoder = field(default_factory=LightEncoder)
    decoder: LightDecoder = field(default_factory=LightDecoder)
    decoders_loaded: int = 0

    def load_encoder(self, name: str) -> LightEncoder:
        if name != "light":
            raise HeqUnsupportedError(f"There is no model {name}; choose light.")
        return self.encoder

    def load_decoder(
        self,
        encoder_id: bytes,
        coder_id: bytes,
        device: str = "auto",
        backend: str = "auto",
        decoder: str = "strong",
    ) -> LightDecoder:
        assert decoder == "strong"
        self.decoders_loaded += 1
        if (encoder_id, coder_id) != (self.encoder.encoder_id, self.encoder.coder_id):
            raise HeqUnsupportedError(f"No model here has the id {encoder_id.hex()}.")
        return self.decoder

    def model_names(self, mode: str | None = None) -> list[str]:
        return [] if mode == "rate" else ["light"]

    def mode_of(self, name: str) -> str:
        self.load_encoder(name)
        return "patch"


def pytest_configure(config: pytest.Config) -> None:
    """Processes of pytest-xdist share the cores out: with a thread for each core in each they
    wait for one another. Without the slow tests, properties are tried on fewer examples too."""
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers and "OMP_NUM_THREADS" not in os.environ:
        limit_threads(max(1, thread_count() // int(workers)))
    if config.option.markexpr == "not slow":
        settings.register_profile("quick", max_examples=QUICK_EXAMPLES)
        settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: the garbage collector need not look through it again and
    again, which would take a tenth of the whole time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Let Ctrl-C work, here and in child processes, also where the shell started us in the
    background with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def objects_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """C is compiled once for all processes of pytest-xdist, whose folders lie beside each other."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    c_compilers.objects_folder = shared / "objects"
    c_compilers.objects_folder.mkdir(exist_ok=True)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> LightModels:
    """Puts the light model in the place of the trained ones."""
    from heqcodec.models import registry as models

    registry = LightModels()
    for name in ("load_encoder", "load_decoder", "model_names", "mode_of"):
        monkeypatch.setattr(models, name, getattr(registry, name))
    monkeypatch.setattr(models, "default_model", lambda mode="auto": "light")
    return registry


@pytest.fixture
def light_rate(monkeypatch: pytest.MonkeyPatch) -> LightRateModels:
    """Puts a light model of variable rate, and a patch-constant one beside it, in the place of the
    trained ones."""
    from heqcodec.models import registry as models

    registry = LightRateModels()
    for name in registry.replaced:
        monkeypatch.setattr(models, name, getattr(registry, name))
    return registry


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image of 100 x 70 pixels, alone in its folder."""
    path = tmp_path / "photo.png"
    samples = np.random.default_rng(23).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(samples).save(path)
    return path


@pytest.fixture
def coded(light: Any, photo: Path) -> Path:
    """That image, encoded by the light model."""
    path = photo.with_suffix(".heq")
    path.write_bytes(heqcodec.encode(photo))
    return path


@pytest.fixture(scope="session")
def encoder() -> TransformNqe:
    """The ``nqe-t`` that ships."""
    from heqcodec.models import registry as models

    made = models.load_encoder("nqe-t")
    assert isinstance(made, TransformNqe)
    return made


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks have little to share out."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def light_training(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """Calibrates and fits on few patches, and in one thread."""
    from heqcodec.lab.comparison import classifier_task, codec_task
    from heqcodec.lab.precision import exploration
    from heqcodec.lab.training import device_tables, vgg_task

    for module, name, value in (
        (vgg_task, "CALIBRATION_BATCHES", 2),
        (vgg_task, "CALIBRATION_PATCHES", 9),
        (codec_task, "CALIBRATION", 2),
        (classifier_task, "CALIBRATION", 2),
        (exploration, "PREDICTOR_EPOCHS", 50),
        (exploration, "FORM_BITS", 2),
        (device_tables, "SAMPLES", 50_000),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to train on."""
    from small_models import write_photographs

    return write_photographs(tmp_path_factory.mktemp("data") / "photographs")


@pytest.fixture(scope="session")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the one photograph that training is measured on."""
    from small_models import photograph

    folder = tmp_path_factory.mktemp("data") / "held"
    folder.mkdir()
    Image.fromarray(photograph()[300:370, 100:230]).save(folder / "face.png")
    return folder


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transform encoder that a run can be given."""
    from heqcodec.lab.training.given_weights import write_tensors
    from small_models import transform_tensors

    path = tmp_path_factory.mktemp("encoder") / "given.safetensors"
    write_tensors(path, transform_tensors())
    return path


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the registry will look into."""
    from small_rate_model import only_weights

    with only_weights(tmp_path / "installed", monkeypatch):
        yield tmp_path / "installed"


@pytest.fixture(scope="session")
def tiles() -> np.ndarray:
    """Two training tiles, uint8 (2, 256, 256, 3)."""
    from heqcodec.lab.training.photographs import TILE
    from small_models import photograph

    return np.stack([photograph()[:TILE, :TILE], photograph("chelsea")[:TILE, 100 : 100 + TILE]])


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture(scope="session")
def noisy(photograph: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0.0, 12.0, photograph.shape)
    return np.clip(np.rint(photograph + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Three photographs, and a run of JPEG and WebP over them with its pictures kept."""
    from result_folder import Folders, write_photographs, write_results

    base = tmp_path_factory.mktemp("measured")
    folders = Folders(base / "photographs", base / "results")
    write_results(folders.results, write_photographs(folders.photographs))
    return folders


@pytest.fixture(scope="session")
def address(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a report page of `folders` lies, with pictures and two published curves."""
    from command_runner import run

    # Hostile in a file name and in an address, too.
    out = tmp_path_factory.mktemp("<b>page #1&") / "report 100%.html"
    result = run(
        *("eval", "report", folders.results, "--data", folders.photographs, "--out", out),
        *("--images", "3", "--published", "jpeg", "--published", "vtm"),
        *("--range", "full", "--range", "0.3,1"),
    )
    assert result.exit_code == 0, result.stderr
    return out.as_uri()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser; tests that ask for it are skipped where there is none."""
    from chromium import browser

    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(driver: Any, address: str) -> Iterator[Any]:
    """The page, newly opened at 1280 pixels; whatever a test does, it must raise no error."""
    from chromium import console, requests, set_screen, wait_for_frame
    from page_reader import column

    set_screen(driver, 1280)
    console(driver), requests(driver)
    driver.get(address)
    assert column(driver, "#sources-table", "curve")  # the last thing that the script makes
    wait_for_frame(driver)  # charts are drawn once they have a size
    yield driver
    assert console(driver) == []
