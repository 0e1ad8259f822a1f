"""The page and what it asks for: JSON, events, pictures, files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

from heqcodec.base.errors import HeqError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from . import rendering
from .access import Access
from .service import Receiver
from .summaries import WAITING

FILES = {"": "text/html", "receive.css": "text/css", "receive.js": "text/javascript"}
EVENT_SECONDS = 0.5
MOST_CHANGES = 100
"""Images of one event; the others are in the next one."""
PAGE = 60
"""Images of a request."""
LISTENERS = 64
"""Pages that get events at the same time."""
THUMBNAIL = 360
NO_STORE = {"Cache-Control": "no-store"}


class Web:
    """The application of a receiver.

    Args:
        receiver: what it shows.
        token: see `heqcodec.receive.access`.
    """

    def __init__(self, receiver: Receiver, token: str | None) -> None:
        self._receiver = receiver
        self._listeners: set[asyncio.Queue[list[int]]] = set()
        self.ended = asyncio.Event()
        """Set when the server is to end, so that streams of events do."""
        folder = resources.files(__package__) / "page"
        self._files = {name: (folder / (name or "index.html")).read_bytes() for name in FILES}
        routes = [
            *(Route(f"/{name}", self._file) for name in FILES),
            Route("/api/images", self._images),
            Route("/api/events", self._events),
            Route("/api/images/{key:int}/resend", self._resend_list),
            Route("/api/images/{key:int}/resend", self._ask, methods=["POST"]),
            Route("/images/{key:int}.png", self._png),
            Route("/images/{key:int}.jpg", self._thumbnail),
            Route("/images/{key:int}.heq", self._heq),
        ]
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(Access, token=token)],  # type: ignore[arg-type]
            exception_handlers={HeqError: _refused},  # type: ignore[dict-item]
        )

    async def spread_changes(self) -> None:
        """Tell listeners what changed, until cancelled."""
        while True:
            await asyncio.sleep(EVENT_SECONDS)
            changed = sorted(await self._receiver.changes(), reverse=True)
            for listener in self._listeners:
                if changed and not listener.full():
                    listener.put_nowait(changed)

    async def _file(self, request: Request) -> Response:
        name = request.url.path.lstrip("/")
        return Response(self._files[name], media_type=FILES[name], headers=NO_STORE)

    async def _images(self, request: Request) -> Response:
        """The newest images, of a sender if one is named; the ones before a key."""
        values: list[Any] = []
        where = "WHERE start IS NOT NULL"
        for name, clause in (("sender", " AND sender = ?"), ("before", " AND key < ?")):
            if (text := request.query_params.get(name)) is not None:
                if not text.isdigit() or len(text) > 15:
                    raise HeqError(f"{name} is a number.")
                where += clause
                values.append(int(text))
        where += " ORDER BY key DESC LIMIT ?"
        images = await self._receiver.images(where, (*values, PAGE + 1))
        return JSONResponse(
            {
                "images": images[:PAGE],
                "more": len(images) > PAGE,
                "totals": await self._receiver.totals(),
            },
            headers=NO_STORE,
        )

    async def _events(self, request: Request) -> Response:
        """Server-sent events: what changed, and how much came."""
        if len(self._listeners) >= LISTENERS:
            raise HeqError("too many pages are open.")
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=NO_STORE)

    async def _stream(self) -> AsyncIterator[str]:
        listener: asyncio.Queue[list[int]] = asyncio.Queue(100)
        self._listeners.add(listener)
        pending: dict[int, None] = {}
        try:
            yield "retry: 1000\n\n"
            while not self.ended.is_set():
                try:
                    found = await asyncio.wait_for(listener.get(), 0 if pending else 2)
                    pending.update(dict.fromkeys(found))
                except asyncio.TimeoutError:
                    pass
                keys = list(pending)[:MOST_CHANGES]
                pending = dict.fromkeys(list(pending)[MOST_CHANGES:])
                yield f"data: {json.dumps(await self._event(keys))}\n\n"
        finally:
            self._listeners.discard(listener)

    async def _event(self, keys: list[int]) -> dict[str, Any]:
        marks = ",".join("?" * len(keys))
        where = f"WHERE key IN ({marks}) ORDER BY key"
        images = await self._receiver.images(where, tuple(keys)) if keys else []
        there = {image["key"] for image in images}
        return {
            "images": [image for image in images if image["state"] != WAITING],
            "removed": [key for key in keys if key not in there],
            "totals": await self._receiver.totals(),
        }

    async def _resend_list(self, request: Request) -> Response:
        asked = await self._receiver.resend_list(request.path_params["key"])
        return JSONResponse(_list(asked), headers=NO_STORE)

    async def _ask(self, request: Request) -> Response:
        asked = await self._receiver.ask(request.path_params["key"])
        return JSONResponse(_list(asked))

    async def _png(self, request: Request) -> Response:
        row = await self._receiver.row(request.path_params["key"])
        if "png" in row["facts"]:
            return _download(self._receiver.folder / row["facts"]["png"], "image/png")
        return Response(await self._picture(row), media_type="image/png", headers=NO_STORE)

    async def _thumbnail(self, request: Request) -> Response:
        row = await self._receiver.row(request.path_params["key"])
        data = await self._picture(row)
        small = await asyncio.to_thread(rendering.thumbnail, data, THUMBNAIL)
        return Response(small, media_type="image/jpeg", headers=NO_STORE)

    async def _picture(self, row: dict[str, Any]) -> bytes:
        if "png" in row["facts"]:
            path = self._receiver.folder / row["facts"]["png"]
            return await asyncio.to_thread(path.read_bytes)
        return await self._receiver.decoding.preview(row["key"], row["stored"])

    async def _heq(self, request: Request) -> Response:
        row = await self._receiver.row(request.path_params["key"])
        if "heq" not in row["facts"]:
            raise HeqError("packets of this image are missing; it has no .heq file yet.")
        return _download(self._receiver.folder / row["facts"]["heq"], "application/octet-stream")


def _list(asked: Any) -> dict[str, Any]:
    return {"numbers": asked.numbers, "bytes": asked.data.hex(), "way": asked.way}


def _download(path: Any, media_type: str) -> Response:
    return FileResponse(
        path, media_type=media_type, filename=path.name, content_disposition_type="inline"
    )


async def _refused(request: Request, error: HeqError) -> Response:
    return JSONResponse({"error": str(error)}, 404 if request.method == "GET" else 409)
