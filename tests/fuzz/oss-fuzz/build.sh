#!/bin/bash -eu
# Builds every target to $OUT, with its seeds; OSS-Fuzz sets CC, CFLAGS, LIB_FUZZING_ENGINE, OUT, SRC and WORK.
cd "$SRC/heqcodec"
pip3 install .
fuzz=tests/fuzz

# C: the harnesses by OSS-Fuzz's compiler and sanitizer.
if [ "${FUZZING_ENGINE:-libfuzzer}" = libfuzzer ]; then
    make -C "$fuzz" build PYTHON=python3 CLANG="$CC" BUILD="$WORK/fuzz" TABLES="$OUT/tables" \
        SANITIZERS="${CFLAGS:-} $LIB_FUZZING_ENGINE"
    cp -r "$WORK/fuzz/tables" "$OUT/"
    for seeds in "$WORK"/fuzz/seeds/*; do
        name=$(basename "$seeds")
        cp "$WORK/fuzz/$name" "$OUT/$name"
        (cd "$seeds" && zip -q -r "$OUT/${name}_seed_corpus.zip" .)
    done
fi

# Python: a file a target, as `compile_python_fuzzer` wants it.
mkdir -p "$WORK/python-seeds"
python3 "$fuzz/python/seeds.py" --copy "$WORK/python-seeds"
for name in $(python3 "$fuzz/python/run.py" --list); do
    script="$fuzz/python/fuzz_$name.py"
    printf 'import sys\n\nsys.argv.insert(1, "%s")\nimport run\n\nrun.main()\n' "$name" >"$script"
    compile_python_fuzzer "$script" --collect-data heqcodec
    (cd "$WORK/python-seeds" && zip -q -r "$OUT/fuzz_${name}_seed_corpus.zip" .)
done
