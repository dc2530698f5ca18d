# cython: language_level=3
"""What other modules of the package may use of the engine: the handle, and the arena it points into."""
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t
from microgpt._arena cimport Arena, Numbers


cdef class Value:                       # 32 bytes; what a script holds
    cdef Numbers *numbers               # data and grad of the node; in a spare handle: the next spare one
    cdef uint32_t id                    # the node; 0 before __init__
    cdef uint8_t data_int               # data is an int (as in the node's flags)
    cdef uint8_t used                   # it was an operand, so its node may have parents


ctypedef struct Handle:                 # the same fields, for code that must not touch reference counts
    PyObject base
    Numbers *numbers
    uint32_t id
    uint8_t data_int
    uint8_t used


cdef Arena *engine_arena() noexcept
cdef int read_number(object number, double *value, bint *is_int) except -1
