"""The package in headless Chromium: the element <heq-image>, and decoding in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import heqcodec
import numpy as np
import pytest
from chromium import browser, console, set_screen
from web_package import ROOT, WEB, as_rgba, require_package
from web_site import Site, serving

GOLDEN = ROOT / "tests" / "conformance"
PAGE = """<!doctype html><title>t</title><body>
<heq-image id=device src=/tests/conformance/colour-nqe-r-device-60.heq alt="A cat"></heq-image>
<heq-image id=packed src=/tests/conformance/alpha-nqe-r-packed-60.heq></heq-image>
<style>.narrow { width: 50%; }</style>
<heq-image id=narrow class=narrow src=/tests/conformance/pixel-nqe-r-device-20.heq></heq-image>
<heq-image id=none src=/none.heq alt="Nothing"></heq-image>
<div style="height: 5000px"></div>
<heq-image id=lazy loading=lazy src=/tests/conformance/gray-nqe-r-device-20.heq></heq-image>
<script>
window.events = [];
for (const name of ["load", "error"])
  document.addEventListener(name, (e) => e.target.id && events.push([e.target.id, e.type]), true);
</script>
<script type=module src=/web/src/element.js></script>"""


NETWORK = """<!doctype html><title>t</title><body>
<script type=importmap>{"imports": {"onnxruntime-web":
"/web/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"}}</script>
<heq-image id=fast decoder=fast src=/tests/conformance/colour-nqe-r-device-60.heq></heq-image>
<script>window.events = [];
for (const name of ["load", "error"])
  document.addEventListener(name, (e) => e.target.id && events.push([e.target.id, e.type]), true);
</script>
<script type=module src=/web/src/element.js></script>"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    require_package()
    with serving({"/": PAGE, "/network": NETWORK}) as served:
        yield served


@pytest.fixture(scope="module")
def page(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        driver.set_script_timeout(300)
        set_screen(driver, 800)
        driver.get(f"{site.address}/")
        yield driver


def wait_for(page: Any, name: str, kind: str) -> None:
    found = page.execute_async_script(
        """const [name, kind, done] = arguments;
        const seen = () => window.events.some(([id, type]) => id === name && type === kind);
        const look = setInterval(() => seen() && (clearInterval(look), done(true)), 20);""",
        name,
        kind,
    )
    assert found


def shown(page: Any, name: str) -> np.ndarray:
    """RGBA of the canvas of an element."""
    width, height, data = page.execute_script(
        """const canvas = document.getElementById(arguments[0]).shadowRoot.querySelector("canvas");
        const { width, height } = canvas;
        return [width, height, [...canvas.getContext("2d").getImageData(0, 0, width, height).data]];
        """,
        name,
    )
    return np.array(data, np.uint8).reshape(height, width, 4)


def expected(file: str) -> np.ndarray:
    return as_rgba(heqcodec.decode((GOLDEN / file).read_bytes(), decoder="plain"))


def test_the_element_shows_files(page: Any, site: Site) -> None:
    wait_for(page, "device", "load")
    own = expected("colour-nqe-r-device-60.heq")
    assert np.abs(shown(page, "device").astype(int) - own).max() <= 1
    facts = page.execute_script(
        """const e = document.getElementById("device");
        return [e.naturalWidth, e.naturalHeight, e.complete, e.getAttribute("role"),
                e.getAttribute("aria-label"), e.getBoundingClientRect().width];"""
    )
    assert facts == [own.shape[1], own.shape[0], True, "img", "A cat", own.shape[1]]
    wait_for(page, "narrow", "load")
    narrow = "return document.getElementById('narrow').getBoundingClientRect().width / "
    assert page.execute_script(narrow + "document.body.clientWidth") == pytest.approx(0.5, abs=0.1)
    wait_for(page, "packed", "load")
    own = expected("alpha-nqe-r-packed-60.heq")
    given = shown(page, "packed")
    assert np.array_equal(given[..., 3], own[..., 3])
    pictures = {path: times for path, times in site.asked.items() if path.endswith(".heq")}
    assert set(pictures.values()) == {1}, pictures
    # A canvas keeps colours premultiplied: those of opaque pixels are as they were given.
    opaque = own[..., 3] > 192
    assert opaque.any()
    assert np.abs(given[opaque].astype(int) - own[opaque]).max() <= 2


def test_a_file_that_is_not_there_shows_its_text(page: Any) -> None:
    wait_for(page, "none", "error")
    text = page.execute_script("return document.getElementById('none').shadowRoot.textContent")
    assert text.endswith("Nothing")


def test_lazy_elements_load_when_they_come_near(page: Any) -> None:
    wait_for(page, "device", "load")
    assert not page.execute_script("return events.some(([id]) => id === 'lazy')")
    page.execute_script("document.getElementById('lazy').scrollIntoView()")
    wait_for(page, "lazy", "load")
    own = expected("gray-nqe-r-device-20.heq")
    assert np.abs(shown(page, "lazy").astype(int) - own).max() <= 1


def test_decoding_in_a_worker(page: Any) -> None:
    data = page.execute_async_script(
        """const done = arguments[0];
        const code = `import { decode } from "${location.origin}/web/src/index.js";
          onmessage = async ({ data }) => postMessage((await decode(data)).data);`;
        const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
        const worker = new Worker(url, { type: "module" });
        worker.onmessage = ({ data }) => done([...data]);
        worker.onerror = (error) => done(String(error.message));
        fetch("/tests/conformance/neutral-nqe-r-device-60.heq")
          .then((answer) => answer.arrayBuffer()).then((bytes) => worker.postMessage(bytes));"""
    )
    own = expected("neutral-nqe-r-device-60.heq")
    assert np.abs(np.array(data).reshape(own.shape) - own.astype(int)).max() <= 1
    errors = [line for line in console(page) if "none.heq" not in line and "favicon" not in line]
    assert errors == []


def test_the_element_runs_a_network(page: Any) -> None:
    if not (WEB / "node_modules" / "onnxruntime-web").exists():
        pytest.skip("needs onnxruntime-web (npm ci in web/)")
    page.get(page.current_url + "network")
    wait_for(page, "fast", "load")
    data = (GOLDEN / "colour-nqe-r-device-60.heq").read_bytes()
    own = as_rgba(heqcodec.decode(data, decoder="fast", device="cpu"))
    assert np.abs(shown(page, "fast").astype(int) - own).max() <= 1
