# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=False, embedsignature=True, freethreading_compatible=False
"""Recorded graphs: what a call of a function computed, as two short programs that C replays, bit for bit.

How it works, from the call of a recorded function (recording/) to numbers:

1. *Record.* The function runs once in Python. Its ints and floats go in as objects that say where they are used; what Python
   decides by looking at a number ends the recording. The graph is then read from the arena (recorded/graph.pxi), by the
   engine's own walk, so in the order of `backward`: cells (nodes, leaves, constants) and events (whose turn it is).
2. *Find sums.* `sum(w * x for ...)` is one dot product in the graph of `linear`, and a chain of 2 n + 1 nodes where scalar
   operators made it; chains are joined (sums.pxi). So 76,000 nodes of the script's own GPT become 9,000.
3. *Slots.* Every number gets a place in an array, operands of long sums first and side by side (slots.pxi): weights in rows,
   vectors in a row. Leaves that somebody holds are parameters: read from the arena before a replay, and their gradients
   written back.
4. *Programs.* Instructions are sorted by level, so that what does not depend on each other stands together and neighbours
   become vectors (programs.pxi, backward.pxi). What makes the backward program exact: an event comes behind all that its own
   gradient receives, and behind the event before it at each gradient that it adds to. Every sum of contributions so runs in
   the script's order, whatever else is done meanwhile.
5. *Replay.* Two loops over the instructions, a `switch` each (kernels/replay_body.h). The result is a Value whose node stands
   for the whole graph: when `backward` reaches it, the backward program runs. Since its graph has no other way in, its nodes
   would stand together in the script's order too. Where backward comes a second time, the graph is built after all (calls.pxi).

What varies without a new recording (choices.pxi, plan.pxi): parameters, always; numbers among the arguments; a token that
chooses a row of a `table`, since leaves may be exchanged without changing the order; a target of `cross_entropy`, or of
`softmax(...)[target]`, which does change it, in one place that is known.

Errors are Python's: where a number leaves the ordinary (log of 0, exp past the range, a power that underflows), the replay gives
up before anything has changed, and the function runs in Python, which raises, or gives the result.

Thread-safety: one thread records at a time; replays run under the GIL, each in memory of its own.
"""
cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.math cimport isfinite, pow
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from microgpt._engine cimport Value, defer_release, engine_arena, replay_exchange, replay_link, replay_value
from microgpt.engine.backward cimport backward_from, spans_prepare, unvisit, walk_from
from microgpt.engine.cpython_api cimport reference_count
from microgpt.engine.layout cimport (
    BLOCK_BITS, BLOCK_NODES, DATA_INT, DOT, GRAD, GRAD0_INT, GRAD1_INT, LEAF, NARY, OP_ABS, OP_COS, OP_EXP, OP_GELU, OP_GELU_TANH,
    OP_LOG, OP_ADD_NUMBER, OP_POW, OP_RPOW, OP_RELU, OP_SIGMOID, OP_SILU, OP_SIN, OP_SQRT, OP_TANH,
    OP_MUL_NUMBER, ONES, PLACE_MASK, RESULTS, SUBCLASS, VISITED, Arena, Block, Children, Dots, Operands, Replay,
    UNUSED_REPLAY, block_of,
)
from microgpt.engine.ints cimport fits_int
from microgpt.engine.pool cimport scratch_reserve
from microgpt.engine.records cimport dot_row
from microgpt.engine.references cimport block_prepare
from microgpt.kernels.kernels cimport choose_isa

import os
import sys

