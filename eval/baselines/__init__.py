"""Codecs to compare with: each is one class of the protocol in ``codec.py``."""
