# The recorded graph as a list of cells: one for every node, leaf and constant that the result depends on.
# A part of _recorded.pyx, which includes it.

cdef enum:
    NONE = 0xffffffff
    VIRTUAL = 1 << 28                   # slots from here on stand for what a token chooses: see plan.pxi
    ROW_WIDTH = 1 << 12                 # of these, so many for each row of a table that is looked up
    CHOSEN = 1 << 29                    # and from here on every other one for a weight of a softmax

cdef enum:                              # Cell.op of what no instruction computes; else R_...
    C_UNSET = R_COUNT
    C_CONST
    C_PARAM                             # a leaf that somebody holds: read and written where it stands
    C_LOOKUP                            # an element of the row of a table that a token chooses
    C_INPUT                             # a number among the arguments
    C_CONSTRUCTED                       # a node with local gradients by hand
    C_ABSORBED                          # a product that became a part of a sum, and ...
    C_ABSORBED_SUM                      # ... a partial sum that did

cdef enum:                              # Vector.slot
    NONE_YET = -1
    APART = -2

cdef enum:                              # Cell.kind: when the number is an int
    K_FLOAT
    K_INT
    K_ZERO                              # never negative, and an int where it is 0 only: as relu gives it
    K_ZERO_SIGNED                       # the same times an int
    K_UNSURE

cdef enum:                              # Cell.grads, together
    G_INT = 1
    G_FLOAT = 2
    G_UNSURE = 4

ctypedef struct Cell:                   # 64 bytes: the passes over them take as long as memory does
    uint32_t node                       # in the arena
    uint32_t a                          # operands, as cells; of sums, of R_MAX and of C_CONSTRUCTED: a Vector, ...
    uint32_t b                          # ... and how many terms
    uint32_t right                      # dot products: Vector of second factors; absorbed: the sum; C_CONSTRUCTED: in local_grads
    uint32_t start                      # sums: the cell that they begin with
    uint32_t uses                       # as an operand; a vector of several dot products is one
    uint32_t vector                     # 1 + the latest Vector of dot products that begins with it
    uint32_t link                       # sums: terms so far; absorbed: which term; rows of a choice: since when they wait
    uint32_t choice                     # 1 + the choice that picked this weight, or has this row; leaves: see Choice.take
    uint16_t table                      # C_PARAM and C_LOOKUP: 1 + the table it is an element of
    uint16_t column                     # in its table
    int32_t slot
    int32_t level                       # longest way from a leaf
    double number                       # constant, exponent, factor, summand
    uint8_t op
    uint8_t kind
    uint8_t int_number                  # `number` is an int
    uint8_t has_products                # a chain: of products
    uint8_t extended                    # a chain: a longer one goes on from here
    uint8_t grads                       # what the gradient receives, G_...
    uint8_t kept                        # one of several results: it stays a cell of its own

cdef Cell NEW_CELL                      # all zeros but for:
NEW_CELL.slot, NEW_CELL.level = -1, -1

ctypedef struct Vector:                 # operands of a sum, or one side of those of dot products: of all that have the same
    uint32_t first                      # in `operands`
    uint32_t n
    int32_t level                       # longest way from a leaf to what is computed from it; -1: not found yet
    int32_t slot                        # of the first one, if they are neighbours; NONE_YET; APART
    uint32_t node                       # of the first one, if they were read from a range; else 0
    uint8_t float_grad                  # all their gradients are known to receive a float
    uint8_t of_dots                     # one side of dot products
    uint8_t is_one                      # as to the order of backward: see Backward

ctypedef struct Event:                  # in the order of the walk: these terms of a cell, or all that there is to it
    uint32_t cell
    uint32_t low
    uint32_t high


class NotRecorded(Exception):
    """Why a function cannot be recorded. `later`: it may be another time. `target`: the place of the token among the arguments
    for each value of which it may."""

    def __init__(self, reason, later=False, target=None):
        super().__init__(reason)
        self.later = later
        self.target = target


@cython.final
cdef class Memory:
    """Arrays that go when this goes."""
    cdef void **last                    # allocations, linked: the first 16 bytes of each

    def __dealloc__(self):
        cdef void **piece
        while self.last != NULL:
            piece = self.last
            self.last = <void **>piece[0]
            PyMem_RawFree(piece)

    cdef void *room(self, size_t n, size_t size) except NULL:
        """For n items of so many bytes."""
        cdef void **piece = <void **>PyMem_RawMalloc(16 + n * size)
        if piece == NULL:
            raise MemoryError
        piece[0], self.last = self.last, piece
        return <char *>piece + 16

    cdef void *zeros(self, size_t n, size_t size) except NULL:
        return memset(self.room(n, size), 0, n * size)


