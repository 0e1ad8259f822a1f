"""Who may see the page: everybody on this machine, and elsewhere who has the token."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "heqcodec_token"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The page asks nobody else for anything, whatever senders put into it."""
ASKED = "x-heqcodec"
"""A header of requests that change something: pages of others cannot set it."""


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """Lets requests through that come with the token, or without one to the loopback.

    Args:
        app: behind it.
        token: None where the page is on the loopback alone.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def with_headers(message: dict) -> None:  # type: ignore[type-arg]
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, with_headers)  # type: ignore[arg-type]

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in ("GET", "HEAD") and ASKED not in request.headers:
            return PlainTextResponse("This is asked from the page alone.", 403)
        if self._token is None:
            # Names that others let point here would let their pages read it.
            if not is_loopback(_host(request.headers)):
                return PlainTextResponse("This page is for this machine alone.", 403)
            return None
        if self._matches(request.cookies.get(COOKIE)):
            return None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._matches(bearer):
            return None
        if self._matches(request.query_params.get("token")):
            return self._with_cookie(request)
        return PlainTextResponse("Add ?token=TOKEN to the address, once.", 401)

    def _matches(self, given: str | None) -> bool:
        assert self._token is not None
        return given is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def _with_cookie(self, request: Request) -> Response:
        """The same page without the token in its address, which others see."""
        rest = [(n, v) for n, v in parse_qsl(request.url.query) if n != "token"]
        target = request.url.path + (f"?{urlencode(rest)}" if rest else "")
        response = RedirectResponse(target, 303)
        assert self._token is not None
        response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
        return response


def _host(headers: Headers) -> str:
    host = headers.get("host", "")
    return host[: host.index("]") + 1] if host.startswith("[") else host.rsplit(":", 1)[0]
