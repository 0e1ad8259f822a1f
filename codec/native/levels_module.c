#include "levels_module.h"

#include "heq_levels.h"
#include "heq_levels_codes.h"
#include "heq_levels_fast.h"
#include "module_arrays.h"
#include "module_weights.h"

#define BOTH (2 * HEQ_LEVELS) /* coefficients of a plane, in two sizes */

/* How many patches of `bytes` bytes each the last array holds. */
static Py_ssize_t patches_of(const buffers *taken, Py_ssize_t bytes)
{
    return taken->views[taken->held - 1].len / bytes;
}

static int check_planes(int planes)
{
    if (planes != 1 && planes != 3) {
        PyErr_SetString(PyExc_ValueError, "a patch has 1 or 3 planes");
        return -1;
    }
    return 0;
}

#ifdef HEQ_KERNEL_FAST

static void transform_patch(const heq_transform *transform, const heq_patch *patch,
                            uint16_t (*places)[HEQ_LEVELS], int32_t *coefficients)
{
    heq_square fields[3], made;
    heq_fast_colour(patch, fields);
    for (int size = 0; size < 2; size++) {
        for (int plane = 0; plane < patch->channels; plane++) {
            const int32_t *value = made.all;
            heq_fast_coefficients(transform, &fields[plane], size, &made);
            for (int index = 0; index < HEQ_LEVELS; index++) {
                coefficients[places[size][index]] = value[index];
            }
            coefficients += HEQ_LEVELS;
        }
    }
}

#else

static void transform_patch(const heq_transform *transform, const heq_patch *patch,
                            uint16_t (*places)[HEQ_LEVELS], int32_t *coefficients)
{
    int16_t field[HEQ_SIDE * HEQ_SIDE];
    int32_t column[HEQ_SIDE], scratch[HEQ_SCRATCH];
    for (int size = 0; size < 2; size++) {
        int points = size == 0 ? 32 : 16;
        for (int plane = 0; plane < patch->channels; plane++) {
            heq_transform_rows(transform, patch, plane, size == 0 ? field : NULL,
                               size == 1 ? field : NULL, scratch);
            for (int number = 0; number < HEQ_LEVELS / points; number++) {
                int top = (number >> 5) * points, first = 32 * top + (number & 31);
                heq_transform_column(transform, field + first, points, -1, column, scratch);
                for (int row = 0; row < points; row++) { /* of 32, the even ones come first */
                    int value = size == 1 ? row : (row & 1) * 16 + (row >> 1);
                    coefficients[places[size][first + 32 * row]] = column[value];
                }
            }
            if (size == 1) {
                heq_combine_means(coefficients);
            }
            coefficients += HEQ_LEVELS;
        }
    }
}

#endif

static void transform_patches(const heq_transform *transform, const uint8_t *pixels,
                              Py_ssize_t count, int channels, int32_t *coefficients)
{
    heq_patch patch = {pixels, (size_t)channels * HEQ_SIDE, channels, channels, HEQ_SIDE,
                       HEQ_SIDE, NULL, NULL};
    uint16_t places[2][HEQ_LEVELS]; /* looked up once */
    for (int place = 0; place < HEQ_LEVELS; place++) {
        places[0][place] = (uint16_t)heq_place(0, place >> 5, place & 31);
        places[1][place] = (uint16_t)heq_place(1, place >> 5, place & 31);
    }
    for (; count > 0; count--) {
        transform_patch(transform, &patch, places, coefficients);
        coefficients += channels * BOTH;
        patch.pixels += HEQ_SIDE * HEQ_SIDE * channels;
    }
}

