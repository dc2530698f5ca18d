# The two programs: instructions for the replay loops of kernels/replay_body.h.
# A part of _recorded.pyx, which includes it.
#
# Both are sorted by level. In the forward program a level is the longest way from a leaf. In the backward program an event comes
# behind all that its own gradient receives, and behind the event before it, in the order of the walk, at each gradient that it
# adds to: so every sum runs in the script's order, and everything in a level may be done side by side.

ctypedef struct Draft:                  # an instruction, and where it goes
    Instruction instruction
    uint32_t level
    uint32_t choice                     # R_BACK_ROWS: which, and ...
    uint32_t row                        # ... the row


@cython.final
cdef class Program:
    cdef Memory memory
    cdef Draft *drafts
    cdef size_t n, capacity
    cdef int32_t *lists
    cdef size_t n_lists, lists_capacity
    cdef uint32_t n_levels
    cdef Instruction *instructions      # sorted
    cdef size_t n_instructions
    cdef size_t *row_starts             # by choice: where its rows stand
    cdef size_t first_dot               # of those side by side that are appended now

    def __cinit__(self, Memory memory, size_t expected):
        self.memory = memory
        self.drafts = <Draft *>grown(memory, NULL, &self.capacity, expected, sizeof(Draft))

    cdef Draft *add(self, int32_t op, int32_t n, int32_t out, int32_t a, int32_t b, double number, uint32_t level) except NULL:
        cdef Draft *draft
        if n >= MOST_TERMS:
            raise NotRecorded("a sum has more than 16 million terms")
        if self.n == self.capacity:
            self.drafts = <Draft *>grown(self.memory, self.drafts, &self.capacity, self.n + 1, sizeof(Draft))
        draft = &self.drafts[self.n]
        draft.instruction.op, draft.instruction.n, draft.instruction.out = op, n, out
        draft.instruction.a, draft.instruction.b, draft.instruction.number = a, b, number
        draft.instruction.a_step = draft.instruction.b_step = 1
        draft.level, draft.choice, draft.row = level, 0, 0
        self.n += 1
        self.n_levels = max(self.n_levels, level + 1)
        return draft

    cdef int add_to_list(self, int32_t slot) except -1:
        self.lists = <int32_t *>grown(self.memory, self.lists, &self.lists_capacity, self.n_lists + 1, sizeof(int32_t))
        self.lists[self.n_lists] = slot
        self.n_lists += 1
        return 0

    cdef int finish(self, size_t n_slots, size_t n_choices) except -1:
        """Sort the drafts by level, operation and slot, and join neighbours of one operation to one instruction."""
        cdef uint32_t *order = <uint32_t *>self.memory.room(self.n, sizeof(uint32_t))
        cdef uint32_t *keys = <uint32_t *>self.memory.room(self.n, sizeof(uint32_t))
        cdef size_t k
        self.instructions = <Instruction *>self.memory.room(self.n, sizeof(Instruction))
        self.row_starts = <size_t *>self.memory.zeros(n_choices, sizeof(size_t))
        for k in range(self.n):
            order[k], keys[k] = <uint32_t>k, <uint32_t>self.drafts[k - self.drafts[k].row].instruction.out
        sort_stable(order, self.n, keys, n_slots)
        for k in range(self.n):
            keys[k] = self.drafts[k].level * R_COUNT + <uint32_t>self.drafts[k].instruction.op
        sort_stable(order, self.n, keys, <size_t>self.n_levels * R_COUNT)
        for k in range(self.n):
            self.append(&self.drafts[order[k]], k > 0 and keys[order[k]] == keys[order[k - 1]])
        return 0

    cdef int append(self, Draft *draft, bint same) except -1:
        cdef Instruction *last = &self.instructions[self.n_instructions - 1] if self.n_instructions else NULL
        if draft.instruction.op == R_BACK_ROWS:
            if draft.row == 0:
                self.row_starts[draft.choice] = self.n_instructions
        elif same and joins(last, &draft.instruction):
            return 0
        if draft.instruction.op == R_DOT and same and last.n == draft.instruction.n:
            self.instructions[self.first_dot].together += 1
        else:
            self.first_dot = self.n_instructions
        self.instructions[self.n_instructions] = draft.instruction
        if draft.instruction.op == R_DOT:
            self.instructions[self.n_instructions].together = 1
        self.n_instructions += 1
        return 0


