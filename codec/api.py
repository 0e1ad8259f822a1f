"""The public interface: encode, decode, pack, unpack, what a file says about itself, metadata."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.arguments import (
    OWN_CODER,
    BackendName,
    CoderName,
    DecoderName,
    ModeName,
    TuneName,
    checked_limit,
)
from heqcodec.base.metadata import Metadata
from heqcodec.base.progress import Progress, reported_to
from heqcodec.container.header import DEFAULT_MAX_PIXELS, check_pixels
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from heqcodec.file.decoding import PartialImage, Region, collect_metadata, decode_file
from heqcodec.file.info import ChunkInfo, FileInfo, file_info
from heqcodec.file.options import BITS_PER_PIXEL, DEFAULT_BPP, EncodeOptions
from numpy.typing import NDArray

if TYPE_CHECKING:
    from heqcodec.image.images import ImageSource

__all__ = [
    "BITS_PER_PIXEL",
    "DEFAULT_BPP",
    "BackendName",
    "ChunkInfo",
    "CoderName",
    "DecoderName",
    "FileInfo",
    "Metadata",
    "ModeName",
    "PartialImage",
    "Region",
    "decode",
    "decode_partial",
    "encode",
    "info",
    "pack",
    "read_metadata",
    "unpack",
]


def encode(
    image: ImageSource,
    bpp: float | None = None,
    quality: float | None = None,
    mode: ModeName = "auto",
    coder: CoderName = OWN_CODER,
    model: str = "default",
    strip_metadata: bool = False,
    *,
    target_size: int | None = None,
    budget: int | None = None,
    strip_rows: int | None = None,
    raw: str | None = None,
    index: bool = False,
    progressive: bool = False,
    tune: TuneName = "psnr",
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
    strip: bool | None = None,
) -> bytes:
    """Encode an image as a ``.heq`` file.

    At most one of ``quality``, ``bpp``, ``target_size`` and ``budget`` is given; with none, rate
    mode takes the model's default quality and patch mode 0.25 bits per pixel.

    Args:
        image: a path, bytes or binary file object of an image file, a Pillow image, or an array
            or torch tensor of uint8, bool, or floats from 0 to 1: (H, W), (H, W, 1) gray,
            (H, W, 2) gray and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha, a tensor also with
            its channels first; see :func:`heqcodec.image.images.load_image`. Of an
            RGB image that is grey in every pixel one channel is coded; it decodes to RGB with
            R = G = B. Colours under alpha 0 are not kept: they are filled from visible ones.
        bpp: rate mode: any number above 0; the file is the largest of at most so many bits for
            each pixel of the image, as with ``target_size``. Patch mode: bits per pixel of the
            padded image, one of 0.0625, 0.125, 0.25 and 0.5.
        quality: rate mode: 1 (smallest) to 100; a fraction is as good.
        mode: "rate" (as many bits as a patch needs), "patch" (every 32 x 32 patch has the same
            number of bits), or "auto": the one that the other options need, else the model's.
        coder: "device", the coder of the encoder itself; or in rate mode "packed", a heavier one
            whose files are smaller: what :func:`pack` makes of the device file.
        model: a name of ``heqcodec models``, or "default".
        strip_metadata: leave out the ICC profile, EXIF and XMP; alpha stays.
        target_size: rate mode: the file is the largest of at most so many bytes, header and
            metadata included, among those that the steps give, which are about half a percent
            apart.
        budget: rate mode, device coder: the file has at most so many bytes, and each strip its own
            step, chosen in one pass from top to bottom as a camera does it. ``target_size`` reaches
            the size by one step for all, in several passes, and is better where there is time.
        strip_rows: rows of patches in a strip, 1 to 255: damage costs a strip, and a region reads
            whole strips. None: 1 in patch mode and with a budget, 4 in device files, 32 in packed
            ones.
        raw: what a sensor's raw dump holds, such as "640x480:rgb565"; ``image`` is then a path,
            bytes or a binary file object. See ``docs/EMBEDDED.md``.
        index: rate mode: end the file with an index of its strips, 4 bytes each, so that readers
            over a network find the strips of a region by one read.
        progressive: rate mode: the lowest frequencies of the whole image come first, so that
            whoever receives the file can stop there; see ``slices`` of :func:`decode`. Up to 1.1 %
            more bytes.
        tune: rate mode: "psnr"; "ssim" for the eye: low frequencies are finer and high ones
            coarser, and patches that have little detail keep more of it, for bytes that
            SSIMULACRA2 repays and PSNR does not; "texture" keeps twice as much.
        max_pixels: largest number of pixels; None for no limit.
        progress: called now and then with how many rows of patches are encoded and of how many; a
            target takes several passes, whose number is guessed at first. What it raises ends the
            call.
        strip: old name of ``strip_metadata``.

    Returns:
        The bytes of the file. They depend on the pixels, metadata and options only.

    Raises:
        HeqUnsupportedError: no model here can do it, or an image of an unknown kind.
        HeqLimitError: more pixels than ``max_pixels``.
        HeqError: an unknown option or rate, options that contradict each other, a target below the
            smallest file, or a damaged image.
        OSError: the image file cannot be opened or read; ``FileNotFoundError`` if there is none.
        TypeError: the image is none of these, or a file object in text mode.

    Numbers may be NumPy's, and a whole number may be a float: ``target_size=2e4``.
    """
    from heqcodec.models import registry

    if strip is not None:
        warnings.warn("strip is named strip_metadata now", DeprecationWarning, stacklevel=2)
        strip_metadata = strip
    options = EncodeOptions(
        bpp, quality, target_size, mode, coder, model, strip_rows, budget, index, progressive, tune
    )
    choice = options.resolved(registry)
    limit = checked_limit(max_pixels)
    from heqcodec.file.encoding import coded_samples, encode_file, side_chunks
    from heqcodec.image import images

    loaded = images.load_image(image, limit, raw)
    height, width = loaded.pixels.shape[:2]
    check_pixels(width, height, limit)
    chunks = side_chunks(loaded, strip_metadata)
    pixels, gray_as_rgb = coded_samples(loaded)
    with reported_to(progress):
        return encode_file(choice, pixels, chunks, gray_as_rgb)


def pack(
    data: Source,
    strip_rows: int | None = None,
    *,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> bytes:
    """Make a device file of the variable-rate mode smaller, without loss.

    Args:
        data: bytes, a path, a URL of ``fsspec``, or a binary file object.
        strip_rows: rows of patches in a strip of the packed file, 1 to 255; 32 if None.
        max_pixels: largest number of pixels; None for no limit.
        progress: called with how many rows of patches are decoded or encoded and of how many.

    Returns:
        The packed file: the same image and chunks. :func:`unpack` gives the device file back, bit
        for bit.

    Raises:
        HeqFormatError, HeqTruncatedError, HeqChecksumError: the file is damaged, or no ``.heq``.
        HeqUnsupportedError: its model is not here.
        HeqLimitError: more pixels than ``max_pixels``.
        HeqError: the file is packed already, or of the patch mode, or its device code is not the
            one that unpacking would write.
        OSError: the file cannot be opened or read; ``FileNotFoundError`` if there is none.
        TypeError: ``data`` is none of these, or a file object in text mode.
    """
    from heqcodec.file.repacking import repack

    with reported_to(progress):
        return repack(data, True, strip_rows, checked_limit(max_pixels))


def unpack(
    data: Source,
    *,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> bytes:
    """Give back the device file that :func:`pack` was given.

    Arguments and errors are those of :func:`pack`, save that a device file is the error.
    """
    from heqcodec.file.repacking import repack

    with reported_to(progress):
        return repack(data, False, None, checked_limit(max_pixels))


def decode(
    data: Source,
    region: Region | None = None,
    partial: bool = False,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str = "auto",
    slices: int | None = None,
    decoder: DecoderName = "strong",
    backend: BackendName = "auto",
    *,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Decode a ``.heq`` file.

    The header and all checksums are verified before a model loads. With ``region``, a path or a
    seekable file object is read only where it matters, and only that is verified (the strips
    around the region once the decoder is known).

    Args:
        data: bytes, a path, a URL of ``fsspec``, or a binary file object.
        region: (x, y, width, height) in pixels, inside the image; None for all of it. The result
            is that crop of the whole image.
        partial: keep what is intact; damaged strips are filled from their neighbours, or in packed
            files decoded from the slices before the damage; a damaged alpha plane is left out.
            :func:`decode_partial` says what was damaged.
        max_pixels: largest number of pixels of the whole image, padded to whole patches of 32 x 32,
            because work and memory follow those; None for no limit. Padding alone never refuses
            a frame of up to 2^20 pixels. With a region, in a larger image, what counts is what is
            held for it: its patches, and the strips around a row of tiles, which are as wide as
            the image; with alpha, and where strips are filled, the whole image.
        device: "auto", "cpu", "cuda" and so on, for the decoder's network.
        slices: of packed files: decode the first so many slices of each strip alone, which gives
            a coarser image; None for all. Of progressive files 1 stands for the first part.
        decoder: "strong"; "fast" for a smaller network, where the model has one; "best", a
            larger one, run on four flips and turns of the frame ("best-2": on two, "best-8": on
            eight); "ssimulacra2" for a
            network that is tuned for that measure, where the model has one; "plain" for the inverse
            transform without a network, which needs neither onnxruntime nor torch.
        backend: "onnx" runs the network by onnxruntime on the CPU; "torch" by torch, on a GPU
            where the device is "auto" and torch has one; "auto" is torch if the device is another
            than "auto" and "cpu", or onnxruntime is missing. They agree within 1/255.
        progress: called with how many tiles of the frame are decoded and of how many.

    Returns:
        uint8 (H, W, 1) for grey, (H, W, 3) for RGB, (H, W, 4) for any image with alpha (grey is
        repeated into R, G and B).

    Raises:
        HeqFormatError, HeqTruncatedError, HeqChecksumError: the file is no ``.heq`` file or is
            damaged; with ``partial`` only if its header is beyond repair.
        HeqUnsupportedError: it needs another version, or a model or decoder that is not here.
        HeqLimitError: more pixels than ``max_pixels``.
        HeqError: the region is not inside the image, or the file has no slices.
        OSError: the file cannot be opened or read; ``FileNotFoundError`` if there is none.
        TypeError: ``data`` is none of these, or a file object in text mode.
    """
    options = max_pixels, device, slices, decoder, backend
    with reported_to(progress):
        return decode_file(data, region, partial, *options).pixels


