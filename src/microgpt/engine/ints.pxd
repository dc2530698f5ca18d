# cython: language_level=3
"""The rule of ints: where the script shows `0`, this engine, whose numbers are all doubles, must not show `0.0`.

1. A number is an int if it came in as one, or if all that it was computed from by +, * and ** are ints.
2. An int that reaches 2**53, where doubles no longer tell whole numbers apart, is a float from then on.
3. An int has no minus zero.

A class of a user's that `microgpt run` exchanges may have other kinds in places (Arena.kinds): `self.grad = 0.0`.

Which numbers are ints: DATA_INT of a node's flags says it of its data, GRAD0_INT and GRAD1_INT of its local gradients,
Block.int_grads of its grad, Handle.data_int once more of its data. A dot product keeps marks for the shared vector
(Dots.shared_int; the rows of one never hold ints) and HIDDEN_FLOAT for the gradients of what it stands for.
"""
from libc.stdint cimport uint32_t
from microgpt.engine.layout cimport BLOCK_BITS, DATA_INT, GRAD, PLACE_MASK, Arena, Block, likely


cdef inline bint fits_int(double value) noexcept nogil:
    """Rule 2: whether a whole number may read back as an int."""
    return -9007199254740992.0 < value < 9007199254740992.0


cdef inline uint32_t int_flag(Arena *arena, double *value, bint is_int) noexcept:
    """DATA_INT if a result is an int. Applies rules 2 and 3 to it; arena.int_overflowed tells that rule 2 made a float of an
    int."""
    if likely(not is_int):
        return 0
    value[0] += 0.0
    if arena.kinds.float_data:
        return 0
    if fits_int(value[0]):
        return DATA_INT
    arena.int_overflowed = True
    return 0


cdef inline void grad_add_int(Block **blocks, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, an int."""
    cdef Block *block = blocks[child >> BLOCK_BITS]
    cdef double grad = block.numbers[GRAD + (child & PLACE_MASK)] + (contribution + 0.0)
    block.numbers[GRAD + (child & PLACE_MASK)] = grad
    if not fits_int(grad):
        block.int_grads[child & PLACE_MASK] = False