cdef extern from "kernels/replay.h":
    enum:
        R_ADD, R_MUL, R_MUL_INT, R_ADD_C, R_MUL_C, R_MAX, R_SHIFT, R_POW, R_RPOW, R_LOG, R_EXP, R_RELU, R_TANH, R_SIGMOID, R_SQRT
        R_SIN, R_COS, R_ABS, R_SILU, R_GELU, R_GELU_TANH, R_DOT, R_DOT_LIST, R_SUM, R_SUM_LIST, R_BACK_ADD, R_BACK_MUL, R_BACK_C
        R_BACK_F, R_BACK_SUM, R_BACK_DOT, R_BACK_ROWS, R_COUNT, MOST_TERMS
    ctypedef struct Instruction:
        uint32_t op, a_step, b_step, n
        int32_t out, a, b
        int32_t start, together         # in the place of `number`
        double number
    ctypedef struct ReplayKernels:
        int (*forward)(const Instruction *, size_t, const int32_t *, double *, double *) noexcept nogil
        void (*backward)(const Instruction *, size_t, const double *, const double *, double *) noexcept nogil
    const ReplayKernels *replay_kernels(int isa) noexcept nogil

cdef Arena *arena = engine_arena()
cdef const ReplayKernels *kernels = replay_kernels(choose_isa(os.environ.get("MICROGPT_ISA")))
cdef bint HAS_LIBM_ERF = sys.version_info >= (3, 11)
cdef uint8_t[32] OPCODES
OPCODES[<int>OP_LOG], OPCODES[<int>OP_EXP], OPCODES[<int>OP_RELU], OPCODES[<int>OP_TANH] = R_LOG, R_EXP, R_RELU, R_TANH
OPCODES[<int>OP_SIGMOID], OPCODES[<int>OP_SQRT], OPCODES[<int>OP_SIN], OPCODES[<int>OP_COS] = R_SIGMOID, R_SQRT, R_SIN, R_COS
OPCODES[<int>OP_ABS], OPCODES[<int>OP_SILU], OPCODES[<int>OP_GELU] = R_ABS, R_SILU, R_GELU
OPCODES[<int>OP_GELU_TANH] = R_GELU_TANH

include "recorded/graph.pxi"
include "recorded/ints.pxi"
include "recorded/sums.pxi"
include "recorded/slots.pxi"
include "recorded/programs.pxi"
include "recorded/choices.pxi"
include "recorded/backward.pxi"
include "recorded/plan.pxi"
include "recorded/calls.pxi"


def mark():
    """Where the next node will stand: what is older was not made while recording."""
    return block_of(arena, arena.open[RESULTS].first_id).serial, arena.open[RESULTS].used


def where(Value value not None):
    """When a Value was made, as `mark` tells it, and whether it is a leaf."""
    cdef Block *block = block_of(arena, value.id)
    return (block.serial, value.id & PLACE_MASK), block.flags[value.id & PLACE_MASK] & LEAF != 0


def numbers_of(values):
    """The data of Values, which nobody is told of."""
    cdef Value value
    return [value.numbers[0] for value in values]


