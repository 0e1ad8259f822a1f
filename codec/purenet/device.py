"""Where networks run: a device by name, found to work before anything is loaded onto it."""

from __future__ import annotations

import torch
from heqcodec.base.errors import HeqUnsupportedError


def find_device(name: str) -> torch.device:
    """The torch device of a name.

    Args:
        name: "auto" (a CUDA GPU where torch has one, else the CPU), or a torch device such as
            "cpu" or "cuda:0".

    Raises:
        HeqUnsupportedError: torch does not know the device, or cannot compute on it here.
    """
    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        device = torch.device(wanted)
        # Through memory and back: torch knows names of devices that it was not built for, and
        # "meta", which holds no values.
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise HeqUnsupportedError(
            f'torch has no device "{name}" here; use "auto" or "cpu".'
        ) from error
    return device
