#include "patch_module.h"

#include <string.h>

#include "heq_patch_code.h"
#include "module_arrays.h"
#include "module_weights.h"

#define STATES 128

enum { LARGE, SMALL, SIGNIFICANCE, FLAG, REFINEMENT, LPS, ORDER, PATCHES, TAKEN };

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

PyObject *heq_patch_codes_call(PyObject *module, PyObject *arguments)
{
    static const Py_ssize_t states[] = {HEQ_ZONES * HEQ_BIT_PLANES * 48,
                                        HEQ_ZONES * HEQ_BIT_PLANES * 8,
                                        HEQ_ZONES * HEQ_BIT_PLANES * 2};
    PyObject *objects[TAKEN], *result;
    heq_transform transform;
    buffers taken = {.held = 0};
    const void *data[TAKEN];
    int channels, layers, length, each;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOiiOOOOOOiiO", &objects[LARGE], &objects[SMALL],
                          &layers, &transform.shift, &objects[SIGNIFICANCE],
                          &objects[FLAG], &objects[REFINEMENT], &objects[LPS], &objects[ORDER],
                          &objects[PATCHES], &channels, &length, &result)) {
        return NULL;
    }
    if ((channels != 1 && channels != 3) || length < 1 || length > HEQ_CODE_BITS / 8 ||
        layers < 1 || layers > 8) {
        PyErr_SetString(PyExc_ValueError,
                        "a patch has 1 or 3 planes, a code 1 to 64 bytes, a transform 1 to 8 layers");
        return NULL;
    }
    const Py_ssize_t bytes[TAKEN] = {HEQ_LARGE_BYTES * layers,
                                     HEQ_SMALL_BYTES * layers,
                                     states[0], states[1], states[2],
                                     STATES * 8 * (Py_ssize_t)sizeof(uint16_t), HEQ_ZONES, -1};
    for (each = 0; each < TAKEN && (data[each] = take(&taken, objects[each], 0, bytes[each]));
         each++) {
    }
    if (each == TAKEN) {
        Py_ssize_t count = taken.views[PATCHES].len / ((Py_ssize_t)channels * HEQ_SIDE * HEQ_SIDE);
        uint8_t *codes = take(&taken, result, 1, count * length);
        int valid = all_below(data[ORDER], HEQ_ZONES, HEQ_ZONES);
        for (each = 0; each < 3; each++) {
            valid &= all_below(data[SIGNIFICANCE + each], states[each], STATES);
        }
        heq_patch_coder *coder = codes && valid ? PyMem_RawMalloc(sizeof *coder) : NULL;
        if (coder) {
            heq_patch_tables tables = {data[SIGNIFICANCE], data[FLAG], data[REFINEMENT],
                                       data[LPS], data[ORDER]};
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
        } else if (codes && valid) {
            PyErr_NoMemory();
        } else if (codes) {
            PyErr_SetString(PyExc_ValueError, "a table of the patch coder has values too large");
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
