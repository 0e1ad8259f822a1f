"""The viewer of the report page in headless Chromium: divider, rates, enlarged crop."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from chromium import pixels
from heqcodec.eval.folder import read_pixels
from heqcodec.eval.kept_files import decoded_file
from heqcodec.eval.rows import TABLE, read_table
from page_reader import CSS, choose, one, pointer, scroll_to
from result_folder import Folders
from slow_cases import quick_first

Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys


def shown_share(page: Any) -> float:
    """Where the clip of the upper picture begins, in percent of the width."""
    clip = page.execute_script(
        "return getComputedStyle(document.querySelector('.frame .over')).clipPath"
    )
    match = re.fullmatch(r"inset\(0(?:px)? 0(?:px)? 0(?:px)? ([\d.]+)(?:%|px)\)", clip)
    assert match, clip
    return float(match[1])


def test_the_divider_follows_the_pointer_and_the_keys(page: Any, folders: Folders) -> None:
    choose(page, "Image", "cat 9.png")
    choose(page, "Right", "jpeg")
    frame, divider = one(page, ".frame"), one(page, ".divider")
    scroll_to(page, frame)
    assert shown_share(page) == 50
    width = frame.rect["width"]
    drag = pointer(page).click_and_hold(divider).move_by_offset(round(width / 4), 5)
    drag.release().perform()
    assert shown_share(page) == pytest.approx(75, abs=1)
    pointer(page).move_by_offset(-100, 0).perform()
    assert shown_share(page) == pytest.approx(75, abs=1)  # the button is up
    for key, share in (
        (Keys.ARROW_LEFT, 74),
        (Keys.PAGE_DOWN, 64),
        (Keys.END, 100),
        (Keys.ARROW_RIGHT, 100),
        (Keys.HOME, 0),
        (Keys.ARROW_RIGHT, 1),
    ):
        divider.send_keys(key)
        assert shown_share(page) == pytest.approx(share, abs=1)
        assert float(divider.get_attribute("aria-valuenow")) == pytest.approx(share, abs=1)


@pytest.mark.parametrize("share", quick_first([30, 70]))
def test_each_side_of_the_divider_shows_its_own_picture(
    page: Any, folders: Folders, share: int
) -> None:
    choose(page, "Image", "cat 9.png")
    choose(page, "Right", "jpeg")
    frame = one(page, ".frame")
    scroll_to(page, frame)
    box = frame.rect
    offset = round((share / 100 - 0.5) * box["width"])
    pointer(page).move_to_element_with_offset(frame, offset, 20).click().perform()
    page.execute_script(
        "for (const s of ['.outline', '.divider'])"
        " document.querySelector(s).style.visibility = 'hidden'"
    )
    quality = re.search(r"jpeg, quality (\d+)", one(page, ".captions p:last-child").text)
    assert quality
    kept = decoded_file(folders.results, "jpeg", float(quality[1]), "cat 9.png")
    left = read_pixels(folders.photographs / "cat 9.png").astype(int)
    right = read_pixels(kept).astype(int)
    seen = pixels(frame)
    scale = seen.shape[1] // 256
    assert seen.shape == (192 * scale, 256 * scale, 3)
    seen = seen[scale // 2 :: scale, scale // 2 :: scale].astype(int)  # one sample a pixel
    border = round(256 * share / 100)
    assert np.abs(left - right)[:, : border - 2].max() > 20  # the pictures differ on both sides
    assert np.abs(left - right)[:, border + 2 :].max() > 20
    # The frame may begin between two pixels of the screen, which shows at its edges.
    assert np.abs(seen - left)[1:-1, : border - 2].max() <= 2
    assert np.abs(seen - right)[1:-1, border + 2 : -1].max() <= 2


def test_the_nearest_measured_rate_is_shown_with_its_figures(page: Any, folders: Folders) -> None:
    rows = [
        row
        for row in read_table(folders.results / TABLE)
        if (row.codec, row.image) == ("webp", "cat 9.png")
    ]
    choose(page, "Image", "cat 9.png")
    choose(page, "Right", "webp")
    rate = one(page, ".viewer > .controls input[type=range]")
    scroll_to(page, rate)
    shown = set()
    for key in (Keys.HOME, *[Keys.PAGE_UP] * 12, Keys.END):
        rate.send_keys(key)
        caption = one(page, ".captions p:last-child").text
        match = re.search(r"quality (\d+): ([\d.]+) bpp.*PSNR ([\d.]+) dB", caption)
        assert match, caption
        (row,) = (row for row in rows if row.setting == float(match[1]))
        assert float(match[2]) == pytest.approx(row.bpp, abs=6e-5)
        assert float(match[3]) == pytest.approx(row.psnr_rgb, abs=6e-3)
        target = float(one(page, ".viewer > .controls output").text.split()[0])
        shown.add((match[1], target))
    embedded = [row for row in rows if f"{row.setting:g}" in {quality for quality, _ in shown}]
    assert len(embedded) >= 2
    for quality, target in shown:
        best = min(embedded, key=lambda row: abs(np.log(row.bpp / target)))
        other = next(row for row in embedded if row.setting == float(quality))
        # The target is shown rounded, so that at a tie either is right.
        assert abs(np.log(other.bpp / target)) <= abs(np.log(best.bpp / target)) + 0.01


def test_the_crop_zooms_and_pans(page: Any, folders: Folders) -> None:
    choose(page, "Image", "cat 9.png")
    panes = page.find_elements(CSS, ".pane")
    scroll_to(page, panes[0])
    zoom = one(page, ".crops input[type=range]")
    original = read_pixels(folders.photographs / "cat 9.png").astype(int)

    def seen(pane: Any, scale: int) -> np.ndarray:
        """The upper left part of a pane, one sample an image pixel."""
        image = pane.find_element(CSS, "img")
        left, top = (
            float(image.value_of_css_property(side).removesuffix("px")) for side in ("left", "top")
        )
        assert image.value_of_css_property("image-rendering") == "pixelated"
        first = [math.ceil(-value / scale) for value in (top, left)]  # first whole pixels
        start = [round(k * scale + value) for k, value in zip(first, (top, left), strict=True)]
        shot = pixels(pane)[:-40]  # without the name below
        samples = shot[start[0] + scale // 2 :: scale, start[1] + scale // 2 :: scale]
        places.append((first[0], first[1]))
        return samples[:20, :20].astype(int)

    places: list[tuple[int, int]] = []
    for scale in (1, 8, 5):
        zoom.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * (scale - 1))
        assert one(page, ".crops output").text == f"{scale}×"
        if scale == 1:
            continue
        part = seen(panes[0], scale)
        row, column = places[-1]
        expected = original[row : row + part.shape[0], column : column + part.shape[1]]
        assert np.abs(part - expected).max() <= 2
    before = places[-1]
    pointer(page).click_and_hold(panes[1]).move_by_offset(-50, -25).release().perform()
    after = seen(panes[0], 5)  # both panes move
    assert (places[-1][0] - before[0], places[-1][1] - before[1]) == (5, 10)
    row, column = places[-1]
    assert np.abs(after - original[row : row + 20, column : column + 20]).max() <= 2
    panes[0].send_keys(Keys.ARROW_LEFT)
    seen(panes[0], 5)
    assert places[-1] == (row, column - 4)
    panes[0].send_keys("-")
    assert one(page, ".crops output").text == "4×"
