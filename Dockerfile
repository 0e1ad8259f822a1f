# heqcodec for servers: `decode`, `pack` and `encode` on the CPU, by onnxruntime and the C extension.
#
#   docker build -t heqcodec .
#   docker run --rm -v "$PWD:/work" heqcodec decode out.heq back.png
#   docker run --rm -i heqcodec pack - - < camera.heq > small.heq
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir /src \
    && cd / && /venv/bin/python -c "import heqcodec._native"

FROM python:3.12-slim
COPY --from=build /venv /venv
RUN useradd --create-home heqcodec
USER heqcodec
WORKDIR /work
ENTRYPOINT ["/venv/bin/heqcodec"]
CMD ["--help"]
