"""A web server on the loopback that answers requests for ranges, and counts them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loopback import running


class RangeServer(ThreadingHTTPServer):
    """Serves ``files``, by path; ``requests`` has the bytes of each answer.

    Args:
        ranges: whether it answers requests for ranges, or sends whole files only.
    """

    def __init__(self, files: dict[str, bytes], ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.requests, self.ranges = files, list[int](), ranges

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: Any) -> None:
        """A client may leave in the middle of an answer."""


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, with_body: bool) -> None:
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        body = data
        if wanted and self.server.ranges:
            start, end = int(wanted[1]), int(wanted[2] or len(data) - 1)
            body = data[start : end + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(data)}")
        else:
            self.send_response(200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)
        self.server.requests.append(len(body) if with_body else 0)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def range_server(files: dict[str, bytes], ranges: bool = True) -> Iterator[RangeServer]:
    server = RangeServer(files, ranges)
    with running(server):
        yield server
