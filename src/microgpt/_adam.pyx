# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=False, embedsignature=True, freethreading_compatible=False
"""Adam over the parameters' nodes, in place.

The moments are contiguous arrays, and so are data and gradients of nodes that were made one after the other: parameters
mostly are. So they are divided into ranges once, and a step is one call of the SIMD kernel (kernels/adam_body.h, the
hot loop) a range.
"""
from cpython.buffer cimport PyBUF_ND, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport uint32_t
from libc.string cimport memset
from microgpt._engine cimport Value, engine_arena, read_number, real_power
from microgpt.kernels.kernels cimport AdamKernels, AdamStep, adam_check, adam_kernels, choose_isa, raise_adam
from microgpt.engine.layout cimport DATA_INT, GRAD, PLACE_MASK, Block, Handle, block_of

import array
import os

from . import checks

cdef const AdamKernels *kernels = adam_kernels(choose_isa(os.environ.get("MICROGPT_ISA")))


cdef double number(value, str what) except? -1.0:
    cdef double result
    cdef bint is_int
    if read_number(value, &result, &is_int) == 0:
        raise TypeError(f"Adam: {what} must be a real number, not {type(value).__name__!r}")
    return result


ctypedef struct ParamRange:             # parameters whose nodes stand side by side in a block
    uint32_t first                      # id
    uint32_t n


cdef class Adam:
    """The script's optimiser: Adam, Kingma and Ba (2015), without weight decay.

    Adam(params, lr=0.01, betas=(0.85, 0.99), eps=1e-8)

    params  Values, any number; kept in the list `params`
    lr      learning rate of steps that are not given one, at least 0
    betas   decay of the first and second moment, each at least 0 and below 1
    eps     added to the root of the second moment, at least 0

    All four can be read; lr, betas and eps also written. `t` counts the steps taken. The arithmetic is, for each parameter p
    and to the last bit, the script's:

        m = beta1 * m + (1 - beta1) * p.grad;       m_hat = m / (1 - beta1 ** t)
        v = beta2 * v + (1 - beta2) * p.grad ** 2;  v_hat = v / (1 - beta2 ** t)
        p.data -= lr * m_hat / (v_hat ** 0.5 + eps)

    Raises TypeError for parameters that are not Values and settings that are not numbers, ValueError for settings out of range.

    Thread-safety: a step runs under the GIL; do not share an Adam between threads that step it at once.
    """
    cdef tuple values                   # the parameters, which keep their nodes where they are
    cdef readonly object t
    cdef public object lr
    cdef tuple _betas
    cdef object _eps
    cdef double *m                      # first moments, then second moments, in one allocation
    cdef double *v
    cdef size_t n
    cdef ParamRange *ranges
    cdef size_t n_ranges

    def __init__(self, params, lr=0.01, betas=(0.85, 0.99), eps=1e-8):
        cdef tuple values = tuple(params)
        for value in values:
            if not isinstance(value, Value):
                raise TypeError(f"Adam: params must be Values, not {type(value).__name__!r}")
            if (<Value>value).id == 0:
                raise TypeError("Adam: a parameter has not been initialised; call super().__init__(data) in its class")
        if not 0.0 <= number(lr, "lr") < INFINITY:
            checks.not_negative("lr", lr)
        self.betas = betas
        self.eps = eps
        self.lr = lr
        self.values = values
        self.t = 0
        self.allocate()

    def __dealloc__(self):
        PyMem_Free(self.m)
        PyMem_Free(self.ranges)

    cdef int allocate(self) except -1:
        """Memory for the parameters, with moments of 0."""
        cdef size_t k
        cdef ParamRange *last = NULL
        cdef uint32_t node
        PyMem_Free(self.m)
        PyMem_Free(self.ranges)
        self.n = self.n_ranges = 0
        self.m = <double *>PyMem_Calloc(2 * len(self.values) + 1, sizeof(double))
        self.ranges = <ParamRange *>PyMem_Calloc(len(self.values) + 1, sizeof(ParamRange))
        if self.m == NULL or self.ranges == NULL:
            raise MemoryError
        self.n = len(self.values)
        self.v = self.m + self.n
        for k in range(self.n):
            node = (<Handle *>self.values[k]).id
            if last != NULL and node == last.first + last.n and node & PLACE_MASK:
                last.n += 1
                continue
            last = &self.ranges[self.n_ranges]
            last.first, last.n = node, 1
            self.n_ranges += 1
        return 0

    @property
    def params(self):
        """The parameters, as a new list."""
        return list(self.values)

    @property
    def betas(self):
        """Decay of the first and the second moment."""
        return self._betas

    @betas.setter
    def betas(self, betas):
        beta1, beta2 = betas
        for beta in (beta1, beta2):
            if not 0.0 <= number(beta, "a beta") < 1.0:
                raise ValueError(f"Adam: betas must be at least 0 and below 1, not {beta!r}")
        self._betas = (beta1, beta2)

    @property
    def eps(self):
        """What is added to the root of the second moment."""
        return self._eps

    @eps.setter
    def eps(self, eps):
        if not 0.0 <= number(eps, "eps") < INFINITY:
            raise ValueError(f"Adam: eps must be at least 0 and finite, not {eps!r}")
        self._eps = eps

    def step(self, lr=None, zero_grad=True):
        """Update every parameter from its gradient, then set the gradients to 0 as the script's loop does.

        lr         learning rate of this step instead of self.lr
        zero_grad  False leaves the gradients as they are

        Raises OverflowError where p.grad ** 2 is past the range of a float, and ZeroDivisionError where eps is 0 and a second
        moment too: the script's exceptions, but here nothing has changed then.
        """
        beta1, beta2 = self._betas
        bias1, bias2 = 1 - beta1 ** (self.t + 1), 1 - beta2 ** (self.t + 1)
        lr = number(self.lr if lr is None else lr, "lr")
        self.update((beta1, 1 - beta1, bias1, beta2, 1 - beta2, bias2, lr, self._eps), zero_grad)

    def update(self, settings, zero_grad=True, zero_int=True):
        """A step with these settings, whatever the optimiser's own are: beta1, 1 - beta1, 1 - beta1**t, the same of beta2, lr
        and eps. zero_int: gradients are set to the int 0, else to 0.0. Raises what `step` raises."""
        cdef AdamStep step
        cdef size_t done = 0, k
        step.beta1, step.one_minus_beta1, step.bias1, step.beta2, step.one_minus_beta2, step.bias2, step.lr, step.eps = settings
        self.check(&step)
        for k in range(self.n_ranges):
            update(&step, &self.ranges[k], self.m + done, self.v + done)
            if zero_grad:                                   # at once: a parameter given twice has no gradient the second time
                clear_grads(&self.ranges[k], zero_int)
            done += self.ranges[k].n
        self.t += 1

    def zero_grad(self):
        """Set the gradient of every parameter to the int 0."""
        cdef size_t k
        for k in range(self.n_ranges):
            clear_grads(&self.ranges[k], True)

    def state_dict(self):
        """The optimiser's state: t, and the moments m and v, lists of a float for each parameter."""
        cdef size_t k
        return {"t": self.t, "m": [self.m[k] for k in range(self.n)], "v": [self.v[k] for k in range(self.n)]}

    def load_state_dict(self, state):
        """Load a state that `state_dict` gave. ValueError if it is for another number of parameters, or impossible."""
        cdef size_t k
        t, m, v = state["t"], list(state["m"]), list(state["v"])
        if <size_t>len(m) != self.n or <size_t>len(v) != self.n:
            raise ValueError(f"Adam: the state is for {len(m)} and {len(v)} parameters, this optimiser has {self.n}")
        if not isinstance(t, int) or t < 0:
            raise ValueError(f"Adam: t must be a number of steps, not {t!r}")
        m = [number(value, "a moment") for value in m]
        v = [number(value, "a moment") for value in v]
        if any(value < 0.0 for value in v):
            raise ValueError("Adam: a second moment is negative")
        for k in range(self.n):
            self.m[k], self.v[k] = m[k], v[k]
        self.t = t

    def __reduce__(self):
        return type(self), (self.params, self.lr, self.betas, self.eps), self.state_dict()

    def __setstate__(self, state):
        self.load_state_dict(state)

    def __repr__(self):
        return f"Adam({self.n} params, lr={self.lr!r}, betas={self.betas!r}, eps={self.eps!r}, t={self.t})"

    cdef int check(self, const AdamStep *settings) except -1:
        """Raise what the script would raise on its way."""
        cdef size_t k, done = 0
        cdef ParamRange *params
        for k in range(self.n_ranges):
            params = &self.ranges[k]
            raise_adam(adam_check(kernels, settings, params.n, data_of(params) + GRAD, self.v + done))
            done += params.n
        return 0


