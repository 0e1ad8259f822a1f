/* heqcodec._native: the C coders as a CPython extension.
 *
 * This file only unpacks arguments, checks sizes and lets go of the interpreter's lock; the coders
 * themselves know nothing of Python. Arrays come and go through the buffer protocol, so numpy is
 * not needed to build. Every function of the module is a row of `methods` at the end.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "heq_device.h"
#include "levels_module.h"
#include "packed_module.h"
#include "patch_module.h"
#include "vgg_module.h"

/* Read an argument as a contiguous array of exactly `count` items of `size` bytes each.
 * Returns 0, or -1 with an exception set and nothing held. */
static int take_array(PyObject *object, Py_buffer *view, int writable, const char *name,
                      Py_ssize_t count, Py_ssize_t size)
{
    if (PyObject_GetBuffer(object, view, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) < 0) {
        return -1;
    }
    if (view->itemsize != size || view->len != count * size) {
        PyErr_Format(PyExc_ValueError, "%s must hold %zd items of %zd bytes, not %zd bytes of %zd",
                     name, count, size, view->len, view->itemsize);
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

/* ---- Device coder ------------------------------------------------------------------------ */

typedef struct {
    Py_buffer views[7];
    int held;
    heq_device_tables tables;
} device_tables;

static void release_tables(device_tables *taken)
{
    while (taken->held > 0) {
        PyBuffer_Release(&taken->views[--taken->held]);
    }
}

/* From a tuple (start, weights, scores, places, stretch, squash, widths). */
static int take_tables(PyObject *tuple, device_tables *taken)
{
    static const char *const names[7] = {"start",   "weights", "scores", "places",
                                         "stretch", "squash",  "widths"};
    static const Py_ssize_t counts[7] = {HEQ_DEVICE_KNOTS * HEQ_DEVICE_CONTEXTS,
                                         HEQ_DEVICE_SETS * HEQ_DEVICE_INPUTS,
                                         2 * HEQ_DEVICE_CLASSES * HEQ_DEVICE_SUMS * 16,
                                         2 * 6 * HEQ_DEVICE_PLACES * 4,
                                         2048,
                                         256,
                                         1024};
    taken->held = 0;
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != 7) {
        PyErr_SetString(PyExc_TypeError, "tables must be a tuple of seven arrays");
        return -1;
    }
    for (; taken->held < 7; taken->held++) {
        int index = taken->held;
        if (take_array(PyTuple_GET_ITEM(tuple, index), &taken->views[index], 0, names[index],
                       counts[index], index < 5 ? 1 : 2) < 0) {
            release_tables(taken);
            return -1;
        }
    }
    taken->tables.start = taken->views[0].buf;
    taken->tables.weights = taken->views[1].buf;
    taken->tables.scores = taken->views[2].buf;
    taken->tables.places = taken->views[3].buf;
    taken->tables.stretch = taken->views[4].buf;
    taken->tables.squash = taken->views[5].buf;
    taken->tables.widths = taken->views[6].buf;
    return 0;
}

static int check_shape(Py_ssize_t rows, Py_ssize_t columns, int planes, int step)
{
    if (rows < 1 || columns < 1 || rows > PY_SSIZE_T_MAX / 8192 / columns ||
        (planes != 1 && planes != 3) || step < 0 || step > 1023) {
        PyErr_SetString(PyExc_ValueError, "no such shape or step");
        return -1;
    }
    return 0;
}

/* Decisions of a strip, one row of 16-bit numbers each: set, bit, inputs, contexts, logits; of
 * the level that is coded its place in the tables of scores, and the bins of the sums around. */
#define TRACE_ROW (4 + 2 * HEQ_DEVICE_INPUTS + HEQ_DEVICE_SUMS)

typedef struct {
    int16_t *rows;
    size_t count;
    size_t room;
    int failed;
} device_trace;

void heq_device_trace(const heq_device_strip *strip, int set, int inputs, const int *contexts,
                      const int *logits, int bit)
{
    device_trace *kept = strip->trace;
    int16_t *row;
    int input;
    if (kept->count == kept->room) {
        size_t room = kept->room ? 2 * kept->room : 1 << 16;
        int16_t *rows = PyMem_RawRealloc(kept->rows, room * TRACE_ROW * sizeof *rows);
        if (rows == NULL) {
            kept->failed = 1;
            return;
        }
        kept->rows = rows;
        kept->room = room;
    }
    row = kept->rows + TRACE_ROW * kept->count++;
    memset(row, 0, TRACE_ROW * sizeof *row);
    row[0] = (int16_t)set;
    row[1] = (int16_t)bit;
    row[2] = (int16_t)inputs;
    for (input = 0; input < inputs; input++) {
        row[3 + input] = (int16_t)contexts[input];
        row[3 + HEQ_DEVICE_INPUTS + input] = (int16_t)logits[input];
    }
    if (strip->traced != NULL) {
        row += 3 + 2 * HEQ_DEVICE_INPUTS;
        row[0] = (int16_t)(strip->traced_place - strip->tables->places);
        for (input = 0; input < HEQ_DEVICE_SUMS; input++) {
            row[1 + input] = strip->traced[input];
        }
    }
}

static int check_part(int part)
{
    if (part < HEQ_DEVICE_WHOLE || part > HEQ_DEVICE_HIGH) {
        PyErr_SetString(PyExc_ValueError, "a strip has part 0, 1 or 2");
        return -1;
    }
    return 0;
}

static size_t run_encoder(heq_device_strip *strip, const heq_device_tables *tables,
                          const int16_t *levels, const uint8_t *sizes, Py_ssize_t rows,
                          Py_ssize_t columns, int planes, int step, int part, uint8_t *bytes,
                          size_t room, void *trace)
{
    Py_ssize_t row, column;
    heq_device_begin_encode(strip, tables, planes, step, bytes, room);
    strip->trace = trace;
    strip->part = (uint8_t)part;
    for (row = 0; row < rows; row++) {
        for (column = 0; column < columns; column++) {
            heq_device_encode_patch(strip, levels, *sizes++, column == 0);
            levels += (size_t)planes * HEQ_DEVICE_LEVELS;
        }
    }
    return heq_device_end_encode(strip);
}

/* Both encoders; what is returned is the payload or the trace. */
static PyObject *encode_or_trace(PyObject *arguments, int tracing)
{
    PyObject *tables_object, *levels_object, *sizes_object, *result = NULL;
    Py_ssize_t rows, columns;
    int planes, step, part = HEQ_DEVICE_WHOLE;
    device_tables taken;
    Py_buffer levels, sizes;
    if (!PyArg_ParseTuple(arguments, "OOOnnii|i", &tables_object, &levels_object, &sizes_object,
                          &rows, &columns, &planes, &step, &part) ||
        check_part(part) < 0 || check_shape(rows, columns, planes, step) < 0 ||
        take_tables(tables_object, &taken) < 0) {
        return NULL;
    }
    if (take_array(levels_object, &levels, 0, "levels",
                   rows * columns * planes * HEQ_DEVICE_LEVELS, 2) == 0) {
        if (take_array(sizes_object, &sizes, 0, "sizes", rows * columns, 1) == 0) {
            device_trace trace = {NULL, 0, 0, 0};
            heq_device_strip *strip = PyMem_RawMalloc(sizeof *strip);
            size_t room = (size_t)(rows * columns) * 512 + 64, length = 0;
            uint8_t *bytes = PyMem_RawMalloc(room);
            Py_BEGIN_ALLOW_THREADS
            while (strip != NULL && bytes != NULL) {
                length = run_encoder(strip, &taken.tables, levels.buf, sizes.buf, rows, columns,
                                     planes, step, part, bytes, room, tracing ? &trace : NULL);
                if (length <= room || tracing) {
                    break;
                }
                PyMem_RawFree(bytes);
                room = length;
                bytes = PyMem_RawMalloc(room);
            }
            Py_END_ALLOW_THREADS
            if (strip == NULL || bytes == NULL || trace.failed) {
                PyErr_NoMemory();
            } else if (tracing) {
                result = PyBytes_FromStringAndSize(
                    (const char *)trace.rows,
                    (Py_ssize_t)(trace.count * TRACE_ROW * sizeof *trace.rows));
            } else {
                result = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)length);
            }
            PyMem_RawFree(trace.rows);
            PyMem_RawFree(bytes);
            PyMem_RawFree(strip);
            PyBuffer_Release(&sizes);
        }
        PyBuffer_Release(&levels);
    }
    release_tables(&taken);
    return result;
}

