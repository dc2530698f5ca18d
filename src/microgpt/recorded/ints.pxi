# Which numbers are ints: told from the recording where that never changes, refused where it would matter and may.
# A part of _recorded.pyx, which includes it.
#
# relu gives the int 0 or a float, by the number. An int shows in three ways: it has no -0.0, it reads back as an int, and a
# gradient that received ints only reads back as one.

cdef uint8_t kind_of_sum(Cell *a, Cell *b) noexcept:
    if a.kind == K_FLOAT or b.kind == K_FLOAT:
        return K_FLOAT
    if a.kind == K_INT and b.kind == K_INT:
        return K_INT
    if a.kind == K_ZERO and b.kind == K_ZERO:
        return K_ZERO
    if b.kind == K_INT and b.op == C_CONST and b.number == 0.0:
        return a.kind
    return K_UNSURE


cdef int kind_of_product(Cell *a, Cell *b) except -1:
    if a.kind == K_FLOAT or b.kind == K_FLOAT:
        return K_FLOAT
    if a.kind == K_INT and b.kind == K_INT:
        return K_INT
    if a.kind == K_INT:
        return kind_of_product(b, a)
    if b.kind == K_INT and b.op == C_CONST and b.number != 0.0 and a.kind != K_UNSURE:
        return a.kind if b.number > 0.0 else K_ZERO_SIGNED
    if a.kind == K_ZERO and b.kind == K_ZERO:
        return K_UNSURE
    raise NotRecorded("whether a product is an int depends on numbers there; write its factors as floats", True)


cdef int kind_of_function(Cell *cell, Cell *a) except -1:
    if cell.op == R_RELU:
        return K_ZERO if a.kind == K_FLOAT or a.kind == K_ZERO else K_INT if a.kind == K_INT else K_UNSURE
    if cell.op == R_ABS:
        return K_ZERO if a.kind == K_ZERO_SIGNED else a.kind
    if a.kind == K_FLOAT or cell.op not in (R_POW, R_RPOW, R_ADD_C, R_MUL_C):
        return K_FLOAT
    if cell.op == R_POW and a.kind == K_ZERO:
        return K_UNSURE if cell.int_number else K_FLOAT
    raise NotRecorded("a Value there is an int; write it as a float", True)


cdef int find_kinds(Graph graph) except -1:
    """Cell.kind of everything, operands first; a sum whose terms have their turn in parts comes with the last of them."""
    cdef size_t i
    cdef uint32_t k
    cdef Cell *cells = graph.cells
    cdef Cell *cell
    cdef Cell total
    for i in range(graph.n_events):
        cell = &cells[graph.events[i].cell]
        if cell.op == R_ADD:
            cell.kind = kind_of_sum(&cells[cell.a], &cells[cell.b])
        elif cell.op == R_MUL:
            cell.kind = kind_of_product(&cells[cell.a], &cells[cell.b])
            if cell.kind != K_FLOAT and cell.kind != K_UNSURE:
                cell.op = R_MUL_INT
        elif cell.op == R_SUM and graph.events[i].high == cell.b:
            total.op, total.number, total.kind = C_CONST, 0.0, K_INT
            for k in range(cell.b):
                total.kind = kind_of_sum(&cells[graph.left_of(cell)[k]], &total)
                total.op = R_SUM
            cell.kind = total.kind
        elif cell.op == R_DOT or cell.op == R_SHIFT:
            cell.kind = K_FLOAT
        elif cell.op < R_COUNT and cell.op != R_SUM:
            cell.kind = kind_of_function(cell, &cells[cell.a])
    if cells[graph.root].kind == K_UNSURE:
        raise NotRecorded("whether the result is an int depends on numbers; multiply it by 1.0")
    return 0


cdef inline void grad_receives(Cell *source, uint8_t local_kind, Cell *child) noexcept:
    if source.grads & G_FLOAT or local_kind == K_FLOAT:
        child.grads |= G_FLOAT
    else:
        child.grads |= G_UNSURE if source.grads & G_UNSURE or local_kind != K_INT else G_INT


cdef void vector_receives(Graph graph, Cell *source, uint32_t number, uint32_t others) noexcept:
    """The gradients of one side of a dot product, of which the numbers of the other side are the local ones."""
    cdef Vector *vector = &graph.vectors[number]
    cdef const uint32_t *operands = graph.operands + vector.first
    cdef const uint32_t *local = graph.operands + graph.vectors[others].first
    cdef uint32_t k
    if vector.float_grad:
        return
    vector.float_grad = source.grads & G_FLOAT
    for k in range(vector.n):
        grad_receives(source, graph.cells[local[k]].kind, &graph.cells[operands[k]])


cdef int find_grad_kinds(Graph graph) except -1:
    """Cell.grads of everything, where the root's gradient is an int."""
    cdef size_t i
    cdef uint32_t k
    cdef Cell *cells = graph.cells
    cdef Cell *cell
    cdef Event *event
    for i in range(graph.n_below_events, 0, -1):
        event = &graph.events[i - 1]
        cell = &cells[event.cell]
        if cell.op == R_ADD:
            grad_receives(cell, K_INT, &cells[cell.a])
            grad_receives(cell, K_INT, &cells[cell.b])
        elif cell.op == R_MUL or cell.op == R_MUL_INT:
            grad_receives(cell, cells[cell.b].kind, &cells[cell.a])
            grad_receives(cell, cells[cell.a].kind, &cells[cell.b])
        elif cell.op == R_DOT:
            if event.high == cell.b:                        # if its terms have their turn in parts, the first time is enough
                vector_receives(graph, cell, cell.a, cell.right)
                vector_receives(graph, cell, cell.right, cell.a)
        elif cell.op == R_SUM:
            for k in range(event.low, event.high):
                grad_receives(cell, K_INT, &cells[graph.left_of(cell)[k]])
        elif cell.op == C_CONSTRUCTED:
            for k in range(cell.b):
                grad_receives(cell, K_FLOAT, &cells[graph.left_of(cell)[k]])
        elif cell.op == R_POW and cells[cell.a].kind != K_FLOAT:
            grad_receives(cell, K_UNSURE, &cells[cell.a])
        else:
            grad_receives(cell, K_INT if cell.op == R_SHIFT or cell.op == R_ADD_C or (cell.op == R_MUL_C and cell.int_number)
                          else K_FLOAT, &cells[cell.a])
    for i in range(graph.n_sources):
        cell = &cells[graph.sources[i]]
        if (cell.op == C_PARAM and cell.grads & (G_FLOAT | G_UNSURE) == G_UNSURE) or (
                cell.op == C_LOOKUP and cell.grads and not cell.grads & G_FLOAT):
            raise NotRecorded("whether a gradient is an int depends on numbers; multiply the result by 1.0")
    return 0
