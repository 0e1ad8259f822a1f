#include "levels_module.h"

#include "heq_levels.h"
#include "heq_levels_fast.h"
#include "module_arrays.h"

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
    (void)places;
    for (int size = 0; size < 2; size++) {
        for (int plane = 0; plane < patch->channels; plane++) {
            heq_colour(patch, plane, field);
            heq_rate_coefficients(transform, field, size, coefficients);
            coefficients += HEQ_LEVELS;
        }
    }
}

#endif

static void transform_patches(const heq_transform *transform, const uint8_t *pixels,
                              Py_ssize_t count, int channels, int32_t *coefficients)
{
    heq_patch patch = {pixels, (size_t)channels * HEQ_SIDE, channels, channels, HEQ_SIDE,
                       HEQ_SIDE};
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
    int channels;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOiiOiO", &large, &small, &transform.layers,
                          &transform.shift, &patches, &channels, &result) ||
        check_planes(channels) < 0) {
        return NULL;
    }
    if (transform.layers < 1 || transform.layers > 8) {
        PyErr_SetString(PyExc_ValueError, "a transform has 1 to 8 layers");
        return NULL;
    }
    transform.large = take(&taken, large, 0, HEQ_LARGE_BYTES * transform.layers);
    transform.small = transform.large
                          ? take(&taken, small, 0, HEQ_SMALL_BYTES * transform.layers)
                          : NULL;
    const uint8_t *pixels = transform.small ? take(&taken, patches, 0, -1) : NULL;
    if (pixels) {
        Py_ssize_t count = patches_of(&taken, (Py_ssize_t)channels * HEQ_SIDE * HEQ_SIDE);
        int32_t *coefficients =
            take(&taken, result, 1, count * channels * BOTH * (Py_ssize_t)sizeof(int32_t));
        if (coefficients) {
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

static void quantize_patches(const heq_cost_layer *layer, const int32_t *steps,
                             const int32_t *coefficients, Py_ssize_t count, int planes,
                             int16_t *levels, uint8_t *sizes)
{
    heq_levels kept;
    for (; count > 0; count--) {
        int32_t costs[2] = {0, 0};
        for (int size = 0; size < 2; size++) {
            for (int plane = 0; plane < planes; plane++) {
                costs[size] += heq_size_cost(coefficients + (size * planes + plane) * HEQ_LEVELS,
                                             steps[3 * size + plane]);
            }
        }
        int size = costs[1] < costs[0];
        for (int plane = 0; plane < planes; plane++) {
            const int32_t *kept_size = coefficients + (size * planes + plane) * HEQ_LEVELS;
#ifdef HEQ_KERNEL_FAST
            heq_fast_quantize(kept_size, steps[3 * size + plane], -1, plane, &kept);
#else
            heq_quantize(kept_size, steps[3 * size + plane], plane, &kept);
#endif
        }
        heq_settle(layer, size, planes, &kept);
        memcpy(levels, kept.levels, (size_t)planes * HEQ_LEVELS * sizeof *levels);
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
    int planes;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOOOiOO", &objects[0], &objects[1], &objects[2],
                          &objects[3], &objects[4], &objects[5], &planes, &objects[6],
                          &objects[7]) ||
        check_planes(planes) < 0) {
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
        layer = (heq_cost_layer){data[0], data[1], data[2], data[3]};
        if (sizes) {
            Py_BEGIN_ALLOW_THREADS
            quantize_patches(&layer, data[4], data[5], count, planes, levels, sizes);
            Py_END_ALLOW_THREADS
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
