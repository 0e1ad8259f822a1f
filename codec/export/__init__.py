"""The encoder for other machines: C sources with the weights inside, and a report of both.

::

    models ─► packing: bit planes, bounds ─► c_tables ─┐
    codec/native/*.c, codec/export/c/*.c ─ amalgamation ┴─► c_project: a folder that `make` builds
                                 encode (Python) ─ vectors ─┘
"""
