# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=False, embedsignature=True, freethreading_compatible=False
"""Adam over the parameters' nodes: gather, update in C, scatter.

The moments are contiguous arrays. Data and gradients stand in the arena, 16 bytes a node, so a chunk of parameters at a
time is copied into arrays on the stack, updated by the SIMD kernel (kernels/adam_body.h, the hot loop), and written back.
"""
from cpython.buffer cimport PyBUF_ND, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport INFINITY, fabs, isfinite, pow
from libc.stdint cimport uint32_t
from microgpt._arena cimport DATA_INT, PLACE_MASK, Block, block_of
from microgpt._engine cimport Handle, Value, engine_arena, read_number

import array
import operator
import os

cdef extern from "kernels/adam.h":
    enum:
        ADAM_CHUNK
    ctypedef struct AdamStep:
        double lr, beta1, beta2, rest1, rest2, bias1, bias2, eps
    ctypedef struct AdamKernels:
        const char *name
        void (*update)(const AdamStep *, size_t, const double *, double *, double *, double *) noexcept nogil
        void (*square)(size_t, const double *, double *) noexcept nogil
        void (*root)(size_t, const double *, double *) noexcept nogil
    const AdamKernels *adam_kernels(const char *name) noexcept

cdef const AdamKernels *kernels = choose_kernels(os.environ.get("MICROGPT_ISA"))


cdef const AdamKernels *choose_kernels(name) except NULL:
    cdef bytes wanted
    cdef const AdamKernels *found
    if not name:
        return adam_kernels(NULL)
    wanted = name.encode()
    found = adam_kernels(wanted)
    if found == NULL:
        known = [each for each in ("baseline", "avx2", "avx512") if adam_kernels(each.encode()) != NULL]
        raise ImportError(f"MICROGPT_ISA={name}: this machine has {', '.join(known)}; unset it to use the best of them")
    return found


def instruction_set():
    """The name of the instruction set the kernels run with: baseline, avx2 or avx512. MICROGPT_ISA chooses another."""
    return kernels.name.decode()


cdef double number(value, str what) except? -1.0:
    cdef double result
    cdef bint is_int
    if read_number(value, &result, &is_int) == 0:
        raise TypeError(f"Adam: {what} must be a real number, not {type(value).__name__!r}")
    return result


