/* The packed coder's functions of heqcodec._native. */
#ifndef HEQ_PACKED_MODULE_H
#define HEQ_PACKED_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define HEQ_PACKED_ENCODE_DOC                                                                      \
    "packed_encode(tables, levels, sizes, rows, columns, planes, step[, samples])\n\n"             \
    "Returns the code and where its slices end. With a number of samples, also what training\n"    \
    "wants of so many decisions: inputs, nets, values, borders, and the weights of the mixes."
#define HEQ_PACKED_DECODE_DOC                                                                      \
    "packed_decode(tables, code, ends, levels, sizes, rows, columns, planes, step)\n\n"            \
    "Writes levels and sizes; returns whether all levels were in range."

PyObject *heq_packed_encode_call(PyObject *module, PyObject *arguments);
PyObject *heq_packed_decode_call(PyObject *module, PyObject *arguments);

#endif
