# What a token decides: the row of a table, and which weight of a softmax is looked at.
# A part of _recorded.pyx, which includes it.


def cannot_choose(token):
    """The target decides the order of backward in a way that one recording does not have."""
    return NotRecorded("more than two targets that vary decide the order of backward, since their logits are not made by one call"
                       " of linear for each, and for nothing else; pass them by a parameter named in static=(...)", target=token)


cdef class Table:
    """A matrix of parameters, of which tokens choose rows."""
    cdef readonly list rows             # lists of Values
    cdef uint32_t n_rows, n_columns
    cdef int32_t first_slot

    def __init__(self, rows):
        self.rows = [list(row) for row in rows]
        self.n_rows = <uint32_t>len(self.rows)
        self.n_columns = <uint32_t>len(self.rows[0]) if self.rows else 0
        if self.n_columns >= ROW_WIDTH or any(len(row) != self.n_columns for row in self.rows):
            raise NotRecorded("a table must have rows of one length below 4096")


cdef class Choice:
    """exp(logit) / total for the logit that a token names.

    The walk goes to that logit first, and by it to all that the logits are made from; to the others after it. Which one it is
    changes nothing but the order in which the rows of a linear layer pass on their gradients, if every logit is made in the
    same way: by functions of its own from a product of its own row with one and the same vector. Then the rows that are not
    the target's come first in backward, from last to first, and its row comes last.
    """
    cdef readonly uint32_t token, total, chosen
    cdef uint32_t number                # of this choice, counted from 1
    cdef size_t n_waiting               # rows that have had their turn in backward
    cdef readonly list rows             # cells of the sums of products, by logit; empty if the logits are leaves

    def __init__(self, uint32_t token):
        self.token = token
        self.rows = []

    cdef int find(self, Graph graph, uint32_t weight, uint32_t number) except -1:
        """Read how it was computed, which is choice `number`, counted from 1."""
        cdef Cell *cells = graph.cells
        cdef uint32_t k, exponential, inverse
        if cells[weight].op != R_MUL or cells[cells[weight].b].op != R_POW:
            raise cannot_choose(self.token)
        exponential, inverse = cells[weight].a, cells[weight].b
        self.total = cells[inverse].a
        if cells[self.total].op != R_SUM or cells[self.total].uses != 1 or cells[inverse].uses != 1:
            raise cannot_choose(self.token)
        self.number = cells[weight].choice = number
        self.chosen = NONE
        for k in range(cells[self.total].b):
            if graph.left_of(&cells[self.total])[k] == exponential:
                self.chosen = k
        if self.chosen == NONE:
            raise cannot_choose(self.token)
        return 0

    cdef int find_rows(self, Graph graph) except -1:
        cdef Cell *cells = graph.cells
        cdef uint32_t k, exponential, row, n = cells[self.total].b
        cdef list ways = []
        for k in range(n):
            exponential = graph.left_of(&cells[self.total])[k]
            if cells[exponential].uses != (2 if k == self.chosen else 1) or cells[cells[exponential].a].uses != 1:
                raise cannot_choose(self.token)
            ways.append(self.way_down(graph, cells[cells[exponential].a].a))
            if ways[k] != ways[0]:
                raise cannot_choose(self.token)
        if self.rows:
            for row in self.rows:
                self.compare(graph, self.rows[0], row)
        return 0

    cdef int take(self, Graph graph, uint32_t c) except -1:
        """A leaf that this logit has for itself."""
        cdef Cell *cell = &graph.cells[c]
        if cell.op == C_CONST:
            return 0
        if cell.op not in (C_PARAM, C_LOOKUP) or cell.choice == self.number:
            raise cannot_choose(self.token)
        cell.choice = self.number
        return 0

    cdef list way_down(self, Graph graph, uint32_t c):
        """The operations from a logit down to its row, which is noted, or to a leaf."""
        cdef Cell *cell = &graph.cells[c]
        cdef list way = []
        while True:
            if cell.op in (C_CONST, C_PARAM, C_LOOKUP):
                self.take(graph, c)
                return way
            if cell.uses != 1:
                raise cannot_choose(self.token)
            way.append(cell.op)
            if cell.op == R_DOT:
                self.rows.append(c)
                self.take(graph, cell.start)
                return way
            if cell.op in (R_ADD, R_MUL, R_MUL_INT):
                if graph.cells[cell.b].op < R_COUNT:
                    self.take(graph, cell.a)
                    c = cell.b
                else:
                    self.take(graph, cell.b)
                    c = cell.a
            elif cell.op in (R_SUM, R_SHIFT, C_CONSTRUCTED, C_ABSORBED, C_ABSORBED_SUM, C_INPUT):
                raise cannot_choose(self.token)
            else:
                c = cell.a
            cell = &graph.cells[c]

    cdef int compare(self, Graph graph, uint32_t first, uint32_t row) except -1:
        """The rows differ in leaves of their own only, all on one side."""
        cdef Cell *a = &graph.cells[first]
        cdef Cell *b = &graph.cells[row]
        cdef bint shared_right = graph.same_operands(a.right, b.right), shared_left = graph.same_operands(a.a, b.a)
        cdef const uint32_t *others
        cdef uint32_t k
        if first == row and a.b:                            # which side is the vector, another row tells
            shared_right = graph.cells[graph.left_of(a)[0]].op in (C_PARAM, C_CONST)
            shared_left = not shared_right
        if a.b != b.b or shared_left == shared_right:
            raise cannot_choose(self.token)
        others = graph.left_of(b) if shared_right else graph.right_of(b)
        for k in range(b.b):
            self.take(graph, others[k])
        return 0
