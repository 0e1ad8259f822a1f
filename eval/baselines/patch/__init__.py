"""Peers of the source paper's class: every patch of 32x32 pixels costs the same number of bytes.

=========================  ================================================================
``patch-jpeg2000``         JPEG 2000 on tiles of a patch, tile markers counted
``patch-jpeg2000-bare``    the same, markers left out of the file and rebuilt
``patch-klt``              Karhunen-Loeve transform, classes with optimal bit allocation
``patch-dct``              bit planes of the DCT, run lengths, cut at the budget
``patch-cs``               block compressed sensing, random measurements of 8 bits
``patch-cs-learned``       the same with measurements learned by principal components
=========================  ================================================================

Each codes one patch without knowledge of any other, and decodes it so: no smoothing across
borders. Each has an attribute ``cost``, see ``cost.py``. Tables that were fitted to photographs
lie beside the modules and are made by ``python -m heqcodec.lab.peers.patch_fit``.
"""
