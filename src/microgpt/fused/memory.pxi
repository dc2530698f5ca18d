# Who owns the numbers: buffers for Python, and the scratch memory of a thread.
# A part of _fused.pyx, which includes it.

cdef void *allocate(size_t n_bytes, void **memory) except NULL:
    """Zeroed memory at a multiple of ALIGNMENT; `memory` gets what free() wants."""
    memory[0] = calloc(1, n_bytes + ALIGNMENT) if n_bytes < SIZE_MAX - ALIGNMENT else NULL
    if memory[0] == NULL:
        raise MemoryError(f"no room for {n_bytes} bytes")
    return <void *>((<uintptr_t>memory[0] + ALIGNMENT - 1) & ~<uintptr_t>(ALIGNMENT - 1))


cdef class Doubles:
    """A number for each parameter, in the order of state_dict; a writable buffer of bytes that lives while views of it do."""
    cdef void *memory
    cdef double *at
    cdef size_t n
    cdef size_t views
    cdef bint may_have_changed          # for who keeps something made from these numbers; for ever while there are views

    def __cinit__(self, size_t n):
        self.may_have_changed = True
        self.at = <double *>allocate((n + 8) * sizeof(double), &self.memory)  # a register read at the end stays inside
        self.n = n

    def __dealloc__(self):
        free(self.memory)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.at, self.n * sizeof(double), False, flags)
        self.views += 1
        self.may_have_changed = True

    def __releasebuffer__(self, Py_buffer *view):
        self.views -= 1


cdef dict matrices(config, Doubles numbers):
    """Name -> 2-D memoryview of doubles into `numbers`."""
    whole = memoryview(numbers)
    views = {}
    start = 0
    for name, (rows, columns) in config.shapes():
        end = start + rows * columns * sizeof(double)
        views[name] = whole[start:end].cast("d", (rows, columns))
        start = end
    return views


cdef class Worker:
    """What one thread needs to differentiate a document: scratch memory, gradients, the document's tokens."""
    cdef const Sizes *sizes
    cdef Workspace work
    cdef void *memory
    cdef size_t capacity                # positions there is room for
    cdef size_t members                 # of a team there is room for
    cdef readonly Doubles grads
    cdef int32_t *tokens                # capacity + 1
    cdef Document document
    cdef double loss
    cdef int status

    def __cinit__(self, GPT model):
        self.sizes = &model.sizes
        self.grads = Doubles(model.params.n)
        self.reserve(min(<size_t>FIRST_POSITIONS, model.sizes.block), NULL)

    def __dealloc__(self):
        free(self.memory)
        PyMem_Free(self.tokens)

    cdef int reserve(self, size_t positions, Team *team) except -1:
        """Room for so many positions and for this team, which shares the work; MemoryError leaves the old room."""
        cdef size_t wanted = self.capacity, members = max(self.members, team_size(team))
        cdef Workspace work
        cdef void *memory
        cdef void *at
        cdef int32_t *tokens
        if positions <= self.capacity and members == self.members:
            self.work.team = team
            return 0
        if positions > self.capacity:
            wanted = min(max(positions, 2 * self.capacity), self.sizes.block)
        at = allocate(workspace_place(self.sizes, wanted, members, NULL, &work) or SIZE_MAX, &memory)
        tokens = <int32_t *>PyMem_Malloc((wanted + 1) * sizeof(int32_t))
        if tokens == NULL:
            free(memory)
            raise MemoryError
        workspace_place(self.sizes, wanted, members, at, &work)
        work.team = team
        free(self.memory)
        PyMem_Free(self.tokens)
        self.memory, self.tokens, self.work, self.capacity, self.members = memory, tokens, work, wanted, members
        return 0

    cdef int read(self, tokens, Team *team=NULL) except -1:
        """Make this the document, as far as the model sees it; the team shares the work on it."""
        cdef size_t positions
        tokens = token_list(tokens)
        positions = positions_of(tokens, self.sizes)
        self.reserve(positions, team)
        read_tokens(tokens, positions + 1, self.sizes.vocab, self.tokens)
        self.document.tokens, self.document.positions = self.tokens, positions
        return 0
