"""The report page as one HTML file: template, style, script and data put together."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import Any

SCRIPTS = ("dom.js", "charts.js", "tables.js", "viewer.js", "page.js")
"""Parts of the one script, in the order in which they need each other."""


def page_html(title: str, data: dict[str, Any]) -> bytes:
    """Return the page, UTF-8, that shows ``data``; see ``page_report`` for what that holds.

    It asks for nothing but itself: the content security policy in its head allows this style and
    this script, by their hashes, and pictures from data URIs, and refuses anything else.

    Raises ``ValueError`` when a number is not finite: JSON has none such.
    """
    folder = files("heqcodec.eval") / "page"
    style = (folder / "style.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS)
    parts = {
        "TITLE": html.escape(title),
        "STYLE": style,
        "STYLE_HASH": _source_hash(style),
        "SCRIPT": script,
        "SCRIPT_HASH": _source_hash(script),
        "DATA": _inert_json(data),
    }
    template = (folder / "template.html").read_text("utf-8")
    # In one pass, so that text in the data that looks like a mark stays text.
    page = re.sub(r"@([A-Z_]+)@", lambda mark: parts[mark[1]], template)
    return page.encode("utf-8")


def _inert_json(data: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in: without ``<``, and in ASCII."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _source_hash(source: str) -> str:
    digest = hashlib.sha256(source.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
