"""A headless Chromium for the tests of the report page; they are skipped where there is none."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


@contextmanager
def browser(profile: Path, *more: str) -> Iterator[Any]:
    """A WebDriver with an empty profile, with ``more`` flags; skips the test without selenium,
    Chromium or driver."""
    selenium = pytest.importorskip("selenium.webdriver")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    if not (BROWSER and DRIVER):
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = selenium.ChromeOptions()
    # Both are named, so that selenium looks for neither, and in particular not on the network.
    options.binary_location = BROWSER
    for flag in (*FLAGS, *more, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=service.Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def set_screen(driver: Any, width: int, dark: bool = False) -> None:
    """Lay pages out at this width in CSS pixels, in the light or dark scheme, and wait until that
    was drawn."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    wait_for_frame(driver, width)


def wait_for_frame(driver: Any, width: int | None = None) -> None:
    """Wait until the page was drawn, at this width. Observers of sizes are called once a frame:
    two changes within one frame are none for them, if the second takes back the first."""
    driver.execute_async_script(
        """const [width, done] = arguments;
        const look = () => requestAnimationFrame(
          width === null || innerWidth === width ? () => requestAnimationFrame(done) : look);
        look();""",
        width,
    )


def console(driver: Any) -> list[str]:
    """What the page has written to the console since the last call: errors, refused requests."""
    return [entry["message"] for entry in driver.get_log("browser")]


def requests(driver: Any) -> list[str]:
    """The addresses that were requested since the last call, but for data URIs."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith("data:")]


def pixels(element: Any) -> np.ndarray:
    """What is seen of an element, uint8 (H, W, 3)."""
    with Image.open(io.BytesIO(element.screenshot_as_png)) as image:
        return np.asarray(image.convert("RGB"))
