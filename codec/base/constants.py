"""Numbers that the format, the encoders and the decoders share."""

from __future__ import annotations

PATCH = 32
"""Side of a patch in pixels."""
STEPS = 1024
"""Step indices in the header, 0 finest; 128 of them double the step."""
BUDGET_BITS = 2**20
