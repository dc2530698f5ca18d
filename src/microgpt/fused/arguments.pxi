# What Python hands over: documents, settings and matrices, and what is said of those that do not fit.
# A part of _fused.pyx, which includes it.

cdef object token_list(tokens):
    return tokens if type(tokens) in (list, tuple) else list(tokens)


cdef size_t positions_of(tokens, const Sizes *sizes) except 0:
    """Positions the model sees of these tokens: all but the last are read, all but the first are targets."""
    cdef size_t n = len(tokens)
    if n < 2:
        raise ValueError(f"a document has at least two tokens, its two ends, not {n}")
    return min(n - 1, sizes.block)


cdef int read_tokens(tokens, size_t n, size_t vocab, int32_t *to) except -1:
    """The first n tokens of a list or tuple."""
    cdef size_t i
    cdef Py_ssize_t token
    for i in range(n):
        thing = tokens[i]
        try:
            token = thing
        except OverflowError:
            token = -1
        except TypeError:
            raise TypeError(f"a token must be an int, not {type(thing).__name__!r}") from None
        if not 0 <= token < <Py_ssize_t>vocab:
            raise IndexError(f"token {thing} is not among the vocabulary's 0 to {vocab - 1}")
        to[i] = <int32_t>token
    return 0


cdef double rate_of(lr) except -1.0:
    """A learning rate: a finite number of at least 0."""
    cdef double rate = lr if type(lr) is float else -1.0
    return rate if 0.0 <= rate < INFINITY else checks.not_negative("lr", lr)


cdef double inverse_temperature_of(temperature) except -1.0:
    """temperature ** -1; 0 for 0."""
    cdef double value = temperature if type(temperature) is float else -1.0
    if not 1e-300 < value < INFINITY:
        value = checks.temperature("temperature", temperature)
    return pow(value, -1.0) if value else 0.0


cdef int read_settings(AdamStep *step, betas, eps) except -1:
    """betas and eps into `step`; what Adam refuses is refused."""
    step.beta1, step.beta2 = checks.betas(betas)
    step.eps = checks.not_negative("eps", eps)
    step.one_minus_beta1, step.one_minus_beta2 = 1.0 - step.beta1, 1.0 - step.beta2
    return 0


cdef int fill(config, state, Doubles to, str what) except -1:
    """Copy every matrix of a mapping name -> 2-D numbers; KeyError or ValueError says what does not fit."""
    shapes = dict(config.shapes())
    if not hasattr(state, "keys"):
        raise TypeError(f"{what} must be a mapping from names to matrices, not {type(state).__name__!r}")
    for name in state:
        if name not in shapes:
            raise KeyError(f"{what} has {name!r}, which is no matrix of this model")
    for name, target in matrices(config, to).items():
        if name not in state:
            raise KeyError(f"{what} has no {name!r}")
        fill_matrix(target, state[name], f"{name} of {what}")
    return 0


cdef int fill_matrix(target, source, str what) except -1:
    """Copy a 2-D buffer of doubles, or rows of whatever becomes a float."""
    try:
        view = memoryview(source)
    except TypeError:
        return fill_rows(target, source, what)
    if view.ndim == 2 and view.shape == target.shape and view.format == "d" and view.c_contiguous:
        target.cast("B")[:] = view.cast("B")
        return 0
    return fill_rows(target, view.tolist(), what)


cdef int fill_rows(target, source, str what) except -1:
    cdef double[:, :] numbers = target
    cdef Py_ssize_t i, j
    rows, columns = target.shape
    try:
        if len(source) != rows:
            raise ValueError(f"{what} must have {rows} rows, not {len(source)}")
        for i, row in enumerate(source):
            if len(row) != columns:
                raise ValueError(f"{what} must have {columns} columns, not {len(row)} in row {i}")
            for j, number in enumerate(row):
                numbers[i, j] = number.data if isinstance(number, Value) else number
    except TypeError as error:
        raise TypeError(f"{what} must be rows of numbers: {error}") from None
    return 0
