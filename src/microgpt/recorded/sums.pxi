# Chains of additions made one instruction: sum(w * x for ...) and sum(...), written with scalar operators.
# A part of _recorded.pyx, which includes it.
#
#     ((start + w0 * x0) + w1 * x1) + ...        every product and every partial sum with one consumer
#
# All of them have the gradient of the sum, since each passes on what it got times 1. What is left of a product in the order of
# backward is its event: when its two factors receive.

cdef inline bint is_own_product(Graph graph, uint32_t c) noexcept:
    """A product that has one consumer, and may be a term of that."""
    cdef Cell *cell = &graph.cells[c]
    return cell.op == R_MUL and cell.kind == K_FLOAT and cell.uses == 1 and cell.choice == 0 and not cell.kept


cdef inline bint is_zero(Cell *cell) noexcept:
    return cell.op == C_CONST and cell.number == 0.0 and cell.kind == K_INT


cdef inline void chain_begins(Graph graph, uint32_t c) noexcept:
    """The addition c is the first of a chain, or none."""
    cdef Cell *cell = &graph.cells[c]
    if is_zero(&graph.cells[cell.b]):
        cell.link, cell.has_products = 1, is_own_product(graph, cell.a)
    elif is_own_product(graph, cell.b) and cell.kind == K_FLOAT:
        cell.link, cell.has_products = 1, True


cdef inline bint chain_goes_on(Graph graph, uint32_t c) noexcept:
    cdef Cell *cell = &graph.cells[c]
    cdef Cell *before = &graph.cells[cell.a]
    if before.op != R_ADD or before.link == 0 or before.uses != 1 or before.kept or cell.a == cell.b:
        return False
    if before.has_products != is_own_product(graph, cell.b):
        return False
    cell.link, cell.has_products = before.link + 1, before.has_products
    before.extended = True
    return True


cdef inline void absorb(Graph graph, uint32_t c, uint32_t total, uint32_t k, uint8_t how) noexcept:
    graph.cells[c].op = how
    graph.cells[c].right, graph.cells[c].link = total, k


cdef int make_sum(Graph graph, uint32_t total) except -1:
    """The chain that ends here becomes a sum of terms. One addition of one product to something stays what it is."""
    cdef uint32_t c = total, n = graph.cells[total].link, k, before, term
    cdef bint has_products = graph.cells[total].has_products, from_zero
    cdef uint32_t *terms
    cdef Cell *cell
    if n == 1 and not is_zero(&graph.cells[graph.cells[total].b]):
        return 0
    terms = graph.next_operands(2 * <size_t>n) + (n if has_products else 0)
    for k in range(n, 0, -1):
        cell = &graph.cells[c]
        before = cell.a
        from_zero = k == 1 and is_zero(&graph.cells[cell.b])
        term = terms[k - 1] = cell.a if from_zero else cell.b
        if k == 1:
            graph.cells[total].start = 0 if from_zero else cell.a
        if has_products:
            absorb(graph, term, total, k - 1, C_ABSORBED)
        if c != total:
            absorb(graph, c, total, k - 1, C_ABSORBED_SUM)
        c = before
    cell = &graph.cells[total]
    if has_products:
        take_factors(graph, cell, terms, n)
    else:
        cell.op, cell.a = R_SUM, graph.take_vector(n, False)
    cell.b, cell.link = n, n
    return 0


cdef int take_factors(Graph graph, Cell *total, const uint32_t *products, uint32_t n) except -1:
    """The vectors of a dot product. The products stand behind where each of them is made."""
    cdef uint32_t *factors = graph.next_operands(0)
    cdef uint32_t k
    for k in range(n):
        factors[k] = graph.cells[products[k]].a
    total.op, total.a = R_DOT, graph.take_vector(n, True)
    factors = graph.next_operands(0)
    for k in range(n):
        factors[k] = graph.cells[products[k]].b
    total.right = graph.take_vector(n, True)
    return 0


cdef int find_sums(Graph graph) except -1:
    cdef uint32_t *chains = <uint32_t *>graph.memory.room(graph.n_events + 1, sizeof(uint32_t))
    cdef size_t i, n = 0
    cdef uint32_t c
    for i in range(graph.n_events):
        c = graph.events[i].cell
        if graph.cells[c].op == R_ADD:
            if not chain_goes_on(graph, c):
                chain_begins(graph, c)
            chains[n] = c
            n += graph.cells[c].link != 0
    for i in range(n):
        if not graph.cells[chains[i]].extended and graph.cells[chains[i]].op == R_ADD:
            make_sum(graph, chains[i])
    return 0