cdef inline bint same_bits(double a, double b) noexcept:
    return memcmp(&a, &b, sizeof(double)) == 0


cdef inline bint step_fits(int32_t *step, int32_t first, int32_t n, int32_t following) noexcept:
    """Whether an operand is the next one of a vector, or the same for all."""
    if n == 1:
        step[0] = following - first
        return step[0] == 0 or step[0] == 1
    return following == first + step[0] * n


cdef bint joins_terms(Instruction *last, const Instruction *following) noexcept:
    """Whether terms of a sum that have their turn by themselves, from the last one on, stand before those of the last
    instruction. Nothing receives twice in a level, so they may go together."""
    cdef int32_t n = <int32_t>following.n
    if following.out != last.out or last.n + following.n >= MOST_TERMS or following.a != last.a - n:
        return False
    if following.op == R_BACK_DOT and following.b != last.b - n:
        return False
    last.a, last.b, last.n = following.a, following.b, last.n + following.n
    return True


cdef bint joins(Instruction *last, const Instruction *following) noexcept:
    """Whether an instruction for one slot goes on where the last one ends."""
    cdef int32_t a_step = last.a_step, b_step = last.b_step
    if following.op == R_BACK_DOT or following.op == R_BACK_SUM:
        return joins_terms(last, following)
    if following.op in (R_DOT, R_DOT_LIST, R_SUM, R_SUM_LIST, R_MAX, R_BACK_ROWS):
        return False
    if following.out != last.out + <int32_t>last.n or last.n + 1 == MOST_TERMS or not same_bits(last.number, following.number):
        return False
    if not step_fits(&a_step, last.a, <int32_t>last.n, following.a) or (
            not step_fits(&b_step, last.b, <int32_t>last.n, following.b)):
        return False
    last.a_step, last.b_step, last.n = a_step, b_step, last.n + 1
    return True


# ---- forward ----------------------------------------------------------------------------------------------------------------

cdef int draft_sum(Graph graph, Program program, Cell *cell) except -1:
    cdef bint is_dot = cell.op == R_DOT
    cdef int32_t a = graph.first_slot(cell.a), b = graph.first_slot(cell.right) if is_dot else 0
    cdef const uint32_t *left
    cdef const uint32_t *right
    cdef uint32_t k
    cdef Draft *draft
    if a >= 0 and b >= 0:
        draft = program.add(cell.op, <int32_t>cell.b, cell.slot, a, b, 0.0, <uint32_t>cell.level)
    else:
        draft = program.add(R_DOT_LIST if is_dot else R_SUM_LIST, <int32_t>cell.b, cell.slot, <int32_t>program.n_lists, 0, 0.0,
                            <uint32_t>cell.level)
        left, right = graph.left_of(cell), graph.right_of(cell) if is_dot else NULL
        for k in range(cell.b):
            program.add_to_list(graph.cells[left[k]].slot)
            if is_dot:
                program.add_to_list(graph.cells[right[k]].slot)
    draft.instruction.start = graph.cells[cell.start].slot
    if draft.instruction.start >= VIRTUAL:
        raise NotRecorded("a sum begins with an element that a token chose; begin it with another term")
    return 0


cdef int draft_forward(Graph graph, Program program, uint32_t c) except -1:
    cdef Cell *cell = &graph.cells[c]
    cdef uint32_t k
    cdef int32_t a, b = 0
    if cell.op == R_SUM or cell.op == R_DOT:
        return draft_sum(graph, program, cell)
    if cell.op == R_MAX:
        program.add(R_MAX, <int32_t>cell.b, cell.slot, <int32_t>program.n_lists, 0, 0.0, <uint32_t>cell.level)
        for k in range(cell.b):
            program.add_to_list(graph.cells[graph.left_of(cell)[k]].slot)
        return 0
    a = graph.cells[cell.a].slot
    if cell.choice != 0:
        a = CHOSEN + 2 * <int32_t>(cell.choice - 1)
    if cell.op == R_ADD or cell.op == R_MUL or cell.op == R_MUL_INT or cell.op == R_SHIFT:
        b = graph.cells[cell.b].slot
    program.add(cell.op, 1, cell.slot, a, b, cell.number, <uint32_t>cell.level)
    return 0
