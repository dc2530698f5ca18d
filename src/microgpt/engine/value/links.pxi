# What joins nodes: the constructor, children of any number, and how all of it reads back.
# A part of _engine.pyx, which includes it.

cdef Operands *read_operands(tuple children, tuple local_grads) except NULL:
    """Children and local gradients as an Operands record; the references to the children are not counted yet."""
    cdef Operands *operands = operands_allocate(&arena, <uint32_t>len(children), <uint32_t>len(local_grads))
    cdef uint32_t k
    cdef bint is_int
    if operands == NULL:
        raise MemoryError
    try:
        for k in range(operands.n_children):
            if not is_value(<PyObject *>children[k]):
                if number_guard is not None:
                    number_guard(children[k], "a child")
                raise TypeError(f"children must be Values, not {type(children[k]).__name__!r}")
            operands.children[k] = (<Handle *>children[k]).id
        for k in range(operands.n_grads):
            require_number(local_grads[k], "a local gradient", &operands.local_grads[k], &is_int)
            operands.is_int[k] = is_int
    except BaseException:
        operands_free(&arena, operands)
        raise
    return operands


cdef inline bint is_inline(Operands *operands) noexcept:
    """One or two children with a local gradient each."""
    return 1 <= operands.n_children <= 2 and operands.n_children == operands.n_grads


cdef uint32_t operand_flags(Operands *operands) noexcept:
    return operands.is_int[0] * GRAD0_INT | (GRAD1_INT if operands.n_children == 2 and operands.is_int[1] else 0)


cdef uint32_t node_append(double data, Operands *operands) except 0:
    """A result with these children. It owns the record from here on."""
    cdef uint32_t n = operands.n_children, node
    if results_reserve(&arena, 1) < 0:
        operands_free(&arena, operands)
        raise MemoryError
    if not is_inline(operands):
        node = result_append(&arena, data, 0, 0, LEAF, NULL)
        link_nary(node, operands)
        return node
    if n == 2:
        local_grads_next(&arena, operands.local_grads[0], operands.local_grads[1])
    else:
        local_grad_next(&arena, operands.local_grads[0], OP_CONSTRUCTOR)
    node = result_append(&arena, data, operands.children[0], operands.children[1] if n == 2 else 0,
                         operand_flags(operands), NULL)
    mark_constructed(node)
    operands_free(&arena, operands)
    return node


cdef void link_nary(uint32_t node, Operands *operands) noexcept:
    """Make this the record of a node."""
    cdef Block *block = block_of(&arena, node)
    cdef uint32_t place = node & PLACE_MASK
    block.flags[place] &= ~<uint8_t>(LEAF | DOT | GRAD0_INT | GRAD1_INT)
    set_extras(block, place, NARY)
    block.local_grads[place].first.operands = operands
    block.children[place] = Children(0, 0)


cdef int initialise(object self, object data, children, local_grads) except -1:
    """What __init__ does to a fresh handle: a node of its own. A second __init__ writes into the node it has."""
    cdef Handle *handle = <Handle *>self
    cdef tuple links = as_tuple(children, "children"), grads = as_tuple(local_grads, "local gradients")
    cdef bint is_int
    cdef double value
    cdef uint32_t node
    if unlikely(recording):
        data = recorder.leaf(self, data)
    if arena.kinds.float_data and not PyFloat_CheckExact(data):
        data = float(data)
    require_number(data, "a Value's data", &value, &is_int)
    if handle.id != 0:
        relink(handle, links, grads)
        data_written(&arena)
        write_data(handle, value, is_int)
        write_grad(handle, 0.0, not arena.kinds.float_grad)
        return 0
    if links or grads:
        node = node_append(value, read_operands(links, grads))
        mark_used(links)
    else:
        node = leaf_append(&arena, value)
        if node == 0:
            raise MemoryError
    handle_attach(handle, node, False)
    write_data(handle, value, is_int)
    if type_of(<PyObject *>self) != VALUE:
        remember_class(node, class_number(type_of(<PyObject *>self)))
    return 0


cdef object replay_value(double data, bint is_int, Replay *replay):
    """A Value that stands for a replayed graph, which is released with its node."""
    cdef Operands *operands = operands_allocate(&arena, 0, 0)
    cdef uint32_t node
    if operands == NULL:
        raise MemoryError
    made = class_instance(Value)
    node = node_append(data, operands)
    operands.replay = replay
    arena.has_replays = True
    handle_attach(<Handle *>made, node, UNUSED_REPLAY)
    write_data(<Handle *>made, data, is_int)
    return made


cdef int replay_link(uint32_t node, Value result) except -1:
    """The walk comes from the node of a replayed graph to this result, which is given its gradient by the Replay: so no local
    gradient leads there."""
    cdef Block *block = block_of(&arena, node)
    cdef uint32_t place = node & PLACE_MASK
    cdef Operands *old = block.local_grads[place].first.operands
    cdef Operands *operands = operands_allocate(&arena, 1, 0)
    if operands == NULL:
        raise MemoryError
    if targets_reserve(&arena, block, 1) < 0:
        operands_free(&arena, operands)
        raise MemoryError
    operands.children[0], operands.replay, old.replay = result.id, old.replay, NULL
    operands_free(&arena, old)
    link_nary(node, operands)
    seen_add_children(&arena, block, place)
    refer_seen(&arena, block)                               # there is memory
    result.is_operand = True
    return 0


