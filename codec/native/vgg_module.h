/* The functions of heqcodec._native for the encoder of seven convolutions. */
#ifndef HEQ_VGG_MODULE_H
#define HEQ_VGG_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define HEQ_VGG_CODES_DOC                                                                          \
    "vgg_codes(weights, planes, cuts, cut_bits, cut_offset, own_cuts, patches, channels, codes, "  \
    "kernel, totals)\n\n"                                                                          \
    "Writes the whole codes of patches, or int16 totals of the last layer; kernel is an index of "  \
    "vgg_kernels()."
#define HEQ_VGG_KERNELS_DOC                                                                        \
    "vgg_kernels() -> what this processor can run, the fastest first, in words"

PyObject *heq_vgg_codes_call(PyObject *module, PyObject *arguments);
PyObject *heq_vgg_kernels_call(PyObject *module, PyObject *arguments);

#endif
