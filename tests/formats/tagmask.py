"""The few functions of libtagmask that the comparison needs, by ctypes."""
import ctypes
from ctypes import c_char_p, c_size_t, c_uint32, c_void_p
import numpy as np


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1020)]


class TagmaskError(Exception):
    pass


class Library:
    def __init__(self, path):
        self.lib = lib = ctypes.CDLL(path)
        lib.tagmask_result_labels.restype = c_void_p
        lib.tagmask_result_tag.restype = c_char_p
        lib.tagmask_result_tag_count.restype = c_size_t
        lib.tagmask_result_tag.argtypes = [c_void_p, c_size_t]
        for name in "labels", "tag_count", "free":
            getattr(lib, "tagmask_result_" + name).argtypes = [c_void_p]
        lib.tagmask_result_read.argtypes = [c_char_p] * 3 + [c_uint32] * 2 + [c_void_p] * 2
        lib.tagmask_result_write.argtypes = [c_void_p] + [c_char_p] * 2 + [c_void_p, c_char_p, c_void_p]

    def _check(self, status, error):
        if status:
            raise TagmaskError(error.message.decode())

    def read(self, format, path, photo, width, height):
        result, error = c_void_p(), Error()
        self._check(self.lib.tagmask_result_read(format.encode(), str(path).encode(), str(photo).encode(), width,
                                                 height, ctypes.byref(result), ctypes.byref(error)), error)
        return Result(self, result, width, height)


class Result:
    def __init__(self, library, handle, width, height):
        self.library, self.handle, self.shape = library, handle, (height, width)

    def __del__(self):
        self.library.lib.tagmask_result_free(self.handle)

    def write(self, format, photo, out):
        error = Error()
        self.library._check(self.library.lib.tagmask_result_write(self.handle, format.encode(), str(photo).encode(),
                                                                  None, str(out).encode(), ctypes.byref(error)), error)

    def masks(self):
        """{tag: mask}"""
        lib, (height, width) = self.library.lib, self.shape
        address = lib.tagmask_result_labels(self.handle)
        labels = np.ctypeslib.as_array((ctypes.c_uint8 * (height * width)).from_address(address)).reshape(self.shape)
        tags = [lib.tagmask_result_tag(self.handle, i).decode() for i in range(lib.tagmask_result_tag_count(self.handle))]
        return {tag: labels == i + 1 for i, tag in enumerate(tags)}
