# cython: language_level=3
"""child.grad += contribution: the one thing that backward does to a node."""
from libc.stdint cimport uint32_t
from microgpt.engine.ints cimport grad_add_int
from microgpt.engine.layout cimport BLOCK_BITS, GRAD, PLACE_MASK, Block


cdef inline void grad_add(Block **blocks, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, a float."""
    cdef Block *block = blocks[child >> BLOCK_BITS]
    block.numbers[GRAD + (child & PLACE_MASK)] += contribution
    block.int_grads[child & PLACE_MASK] = False


cdef inline void propagate(Block **blocks, uint32_t child, double local_grad, double grad, bint is_int) noexcept nogil:
    """child.grad += local_grad * grad; is_int: both factors are ints."""
    if is_int:
        grad_add_int(blocks, child, local_grad * grad)
    else:
        grad_add(blocks, child, local_grad * grad)
