"""The optional C extension; everything else is in pyproject.toml.

`heqcodec._native` codes levels some hundred times faster than the Python coders, makes them twice
as fast as numpy, encodes patches by `nqe-t` and `nqe-vgg` up to ten times as fast, and decodes the
codes of `nqe-t` thirty times as fast, all to the same bytes. Where no C compiler is at hand it is
left out, and nothing else changes.
"""

from glob import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "heqcodec._native",
            sources=sorted(glob("codec/native/*.c")),
            depends=sorted(glob("codec/native/*.h")),
            define_macros=[("HEQ_DEVICE_TRACE", "1"), ("HEQ_KERNEL_AUTO", "1")],
            optional=True,
        )
    ]
)
