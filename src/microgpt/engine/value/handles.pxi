# Handles: the living Values, their memory, and which node each of them points to.
# A part of _engine.pyx, which includes it.

cdef inline bint is_plain(PyObject *thing) noexcept:
    return type_of(thing) == VALUE


cdef inline bint is_value(PyObject *thing) noexcept:
    return type_of(thing) == VALUE or PyType_IsSubtype(type_of(thing), VALUE)


cdef int handles_add(uint32_t n) except -1:
    """Allocate handles until there are n spare ones."""
    cdef Handle *handle
    while arena.spare == NULL or arena.spare.id < n:
        handle = <Handle *>PyObject_Malloc(sizeof(Handle))
        if handle == NULL:
            raise MemoryError
        PyObject_Init(<PyObject *>handle, VALUE)
        handle.numbers = <double *>arena.spare
        handle.id = arena.spare.id + 1 if arena.spare != NULL else 1
        arena.spare = handle
    return 0


cdef void handle_dealloc(PyObject *self) noexcept:
    """tp_dealloc: the node lives on if others were made from it."""
    cdef Handle *handle = <Handle *>self
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t n_spare = arena.spare.id if arena.spare != NULL else 0
    block.handles[handle.id & PLACE_MASK] = NULL
    block.handles_alive -= 1
    if unlikely(block.handles_alive == 0 or (handle.id & IN_LEAF_BLOCK and not handle.is_operand)
                or type_of(self) != VALUE or n_spare >= SPARE_HANDLES or handle.is_operand == UNUSED_REPLAY):
        handle_dealloc_rare(handle, block)
        return
    handle.numbers = <double *>arena.spare
    handle.id = n_spare + 1
    arena.spare = handle


cdef cold_void handle_dealloc_rare(Handle *handle, Block *block) noexcept:
    """The rest of handle_dealloc, where something else is freed too."""
    cdef uint32_t place = handle.id & PLACE_MASK
    if handle.is_operand == UNUSED_REPLAY:
        replay_release(block.local_grads[place].first.operands)
    if handle.id & IN_LEAF_BLOCK and not handle.is_operand and not leaf_in_dots(block, place):
        leaf_free(&arena, block, place)
    if block.handles_alive == 0:
        handles_gone(&arena, block)
    if type_of(<PyObject *>handle) == VALUE:
        PyObject_Free(handle)
    else:
        type_of(<PyObject *>handle).tp_free(handle)
    if has_deferred:
        release_deferred()


cdef inline void handle_attach(Handle *handle, uint32_t node, uint8_t used) noexcept:
    """Make this the handle of a node that has none."""
    if handle.id == 0:                                      # it counted as a handle of node 0
        block_of(&arena, 0).handles_alive -= 1
    handle_point(handle, block_of(&arena, node), node & PLACE_MASK)
    handle.is_operand = used


cdef object handle_of(uint32_t node):
    """The Value of a node: the living one, else a new one of the class it had, with the attributes it had."""
    cdef Block *block = block_of(&arena, node)
    cdef uint32_t place = node & PLACE_MASK
    cdef object made
    if node == 0:                                           # an operand that was used before its __init__
        return class_instance(Value)
    if block.handles[place] != NULL:
        return <object>block.handles[place]
    if likely(not block.flags[place] & SUBCLASS):
        made = class_instance(Value)
        handle_attach(<Handle *>made, node, True)
        return made
    made = class_instance(<object>class_types[block.classes[place]])
    if block.handles[place] != NULL:                        # making an instance may have run anything
        return <object>block.handles[place]
    handle_attach(<Handle *>made, node, True)
    attributes = kept_attributes.pop(node, None)
    if attributes is not None:
        set_attributes(made, attributes)
    return made