cdef void replay_exchange(Value replayed, Value result) noexcept:
    """Two Values change nodes, so that one that was replayed becomes the result of operations."""
    cdef uint32_t node = replayed.id
    cdef uint8_t is_operand = replayed.is_operand
    handle_move(<Handle *>replayed, result.id, result.is_operand)
    handle_move(<Handle *>result, node, is_operand)


cdef void handle_move(Handle *handle, uint32_t node, uint8_t is_operand) noexcept:
    """Make this the handle of a node in the place of the one that it has."""
    handle_point(handle, block_of(&arena, node), node & PLACE_MASK)
    block_of(&arena, node).handles_alive -= 1
    handle.is_operand = is_operand


cdef void mark_used(tuple children) noexcept:
    for child in children:
        (<Handle *>child).is_operand = True


cdef int remember_class(uint32_t node, uint32_t number) except -1:
    cdef Block *block = block_of(&arena, node)
    if classes_reserve(&arena, block) < 0:
        raise MemoryError
    set_extras(block, node & PLACE_MASK, SUBCLASS)
    block.classes[node & PLACE_MASK] = <uint16_t>number
    class_nodes[number] += 1
    return 0


cdef int relink(Handle *handle, tuple children, tuple local_grads) except -1:
    """Other children or local gradients for a node that exists. They are kept in an Operands record, however few."""
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    cdef tuple old = children_of(handle)
    cdef Operands *operands
    if not (children or local_grads or old or local_grads_of(handle)):
        return 0
    operands = read_operands(children, local_grads)
    if targets_reserve(&arena, block, operands.n_children) < 0:
        operands_free(&arena, operands)
        raise MemoryError
    if has_operands(block.flags[place]):
        operands_free(&arena, block.local_grads[place].first.operands)
    handle.is_operand = handle.is_operand != 0
    link_nary(handle.id, operands)
    seen_add_children(&arena, block, place)
    refer_seen(&arena, block)                               # there is memory
    mark_used(children)
    if children != old:
        arena.relinked = True
    return 0


cdef inline void write_data(Handle *handle, double value, bint is_int) noexcept:
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    handle.numbers[0] = value
    handle.data_int = is_int
    block.flags[place] = (block.flags[place] & ~<uint32_t>DATA_INT) | DATA_INT * is_int


cdef inline void write_grad(Handle *handle, double value, bint is_int) noexcept:
    handle.numbers[GRAD] = value
    block_of(&arena, handle.id).int_grads[handle.id & PLACE_MASK] = is_int


cdef tuple children_of(Handle *handle):
    if unlikely(arena.graph_off):
        block_prepare(&arena, arena.open[RESULTS])
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK, k
    cdef Operands *operands
    if block.flags[place] & LEAF:
        return ()
    if block.flags[place] & DOT == DOT:
        return terms_of(block.local_grads[place].first.dots, dot_row(block, place), False)
    if block.flags[place] & NARY:
        operands = block.local_grads[place].first.operands
        return tuple([handle_of(operands.children[k]) for k in range(operands.n_children if operands.replay == NULL else 0)])
    if block.children[place].second == 0:
        return (handle_of(block.children[place].first),)
    return (handle_of(block.children[place].first), handle_of(block.children[place].second))


cdef tuple local_grads_of(Handle *handle):
    if unlikely(arena.graph_off):
        block_prepare(&arena, arena.open[RESULTS])
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK, k
    cdef uint8_t flags = block.flags[place]
    cdef LocalGrads *local_grads = &block.local_grads[place]
    cdef Operands *operands
    if flags & LEAF:
        return ()
    if flags & DOT == DOT:
        return terms_of(block.local_grads[place].first.dots, dot_row(block, place), True)
    if flags & ONES:
        return (1, 1)
    if flags & NARY:
        operands = local_grads.first.operands
        return tuple([number_object(operands.local_grads[k], operands.is_int[k]) for k in range(operands.n_grads)])
    first = number_object(local_grads.first.value, flags & GRAD0_INT)
    if block.children[place].second == 0:
        return (first,)
    return (first, number_object(local_grads.second.value, flags & GRAD1_INT))


cdef tuple terms_of(Dots *dots, uint32_t row, bint as_local_grads):
    """The operands of a dot product, left and right of each term in turn, or their local gradients."""
    cdef uint32_t i
    cdef list found = []
    for i in range(dots.n):
        if dots.shared == NULL:
            found.append(1 if as_local_grads else handle_of(row_id(dots, row, i)))
        else:
            found.append(shared_term(dots, row, i, as_local_grads, dots.shared_left))
            found.append(shared_term(dots, row, i, as_local_grads, not dots.shared_left))
    return tuple(found)


cdef object shared_term(Dots *dots, uint32_t row, uint32_t i, bint as_local_grads, bint shared):
    """One side of a term: the operand itself, shared or of the row, or its local gradient, which is the other one's data."""
    if not as_local_grads:
        return handle_of(shared_id(dots, i) if shared else row_id(dots, row, i))
    if shared:
        return dots.rows_data[row * dots.n + i]
    return number_object(dots.shared_data[i], dots.shared_int != NULL and dots.shared_int[i])


cdef int require_node(Handle *handle, str what) except -1:
    if handle.id == 0:
        raise AttributeError(f"{what}: this Value has not been initialised; call super().__init__(data) first")
    return 0
