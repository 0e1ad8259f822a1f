"""The device coder of the variable-rate mode: small, adaptive, without multiplications.

::

    tables.py      start states, weights and scores, trained; curves of log odds and widths
    arithmetic.py  the binary arithmetic coder
    contexts.py    adaptive binary decisions, and which contexts exist
    borders.py     what the patches left and above say of levels 0 and of signs
    parts.py       what the strips of a progressive file hold
    around.py      sums and scores of a level by those around it
    patch.py       the decisions that make up a patch
    coder.py       strips: by the C extension where there is one, else by the above
"""
