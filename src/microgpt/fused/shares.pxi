# What the threads of a team share beside the kernels' own work: the documents of a batch, and Adam.
# A part of _fused.pyx, which includes it.

cdef struct Group:
    PyObject *model
    PyObject **workers                  # a document each


cdef void differentiate_part(void *job, size_t part, size_t member) noexcept nogil:
    cdef Group *group = <Group *>job
    (<GPT>group.model).differentiate(<Worker>group.workers[part])


cdef enum:
    ADAM_PARTS = 16


cdef struct AdamShare:
    const AdamStep *step
    size_t n, each                      # parameters, in all and of a part
    const double *grads
    double *m
    double *v
    double *params
    int status[ADAM_PARTS]


cdef void check_part(void *job, size_t part, size_t member) noexcept nogil:
    cdef AdamShare *all = <AdamShare *>job
    cdef size_t first = part * all.each
    all.status[part] = adam_check(adam, all.step, min(all.each, all.n - first), all.grads + first, all.v + first)


cdef void update_part(void *job, size_t part, size_t member) noexcept nogil:
    cdef AdamShare *all = <AdamShare *>job
    cdef size_t first = part * all.each
    adam.update(all.step, min(all.each, all.n - first), all.grads + first, all.m + first, all.v + first,
                all.params + first)


cdef int share_adam(Team *team, const AdamStep *step, size_t n, const double *grads, double *m, double *v,
                    double *params) noexcept nogil:
    """Check, then update all. Nothing has changed unless it returns FUSED_OK."""
    cdef AdamShare all
    cdef size_t part, parts = ADAM_PARTS if team != NULL and n >= SHARED_PARAMS else 1
    all.step, all.n, all.grads, all.m, all.v, all.params = step, n, grads, m, v, params
    all.each = (n + parts - 1) // parts
    if parts > 1:
        all.each = (all.each + 63) & ~<size_t>63    # whole cache lines
        parts = (n + all.each - 1) // all.each
    team_run(team, parts, check_part, &all)
    for part in range(parts):
        if all.status[part] != ADAM_OK:
            return all.status[part]
    team_run(team, parts, update_part, &all)
    return FUSED_OK
