"""What the tests of the report page do in it: fields, tables and headings by what they say."""

from __future__ import annotations

from typing import Any

CSS = "css selector"


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
