#include "vgg_module.h"

#include "heq_vgg_layers.h"
#include "module_arrays.h"
#include "vgg_module_kernels.h"

typedef void (*kernel)(const heq_vgg *vgg, const heq_patch *patch, uint8_t *code, int16_t *totals);

#ifndef HEQ_KERNEL_FAST
static void scalar_kernel(const heq_vgg *vgg, const heq_patch *patch, uint8_t *code,
                          int16_t *totals)
{
    heq_vgg_memory memory;
    heq_vgg_encode(vgg, patch, &memory, code, totals);
}
#endif

/* The index-th of the kernels that this processor can run, and its name; NULL behind the last. */
static kernel kernel_of(int index, const char **name)
{
#ifdef HEQ_VGG_WIDER_KERNELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vpopcntdq") &&
        index-- == 0) {
        *name = "vectors of 512 bits";
        return heq_vgg_encode_512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && index-- == 0) {
        *name = "vectors of 256 bits";
        return heq_vgg_encode_256;
    }
#endif
#ifdef HEQ_KERNEL_FAST
    *name = "the vectors that it was compiled for";
    return index == 0 ? heq_fast_vgg_encode : NULL;
#else
    *name = "scalar";
    return index == 0 ? scalar_kernel : NULL;
#endif
}

PyObject *heq_vgg_kernels_call(PyObject *module, PyObject *arguments)
{
    PyObject *names = PyList_New(0);
    const char *name;
    (void)module;
    (void)arguments;
    for (int index = 0; names != NULL && kernel_of(index, &name) != NULL; index++) {
        PyObject *text = PyUnicode_FromString(name);
        if (text == NULL || PyList_Append(names, text) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(text);
    }
    return names;
}

/* Bytes of all weights, or -1: a layer has not 1 to 3 planes. */
static Py_ssize_t weight_bytes(const uint8_t *planes)
{
    Py_ssize_t bytes = HEQ_VGG_WIDTH * HEQ_VGG_FIRST_BYTES;
    for (int index = 0; index < HEQ_VGG_LAYERS; index++) {
        if (planes[index] < 1 || planes[index] > 3) {
            return -1;
        }
    }
    for (int index = 0; index < HEQ_VGG_LAYERS - 1; index++) {
        const heq_vgg_layer *layer = &heq_vgg_layers[index];
        bytes += (Py_ssize_t)layer->groups * layer->outputs * (layer->reach ? 9 : 1) *
                 layer->words * 8 * planes[index + 1];
    }
    return bytes;
}

/* Bytes of all cuts. */
static Py_ssize_t cut_bytes(const heq_vgg *vgg)
{
    Py_ssize_t cuts = vgg->cuts_of_each_output ? 3 * HEQ_VGG_WIDTH : 3;
    for (int index = 0; index < HEQ_VGG_LAYERS - 1; index++) {
        const heq_vgg_layer *layer = &heq_vgg_layers[index];
        Py_ssize_t own = vgg->cuts_of_each_output ? layer->groups * layer->outputs : 1;
        cuts += layer->reach ? 3 * own : own;
    }
    return (cuts * vgg->cut_bits + 7) / 8 + 2;
}

typedef char totals_are_as_long[HEQ_VGG_OUTPUTS * sizeof(int16_t) == HEQ_VGG_CODE ? 1 : -1];

static void code_patches(const heq_vgg *vgg, kernel encode, const uint8_t *pixels,
                         Py_ssize_t count, int channels, uint8_t *codes, int as_totals)
{
    heq_patch patch = {pixels, (size_t)channels * HEQ_SIDE, channels, channels, HEQ_SIDE,
                       HEQ_SIDE, NULL, NULL};
    for (; count > 0; count--) {
        encode(vgg, &patch, codes, as_totals ? (int16_t *)(void *)codes : NULL);
        patch.pixels += HEQ_SIDE * HEQ_SIDE * channels;
        codes += HEQ_VGG_CODE;
    }
}

PyObject *heq_vgg_codes_call(PyObject *module, PyObject *arguments)
{
    PyObject *weights, *planes, *cuts, *patches, *codes;
    heq_vgg vgg;
    buffers taken = {.held = 0};
    const char *name;
    int channels, index, as_totals;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOiipOiOip", &weights, &planes, &cuts, &vgg.cut_bits,
                          &vgg.cut_offset, &vgg.cuts_of_each_output, &patches, &channels, &codes,
                          &index, &as_totals)) {
        return NULL;
    }
    kernel encode = index < 0 ? NULL : kernel_of(index, &name);
    if (encode == NULL || vgg.cut_bits < 1 || vgg.cut_bits > 16 ||
        (channels != 1 && channels != 3)) {
        PyErr_SetString(PyExc_ValueError, "there is no such kernel, width or number of channels");
        return NULL;
    }
    vgg.planes = take(&taken, planes, 0, HEQ_VGG_LAYERS);
    Py_ssize_t bytes = vgg.planes ? weight_bytes(vgg.planes) : 0;
    if (bytes < 0) {
        PyErr_SetString(PyExc_ValueError, "weights have 1 to 3 planes");
    }
    vgg.weights = bytes > 0 ? take(&taken, weights, 0, bytes) : NULL;
    vgg.cuts = vgg.weights ? take(&taken, cuts, 0, cut_bytes(&vgg)) : NULL;
    const uint8_t *pixels = vgg.cuts ? take(&taken, patches, 0, -1) : NULL;
    if (pixels) {
        Py_ssize_t size = (Py_ssize_t)channels * HEQ_SIDE * HEQ_SIDE;
        Py_ssize_t count = taken.views[taken.held - 1].len / size;
        uint8_t *made = take(&taken, codes, 1, count * HEQ_VGG_CODE);
        if (made) {
            Py_BEGIN_ALLOW_THREADS
            code_patches(&vgg, encode, pixels, count, channels, made, as_totals);
            Py_END_ALLOW_THREADS
        }
    }
    release(&taken);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
