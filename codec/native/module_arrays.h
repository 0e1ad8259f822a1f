/* Arrays of Python's that a call of heqcodec._native holds while it works on them. */
#ifndef HEQ_MODULE_ARRAYS_H
#define HEQ_MODULE_ARRAYS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define HEQ_MODULE_ARRAYS 20

typedef struct {
    Py_buffer views[HEQ_MODULE_ARRAYS];
    int held;
} buffers;

static inline void release(buffers *taken)
{
    while (taken->held) {
        PyBuffer_Release(&taken->views[--taken->held]);
    }
}

/* The data of an array of `bytes` bytes, of any number where that is -1; NULL with an exception. */
static inline void *take(buffers *taken, PyObject *object, int writable, Py_ssize_t bytes)
{
    Py_buffer *view = &taken->views[taken->held];
    if (PyObject_GetBuffer(object, view, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) < 0) {
        return NULL;
    }
    taken->held++;
    if (bytes >= 0 && view->len != bytes) {
        PyErr_Format(PyExc_ValueError, "an array must have %zd bytes, not %zd", bytes, view->len);
        return NULL;
    }
    return view->buf;
}

#endif