cdef class Recording:
    """The graph of some results, ready to be replayed.

    Recording(results, n_tops, start, n_tokens, recorder)

    results   Values, each before those that it depends on; the first one is the root, which backward goes through
    n_tops    on so many of them, from the first one on, no other depends
    start     what `mark` gave before the function ran
    n_tokens  among the arguments
    recorder  who watched it, and knows
        tables    Table of each matrix of which tokens chose rows
        lookups   (token, table, Values) of each row that one chose; the Values stand for it in the graph
        choices   (token, weight) of each weight of a softmax that a token chose
        inputs    (number, form, Value) of each number that went in
        powers    (Value, number) of each power of a Value, or of a number

    Raises NotRecorded with the reason if the graph cannot be replayed bit for bit.
    """
    cdef Plan plan
    cdef Memory memory                  # of the plan and of calls
    cdef size_t graph_nodes
    cdef list held                      # the parameters
    cdef public object results          # for recording/: how the results are put together, and ...
    cdef public object rebuild          # ... a function of nothing that gives the one which rebuilds them: see calls.pxi

    def __init__(self, list results, size_t n_tops, start, size_t n_tokens, recorder):
        cdef list tables = recorder.tables, lookups = recorder.lookups, choices = recorder.choices
        cdef list inputs = recorder.inputs, powers = recorder.powers
        cdef Graph graph = Graph()
        cdef size_t n = 0
        cdef uint32_t *order
        cdef uint32_t c
        cdef list found = []
        self.memory = Memory()
        self.plan.n_tokens = n_tokens
        if arena.kinds.float_data or arena.kinds.float_grad or arena.kinds.float_ones or (
                arena.kinds.float_zero or arena.kinds.int_slope):
            raise NotRecorded("the class has other ints than the script's")
        graph.first_serial, graph.first_place = start
        graph.powers = {(<Value>value).id: number for value, number in powers}
        prepare_tables(graph, tables)
        prepare_lookups(graph, lookups)
        for _, _, value in inputs:
            c = graph.new_source((<Value>value).id, C_INPUT)
            graph.place_of((<Value>value).id)[0] = c
            graph.cells[c].kind = K_INT if (<Value>value).data_int else K_FLOAT
        graph.read_all(results)
        check_held(graph, results, powers, choices)
        find_kinds(graph)
        find_grad_kinds(graph)
        for k, (token, value) in enumerate(choices):
            found.append(Choice(token))
            (<Choice>found[k]).find(graph, weight_of(graph, (<Value>value).id), <uint32_t>k + 1)
        find_sums(graph)
        for k, (token, value) in enumerate(choices):
            if weight_of(graph, (<Value>value).id) < graph.n_below:
                (<Choice>found[k]).find_rows(graph)
        order = by_creation(graph, &n)
        self.compile(graph, order, n, tables, found)
        self.keep(graph, tables, lookups, found, inputs)
        set_results(&self.plan, self.memory, graph, results, n_tops)
        self.graph_nodes = graph.n_events

    cdef int compile(self, Graph graph, uint32_t *order, size_t n, list tables, list choices) except -1:
        """The two programs."""
        cdef Slots slots = Slots(graph)
        cdef Program forward = Program(graph.memory, n), backward = Program(graph.memory, graph.n_events)
        cdef Backward events
        cdef uint32_t *keys = <uint32_t *>graph.memory.room(graph.n_cells, sizeof(uint32_t))
        cdef size_t k, n_levels = 0
        slots.give(0)
        for table in tables:
            (<Table>table).first_slot = slots.n
            for row in (<Table>table).rows:
                for value in row:
                    slots.give(graph.cell_of((<Value>value).id))
        for k in range(n):
            find_level(graph, order[k])
            n_levels = max(n_levels, <size_t>graph.cells[order[k]].level + 1)
        for k in range(n):
            keys[order[k]] = <uint32_t>graph.cells[order[k]].level * R_COUNT + graph.cells[order[k]].op
        sort_stable(order, n, keys, n_levels * R_COUNT)
        slots.give_all(order, n)
        for k in range(n):
            draft_forward(graph, forward, order[k])
        for k in range(graph.n_sources):
            if graph.cells[graph.sources[k]].op == R_MAX:
                draft_forward(graph, forward, graph.sources[k])
        forward.finish(<size_t>slots.n + 1, len(choices))
        events = Backward(graph, backward, tables, choices)
        events.set_rows()
        events.draft_all()
        backward.finish(<size_t>slots.n + 1, len(choices))
        self.plan.n_slots = <size_t>slots.n
        set_programs(&self.plan, self.memory, forward, backward)
        self.set_choices(graph, backward, choices)
        return 0

    cdef int set_choices(self, Graph graph, Program backward, list choices) except -1:
        cdef size_t k
        cdef Choice choice
        cdef Cell *total
        cdef ChoiceSlots *slots
        self.plan.choices = <ChoiceSlots *>self.memory.zeros(len(choices), sizeof(ChoiceSlots))
        self.plan.n_choices = len(choices)
        for k in range(self.plan.n_choices):
            choice, slots = choices[k], &self.plan.choices[k]
            total = &graph.cells[choice.total]
            if graph.first_slot(total.a) < 0:
                raise cannot_choose(choice.token)
            slots.token, slots.n = choice.token, total.b
            slots.first = graph.first_slot(total.a)
            if choice.rows:
                slots.program = self.plan.backward + backward.row_starts[k]
                slots.rows = <Instruction *>copied(self.memory, slots.program, total.b, sizeof(Instruction))
        return 0

    cdef int keep(self, Graph graph, list tables, list lookups, list choices, list inputs) except -1:
        """What the plan needs of the graph to run."""
        cdef Plan *plan = &self.plan
        cdef Cell *cell
        cdef size_t k
        cdef uint32_t c
        set_ranges(plan, self.memory, graph)
        set_tables(plan, self.memory, graph, tables, lookups)
        set_relocations(plan, self.memory)
        plan.initial = <double *>self.memory.zeros(plan.n_slots, sizeof(double))
        plan.inputs = <Input *>self.memory.zeros(len(inputs), sizeof(Input))
        for k in range(graph.n_sources):
            cell = &graph.cells[graph.sources[k]]
            if cell.op == C_CONST or cell.op == C_CONSTRUCTED:
                plan.initial[cell.slot] = cell.number
        for number, form, value in inputs:
            c = graph.cell_of((<Value>value).id)
            if graph.cells[c].slot >= 0:
                plan.inputs[plan.n_inputs] = Input(number, graph.cells[c].slot, form)
                plan.n_inputs += 1
        self.held = graph.held
        return 0

    def replay(self, arguments):
        """The results for these Arguments, as Values. None where Python has to compute them, False where the
        parameters have other ints among them than when it was recorded."""
        cdef Plan *plan = &self.plan
        cdef Call *call
        cdef Instance *instance
        if ints_changed(plan):
            return False
        call = call_begin(self, arguments)
        instance = call.instance
        try:
            if not self.read_arguments(instance, arguments.tokens, arguments.numbers):
                return None
            read_parameters(plan, instance)
            call.written = instance.written
            relocate(plan, instance)
            if kernels.forward(plan.forward, plan.n_forward, plan.lists, instance.value, instance.deriv) < 0:
                return None
            return results_of(call)
        finally:
            call_leave(call)

    cdef bint read_arguments(self, Instance *instance, list tokens, list numbers) except -1:
        cdef Plan *plan = &self.plan
        cdef size_t k
        cdef double number
        for k in range(plan.n_tokens):
            if not -(1 << 62) < tokens[k] < 1 << 62:
                return False
            instance.tokens[k] = tokens[k]
        if not tokens_fit(plan, instance.tokens):
            return False
        for k in range(plan.n_inputs):
            number = numbers[plan.inputs[k].number]
            if plan.inputs[k].form == FORM_MINUS:
                number = -number
            elif plan.inputs[k].form == FORM_INVERSE:
                if number == 0.0 or not isfinite(number):
                    return False
                number = <object>number ** -1
            instance.value[plan.inputs[k].slot] = number
        return True

    @property
    def n_replayed(self):
        """How often."""
        return self.plan.runs

    def stats(self):
        """A dict: nodes of the recorded graph, instructions of the two programs, bytes of all memory."""
        cdef Plan *plan = &self.plan
        return {"nodes": self.graph_nodes, "instructions": plan.n_forward + plan.n_backward,
                "bytes": ((plan.n_forward + plan.n_backward) * sizeof(Instruction)
                          + (1 + 3 * plan.n_instances) * plan.n_slots * sizeof(double)),
                "replayed": plan.runs}


