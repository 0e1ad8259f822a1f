"""Pictures that no camera took: text, line art, user interfaces, maps, charts, pixel art, patterns,
gradients.

    python -m heqcodec.lab.training.camera.drawings OUT --count 50 --seed 99

writes such pictures as PNG files, which a decoder can be tested with; training draws its own.

Every kind is a function of a generator that gives a tile, uint8 (256, 256, 3). Codecs ring at their
edges and networks trained on photographs wash their colours out.
"""

from __future__ import annotations

import argparse
import string
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from heqcodec.lab.training.photographs import TILE
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
_WORDS = [
    *("the", "of", "and", "to", "in", "is", "was", "for", "on", "that", "with", "as"),
    *("at", "by", "from", "light", "water", "river", "north", "gate", "total", "speed"),
    *("level", "station", "signal", "sensor", "battery", "open", "close", "error"),
    *("warning", "menu", "file", "edit", "view", "help", "January", "Monday", "2024"),
    *("12:45", "3.14", "100%", "$49.90", "km/h", "kWh", "No.", "A-17", "(see", "p."),
    *("12)", "e.g.", "Size", "Price", "Sum"),
]


@cache
def _fonts() -> tuple[Path, ...]:
    """The DejaVu fonts that Matplotlib brings along."""
    import matplotlib

    return tuple(sorted((Path(matplotlib.get_data_path()) / "fonts/ttf").glob("DejaVu*.ttf")))


def _font(rng: np.random.Generator, low: int = 8, high: int = 30) -> ImageFont.FreeTypeFont:
    path = _fonts()[rng.integers(len(_fonts()))]
    return ImageFont.truetype(str(path), int(rng.integers(low, high)))


def _saturated(rng: np.random.Generator) -> Colour:
    """A colour at or near a corner of the RGB cube."""
    corner = rng.integers(0, 2, 3) * 255
    away = rng.integers(0, 60, 3) if rng.random() < 0.5 else np.zeros(3, int)
    return tuple(np.abs(corner - away).tolist())  # type: ignore[return-value]


def _any(rng: np.random.Generator) -> Colour:
    return tuple(rng.integers(0, 256, 3).tolist())  # type: ignore[return-value]


def _pale(rng: np.random.Generator) -> Colour:
    return tuple(rng.integers(225, 256, 3).tolist())  # type: ignore[return-value]


def _dark(rng: np.random.Generator) -> Colour:
    return tuple(rng.integers(0, 60, 3).tolist())  # type: ignore[return-value]


def _canvas(colour: Colour) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (TILE, TILE), colour)
    return image, ImageDraw.Draw(image)