cdef inline void *grown(Memory memory, void *array, size_t *capacity, size_t needed, size_t size) except? NULL:
    """The array, or a larger one with what it holds, so that it has room for `needed` items."""
    cdef void *larger
    if needed <= capacity[0]:
        return array
    larger = memory.room(2 * needed + 64, size)
    if array != NULL:
        memcpy(larger, array, capacity[0] * size)
    capacity[0] = 2 * needed + 64
    return larger


@cython.final
cdef class Graph:
    """Cells, vectors and events, read from the arena."""
    cdef Memory memory                  # of these and of all that is made from them
    cdef Cell *cells
    cdef size_t n_cells, cells_capacity
    cdef uint32_t *sources              # cells that no instruction computes, and R_MAX
    cdef size_t n_sources, sources_capacity
    cdef Vector *vectors
    cdef size_t n_vectors, vectors_capacity
    cdef uint32_t *operands             # of vectors: cells
    cdef size_t n_operands, operands_capacity
    cdef double *local_grads            # of nodes made by hand
    cdef size_t n_local_grads, local_grads_capacity
    cdef Dots *dots                     # the record that was read last, and ...
    cdef uint32_t shared                # ... the Vector that its rows share
    cdef Event *events
    cdef size_t n_events, events_capacity
    cdef uint32_t **by_block            # cell of each node
    cdef uint32_t n_blocks
    cdef uint64_t first_serial          # nodes from this place on were made while recording
    cdef uint32_t first_place
    cdef uint32_t root
    cdef uint32_t n_known               # cells there were before the walk that is read now
    cdef uint32_t n_below               # cells of the root and of what lies below it stand before this one, ...
    cdef size_t n_below_events          # ... and their events
    cdef list held                      # the Values of C_PARAM
    cdef list inner                     # nodes below the root that have a Value
    cdef dict powers                    # node -> exponent or base

    def __cinit__(self):
        self.n_blocks = arena.capacity
        self.memory = Memory()
        self.by_block = <uint32_t **>self.memory.zeros(self.n_blocks, sizeof(uint32_t *))
        self.held, self.inner = [], []
        self.new_source(0, C_CONST)                          # cell 0 is 0.0

    cdef int reserve(self, size_t n) except -1:
        """Room for n more cells and events."""
        self.cells = <Cell *>grown(self.memory, self.cells, &self.cells_capacity, self.n_cells + n, sizeof(Cell))
        self.events = <Event *>grown(self.memory, self.events, &self.events_capacity, self.n_events + n, sizeof(Event))
        return 0

    cdef inline uint32_t next_cell(self, uint32_t node, uint8_t op) except? 0xffffffff:
        cdef uint32_t c = <uint32_t>self.n_cells
        cdef Cell *cell
        if self.n_cells == self.cells_capacity:
            self.reserve(1)
        cell = &self.cells[c]
        cell[0] = NEW_CELL
        cell.node, cell.op = node, op
        self.n_cells += 1
        return c

    cdef uint32_t new_source(self, uint32_t node, uint8_t op) except? 0xffffffff:
        """A cell that no instruction computes, or R_MAX."""
        cdef uint32_t c = self.next_cell(node, op)
        self.add_source(c)
        return c

    cdef int add_source(self, uint32_t c) except -1:
        self.sources = <uint32_t *>grown(self.memory, self.sources, &self.sources_capacity, self.n_sources + 1, sizeof(uint32_t))
        self.sources[self.n_sources] = c
        self.n_sources += 1
        return 0

    cdef inline uint32_t *place_of(self, uint32_t node) except NULL:
        cdef uint32_t **cells = &self.by_block[node >> BLOCK_BITS]
        if cells[0] == NULL:
            cells[0] = <uint32_t *>self.memory.room(BLOCK_NODES, sizeof(uint32_t))
            memset(cells[0], 0xff, BLOCK_NODES * sizeof(uint32_t))
        return &cells[0][node & PLACE_MASK]

    cdef inline uint32_t cell_of(self, uint32_t node) except? 0xffffffff:
        """The cell of a node; of a new one that is no leaf, without an operation yet."""
        cdef uint32_t *places = self.by_block[node >> BLOCK_BITS]
        if places != NULL and places[node & PLACE_MASK] != NONE:
            return places[node & PLACE_MASK]
        return self.cell_of_new(node)

    cdef uint32_t cell_of_new(self, uint32_t node) except? 0xffffffff:
        cdef Block *block = block_of(arena, node)
        cdef uint32_t place = node & PLACE_MASK, c
        cdef uint8_t flags = block.flags[place]
        cdef uint32_t *found = self.place_of(node)
        if flags & SUBCLASS:
            raise NotRecorded("it uses a Value of a subclass")
        if flags & LEAF:
            c = self.new_source(node, C_CONST if block.handles[place] == NULL else C_PARAM)
            self.cells[c].number = block.numbers[place]
            if block.handles[place] != NULL:
                self.held.append(<object>block.handles[place])
        else:
            if block.serial < self.first_serial or (block.serial == self.first_serial and place < self.first_place):
                raise NotRecorded("it uses a Value that was computed before the call; compute it inside the function")
            c = self.next_cell(node, C_UNSET)
            if block.handles[place] != NULL:
                self.inner.append(node)
        if flags & DATA_INT:
            self.cells[c].kind = K_INT
        found[0] = c
        return c

    cdef inline uint32_t *left_of(self, const Cell *cell) noexcept:
        return self.operands + self.vectors[cell.a].first

    cdef inline uint32_t *right_of(self, const Cell *cell) noexcept:
        return self.operands + self.vectors[cell.right].first

    cdef uint32_t *next_operands(self, size_t n) except NULL:
        """Room for so many, which become a vector by `take_vector`."""
        self.operands = <uint32_t *>grown(self.memory, self.operands, &self.operands_capacity, self.n_operands + n,
                                          sizeof(uint32_t))
        return self.operands + self.n_operands

    cdef uint32_t take_vector(self, uint32_t n, bint of_dots) except? 0xffffffff:
        """The Vector of the n next operands; of dot products, the one before it if that has the same."""
        cdef uint32_t *operands = self.operands + self.n_operands
        cdef uint32_t k, known = self.cells[operands[0]].vector if of_dots and n else 0
        if known and self.vectors[known - 1].n == n and (
                memcmp(self.operands + self.vectors[known - 1].first, operands, n * sizeof(uint32_t)) == 0):
            for k in range(n):
                self.cells[operands[k]].uses -= 1
            return known - 1
        self.vectors = <Vector *>grown(self.memory, self.vectors, &self.vectors_capacity, self.n_vectors + 1, sizeof(Vector))
        self.vectors[self.n_vectors] = Vector(<uint32_t>self.n_operands, n, -1, NONE_YET, 0, False, of_dots, False)
        self.n_operands += n
        self.n_vectors += 1
        if of_dots and n:
            self.cells[operands[0]].vector = <uint32_t>self.n_vectors
        return <uint32_t>(self.n_vectors - 1)

    cdef uint32_t read_vector(self, const uint32_t *ids, bint is_range, uint32_t n, bint of_dots) except? 0xffffffff:
        """The Vector of these nodes."""
        cdef uint32_t *operands = self.next_operands(n + 1)
        cdef uint32_t k, known = self.cells[self.cell_of(ids[0])].vector if of_dots and n else 0
        if known and is_range and self.vectors[known - 1].n == n and self.vectors[known - 1].node == ids[0]:
            return known - 1
        for k in range(n):
            operands[k] = self.cell_of(ids[0] + k if is_range else ids[k])
            self.cells[operands[k]].uses += 1
        known = self.take_vector(n, of_dots)
        self.vectors[known].node = ids[0] if is_range and n else 0
        return known

    cdef bint same_operands(self, uint32_t a, uint32_t b) noexcept:
        cdef Vector *one = &self.vectors[a]
        cdef Vector *other = &self.vectors[b]
        return a == b or (one.n == other.n and memcmp(self.operands + one.first, self.operands + other.first,
                                                      one.n * sizeof(uint32_t)) == 0)

    cdef int32_t first_slot(self, uint32_t number) noexcept:
        """The slot of a vector's first operand, if the others are its neighbours; else APART. Once they have their slots."""
        cdef Vector *vector = &self.vectors[number]
        if vector.slot == NONE_YET:
            vector.slot = self.first_of(self.operands + vector.first, vector.n)
        return vector.slot

    cdef int32_t first_of(self, const uint32_t *operands, uint32_t n) noexcept:
        cdef uint32_t k
        cdef int32_t first = self.cells[operands[0]].slot if n else 0
        for k in range(1, n):
            if self.cells[operands[k]].slot != first + <int32_t>k:
                return APART
        return first

    cdef inline int add_event(self, uint32_t cell, uint32_t low, uint32_t high) except -1:
        if self.n_events == self.events_capacity:
            self.reserve(1)
        self.events[self.n_events] = Event(cell, low, high)
        self.n_events += 1
        return 0

    # ---- one node ---------------------------------------------------------------------------------------------------------

    cdef int read_dot(self, uint32_t c, Dots *dots, uint32_t row) except -1:
        cdef bint is_dot = dots.shared != NULL
        cdef uint32_t of_row = self.read_vector(dots.rows + (row if dots.rows_are_ranges else row * <size_t>dots.n),
                                                dots.rows_are_ranges, dots.n, is_dot)
        if is_dot and self.dots != dots:
            self.dots, self.shared = dots, self.read_vector(dots.shared, dots.shared_is_range, dots.n, True)
        self.cells[c].op, self.cells[c].b = R_DOT if is_dot else R_SUM, dots.n
        self.cells[c].a, self.cells[c].right = of_row, self.shared if is_dot else NONE
        if is_dot and dots.shared_left:
            self.cells[c].a, self.cells[c].right = self.shared, of_row
        return 0

    cdef int read_constructed(self, uint32_t c, Block *block, uint32_t place) except -1:
        """A node by hand: its data and local gradients are as good as constants, since no number was read to find them."""
        cdef Operands *operands
        cdef const uint32_t *ids = &block.children[place].first
        cdef const double *local_grads = <double *>&block.local_grads[place]
        cdef bint has_ints = not block.flags[place] & NARY and block.flags[place] & (GRAD0_INT | GRAD1_INT) != 0
        cdef uint32_t k, n = 1 if block.children[place].second == 0 else 2
        if block.flags[place] & NARY:
            operands = block.local_grads[place].first.operands
            if operands.replay != NULL:
                raise NotRecorded("it uses the result of another recorded function from before the call")
            n, ids, local_grads = min(operands.n_children, operands.n_grads), operands.children, operands.local_grads
            for k in range(n):
                has_ints = has_ints or operands.is_int[k]
        if has_ints:
            raise NotRecorded("a Value made by hand has ints as local gradients; write them as floats")
        self.local_grads = <double *>grown(self.memory, self.local_grads, &self.local_grads_capacity, self.n_local_grads + n,
                                           sizeof(double))
        memcpy(self.local_grads + self.n_local_grads, local_grads, n * sizeof(double))
        k = self.read_vector(ids, False, n, False)
        self.cells[c].op, self.cells[c].number = C_CONSTRUCTED, block.numbers[place]
        self.cells[c].a, self.cells[c].b, self.cells[c].right = k, n, <uint32_t>self.n_local_grads
        self.n_local_grads += n
        return self.add_source(c)

    cdef int read_power(self, uint32_t c, uint32_t operation) except -1:
        cdef Cell *cell = &self.cells[c]
        cdef uint32_t base = self.cells[cell.a].node
        cdef double x = block_of(arena, base).numbers[base & PLACE_MASK]
        cdef double raised = block_of(arena, cell.node).numbers[cell.node & PLACE_MASK]
        number = self.powers.get(cell.node)
        if number is not None:
            cell.number, cell.int_number = float(number), isinstance(number, int)
        elif operation == OP_RPOW or not isfinite(x):
            raise NotRecorded("a power was computed from a number that is not finite", True)
        else:                                               # by a function or an operator of ours: -1 or -0.5
            cell.number = -1.0 if pow(x, -1.0) == raised and (x != 1.0 or self.is_inverse(cell.node)) else -0.5
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

    cdef int read_other(self, uint32_t c, Block *block, uint32_t place) except -1:
        """A node that is neither a sum nor a product of two."""
        if block.flags[place] & NARY or (block.constructed[place >> 6] >> (place & 63)) & 1:
            return self.read_constructed(c, block, place)
        if block.children[place].second == 0:
            return self.read_unary(c, block, place)
        raise NotRecorded("it has a Value as an exponent; write (b * a.log()).exp() for a ** b")

    cdef int read_terms(self, uint32_t node, uint32_t low, uint32_t high) except -1:
        """An event of a dot product; high NONE: the rest of it."""
        cdef uint32_t c = self.cell_of(node), k
        cdef Dots *dots
        if c < self.n_known:
            return 0
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
        cdef uint32_t k, exponent, largest
        cdef uint32_t *operands
        cdef const uint32_t *exponents
        if cell.op != R_SUM or cell.b == 0:
            return 0
        exponents = self.left_of(cell)
        for k in range(cell.b):
            if self.cells[exponents[k]].op != R_EXP or self.cells[self.cells[exponents[k]].a].op != R_SHIFT:
                return 0
        if self.cells[self.cells[exponents[0]].a].b != NONE:
            return 0
        largest = self.new_source(0, R_MAX)
        cell = &self.cells[c]
        operands = self.next_operands(cell.b)
        exponents = self.left_of(cell)
        for k in range(cell.b):
            exponent = self.cells[exponents[k]].a
            self.cells[exponent].b = largest                # not a use in the graph
            operands[k] = self.cells[exponent].a
        self.cells[largest].a, self.cells[largest].b = self.take_vector(cell.b, False), cell.b
        return 0

    # ---- the whole graph --------------------------------------------------------------------------------------------------

    cdef int read_from(self, uint32_t root) except -1:
        """Read what lies below the root, in the order of `backward`."""
        cdef size_t n = walk(root), k
        cdef uint32_t first, last
        self.n_known = <uint32_t>self.n_cells
        try:
            self.reserve(nodes_in(arena.scratch, n))
            for k in range(n):
                first, last = <uint32_t>(arena.scratch[k] >> 32), <uint32_t>arena.scratch[k]
                if last == 0:                               # read with the entry before it
                    continue
                if k + 1 < n and <uint32_t>arena.scratch[k + 1] == 0:
                    self.read_terms(<uint32_t>(arena.scratch[k + 1] >> 32), first, last)
                    continue
                self.read_span(first, last)
        finally:
            unvisit(arena, n)
        return 0

    cdef int read_all(self, list results) except -1:
        """Read what lies below the first one, the root, and then what the others need besides."""
        for value in results:
            if self.place_of((<Value>value).id)[0] == NONE:
                self.read_from((<Value>value).id)
            if self.n_below == 0:
                self.n_below, self.n_below_events = <uint32_t>self.n_cells, self.n_events
            self.cells[self.cell_of((<Value>value).id)].kept = True
        self.root = self.cell_of((<Value>results[0]).id)
        return 0

    cdef int read_span(self, uint32_t first, uint32_t last) except -1:
        """Nodes side by side in a block: their cells' operations and operands, and their events."""
        cdef Block *block = block_of(arena, first)
        cdef bint is_old = block.serial <= self.first_serial
        cdef uint32_t *cells = self.place_of(block.first_id)
        cdef uint32_t node, place, c, a, b
        cdef Children *children
        cdef Cell *cell
        for node in range(first, last + 1):
            place = node & PLACE_MASK
            children = &block.children[place]
            if block.flags[place] & LEAF:
                continue
            if block.flags[place] & DOT == DOT:
                self.read_terms(node, 0, NONE)
                continue
            if is_old or cells[place] != NONE or block.handles[place] != NULL or block.flags[place] & (SUBCLASS | DATA_INT):
                c = self.cell_of(node)
            else:
                c = cells[place] = self.next_cell(node, C_UNSET)
            if c < self.n_known:
                continue
            self.add_event(c, 0, 0)
            if children.second == 0 or block.flags[place] & NARY or (
                    (block.constructed[place >> 6] | block.raised[place >> 6]) >> (place & 63)) & 1:
                self.read_other(c, block, place)
                continue
            a, b = self.cell_of(children.first), self.cell_of(children.second)
            self.cells[a].uses += 1
            self.cells[b].uses += 1
            cell = &self.cells[c]
            cell.op, cell.a, cell.b = R_ADD if block.flags[place] & ONES else R_MUL, a, b
        return 0


