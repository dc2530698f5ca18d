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

ctypedef struct ResultSlot:
    int32_t slot
    int32_t kind
    bint keeps_ints                     # as in Range
    bint receives                       # it is below the root
    bint is_top                         # no other result depends on it

ctypedef struct Plan:
    Instruction *forward
    Instruction *backward
    size_t n_forward, n_backward
    int32_t *lists
    size_t n_lists
    double *initial                     # values of constants
    size_t n_slots
    ResultSlot *results                 # the root first
    size_t n_results
    Range *ranges
    size_t n_ranges
    Relocation *relocations
    size_t n_relocations, relocations_capacity
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
    uint64_t runs
    uint64_t relocated                  # for which run

cdef enum:
    FORM_PLAIN                          # the number itself
    FORM_MINUS                          # -number
    FORM_INVERSE                        # number ** -1


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
