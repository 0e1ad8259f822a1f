"""From stored packets to files and pictures; runs in processes of its own."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
import time
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.files import replaced_file, write_bytes
from heqcodec.base.threads import limit_threads
from heqcodec.models import registry
from heqcodec.packets.assembler import ImageState, model_by_tag
from heqcodec.packets.layout import Start
from numpy.typing import NDArray
from PIL import Image

from .store import Store

QUICK = ("fast", registry.PLAIN)
"""Decoders of pictures that are shown while packets come, the first that a model has."""


def begin_process() -> None:
    """Leave the other cores to the other processes, and end when the receiver is killed."""
    limit_threads(1)
    receiver = multiprocessing.parent_process()

    def follow() -> None:
        if receiver is not None:
            receiver.join()
            os._exit(0)

    threading.Thread(target=follow, daemon=True).start()


def assembled(store: Store, key: int) -> tuple[ImageState, dict[str, Any], int]:
    """An image with all its packets; its row; and how many of the packets were faulty.

    Raises:
        HeqError: there is no such image, or it has no start.
    """
    row = next(store.rows("WHERE key = ?", (key,)), None)
    if row is None or row["start"] is None:
        raise HeqError(f"there is no image {key} with a start packet.")
    start = Start.read(row["start"])
    image = ImageState(row["sender"], row["image"])
    image.begin(start, model_by_tag(start.model))
    refused = sum(not image.take(data) for data in store.packets(key))
    return image, row, refused


def finish(folder: Path, key: int, decoder: str) -> dict[str, Any]:
    """Write the files of an image: the picture as far as it is known, and if all packets are there
    the ``.heq`` file.

    Args:
        folder: of the store, and of the files.
        key: of the image.
        decoder: of the picture; the strong one where the model has no such.

    Returns:
        Facts for its row: whole, came, total, missing, refused, patches (bits, row by row, the
        first is the highest of a byte, in hexadecimal); png and heq, paths in the folder.
    """
    begun = time.perf_counter()
    with closing(Store(folder, readonly=True)) as store:
        image, row, refused = assembled(store, key)
    facts: dict[str, Any] = {
        "whole": image.complete and bool(image.valid.all()),
        "came": len(image.numbers),
        "total": image.total,
        "missing": image.missing(),
        "refused": refused,
        "patches": np.packbits(image.valid).tobytes().hex(),
    }
    stamp = datetime.fromtimestamp(row["first"], timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    stem = Path(f"{image.sender:05}") / f"{stamp}-{image.image:03}-{key}"
    (folder / stem.parent).mkdir(exist_ok=True)
    if image.complete:
        facts["heq"] = f"{stem}.heq"
        write_bytes(folder / facts["heq"], image.to_heq())
    if image.valid.any():
        facts["png"] = f"{stem}.png"
        with replaced_file(folder / facts["png"]) as stream:
            offered = decoder in registry.offered_decoders(image.model)
            stream.write(_png(image.picture(decoder if offered else None)))
    facts["seconds"] = round(time.perf_counter() - begun, 3)
    return facts


def preview(folder: Path, key: int) -> bytes:
    """A PNG of what is known of an image, by a quick decoder."""
    with closing(Store(folder, readonly=True)) as store:
        image, _, _ = assembled(store, key)
    offered = registry.offered_decoders(image.model)
    quick = next((name for name in QUICK if name in offered), None)
    return _png(image.picture(quick))


def thumbnail(data: bytes, side: int) -> bytes:
    """A JPEG of at most so many pixels a side."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.save(target, "JPEG", quality=82)
    return target.getvalue()


def _png(pixels: NDArray[np.uint8]) -> bytes:
    target = io.BytesIO()
    shown = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(shown).save(target, "PNG", compress_level=4)
    return target.getvalue()
