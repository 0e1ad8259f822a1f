"""The encoder for other machines: C sources with the weights inside, and a report of both.

::

    models ──► packing (bit planes, bounds) ──► c_parts ── c_tables ──┐
    codec/native, codec/export/c ── amalgamation ─────────────────────┼──► c_project: a folder
    heqcodec.encode ── vectors ───────────────────────────────────────┤
    codec/export/packages ── layouts, prefixes ───────────────────────┘
    models ──► layers ──► report
"""
