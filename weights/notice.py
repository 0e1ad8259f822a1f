"""Make ``NOTICE``: whose photographs the shipped weights were trained on.

    python -m heqcodec.weights.notice train-manifest.tsv > NOTICE

The manifest has one line a tile, ``set<TAB>file<TAB>source`` with a heading; ``source`` begins
with the name of the repository or collection that the photograph comes from.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

# The manifest's short names, where the photographs were found again in a public repository by
# their paths, or the data's own notes name it. Others are printed as the manifest has them.
REPOSITORIES = {
    "budgie_backgrounds": "BuddiesOfBudgie/budgie-backgrounds",
    "calyxos": "CalyxOS/wallpapers",
    "dali_extra": "NVIDIA/DALI_extra",
    "data_stunning": "hoojaoh/data-stunning",
    "deepin_wallpapers": "linuxdeepin/deepin-wallpapers",
    "elementary_wallpapers": "elementary/wallpapers",
    "immich": "immich-app/test-assets",
    "kde": "KDE/plasma-workspace-wallpapers",
    "photoprism": "photoprism/photoprism",
    "popos_wallpapers": "pop-os/wallpapers",
    "solus_artwork": "getsolus/artwork",
    "ubuntu_mate": "ubuntu-mate/ubuntu-mate-artwork",
    "xiwenc_nature": "xiwenc/nature-wallpapers",
}

HEADING = """\
heqcodec
Licensed under the Apache License, Version 2.0; see LICENSE.

The weights in this package, and the tables of the peers in eval/baselines/patch, were trained on
tiles of photographs made by others, none of which is part of the package. The photographs are
openly licensed wallpapers and sample photographs: CC0, CC BY, CC BY-SA, Unsplash, public domain,
or their repository's own open licence. For the author and the licence of one photograph see the
repository that it comes from. We thank them all.

The photograph of `heqcodec demo`, cli/astronaut.jpg, is NASA's portrait of the astronaut Eileen
Collins, in the public domain, as scikit-image has it (astronaut.png), written as JPEG. No weights
were trained on it.

The classifier of `heqcodec classify`, weights/nqe-bsn.classifier.safetensors, was trained on
CIFAR-10: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

The curves in eval/published/compressai are result files of CompressAI, BSD-3-Clause-Clear; the
licence stands beside them.

Photographs by source: a repository on GitHub as owner/name, else a collection as the training
manifest calls it. Validation photographs chose between trainings; no weight was fitted to them.

"""


def repository(source: str) -> str:
    """Return the repository or collection of a manifest's ``source``."""
    name = source.split("/", 1)[0]
    if name.startswith("hist_"):
        owner, _, rest = name.removeprefix("hist_").partition("_")
        return f"{owner}/{rest}"
    return REPOSITORIES.get(name, name)


def count_photographs(lines: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return for each source the numbers of photographs in training and in validation.

    A photograph gives several tiles and counts once. ``lines`` are those of the manifest.
    """
    photographs: dict[str, tuple[set[str], set[str]]] = {}
    for row in csv.DictReader(lines, delimiter="\t"):
        pair = photographs.setdefault(repository(row["source"]), (set(), set()))
        pair[row["set"] == "val"].add(row["source"])
    return {name: (len(train), len(val)) for name, (train, val) in photographs.items()}


def notice(lines: Iterable[str]) -> str:
    """Return the text of ``NOTICE`` for the manifest's ``lines``, most photographs first."""
    counts = count_photographs(lines)
    names = sorted(counts, key=lambda name: (-sum(counts[name]), name.lower()))
    width = max(map(len, names))
    table = [f"{'source':{width}}  training  validation"]
    table += [f"{name:{width}}  {counts[name][0]:8}  {counts[name][1]:10}" for name in names]
    totals = [sum(count[k] for count in counts.values()) for k in (0, 1)]
    table.append(f"{'all':{width}}  {totals[0]:8}  {totals[1]:10}")
    return HEADING + "\n".join(table) + "\n"


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8") as manifest:
        sys.stdout.write(notice(manifest))