cdef size_t walk(uint32_t root) except? 0:
    """Write what lies at and below a result into the scratch, to be unvisited. Returns how many entries that has."""
    if block_prepare(arena, arena.open[RESULTS]) < 0 or scratch_reserve(arena) < 0:
        raise MemoryError
    spans_prepare(arena)
    arena.walk_number += 1
    arena.walk_failed = False
    n = walk_from(arena, root)
    if arena.walk_failed:
        unvisit(arena, n)
        raise MemoryError
    return n


def tops(list values):
    """Those of the results on which no other one depends, in their order."""
    cdef size_t n
    cdef uint32_t node
    cdef set below = set()
    for value in sorted(values, key=where, reverse=True) if len(values) > 1 else ():
        if (<Value>value).id not in below:
            n = walk((<Value>value).id)
            for other in values:
                node = (<Value>other).id
                if other is not value and block_of(arena, node).flags[node & PLACE_MASK] & VISITED:
                    below.add(node)
            unvisit(arena, n)
    return [value for value in values if (<Value>value).id not in below]


cdef size_t nodes_in(const uint64_t *entries, size_t n) noexcept:
    """How many nodes a list of the walk has."""
    cdef size_t found = 0, k
    for k in range(n):
        found += 1 + max(<uint32_t>entries[k], <uint32_t>(entries[k] >> 32)) - <uint32_t>(entries[k] >> 32)
    return found
