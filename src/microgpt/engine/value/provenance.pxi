# Which operation made a node: told by its kind, and by fields that no hot loop reads.
# A part of _engine.pyx, which includes it.

cdef tuple OPERATIONS = (None, "log", "exp", "relu", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu", "gelu tanh",
                         "**", "c**", "+ c", "* c")         # by OF_...


cdef inline void mark_constructed(uint32_t node) noexcept:
    """The constructor made this node, whatever its local gradients look like."""
    block_of(&arena, node).constructed[(node & PLACE_MASK) >> 6] |= <uint64_t>1 << (node & 63)


cdef inline bint is_constructed(Block *block, uint32_t place) noexcept:
    return (block.constructed[place >> 6] >> (place & 63)) & 1


cdef inline void mark_raised(uint32_t node) noexcept:
    """This node of two children is a Value ** Value."""
    block_of(&arena, node).raised[(node & PLACE_MASK) >> 6] |= <uint64_t>1 << (node & 63)


cdef bint has_inline(Handle *handle, tuple children) noexcept:
    """Whether the node has just these one or two children, with local gradients beside them."""
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    cdef uint32_t second = (<Handle *>children[1]).id if len(children) == 2 else 0
    return (not block.flags[place] & (LEAF | NARY) and block.children[place].second == second
            and block.children[place].first == (<Handle *>children[0]).id)


cdef inline bint are_int_ones(uint32_t flags, LocalGrads *local_grads) noexcept:
    return (flags & GRAD0_INT and flags & GRAD1_INT and local_grads.first.value == 1.0 and local_grads.second.value == 1.0)


cdef void set_operation(object made, tuple children, uint32_t operation) noexcept:
    """Record the operation for a result that a subclass made by its constructor, unless it gave it other children."""
    cdef Block *block
    cdef LocalGrads *local_grads
    cdef uint32_t place
    if not is_value(<PyObject *>made) or not has_inline(<Handle *>made, children):
        return
    block, place = block_of(&arena, (<Handle *>made).id), (<Handle *>made).id & PLACE_MASK
    local_grads = &block.local_grads[place]
    if operation == OP_ADD:
        if not are_int_ones(block.flags[place], local_grads):
            return
        block.flags[place] = (block.flags[place] & ~<uint32_t>(GRAD0_INT | GRAD1_INT)) | ONES
    elif len(children) == 1:
        local_grads.second.operation = operation
    elif operation == OP_POW:
        mark_raised((<Handle *>made).id)
    block.constructed[place >> 6] &= ~(<uint64_t>1 << (place & 63))


def operation_of(Value value not None):
    """The operation that made a Value, whatever was written to it or its operands since. "" for a leaf; None where the
    constructor made it, or an assignment to its children or local gradients; else one of + * dot sum, log exp relu and the
    other methods, ** (to a number or a Value), c** (a number to it), and, where the number has no Value, + c and * c."""
    cdef uint32_t place = value.id & PLACE_MASK
    cdef Block *block = block_of(&arena, value.id)
    require_node(<Handle *>value, "operation_of")
    if block.flags[place] & LEAF:
        return ""
    if block.flags[place] & DOT == DOT:
        return "sum" if block.local_grads[place].first.dots.shared == NULL else "dot"
    if block.flags[place] & NARY or is_constructed(block, place):
        return None
    if block.children[place].second == 0:
        return OPERATIONS[block.local_grads[place].second.operation]
    if (block.raised[place >> 6] >> (place & 63)) & 1:
        return "**"
    return "+" if block.flags[place] & ONES else "*"
