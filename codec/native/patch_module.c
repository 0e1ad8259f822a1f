#include "patch_module.h"

#include <string.h>

#include "heq_patch_code.h"
#include "heq_patch_decode.h"
#include "module_arrays.h"
#include "module_weights.h"

#define STATES 128

enum { SIGNIFICANCE, FLAG, REFINEMENT, LPS, ORDER, TABLES };
enum { LARGE, SMALL, PATCHES, TAKEN };

/* ---- Tables ------------------------------------------------------------------------------ */

/* Are all of `count` bytes below a bound? Tables that are not would be read beyond their end. */
static int all_below(const uint8_t *values, Py_ssize_t count, int bound)
{
    for (; count > 0; count--) {
        if (*values++ >= bound) {
            return 0;
        }
    }
    return 1;
}

/* Returns 0, or -1 with an exception set. */
static int take_tables(buffers *taken, PyObject *const *objects, heq_patch_tables *tables)
{
    static const Py_ssize_t bytes[TABLES] = {
        HEQ_ZONES * HEQ_BIT_PLANES * 48, HEQ_ZONES * HEQ_BIT_PLANES * 8,
        HEQ_ZONES * HEQ_BIT_PLANES * 2, STATES * 8 * (Py_ssize_t)sizeof(uint16_t), HEQ_ZONES};
    const void *data[TABLES];
    int each, valid = 1;
    for (each = 0; each < TABLES; each++) {
        data[each] = take(taken, objects[each], 0, bytes[each]);
        if (!data[each]) {
            return -1;
        }
        if (each != LPS) {
            valid &= all_below(data[each], bytes[each], each == ORDER ? HEQ_ZONES : STATES);
        }
    }
    if (!valid) {
        PyErr_SetString(PyExc_ValueError, "a table of the patch coder has values too large");
        return -1;
    }
    *tables = (heq_patch_tables){data[SIGNIFICANCE], data[FLAG], data[REFINEMENT], data[LPS],
                                 data[ORDER]};
    return 0;
}

/* ---- Encoder ----------------------------------------------------------------------------- */

static void encode_patches(const heq_transform *transform, const heq_patch_tables *tables,
                           heq_patch_coder *coder, const uint8_t *pixels, Py_ssize_t count,
                           int channels, size_t length, uint8_t *codes)
{
    heq_patch patch = {pixels, (size_t)channels * HEQ_SIDE, channels, channels, HEQ_SIDE,
                       HEQ_SIDE, NULL, NULL};
    for (; count > 0; count--) {
#ifdef HEQ_KERNEL_FAST
        heq_square fields[3];
        heq_fast_colour(&patch, fields);
        for (int plane = 0; plane < channels; plane++) {
            heq_fast_held_coefficients(transform, &fields[plane], plane,
                                       coder->coefficients[plane]);
        }
#else
        for (int plane = 0; plane < channels; plane++) {
            heq_held_coefficients(transform, &patch, plane, coder->coefficients[plane]);
        }
#endif
        heq_patch_encode(coder, tables, channels, (int)length);
        memcpy(codes, coder->code, length);
        codes += length;
        patch.pixels += HEQ_SIDE * HEQ_SIDE * channels;
    }
}