def decode_partial(
    data: Source,
    region: Region | None = None,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str = "auto",
    slices: int | None = None,
    decoder: DecoderName = "strong",
    backend: BackendName = "auto",
    *,
    progress: Progress | None = None,
) -> PartialImage:
    """Decode what is intact of a damaged file, and say what was not.

    Arguments and errors are those of :func:`decode` with ``partial``.
    """
    with reported_to(progress):
        return decode_file(data, region, True, max_pixels, device, slices, decoder, backend)


def info(data: Source, partial: bool = False) -> FileInfo:
    """What a file says about itself; every checksum is verified and no model is loaded.

    Args:
        data: bytes, a path, a URL of ``fsspec``, or a binary file object.
        partial: list damage under ``damaged_strips``, ``damaged_chunks`` and ``repaired``, and
            count the strips that a cut took under ``missing_strips``, instead of raising.

    Returns:
        A dictionary of plain values, ready for JSON; :class:`FileInfo` lists them. All keys are
        always there; what the file's mode has not is None. Memory follows the bytes of
        the largest strip or chunk.

    Raises:
        HeqError, OSError, TypeError: as :func:`decode`, except that no image is too large.
    """
    return file_info(data, partial)


def read_metadata(data: Source, partial: bool = False) -> Metadata:
    """ICC profile, EXIF, XMP and georeferencing tags of a file, without reading its strips.

    Args:
        data: bytes, a path, a URL of ``fsspec``, or a binary file object.
        partial: leave out what is damaged instead of raising.

    Raises:
        HeqError, OSError, TypeError: as :func:`decode`, except that no image is too large.
    """
    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None, partial=partial)
        return collect_metadata(reader.read_chunks())
