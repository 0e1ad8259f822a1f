#!/usr/bin/env bash
# Train a small decoder for nqe-t on a folder of photographs, and look at its first figures:
#
#   examples/train_small.sh PHOTOGRAPHS OUT [STEPS]
#
# The encoder that ships is kept, so that files stay readable; what is trained is a PURENET of a
# twentieth of its decoder's size. 2,000 steps take about half an hour of two cores.
# Needs pip install "heqcodec[train]".
set -euo pipefail
photographs=$1 out=$2 steps=${3:-2000}

weights=$(python -c 'import heqcodec.weights as w; print(w.__path__[0])')
mkdir -p "$out"
cat > "$out/small.toml" <<RECIPE
name = "small"
family = "transform"
about = "nqe-t with a small decoder"
steps = $steps
batch = 4
crop = 4
optimizer = "muon"
learning_rate = 1e-3
warmup = $((steps / 20 + 1))
border = 0.02
views = 1

[purenet]
width = 48
blocks = 2
local_blocks = 1
mid_width = 24
mid_blocks = 1
fine_width = 12
fine_blocks = 1
RECIPE

heqcodec train "$out/small.toml" --encoder "$weights/nqe-t.encoder.safetensors" \
    --data "$photographs" --out "$out/run" --device cpu
ls -l "$out/run/weights"
echo "python -m heqcodec.lab.training.install $out/run/weights/small.json --weights WEIGHTS enters it in a folder of weights."
