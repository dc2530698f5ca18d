# What is left of a recording: two programs, where the numbers come from, and memory to run in.
# A part of _recorded.pyx, which includes it.

ctypedef struct Range:                  # parameters that stand side by side in the arena and in slots
    uint32_t node
    int32_t slot
    uint32_t n
    bint is_int                         # their data are ints
    bint receives                       # they are used as they stand, not only as rows that tokens choose
    bint keeps_ints                     # their gradients receive ints only, from a gradient that is an int

ctypedef struct Relocation:             # an operand that a token chooses
    int32_t *operand
    uint32_t lookup                     # or choice
    int32_t column                      # -1: a choice

ctypedef struct Lookup:
    uint32_t token
    uint32_t table

ctypedef struct TableSlots:
    int32_t first
    uint32_t n_rows
    uint32_t n_columns
    uint32_t *nodes

ctypedef struct ChoiceSlots:
    uint32_t token
    int32_t first                       # slot of the first exponential
    uint32_t n
    Instruction *rows                   # n of them, by logit; NULL if the logits are leaves
    Instruction *program                # where they stand in the backward program

ctypedef struct Input:                  # a number among the arguments
    uint32_t number
    int32_t slot
    int32_t form                        # FORM_...

ctypedef struct KeptSlot:               # one of several results, but for the root
    int32_t slot
    int32_t kind
    bint keeps_ints                     # as in Range

ctypedef struct Plan:
    Instruction *forward
    Instruction *backward
    size_t n_forward, n_backward
    int32_t *lists
    double *initial                     # values of constants
    size_t n_slots
    int32_t root
    int32_t root_kind
    KeptSlot *kept
    size_t n_kept
    Range *ranges
    size_t n_ranges
    Relocation *relocations
    size_t n_relocations
    Lookup *lookups
    size_t n_lookups
    uint32_t *looked_up                 # cells of rows that are used: lookup << 12 | column
    size_t n_looked_up
    TableSlots *tables
    size_t n_tables
    ChoiceSlots *choices
    size_t n_choices
    Input *inputs
    size_t n_inputs
    size_t n_tokens
    Instance *free                      # memory nobody uses
    size_t n_instances
    size_t n_alive                      # instances in use
    uint64_t runs
    uint64_t relocated                  # for which run
    PyObject *held                      # keeps the parameters
    bint orphaned                       # the recording is gone, results of it are alive

ctypedef struct Kept:                   # the node of a result, which gets its gradient when backward goes through the root
    Replay replay
    Instance *instance
    uint32_t node
    bint alive

ctypedef struct Instance:               # one call: the numbers that its results were computed from
    Replay replay
    Plan *plan
    Instance *next
    Kept *kept
    size_t n_users                      # nodes that need it: of the root, until backward, and of the other results
    uint64_t run
    double *value
    double *deriv
    double *grad
    int64_t *tokens

cdef enum:
    FORM_PLAIN                          # the number itself
    FORM_MINUS                          # -number
    FORM_INVERSE                        # number ** -1


cdef void instance_free(Instance *instance) noexcept:
    PyMem_RawFree(instance.value)
    PyMem_RawFree(instance.tokens)
    PyMem_RawFree(instance.kept)
    PyMem_RawFree(instance)


cdef void plan_free(Plan *plan) noexcept:
    """No instance is in use."""
    cdef Instance *instance
    cdef size_t k
    while plan.free != NULL:
        instance = plan.free
        plan.free = instance.next
        instance_free(instance)
    for k in range(plan.n_choices):
        PyMem_RawFree(plan.choices[k].rows)
    for k in range(plan.n_tables):
        PyMem_RawFree(plan.tables[k].nodes)
    PyMem_RawFree(plan.forward)
    PyMem_RawFree(plan.backward)
    PyMem_RawFree(plan.lists)
    PyMem_RawFree(plan.initial)
    PyMem_RawFree(plan.ranges)
    PyMem_RawFree(plan.relocations)
    PyMem_RawFree(plan.lookups)
    PyMem_RawFree(plan.looked_up)
    PyMem_RawFree(plan.tables)
    PyMem_RawFree(plan.choices)
    PyMem_RawFree(plan.inputs)
    PyMem_RawFree(plan.kept)
    if plan.held != NULL:
        defer_release(plan.held)
    PyMem_RawFree(plan)


