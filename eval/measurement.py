"""One image, coded once: the row that every part of the suite reads and writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """All figures of one file. ``None`` where a measure is not defined for the image, as PSNR is
    infinite where nothing was lost."""

    codec: str
    setting: float
    image: str  # file name
    width: int
    height: int
    bytes: int  # of the whole file
    bpp: float  # 8 * bytes / (width * height)
    psnr_rgb: float | None  # dB; 8-bit reconstruction, squared error averaged over the channels
    psnr_luma: float | None  # dB, of the luma of BT.601
    ms_ssim: float | None  # 0 to 1
    psnr_b8: float | None  # dB, PSNR-B of the luma with blocks of 8
    psnr_b32: float | None  # dB, with blocks of 32
    bef8: float  # blocking effect factor of the decoded luma, blocks of 8
    bef32: float  # the same, blocks of 32
    border_ratio: float | None  # steps across 32-pixel borders over others, original = 1
    encode_seconds: float
    decode_seconds: float
    encode_peak_bytes: int | None  # peak resident memory of the process while encoding
    decode_peak_bytes: int | None
