# One call of a recorded function: its numbers, its results, and what becomes of them when backward comes.
# A part of _recorded.pyx, which includes it.
#
# Backward goes once through the root, by the backward program. Where it comes another time, or from another result, the call is
# rebuilt: the function runs in Python, with the numbers that its parameters had, and the nodes that it makes take over.

ctypedef struct Instance:               # memory for the numbers of a call
    Instance *next
    uint64_t run                        # number of the call
    uint64_t written                    # and of the one before which the parameters were other ones
    double *value
    double *deriv
    double *grad
    int64_t *tokens

ctypedef struct Result:                 # what the node of a result points to
    Replay replay
    Call *call
    uint32_t number                     # which result; 0: the root
    uint32_t node                       # 0: nobody holds it any more
    uint32_t rebuilt                    # the node that takes over
    double data
    double grad                         # when backward came first
    bint int_grad

ctypedef struct Call:
    Plan *plan
    Instance *instance
    uint64_t written                    # as in the instance, as long as the parameters there are those of this call
    bint has_instance                   # nobody else may use it
    bint propagated                     # backward has been through the root
    uint32_t n_users                    # results that have a node
    PyObject *source                    # (recording, arguments): owned
    Result *results                     # in the same allocation


cdef Instance *instance_take(Plan *plan, Memory memory) except NULL:
    cdef Instance *instance = plan.free
    if instance == NULL:
        instance = <Instance *>memory.zeros(1, sizeof(Instance))
        instance.value = <double *>memory.zeros(3 * plan.n_slots, sizeof(double))
        instance.tokens = <int64_t *>memory.zeros(plan.n_tokens, sizeof(int64_t))
        instance.deriv = instance.value + plan.n_slots
        instance.grad = instance.deriv + plan.n_slots
        memcpy(instance.value, plan.initial, plan.n_slots * sizeof(double))
        plan.n_instances += 1
    else:
        plan.free = instance.next
    plan.runs += 1
    instance.run = plan.runs
    return instance


cdef void instance_return(Call *call) noexcept nogil:
    """Another call may use it. The parameters' numbers stay until they are other ones."""
    if call.has_instance:
        call.has_instance = False
        call.instance.next = call.plan.free
        call.plan.free = call.instance


cdef Call *call_begin(Recording recording, object arguments) except NULL:
    cdef Plan *plan = &recording.plan
    cdef Instance *instance = instance_take(plan, recording.memory)
    cdef Call *call = <Call *>PyMem_RawCalloc(1, sizeof(Call) + plan.n_results * sizeof(Result))
    cdef size_t k
    if call == NULL:
        raise MemoryError                                   # the instance goes with the recording
    call.plan, call.instance, call.has_instance, call.n_users = plan, instance, True, 1
    source = recording, arguments
    Py_INCREF(source)
    call.source, call.results = <PyObject *>source, <Result *>(call + 1)
    for k in range(plan.n_results):
        call.results[k].replay = Replay(root_backward, rebuild, result_release, k > 0)
        call.results[k].call, call.results[k].number = call, <uint32_t>k
    return call


cdef void call_leave(Call *call) noexcept:
    call.n_users -= 1
    if call.n_users == 0:
        instance_return(call)
        defer_release(call.source)
        PyMem_RawFree(call)


cdef void result_release(Replay *replay) noexcept:
    (<Result *>replay).node = 0
    call_leave((<Result *>replay).call)


cdef list results_of(Call *call):
    """The Values of the results, the root first."""
    cdef ResultSlot *slot
    cdef Result *result
    cdef size_t k
    cdef list made = []
    for k in range(call.plan.n_results):
        slot, result = &call.plan.results[k], &call.results[k]
        result.data = call.instance.value[slot.slot]
        value = replay_value(result.data, slot.kind == K_INT or (slot.kind != K_FLOAT and result.data == 0.0), &result.replay)
        result.node = (<Value>value).id
        call.n_users += 1
        made.append(value)
    return made


# ---- parameters -----------------------------------------------------------------------------------------------------------

cdef inline double *numbers_at(uint32_t node) noexcept nogil:
    return &block_of(arena, node).numbers[node & PLACE_MASK]


cdef inline uint8_t *int_grads_at(uint32_t node) noexcept nogil:
    return &block_of(arena, node).int_grads[node & PLACE_MASK]


