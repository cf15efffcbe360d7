// NumPy's .npy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1 to 3.
// Needs only base/: the command line compiles it too.
#ifndef TM_NPY_H
#define TM_NPY_H

#include "base/base.h"

// Reads a little-endian, C- or Fortran-ordered array of at most 8 dimensions: float32, int32, int64, uint8, int8 and
// bool as they are; float64 and float16 become float32; int16, uint16 become int32, uint32 becomes int64.
// tensor->data is malloc'ed (release with free), tensor->name is NULL.
tagmask_status tm_npy_read(const char *path, tagmask_tensor *tensor, tm_error *err);
// The same from memory; name is for messages.
tagmask_status tm_npy_parse(const char *name, const uint8_t *bytes, size_t size, tagmask_tensor *tensor, tm_error *err);
// Writes version 1.0, C order, whole or not at all.
tagmask_status tm_npy_write(const char *path, const tagmask_tensor *tensor, tm_error *err);

#endif
