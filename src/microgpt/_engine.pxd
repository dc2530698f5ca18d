# cython: language_level=3
"""What other modules of the package may use of the engine: the handle, and the arena it points into."""
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t
from microgpt.engine.layout cimport Arena, Replay


cdef class Value:                       # mirrored by Handle in engine/layout.pxd, for code that must not touch reference counts
    cdef double *numbers
    cdef uint32_t id
    cdef uint8_t data_int
    cdef uint8_t is_operand


cdef Arena *engine_arena() noexcept
cdef int read_number(object number, double *value, bint *is_int) except -1
cdef int handles_add(uint32_t n) except -1
cdef int real_power(double base, double exponent, double *result) except -1
cdef double real_exp(double x) except? -1.0
cdef object engine_recorder()
cdef object replay_value(double data, bint is_int, Replay *replay)
cdef int replay_link(uint32_t node, Value result) except -1
cdef void replay_exchange(Value replayed, Value result) noexcept
cdef void defer_release(PyObject *thing) noexcept
cdef bint methods_unchanged() except -1
