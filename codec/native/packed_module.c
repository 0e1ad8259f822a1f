#include "packed_module.h"

#include "heq_packed.h"
#include "module_arrays.h"

#define TABLES 16
#define MIXING_BYTES ((Py_ssize_t)sizeof(int32_t) * HEQ_PACKED_MIXES * 4 * HEQ_PACKED_MIXED)

static int take_tables(buffers *taken, PyObject *tuple, heq_packed_tables *tables)
{
    const Py_ssize_t nets = HEQ_PACKED_NETS;
    const Py_ssize_t bytes[TABLES] = {
        HEQ_PACKED_LISTED * 6, 256, 2048, nets * HEQ_PACKED_INPUTS * HEQ_PACKED_HIDDEN * 2,
        nets * HEQ_PACKED_HIDDEN * 4, nets * HEQ_PACKED_SECOND * HEQ_PACKED_HIDDEN * 2,
        nets * HEQ_PACKED_SECOND * 4, nets * HEQ_PACKED_HEADS * HEQ_PACKED_SECOND * 2,
        nets * HEQ_PACKED_HEADS * 4, MIXING_BYTES, HEQ_PACKED_SQUASH * 2, 8 * 3 * 4,
        2 * 32 * 2, 32 * 32 * 2, 3 * 2 * 1024 * 4 * 2, 3 * 9 * 3 * 4};
    const void *data[TABLES];
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != TABLES) {
        PyErr_SetString(PyExc_TypeError, "tables must be a tuple of 16 arrays");
        return -1;
    }
    for (int i = 0; i < TABLES; i++) {
        data[i] = take(taken, PyTuple_GET_ITEM(tuple, i), 0, bytes[i]);
        if (!data[i]) {
            return -1;
        }
    }
    *tables = (heq_packed_tables){
        data[0], data[1], data[2],  data[3],  data[4],  data[5],  data[6],  data[7], data[8],
        data[9], data[10], data[11], data[12], data[13], data[14], data[15]};
    return 0;
}

/* Levels and sizes; the number of patches, or -1. */
static Py_ssize_t take_strip(buffers *taken, PyObject *levels, PyObject *sizes, int writable,
                             int rows, int columns, int planes, int step, int16_t **level_data,
                             uint8_t **size_data)
{
    Py_ssize_t patches = (Py_ssize_t)rows * columns;
    if (rows < 1 || columns < 1 || (planes != 1 && planes != 3) || step < 0 || step > 1023 ||
        patches > PY_SSIZE_T_MAX / 65536) {
        PyErr_SetString(PyExc_ValueError, "no such shape or step");
        return -1;
    }
    *level_data = take(taken, levels, writable, patches * planes * 1024 * 2);
    *size_data = *level_data ? take(taken, sizes, writable, patches) : NULL;
    return *size_data ? patches : -1;
}

static PyObject *bytes_of(const void *data, Py_ssize_t count)
{
    return PyBytes_FromStringAndSize(data, count);
}

/* The reply of packed_encode; takes no ownership. */
static PyObject *reply(const uint8_t *code, int64_t length, const int64_t *ends,
                       const heq_packed_samples *samples)
{
    PyObject *places = Py_BuildValue("(LLLLLL)", (long long)ends[0], (long long)ends[1],
                                     (long long)ends[2], (long long)ends[3], (long long)ends[4],
                                     (long long)ends[5]);
    PyObject *bytes = bytes_of(code, (Py_ssize_t)length);
    if (!places || !bytes || !samples) {
        return places && bytes ? Py_BuildValue("(NN)", bytes, places) : NULL;
    }
    Py_ssize_t count = (Py_ssize_t)samples->count;
    return Py_BuildValue("(NNNNNNN)", bytes, places,
                         bytes_of(samples->inputs, count * HEQ_PACKED_INPUTS),
                         bytes_of(samples->nets, count), bytes_of(samples->values, count),
                         bytes_of(samples->borders, count * 6 * 2),
                         bytes_of(samples->mixing, MIXING_BYTES));
}

