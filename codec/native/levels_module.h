/* The transform's and the quantizer's functions of heqcodec._native. */
#ifndef HEQ_LEVELS_MODULE_H
#define HEQ_LEVELS_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define HEQ_COEFFICIENTS_DOC                                                                       \
    "rate_coefficients(large, small, layers, shift, patches, channels, coefficients)\n\n"          \
    "Writes the coefficients of patches in both sizes; the transform's layers are packed."
#define HEQ_LEVELS_DOC                                                                             \
    "rate_levels(near, cross, bias, shifts, steps, limit, shift, coefficients, planes, levels, "    \
    "sizes)\n\n"                                                                                   \
    "Chooses sizes and writes levels; near and cross are packed; limit and shift of heq_relief."

PyObject *heq_coefficients_call(PyObject *module, PyObject *arguments);
PyObject *heq_levels_call(PyObject *module, PyObject *arguments);

#endif
