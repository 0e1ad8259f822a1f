"""Where ``eval run --keep`` puts coded files and decoded images in a folder of results."""

from __future__ import annotations

from pathlib import Path

DECODED = "decoded"
FILES = "files"


def decoded_file(folder: Path, codec: str, setting: float, image: str) -> Path:
    """Where ``--keep`` puts a decoded image: ``decoded/CODEC/SETTING/IMAGE.png``.

    PNG files keep their name; others get the suffix added to it, so that no two names meet.
    """
    name = image if image.lower().endswith(".png") else f"{image}.png"
    return folder / DECODED / codec / setting_text(setting) / name


def coded_file(folder: Path, codec: str, setting: float, image: str, suffix: str) -> Path:
    """Where ``--keep`` puts the file itself: ``files/CODEC/SETTING/IMAGE`` and its suffix."""
    return folder / FILES / codec / setting_text(setting) / f"{image}{suffix}"


def setting_text(setting: float) -> str:
    """Return a setting as short as it can be written: "30", "0.25"."""
    short = f"{setting:g}"
    return short if float(short) == setting else repr(setting)
