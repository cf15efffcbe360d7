"""The part of the C interface that runs networks, by ctypes."""
import ctypes

import numpy

DTYPES = {numpy.dtype("float32"): 1, numpy.dtype("uint8"): 2, numpy.dtype("int8"): 3, numpy.dtype("int32"): 6,
          numpy.dtype("int64"): 7, numpy.dtype("bool"): 9}
NUMPY = {number: dtype for dtype, number in DTYPES.items()}


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1020)]


class Tensor(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("name", ctypes.c_char_p), ("dtype", ctypes.c_int),
                ("rank", ctypes.c_int32), ("dims", ctypes.c_int64 * 8), ("data", ctypes.c_void_p)]


class DeviceInfo(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("name", ctypes.c_char * 256), ("driver", ctypes.c_char * 256)]


class Failure(Exception):
    def __init__(self, error):
        super().__init__(error.message.decode())
        self.status = error.status


class Tagmask:
    def __init__(self, library):
        self.lib = ctypes.CDLL(library)
        for name in ("tagmask_network_inputs", "tagmask_network_outputs"):
            getattr(self.lib, name).restype = ctypes.c_size_t
        self.device = ctypes.c_void_p()
        self.call("tagmask_device_open", None, ctypes.byref(self.device))
        info = DeviceInfo(ctypes.sizeof(DeviceInfo))
        self.lib.tagmask_device_get_info(self.device, ctypes.byref(info))
        self.device_name = info.name.decode()

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.lib, name)(*arguments, ctypes.byref(error)):
            raise Failure(error)

    def close(self):
        self.lib.tagmask_device_close(self.device)

    def describe(self, network, which):
        tensors = ctypes.POINTER(Tensor)()
        count = getattr(self.lib, "tagmask_network_" + which)(network, ctypes.byref(tensors))
        return [tensors[i].name.decode() for i in range(count)]

    def run(self, path, arrays):
        """The outputs, by name, of the network at `path` for input arrays by name."""
        network = ctypes.c_void_p()
        self.call("tagmask_network_load", self.device, str(path).encode(), None, ctypes.c_size_t(0),
                  ctypes.byref(network))
        try:
            names = self.describe(network, "inputs")
            arrays = [numpy.ascontiguousarray(arrays[name]) if arrays[name].ndim else arrays[name] for name in names]
            inputs = (Tensor * max(len(names), 1))()
            for tensor, array, name in zip(inputs, arrays, names):
                tensor.struct_size = ctypes.sizeof(Tensor)
                tensor.name = name.encode()
                tensor.dtype = DTYPES[array.dtype]
                tensor.rank = array.ndim
                tensor.dims[:array.ndim] = array.shape
                tensor.data = array.ctypes.data
            results = self.describe(network, "outputs")
            outputs = (Tensor * max(len(results), 1))()
            for tensor in outputs:
                tensor.struct_size = ctypes.sizeof(Tensor)
            self.call("tagmask_network_run", network, inputs, ctypes.c_size_t(len(names)), outputs)
            made = {name: self.take(tensor) for name, tensor in zip(results, outputs)}
            return made
        finally:
            self.lib.tagmask_network_free(network)

    def take(self, tensor):
        shape = tuple(tensor.dims[:tensor.rank])
        dtype = NUMPY[tensor.dtype]
        size = int(numpy.prod(shape, dtype=numpy.int64)) * dtype.itemsize
        array = numpy.frombuffer(ctypes.string_at(tensor.data, size) if size else b"", dtype).reshape(shape).copy()
        self.lib.tagmask_tensor_release(ctypes.byref(tensor))
        return array
