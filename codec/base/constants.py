"""Numbers that the format, the encoders and the decoders share."""

from __future__ import annotations

PATCH = 32
"""Side of a patch in pixels."""
STEPS = 1024
"""Step indices in the header, 0 finest; 128 of them double the step."""
WEIGHTED = STEPS
"""Set in the index of a quantizer whose coefficients are weighted by frequency: see
`heqcodec.nqe_r.weighting`."""
BUDGET_BITS = 2**20
