"""File names on terminals and in JSON: any bytes may be in one, and none may do harm."""

from __future__ import annotations

import base64
import json
import os
import re
from typing import Any

__all__ = ["as_json", "shown"]

# Control characters (C0, DEL, C1), separators of lines, marks that turn the direction of text, and
# surrogates, by which Python keeps bytes that are not UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BYTES = range(0xDC80, 0xDD00)
_NAMES = ("input", "output")


def shown(text: str) -> str:
    r"""A line of text that is safe to print: what acts on a terminal is escaped.

    An escape character becomes ``\x1b``, a byte that is not UTF-8 ``\xff``, and other characters
    like ``\u202e``.
    """
    return _UNSAFE.sub(lambda found: _escape(ord(found[0])), text)


def as_json(value: Any) -> str:
    """JSON in ASCII, valid for every reader.

    Names that are not UTF-8 are escaped as by `shown`; a field of their own then holds their bytes:
    next to ``input`` stands ``input_base64``, next to ``output`` ``output_base64``.
    """
    return json.dumps(_valid(value), indent=2)


def _escape(code: int) -> str:
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _valid(value: Any) -> Any:
    if isinstance(value, dict):
        made = {}
        for key, item in value.items():
            made[key] = _valid(item)
            if key in _NAMES and isinstance(item, str) and made[key] != item:
                made[f"{key}_base64"] = base64.b64encode(os.fsencode(item)).decode()
        return made
    if isinstance(value, (list, tuple)):
        return [_valid(item) for item in value]
    if isinstance(value, str) and not _is_unicode(value):
        return shown(value)
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
