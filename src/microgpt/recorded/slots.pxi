# Where each number stands: slots given out by use, so that operands of one instruction are neighbours.
# A part of _recorded.pyx, which includes it.

ctypedef struct Order:                  # cells sorted by level and operation
    uint32_t *cells
    size_t n


cdef uint32_t *by_creation(Graph graph, size_t *n) except NULL:
    """The cells that an instruction computes, in the order in which their nodes were made, operands first."""
    cdef uint32_t *order = <uint32_t *>graph.memory.room(graph.n_cells, sizeof(uint32_t))
    cdef uint32_t number, place, c
    blocks = sorted((block_of(arena, number << BLOCK_BITS).serial, number)
                    for number in range(0, graph.n_blocks, 2) if graph.by_block[number] != NULL)
    n[0] = 0
    for serial, block_number in blocks:
        number = block_number
        for place in range(<uint32_t>BLOCK_NODES):
            c = graph.by_block[number][place]
            if c != NONE and graph.cells[c].op < R_COUNT:
                order[n[0]] = c
                n[0] += 1
    return order


cdef inline int32_t level_above(Graph graph, int32_t level, uint32_t c) noexcept:
    return max(level, graph.cells[c].level + 1)


cdef int32_t level_of_vector(Graph graph, uint32_t number) noexcept:
    cdef Vector *vector = &graph.vectors[number]
    cdef const uint32_t *operands = graph.operands + vector.first
    cdef uint32_t k
    if vector.level < 0:
        vector.level = 0
        for k in range(vector.n):
            vector.level = level_above(graph, vector.level, operands[k])
    return vector.level


cdef void find_level(Graph graph, uint32_t c) noexcept:
    cdef Cell *cell = &graph.cells[c]
    cdef const uint32_t *operands
    cdef uint32_t k
    if cell.op == R_MAX:
        operands = graph.left_of(cell)
        for k in range(cell.b):                             # scaled logits are made one by one, each beside its exponential
            if graph.cells[operands[k]].level < 0:
                find_level(graph, operands[k])
        cell.level = level_of_vector(graph, cell.a)
    elif cell.op == R_SUM or cell.op == R_DOT:
        cell.level = level_above(graph, level_of_vector(graph, cell.a), cell.start)
        if cell.op == R_DOT:
            cell.level = max(cell.level, level_of_vector(graph, cell.right))
    else:
        cell.level = level_above(graph, 0, cell.a)
        if cell.op == R_SHIFT and graph.cells[cell.b].level < 0:
            find_level(graph, cell.b)
        if cell.b != NONE and (cell.op == R_ADD or cell.op == R_MUL or cell.op == R_MUL_INT or cell.op == R_SHIFT):
            cell.level = level_above(graph, cell.level, cell.b)


cdef int sort_stable(uint32_t *items, size_t n, const uint32_t *keys, size_t n_keys) except -1:
    """Sort items by keys[item]."""
    cdef Memory memory = Memory()
    cdef size_t *starts = <size_t *>memory.zeros(n_keys + 1, sizeof(size_t))
    cdef uint32_t *sorted_items = <uint32_t *>memory.room(n, sizeof(uint32_t))
    cdef size_t k
    for k in range(n):
        starts[keys[items[k]] + 1] += 1
    for k in range(n_keys):
        starts[k + 1] += starts[k]
    for k in range(n):
        sorted_items[starts[keys[items[k]]]] = items[k]
        starts[keys[items[k]]] += 1
    memcpy(items, sorted_items, n * sizeof(uint32_t))
    return 0


@cython.final
cdef class Slots:
    """Gives every cell its slot."""
    cdef Graph graph
    cdef int32_t n

    def __init__(self, Graph graph):
        self.graph = graph
        self.n = 0

    cdef void give(self, uint32_t c) noexcept:
        if self.graph.cells[c].slot < 0:
            self.graph.cells[c].slot = self.n
            self.n += 1

    cdef void give_vector(self, uint32_t number) noexcept:
        """The operands get slots side by side, if none has one yet."""
        cdef Vector *vector = &self.graph.vectors[number]
        cdef const uint32_t *operands = self.graph.operands + vector.first
        cdef uint32_t k
        for k in range(vector.n):
            if self.graph.cells[operands[k]].slot >= 0:
                return
        for k in range(vector.n):
            self.give(operands[k])

    cdef int give_all(self, const uint32_t *sorted_cells, size_t n) except -1:
        """Elements of tables have theirs. Then the longest sums choose, then the rest in the order of computing."""
        cdef Graph graph = self.graph
        cdef uint32_t *longest = <uint32_t *>graph.memory.room(n, sizeof(uint32_t))
        cdef uint32_t *keys = <uint32_t *>graph.memory.room(graph.n_cells, sizeof(uint32_t))
        cdef size_t n_sums = 0, k
        cdef uint32_t most = 0
        for k in range(n):
            if graph.cells[sorted_cells[k]].op == R_DOT or graph.cells[sorted_cells[k]].op == R_SUM:
                longest[n_sums] = sorted_cells[k]
                n_sums += 1
                most = max(most, graph.cells[sorted_cells[k]].b)
        for k in range(n_sums):
            keys[longest[k]] = most - graph.cells[longest[k]].b
        sort_stable(longest, n_sums, keys, most + 1)
        for k in range(n_sums):
            self.give_vector(graph.cells[longest[k]].a)
            if graph.cells[longest[k]].op == R_DOT:
                self.give_vector(graph.cells[longest[k]].right)
        for k in range(graph.n_sources):
            self.give(graph.sources[k])
        for k in range(n):
            self.give(sorted_cells[k])
        return 0
