# cython: language_level=3
"""child.grad += contribution: the one thing that backward does to a node, with floats and with ints."""
from libc.stdint cimport uint32_t
from microgpt.engine.layout cimport BLOCK_BITS, GRAD, PLACE_MASK, Block


cdef inline bint fits_int(double value) noexcept nogil:
    """Whether a whole number may read back as an int: below 2**53 a double tells whole numbers apart."""
    return -9007199254740992.0 < value < 9007199254740992.0


cdef inline void contribute(Block **blocks, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, a float."""
    cdef Block *block = blocks[child >> BLOCK_BITS]
    block.numbers[GRAD + (child & PLACE_MASK)] += contribution
    block.int_grads[child & PLACE_MASK] = False


cdef inline void contribute_int(Block **blocks, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, an int: it stays one if it was one and is not too large. An int has no minus zero."""
    cdef Block *block = blocks[child >> BLOCK_BITS]
    cdef double grad = block.numbers[GRAD + (child & PLACE_MASK)] + (contribution + 0.0)
    block.numbers[GRAD + (child & PLACE_MASK)] = grad
    if not fits_int(grad):
        block.int_grads[child & PLACE_MASK] = False


cdef inline void pass_on(Block **blocks, uint32_t child, double local_grad, double grad, bint is_int) noexcept nogil:
    """child.grad += local_grad * grad"""
    if is_int:
        contribute_int(blocks, child, local_grad * grad)
    else:
        contribute(blocks, child, local_grad * grad)
