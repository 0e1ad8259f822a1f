"""The report page in headless Chromium, from disk: what a reader does with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import browser, console, pixels, requests, set_screen
from command_runner import run
from heqcodec.eval.curves import load_results
from heqcodec.eval.folder import read_pixels
from heqcodec.eval.rows import TABLE, read_table
from heqcodec.eval.store import decoded_file
from result_folder import CODECS, NAMES, Folders

CSS = "css selector"
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
ActionChains = pytest.importorskip("selenium.webdriver").ActionChains


@pytest.fixture(scope="module")
def address(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> str:
    # Hostile in a file name and in an address, too.
    out = tmp_path_factory.mktemp("<b>page #1&") / "report 100%.html"
    result = run(
        *("eval", "report", folders.results, "--data", folders.photographs, "--out", out),
        *("--images", "3", "--published", "jpeg", "--published", "vtm"),
        *("--range", "full", "--range", "0.3,1"),
    )
    assert result.exit_code == 0, result.stderr
    return out.as_uri()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(driver: Any, address: str) -> Iterator[Any]:
    """The page, newly opened at 1280 pixels; whatever a test does, it must raise no error."""
    set_screen(driver, 1280)
    console(driver), requests(driver)
    driver.get(address)
    assert column(driver, "#sources-table", "curve")  # the last thing that the script draws
    yield driver
    assert console(driver) == []


def one(page: Any, selector: str) -> Any:
    (found,) = page.find_elements(CSS, selector)
    return found


def scroll_to(page: Any, element: Any) -> None:
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)


def choose(page: Any, label: str, text: str) -> None:
    """Choose an option of the select that has this label."""
    for field in page.find_elements(CSS, "label"):
        if field.text.split("\n")[0].startswith(label):
            scroll_to(page, field)
            field.find_element("xpath", f".//option[normalize-space()={literal(text)}]").click()
            return
    raise AssertionError(f"no field {label}")


def literal(text: str) -> str:
    """A string in XPath 1.0, which knows no escapes."""
    return "concat('', {})".format(', "\'", '.join(f"'{part}'" for part in text.split("'")))


def column(page: Any, table: str, heading: str) -> list[str]:
    """The cells below a heading, as shown."""
    cells: list[str] = page.execute_script(
        """const table = document.querySelector(arguments[0] + " table");
        const at = [...table.tHead.rows[0].cells].findIndex((c) => c.textContent === arguments[1]);
        return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent.trim());""",
        table,
        heading,
    )
    return cells


def press_heading(page: Any, table: str, heading: str) -> str:
    """Press a heading; its ``aria-sort`` then."""
    for cell in page.find_elements(CSS, f"{table} thead th"):
        if cell.get_property("textContent") == heading:
            scroll_to(page, cell)
            cell.find_element(CSS, "button").click()
            return str(cell.get_attribute("aria-sort"))
    raise AssertionError(f"no heading {heading}")


def test_the_page_opens_from_disk_and_asks_for_nothing_else(page: Any, address: str) -> None:
    assert requests(page) == [address]
    assert len(page.find_elements(CSS, ".chart .marker")) > 20
    assert [heading.text for heading in page.find_elements(CSS, "h2")] == [
        "Rate and distortion",
        "BD-rate",
        "Pictures",
        "Every image",
        "Sources",
    ]
    # The policy in its head is what keeps it so, whatever the data say.
    refused = page.execute_async_script(
        """const done = arguments[0];
        fetch("http://127.0.0.1:9/").then(() => done(false), () => done(true));"""
    )
    assert refused
    assert any("Content Security Policy" in message for message in console(page))
    assert requests(page) == []


def test_names_stay_text(page: Any) -> None:
    assert page.find_elements(CSS, "main img[onerror], b") == []
    assert page.execute_script("return document.querySelectorAll('script').length") == 2
    shown = set(column(page, "#images-table", "image"))
    assert shown == set(NAMES)
    assert CODECS[0].about in column(page, "#sources-table", "about")
    choose(page, "Image", NAMES[2])
    assert NAMES[2] in one(page, ".frame img.over").get_attribute("alt")


# ---- curves


def test_pointing_at_a_curve_names_the_point(page: Any, folders: Folders) -> None:
    (webp,) = (c for c in load_results([folders.results]) if c.name == "webp")
    for measure in ("psnr", "ms_ssim_db", "border_ratio", "bef32"):
        chart = one(page, f".chart[data-measure={measure}]")
        tip = chart.find_element(CSS, ".tip")
        assert not tip.is_displayed()
        marker = chart.find_elements(CSS, "g[data-curve=webp] .marker")[0]
        scroll_to(page, marker)
        ActionChains(page).move_to_element_with_offset(marker, 2, -2).perform()
        assert tip.is_displayed()
        value = getattr(webp.points[0], measure)
        digits = {"psnr": 2, "ms_ssim_db": 2, "border_ratio": 3, "bef32": 2}[measure]
        name, setting, rate, shown = tip.text.split("\n")
        assert (name, setting) == ("webp", "quality 5")
        assert rate == f"{webp.points[0].bpp:.4f} bpp"
        assert float(shown.split()[0]) == pytest.approx(value, abs=0.51 * 10**-digits)
        box, frame = tip.rect, chart.rect
        assert frame["x"] <= box["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"]
        ActionChains(page).move_to_element(one(page, "h1")).perform()
        assert not tip.is_displayed()


def test_points_can_be_reached_with_the_keyboard(page: Any, folders: Folders) -> None:
    measured = {curve.name: curve for curve in load_results([folders.results])}
    chart = one(page, ".chart[data-measure=psnr]")
    assert len(chart.find_elements(CSS, ".marker[tabindex='0']")) == 1
    page.find_elements(CSS, ".legend button")[-1].send_keys(Keys.TAB)

    def told() -> list[str]:
        assert chart.find_element(CSS, ".tip").is_displayed()
        focused = page.switch_to.active_element
        text = chart.find_element(CSS, ".tip").text
        assert focused.get_attribute("aria-label") == text.replace("\n", ", ")
        return str(text).split("\n")

    assert told()[0] == "jpeg"
    rates = [f"{point.bpp:.4f} bpp" for point in measured["jpeg"].points if point.bpp <= 1.01]
    seen = [told()[2]]
    for _ in rates[1:]:
        page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        seen.append(told()[2])
    assert seen == rates
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert told()[0] == "webp"
    page.switch_to.active_element.send_keys(Keys.HOME)
    assert told()[2] == f"{measured['webp'].points[0].bpp:.4f} bpp"
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not chart.find_element(CSS, ".tip").is_displayed()


def test_the_legend_hides_and_shows_a_curve(page: Any) -> None:
    (button,) = [b for b in page.find_elements(CSS, ".legend button") if b.text == "webp"]

    def charts_with_it() -> int:
        return len(page.find_elements(CSS, ".chart g[data-curve=webp]"))

    def highest_tick() -> float:
        ticks = page.find_elements(CSS, ".chart[data-measure=border_ratio] text")
        return max(float(tick.text) for tick in ticks if re.fullmatch(r"[\d.]+", tick.text))

    assert charts_with_it() == 4
    button.click()
    assert (button.get_attribute("aria-pressed"), charts_with_it()) == ("false", 0)
    button.send_keys(Keys.SPACE)
    assert (button.get_attribute("aria-pressed"), charts_with_it()) == ("true", 4)
    before = highest_tick()
    (jpeg,) = [b for b in page.find_elements(CSS, ".legend button") if b.text == "jpeg"]
    jpeg.click()  # JPEG's blocks set the scale
    assert highest_tick() < before
    for text, count in (("Hide all", 0), ("Show all", 4)):
        (other,) = [b for b in page.find_elements(CSS, "#curve-controls button") if b.text == text]
        other.click()
        assert charts_with_it() == count


def test_published_curves_are_dashed_and_rates_can_be_limited(page: Any) -> None:
    dashes = {
        group.get_attribute("data-curve"): group.find_element(CSS, ".line").value_of_css_property(
            "stroke-dasharray"
        )
        for group in page.find_elements(CSS, ".chart[data-measure=psnr] g[data-curve]")
    }
    assert {name for name, dash in dashes.items() if dash == "none"} == {"jpeg", "webp"}
    assert len(dashes) == 4
    few = len(page.find_elements(CSS, ".chart[data-measure=psnr] .marker"))
    choose(page, "Rates up to", "all")
    assert len(page.find_elements(CSS, ".chart[data-measure=psnr] .marker")) > few


# ---- tables


def test_the_table_of_images_sorts_numbers_as_numbers(page: Any, folders: Folders) -> None:
    table = "#images-table"
    rows = read_table(folders.results / TABLE)
    fields: dict[str, Callable[[Any], float]] = {
        "setting": lambda row: row.setting,  # 5 before 20 before 60, unlike as text
        "bpp": lambda row: row.bpp,
        "PSNR, dB": lambda row: row.psnr_rgb,
        "BEF 32": lambda row: row.bef32,
    }
    for heading, value in fields.items():
        expected = sorted(value(row) for row in rows)
        assert press_heading(page, table, heading) == "ascending"
        assert list(map(float, column(page, table, heading))) == pytest.approx(expected, abs=0.006)
        assert press_heading(page, table, heading) == "descending"
        shown = list(map(float, column(page, table, heading)))
        assert shown == pytest.approx(expected[::-1], abs=0.006)
        sorts = [
            h.get_attribute("aria-sort") for h in page.find_elements(CSS, f"{table} th[scope=col]")
        ]
        assert sorted(sorts)[0] == "descending" and set(sorts[1:]) <= {"none", "descending"}
        assert sorts.count("descending") == 1
    press_heading(page, table, "image")
    assert column(page, table, "image")[-12:] == ["cat 9.png"] * 6 + ["cat 10.png"] * 6


def test_rows_can_be_filtered_and_stay_sorted(page: Any) -> None:
    press_heading(page, "#images-table", "bpp")
    controls = one(page, "#images-controls")
    codec, image = controls.find_elements(CSS, "select")
    codec.find_element("xpath", ".//option[.='webp']").click()
    assert set(column(page, "#images-table", "codec")) == {"webp"}
    image.find_element("xpath", ".//option[.='cat 9.png']").click()
    rates = list(map(float, column(page, "#images-table", "bpp")))
    assert len(rates) == 3
    assert rates == sorted(rates)


def test_savings_follow_the_anchor_chosen(page: Any) -> None:
    def table() -> dict[str, str]:
        names = column(page, "#savings-table", "codec")
        values = column(page, "#savings-table", "BD-rate, %")
        return dict(zip(names, values, strict=True))

    first = table()
    assert set(first) == {"webp", "JPEG, published", "VTM (VVC), published"}
    assert float(first["webp"]) < 0
    choose(page, "Anchor", "webp")
    second = table()
    assert "webp" not in second
    # What one saves beside the other is the other's cost, over the same qualities.
    factors = [1 + float(value) / 100 for value in (first["webp"], second["jpeg"])]
    assert factors[0] * factors[1] == pytest.approx(1, abs=0.01)
    choose(page, "Range", "0.3 to 1 bpp of the anchor")
    third = table()
    assert third != second
    choose(page, "Measure", "MS-SSIM in dB")
    assert table() != third
    # Sorting puts what has no value last, in both orders.
    choose(page, "Anchor", "VTM (VVC), published")
    for _ in range(2):
        press_heading(page, "#savings-table", "BD-rate, %")
        values = column(page, "#savings-table", "BD-rate, %")
        numbers = [value for value in values if value != "n/a"]
        assert values == numbers + ["n/a"] * (len(values) - len(numbers))


# ---- the viewer


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
    drag = ActionChains(page).click_and_hold(divider).move_by_offset(round(width / 4), 5)
    drag.release().perform()
    assert shown_share(page) == pytest.approx(75, abs=1)
    ActionChains(page).move_by_offset(-100, 0).perform()
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


@pytest.mark.parametrize("share", [30, 70])
def test_each_side_of_the_divider_shows_its_own_picture(
    page: Any, folders: Folders, share: int
) -> None:
    choose(page, "Image", "cat 9.png")
    choose(page, "Right", "jpeg")
    frame = one(page, ".frame")
    scroll_to(page, frame)
    box = frame.rect
    offset = round((share / 100 - 0.5) * box["width"])
    ActionChains(page).move_to_element_with_offset(frame, offset, 20).click().perform()
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
    ActionChains(page).click_and_hold(panes[1]).move_by_offset(-50, -25).release().perform()
    after = seen(panes[0], 5)  # both panes move
    assert (places[-1][0] - before[0], places[-1][1] - before[1]) == (5, 10)
    row, column = places[-1]
    assert np.abs(after - original[row : row + 20, column : column + 20]).max() <= 2
    panes[0].send_keys(Keys.ARROW_LEFT)
    seen(panes[0], 5)
    assert places[-1] == (row, column - 4)
    panes[0].send_keys("-")
    assert one(page, ".crops output").text == "4×"


# ---- screens and paper


@pytest.mark.parametrize("width", [360, 800, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_the_screen(page: Any, width: int, dark: bool) -> None:
    set_screen(page, width, dark)
    page.refresh()
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    ground = page.find_element(CSS, "body").value_of_css_property("background-color")
    assert ("255, 255, 255" in ground) != dark
    for chart in page.find_elements(CSS, ".chart"):
        ends = page.execute_script(
            """const box = arguments[0].getBoundingClientRect();
            return [...arguments[0].querySelectorAll("text")].map((text) => {
              const own = text.getBoundingClientRect();
              return [own.left - box.left, box.right - own.right, own.height];
            });""",
            chart,
        )
        assert all(left >= 0 and right >= 0 and height >= 10 for left, right, height in ends)


def test_the_page_prints_its_curves_and_tables_but_no_controls(page: Any) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    try:
        assert one(page, ".chart[data-measure=psnr] svg").is_displayed()
        assert len(column(page, "#images-table", "codec")) == 18
        for hidden in ("nav", "#curve-controls", "#savings-controls", ".viewer > .controls"):
            assert not one(page, hidden).is_displayed()
    finally:
        set_screen(page, 1280)


def test_screenshots_for_people(page: Any, tmp_path: Path) -> None:
    """What the eye sees is more than one colour, in both schemes."""
    shots = []
    for dark in (False, True):
        set_screen(page, 1280, dark)
        shots.append(pixels(one(page, ".chart[data-measure=psnr]")))
    assert shots[0].shape == shots[1].shape
    assert shots[0].mean() > 200 > 60 > shots[1].mean()
