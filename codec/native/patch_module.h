/* The functions of heqcodec._native for the mode of patches of one size. */
#ifndef HEQ_PATCH_MODULE_H
#define HEQ_PATCH_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define HEQ_PATCH_CODES_DOC                                                                        \
    "patch_codes(large, small, layers, shift, significance, flag, refinement, lps, order,\n"       \
    "            patches, channels, length, codes)\n\n"                                            \
    "Writes the codes of patches, `length` bytes each; the transform's layers are packed."
#define HEQ_PATCH_INTERVALS_DOC                                                                    \
    "patch_intervals(significance, flag, refinement, lps, order, codes, count, channels,\n"        \
    "                low, width, negative, reached)\n\n"                                           \
    "Writes what the codes say of the coefficients of `count` patches, into arrays of zeros."

PyObject *heq_patch_codes_call(PyObject *module, PyObject *arguments);
PyObject *heq_patch_intervals_call(PyObject *module, PyObject *arguments);

#endif