cdef bint ints_changed(Plan *plan) noexcept:
    """Whether a parameter that was a float is an int, or the other way round, or has got children."""
    cdef Range *span
    cdef size_t k
    cdef uint32_t i
    cdef const uint8_t *flags
    cdef uint8_t wanted, different = 0
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        flags = &block_of(arena, span.node).flags[span.node & PLACE_MASK]
        wanted = LEAF | DATA_INT if span.is_int else LEAF
        for i in range(span.n):
            different |= (flags[i] & (LEAF | DATA_INT)) ^ wanted
    return different != 0


cdef void read_parameters(Plan *plan, Instance *instance) noexcept:
    cdef Range *span
    cdef size_t k
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        if memcmp(instance.value + span.slot, numbers_at(span.node), span.n * sizeof(double)):
            memcpy(instance.value + span.slot, numbers_at(span.node), span.n * sizeof(double))
            instance.written = instance.run


cdef void exchange_parameters(Plan *plan, Instance *instance) noexcept:
    """The parameters get the numbers that they had in the call, and the other way round."""
    cdef Range *span
    cdef size_t k
    cdef uint32_t i
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        for i in range(span.n):
            numbers_at(span.node)[i], instance.value[<uint32_t>span.slot + i] = (
                instance.value[<uint32_t>span.slot + i], numbers_at(span.node)[i])


# ---- backward, the first time -----------------------------------------------------------------------------------------------

cdef void root_backward(Replay *replay, double grad, bint int_grad) noexcept nogil:
    """Add to the gradients of the parameters and of the results. The memory is free for another call then."""
    cdef Call *call = (<Result *>replay).call
    cdef Instance *instance = call.instance
    cdef Plan *plan = call.plan
    cdef Range *span
    cdef size_t k
    memset(instance.grad, 0, plan.n_slots * sizeof(double))
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        memcpy(instance.grad + span.slot, numbers_at(span.node) + GRAD, span.n * sizeof(double))
    for k in range(plan.n_results):
        if call.results[k].node != 0 and plan.results[k].receives:
            remember_gradient(&call.results[k])
            instance.grad[plan.results[k].slot] = call.results[k].grad
    relocate(plan, instance)
    kernels.backward(plan.backward, plan.n_backward, instance.value, instance.deriv, instance.grad)
    for k in range(plan.n_ranges):
        write_gradients(instance, &plan.ranges[k], int_grad)
    for k in range(1, plan.n_results):
        if call.results[k].node != 0 and plan.results[k].receives:
            write_gradient(instance.grad[plan.results[k].slot], call.results[k].node, plan.results[k].keeps_ints and int_grad)
    for k in range(plan.n_looked_up):
        mark_float(plan, instance.tokens, plan.looked_up[k])
    call.propagated = replay.closed = True
    instance_return(call)


cdef inline void remember_gradient(Result *result) noexcept nogil:
    result.grad, result.int_grad = numbers_at(result.node)[GRAD], int_grads_at(result.node)[0]


cdef inline void write_gradient(double grad, uint32_t node, bint is_int) noexcept nogil:
    numbers_at(node)[GRAD] = grad
    if not is_int or not fits_int(grad):
        int_grads_at(node)[0] = False


cdef inline void write_gradients(Instance *instance, Range *span, bint int_grad) noexcept nogil:
    cdef uint8_t *int_grads = int_grads_at(span.node)
    cdef const double *grads = instance.grad + span.slot
    cdef uint32_t k
    memcpy(numbers_at(span.node) + GRAD, grads, span.n * sizeof(double))
    if span.receives and not (span.keeps_ints and int_grad):
        memset(int_grads, False, span.n)
    elif span.receives:
        for k in range(span.n):
            if not fits_int(grads[k]):
                int_grads[k] = False


cdef inline void mark_float(Plan *plan, const int64_t *tokens, uint32_t looked_up) noexcept nogil:
    """An element of a row that a token chose received a float."""
    cdef Lookup *lookup = &plan.lookups[looked_up >> 12]
    cdef TableSlots *table = &plan.tables[lookup.table]
    int_grads_at(table.nodes[<size_t>tokens[lookup.token] * table.n_columns + (looked_up & (ROW_WIDTH - 1))])[0] = False


# ---- and another time -------------------------------------------------------------------------------------------------------

