"""The page that `heqcodec view` writes, in headless Chromium, from disk."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from chromium import browser, console, requests, set_screen
from command_runner import run
from PIL import Image
from web_package import as_rgba, require_viewer

FITTED = """(([image, stage]) => image.width <= stage.width &&
Math.abs(image.left + image.right - stage.left - stage.right) < 2)(
["under", "stage"].map((id) => document.getElementById(id).getBoundingClientRect()))"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A packed file, one with a damaged strip, one whose name is markup, two of a constant rate."""
    from skimage import data

    folder = tmp_path_factory.mktemp("files")
    device = bytearray(heqcodec.encode(data.coffee()[:300, :400], quality=40, coder="device"))
    contents = {
        "packed.heq": heqcodec.pack(bytes(device)),
        "<img src=x onerror=alert(1)>.heq": bytes(device),
    }
    device[len(device) // 2] ^= 1
    contents["damaged.heq"] = bytes(device)
    crop = data.coffee()[:90, :120]
    for model in ("nqe-t", "nqe-vgg"):
        contents[f"{model}.heq"] = heqcodec.encode(crop, model=model, bpp=0.5)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


@pytest.fixture(scope="module")
def written(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_viewer()
    out = tmp_path_factory.mktemp("page") / "view.html"
    done = run("view", *files.values(), "--out", out)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out)
    return out


@pytest.fixture(scope="module")
def page(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        driver.set_script_timeout(300)
        set_screen(driver, 1000)
        requests(driver)
        driver.get(written.as_uri())
        wait(driver, "!document.getElementById('layers').hidden")
        yield driver


def wait(page: Any, condition: str) -> None:
    assert page.execute_async_script(
        f"""const done = arguments[0];
        const look = setInterval(() => ({condition}) && (clearInterval(look), done(true)), 20);"""
    )


def choose(page: Any, name: str, value: str) -> None:
    page.execute_script(
        """const [name, value] = arguments, select = document.getElementById(name);
        select.value = value;
        select.dispatchEvent(new Event("change"));""",
        name,
        value,
    )


def shown(page: Any, name: str) -> np.ndarray:
    """RGBA of a canvas of the page."""
    url = page.execute_script(
        "return document.getElementById(arguments[0]).toDataURL('image/png')", name
    )
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return np.asarray(picture.convert("RGBA"))


def test_it_shows_a_file_and_asks_for_nothing(
    page: Any, written: Path, files: dict[str, Path]
) -> None:
    asked = [url for url in requests(page) if not url.startswith("chrome:")]
    assert asked == [written.as_uri()]
    own = as_rgba(heqcodec.decode(files["packed.heq"].read_bytes(), decoder="plain"))
    assert np.abs(shown(page, "under").astype(int) - own).max() <= 1
    assert "400 × 300" in page.execute_script("return document.getElementById('facts').textContent")
    assert page.execute_script("return document.querySelectorAll('img').length") == 0
    assert console(page) == []


def test_the_divider_compares_with_fewer_slices(page: Any, files: dict[str, Path]) -> None:
    choose(page, "files", "0")
    wait(page, "document.getElementById('facts').textContent.startsWith('packed')")
    choose(page, "right", "slices-2")
    wait(page, "!document.getElementById('divider').hidden")
    data = files["packed.heq"].read_bytes()
    own = as_rgba(heqcodec.decode(data, decoder="plain", slices=2))
    assert np.abs(shown(page, "over").astype(int) - own).max() <= 1
    place = "return document.getElementById('divider').getAttribute('aria-valuenow')"
    before = int(page.execute_script(place))
    page.find_element("id", "stage").send_keys("]")
    assert int(page.execute_script(place)) == before + 5
    clip = page.execute_script("return document.getElementById('over').style.clipPath")
    assert clip.startswith("inset(0")


def test_keys_zoom_and_fit(page: Any) -> None:
    stage = page.find_element("id", "stage")
    zoom = "return document.getElementById('zoom').textContent"
    stage.send_keys("1")
    assert page.execute_script(zoom) == "100 %"
    stage.send_keys("+")
    assert page.execute_script(zoom) == "150 %"
    stage.send_keys("+")
    assert "large" in page.find_element("id", "layers").get_attribute("class")
    stage.send_keys("0")
    assert page.execute_script(zoom) == "100 %"


def test_damage_is_named_and_marked(page: Any, files: dict[str, Path]) -> None:
    choose(page, "files", "2")
    wait(page, "document.getElementById('facts').textContent.startsWith('damaged')")
    own = heqcodec.decode_partial(files["damaged.heq"].read_bytes(), decoder="plain")
    (strip,) = own.damaged_strips
    facts = page.execute_script("return document.getElementById('facts').textContent")
    assert f"damaged strips: {strip}" in facts
    assert np.abs(shown(page, "under").astype(int) - as_rgba(own.pixels)).max() <= 1
    page.execute_script("document.getElementById('marks').click()")
    marks = shown(page, "strips")
    rows = 128 * strip + 64
    assert (marks[rows, :, 0] > marks[rows, :, 2]).all() and marks[rows, 5, 3] > 0
    assert marks[(rows + 128) % 256, 5, 3] == 0


def test_files_of_a_constant_rate(page: Any, files: dict[str, Path]) -> None:
    for number, model in ((3, "nqe-t"), (4, "nqe-vgg")):
        choose(page, "files", str(number))
        wait(page, f"document.getElementById('facts').textContent.startsWith('{model}.heq')")
        own = as_rgba(heqcodec.decode(files[f"{model}.heq"].read_bytes(), decoder="plain"))
        assert np.abs(shown(page, "under").astype(int) - own).max() <= 1


@pytest.mark.slow
def test_narrow_screens_need_no_scrolling(page: Any) -> None:
    for width, dark in ((390, True), (390, False), (1000, False)):
        set_screen(page, width, dark)
        sizes = page.execute_script(
            """const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.body;
            return [scrollWidth - clientWidth, scrollHeight - clientHeight];"""
        )
        assert sizes == [0, 0], width
        # A picture that was fitted to the window stays so.
        page.execute_script("document.getElementById('fit').click()")
    for width in (390, 700):
        set_screen(page, width)
        wait(page, FITTED)


@pytest.mark.slow
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    require_viewer()
    (tmp_path / "none.heq").write_bytes(b"none")
    done = run("view", tmp_path / "none.heq", "--out", tmp_path / "view.html")
    assert done.exit_code == 1 and "none.heq" in done.stderr
    assert not (tmp_path / "view.html").exists()