# ---- from the graph to the plan ---------------------------------------------------------------------------------------------

cdef int prepare_tables(Graph graph, list tables) except -1:
    cdef uint32_t k, column
    cdef Cell *cell
    if len(tables) >= 1 << 16:
        raise NotRecorded("it looks up rows of more than 65,535 tables")
    for k, table in enumerate(tables):
        for row in (<Table>table).rows:
            for column, value in enumerate(row):
                cell = &graph.cells[graph.cell_of((<Value>value).id)]
                if cell.op != C_PARAM or cell.table != 0:
                    raise NotRecorded("the elements of a table must be parameters, each in one table and once")
                if cell.kind != K_FLOAT:
                    raise NotRecorded("an element of a table is an int", True)
                cell.table, cell.column = <uint16_t>(k + 1), <uint16_t>column
    return 0


cdef int prepare_lookups(Graph graph, list lookups) except -1:
    cdef uint32_t k, column, c
    cdef Cell *cell
    for k, (_, table, values) in enumerate(lookups):
        if k >= 1 << 16:
            raise NotRecorded("it looks up more than 65,536 rows of tables")
        for column, value in enumerate(values):
            c = graph.new_source((<Value>value).id, C_LOOKUP)
            graph.place_of((<Value>value).id)[0] = c
            cell = &graph.cells[c]
            cell.table, cell.column = <uint16_t>(table + 1), <uint16_t>column
            cell.slot = <int32_t>(VIRTUAL + k * ROW_WIDTH + column)
    return 0