cdef Instance *instance_take(Plan *plan) except NULL:
    cdef Instance *instance = plan.free
    cdef size_t k
    if instance != NULL:
        plan.free = instance.next
    else:
        instance = <Instance *>PyMem_RawCalloc(1, sizeof(Instance))
        if instance == NULL:
            raise MemoryError
        instance.value = <double *>PyMem_RawCalloc(3 * plan.n_slots, sizeof(double))
        instance.tokens = <int64_t *>PyMem_RawMalloc((plan.n_tokens + 1) * sizeof(int64_t))
        instance.kept = <Kept *>PyMem_RawCalloc(plan.n_kept + 1, sizeof(Kept))
        if instance.value == NULL or instance.tokens == NULL or instance.kept == NULL:
            instance_free(instance)
            raise MemoryError
        instance.deriv = instance.value + plan.n_slots
        instance.grad = instance.deriv + plan.n_slots
        memcpy(instance.value, plan.initial, plan.n_slots * sizeof(double))
        instance.plan = plan
        instance.replay.backward = instance_backward
        instance.replay.release = instance_release
        for k in range(plan.n_kept):
            instance.kept[k].instance = instance
            instance.kept[k].replay.release = kept_release
            instance.kept[k].replay.spent = SPENT_INNER
        plan.n_instances += 1
    plan.n_alive += 1
    plan.runs += 1
    instance.run = plan.runs
    instance.replay.spent = 0
    instance.n_users = 1
    return instance


cdef void instance_return(Instance *instance) noexcept nogil:
    instance.next = instance.plan.free
    instance.plan.free = instance
    instance.plan.n_alive -= 1


cdef void instance_release(Replay *replay) noexcept:
    """The root's node is dead."""
    instance_leave(<Instance *>replay)


cdef void kept_release(Replay *replay) noexcept:
    """The node of another result is dead."""
    (<Kept *>replay).alive = False
    instance_leave((<Kept *>replay).instance)


cdef void instance_leave(Instance *instance) noexcept:
    cdef Plan *plan = instance.plan
    instance.n_users -= 1
    if instance.n_users == 0:
        instance_return(instance)
        if plan.orphaned and plan.n_alive == 0:
            plan_free(plan)


# ---- tokens ---------------------------------------------------------------------------------------------------------------

cdef bint tokens_fit(Plan *plan, int64_t *tokens) noexcept:
    """Whether every token is an index of what it chooses from; negative ones, which count from the end, are left to Python."""
    cdef size_t k
    for k in range(plan.n_lookups):
        if not 0 <= tokens[plan.lookups[k].token] < <int64_t>plan.tables[plan.lookups[k].table].n_rows:
            return False
    for k in range(plan.n_choices):
        if not 0 <= tokens[plan.choices[k].token] < <int64_t>plan.choices[k].n:
            return False
    return True


cdef void relocate(Plan *plan, const Instance *instance) noexcept nogil:
    """Write into the programs what the tokens of this instance choose."""
    cdef Relocation *relocation
    cdef Lookup *lookup
    cdef TableSlots *table
    cdef ChoiceSlots *choice
    cdef Instruction *row
    cdef size_t k
    cdef int64_t token, i
    if plan.relocated == instance.run:
        return
    plan.relocated = instance.run
    for k in range(plan.n_relocations):
        relocation = &plan.relocations[k]
        if relocation.column < 0:
            choice = &plan.choices[relocation.lookup]
            relocation.operand[0] = choice.first + <int32_t>instance.tokens[choice.token]
        else:
            lookup = &plan.lookups[relocation.lookup]
            table = &plan.tables[lookup.table]
            token = instance.tokens[lookup.token]
            relocation.operand[0] = table.first + <int32_t>token * <int32_t>table.n_columns + relocation.column
    for k in range(plan.n_choices):
        choice = &plan.choices[k]
        if choice.rows == NULL:
            continue
        row = choice.program
        token = instance.tokens[choice.token]
        for i in range(<int64_t>choice.n - 1, -1, -1):
            if i != token:
                row[0] = choice.rows[i]
                row += 1
        row[0] = choice.rows[token]


