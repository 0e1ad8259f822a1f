"""What the tests of the report page do in it: fields, tables and headings by what they say."""

from __future__ import annotations

from typing import Any

CSS = "css selector"


def one(page: Any, selector: str) -> Any:
    (found,) = page.find_elements(CSS, selector)
    return found


def scroll_to(page: Any, element: Any) -> None:
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)


def pointer(page: Any) -> Any:
    """Actions of the pointer, whose moves take no time, where selenium takes 250 ms for each."""
    from selenium.webdriver import ActionChains

    return ActionChains(page, duration=0)


def choose(page: Any, label: str, text: str) -> None:
    """Choose an option of the select whose label begins so."""
    field = page.find_element("xpath", f"//label[starts-with(normalize-space(), {literal(label)})]")
    scroll_to(page, field)
    field.find_element("xpath", f".//option[normalize-space()={literal(text)}]").click()


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
    cell = page.execute_script(
        """const cells = document.querySelectorAll(arguments[0] + " thead th");
        const cell = [...cells].find((cell) => cell.textContent === arguments[1]);
        cell.scrollIntoView({ block: "center" });
        return cell;""",
        table,
        heading,
    )
    cell.find_element(CSS, "button").click()
    return str(cell.get_attribute("aria-sort"))