def _pair(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Ground and ink."""
    draw = rng.random()
    if draw < 0.5:
        return _pale(rng), _dark(rng)
    if draw < 0.7:
        return _dark(rng), _pale(rng)
    return (_saturated(rng), _saturated(rng)) if draw < 0.85 else (_any(rng), _any(rng))


def text(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lines of words, upright or turned."""
    ground, ink = _pair(rng)
    image, draw = _canvas(ground)
    y = -int(rng.integers(0, 12))
    font = _font(rng)
    while y < TILE:
        words = [_WORDS[i] for i in rng.integers(0, len(_WORDS), 14)]
        if rng.random() < 0.1:
            words = ["".join(rng.choice(list(string.printable[:94]), 40).tolist())]
        draw.text((int(rng.integers(-40, 20)), y), " ".join(words), fill=ink, font=font)
        y += int(1.35 * font.size)
        if rng.random() < 0.2:
            font = _font(rng)
        if rng.random() < 0.1:
            ink = _pair(rng)[1]
    return np.asarray(image.rotate(90)) if rng.random() < 0.15 else np.asarray(image)


def line_art(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Strokes, circles, polygons and hatching, at four times the size where they are smooth."""
    ground, ink = _pair(rng)
    scale = 4 if rng.random() < 0.7 else 1
    side = TILE * scale
    image = Image.new("RGB", (side, side), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(6, 40))):
        points = (rng.random((int(rng.integers(2, 6)), 2)) * side).round().astype(int)
        width = int(rng.integers(1, 5)) * scale
        kind = rng.integers(4)
        colour = ink if rng.random() < 0.8 else _any(rng)
        if kind == 0:
            draw.line([tuple(p) for p in points.tolist()], fill=colour, width=width, joint="curve")
        elif kind == 1:
            centre, radius = points[0], rng.integers(4, 80) * scale
            box = [*(centre - radius).tolist(), *(centre + radius).tolist()]
            draw.ellipse(box, outline=colour, width=width)
        elif kind == 2 and len(points) > 2:
            draw.polygon([tuple(p) for p in points.tolist()], outline=colour)
        else:
            gap, slope = int(rng.integers(3, 10)) * scale, int(rng.integers(-60, 60)) * scale
            x, y = points[0].tolist()
            for k in range(12):
                draw.line(
                    [x + k * gap, y, x + k * gap + slope, y + 50 * scale], fill=colour, width=scale
                )
    return np.asarray(image.resize((TILE, TILE), Image.Resampling.BOX))


def interface(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Windows, buttons, lists, icons and their labels, on the grid of pixels."""
    light = rng.random() < 0.6
    ground, ink = (_pale(rng), _dark(rng)) if light else (_dark(rng), _pale(rng))
    image, draw = _canvas(ground)
    accent, font = _saturated(rng) if rng.random() < 0.6 else _any(rng), _font(rng, 9, 16)
    draw.rectangle([0, 0, TILE, int(rng.integers(14, 40))], fill=accent)
    draw.text((6, 2), " ".join(rng.choice(_WORDS, 4).tolist()), fill=ground, font=font)
    y = 44
    while y < TILE:
        x = int(rng.integers(0, 24))
        high = int(rng.integers(16, 36))
        while x < TILE:
            wide = int(rng.integers(24, 120))
            box = [x, y, x + wide, y + high]
            kind = rng.integers(5)
            label = str(rng.choice(_WORDS))
            if kind == 0:
                radius = int(rng.integers(0, 9))
                draw.rounded_rectangle(box, radius, fill=accent, outline=ink)
                draw.text((x + 5, y + 3), label, fill=ground, font=font)
            elif kind == 1:
                draw.rectangle(box, outline=ink)
                draw.text((x + 3, y + 3), label, fill=ink, font=font)
            elif kind == 2:
                draw.text((x, y), label, fill=ink, font=font)
            elif kind == 3:
                draw.rectangle([x, y, x + 12, y + 12], outline=ink, fill=_any(rng))
                draw.line([x + 2, y + 6, x + 5, y + 10, x + 11, y + 2], fill=ink, width=2)
            else:
                draw.ellipse([x, y, x + high, y + high], fill=_any(rng))
            x += wide + int(rng.integers(4, 20))
        y += high + int(rng.integers(2, 14))
        if rng.random() < 0.3:
            draw.line([0, y - 2, TILE, y - 2], fill=ink)
    return np.asarray(image)


def street_map(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Flat areas, roads with kerbs, names."""
    scale = 2
    side = TILE * scale
    image = Image.new("RGB", (side, side), _pale(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 9))):
        centre, count = rng.random(2) * side, int(rng.integers(4, 12))
        angle = np.sort(rng.random(count)) * 2 * np.pi
        reach = rng.uniform(20, 130, count) * scale
        points = centre + np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None]
        colour = _any(rng) if rng.random() < 0.7 else _saturated(rng)
        draw.polygon([tuple(p) for p in points.tolist()], fill=colour)
    for _ in range(int(rng.integers(4, 14))):
        points = np.cumsum(rng.normal(0, 45 * scale, (6, 2)), axis=0) + rng.random(2) * side
        line, width = [tuple(p) for p in points.tolist()], int(rng.integers(2, 8)) * scale
        draw.line(line, fill=_dark(rng), width=width + 2 * scale, joint="curve")
        draw.line(line, fill=_pale(rng), width=width, joint="curve")
    font = _font(rng, 16, 36)
    for _ in range(int(rng.integers(2, 8))):
        at = tuple((rng.random(2) * side * 0.9).tolist())
        draw.text(at, str(rng.choice(_WORDS)), fill=_dark(rng), font=font)
    return np.asarray(image.resize((TILE, TILE), Image.Resampling.BOX))


def chart(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Axes, a grid, bars, lines, slices or points, and their numbers."""
    ground, ink = (_pale(rng), _dark(rng)) if rng.random() < 0.8 else (_dark(rng), _pale(rng))
    image, draw = _canvas(ground)
    font, kind = _font(rng, 8, 14), rng.integers(4)
    left, bottom = int(rng.integers(10, 40)), TILE - int(rng.integers(10, 40))
    for y in range(bottom, 0, -int(rng.integers(16, 40))):
        draw.line([left, y, TILE, y], fill=tuple((np.array(ground) * 3 + ink) // 4))
        draw.text((1, y - 5), f"{rng.integers(0, 1000)}", fill=ink, font=font)
    draw.line([left, 0, left, bottom, TILE, bottom], fill=ink, width=int(rng.integers(1, 3)))
    if kind == 0:
        wide = int(rng.integers(5, 28))
        for x in range(left + 4, TILE, wide + int(rng.integers(0, 8))):
            top = int(rng.integers(4, bottom))
            draw.rectangle([x, top, x + wide, bottom - 1], fill=_saturated(rng), outline=ink)
    elif kind == 1:
        for _ in range(int(rng.integers(1, 5))):
            xs = np.arange(left, TILE, int(rng.integers(2, 20)))
            ys = np.clip(bottom / 2 + np.cumsum(rng.normal(0, 14, len(xs))), 3, bottom)
            width = int(rng.integers(1, 4))
            draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=_any(rng), width=width)
    elif kind == 2:
        ends = np.sort(rng.integers(0, 360, int(rng.integers(3, 9))))
        box = [left + 10, 10, bottom + left - 30, bottom - 30]
        for a, b in zip(ends, np.append(ends[1:], ends[0] + 360), strict=True):
            draw.pieslice(box, int(a), int(b), fill=_saturated(rng), outline=ground)
    else:
        for x, y in rng.random((int(rng.integers(20, 200)), 2)) * TILE:
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=_any(rng))
    return np.asarray(image)


def pixel_art(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A few colours in squares of 2 to 16 pixels, often mirrored, as sprites are."""
    side = int(rng.choice([2, 3, 4, 5, 6, 8, 16]))
    count = -(-TILE // side)
    palette = [_saturated(rng) if rng.random() < 0.5 else _any(rng) for _ in range(12)]
    used = np.array(palette[: int(rng.integers(2, 12))], dtype=np.uint8)
    rough = int(rng.choice([1, 2, 4]))
    coarse = rng.integers(0, len(used), (-(-count // rough),) * 2)
    cells = coarse.repeat(rough, 0).repeat(rough, 1)[:count, :count]
    loose = rng.random(cells.shape) < rng.uniform(0, 0.3)
    cells = np.where(loose, rng.integers(0, len(used), cells.shape), cells)
    if rng.random() < 0.5:
        cells = np.concatenate([cells[:, : count // 2], cells[:, ::-1][:, count // 2 :]], axis=1)
    return used[cells].repeat(side, 0).repeat(side, 1)[:TILE, :TILE]


def pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes, checks, dots, rings or ramps of saturated colours."""
    colours = np.array([_saturated(rng) for _ in range(int(rng.integers(2, 5)))], dtype=np.uint8)
    period, kind = int(rng.integers(1, 33)), rng.integers(6)
    offset = rng.integers(0, 32, 2)
    y, x = np.mgrid[:TILE, :TILE] + offset[:, None, None]
    if kind == 0:
        index = (x if rng.random() < 0.5 else y) // period
    elif kind == 1:
        index = x // period + y // period
    elif kind == 2:
        slope = rng.integers(-3, 4, 2)
        index = (slope[0] * x + slope[1] * y) // (2 * period)
    elif kind == 3:
        centre = rng.random(2) * TILE
        index = (np.hypot(y - centre[0], x - centre[1]) // period).astype(int)
    elif kind == 4:
        gap = 2 * period + 2
        index = ((x % gap - period) ** 2 + (y % gap - period) ** 2 < period**2 * 0.6).astype(int)
    else:
        ramp = ((x if rng.random() < 0.5 else y) % 256)[..., None] / 255
        return np.rint(colours[0] + ramp * (colours[1].astype(float) - colours[0])).astype(np.uint8)
    return colours[index % len(colours)]


def gradient(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Ramps between two colours, straight or round: clipped, or over and over, with an edge or not.

    Half are gray; the steepest go from one colour to the other in 20 pixels. Half are even in
    another light: of a power of 1/3 to 3, as linear light is in samples.
    """
    ends = np.array([_any(rng), _any(rng)], dtype=float)
    if rng.random() < 0.5:
        ends = np.array([[0.0], [255.0]]) if rng.random() < 0.5 else ends[:, :1]
        ends = ends.repeat(3, axis=1)
    y, x = np.mgrid[:TILE, :TILE].astype(float)
    if rng.random() < 0.3:
        centre = rng.random(2) * TILE
        way = np.hypot(y - centre[0], x - centre[1])
    else:
        quarter = rng.integers(4) * np.pi / 2
        angle = quarter if rng.random() < 0.5 else rng.random() * 2 * np.pi
        way = np.cos(angle) * (x - TILE / 2) + np.sin(angle) * (y - TILE / 2)
    place = way / np.exp(rng.uniform(np.log(20), np.log(512))) + rng.random()
    once, again, back = np.clip(place, 0, 1), place % 1, np.abs(place % 2 - 1)
    place = (once, again, back)[rng.integers(3)]
    if rng.random() < 0.5:
        place = place ** np.exp(rng.uniform(-np.log(3), np.log(3)))
    return np.rint(ends[0] + place[..., None] * (ends[1] - ends[0])).astype(np.uint8)


Kind = Callable[[np.random.Generator], NDArray[np.uint8]]
DRAWINGS: tuple[Kind, ...] = (
    text,
    line_art,
    interface,
    street_map,
    chart,
    pixel_art,
    pattern,
    gradient,
)


def drawing(rng: np.random.Generator, kinds: Sequence[Kind] = DRAWINGS) -> NDArray[np.uint8]:
    """A tile of one of some kinds, uint8 (256, 256, 3)."""
    return kinds[int(rng.integers(len(kinds)))](rng)


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="python -m heqcodec.lab.training.camera.drawings",
        description="Write drawn pictures of saturated and other colours as PNG files.",
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=99)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for index in range(given.count):
        kind = DRAWINGS[index % len(DRAWINGS)]
        picture = Image.fromarray(kind(np.random.default_rng([given.seed, index])))
        picture.save(given.out / f"{index:03d}-{kind.__name__}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