def cannot_rebuild(str why):
    return RuntimeError(f"backward() has to rebuild the graph of a replayed result, but {why}")


cdef int rebuild(Replay *replay) except -1:
    """The function runs in Python; then backward goes on from its results as if they had been there all the time."""
    cdef Call *call = (<Result *>replay).call
    cdef Value value
    cdef size_t k
    recording, arguments = <object>call.source
    again = recording.rebuild()
    if again is None:
        raise cannot_rebuild("its recorded function is gone: keep a reference to it")
    check_rebuild(call)
    exchange_parameters(call.plan, call.instance)
    try:
        made = again(arguments)
    finally:
        exchange_parameters(call.plan, call.instance)
    if call.results[0].rebuilt != 0:                        # by another thread
        return 0
    for k in range(call.plan.n_results):
        value = made[k]
        if not same_bits(value.numbers[0], call.results[k].data):
            raise cannot_rebuild("Python now gives another number: something that the recorded function reads has changed; call"
                                 " forget() after such a change")
    for k in range(call.plan.n_results):
        call.results[k].rebuilt = (<Value>made[k]).id
    if call.propagated:
        propagate_again(call)
    return take_over(call, made)


cdef int check_rebuild(Call *call) except -1:
    cdef size_t k
    for k in range(1, call.plan.n_results):
        if call.results[k].node != 0 and not call.plan.results[k].is_top and not is_unused(call.results[k].node):
            raise cannot_rebuild("a result on which another one depends was used in further operations: do these inside of the"
                                 " recorded function")
    if call.written != call.instance.written or ints_changed(call.plan):
        raise cannot_rebuild("its parameters have changed and the recorded function was called again since: call the function"
                             " once more, and backward() on that result")
    return 0


cdef bint is_unused(uint32_t node) noexcept:
    """Whether somebody holds this result, and nothing was computed from it."""
    cdef PyObject *handle = block_of(arena, node).handles[node & PLACE_MASK]
    return handle != NULL and (<Value>handle).is_operand == UNUSED_REPLAY


cdef int propagate_again(Call *call) except -1:
    """Backward goes through the new nodes as it went through the program, but for the parameters, which have received."""
    cdef Plan *plan = call.plan
    cdef Range *span
    cdef size_t k
    cdef int status
    cdef Result *root = call.results
    cdef double *grads = call.instance.grad
    cdef Memory memory = Memory()
    cdef uint8_t *int_grads = <uint8_t *>memory.zeros(plan.n_slots, 1)
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        memcpy(grads + span.slot, numbers_at(span.node) + GRAD, span.n * sizeof(double))
        memcpy(int_grads + span.slot, int_grads_at(span.node), span.n)
    for k in range(1, plan.n_results):
        if call.results[k].node != 0 and plan.results[k].receives:
            set_gradient(call.results[k].rebuilt, call.results[k].grad, call.results[k].int_grad)
    status = backward_from(arena, root.rebuilt, root.grad, root.int_grad)
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        memcpy(numbers_at(span.node) + GRAD, grads + span.slot, span.n * sizeof(double))
        memcpy(int_grads_at(span.node), int_grads + span.slot, span.n)
    if status < 0:
        raise MemoryError
    return 0


cdef inline void set_gradient(uint32_t node, double grad, bint is_int) noexcept nogil:
    numbers_at(node)[GRAD], int_grads_at(node)[0] = grad, is_int


cdef int take_over(Call *call, list made) except -1:
    """Nodes of results on which no other depends stand before the new ones; the other Values change to the new nodes."""
    cdef size_t k
    cdef uint32_t node
    cdef Value value
    for k in range(call.plan.n_results):
        node = call.results[k].node
        if node != 0 and call.plan.results[k].is_top:
            replay_link(node, made[k])
            call.results[k].replay.backward, call.results[k].replay.closed = hand_on, False
        elif node != 0:
            value = <Value>block_of(arena, node).handles[node & PLACE_MASK]
            made[k].grad = value.grad
            if value.numbers[0] != call.results[k].data:
                made[k].data = value.data
            replay_exchange(value, made[k])
    instance_return(call)
    return 0


cdef void hand_on(Replay *replay, double grad, bint int_grad) noexcept nogil:
    set_gradient((<Result *>replay).rebuilt, grad, int_grad)
