"""The receiver's page in headless Chromium, while a camera sends over the loopback.

With HEQCODEC_SCREENSHOTS a folder gets pictures of what was seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import console, requests, set_screen
from heqcodec.packets.resend import read_resend
from receiving import Running, UdpSender, image_file, packets, receiver, wait_for

pytest.importorskip("uvicorn")
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
CSS = "css selector"
SCREENSHOTS = os.environ.get("HEQCODEC_SCREENSHOTS")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with receiver(tmp_path, "--udp", 0, "--decoder", "fast") as running:
        yield running


@pytest.fixture
def page(driver: Any, running: Running) -> Iterator[Any]:
    set_screen(driver, 1280)
    console(driver), requests(driver)
    driver.get(running.address)
    wait_for(lambda: text(driver, "#live") == "live")
    yield driver
    asked = requests(driver)
    assert asked and all(address.startswith(running.address) for address in asked)
    # But for what `marked` does.
    assert [line for line in console(driver) if "getImageData" not in line] == []
    driver.get("about:blank")


def one(page: Any, selector: str) -> Any:
    return page.find_element(CSS, selector)


def text(page: Any, selector: str) -> str:
    return str(one(page, selector).text)


def seen(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))


def press(page: Any, *keys: str) -> None:
    page.switch_to.active_element.send_keys(*keys)


def marked(page: Any, selector: str) -> float:
    """The part of a picture that is marked as missing."""
    return float(
        page.execute_script(
            """const canvas = document.querySelector(arguments[0] + " canvas");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            let marked = 0;
            for (let place = 3; place < data.length; place += 4) marked += data[place] > 0;
            return marked / (width * height);""",
            selector,
        )
    )


def pictured(page: Any, selector: str) -> bool:
    return bool(
        page.execute_script(
            """const image = document.querySelector(arguments[0] + " img");
            return image.complete && image.naturalWidth > 1;""",
            selector,
        )
    )


@pytest.mark.slow
def test_an_image_fills_in(page: Any, running: Running) -> None:
    """Three moments: a third of the packets, all but two, all."""
    camera, sent = UdpSender(running.port), packets(sender=7, image=3)
    assert one(page, "#none").is_displayed()
    third = len(sent) // 3
    camera.send(sent[:third])
    wait_for(lambda: page.find_elements(CSS, ".tile") and pictured(page, ".tile"))
    wait_for(lambda: f"packets\n{third}\n" in text(page, "#totals"))
    assert "Sender 7" in text(page, "#senders h2")
    assert "receiving" in text(page, ".tile small")
    (image,) = running.images()
    patches = image["rows"] * image["columns"]
    first = marked(page, ".tile")
    assert first == pytest.approx(1 - image["known"] / patches, abs=0.01) and first > 0.4
    seen(page, "1-a-third")

    camera.send([*sent[third:-5], sent[-1]])
    # The list goes to the camera, from the dialog, by keys alone.
    wait_for(lambda: 0 < marked(page, ".tile") < 0.3)
    press(page, Keys.ARROW_DOWN), press(page, Keys.ENTER)
    assert one(page, "dialog").is_displayed()
    wait_for(lambda: text(page, "#detail-title") and one(page, "#numbers").get_attribute("value"))
    numbers = f"{len(sent) - 5}-{len(sent) - 2}"
    wait_for(lambda: one(page, "#numbers").get_attribute("value") == numbers)
    wait_for(lambda: f"?v={len(sent) - 4}" in one(page, "dialog img").get_attribute("src"))
    assert f"{len(sent) - 4} of {len(sent)}" in text(page, "#figures")
    assert not one(page, "#heq").is_displayed() and one(page, "#png").is_displayed()
    seen(page, "2-four-missing")
    assert one(page, "dialog canvas").is_displayed()
    press(page, "m")
    assert not one(page, "dialog canvas").is_displayed()
    press(page, "m")
    one(page, "#copy-numbers").click()
    wait_for(lambda: text(page, "#told") == "Copied.")
    one(page, "#send").click()
    wait_for(lambda: text(page, "#told") == "Sent.")
    sender, number, wanted = read_resend(camera.socket.recv(64))
    assert (sender, number) == (7, 3) and wanted == list(range(len(sent) - 5, len(sent) - 1))

    camera.send([sent[number] for number in wanted])
    wait_for(lambda: "whole" in text(page, "#detail-title"))
    wait_for(lambda: one(page, "#heq").is_displayed())
    assert not one(page, "#resend").is_displayed() and marked(page, "dialog") == 0
    wait_for(lambda: "w" in str(one(page, "dialog img").get_attribute("src")).split("?")[-1])
    seen(page, "3-whole")
    address = one(page, "#heq").get_attribute("href")
    assert running.get(address.removeprefix(running.address)) == image_file()
    press(page, Keys.ESCAPE)
    assert not one(page, "dialog").is_displayed()
    # The tile has the focus again.
    assert page.switch_to.active_element.get_attribute("class").startswith("tile")


@pytest.mark.slow
def test_a_gallery(page: Any, running: Running) -> None:
    camera = UdpSender(running.port)
    for sender in (300, 4):
        for image in range(3):
            kept = packets(sender=sender, image=image)
            camera.send(kept[: len(kept) - 4 * image])
    wait_for(lambda: len(page.find_elements(CSS, ".tile")) == 6)
    wait_for(lambda: all(pictured(page, f"li:nth-child({n}) .tile") for n in (1, 2, 3)))
    # Who was heard last stands first, and the newest image too.
    assert [found.text for found in page.find_elements(CSS, "#senders h2")] == [
        *("Sender 4", "Sender 300")
    ]
    assert [found.text for found in page.find_elements(CSS, ".tile strong")] == [
        *("Image 2", "Image 1", "Image 0") * 2
    ]
    press(page, Keys.ARROW_RIGHT)
    press(page, Keys.ARROW_RIGHT), press(page, Keys.ARROW_DOWN)
    focused = page.switch_to.active_element
    assert "Image 1 of sender 300" in focused.get_attribute("aria-label")
    press(page, Keys.ENTER), press(page, Keys.ARROW_RIGHT)
    assert "Image 0 of sender 300" in text(page, "#detail-title")
    press(page, Keys.ESCAPE)
    page.execute_script(
        """const select = document.getElementById("sender"); select.value = "4";
        select.dispatchEvent(new Event("change"));"""
    )
    wait_for(lambda: sum(tile.is_displayed() for tile in page.find_elements(CSS, ".tile")) == 3)
    seen(page, "gallery-light")
    set_screen(page, 390, dark=True)
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 390
    ground = one(page, "body").value_of_css_property("background-color")
    assert ground == "rgba(20, 23, 26, 1)"
    seen(page, "gallery-phone-dark")
    page.find_elements(CSS, ".tile")[0].click()
    wait_for(lambda: pictured(page, "dialog"))
    assert page.execute_script("return document.querySelector('dialog').scrollWidth") <= 390
    seen(page, "image-phone-dark")
    press(page, Keys.ESCAPE)
    set_screen(page, 1280)


@pytest.mark.slow
def test_the_page_says_when_the_receiver_is_gone(driver: Any, tmp_path: Path) -> None:
    with receiver(tmp_path, "--udp", 0, "--decoder", "plain") as running:
        driver.get(running.address)
        wait_for(lambda: text(driver, "#live") == "live")
        running.process.kill()
        wait_for(lambda: "does not answer" in text(driver, "#live"))
    driver.get("about:blank")
    console(driver), requests(driver)
