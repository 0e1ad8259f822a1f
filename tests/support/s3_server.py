"""A store with the API of S3 on the loopback, moto's server, that counts what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from loopback import running


class Request(NamedTuple):
    """One request, and the bytes of its answer's body."""

    method: str
    path: str
    sent: int


@dataclass
class S3Server:
    """What a test sees of the server: its URL, and the requests that it has answered."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def puts(self, suffix: str) -> list[str]:
        """Paths of uploads, each as often as it was made."""
        return [
            request.path
            for request in list(self.requests)
            if request.method == "PUT" and request.path.endswith(suffix)
        ]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """An empty store, until the block ends."""
    from moto.moto_api._internal import moto_api_backend
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto_api_backend.reset()
    counted = S3Server()
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, _counting(application, counted), threaded=True)
    with running(server) as counted.url:
        yield counted


def _counting(application: Any, counted: S3Server) -> Callable[[dict[str, Any], Any], Any]:
    """A WSGI application around another one."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        parts = list(application(environ, start_response))
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], sum(map(len, parts)))
        counted.requests.append(request)
        return parts

    return answer
