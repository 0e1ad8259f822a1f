"""Parts of the patch-constant peers: bit planes, packets, quantizers, measurements, fits."""

from __future__ import annotations

import hashlib
import io
from itertools import product

import numpy as np
import pytest
from heqcodec.base.errors import HeqFormatError
from heqcodec.eval.baselines.patch import dct_code, klt, sensing
from heqcodec.eval.baselines.patch import jpeg2000_markers as markers
from heqcodec.eval.baselines.patch.dct import scan_order
from heqcodec.eval.baselines.patch.jpeg2000_packets import (
    cut_packets,
    read_packets,
    write_packet,
)
from heqcodec.eval.baselines.patch.lloyd_max import laplacian_quantizer, quantize
from heqcodec.eval.baselines.patch.planes import (
    COLOUR,
    NORMS,
    coefficients,
    dct_matrix,
    fixed_point,
    integer_planes,
    pixels_of,
    planes_of,
)
from heqcodec.eval.baselines.patch.tables import load_tables
from heqcodec.lab.peers import klt_fit, sensing_fit
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

needs_openjpeg = pytest.mark.skipif(
    not features.check("jpg_2000"), reason="this Pillow is without JPEG 2000"
)


def patches(count: int, seed: int = 0) -> np.ndarray:
    """Smooth random patches, uint8 (count, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    ramps = rng.normal(size=(count, 3, 1, 3)) * 40
    y, x = np.mgrid[-1:1:32j, -1:1:32j][..., None]
    pictures = ramps[:, 0, None] * y + ramps[:, 1, None] * x + 120 + ramps[:, 2, None]
    return np.clip(pictures + rng.normal(size=pictures.shape) * 6, 0, 255).astype(np.uint8)


# Planes


def test_planes_come_back_exactly() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    planes = integer_planes(pixels)
    assert np.array_equal(pixels_of(planes / NORMS[:, None, None]), pixels)
    assert np.array_equal(COLOUR @ COLOUR.T, np.diag(NORMS**2).round().astype(int))


def test_coefficients_are_those_of_the_dct() -> None:
    fft = pytest.importorskip("scipy.fft")
    pixels = patches(4)
    matrices = np.repeat(fixed_point(dct_matrix())[None], 3, axis=0)
    found = coefficients(integer_planes(pixels), matrices)
    planes = integer_planes(pixels) / NORMS[:, None, None]
    exact = fft.dctn(planes, axes=(2, 3), norm="ortho")
    assert np.abs(found - exact).max() < 1e-3 * np.abs(exact).max()
    assert np.abs(planes_of(found, matrices) - planes).max() < 0.5


def test_coefficients_do_not_depend_on_the_batch() -> None:
    pixels = patches(50)
    matrices = np.repeat(fixed_point(dct_matrix())[None], 3, axis=0)
    together = coefficients(integer_planes(pixels), matrices)
    for one in (0, 7, 49):
        alone = coefficients(integer_planes(pixels[one : one + 1]), matrices)
        assert np.array_equal(together[one], alone[0])


# Bit planes of the DCT

LISTS = st.tuples(
    st.integers(-(2**13), 2**13 - 1),
    st.lists(
        st.one_of(st.just(0), st.integers(-9, 9), st.integers(-(2**14) + 1, 2**14 - 1)),
        min_size=1,
        max_size=80,
    ),
).map(lambda pair: np.array([pair[0], *pair[1]], dtype=np.int32))


@given(values=LISTS)
def test_a_whole_code_tells_everything(values: np.ndarray) -> None:
    known = dct_code.decode(dct_code.encode(values, 4000), len(values))
    assert np.all(known.width <= 1)
    assert known.low[0] == values[0]
    assert np.array_equal(np.where(known.negative, -known.low, known.low)[1:], values[1:])


@given(values=LISTS, bits=st.integers(18, 600), more=st.integers(0, 300))
def test_a_code_is_the_beginning_of_a_longer_one_and_true(
    values: np.ndarray, bits: int, more: int
) -> None:
    code = dct_code.encode(values, bits)
    assert code.shape == (bits,)
    assert np.array_equal(code, dct_code.encode(values, bits + more)[:bits])
    known = dct_code.decode(code, len(values))
    assert known.low[0] <= values[0] < known.low[0] + known.width[0] + (known.width[0] == 0)
    significant = known.width[1:] > 0
    magnitude = np.abs(values[1:])
    assert np.all(known.low[1:][significant] <= magnitude[significant])
    assert np.all(magnitude[significant] < (known.low + known.width)[1:][significant])
    assert np.array_equal(known.negative[1:][significant], values[1:][significant] < 0)
    # Coefficients not coded yet are below all that are, up to the plane being scanned.
    if significant.any():
        assert np.all(magnitude[~significant] < 2 * known.width[1:][significant].max())


@given(code=st.lists(st.integers(0, 1), min_size=18, max_size=512), count=st.integers(2, 400))
def test_any_bits_decode(code: list[int], count: int) -> None:
    known = dct_code.decode(np.array(code, np.uint8), count)
    assert known.low.shape == (count,)
    assert known.low.max() < 2**15


def test_the_scan_has_every_coefficient_once_and_dc_first() -> None:
    order = scan_order()
    assert np.array_equal(np.sort(order), np.arange(3072))
    assert set(order[:3]) == {0, 1024, 2048}
    assert order[0] == 0


# Packets of JPEG 2000


def openjpeg(patch: np.ndarray, layers: list[float], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(patch).save(
        stream, "JPEG2000", no_jp2=True, irreversible=True, mct=1, num_resolutions=4,
        codeblock_size=(32, 32), progression="LRCP", quality_mode="dB", quality_layers=layers,
        **options,
    )  # fmt: skip
    return stream.getvalue()


def body_of(stream: bytes) -> bytes:
    return stream[stream.index(markers.SOD) + 2 : -2]


@needs_openjpeg
def test_the_main_header_is_the_one_that_openjpeg_writes() -> None:
    stream = openjpeg(patches(1)[0], [30])
    header = bytearray(markers.main_header(32, 32))
    order = header.index(b"\xff\x52") + 5
    assert header[order] == 1
    header[order] = 0  # LRCP was asked for, and the other fields are equal
    assert stream.startswith(bytes(header))


@needs_openjpeg
@pytest.mark.parametrize("step", [0.5, 3.0])
def test_packets_written_again_give_the_same_pixels(step: float) -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    for patch in np.concatenate([patches(6), noise]):
        layers = [float(db) for db in np.arange(10, 48, step)]
        stream = openjpeg(patch, layers)
        packets = read_packets(body_of(stream), len(layers), 4, 3)
        written = b"".join(
            write_packet(blocks, [block.cuts[-1] for block in blocks]) for blocks in packets
        )
        with Image.open(io.BytesIO(stream)) as image:
            expected = np.asarray(image)
        with Image.open(io.BytesIO(markers.patch_stream(written))) as image:
            assert np.array_equal(np.asarray(image), expected)


@needs_openjpeg
def test_a_cut_has_the_budget_and_is_better_with_more() -> None:
    patch = patches(1, seed=5)[0]
    layers = [8 + 0.5 * step for step in range(96)]
    packets = read_packets(body_of(openjpeg(patch, layers)), len(layers), 4, 3)
    errors = []
    for budget in (0, 1, 8, 32, 64, 200, 3000):
        code = cut_packets(packets, budget)
        assert len(code) == budget
        with Image.open(io.BytesIO(markers.patch_stream(code or b"\0"))) as image:
            errors.append(np.mean((np.asarray(image).astype(float) - patch) ** 2))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 3 < 100 < errors[0]


@needs_openjpeg
def test_packets_that_end_elsewhere_are_refused() -> None:
    body = body_of(openjpeg(patches(1)[0], [20, 40]))
    for wrong in (body[:-1], body + b"\0", body[:3], b""):
        with pytest.raises(HeqFormatError):
            read_packets(wrong, 2, 4, 3)


# Quantizers and bit allocation


def test_quantizers_have_the_errors_of_the_literature() -> None:
    # Jayant and Noll, "Digital coding of waveforms", 1984, table 4.2, Laplacian: signal to noise
    # of the optimum quantizers in dB.
    for depth, decibels in ((1, 3.01), (2, 7.54), (3, 12.64), (4, 18.13), (5, 23.87), (6, 29.74)):
        points, error = laplacian_quantizer(depth)
        assert len(points) == 2**depth
        assert -10 * np.log10(error) == pytest.approx(decibels, abs=0.01)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_quantizer_errs_on_samples_as_it_says(depth: int) -> None:
    points, error = laplacian_quantizer(depth)
    samples = np.random.default_rng(depth).laplace(size=200_000) / np.sqrt(2)
    coded = points[quantize(samples, points)]
    assert np.mean((samples - coded) ** 2) == pytest.approx(error, rel=0.03)
    nearest = np.argmin(np.abs(samples[:500, None] - points), axis=1)
    assert np.array_equal(points[nearest], coded[:500])


@given(st.lists(st.floats(0.01, 1000), min_size=3, max_size=3), st.integers(0, 9))
def test_the_allocation_is_the_best_there_is(variances: list[float], bits: int) -> None:
    errors = [laplacian_quantizer(depth)[1] for depth in range(5)]
    depth = klt_fit.allocate(np.array(variances), errors, bits)
    assert depth.sum() == bits
    cost = sum(v * errors[d] for v, d in zip(variances, depth, strict=True))
    best = min(
        sum(v * errors[d] for v, d in zip(variances, choice, strict=True))
        for choice in product(range(5), repeat=3)
        if sum(choice) == bits
    )
    assert cost == pytest.approx(best)


def test_the_shipped_classes_fill_the_budget() -> None:
    table = load_tables(klt.TABLES)
    for bits, class_bits in klt.CLASS_BITS.items():
        ends = table[f"ends_{bits}"]
        assert len(ends) == 2**class_bits
        depth = table[f"depth_{bits}"]
        place = table[f"place_{bits}"]
        assert depth.min() >= 1 and depth.max() <= 8
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            assert depth[first:end].sum() == bits - class_bits
            assert len(set(place[first:end])) == end - first
            assert place[first:end].max() < 3072


def test_the_shipped_transform_is_orthonormal_even_and_odd() -> None:
    for matrix in load_tables(klt.TABLES)["matrices"] / 2**12:
        assert np.abs(matrix @ matrix.T - np.eye(32)).max() < 2e-3
        assert np.abs(np.abs(np.sum(matrix * matrix[:, ::-1], axis=1)) - 1).max() < 2e-3
        # The first vector is nearly flat, and vectors change sign more and more often.
        assert np.ptp(np.abs(matrix[0])) < 0.05


# Measurements


def test_random_rows_are_the_same_for_ever() -> None:
    rows = sensing.random_rows(sensing.MOST)
    assert rows.shape == (56, 1024)
    assert np.all(np.abs(rows) == 1)
    assert np.array_equal(rows.sum(axis=1), [1024] + [0] * 55)
    correlation = rows[1:].astype(int) @ rows[1:].T
    assert np.abs(correlation - 1024 * np.eye(55, dtype=int)).max() < 160
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    assert digest.startswith("7c0dfa57b738d993")
    assert np.array_equal(sensing.random_rows(5), rows[:5])


def test_measurements_lie_within_their_step() -> None:
    rng = np.random.default_rng(2)
    shifts = np.array([0, 3, 7], np.int8)
    values = rng.integers(-100, 100, (50, 3)) << shifts.astype(np.int64)
    codes = sensing.quantized(values, shifts)
    assert codes.dtype == np.uint8
    assert np.all(np.abs(sensing.measured(codes, shifts) - values) <= 2.0**shifts / 2)
    loud = sensing.quantized(np.array([[10**6, -(10**6), 0]]), shifts)
    assert loud.tolist() == [[255, 0, 128]]


# Fits


@pytest.mark.slow
def test_a_fit_gives_tables_like_the_shipped_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(klt_fit, "PASSES", 1)
    training = patches(700)
    lines: list[str] = []
    fitted = {
        **klt_fit.fit_klt(training, 1, lines.append),
        **sensing_fit.fit_sensing(training),
    }
    assert len(lines) == 2 * len(klt.CLASS_BITS)
    shipped = {**load_tables(klt.TABLES), **load_tables(sensing.TABLES)}
    assert fitted.keys() == shipped.keys()
    for name, table in shipped.items():
        assert fitted[name].dtype == table.dtype, name
        if not name.startswith(("place", "depth", "spread")):
            assert fitted[name].shape == table.shape, name
    for bits, class_bits in klt.CLASS_BITS.items():
        depth = fitted[f"depth_{bits}"].astype(int)
        assert depth.sum() == 2**class_bits * (bits - class_bits)
