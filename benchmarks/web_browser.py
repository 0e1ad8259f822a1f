"""For the benchmarks of web/: a server on the loopback that counts, and headless Chromium."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".avif": "image/avif",
    ".heq": "image/x-heq",
}
COMPRESSED = (".html", ".js", ".mjs", ".wasm", ".onnx", ".safetensors")
FLAGS = ("--headless", "--no-sandbox", "--disable-quic", "--disable-background-networking")


@cache
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)


class Server:
    """Files of the repository, pages and pictures, over HTTP, compressed by gzip where it helps.

    Args:
        pages: bodies by path; they are sent with "no-store", files of the repository with a year.

    Attributes:
        sent: bytes of bodies by path, as they went over the wire; to be cleared by the caller.
        posted: the body of the last POST.
    """

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages, self.sent, self.posted = pages, Counter[str](), b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.partition("?")[0]
                path, keep = ROOT / name.lstrip("/"), "max-age=31536000, immutable"
                suffix = Path(name).suffix or ".html"
                if name in outer.pages:
                    body, keep = outer.pages[name], "no-store"
                    if suffix in COMPRESSED:
                        body = gzip.compress(body, 9, mtime=0)
                elif path.is_file():
                    body = _packed(path) if suffix in COMPRESSED else path.read_bytes()
                else:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
                if suffix in COMPRESSED:
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Cache-Control", keep)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                outer.sent[name] += len(body)
                self.wfile.write(body)

            def do_POST(self) -> None:
                outer.posted = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def chromium(flags: tuple[str, ...] = ("--disable-gpu",)) -> Iterator[Any]:
    """A WebDriver with an empty profile.

    Raises:
        SystemExit: there is no Chromium or no driver for it.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        raise SystemExit("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(driver))
        browser.set_script_timeout(600)
        try:
            yield browser
        finally:
            browser.quit()
