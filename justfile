# The usual commands; `just` lists them. https://just.systems

_list:
    @just --list

# Install for development, with the C extension in place
setup:
    pip install -e ".[dev,docs]"

# All tests
test *ARGS:
    pytest -n 2 --dist loadfile {{ ARGS }}

# The tests without the marker slow
fast *ARGS:
    pytest -m "not slow" -n 2 --dist loadfile {{ ARGS }}

# Lint, format, unused code, types, import contracts
lint:
    ruff check .
    ruff format --check .
    vulture
    .ci/installed

# The documentation site, into build/site
docs:
    mkdocs build --strict

# The JavaScript package, into web/dist; needs node, clang, lld and wasi-libc
web:
    cd web && npm ci && npm run build

# Fuzz decoders, coders and encoders in C and in Python; needs clang and atheris, see tests/fuzz
fuzz *ARGS:
    make -C tests/fuzz fuzz {{ ARGS }}

# Speed of encoding and decoding against Pillow's JPEG
bench IMAGE:
    python benchmarks/speed.py {{ IMAGE }}
