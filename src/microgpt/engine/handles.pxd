# cython: language_level=3
"""Handles and results: a Value for Python's hands, and the node it points to, in the next place of the open block.

Nothing here can fail: the caller has reserved spare handles and free places before (`handles_add`, `results_reserve`).
"""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from microgpt.engine.arena cimport result_append
from microgpt.engine.layout cimport DATA_INT, LEAF, RESULTS, Arena, Block, Handle
from microgpt.engine.cpython_api cimport owned, revive, type_of


cdef inline Handle *handle_take(Arena *arena) noexcept:
    """A handle of class Value, with one reference, that points nowhere yet. There must be a spare one."""
    cdef Handle *handle = arena.spare
    arena.spare = <Handle *>handle.numbers
    revive(<PyObject *>handle, type_of(<PyObject *>handle))
    return handle


cdef inline void handle_point(Handle *handle, Block *block, uint32_t place) noexcept:
    """Make this the handle of a node that has none and was never an operand."""
    handle.numbers = &block.numbers[place]
    handle.id = block.first_id + place
    handle.data_int = (block.flags[place] & DATA_INT) != 0
    handle.is_operand = False
    block.handles[place] = <PyObject *>handle
    block.handles_alive += 1


cdef inline object result_with_handle(Arena *arena, Handle *handle, double data, uint32_t first, uint32_t second,
                                      uint32_t flags):
    """Append the result of an operation in a reserved place and return its Value, which is `handle`."""
    cdef Block *block = arena.open[RESULTS]
    handle.numbers = &block.numbers[block.used]
    handle.id = block.first_id + block.used
    handle.data_int = (flags & DATA_INT) != 0
    handle.is_operand = False
    block.handles_alive += 1
    result_append(arena, data, first, second, flags, <PyObject *>handle)
    return owned(<PyObject *>handle)


cdef inline uint32_t append_number(Arena *arena, double value, bint is_int) noexcept:
    """A node for a number that stands beside a Value in an expression; its one parent is made next."""
    return result_append(arena, value, 0, 0, LEAF | DATA_INT if is_int else LEAF, NULL)