cdef uint32_t weight_of(Graph graph, uint32_t node) except? 0xffffffff:
    """The cell of the weight that a token chose, itself or below the -log of cross_entropy."""
    cdef uint32_t c = graph.place_of(node)[0]
    if c == NONE:
        raise NotRecorded("a token chooses what the result does not depend on")
    if graph.cells[c].op == R_MUL and graph.cells[graph.cells[c].a].op == R_LOG:
        c = graph.cells[graph.cells[c].a].a
    return c


cdef int check_held(Graph graph, list results, list powers, list choices) except -1:
    """No Value from inside the graph is held by anybody but the recorder."""
    cdef uint32_t node
    cdef PyObject *handle
    cdef dict ours = {}
    for value in [*results, *[value for value, _ in powers], *[value for _, value in choices]]:
        node = (<Value>value).id
        ours[node] = ours.get(node, 0) + 1
    value = None
    for node in graph.inner:
        handle = block_of(arena, node).handles[node & PLACE_MASK]
        if node == graph.cells[graph.root].node:
            continue
        if reference_count(handle) > <Py_ssize_t>ours.get(node, 0):
            raise NotRecorded("a Value that it computed is kept outside of it; return it instead")
    return 0


cdef int set_results(Plan *plan, Memory memory, Graph graph, list results, size_t n_tops) except -1:
    cdef Cell *cell
    cdef uint32_t c
    plan.results = <ResultSlot *>memory.zeros(len(results), sizeof(ResultSlot))
    for value in results:
        c = graph.cell_of((<Value>value).id)
        cell = &graph.cells[c]
        if cell.kind == K_UNSURE or cell.grads & (G_FLOAT | G_UNSURE) == G_UNSURE:
            raise NotRecorded("whether a result or its gradient is an int depends on numbers; multiply it by 1.0")
        plan.results[plan.n_results] = ResultSlot(cell.slot, cell.kind, not cell.grads & G_FLOAT, c < graph.n_below,
                                                  plan.n_results < n_tops)
        plan.n_results += 1
    return 0


cdef void *copied(Memory memory, const void *array, size_t n, size_t size) except NULL:
    cdef void *made = memory.room(n, size)
    if n:                                               # an empty array may be NULL, which memcpy must not be given
        memcpy(made, array, n * size)
    return made


cdef int set_programs(Plan *plan, Memory memory, Program forward, Program backward) except -1:
    plan.n_forward, plan.n_backward, plan.n_lists = forward.n_instructions, backward.n_instructions, forward.n_lists
    plan.forward = <Instruction *>copied(memory, forward.instructions, plan.n_forward, sizeof(Instruction))
    plan.backward = <Instruction *>copied(memory, backward.instructions, plan.n_backward, sizeof(Instruction))
    plan.lists = <int32_t *>copied(memory, forward.lists, plan.n_lists, sizeof(int32_t))
    return 0


cdef int set_ranges(Plan *plan, Memory memory, Graph graph) except -1:
    """Parameters in the order of their slots, joined where they are neighbours in the arena too."""
    cdef uint32_t *by_slot = <uint32_t *>graph.memory.zeros(plan.n_slots, sizeof(uint32_t))
    cdef size_t k
    cdef Cell *cell
    cdef Range *last = NULL
    cdef Range following
    cdef Range *ranges = <Range *>graph.memory.room(graph.n_sources, sizeof(Range))
    for k in range(graph.n_sources):
        if graph.cells[graph.sources[k]].op == C_PARAM:
            by_slot[graph.cells[graph.sources[k]].slot] = graph.sources[k]
    for k in range(plan.n_slots):
        cell = &graph.cells[by_slot[k]]
        if cell.op != C_PARAM:
            continue
        following = Range(cell.node, cell.slot, 1, cell.kind == K_INT, cell.grads != 0, not cell.grads & G_FLOAT)
        if last != NULL and follows(last, &following):
            last.n += 1
            continue
        last = &ranges[plan.n_ranges]
        last[0] = following
        plan.n_ranges += 1
    plan.ranges = <Range *>copied(memory, ranges, plan.n_ranges, sizeof(Range))
    return 0