PyObject *heq_packed_encode_call(PyObject *module, PyObject *arguments)
{
    PyObject *tables_object, *levels_object, *sizes_object, *result = NULL;
    int rows, columns, planes, step;
    Py_ssize_t wanted = 0;
    buffers taken = {.held = 0};
    heq_packed_tables tables;
    heq_packed_samples samples = {0};
    int16_t *levels;
    uint8_t *sizes, *code = NULL;
    int64_t ends[HEQ_PACKED_SLICES], length = HEQ_PACKED_NO_MEMORY, room;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOiiii|n", &tables_object, &levels_object, &sizes_object,
                          &rows, &columns, &planes, &step, &wanted)) {
        return NULL;
    }
    Py_ssize_t patches = -1;
    if (take_tables(&taken, tables_object, &tables) == 0) {
        patches = take_strip(&taken, levels_object, sizes_object, 0, rows, columns, planes, step,
                             &levels, &sizes);
    }
    if (patches < 0 || wanted < 0 || wanted > PY_SSIZE_T_MAX / 256) {
        release(&taken);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    if (wanted) {
        samples.inputs = PyMem_RawMalloc((size_t)wanted * HEQ_PACKED_INPUTS);
        samples.nets = PyMem_RawMalloc((size_t)wanted);
        samples.values = PyMem_RawMalloc((size_t)wanted);
        samples.borders = PyMem_RawMalloc((size_t)wanted * 6 * sizeof *samples.borders);
        samples.mixing = PyMem_RawMalloc((size_t)MIXING_BYTES);
        samples.capacity = wanted;
    }
    room = patches * planes * 256 + 4096;
    if (!wanted || (samples.inputs && samples.nets && samples.values && samples.borders &&
                    samples.mixing)) {
        Py_BEGIN_ALLOW_THREADS
        while ((code = PyMem_RawMalloc((size_t)room)) != NULL) {
            samples.count = 0;
            length = heq_packed_encode(levels, sizes, rows, columns, planes, step, &tables, code,
                                       room, ends, wanted ? &samples : NULL);
            if (length <= room) {
                break;
            }
            PyMem_RawFree(code);
            room = length;
        }
        Py_END_ALLOW_THREADS
    }
    result = code && length >= 0 ? reply(code, length, ends, wanted ? &samples : NULL)
                                 : PyErr_NoMemory();
    PyMem_RawFree(code);
    PyMem_RawFree(samples.inputs);
    PyMem_RawFree(samples.nets);
    PyMem_RawFree(samples.values);
    PyMem_RawFree(samples.borders);
    PyMem_RawFree(samples.mixing);
    release(&taken);
    return result;
}

PyObject *heq_packed_decode_call(PyObject *module, PyObject *arguments)
{
    PyObject *tables_object, *ends_object, *levels_object, *sizes_object;
    Py_buffer code;
    int rows, columns, planes, step;
    buffers taken = {.held = 0};
    heq_packed_tables tables;
    int16_t *levels;
    uint8_t *sizes;
    int64_t ends[HEQ_PACKED_SLICES] = {0}, before = 0, status = HEQ_PACKED_NO_MEMORY;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "Oy*O!OOiiii", &tables_object, &code, &PyTuple_Type,
                          &ends_object, &levels_object, &sizes_object, &rows, &columns, &planes,
                          &step)) {
        return NULL;
    }
    Py_ssize_t slices = PyTuple_GET_SIZE(ends_object);
    for (Py_ssize_t i = 0; i < slices && i < HEQ_PACKED_SLICES && !PyErr_Occurred(); i++) {
        ends[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(ends_object, i));
        if (!PyErr_Occurred() && (ends[i] < before || ends[i] > code.len)) {
            PyErr_SetString(PyExc_ValueError, "the slices do not lie in the code");
        }
        before = ends[i];
    }
    if (slices > HEQ_PACKED_SLICES && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "too many slices");
    }
    if (!PyErr_Occurred() && take_tables(&taken, tables_object, &tables) == 0 &&
        take_strip(&taken, levels_object, sizes_object, 1, rows, columns, planes, step, &levels,
                   &sizes) >= 0) {
        Py_BEGIN_ALLOW_THREADS
        status = heq_packed_decode(code.buf, ends, (int)slices, rows, columns, planes, step,
                                   &tables, levels, sizes);
        Py_END_ALLOW_THREADS
        if (status == HEQ_PACKED_NO_MEMORY) {
            PyErr_NoMemory();
        }
    }
    release(&taken);
    PyBuffer_Release(&code);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(status == 0);
}
