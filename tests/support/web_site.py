"""The files of the repository and some pages, over HTTP on the loopback."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from loopback import running

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Site:
    """What is served.

    Attributes:
        address: without a slash at its end.
        asked: how often each path was requested.
        posted: the body of the last POST.
    """

    address: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    posted: bytes = b""


@contextmanager
def serving(pages: Mapping[str, str | bytes]) -> Iterator[Site]:
    """Serve pages by path: text is HTML; else the files of the repository."""
    site = Site()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked[self.path] += 1
            if self.path not in pages:
                super().do_GET()
                return
            page = pages[self.path]
            html = isinstance(page, str)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8" if html else "image/x-heq")
            self.end_headers()
            self.wfile.write(page.encode() if isinstance(page, str) else page)

        def do_POST(self) -> None:
            site.posted = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    handler = functools.partial(Handler, directory=str(ROOT))
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as site.address:
        yield site
