# The backward program: what receives a contribution, and when.
# A part of _recorded.pyx, which includes it.

@cython.final
cdef class Backward:
    """Turns the events of the walk, from the last to the first, into drafts of instructions.

    Gradients that always receive together count as one where it is asked which event is the last: those of a vector of dot
    products whose elements have no other use, until some of its terms have their turn without the others. So do those in a
    column of a table, since rows that tokens choose may be the same.
    """
    cdef Graph graph
    cdef Program program
    cdef uint32_t *gradient             # by cell: which one it has, an index of `last` and `touched`
    cdef uint32_t *last                 # level of its last contribution
    cdef uint32_t *touched              # which event that was, counted from 1
    cdef uint32_t now
    cdef uint32_t level                 # of the event that is looked at
    cdef list choices
    cdef Event open_event               # products beside each other become one event; high 0: none
    cdef uint32_t opened                # when it was the turn of its last part

    def __cinit__(self, Graph graph, Program program, list tables, list choices):
        cdef size_t n = graph.n_cells
        cdef list columns = []
        self.graph, self.program, self.choices = graph, program, choices
        for table in tables:
            columns.append(n)
            n += (<Table>table).n_columns
        self.gradient = <uint32_t *>graph.memory.room(n, sizeof(uint32_t))
        self.last = <uint32_t *>graph.memory.zeros(n, sizeof(uint32_t))
        self.touched = <uint32_t *>graph.memory.zeros(n, sizeof(uint32_t))
        self.set_gradients(columns)

    # ---- when -------------------------------------------------------------------------------------------------------------

    cdef int set_gradients(self, list columns) except -1:
        cdef Cell *cell
        cdef Vector *vector
        cdef uint32_t c, k, number
        cdef const uint32_t *operands
        for c in range(<uint32_t>self.graph.n_cells):
            self.gradient[c] = c
        for k in range(<uint32_t>self.graph.n_sources):
            c = self.graph.sources[k]
            cell = &self.graph.cells[c]
            if cell.op == C_LOOKUP or (cell.op == C_PARAM and cell.table != 0):
                self.gradient[c] = <uint32_t>columns[cell.table - 1] + cell.column
        for number in range(<uint32_t>self.graph.n_vectors):
            vector = &self.graph.vectors[number]
            operands = self.graph.operands + vector.first
            vector.is_one = self.is_one(number)
            for k in range(vector.n if vector.is_one else 0):
                self.gradient[operands[k]] = operands[0]
        return 0

    cdef bint is_one(self, uint32_t number) noexcept:
        cdef Vector *vector = &self.graph.vectors[number]
        cdef const uint32_t *operands = self.graph.operands + vector.first
        cdef uint32_t k
        if not vector.of_dots or vector.n == 0:
            return False
        for k in range(vector.n):
            if self.graph.cells[operands[k]].uses != 1 or self.graph.cells[operands[k]].table != 0:
                return False
        return self.graph.first_slot(number) >= 0

    cdef void take_apart(self, Vector *vector) noexcept:
        """From here on each of its gradients counts for itself."""
        cdef const uint32_t *operands = self.graph.operands + vector.first
        cdef uint32_t k
        vector.is_one = False
        for k in range(1, vector.n):
            self.last[operands[k]], self.touched[operands[k]] = self.last[operands[0]], self.touched[operands[0]]
            self.gradient[operands[k]] = operands[k]

    cdef inline void behind(self, uint32_t c) noexcept:
        """The event comes behind the last contribution to the gradient of c."""
        self.level = max(self.level, self.last[self.gradient[c]])

    cdef inline void receives(self, uint32_t c) noexcept:
        self.last[self.gradient[c]] = self.level
        self.touched[self.gradient[c]] = self.now

    cdef void vector_behind(self, uint32_t number, uint32_t low, uint32_t high) noexcept:
        cdef Vector *vector = &self.graph.vectors[number]
        cdef const uint32_t *operands = self.graph.operands + vector.first
        cdef uint32_t k
        if vector.is_one and high - low != vector.n:
            self.take_apart(vector)
        for k in range(low, low + 1 if vector.is_one else high):
            self.behind(operands[k])

    cdef void vector_receives(self, uint32_t number, uint32_t low, uint32_t high) noexcept:
        """After vector_behind for the same."""
        cdef Vector *vector = &self.graph.vectors[number]
        cdef const uint32_t *operands = self.graph.operands + vector.first
        cdef uint32_t k
        for k in range(low, low + 1 if vector.is_one else high):
            self.receives(operands[k])

    cdef inline void begin(self, uint32_t source) noexcept:
        self.level = self.last[self.gradient[source]]

    # ---- events -----------------------------------------------------------------------------------------------------------

    cdef int pair(self, int32_t op, uint32_t c, uint32_t a, uint32_t b) except -1:
        """Two operands receive."""
        cdef Cell *cells = self.graph.cells
        cdef int32_t left = cells[a].slot
        if cells[c].choice != 0 and op == R_BACK_MUL:
            return self.chosen(c)
        self.begin(c)
        self.behind(a)
        self.behind(b)
        self.level += 1
        self.program.add(op, 1, cells[c].slot, left, cells[b].slot, 0.0, self.level)
        self.receives(a)
        self.receives(b)
        return 0

    cdef int chosen(self, uint32_t c) except -1:
        """A weight that a token chose: any of the exponentials may be the one that receives."""
        cdef Cell *cells = self.graph.cells
        cdef uint32_t total = self.choices[cells[c].choice - 1].total
        self.begin(c)
        self.vector_behind(cells[total].a, 0, cells[total].b)
        self.behind(cells[c].b)
        self.level += 1
        self.program.add(R_BACK_MUL, 1, cells[c].slot, CHOSEN + 2 * <int32_t>(cells[c].choice - 1), cells[cells[c].b].slot, 0.0,
                         self.level)
        self.vector_receives(cells[total].a, 0, cells[total].b)
        self.receives(cells[c].b)
        return 0

    cdef int single(self, int32_t op, uint32_t c, uint32_t a, double number) except -1:
        self.begin(c)
        self.behind(a)
        self.level += 1
        self.program.add(op, 1, self.graph.cells[c].slot, self.graph.cells[a].slot, 0, number, self.level)
        self.receives(a)
        return 0

    cdef int32_t slot_of(self, uint32_t number, uint32_t low, uint32_t n) noexcept:
        """As Graph.first_slot, of n operands from `low` on."""
        cdef int32_t first = self.graph.first_slot(number)
        if first >= 0:
            return first + <int32_t>low
        return self.graph.first_of(self.graph.operands + self.graph.vectors[number].first + low, n)

    cdef bint is_safe(self, const Cell *total, uint32_t low, uint32_t n) noexcept:
        """Whether the factors are neighbours, and no gradient receives twice unless at the same place on both sides."""
        cdef Cell *left = &self.graph.cells[self.graph.left_of(total)[low]]
        cdef Cell *right = &self.graph.cells[self.graph.right_of(total)[low]]
        cdef int32_t a = self.slot_of(total.a, low, n), b = self.slot_of(total.right, low, n)
        if a < 0 or b < 0 or (a != b and -<int32_t>n < a - b < <int32_t>n):
            return False
        if left.op in (C_LOOKUP, C_PARAM) and right.op in (C_LOOKUP, C_PARAM) and left.table != 0 and left.table == right.table:
            return left.column == right.column or abs(<int>left.column - <int>right.column) >= <int>n
        return True

    cdef int dot_terms(self, uint32_t c, uint32_t low, uint32_t high) except -1:
        cdef Cell *cell = &self.graph.cells[c]
        cdef const uint32_t *left = self.graph.left_of(cell)
        cdef const uint32_t *right = self.graph.right_of(cell)
        cdef uint32_t n = high - low, k
        if n == 0:
            return 0
        if n > 1 and not self.is_safe(cell, low, n):
            for k in range(high, low, -1):
                self.pair(R_BACK_DOT, c, left[k - 1], right[k - 1])
            return 0
        self.begin(c)
        self.vector_behind(cell.a, low, high)
        self.vector_behind(cell.right, low, high)
        self.level += 1
        self.program.add(R_BACK_DOT, <int32_t>n, cell.slot, self.graph.cells[left[low]].slot, self.graph.cells[right[low]].slot,
                         0.0, self.level)
        self.vector_receives(cell.a, low, high)
        self.vector_receives(cell.right, low, high)
        return 0

    cdef int sum_terms(self, uint32_t c, uint32_t low, uint32_t high) except -1:
        cdef Cell *cell = &self.graph.cells[c]
        cdef const uint32_t *terms = self.graph.left_of(cell)
        cdef uint32_t k
        if low == high:
            return 0
        if self.slot_of(cell.a, low, high - low) < 0:
            for k in range(high, low, -1):
                self.single(R_BACK_SUM, c, terms[k - 1], 0.0)
            return 0
        self.begin(c)
        self.vector_behind(cell.a, low, high)
        self.level += 1
        self.program.add(R_BACK_SUM, <int32_t>(high - low), cell.slot, self.graph.cells[terms[low]].slot, 0, 0.0, self.level)
        self.vector_receives(cell.a, low, high)
        return 0

    cdef int flush(self) except -1:
        """The products that were put together have their turn."""
        cdef Event event = self.open_event
        self.open_event.high = 0
        if event.high == 0:
            return 0
        if self.graph.cells[event.cell].choice != 0:
            self.row_event(event.cell, event.low, event.high)
        else:
            self.dot_terms(event.cell, event.low, event.high)
        self.now += 1
        return 0

    cdef int product(self, uint32_t total, uint32_t low, uint32_t high) except -1:
        """Products of a sum have their turn: with those behind them, if nothing came between."""
        if self.open_event.high != 0 and self.open_event.cell == total and self.open_event.low == high:
            self.open_event.low = low
        else:
            self.flush()
            self.open_event = Event(total, low, high)
        self.opened = self.now
        return 0

    cdef int absorbed_sum(self, uint32_t number, uint32_t k) except -1:
        """The turn of partial sum k of a sum."""
        cdef Cell *total = &self.graph.cells[number]
        if total.op == R_SUM:
            self.flush()
            return self.sum_terms(number, k, k + 1)
        if k == 0 and total.start != 0:
            if self.graph.cells[number].choice != 0:
                self.starts_stay(self.graph.cells[number].choice - 1)
            else:
                self.flush()
            return self.single(R_BACK_C, number, total.start, 1.0)
        return 0

    cdef int constructed(self, uint32_t c) except -1:
        cdef Cell *cell = &self.graph.cells[c]
        cdef uint32_t k
        for k in range(cell.b):
            self.single(R_BACK_C, c, self.graph.left_of(cell)[k], self.graph.local_grads[cell.right + k])
        return 0

    cdef int event(self, Event *event) except -1:
        cdef uint32_t c = event.cell
        cdef Cell *cell = &self.graph.cells[c]
        if cell.op == C_ABSORBED:
            return self.product(cell.right, cell.link, cell.link + 1)
        if cell.op == C_ABSORBED_SUM:
            return self.absorbed_sum(cell.right, cell.link)
        if cell.op == R_DOT:
            return self.product(c, event.low, event.high) if event.high else 0
        self.flush()
        if cell.op == R_SUM:
            return self.sum_terms(c, event.low, event.high) if event.high else self.sum_terms(c, cell.b - 1, cell.b)
        if cell.op == C_CONSTRUCTED:
            return self.constructed(c)
        if cell.op == R_ADD:
            return self.pair(R_BACK_ADD, c, cell.a, cell.b)
        if cell.op == R_MUL or cell.op == R_MUL_INT:
            return self.pair(R_BACK_MUL, c, cell.a, cell.b)
        if cell.op == R_ADD_C or cell.op == R_SHIFT:
            return self.single(R_BACK_C, c, cell.a, 1.0)
        if cell.op == R_MUL_C:
            return self.single(R_BACK_C, c, cell.a, cell.number)
        return self.single(R_BACK_F, c, cell.a, 0.0)

    cdef int draft_all(self) except -1:
        cdef size_t k
        cdef Cell *cell
        for k in range(self.graph.n_below_events, 0, -1):
            self.now += 1
            cell = &self.graph.cells[self.graph.events[k - 1].cell]
            if cell.op == C_ABSORBED and self.open_event.high != 0 and (
                    self.open_event.cell == cell.right and self.open_event.low == cell.link + 1):
                self.open_event.low, self.opened = cell.link, self.now      # as `product` does; most events of scalar code
                continue
            self.event(&self.graph.events[k - 1])
        self.now += 1
        return self.flush()

    # ---- rows of logits of which a target is one ---------------------------------------------------------------------------

    cdef int set_rows(self) except -1:
        """Mark the sums that are rows of a choice; see `Choice`."""
        for k, choice in enumerate(self.choices):
            for cell in choice.rows:
                self.graph.cells[<uint32_t>cell].choice, self.graph.cells[<uint32_t>cell].link = k + 1, 0
        return 0

    cdef int row_event(self, uint32_t c, uint32_t low, uint32_t high) except -1:
        """The walk came to the logits by the target's row: all rows but that one have their turn before it. They wait for it,
        and are one event, whose order the target decides. Nothing else may reach their operands meanwhile."""
        cdef uint32_t k = self.graph.cells[c].choice - 1, n = self.graph.cells[c].b, row_cell, i
        cdef Cell *cell
        cdef Choice choice = self.choices[k]
        if self.graph.cells[c].link != 0:                   # the rest of the target's row, which went with its first part
            for row_cell in choice.rows:                    # had another row been the target's, it would be its turn
                self.stays(choice, row_cell, low, high, self.graph.cells[row_cell].link)
            return 0
        self.graph.cells[c].link = self.opened
        choice.n_waiting += 1
        if choice.n_waiting < <size_t>len(choice.rows):
            if low != 0 or high != n or c == choice.rows[choice.chosen]:
                raise cannot_choose(choice.token)
            return 0
        if c != choice.rows[choice.chosen]:
            raise cannot_choose(choice.token)
        self.level = 0
        for row_cell in choice.rows:
            cell = &self.graph.cells[row_cell]
            if not self.is_safe(cell, 0, n):
                raise cannot_choose(choice.token)
            self.behind(row_cell)
            self.stays(choice, row_cell, 0, n, self.graph.cells[row_cell].link)
            self.vector_behind(cell.a, 0, n)
            self.vector_behind(cell.right, 0, n)
        self.level += 1
        for i, row_cell in enumerate(choice.rows):
            self.draft_row(k, i, row_cell)
        for row_cell in choice.rows:
            self.graph.cells[row_cell].link = self.now
            cell = &self.graph.cells[row_cell]
            self.vector_receives(cell.a, 0, n)
            self.vector_receives(cell.right, 0, n)
        return 0

    cdef int stays(self, Choice choice, uint32_t c, uint32_t low, uint32_t high, uint32_t since) except -1:
        """Nothing has reached the operands of these terms since then."""
        cdef Cell *cell = &self.graph.cells[c]
        cdef uint32_t i
        for i in range(low, high):
            if self.touched[self.gradient[self.graph.left_of(cell)[i]]] > since or (
                    self.touched[self.gradient[self.graph.right_of(cell)[i]]] > since):
                raise cannot_choose(choice.token)
        return 0

    cdef int starts_stay(self, uint32_t k) except -1:
        """A row's bias receives: nothing else has reached the bias of any row since its turn, or there would be an order."""
        cdef uint32_t row_cell
        cdef Choice choice = self.choices[k]
        if choice.n_waiting == <size_t>len(choice.rows):
            for row_cell in choice.rows:
                if self.touched[self.gradient[self.graph.cells[row_cell].start]] > self.graph.cells[row_cell].link:
                    raise cannot_choose(choice.token)
        return 0

    cdef int draft_row(self, uint32_t choice, uint32_t row, uint32_t c) except -1:
        cdef Cell *cell = &self.graph.cells[c]
        cdef Draft *draft = self.program.add(R_BACK_ROWS, <int32_t>cell.b, cell.slot, self.graph.first_slot(cell.a),
                                             self.graph.first_slot(cell.right), 0.0, self.level)
        draft.choice, draft.row = choice, row
        return 0
