"""The report page in headless Chromium, from disk: what a reader does with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from chromium import console, pixels, requests, set_screen, wait_for_frame
from heqcodec.eval.curves import load_results
from heqcodec.eval.rows import TABLE, read_table
from page_reader import CSS, choose, column, one, pointer, press_heading, scroll_to
from result_folder import CODECS, NAMES, Folders
from slow_cases import quick_first, slow

Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys


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
        pointer(page).move_to_element_with_offset(marker, 2, -2).perform()
        assert tip.is_displayed()
        value = getattr(webp.points[0], measure)
        digits = {"psnr": 2, "ms_ssim_db": 2, "border_ratio": 3, "bef32": 2}[measure]
        name, setting, rate, shown = tip.text.split("\n")
        assert (name, setting) == ("webp", "quality 5")
        assert rate == f"{webp.points[0].bpp:.4f} bpp"
        assert float(shown.split()[0]) == pytest.approx(value, abs=0.51 * 10**-digits)
        box, frame = tip.rect, chart.rect
        assert frame["x"] <= box["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"]
        pointer(page).move_to_element(one(page, "h1")).perform()
        assert not tip.is_displayed()


def test_points_can_be_reached_with_the_keyboard(page: Any, folders: Folders) -> None:
    measured = {curve.name: curve for curve in load_results([folders.results])}
    chart = one(page, ".chart[data-measure=psnr]")
    assert len(chart.find_elements(CSS, ".marker[tabindex='0']")) == 1
    page.find_elements(CSS, ".legend button")[-1].send_keys(Keys.TAB)

    def readout() -> list[str]:
        assert chart.find_element(CSS, ".tip").is_displayed()
        focused = page.switch_to.active_element
        text = chart.find_element(CSS, ".tip").text
        assert focused.get_attribute("aria-label") == text.replace("\n", ", ")
        return str(text).split("\n")

    assert readout()[0] == "jpeg"
    rates = [f"{point.bpp:.4f} bpp" for point in measured["jpeg"].points]
    seen = [readout()[2]]
    for _ in rates[1:]:
        page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        seen.append(readout()[2])
    assert seen == rates
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert readout()[0] == "webp"
    page.switch_to.active_element.send_keys(Keys.HOME)
    assert readout()[2] == f"{measured['webp'].points[0].bpp:.4f} bpp"
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
    choose(page, "Rates up to", "0.5 bpp")
    few = len(page.find_elements(CSS, ".chart[data-measure=psnr] .marker"))
    choose(page, "Rates up to", "all")
    assert len(page.find_elements(CSS, ".chart[data-measure=psnr] .marker")) > few


def test_at_first_every_measured_point_is_drawn(page: Any, folders: Folders) -> None:
    curves = load_results([folders.results])
    assert max(point.bpp for curve in curves for point in curve.points) > 1
    for curve in curves:
        selector = f".chart[data-measure=psnr] g[data-curve='{curve.name}'] .marker"
        assert len(page.find_elements(CSS, selector)) == len(curve.points)


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
    # What one saves against the other is the other's cost, over the same qualities.
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


# ---- screens and paper


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        (360, False),
        (1280, True),
        slow(360, True),
        slow(1280, False),
        slow(800, True),
        slow(800, False),
    ],
)
def test_the_page_fits_the_screen(page: Any, width: int, dark: bool) -> None:
    set_screen(page, width, dark)
    page.refresh()
    wait_for_frame(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    ground = page.find_element(CSS, "body").value_of_css_property("background-color")
    assert ("255, 255, 255" in ground) != dark
    charts = page.find_elements(CSS, ".chart")
    assert len(charts) == 4
    for chart in charts:
        ends = page.execute_script(
            """const box = arguments[0].getBoundingClientRect();
            return [...arguments[0].querySelectorAll("text")].map((text) => {
              const own = text.getBoundingClientRect();
              return [own.left - box.left, box.right - own.right, own.height];
            });""",
            chart,
        )
        assert ends
        assert all(left >= 0 and right >= 0 and height >= 10 for left, right, height in ends)


@pytest.mark.parametrize("width", quick_first([320, 360, 412]))
def test_a_phone_shows_every_column_of_bd_rates(page: Any, width: int) -> None:
    set_screen(page, width)
    page.refresh()
    wait_for_frame(page)
    region = one(page, "#savings-table .scroll")
    assert region.get_property("scrollWidth") <= region.get_property("clientWidth")
    overflowing = page.execute_script(
        """return [...document.querySelectorAll("#savings-table :is(th, td)")]
        .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent);"""
    )
    assert overflowing == []
    set_screen(page, 1280)


def test_the_page_prints_its_curves_and_tables_but_no_controls(page: Any) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    try:
        assert one(page, ".chart[data-measure=psnr] svg").is_displayed()
        assert len(column(page, "#images-table", "codec")) == 18
        for hidden in ("nav", "#curve-controls", "#savings-controls", ".viewer > .controls"):
            assert not one(page, hidden).is_displayed()
    finally:
        set_screen(page, 1280)


def test_curves_are_drawn_on_light_and_on_dark_ground(page: Any) -> None:
    shots = []
    for dark in (False, True):
        set_screen(page, 1280, dark)
        shots.append(pixels(one(page, ".chart[data-measure=psnr]")))
    assert shots[0].shape == shots[1].shape
    assert shots[0].mean() > 200 > 60 > shots[1].mean()