cdef bint follows(const Range *last, const Range *following) noexcept:
    return (following.node == last.node + last.n and following.node & PLACE_MASK and following.slot == last.slot + <int32_t>last.n
            and following.is_int == last.is_int and following.receives == last.receives
            and following.keeps_ints == last.keeps_ints)


cdef int set_tables(Plan *plan, Memory memory, Graph graph, list tables, list lookups) except -1:
    cdef size_t k
    cdef uint32_t c, column
    cdef size_t i
    cdef Table table
    plan.n_tables, plan.n_lookups = len(tables), len(lookups)
    plan.tables = <TableSlots *>memory.zeros(plan.n_tables, sizeof(TableSlots))
    plan.lookups = <Lookup *>memory.zeros(plan.n_lookups, sizeof(Lookup))
    plan.looked_up = <uint32_t *>memory.zeros(sum(len(values) for _, _, values in lookups), sizeof(uint32_t))
    for k in range(plan.n_tables):
        table = tables[k]
        plan.tables[k].nodes = <uint32_t *>memory.zeros(<size_t>table.n_rows * table.n_columns, sizeof(uint32_t))
        plan.tables[k].first, plan.tables[k].n_rows = table.first_slot, table.n_rows
        plan.tables[k].n_columns = table.n_columns
        i = 0
        for row in table.rows:
            for value in row:
                plan.tables[k].nodes[i] = (<Value>value).id
                i += 1
    for k, (token, number, values) in enumerate(lookups):
        plan.lookups[k] = Lookup(token, number)
        for column, value in enumerate(values):
            c = graph.cell_of((<Value>value).id)
            if graph.cells[c].grads != 0:
                plan.looked_up[plan.n_looked_up] = <uint32_t>(k << 12) | column
                plan.n_looked_up += 1
    return 0


cdef int relocate_later(Plan *plan, Memory memory, int32_t *operand) except -1:
    """Note that a token chooses this operand, if it does."""
    cdef int32_t virtual_slot = operand[0]
    cdef Relocation *relocation
    if virtual_slot < VIRTUAL:
        return 0
    plan.relocations = <Relocation *>grown(memory, plan.relocations, &plan.relocations_capacity, plan.n_relocations + 1,
                                           sizeof(Relocation))
    relocation = &plan.relocations[plan.n_relocations]
    plan.n_relocations += 1
    relocation.operand = operand
    if virtual_slot >= CHOSEN:
        relocation.lookup, relocation.column = <uint32_t>(virtual_slot - CHOSEN) >> 1, -1
    else:
        relocation.lookup = <uint32_t>(virtual_slot - VIRTUAL) // ROW_WIDTH
        relocation.column = (virtual_slot - VIRTUAL) % ROW_WIDTH
    return 0


cdef int relocate_program(Plan *plan, Memory memory, Instruction *program, size_t size) except -1:
    cdef size_t k
    for k in range(size):
        relocate_later(plan, memory, &program[k].a)
        relocate_later(plan, memory, &program[k].b)
    return 0


cdef int set_relocations(Plan *plan, Memory memory) except -1:
    cdef size_t k
    relocate_program(plan, memory, plan.forward, plan.n_forward)
    relocate_program(plan, memory, plan.backward, plan.n_backward)
    for k in range(plan.n_choices):
        if plan.choices[k].rows != NULL:
            relocate_program(plan, memory, plan.choices[k].rows, plan.choices[k].n)
    for k in range(plan.n_lists):
        relocate_later(plan, memory, &plan.lists[k])
    return 0