# ---- running --------------------------------------------------------------------------------------------------------------

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
        memcpy(instance.value + span.slot, &block_of(arena, span.node).numbers[span.node & PLACE_MASK], span.n * sizeof(double))


cdef Replay SPENT                       # stands where a graph has been propagated
SPENT.release = nothing_to_release
SPENT.spent = SPENT_ONCE


cdef void nothing_to_release(Replay *replay) noexcept:
    pass


cdef Replay *instance_backward(Replay *replay, double grad, bint int_grad) noexcept nogil:
    """Add to the gradients of the parameters and of the results. The memory is free for another replay then."""
    cdef Instance *instance = <Instance *>replay
    cdef Plan *plan = instance.plan
    cdef Range *span
    cdef size_t k
    memset(instance.grad, 0, plan.n_slots * sizeof(double))
    for k in range(plan.n_ranges):
        span = &plan.ranges[k]
        memcpy(instance.grad + span.slot, &block_of(arena, span.node).numbers[GRAD + (span.node & PLACE_MASK)],
               span.n * sizeof(double))
    instance.grad[plan.root] = grad
    for k in range(plan.n_kept):
        if instance.kept[k].alive:
            instance.grad[plan.kept[k].slot] = numbers_at(instance.kept[k].node)[GRAD]
    relocate(plan, instance)
    kernels.backward(plan.backward, plan.n_backward, instance.value, instance.deriv, instance.grad)
    for k in range(plan.n_ranges):
        write_gradients(instance, &plan.ranges[k], int_grad)
    for k in range(plan.n_kept):
        if instance.kept[k].alive:
            write_kept(instance.grad[plan.kept[k].slot], instance.kept[k].node, plan.kept[k].keeps_ints and int_grad)
    for k in range(plan.n_looked_up):
        mark_float(plan, instance.tokens, plan.looked_up[k])
    if instance.n_users > 1:
        instance.n_users -= 1
        return &SPENT
    if plan.orphaned:                                       # to be freed with its node, under the GIL
        replay.spent = SPENT_ONCE
        return replay
    instance_return(instance)
    return &SPENT


cdef inline double *numbers_at(uint32_t node) noexcept nogil:
    return &block_of(arena, node).numbers[node & PLACE_MASK]


cdef inline void write_kept(double grad, uint32_t node, bint is_int) noexcept nogil:
    numbers_at(node)[GRAD] = grad
    if not is_int or not fits_int(grad):
        block_of(arena, node).int_grads[node & PLACE_MASK] = False


cdef inline void write_gradients(Instance *instance, Range *span, bint int_grad) noexcept nogil:
    cdef Block *block = block_of(arena, span.node)
    cdef uint32_t place = span.node & PLACE_MASK, k
    memcpy(&block.numbers[GRAD + place], instance.grad + span.slot, span.n * sizeof(double))
    if span.receives and not (span.keeps_ints and int_grad):
        memset(&block.int_grads[place], False, span.n)
    elif span.receives:
        for k in range(span.n):
            if not fits_int(block.numbers[GRAD + place + k]):
                block.int_grads[place + k] = False


cdef inline void mark_float(Plan *plan, const int64_t *tokens, uint32_t looked_up) noexcept nogil:
    """An element of a row that a token chose received a float."""
    cdef Lookup *lookup = &plan.lookups[looked_up >> 12]
    cdef TableSlots *table = &plan.tables[lookup.table]
    cdef uint32_t node = table.nodes[<size_t>tokens[lookup.token] * table.n_columns + (looked_up & (ROW_WIDTH - 1))]
    block_of(arena, node).int_grads[node & PLACE_MASK] = False
