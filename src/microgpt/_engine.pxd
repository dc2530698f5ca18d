# cython: language_level=3
"""What other modules of the package may use of the engine: the handle, and the arena it points into."""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from microgpt._arena cimport Arena, Numbers


cdef class Value:                       # 32 bytes; what a script holds
    cdef Numbers *numbers               # data and grad of the node; in a free handle: the next free one
    cdef uint32_t id                    # the node; 0 before __init__
    cdef uint32_t uses                  # low bit: data is an int; above it: parents made while this handle lives


ctypedef struct Handle:                 # the same fields, for code that must not touch reference counts
    PyObject base
    Numbers *numbers
    uint32_t id
    uint32_t uses


cdef Arena *engine_arena() noexcept
cdef int read_number(object number, double *value, bint *is_int) except -1
