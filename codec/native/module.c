/* heqcodec._native: the C coders as a CPython extension.
 *
 * This file only unpacks arguments, checks sizes and lets go of the interpreter's lock; the coders
 * themselves know nothing of Python. Arrays come and go through the buffer protocol, so numpy is
 * not needed to build. Every function of the module is a row of `methods` at the end.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

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

static PyMethodDef methods[] = {
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "The entropy coders in C.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
