# Attention: everything between the queries, keys and values of one position and what the heads give.
# A part of _functional.pyx, which includes it.

cdef int append_scores(const Vector *q, const Vector *keys, uint32_t n_keys, uint32_t start, const Vector *summary,
                       Vector *scores) except -1:
    """q . k for every key, in the head that begins at `start`."""
    cdef Vector of_head
    cdef uint32_t done = 0, n, t
    cdef Dots *dots
    while done < n_keys:
        n = min(n_keys - done, <uint32_t>BLOCK_NODES)
        reserve(n)
        dots = dots_new(q.n, n, q, summary.is_range)
        dots.shared_left = True
        for t in range(n):
            of_head = part(&keys[done + t], start, q.n)
            set_row(dots, t, &of_head)
        dot_products(dots, scores.data + done)
        append_rows(dots, scores.data + done, n)
        for t in range(n):
            scores.ids[done + t] = dots.first + t
        done += n
    return 0


cdef int append_mixture(const Vector *weights, const Vector *values, uint32_t start, uint32_t head_dim, list results) except -1:
    """sum(weights[t] * values[t][j]) for every dimension j of the head that begins at `start`: its results."""
    cdef uint32_t t, j, n_keys = weights.n, done = 0, n
    cdef Vector column
    cdef Dots *dots
    cdef size_t scratch_before = scratch_used
    global scratch_used
    while done < head_dim:
        n = min(head_dim - done, <uint32_t>BLOCK_NODES)
        reserve(n)
        dots = dots_new(n_keys, n, weights, False)
        dots.shared_left = True
        vector_new(&column, max(n_keys, n))
        column.n = n_keys
        for j in range(n):
            for t in range(n_keys):
                column.ids[t] = id_at(&values[t], start + done + j)
                column.data[t] = values[t].data[start + done + j]
            set_row(dots, j, &column)
        dot_products(dots, column.data)
        append_rows(dots, column.data, n)
        attach_handles(results, start + done, n)
        scratch_used = scratch_before
        done += n
    return 0


cdef list attention_heads(const Vector *q, const Vector *keys, const Vector *values, uint32_t n_keys, uint32_t n_head,
                          const Vector *summary, list results):
    """Everything hidden of all heads first, so that the results of all heads stand side by side."""
    cdef uint32_t head_dim = q.n // n_head, h
    cdef Vector *weights = <Vector *>scratch_take(n_head * sizeof(Vector))
    cdef Vector scores, of_head
    cdef double scale
    cdef size_t scratch_before
    global scratch_used
    real_power(<double>head_dim, 0.5, &scale)
    real_power(scale, -1.0, &scale)
    for h in range(n_head):
        vector_new(&weights[h], n_keys)
    for h in range(n_head):
        scratch_before = scratch_used
        vector_new(&scores, n_keys)
        of_head = part(q, h * head_dim, head_dim)
        append_scores(&of_head, keys, n_keys, h * head_dim, summary, &scores)
        append_softmax(&scores, scale, True, &weights[h])
        scratch_used = scratch_before
    if q.n <= BLOCK_NODES:
        reserve(q.n)
    for h in range(n_head):
        append_mixture(&weights[h], values, h * head_dim, head_dim, results)
    return results


cdef int check_attention(uint32_t n, uint32_t n_keys, uint32_t n_values, Py_ssize_t n_head) except -1:
    if n_head < 1 or n == 0 or n % n_head:
        raise ValueError(f"attention: q has {n} elements, which cannot be divided into {n_head} heads")
    if n_keys != n_values:
        raise ValueError(f"attention: there are {n_keys} keys, but {n_values} values")
    if n_keys == 0:
        raise ValueError("attention: keys is empty")
    return 0


def attention(q, keys, values, n_head):
    """Multi-head attention of one position: for each head, softmax(q . k / sqrt(head_dim)) over the keys weighs the values.

    q: n Values, in n_head heads of head_dim = n / n_head dimensions. keys, values: as many vectors of n Values as there are
    positions so far. Returns n Values, the heads side by side. Plain numbers are converted to Values. Vaswani et al. (2017).

    Raises ValueError if the lengths don't fit or there are no keys, TypeError for anything that is neither a Value nor a real
    number.
    """
    cdef bint unchanged
    cdef Vector query, of_values, of_keys
    cdef Vector *key_vectors
    cdef Vector *value_vectors
    cdef Py_ssize_t heads = operator.index(n_head)
    cdef uint32_t n, n_keys
    q, keys, values = sized(q), sized(keys), sized(values)
    unchanged = methods_unchanged()
    n, n_keys = size_of(q), size_of(keys)
    check_attention(n, n_keys, size_of(values), heads)
    results = new_list(n)
    begin_call(n + heads * (6 * <size_t>n_keys + 1),
               2 * vector_bytes(n) + 2 * n_keys * (sizeof(Vector) + vector_bytes(n))
               + heads * (sizeof(Vector) + vector_bytes(n_keys)) + 4 * vector_bytes(n_keys))
    key_vectors = <Vector *>scratch_take(n_keys * sizeof(Vector))
    value_vectors = <Vector *>scratch_take(n_keys * sizeof(Vector))
    if (unchanged and vector_read(<PyObject *>q, &query) and not query.has_ints
            and read_rows(keys, n, key_vectors, &of_keys) and read_rows(values, n, value_vectors, &of_values)):
        return attention_heads(&query, key_vectors, value_vectors, n_keys, <uint32_t>heads, &of_keys, results)
    return fallback().attention(values_of(q), checked_rows(keys, f"attention: q has {n} elements, but key", n),
                                checked_rows(values, f"attention: q has {n} elements, but value", n), heads)
