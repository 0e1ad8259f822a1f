"""RAM in all and instructions a pixel of nqe-r from what sensors deliver, on microcontrollers.

    python benchmarks/cortex_m_inputs.py --image kodim20.png [--size 320x240 -q 35 --room 1024]

As benchmarks/cortex_m.py, with firmware/encode_raw.c: 32 rows at a time (36 of a Bayer pattern) are
copied to a buffer of that size, and read there. RAM is what the linked firmware has of static
memory for the encoder, rows, buffer of a strip and format, and the deepest stack that was seen. The
file must be that of `heqcodec.encode(raw=...)`; a strip that the buffer does not hold is coded
coarser, and the benchmark then says that the file is another. With --packets no strip is kept, and
packets of --room bytes must be those of `heqcodec.packetize`.
"""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from cortex_m import FIRMWARE, KERNELS, PROCESSORS, Processor, compiled, counted, linked, run
from PIL import Image


class Kind(NamedTuple):
    """What a sensor delivers.

    Attributes:
        reader: of the exported encoder, or NULL.
        source: where it stands, or None.
        pixel_bytes: in a row.
        bayer_bits: of a Bayer pattern, else 0.
    """

    reader: str
    source: str | None
    pixel_bytes: int
    bayer_bits: int = 0


KINDS = {
    "rgb24": Kind("NULL", None, 3),
    "rgb565": Kind("heq_read_rgb565_le", "heq_read_rgb.c", 2),
    "rgb565be": Kind("heq_read_rgb565_be", "heq_read_rgb.c", 2),
    "yuyv": Kind("heq_read_yuyv", "heq_read_yuv.c", 2),
    "srggb8": Kind("heq_read_bayer", "heq_read_bayer.c", 1, 8),
    "srggb10": Kind("heq_read_bayer", "heq_read_bayer.c", 2, 10),
}


def raw_samples(pixels: np.ndarray, kind: str) -> bytes:
    """An image as a sensor delivers it.

    Args:
        pixels: uint8 (H, W, 3), of an even width and height.
        kind: of `KINDS`.
    """
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    if kind.startswith("rgb565"):
        words = red >> 3 << 11 | green >> 2 << 5 | blue >> 3
        return words.astype(">u2" if kind.endswith("be") else "<u2").tobytes()
    if kind == "yuyv":
        luma = (77 * red + 150 * green + 29 * blue) >> 8
        chroma = np.stack([blue - luma, red - luma], axis=-1)[:, ::2] * 9 // 16 + 128
        both = [luma, np.clip(chroma, 0, 255).reshape(luma.shape)]
        return np.stack(both, axis=-1).astype(np.uint8).tobytes()
    if kind.startswith("srggb"):
        mosaic = green.copy()
        mosaic[::2, ::2], mosaic[1::2, 1::2] = red[::2, ::2], blue[1::2, 1::2]
        wide = kind.endswith("10")
        return (mosaic << 2).astype("<u2").tobytes() if wide else mosaic.astype(np.uint8).tobytes()
    return pixels.tobytes()


def caller(
    processor: Processor,
    folder: Path,
    kind: Kind,
    width: int,
    room: int,
    packets: int,
    macros: tuple[str, ...],
) -> Path:
    """firmware/encode_raw.c as an object."""
    made = folder / "caller.o"
    values = {
        "READER": kind.reader, "STRIDE": width * kind.pixel_bytes, "BAYER_BITS": kind.bayer_bits,
        "ROOM": room, "PACKETS": packets,
    }  # fmt: skip
    defined = [f"-D{name}={value}" for name, value in values.items()]
    options = ("-std=c99", "-O2", f"-I{folder}", *defined, *macros, "-c", FIRMWARE / "encode_raw.c")
    run([f"{processor.prefix}-gcc", *processor.options, *options, "-o", made])
    return made


def static_memory(processor: Processor, made: Path) -> int:
    """Bytes of variables of an object."""
    sizes = run([f"{processor.prefix}-size", "-A", made])
    found = re.findall(r"^\.s?(?:bss|data)\S*\s+(\d+)", sizes, re.MULTILINE)
    return sum(map(int, found))


def main(
    image: Annotated[Path, typer.Option(help="Photograph, scaled to the size.")],
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT, even.")] = "320x240",
    quality: Annotated[int, typer.Option("-q", help="1 to 100.")] = 35,
    room: Annotated[int, typer.Option(help="Bytes of the buffer of a strip.")] = 1024,
    kind: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(KINDS)}.")] = None,
    cpu: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PROCESSORS)}.")] = None,
    packets: Annotated[bool, typer.Option("--packets", help="Packets in place of a file.")] = False,
    narrow: Annotated[bool, typer.Option("--narrow", help="HEQ_MAX_WIDTH is the width.")] = False,
) -> None:
    """Print a table."""
    import heqcodec
    from heqcodec.eval.folder import read_pixels
    from heqcodec.export.c_project import export_c
    from heqcodec.file.options import step_of_quality

    width, height = (int(side) for side in size.split("x"))
    scaled = Image.fromarray(read_pixels(image)).resize((width, height), Image.Resampling.LANCZOS)
    typer.echo("| input | processor | kernel | instructions a pixel | RAM | of it stack | file |")
    typer.echo("|---|---|---|---|---|---|---|")
    macros = ("-DHEQ_PACKETS",) * packets + (f"-DHEQ_MAX_WIDTH={width}",) * narrow
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "c"
        export_c("nqe-r", folder)
        for name in kind or list(KINDS):
            samples = raw_samples(np.asarray(scaled), name)
            coded = heqcodec.encode(
                samples, raw=f"{size}:{name}", quality=quality, model="nqe-r", strip_rows=1
            )
            made_packets = heqcodec.packetize(coded, room) if packets else []
            coded = b"".join(made_packets) or coded
            loaded = folder / "image.bin"
            head = struct.pack("<4I", width, height, step_of_quality(quality), 1)
            loaded.write_bytes(head + samples)
            for processor_name in cpu or ("cortex-m4", "cortex-m0plus"):
                processor = PROCESSORS[processor_name]
                made = caller(
                    processor, folder, KINDS[name], width, room, len(made_packets), macros
                )
                for kernel in KERNELS:
                    sources = ["heq_encoder.c", KINDS[name].source]
                    objects = [
                        compiled(processor, folder, kernel, "-O2", source, *macros)
                        for source in sources
                        if source is not None
                    ]  # fmt: skip
                    count = counted(processor, linked(processor, folder, [made, *objects]), loaded)
                    same = (count.status, count.crc) == (0, zlib.crc32(coded))
                    memory = static_memory(processor, made) + count.stack
                    typer.echo(
                        f"| {name} | {processor_name} | {kernel.lower()} "
                        f"| {count.instructions / (width * height):,.0f} | {memory:,} "
                        f"| {count.stack:,} | {count.file_bytes:,}{'' if same else ', another'} |"
                    )


if __name__ == "__main__":
    typer.run(main)
