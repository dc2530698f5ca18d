# The recorded graph as a list of cells: one for every node, leaf and constant that the result depends on.
# A part of _recorded.pyx, which includes it.

cdef enum:
    NONE = 0xffffffff
    VIRTUAL = 1 << 28                   # slots from here on stand for what a token chooses: see relocation.pxi
    ROW_WIDTH = 1 << 12                 # of these, so many for each row of a table that is looked up
    CHOSEN = 1 << 29                    # and from here on every other one for a weight of a softmax

cdef enum:                              # Cell.op of what no instruction computes; else R_...
    C_UNSET = R_COUNT
    C_CONST
    C_PARAM                             # a leaf that somebody holds: read and written where it stands
    C_LOOKUP                            # an element of the row of a table that a token chooses
    C_INPUT                             # a number among the arguments
    C_CONSTRUCTED                       # a node with local gradients by hand
    C_ABSORBED                          # a product or partial sum that became a part of a sum

cdef enum:                              # Cell.kind: when the number is an int
    K_FLOAT
    K_INT
    K_ZERO                              # never negative, and an int where it is 0 only: as relu gives it
    K_ZERO_SIGNED                       # the same times an int
    K_UNSURE

ctypedef struct Cell:
    uint32_t node                       # in the arena
    uint32_t a                          # operands, as cells; of sums, of R_MAX and of C_CONSTRUCTED: where in `terms`, ...
    uint32_t b                          # ... and how many terms
    uint32_t start                      # sums: the cell that they begin with
    uint32_t uses                       # as an operand
    uint32_t table                      # C_PARAM: 1 + the table it is an element of
    uint32_t column                     # C_PARAM and C_LOOKUP: in its table
    uint32_t chain                      # scalar sums: the partial sum before, then, of absorbed cells, the sum
    uint32_t link                       # scalar sums: terms so far, then, of absorbed cells, which term
    uint32_t choice                     # products of a weight: 1 + the choice that picked the weight
    int32_t slot
    int32_t level                       # longest way from a leaf
    double number                       # constant, exponent, factor, summand
    uint8_t op
    uint8_t kind
    bint int_number                     # `number` is an int
    bint is_link                        # a partial sum that was absorbed, not a product
    bint has_products                   # a chain: of products
    bint extended                       # a chain: a longer one goes on from here
    bint float_grad                     # the gradient receives a float
    bint unsure_grad                    # it may receive an int
    bint kept                           # one of several results: it stays a cell of its own

ctypedef struct Term:
    uint32_t left                       # cells
    uint32_t right                      # NONE in plain sums
    double local_grad                   # C_CONSTRUCTED

ctypedef struct Event:                  # in the order of the walk: these terms of a cell, or all that there is to it
    uint32_t cell
    uint32_t low
    uint32_t high


class NotRecorded(Exception):
    """Why a function cannot be recorded. `later`: it may be another time."""

    def __init__(self, reason, later=False):
        super().__init__(reason)
        self.later = later


cdef void *grown(void *array, size_t *capacity, size_t needed, size_t size) except? NULL:
    cdef void *larger
    if needed <= capacity[0]:
        return array
    larger = PyMem_RawRealloc(array, (2 * needed + 64) * size)
    if larger == NULL:
        raise MemoryError
    capacity[0] = 2 * needed + 64
    return larger