PyObject *heq_coefficients_call(PyObject *module, PyObject *arguments)
{
    PyObject *large, *small, *patches, *result;
    heq_transform transform;
    buffers taken = {.held = 0};
    int channels, layers;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOiiOiO", &large, &small, &layers,
                          &transform.shift, &patches, &channels, &result) ||
        check_planes(channels) < 0) {
        return NULL;
    }
    if (layers < 1 || layers > 8) {
        PyErr_SetString(PyExc_ValueError, "a transform has 1 to 8 layers");
        return NULL;
    }
    const uint8_t *packed = take(&taken, large, 0, HEQ_LARGE_BYTES * layers);
    const uint8_t *rest = packed ? take(&taken, small, 0, HEQ_SMALL_BYTES * layers) : NULL;
    const uint8_t *pixels = rest ? take(&taken, patches, 0, -1) : NULL;
    if (pixels) {
        Py_ssize_t count = patches_of(&taken, (Py_ssize_t)channels * HEQ_SIDE * HEQ_SIDE);
        int32_t *coefficients =
            take(&taken, result, 1, count * channels * BOTH * (Py_ssize_t)sizeof(int32_t));
        if (coefficients) {
#ifdef HEQ_KERNEL_FAST
            transform.layers = layers;
            transform.large = packed;
            transform.small = rest;
#else
            int16_t products[HEQ_PRODUCTS];
            heq_unpack_products(packed, rest, layers, products);
            transform.weights = products;
#endif
            Py_BEGIN_ALLOW_THREADS
            transform_patches(&transform, pixels, count, channels, coefficients);
            Py_END_ALLOW_THREADS
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

#ifdef HEQ_KERNEL_FAST

typedef heq_levels patch_levels;

static int32_t size_cost(const int32_t *coefficients, int32_t step)
{
    return heq_size_cost(coefficients, step);
}

/* Levels int16 [planes][HEQ_LEVELS] of coefficients in one size. */
static void settle_patch(const heq_cost_layer *layer, const int32_t *steps, int size, int planes,
                         int relief, const int32_t *coefficients, patch_levels *kept,
                         int16_t *levels)
{
    for (int plane = 0; plane < planes; plane++) {
        heq_fast_quantize(coefficients + plane * HEQ_LEVELS, steps[plane], -1, plane, kept);
    }
    heq_settle(layer, size, planes, relief, kept);
    memcpy(levels, kept->levels, (size_t)planes * HEQ_LEVELS * sizeof *levels);
}

#else

typedef heq_field patch_levels[3];

static int32_t size_cost(const int32_t *coefficients, int32_t step)
{
    heq_quantizer quantizer;
    int16_t codes[HEQ_LEVELS];
    int found = 0;
    heq_quantizer_begin(&quantizer, step, 0);
    return heq_quantize_codes(&quantizer, coefficients, HEQ_LEVELS, codes, 1, &found);
}

/* A level from its code; one that is too large for a code from its coefficient. */
static int16_t level_from(int code, int32_t value, int32_t step)
{
    int32_t level = code & HEQ_CODE_LEVEL;
    if (level == HEQ_CODE_LEVEL) {
        level = heq_quotient((value < 0 ? -value : value) + (step >> 1) - (step >> 4), step);
    }
    return (int16_t)(value < 0 ? -level : level);
}

static void settle_patch(const heq_cost_layer *layer, const int32_t *steps, int size, int planes,
                         int relief, const int32_t *coefficients, patch_levels *kept,
                         int16_t *levels)
{
    heq_field *fields[3] = {&(*kept)[0], &(*kept)[1], &(*kept)[2]};
    int plane, place, found = 0;
    for (plane = 0; plane < planes; plane++) {
        const int32_t *value = coefficients + plane * HEQ_LEVELS;
        heq_quantizer quantizer;
        heq_quantizer_begin(&quantizer, steps[plane], 0);
        for (place = 0; place < HEQ_LEVELS; place++) {
            heq_quantize_codes(&quantizer, value + heq_place(size, place >> 5, place & 31), 1,
                               fields[plane]->values + place, 0, &found);
        }
        fields[plane]->known.used = 0xFFFFFFFFu;
    }
    heq_settle_codes(layer, size, planes, relief, fields);
    for (plane = 0; plane < planes; plane++) {
        for (place = 0; place < HEQ_LEVELS; place++) {
            int index = plane * HEQ_LEVELS + heq_place(size, place >> 5, place & 31);
            levels[index] = level_from(fields[plane]->values[place], coefficients[index],
                                       steps[plane]);
        }
    }
}

#endif

static void quantize_patches(const heq_cost_layer *layer, const int32_t *steps, int limit,
                             int shift, const int32_t *coefficients, Py_ssize_t count, int planes,
                             int16_t *levels, uint8_t *sizes)
{
    patch_levels kept;
    for (; count > 0; count--) {
        int32_t costs[2] = {0, 0};
        for (int size = 0; size < 2; size++) {
            for (int plane = 0; plane < planes; plane++) {
                costs[size] += size_cost(coefficients + (size * planes + plane) * HEQ_LEVELS,
                                         steps[3 * size + plane]);
            }
        }
        int size = costs[1] < costs[0];
        settle_patch(layer, steps + 3 * size, size, planes, heq_relief(costs[size], limit, shift),
                     coefficients + size * planes * HEQ_LEVELS, &kept, levels);
        *sizes++ = (uint8_t)size;
        levels += planes * HEQ_LEVELS;
        coefficients += planes * BOTH;
    }
}

PyObject *heq_levels_call(PyObject *module, PyObject *arguments)
{
    PyObject *objects[8];
    heq_cost_layer layer;
    buffers taken = {.held = 0};
    int planes, limit, shift;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOOiiOiOO", &objects[0], &objects[1], &objects[2],
                          &objects[3], &objects[4], &limit, &shift, &objects[5], &planes,
                          &objects[6], &objects[7]) ||
        check_planes(planes) < 0) {
        return NULL;
    }
    if (shift < 0 || shift > 3) {
        PyErr_SetString(PyExc_ValueError, "the shift of a relief is 0 to 3");
        return NULL;
    }
    const Py_ssize_t bytes[6] = {HEQ_NEAR_BYTES, HEQ_CROSS_BYTES, 6 * HEQ_LEVELS, 2, 6 * 4, -1};
    const void *data[6];
    int each;
    for (each = 0; each < 6 && (data[each] = take(&taken, objects[each], 0, bytes[each])); each++) {
    }
    if (each == 6) {
        Py_ssize_t count = patches_of(&taken, (Py_ssize_t)planes * BOTH * 4);
        int16_t *levels = take(&taken, objects[6], 1, count * planes * HEQ_LEVELS * 2);
        uint8_t *sizes = levels ? take(&taken, objects[7], 1, count) : NULL;
        if (sizes) {
#ifdef HEQ_KERNEL_FAST
            layer = (heq_cost_layer){data[0], data[1], data[2], data[3]};
#else
            uint8_t pairs[HEQ_PAIR_BYTES];
            int8_t cross[48];
            heq_unpack_pairs(data[0], pairs);
            heq_unpack_cross(data[1], cross);
            layer = (heq_cost_layer){pairs, cross, data[2], data[3]};
#endif
            Py_BEGIN_ALLOW_THREADS
            quantize_patches(&layer, data[4], limit, shift, data[5], count, planes, levels, sizes);
            Py_END_ALLOW_THREADS
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