static PyObject *device_encode(PyObject *module, PyObject *arguments)
{
    (void)module;
    return encode_or_trace(arguments, 0);
}

static PyObject *device_trace_strip(PyObject *module, PyObject *arguments)
{
    (void)module;
    return encode_or_trace(arguments, 1);
}

static PyObject *device_decode(PyObject *module, PyObject *arguments)
{
    PyObject *tables_object, *payload_object, *levels_object, *sizes_object, *result = NULL;
    Py_ssize_t rows, columns, patch;
    int planes, step, part = HEQ_DEVICE_WHOLE;
    device_tables taken;
    Py_buffer payload, levels, sizes;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOnnii|i", &tables_object, &payload_object, &levels_object,
                          &sizes_object, &rows, &columns, &planes, &step, &part) ||
        check_part(part) < 0 || check_shape(rows, columns, planes, step) < 0 ||
        take_tables(tables_object, &taken) < 0) {
        return NULL;
    }
    if (PyObject_GetBuffer(payload_object, &payload, PyBUF_SIMPLE) == 0) {
        if (take_array(levels_object, &levels, 1, "levels",
                       rows * columns * planes * HEQ_DEVICE_LEVELS, 2) == 0) {
            if (take_array(sizes_object, &sizes, 1, "sizes", rows * columns, 1) == 0) {
                heq_device_strip *strip = PyMem_RawMalloc(sizeof *strip);
                int status = 0;
                Py_BEGIN_ALLOW_THREADS
                if (strip != NULL) {
                    int16_t *place = levels.buf;
                    heq_device_begin_decode(strip, &taken.tables, planes, step, payload.buf,
                                            (size_t)payload.len);
                    strip->trace = NULL;
                    strip->part = (uint8_t)part;
                    for (patch = 0; patch < rows * columns; patch++) {
                        int size = ((uint8_t *)sizes.buf)[patch];
                        heq_device_decode_patch(strip, place, &size, patch % columns == 0);
                        ((uint8_t *)sizes.buf)[patch] = (uint8_t)size;
                        place += (size_t)planes * HEQ_DEVICE_LEVELS;
                    }
                    status = heq_device_end_decode(strip);
                }
                Py_END_ALLOW_THREADS
                if (strip == NULL) {
                    PyErr_NoMemory();
                } else {
                    result = PyBool_FromLong(status == 0);
                }
                PyMem_RawFree(strip);
                PyBuffer_Release(&sizes);
            }
            PyBuffer_Release(&levels);
        }
        PyBuffer_Release(&payload);
    }
    release_tables(&taken);
    return result;
}