PyObject *heq_patch_codes_call(PyObject *module, PyObject *arguments)
{
    PyObject *objects[TAKEN], *listed[TABLES], *result;
    heq_transform transform;
    heq_patch_tables tables;
    buffers taken = {.held = 0};
    const void *data[TAKEN];
    int channels, layers, length, each;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOiiOOOOOOiiO", &objects[LARGE], &objects[SMALL],
                          &layers, &transform.shift, &listed[SIGNIFICANCE],
                          &listed[FLAG], &listed[REFINEMENT], &listed[LPS], &listed[ORDER],
                          &objects[PATCHES], &channels, &length, &result)) {
        return NULL;
    }
    if ((channels != 1 && channels != 3) || length < 1 || length > HEQ_CODE_BITS / 8 ||
        layers < 1 || layers > 8) {
        PyErr_SetString(PyExc_ValueError,
                        "a patch has 1 or 3 planes, a code 1 to 64 bytes, a transform 1 to 8 layers");
        return NULL;
    }
    const Py_ssize_t bytes[TAKEN] = {HEQ_LARGE_BYTES * layers, HEQ_SMALL_BYTES * layers, -1};
    for (each = 0; each < TAKEN && (data[each] = take(&taken, objects[each], 0, bytes[each]));
         each++) {
    }
    if (each == TAKEN) {
        Py_ssize_t count = taken.views[PATCHES].len / ((Py_ssize_t)channels * HEQ_SIDE * HEQ_SIDE);
        uint8_t *codes = take(&taken, result, 1, count * length);
        int valid = codes && take_tables(&taken, listed, &tables) == 0;
        heq_patch_coder *coder = valid ? PyMem_RawMalloc(sizeof *coder) : NULL;
        if (coder) {
#ifdef HEQ_KERNEL_FAST
            transform.layers = layers;
            transform.large = data[LARGE];
            transform.small = data[SMALL];
#else
            int16_t products[HEQ_PRODUCTS];
            heq_unpack_products(data[LARGE], data[SMALL], layers, products);
            transform.weights = products;
#endif
            Py_BEGIN_ALLOW_THREADS
            encode_patches(&transform, &tables, coder, data[PATCHES], count, channels,
                           (size_t)length, codes);
            Py_END_ALLOW_THREADS
            PyMem_RawFree(coder);
        } else if (valid) {
            PyErr_NoMemory();
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- Decoder ----------------------------------------------------------------------------- */

static void decode_patches(const heq_patch_tables *tables, const uint8_t *codes, Py_ssize_t count,
                           int channels, size_t length, heq_patch_intervals patch)
{
    for (; count > 0; count--) {
        heq_patch_decode(tables, codes, length, channels, &patch);
        codes += length;
        patch.low += 3 * HEQ_CODE_CELLS;
        patch.width += 3 * HEQ_CODE_CELLS;
        patch.negative += 3 * HEQ_CODE_CELLS;
        patch.reached += HEQ_ZONES;
    }
}

PyObject *heq_patch_intervals_call(PyObject *module, PyObject *arguments)
{
    PyObject *listed[TABLES], *codes_object, *low, *width, *negative, *reached;
    heq_patch_tables tables;
    buffers taken = {.held = 0};
    Py_ssize_t count;
    int channels;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOOOniOOOO", &listed[SIGNIFICANCE], &listed[FLAG],
                          &listed[REFINEMENT], &listed[LPS], &listed[ORDER], &codes_object, &count,
                          &channels, &low, &width, &negative, &reached)) {
        return NULL;
    }
    if ((channels != 1 && channels != 3) || count < 0 ||
        count > PY_SSIZE_T_MAX / (12 * HEQ_CODE_CELLS)) {
        PyErr_SetString(PyExc_ValueError, "a patch has 1 or 3 planes");
        return NULL;
    }
    if (take_tables(&taken, listed, &tables) == 0) {
        const Py_ssize_t cells = count * 3 * HEQ_CODE_CELLS;
        heq_patch_intervals patch = {0};
        const uint8_t *codes = take(&taken, codes_object, 0, -1);
        Py_ssize_t bytes = codes ? taken.views[taken.held - 1].len : 0;
        if (codes && (patch.low = take(&taken, low, 1, 4 * cells)) &&
            (patch.width = take(&taken, width, 1, 4 * cells)) &&
            (patch.negative = take(&taken, negative, 1, cells)) &&
            (patch.reached = take(&taken, reached, 1, count * HEQ_ZONES))) {
            if (count > 0 && bytes % count == 0) {
                Py_BEGIN_ALLOW_THREADS
                decode_patches(&tables, codes, count, channels, (size_t)(bytes / count), patch);
                Py_END_ALLOW_THREADS
            } else if (bytes != 0) {
                PyErr_SetString(PyExc_ValueError, "codes must be of one length");
            }
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
