# Many documents: tokens of a run of steps, and what becomes of a batch's gradients.
# A part of _fused.pyx, which includes it.

cdef class Documents:
    """Documents and learning rates as C reads them."""
    cdef int32_t *tokens
    cdef Document *documents
    cdef double *lrs
    cdef size_t longest

    def __cinit__(self, GPT model, list documents, list lrs):
        cdef size_t i, positions, total = 0
        lists = [token_list(tokens) for tokens in documents]
        for tokens in lists:
            positions = positions_of(tokens, &model.sizes)
            self.longest = max(self.longest, positions)
            total += positions + 1
        self.tokens = <int32_t *>PyMem_Malloc(total * sizeof(int32_t))
        self.documents = <Document *>PyMem_Malloc(len(lists) * sizeof(Document))
        self.lrs = <double *>PyMem_Malloc(len(lists) * sizeof(double))
        if self.tokens == NULL or self.documents == NULL or self.lrs == NULL:
            raise MemoryError
        total = 0
        for i, tokens in enumerate(lists):
            positions = positions_of(tokens, &model.sizes)
            read_tokens(tokens, positions + 1, model.sizes.vocab, self.tokens + total)
            self.documents[i].tokens, self.documents[i].positions = self.tokens + total, positions
            self.lrs[i] = lrs[i]
            total += positions + 1

    def __dealloc__(self):
        PyMem_Free(self.tokens)
        PyMem_Free(self.documents)
        PyMem_Free(self.lrs)


cdef void add_each(Doubles part, Doubles total, bint first) noexcept:
    cdef size_t i
    with nogil:
        for i in range(total.n):
            total.at[i] = (0.0 if first else total.at[i]) + part.at[i]


cdef void scale_gradients(Doubles grads, double share, double clip_norm) noexcept:
    """The mean from the sum; then no longer than clip_norm."""
    cdef size_t i
    cdef double squares = 0.0, factor
    with nogil:
        for i in range(grads.n):
            grads.at[i] *= share
            squares += grads.at[i] * grads.at[i]
        if sqrt(squares) > clip_norm:
            factor = clip_norm / sqrt(squares)
            for i in range(grads.n):
                grads.at[i] *= factor
