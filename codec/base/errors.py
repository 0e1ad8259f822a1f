"""Typed errors of the codec: every fault of a file or a request is one of these."""


class HeqError(ValueError):
    """Base of all errors that heqcodec raises for a bad file or a bad request.

    The message is one sentence or two: what was found, what was expected, what to do.
    """


class HeqFormatError(HeqError):
    """The bytes are not a ``.heq`` file, or break a rule of ``docs/FORMAT.md``."""


class HeqTruncatedError(HeqError):
    """The file ends before the data that its header promises."""


class HeqChecksumError(HeqError):
    """A CRC-32 does not match: the header, a strip or a chunk was damaged."""


class HeqUnsupportedError(HeqError):
    """The file is well formed but needs a version, mode, coder or model that is not here."""


class HeqLimitError(HeqError):
    """The image is larger than ``max_pixels`` allows."""