/* ---- The module -------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"device_encode", device_encode, METH_VARARGS,
     "device_encode(tables, levels, sizes, rows, columns, planes, step, part=0) -> payload"},
    {"device_decode", device_decode, METH_VARARGS,
     "device_decode(tables, payload, levels, sizes, rows, columns, planes, step, part=0) -> is it "
     "valid?"},
    {"device_trace", device_trace_strip, METH_VARARGS,
     "device_trace(tables, levels, sizes, rows, columns, planes, step) -> decisions, for training"},
    {"rate_coefficients", heq_coefficients_call, METH_VARARGS, HEQ_COEFFICIENTS_DOC},
    {"patch_codes", heq_patch_codes_call, METH_VARARGS, HEQ_PATCH_CODES_DOC},
    {"patch_intervals", heq_patch_intervals_call, METH_VARARGS, HEQ_PATCH_INTERVALS_DOC},
    {"rate_levels", heq_levels_call, METH_VARARGS, HEQ_LEVELS_DOC},
    {"packed_encode", heq_packed_encode_call, METH_VARARGS, HEQ_PACKED_ENCODE_DOC},
    {"packed_decode", heq_packed_decode_call, METH_VARARGS, HEQ_PACKED_DECODE_DOC},
    {"vgg_codes", heq_vgg_codes_call, METH_VARARGS, HEQ_VGG_CODES_DOC},
    {"vgg_kernels", heq_vgg_kernels_call, METH_NOARGS, HEQ_VGG_KERNELS_DOC},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_native",
    "The encoder and the entropy coders in C.",
    0,
    methods,
    NULL,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