cdef inline Block *block_of_range(const ParamRange *params) noexcept:
    return block_of(engine_arena(), params.first)


cdef inline double *data_of(const ParamRange *params) noexcept:
    """Their data side by side; GRAD further on, their gradients."""
    return &block_of_range(params).numbers[params.first & PLACE_MASK]


cdef void update(const AdamStep *settings, const ParamRange *params, double *m, double *v) noexcept:
    """The step of these parameters. Data that were ints are floats afterwards."""
    cdef Block *block = block_of_range(params)
    cdef uint32_t place = params.first & PLACE_MASK, k
    kernels.update(settings, params.n, data_of(params) + GRAD, m, v, data_of(params))
    for k in range(place, place + params.n):
        if block.flags[k] & DATA_INT:
            block.flags[k] &= ~<uint32_t>DATA_INT
            (<Handle *>block.handles[k]).data_int = False


cdef inline void clear_grads(const ParamRange *params, bint zero_int) noexcept:
    memset(data_of(params) + GRAD, 0, params.n * sizeof(double))
    memset(&block_of_range(params).int_grads[params.first & PLACE_MASK], zero_int, params.n)


include "adam/param_loop.pxi"


cdef object through(values, void (*function)(size_t, const double *, double *) noexcept nogil):
    """An array of doubles through a kernel."""
    cdef Py_buffer source, target
    result = array.array("d", values)
    PyObject_GetBuffer(values, &source, PyBUF_ND | PyBUF_FORMAT)
    PyObject_GetBuffer(result, &target, PyBUF_ND | PyBUF_FORMAT)
    function(len(result), <double *>source.buf, <double *>target.buf)
    PyBuffer_Release(&source)
    PyBuffer_Release(&target)
    return result


def _pow2(values):
    """x ** 2 of an array('d') as `step` computes it, for the tests that hold it against Python's."""
    return through(values, kernels.power_two)


def _pow_half(values):
    """x ** 0.5 of an array('d') of numbers not negative, as `step` computes it."""
    return through(values, kernels.power_half)