cdef class Graph:
    """Cells, terms and events, read from the arena."""
    cdef Cell *cells
    cdef size_t n_cells, cells_capacity
    cdef Term *terms
    cdef size_t n_terms, terms_capacity
    cdef Event *events
    cdef size_t n_events, events_capacity
    cdef uint32_t **by_block            # cell of each node
    cdef uint32_t n_blocks
    cdef uint64_t first_serial          # nodes from this place on were made while recording
    cdef uint32_t first_place
    cdef uint32_t root
    cdef list held                      # the Values of C_PARAM
    cdef dict powers                    # node -> exponent or base

    def __cinit__(self):
        self.n_blocks = arena.capacity
        self.by_block = <uint32_t **>PyMem_RawCalloc(self.n_blocks, sizeof(uint32_t *))
        if self.by_block == NULL:
            raise MemoryError
        self.held = []
        self.new_cell(0, C_CONST)                           # cell 0 is 0.0

    def __dealloc__(self):
        cdef uint32_t number
        if self.by_block != NULL:
            for number in range(self.n_blocks):
                PyMem_RawFree(self.by_block[number])
        PyMem_RawFree(self.by_block)
        PyMem_RawFree(self.cells)
        PyMem_RawFree(self.terms)
        PyMem_RawFree(self.events)

    cdef uint32_t new_cell(self, uint32_t node, uint8_t op) except? 0xffffffff:
        cdef Cell *cell
        self.cells = <Cell *>grown(self.cells, &self.cells_capacity, self.n_cells + 1, sizeof(Cell))
        cell = &self.cells[self.n_cells]
        memset(cell, 0, sizeof(Cell))
        cell.node, cell.op, cell.chain, cell.slot, cell.level = node, op, NONE, -1, -1
        self.n_cells += 1
        return <uint32_t>(self.n_cells - 1)

    cdef uint32_t *place_of(self, uint32_t node) except NULL:
        cdef uint32_t **cells = &self.by_block[node >> BLOCK_BITS]
        if cells[0] == NULL:
            cells[0] = <uint32_t *>PyMem_RawMalloc(BLOCK_NODES * sizeof(uint32_t))
            if cells[0] == NULL:
                raise MemoryError
            memset(cells[0], 0xff, BLOCK_NODES * sizeof(uint32_t))
        return &cells[0][node & PLACE_MASK]

    cdef uint32_t cell_of(self, uint32_t node) except? 0xffffffff:
        """The cell of a node; of a new one that is no leaf, without an operation yet."""
        cdef uint32_t *found = self.place_of(node)
        cdef Block *block = block_of(arena, node)
        cdef uint32_t place = node & PLACE_MASK
        cdef Cell *cell
        if found[0] != NONE:
            return found[0]
        found[0] = self.new_cell(node, C_UNSET)
        cell = &self.cells[found[0]]
        if block.flags[place] & SUBCLASS:
            raise NotRecorded("it uses a Value of a subclass")
        if block.flags[place] & DATA_INT:
            cell.kind = K_INT
        cell.number = block.numbers[place]
        if block.flags[place] & LEAF:
            if block.handles[place] != NULL:
                cell.op = C_PARAM
                self.held.append(<object>block.handles[place])
            else:
                cell.op = C_CONST
        elif block.serial < self.first_serial or (block.serial == self.first_serial and place < self.first_place):
            raise NotRecorded("it uses a Value that was computed before the call; compute it inside the function")
        return found[0]

    cdef int add_term(self, uint32_t left, uint32_t right, double local_grad) except -1:
        self.terms = <Term *>grown(self.terms, &self.terms_capacity, self.n_terms + 1, sizeof(Term))
        self.terms[self.n_terms] = Term(left, right, local_grad)
        self.n_terms += 1
        self.cells[left].uses += 1
        if right != NONE:
            self.cells[right].uses += 1
        return 0

    cdef int add_event(self, uint32_t cell, uint32_t low, uint32_t high) except -1:
        self.events = <Event *>grown(self.events, &self.events_capacity, self.n_events + 1, sizeof(Event))
        self.events[self.n_events] = Event(cell, low, high)
        self.n_events += 1
        return 0

    # ---- one node ---------------------------------------------------------------------------------------------------------

    cdef int read_dot(self, uint32_t c, Dots *dots, uint32_t row) except -1:
        cdef uint32_t k, of_row, of_shared, first = <uint32_t>self.n_terms
        for k in range(dots.n):
            of_row = self.cell_of(row_id(dots, row, k))
            if dots.shared == NULL:
                self.add_term(of_row, NONE, 1.0)
                continue
            of_shared = self.cell_of(shared_id(dots, k))
            if dots.shared_left:
                self.add_term(of_shared, of_row, 0.0)
            else:
                self.add_term(of_row, of_shared, 0.0)
        self.cells[c].op = R_SUM if dots.shared == NULL else R_DOT
        self.cells[c].a, self.cells[c].b = first, dots.n
        return 0

    cdef int read_constructed(self, uint32_t c, Block *block, uint32_t place) except -1:
        """A node by hand: its data and local gradients are as good as constants, since no number was read to find them."""
        cdef Operands *operands
        cdef Children children = block.children[place]
        cdef uint32_t k, first = <uint32_t>self.n_terms
        self.cells[c].int_number = False
        if block.flags[place] & NARY:
            operands = block.local_grads[place].first.operands
            if operands.replay != NULL:
                raise NotRecorded("it uses the result of another recorded function from before the call")
            for k in range(operands.n_children):
                child = self.cell_of(operands.children[k])
                if k < operands.n_grads:
                    self.add_term(child, NONE, operands.local_grads[k])
                    if operands.is_int[k]:
                        raise NotRecorded("a Value made by hand has ints as local gradients; write them as floats")
        else:
            self.add_term(self.cell_of(children.first), NONE, block.local_grads[place].first.value)
            if children.second != 0:
                self.add_term(self.cell_of(children.second), NONE, block.local_grads[place].second.value)
            if block.flags[place] & (GRAD0_INT | GRAD1_INT):
                raise NotRecorded("a Value made by hand has ints as local gradients; write them as floats")
        self.cells[c].op = C_CONSTRUCTED
        self.cells[c].a, self.cells[c].b = first, <uint32_t>(self.n_terms - first)
        return 0

    cdef int read_power(self, uint32_t c, uint32_t operation) except -1:
        cdef Cell *cell = &self.cells[c]
        cdef uint32_t base = self.cells[cell.a].node
        cdef double x = block_of(arena, base).numbers[base & PLACE_MASK]
        number = self.powers.get(cell.node)
        if number is not None:
            cell.number, cell.int_number = float(number), isinstance(number, int)
        elif operation == OP_RPOW or not isfinite(x):
            raise NotRecorded("a power was computed from a number that is not finite", True)
        else:                                               # by a function or an operator of ours: -1 or -0.5
            cell.number = -1.0 if pow(x, -1.0) == cell.number and (x != 1.0 or self.is_inverse(cell.node)) else -0.5
        cell.op = R_POW if operation == OP_POW else R_RPOW
        return 0

    cdef bint is_inverse(self, uint32_t node) noexcept:
        """Of 1.0: -1 rather than -0.5 to the power, told by the derivative."""
        return block_of(arena, node).local_grads[node & PLACE_MASK].first.value == -1.0

    cdef int read_unary(self, uint32_t c, Block *block, uint32_t place) except -1:
        cdef Cell *cell
        cdef uint32_t operation = block.local_grads[place].second.operation, a = self.cell_of(block.children[place].first)
        cell = &self.cells[c]
        cell.a, cell.b = a, NONE
        self.cells[a].uses += 1
        if operation == OP_POW or operation == OP_RPOW:
            return self.read_power(c, operation)
        if operation == OP_ADD_NUMBER:                     # rmsnorm's, until a softmax claims it
            cell.op, cell.number, cell.int_number = R_ADD_C, 1e-5, True
        elif operation == OP_MUL_NUMBER:
            cell.op, cell.number = R_MUL_C, block.local_grads[place].first.value
            cell.int_number = block.flags[place] & GRAD0_INT != 0
        else:
            cell.op = OPCODES[operation]
        if operation == OP_EXP and self.cells[a].op == R_ADD_C:
            self.cells[a].op, self.cells[a].b = R_SHIFT, NONE
        if operation == OP_GELU and not HAS_LIBM_ERF:
            raise NotRecorded("gelu is the interpreter's own before Python 3.11")
        return 0

    cdef int read_node(self, uint32_t node) except -1:
        """Give the cell of this node its operation and operands."""
        cdef uint32_t c = self.cell_of(node), place = node & PLACE_MASK, a, b
        cdef Block *block = block_of(arena, node)
        cdef uint8_t flags = block.flags[place]
        if flags & DOT == DOT:
            return 0                                        # at its first event
        if flags & NARY or (block.constructed[place >> 6] >> (place & 63)) & 1:
            return self.read_constructed(c, block, place)
        if block.children[place].second == 0:
            return self.read_unary(c, block, place)
        if (block.raised[place >> 6] >> (place & 63)) & 1:
            raise NotRecorded("it has a Value as an exponent; write (b * a.log()).exp()")
        a, b = self.cell_of(block.children[place].first), self.cell_of(block.children[place].second)
        self.cells[a].uses += 1
        self.cells[b].uses += 1
        self.cells[c].op = R_ADD if flags & ONES else R_MUL
        self.cells[c].a, self.cells[c].b = a, b
        return 0

    cdef int read_terms(self, uint32_t node, uint32_t low, uint32_t high) except -1:
        """An event of a dot product; high NONE: the rest of it."""
        cdef uint32_t c = self.cell_of(node), k
        cdef Dots *dots
        if self.cells[c].op == C_UNSET:
            dots = block_of(arena, node).local_grads[node & PLACE_MASK].first.dots
            self.read_dot(c, dots, dot_row(block_of(arena, node), node & PLACE_MASK))
        if high == NONE:
            low, high = self.cells[c].link, self.cells[c].b
            self.claim_exps(c)
        self.cells[c].link = high
        return self.add_event(c, low, high)

    cdef int claim_exps(self, uint32_t c) except -1:
        """A sum over exp(x - m): m is the largest x."""
        cdef Cell *cell = &self.cells[c]
        cdef uint32_t k, exponent, largest = NONE, first
        if cell.op != R_SUM:
            return 0
        for k in range(cell.b):
            exponent = self.terms[cell.a + k].left
            if self.cells[exponent].op != R_EXP or self.cells[self.cells[exponent].a].op != R_SHIFT:
                return 0
        if cell.b == 0 or self.cells[self.cells[self.terms[cell.a].left].a].b != NONE:
            return 0
        largest = self.new_cell(0, R_MAX)
        first = <uint32_t>self.n_terms
        for k in range(self.cells[c].b):
            exponent = self.cells[self.terms[self.cells[c].a + k].left].a
            self.cells[exponent].b = largest
            self.add_term(self.cells[exponent].a, NONE, 0.0)
            self.cells[self.cells[exponent].a].uses -= 1    # not in the graph
        self.cells[largest].a, self.cells[largest].b = first, self.cells[c].b
        return 0

    # ---- the whole graph --------------------------------------------------------------------------------------------------

    cdef int read_from(self, uint32_t root) except -1:
        """Read what lies below the root, in the order of `backward`."""
        cdef size_t n, k
        cdef uint32_t first, last, node
        if block_prepare(arena, arena.open[RESULTS]) < 0 or scratch_reserve(arena) < 0:
            raise MemoryError
        spans_prepare(arena)
        arena.walk_number += 1
        arena.walk_failed, arena.walk_spent = False, 0
        n = walk_from(arena, root)
        try:
            if arena.walk_failed or arena.walk_spent:
                raise NotRecorded("it calls backward(); call it on the result instead")
            for k in range(n):
                first, last = <uint32_t>(arena.scratch[k] >> 32), <uint32_t>arena.scratch[k]
                if last == 0:                               # read with the entry before it
                    continue
                if k + 1 < n and <uint32_t>arena.scratch[k + 1] == 0:
                    self.read_terms(<uint32_t>(arena.scratch[k + 1] >> 32), first, last)
                    continue
                for node in range(first, last + 1):
                    self.read_one(node)
        finally:
            unvisit(arena, n)
        self.root = self.cell_of(root)
        return 0

    cdef int read_one(self, uint32_t node) except -1:
        cdef uint8_t flags = block_of(arena, node).flags[node & PLACE_MASK]
        if flags & LEAF:
            return 0
        if flags & DOT == DOT:
            return self.read_terms(node, 0, NONE)
        self.read_node(node)
        return self.add_event(self.cell_of(node), 0, 0)
