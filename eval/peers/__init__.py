"""Learned codecs that others designed, trained here on the data and for the time of ours.

The networks need torch alone. Where CompressAI has the architecture, tensors have its names, so
that a trained peer loads into CompressAI's own class, which then writes the files.
"""
