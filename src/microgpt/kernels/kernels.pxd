# cython: language_level=3
"""The C kernels that several modules use: which instruction set they run with, and those of Adam."""

cdef extern from "kernels/isa.h":
    enum:
        ISA_COUNT
    const char *isa_name(int isa) noexcept nogil
    bint isa_runs(int isa) noexcept nogil
    int isa_find(const char *name) noexcept nogil

cdef extern from "kernels/adam.h":
    enum:
        ADAM_OK
        ADAM_OVERFLOW
        ADAM_ZERO_DIVISION
    ctypedef struct AdamStep:
        double lr, beta1, beta2, one_minus_beta1, one_minus_beta2, bias1, bias2, eps
    ctypedef struct AdamKernels:
        void (*update)(const AdamStep *, size_t, const double *, double *, double *, double *) noexcept nogil
        void (*power_two)(size_t, const double *, double *) noexcept nogil
        void (*power_half)(size_t, const double *, double *) noexcept nogil
    const AdamKernels *adam_kernels(int isa) noexcept nogil
    int adam_check(const AdamKernels *, const AdamStep *, size_t, const double *, const double *) noexcept nogil


cdef inline list available_isas():
    """Names of the instruction sets that this CPU runs, from the plainest to the best."""
    return [isa_name(isa).decode() for isa in range(ISA_COUNT) if isa_runs(isa)]


cdef inline int choose_isa(name) except -1:
    """The instruction set of this name, the best one for None or "". ImportError if this machine does not have it."""
    cdef bytes wanted
    cdef const char *text = NULL
    cdef int isa
    if name:
        wanted = name.encode()
        text = wanted
    isa = isa_find(text)
    if isa < 0:
        raise ImportError(
            f"MICROGPT_ISA={name}: this machine has {', '.join(available_isas())}; unset it to use the best of them")
    return isa


cdef inline int raise_adam(int status) except -1:
    """What the script raises where `adam_check` returns this, with the interpreter's own message."""
    if status == ADAM_OVERFLOW:
        import operator
        operator.pow(1e200, 2)
    elif status == ADAM_ZERO_DIVISION:
        raise ZeroDivisionError("float division by zero: eps is 0, and the second moment of a parameter too")
    return 0
