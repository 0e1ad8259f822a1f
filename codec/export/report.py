"""``heqcodec export report``: what the encoder of a model holds and does, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .c_tables import packed_tables, table_bytes
from .families import model_layers, model_parts
from .layers import Layer, layer_operations


def encoder_report(name: str) -> dict[str, Any]:
    """Layers, totals, and the packed weights of a model.

    Args:
        name: of a model, or "default" for that of the variable-rate mode.

    Returns:
        ``model``; ``layers``, each a mapping; ``totals``; and ``tables``, the weights as the C
        export has them, little-endian, in hexadecimal digits by name.

    Raises:
        HeqError: as `heqcodec.export.c_project.export_c`.
    """
    from heqcodec.models import registry

    model = registry.default_model(registry.RATE_MODE) if name == "default" else name
    parts = model_parts(model)
    layers = model_layers(model)
    operations = layer_operations(layers)
    return {
        "model": model,
        "encoder_id": parts.encoder_id.hex(),
        "coder_id": parts.coder_id.hex(),
        "layers": [_described(layer) for layer in layers],
        "totals": {
            "weights": sum(layer.weights for layer in layers),
            "weight_bits": sum(registry.weight_bits(model).values()),
            "packed_bytes": table_bytes(parts.tables),
            "additions_a_pixel": operations.additions,
            "shifts_a_pixel": operations.shifts,
            "widest_sum_bits": max(layer.sum_bits for layer in layers),
            "memory_bytes": int(parts.words["ENCODER_BYTES"]),
        },
        "tables": {
            table.name: np.ascontiguousarray(table.values)
            .astype(table.values.dtype.newbyteorder("<"))
            .tobytes()
            .hex()
            for table in packed_tables(parts.tables)
        },
    }


def report_text(report: dict[str, Any]) -> str:
    """The report as a table, without the packed weights."""
    rows = [("layer", "weights", "bits", "additions", "shifts", "sums", "bits", "activations, B")]
    for layer in report["layers"]:
        rows.append(
            (
                layer["name"],
                f"{layer['weights']:,}",
                str(layer["bits"]),
                _number(layer["additions_a_pixel"]),
                _number(layer["shifts_a_pixel"]),
                f"{layer['lowest_sum']:,} to {layer['highest_sum']:,}",
                str(layer["sum_bits"]),
                f"{layer['activation_bytes']:,}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            word.ljust(width) if column == 0 else word.rjust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    totals = report["totals"]
    return "\n".join(
        [
            f"{report['model']}, encoder {report['encoder_id']}, coder {report['coder_id']}",
            *lines,
            f"{totals['weight_bits']:,} bits of weights ({totals['packed_bytes']:,} bytes in C), "
            f"{totals['memory_bytes']:,} bytes of memory; {totals['additions_a_pixel']:.0f} "
            f"additions and {totals['shifts_a_pixel']:.0f} shifts a pixel; what depends on the "
            "image, marked with -, is counted by `heqcodec eval complexity`.",
        ]
    )


def _described(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "weights": layer.weights,
        "bits": layer.bits,
        "additions_a_pixel": layer.additions,
        "shifts_a_pixel": layer.shifts,
        "lowest_sum": layer.lowest,
        "highest_sum": layer.highest,
        "sum_bits": layer.sum_bits,
        "activation_bytes": layer.activation_bytes,
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
