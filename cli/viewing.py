"""``heqcodec view``: .heq files in one page for any browser, which opens from disk."""

from __future__ import annotations

import base64
import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from heqcodec.base.errors import HeqError, HeqUnsupportedError

from .common.options import Force, Quiet, Verbose
from .common.terminal import about, check_output, read_input, reports_errors, tell

PAGE = "viewer.html"
"""Of `web/`, as its build writes it here."""
EMBEDDED = '<script type="application/json" id="embedded">'
WEIGHTS = "nqe-r.packed.safetensors"


@reports_errors
def view(
    given: Annotated[list[str], typer.Argument(metavar="FILE...", help=".heq files.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="PAGE", help="The page, a .html file.")
    ] = Path("heqcodec-view.html"),
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser of the system.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a page that shows .heq files in a browser: zoom, strips, damage, save as PNG.

    The page holds the files and all that decodes them, by the plain inverse: it needs no network
    and no installation, also for files that are dropped on it later. The page itself is built from
    web/ (npm ci && npm run build there) before heqcodec is installed.
    """
    from heqcodec.api import info
    from heqcodec.base.files import write_bytes

    for name in given:
        check_output(name, str(out), force)
    template = _template()
    images = []
    for name in given:
        data = read_input(name)
        with about(name):
            info(data, partial=True)
        images.append({"name": Path(name).name, "data": base64.b64encode(data).decode()})
    write_bytes(out, viewer_page(template, images).encode())
    if not quiet:
        tell(str(out))
    if show:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())


def viewer_page(template: str, images: list[dict[str, str]]) -> str:
    """The viewer with files in it.

    Args:
        template: the page without files.
        images: name, and data in base64, of each.
    """
    before, mark, after = template.partition(EMBEDDED)
    if not mark:
        raise HeqError(f"{PAGE} is no viewer; build it again (just web).")
    own, end, rest = after.partition("</script>")
    held = json.loads(own)
    weights = (files("heqcodec.weights") / WEIGHTS).read_bytes()
    held["weights"][WEIGHTS] = base64.b64encode(gzip.compress(weights, mtime=0)).decode()
    # A name may hold "</script>".
    text = json.dumps({**held, "files": images}).replace("<", "\\u003c")
    return before + mark + text + end + rest


def _template() -> str:
    page = files("heqcodec.cli") / PAGE
    if not page.is_file():
        raise HeqUnsupportedError(
            "This installation has no viewer: it is built from web/ by npm ci && npm run build "
            "there, with a Python that has heqcodec; then install heqcodec again."
        )
    return page.read_text("utf-8")
