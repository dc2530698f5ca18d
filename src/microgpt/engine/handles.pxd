# cython: language_level=3
"""Handles and results: a Value for Python's hands, and the node it points to, in the next place of the open block.

Nothing here can fail: whoever calls has seen to spare handles and to free places before (`handles_add`,
`results_reserve`).
"""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from microgpt.engine.arena cimport result_append
from microgpt.engine.contribute cimport fits_int
from microgpt.engine.layout cimport DATA_INT, LEAF, RESULTS, Arena, Block, Handle, likely
from microgpt.engine.cpython_api cimport owned, revive, type_of


cdef inline Handle *handle_take(Arena *arena) noexcept:
    """A handle of class Value, with one reference, that points nowhere yet. There must be a spare one."""
    cdef Handle *handle = arena.spare
    arena.spare = <Handle *>handle.numbers
    revive(<PyObject *>handle, type_of(<PyObject *>handle))
    return handle


cdef inline void handle_point(Handle *handle, Block *block, uint32_t place) noexcept:
    """Make this the handle of a node that has none. It was no operand so far."""
    handle.numbers = &block.numbers[place]
    handle.id = block.first_id + place
    handle.data_int = (block.flags[place] & DATA_INT) != 0
    handle.used = False
    block.handles[place] = <PyObject *>handle
    block.handles_alive += 1


cdef inline object finish(Arena *arena, Handle *handle, double data, uint32_t first, uint32_t second, uint32_t flags):
    """Append the result of an operation in a reserved place, held by `handle`."""
    cdef Block *block = arena.open[RESULTS]
    handle.numbers = &block.numbers[block.used]
    handle.id = block.first_id + block.used
    handle.data_int = (flags & DATA_INT) != 0
    handle.used = False
    block.handles_alive += 1
    result_append(arena, data, first, second, flags, <PyObject *>handle)
    return owned(<PyObject *>handle)


cdef inline uint32_t constant(Arena *arena, double value, bint is_int) noexcept:
    """A node for a number that stands beside a Value in an expression; its one parent is made next."""
    return result_append(arena, value, 0, 0, LEAF | DATA_INT if is_int else LEAF, NULL)


cdef inline uint32_t int_mark(double *value, bint is_int) noexcept:
    """DATA_INT for a result of ints, unless it is too large; an int has no minus zero."""
    if likely(not is_int):
        return 0
    value[0] += 0.0
    return DATA_INT if fits_int(value[0]) else 0