cdef class Adam:
    """The script's optimiser: Adam, Kingma and Ba (2015), without weight decay.

    Adam(params, lr=0.01, betas=(0.85, 0.99), eps=1e-8)

    params  Values, any number; kept in the list `params`
    lr      learning rate of steps that are not given one
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
    cdef readonly list params
    cdef readonly object t
    cdef public object lr
    cdef tuple _betas
    cdef object _eps
    cdef double *m                      # first moments, then second moments, in one allocation
    cdef double *v
    cdef size_t n
    cdef bint has_duplicates            # a Value stands in `params` twice: its steps must follow one another

    def __init__(self, params, lr=0.01, betas=(0.85, 0.99), eps=1e-8):
        cdef list values = list(params)
        for value in values:
            if not isinstance(value, Value):
                raise TypeError(f"Adam: params must be Values, not {type(value).__name__!r}")
            if (<Value>value).id == 0:
                raise TypeError("Adam: a parameter has not been initialised; call super().__init__(data) in its class")
        number(lr, "lr")
        self.betas = betas
        self.eps = eps
        self.lr = lr
        PyMem_Free(self.m)
        self.m = <double *>PyMem_Calloc(2 * len(values) + 1, sizeof(double))
        if self.m == NULL:
            self.n = 0
            raise MemoryError
        self.n = len(values)
        self.v = self.m + self.n
        self.params = values
        self.t = 0
        self.has_duplicates = len(set(values)) != len(values)

    def __dealloc__(self):
        PyMem_Free(self.m)

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
        cdef AdamStep settings
        cdef size_t done = 0, n
        cdef size_t chunk = 1 if self.has_duplicates else <size_t>ADAM_CHUNK
        settings.lr = number(self.lr if lr is None else lr, "lr")
        beta1, beta2 = self._betas
        settings.beta1, settings.rest1, settings.bias1 = beta1, 1 - beta1, 1 - beta1 ** (self.t + 1)
        settings.beta2, settings.rest2, settings.bias2 = beta2, 1 - beta2, 1 - beta2 ** (self.t + 1)
        settings.eps = self._eps
        self.check(&settings)
        while done < self.n:
            n = min(chunk, self.n - done)
            self.update(&settings, done, n, zero_grad)
            done += n
        self.t += 1

    def zero_grad(self):
        """Set the gradient of every parameter to the int 0."""
        cdef size_t k
        for k in range(self.n):
            clear_grad(<Handle *>self.params[k])

    def state_dict(self):
        """The state beside the parameters: t, and the moments m and v, lists of a float for each parameter."""
        cdef size_t k
        return {"t": self.t, "m": [self.m[k] for k in range(self.n)], "v": [self.v[k] for k in range(self.n)]}

    def load_state_dict(self, state):
        """Take over a state that `state_dict` gave. ValueError if it is for another number of parameters, or impossible."""
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
        cdef size_t k
        cdef double grad, square
        for k in range(self.n):
            grad = (<Handle *>self.params[k]).numbers.grad
            if fabs(grad) > 1e154 and isfinite(grad) and pow(fabs(grad), 2.0) == INFINITY:
                operator.pow(grad, 2)                       # raises OverflowError in the words of this Python
            if settings.eps == 0.0:
                kernels.square(1, &grad, &square)
                if settings.beta2 * self.v[k] + settings.rest2 * square == 0.0:
                    raise ZeroDivisionError("float division by zero: eps is 0, and the second moment of a parameter too")
        return 0

    cdef void update(self, const AdamStep *settings, size_t start, size_t n, bint zero_grad):
        """The step for parameters start .. start + n, at most ADAM_CHUNK."""
        cdef double grad[ADAM_CHUNK]
        cdef double data[ADAM_CHUNK]
        cdef size_t k
        cdef Handle *handle
        for k in range(n):
            handle = <Handle *>self.params[start + k]
            grad[k] = handle.numbers.grad
            data[k] = handle.numbers.data
        kernels.update(settings, n, grad, self.m + start, self.v + start, data)
        for k in range(n):
            handle = <Handle *>self.params[start + k]
            handle.numbers.data = data[k]
            if handle.data_int:
                forget_int(handle)
            if zero_grad:
                clear_grad(handle)


cdef inline void clear_grad(Handle *handle) noexcept:
    cdef Block *block = block_of(engine_arena(), handle.id)
    handle.numbers.grad = 0.0
    block.marks[handle.id & PLACE_MASK].int_grad = True


cdef void forget_int(Handle *handle) noexcept:
    """The data of this Value was an int."""
    cdef Block *block = block_of(engine_arena(), handle.id)
    block.marks[handle.id & PLACE_MASK].flags &= ~<uint32_t>DATA_INT
    handle.data_int = False


cdef object through(values, void (*function)(size_t, const double *, double *) noexcept nogil):
    """An array of doubles through a kernel."""
    cdef Py_buffer source, target
    cdef size_t done = 0, n, total
    result = array.array("d", values)
    PyObject_GetBuffer(values, &source, PyBUF_ND | PyBUF_FORMAT)
    PyObject_GetBuffer(result, &target, PyBUF_ND | PyBUF_FORMAT)
    total = len(result)
    while done < total:
        n = min(<size_t>ADAM_CHUNK, total - done)
        function(n, <double *>source.buf + done, <double *>target.buf + done)
        done += n
    PyBuffer_Release(&source)
    PyBuffer_Release(&target)
    return result


def _pow2(values):
    """x ** 2 of an array('d') as `step` computes it, for the tests that hold it against Python's."""
    return through(values, kernels.square)


def _pow_half(values):
    """x ** 0.5 of an array('d') of numbers not negative, as `step` computes it."""
    return through(values, kernels.root)
