# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=False, embedsignature=True, freethreading_compatible=False
"""The fused GPT: forward, backward and Adam of the script's model in SIMD C, to the bit what its scalar graph gives.

This file is the Python face: it reads arguments, owns the memory, lets the GIL go and raises what the script would raise.
All arithmetic on activations and gradients stands in kernels/ (fused.h says how the numbers lie); where to look:

    GPT.train_step -> train_one -> kernels.loss (forward_body.h), kernels.backward (backward_body.h), adam.update
    GPT.generate   -> kernels.generate_step (generate_body.h), draw
"""
from cpython.array cimport array as Array
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.sequence cimport PySequence_Fast_ITEMS
from libc.math cimport INFINITY, M_PI, isfinite, log, pow, sqrt
from libc.stdint cimport INT32_MAX, SIZE_MAX, int32_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from microgpt.kernels.kernels cimport (
    ADAM_OK, AdamKernels, AdamStep, adam_check, adam_kernels, available_isas, choose_isa, isa_name, raise_adam,
)

import array
import math
import operator
import os
import random

from . import checks
from ._engine import Value
from .model import INIT_STD as _INIT_STD, GPTConfig

cdef extern from "kernels/team.h":
    ctypedef struct Team
    ctypedef void (*TeamPart)(void *job, size_t part, size_t member) noexcept nogil
    Team *team_start(size_t threads) noexcept nogil
    void team_end(Team *) noexcept nogil
    size_t team_size(const Team *) noexcept nogil
    void team_run(Team *, size_t parts, TeamPart run, void *job) noexcept nogil

cdef extern from "kernels/fused.h":
    enum:
        FUSED_OK
        FUSED_LOG_OF_ZERO
    ctypedef struct Sizes:
        size_t vocab, layers, width, heads, block
    ctypedef struct Layer:
        double *input
        double *middle
        double *exps
        double *inverse
    ctypedef struct Workspace:
        Layer *layers
        double *output
        double *logits
        Team *team
    ctypedef struct Document:
        const int32_t *tokens
        size_t positions
    ctypedef struct Generator:
        double *logits
        double *first
    ctypedef struct FusedKernels:
        void (*logits)(const Sizes *, const double *, const Document *, Workspace *) noexcept nogil
        int (*loss)(const Sizes *, const double *, const Document *, Workspace *, double *) noexcept nogil
        void (*backward)(const Sizes *, const double *, const Document *, Workspace *, double *) noexcept nogil
        size_t (*padded_to_lanes)(size_t) noexcept nogil
        void (*generate_start)(const Sizes *, const double *, Generator *) noexcept nogil
        void (*generate_step)(const Sizes *, const double *, size_t, size_t, Generator *) noexcept nogil
        void (*generate_weights)(size_t, double, size_t, Generator *) noexcept nogil
        void (*functions[7])(size_t, const double *, double *) noexcept nogil
        double (*spin)(size_t) noexcept nogil
    const FusedKernels *fused_kernels(int isa) noexcept
    size_t workspace_place(const Sizes *, size_t, size_t, void *, Workspace *) noexcept nogil
    size_t generator_place(const Sizes *, void *, Generator *) noexcept nogil

cdef enum:
    ALIGNMENT = 64                      # a cache line, and the widest register
    FIRST_POSITIONS = 16                # room of a fresh workspace; it doubles when a longer document comes
    MAX_TOKEN = 0x7fffffff              # tokens are stored in 32 bits
    WORK_BETWEEN_SIGNALS = 2_000_000    # weights times positions: about a millisecond
    WORK_UNDER_GIL = 200_000            # likewise
    SHARED_PARAMS = 100_000             # from so many parameters on, threads share a step

cdef size_t MAX_PARAMS = SIZE_MAX // 1024   # so that no size counted in bytes overflows

cdef int isa
cdef const FusedKernels *kernels
cdef const AdamKernels *adam


cdef int use_isa(int chosen) except -1:
    global isa, kernels, adam
    isa, kernels, adam = chosen, fused_kernels(chosen), adam_kernels(chosen)
    return 0


use_isa(choose_isa(os.environ.get("MICROGPT_ISA")))


def instruction_set():
    """The name of the instruction set that the package's kernels run with: baseline, avx2 or avx512.

    The best that this CPU has, unless MICROGPT_ISA names another when the package is imported.
    """
    return isa_name(isa).decode()


cdef extern from *:
    """
    #if defined(__clang__)
    #define COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define COMPILER "GCC " __VERSION__
    #else
    #define COMPILER "unknown"
    #endif
    #ifndef MICROGPT_FLAGS
    #define MICROGPT_FLAGS "unknown"
    #endif
    """
    const char *COMPILER
    const char *MICROGPT_FLAGS


def build():
    """The C compiler that made the kernels, with its version, and the flags that it was given."""
    return COMPILER.decode(), MICROGPT_FLAGS.decode()


include "fused/memory.pxi"
include "fused/arguments.pxi"
include "fused/inspection.pxi"
include "fused/random.pxi"
include "fused/shares.pxi"


# ---- one step -----------------------------------------------------------------------------------------------------------

cdef int raise_status(int status) except -1:
    """What the script raises there, with the interpreter's own message."""
    if status == FUSED_LOG_OF_ZERO:
        math.log(0.0)
    return raise_adam(status)


cdef struct Sampling:                   # how tokens are drawn
    double inverse_temperature          # 0 for the most probable token each time
    size_t top_k                        # 0 for all


cdef class GPT:
    """The script's GPT with its Adam: a decoder-only transformer, trained document by document.

    GPT(config, rng=None)

    config   a GPTConfig: the sizes
    rng      draws the parameters as rng.gauss(0, 0.08), in the script's order; a fresh random.Random() if None

    Every number it computes is the double that the script's graph of scalars gives, to the last bit, on every instruction
    set. A document is a sequence of at least two tokens, ints from 0 to vocab_size - 1, including the one at both ends; what
    is beyond block_size + 1 tokens is cut off. TypeError for a token that is not an int, IndexError for one out of range.

    Raises what the script raises, where it does: ValueError when the probability of a target is 0 (its log), OverflowError when
    the square of a gradient is past the range, ZeroDivisionError when eps is 0 and a second moment too. Parameters, moments
    and t are then what they were before that step.

    Thread-safety: the GIL is released during the work, so different models run in parallel. One model serves one thread at a
    time: a call while another is under way raises RuntimeError.
    """
    cdef readonly object config
    cdef readonly long long t
    cdef Sizes sizes
    cdef Doubles params, first, second
    cdef Worker main
    cdef list helpers                   # Workers for train_batch
    cdef void *generator_memory
    cdef Generator generator
    cdef size_t work_under_gil          # see is_short
    cdef Team *team                     # while a call is under way that asked for threads
    cdef bint busy

    def __cinit__(self, config, *args, **kwargs):
        if not isinstance(config, GPTConfig):
            raise TypeError(f"config must be a GPTConfig, not {type(config).__name__!r}")
        n_params = (2 * config.vocab_size + config.block_size + 12 * config.n_layer * config.n_embd) * config.n_embd
        if n_params > MAX_PARAMS or config.vocab_size > MAX_TOKEN:
            raise MemoryError(f"no room for {n_params} parameters")
        self.config = config
        self.sizes.vocab, self.sizes.layers, self.sizes.width = config.vocab_size, config.n_layer, config.n_embd
        self.sizes.heads, self.sizes.block = config.n_head, config.block_size
        self.params = Doubles(n_params)
        self.first = Doubles(n_params)
        self.second = Doubles(n_params)
        self.main = Worker(self)
        self.helpers = []

    def __init__(self, config, rng=None):
        shuffle_and_fill(None, self.params, _INIT_STD, random.Random() if rng is None else rng)
        self.params.may_have_changed = True

    def restart(self, rng=None, *, Array order=None):
        """Be what GPT(config, rng) is, in the same memory, which views show then. For who trains many of one size.

        order: see shuffle_order, which is called first.
        """
        cdef Doubles numbers
        self.begin()
        try:
            shuffle_and_fill(order, self.params, _INIT_STD, random.Random() if rng is None else rng)
            self.params.may_have_changed = True
            for numbers in (self.first, self.second, self.main.grads):
                memset(numbers.at, 0, numbers.n * sizeof(double))
            self.t = 0
        finally:
            self.end()

    def __dealloc__(self):
        free(self.generator_memory)

    def __repr__(self):
        return f"<GPT of {self.params.n} parameters, {self.config!r}, t={self.t}>"

    cdef int begin(self, size_t threads=1) except -1:
        if self.busy:
            raise RuntimeError("this GPT is at work in another call; one model serves one thread at a time")
        self.busy = True
        self.team = team_start(threads)
        return 0

    cdef void end(self) noexcept:
        if self.team != NULL:
            with nogil:
                team_end(self.team)
            self.team = self.main.work.team = NULL
        self.busy = False

    cdef size_t sharers(self, threads) except 0:
        """How many threads share a step on one document when so many are wanted: one, if the model is small."""
        threads = checks.at_least_one("threads", threads)
        return threads if self.params.n >= SHARED_PARAMS else 1

    # ---- training ----

    def train_step(self, tokens, lr=0.01, *, betas=(0.85, 0.99), eps=1e-8, threads=1):
        """Run forward, backward and one Adam step on one document. Returns the loss before the update, in nats per token.

        threads: that share the step of a model of 100,000 parameters or more; they change no bit. ValueError below 1.
        """
        cdef AdamStep settings
        cdef double rate = rate_of(lr)
        read_settings(&settings, betas, eps)
        self.begin(self.sharers(threads))
        try:
            self.main.read(tokens, self.team)
            with nogil:
                self.train_one(&settings, rate)
            raise_status(self.main.status)
            return self.main.loss
        finally:
            self.end()

    cdef void train_one(self, const AdamStep *settings, double lr) noexcept nogil:
        """A step on the main worker's document; its status says how it went."""
        self.differentiate(self.main)
        if self.main.status == FUSED_OK:
            self.main.status = self.adam_step(settings, lr)
        if self.main.status == FUSED_OK:
            self.params.may_have_changed = True
            self.t += 1

    cdef int adam_step(self, const AdamStep *settings, double lr) noexcept nogil:
        """Adam's next step with the main worker's gradients. Nothing has changed unless it returns FUSED_OK."""
        cdef AdamStep step = settings[0]
        step.lr = lr
        step.bias1 = 1.0 - pow(step.beta1, <double>(self.t + 1))
        step.bias2 = 1.0 - pow(step.beta2, <double>(self.t + 1))
        return share_adam(self.team, &step, self.params.n, self.main.grads.at, self.first.at, self.second.at, self.params.at)

    cdef void differentiate(self, Worker worker) noexcept nogil:
        worker.status = kernels.loss(&self.sizes, self.params.at, &worker.document, &worker.work, &worker.loss)
        if worker.status == FUSED_OK:
            kernels.backward(&self.sizes, self.params.at, &worker.document, &worker.work, worker.grads.at)

    def train_steps(self, documents, lrs, *, betas=(0.85, 0.99), eps=1e-8, losses=None, threads=1):
        """Take one step for each document, at the learning rate that stands beside it in lrs. Returns the losses.

        All documents are read first: a wrong token raises before anything is trained. Ctrl-C is answered between steps, and
        like an exception of a step it leaves the steps before it done: `t` tells how many, and the list `losses`, if one is
        given, gets their losses. threads: as for train_step.
        """
        cdef AdamStep settings
        cdef size_t i, n, done = 0
        cdef double work = 0
        cdef Documents read
        documents, lrs = list(documents), [rate_of(lr) for lr in lrs]
        n = len(documents)
        if len(lrs) != <Py_ssize_t>n:
            raise ValueError(f"{n} documents, but {len(lrs)} learning rates")
        read_settings(&settings, betas, eps)
        self.begin(self.sharers(threads))
        try:
            read = Documents(self, documents, lrs)
            self.main.reserve(read.longest, self.team)
            with nogil:
                for i in range(n):
                    self.main.document = read.documents[i]
                    self.train_one(&settings, read.lrs[i])
                    if self.main.status != FUSED_OK:
                        break
                    read.lrs[i] = self.main.loss
                    done += 1
                    work += <double>self.params.n * <double>self.main.document.positions
                    if work > WORK_BETWEEN_SIGNALS:
                        work = 0
                        with gil:
                            PyErr_CheckSignals()
            raise_status(self.main.status if n else FUSED_OK)
            return [read.lrs[i] for i in range(n)]
        finally:
            self.end()
            if losses is not None and done:
                losses.extend([read.lrs[i] for i in range(done)])

    def train_batch(self, documents, lr=0.01, *, clip_norm=None, threads=1, betas=(0.85, 0.99), eps=1e-8):
        """Take one Adam step from the mean gradient of several documents. Returns their losses.

        Each document's gradient is computed on its own, `threads` of them at once; of one document alone, the threads share the
        step as in train_step. Gradients are added in the order of the documents and multiplied by 1 / len(documents). With
        clip_norm the result is multiplied by clip_norm / norm if its norm, the root of the sum of its squares in the order of the
        parameters, is above that. The same bits for any `threads`.
        ValueError if there are no documents, for threads below 1, and for a clip_norm that is not above 0.
        """
        cdef AdamStep settings
        documents = list(documents)
        if not documents:
            raise ValueError("train_batch needs at least one document")
        cdef double rate = rate_of(lr), norm = INFINITY
        threads = checks.at_least_one("threads", threads)
        if clip_norm is not None:
            norm = checks.positive("clip_norm", clip_norm)
        read_settings(&settings, betas, eps)
        self.begin(min(threads, len(documents)) if len(documents) > 1 else self.sharers(threads))
        try:
            losses = self.add_gradients(documents, min(threads, len(documents)))
            scale_gradients(self.main.grads, 1.0 / len(documents), norm)
            with nogil:
                self.main.status = self.adam_step(&settings, rate)
            raise_status(self.main.status)
            self.params.may_have_changed = True
            self.t += 1
            return losses
        finally:
            self.end()

    cdef list add_gradients(self, list documents, int threads):
        """The sum of the documents' gradients into the main worker's; their losses."""
        cdef Worker worker
        cdef list workers
        cdef Group group
        cdef size_t n
        losses = []
        while len(self.helpers) < threads:
            self.helpers.append(Worker(self))
        for start in range(0, len(documents), threads):
            chosen = documents[start:start + threads]
            n = len(chosen)
            workers = self.helpers[:n]
            for worker, tokens in zip(workers, chosen):
                worker.read(tokens, self.team if len(documents) == 1 else NULL)
            group.model, group.workers = <PyObject *>self, PySequence_Fast_ITEMS(workers)
            with nogil:
                team_run(self.team, n, differentiate_part, &group)
            for worker in workers:
                raise_status(worker.status)
                add_each(worker.grads, self.main.grads, not losses)
                losses.append(worker.loss)
            PyErr_CheckSignals()
        return losses

    def backward(self, tokens):
        """Return the loss of a document and compute its gradients: see gradients(). Parameters stay as they are."""
        self.begin()
        try:
            self.main.read(tokens)
            with nogil:
                self.differentiate(self.main)
            raise_status(self.main.status)
            return self.main.loss
        finally:
            self.end()

    # ---- inference ----

    def loss(self, tokens):
        """The mean loss over a document, in nats per token: -log of the probability of each target, averaged."""
        self.begin()
        try:
            self.main.read(tokens)
            with nogil:
                self.main.status = kernels.loss(&self.sizes, self.params.at, &self.main.document, &self.main.work,
                                                &self.main.loss)
            raise_status(self.main.status)
            return self.main.loss
        finally:
            self.end()

    def logits(self, tokens):
        """The vocab_size logits of the token that follows these. ValueError unless there are 1 to block_size of them."""
        cdef size_t n, o
        self.begin()
        try:
            self.forward(list(tokens), "logits")
            n = self.main.document.positions
            return [self.main.work.logits[o * kernels.padded_to_lanes(n) + n - 1] for o in range(self.sizes.vocab)]
        finally:
            self.end()

    cdef list forward(self, list tokens, str what):
        """Take the tokens through the model; the main worker's memory has the activations then."""
        cdef Worker worker = self.main
        cdef size_t n = len(tokens)
        if not 1 <= n <= self.sizes.block:
            raise ValueError(f"{what} takes 1 to {self.sizes.block} tokens, not {n}")
        worker.reserve(n, NULL)
        read_tokens(tokens, n, self.sizes.vocab, worker.tokens)
        worker.document.tokens, worker.document.positions = worker.tokens, n
        with nogil:
            kernels.logits(&self.sizes, self.params.at, &worker.document, &worker.work)
        return [worker.tokens[p] for p in range(n)]

    def generate(self, rng, temperature=0.5, *, top_k=None, prompt=(), bos=None):
        """The tokens of a new document, without the one at both ends: at most block_size, including the prompt.

        rng          rng.random() is called once for each token drawn, and used exactly as random.choices uses it
        temperature  divides the logits; 0 for the most probable token each time, the first of equals, without rng. ValueError
                     if it is negative, not finite or too small to divide by, and if nothing finite is left
        top_k        draw among the k most probable tokens only (of equally probable ones the first)
        prompt       tokens the document begins with; they are not drawn
        bos          the token at both ends, vocab_size - 1 if None
        """
        return self.generate_documents(1, rng, temperature, top_k, prompt, bos)[0]

    def generate_many(self, count, rng, temperature=0.5, *, top_k=None, prompt=(), bos=None):
        """`count` new documents: those that as many calls of `generate` would give, one after the other, in less time.

        The matrices are transposed once, and what all documents begin with (bos and the prompt) goes through the model once.
        """
        return self.generate_documents(checks.integer("count", count), rng, temperature, top_k, prompt, bos)

    cdef list generate_documents(self, Py_ssize_t count, rng, temperature, top_k, prompt, bos):
        cdef Sampling how
        cdef size_t n_prompt
        how.inverse_temperature = inverse_temperature_of(temperature)
        prompt = list(prompt)
        how.top_k = 0 if top_k is None else min(checks.at_least_one("top_k", top_k), self.sizes.vocab)
        n_prompt = len(prompt)
        if n_prompt > self.sizes.block:
            raise ValueError(f"the prompt has {n_prompt} tokens, the model sees {self.sizes.block}")
        bos = self.sizes.vocab - 1 if bos is None else bos
        self.begin()
        try:
            self.main.reserve(max(<size_t>1, n_prompt), NULL)
            read_tokens([bos, *prompt], n_prompt + 1, self.sizes.vocab, self.main.tokens)
            self.place_generator()
            if self.is_short(n_prompt + 2):
                self.start_generator(n_prompt, &how)
            else:
                with nogil:
                    self.start_generator(n_prompt, &how)
            return [self.sample(prompt, bos, &how, rng) for _ in range(count)]
        finally:
            self.end()

    cdef bint is_short(self, size_t positions) noexcept:
        """Whether to keep the GIL while so many positions go through the model. Letting it go and taking it back costs a tenth
        of a small model's position; so that is done only when enough work has come together."""
        self.work_under_gil += positions * self.params.n
        if self.work_under_gil <= WORK_UNDER_GIL:
            return True
        self.work_under_gil = 0
        return False

    cdef void start_generator(self, size_t n_prompt, const Sampling *how) noexcept nogil:
        """Takes bos and the prompt, of which main.tokens consists, through the model: generator.first has what the first token
        is drawn from."""
        cdef size_t p, n = min(n_prompt + 1, self.sizes.block)
        if self.params.may_have_changed:
            kernels.generate_start(&self.sizes, self.params.at, &self.generator)
            self.params.may_have_changed = self.params.views > 0
        for p in range(n):
            kernels.generate_step(&self.sizes, self.params.at, self.main.tokens[p], p, &self.generator)
        weigh(self.sizes.vocab, how, &self.generator)
        memcpy(self.generator.first, self.generator.logits, self.sizes.vocab * sizeof(double))

    cdef void next_token(self, size_t token, size_t p, const Sampling *how) noexcept nogil:
        """Takes a token through the model: generator.logits has what the next one is drawn from."""
        kernels.generate_step(&self.sizes, self.params.at, token, p, &self.generator)
        weigh(self.sizes.vocab, how, &self.generator)

    cdef list sample(self, list prompt, Py_ssize_t bos, const Sampling *how, rng):
        """One document, drawn token after token; the prompt is in the cache already."""
        cdef size_t p, token = 0, n_prompt = len(prompt)
        cdef Py_ssize_t drawn
        cdef list document = prompt[:]
        cdef const double *weights = self.generator.first
        uniform = rng.random if how.inverse_temperature > 0.0 and n_prompt < self.sizes.block else None
        for p in range(n_prompt, self.sizes.block):
            if p > n_prompt:
                if self.is_short(1):
                    self.next_token(token, p, how)
                else:
                    with nogil:
                        self.next_token(token, p, how)
                weights = self.generator.logits
            if how.inverse_temperature > 0.0:
                drawn = draw(self.sizes.vocab, weights, uniform)
            else:
                drawn = most_probable(self.sizes.vocab, weights)
            if drawn == bos:
                break
            token = drawn
            document.append(drawn)
        PyErr_CheckSignals()
        return document

    def inspect(self, tokens):
        """Logits, probabilities, attention weights and residual streams for 1 to block_size tokens: see Inspection.

        The numbers are those of training and of `logits`, to the bit. They are copies, a row a position, and stay as they
        are when the model is trained further. ValueError for another number of tokens.
        """
        cdef Worker worker = self.main
        cdef size_t n, ld, p, o
        cdef Doubles probs
        self.begin()
        try:
            tokens = self.forward(list(tokens), "inspect")
            n, ld = worker.document.positions, kernels.padded_to_lanes(worker.document.positions)
            logits = by_position(worker.work.logits, self.sizes.vocab, n, ld)
            residual, attention = [], []
            for o in range(self.sizes.layers):
                residual += [by_position(worker.work.layers[o].input, self.sizes.width, n, ld),
                             by_position(worker.work.layers[o].middle, self.sizes.width, n, ld)]
                attention.append(attention_weights(&worker.work.layers[o], self.sizes.heads, n, ld))
            residual.append(by_position(worker.work.output, self.sizes.width, n, ld))
            probs = Doubles(n * self.sizes.vocab)
            self.place_generator()
            for p in range(n):
                for o in range(self.sizes.vocab):
                    self.generator.logits[o] = worker.work.logits[o * ld + p]
                kernels.generate_weights(self.sizes.vocab, 1.0, 0, &self.generator)
                memcpy(probs.at + p * self.sizes.vocab, self.generator.logits, self.sizes.vocab * sizeof(double))
            return Inspection(tokens, logits, memoryview(probs).cast("d", (n, self.sizes.vocab)), attention, residual)
        finally:
            self.end()

    cdef int place_generator(self) except -1:
        cdef Generator unplaced
        cdef void *at
        if self.generator_memory == NULL:
            at = allocate(generator_place(&self.sizes, NULL, &unplaced) or SIZE_MAX, &self.generator_memory)
            generator_place(&self.sizes, at, &self.generator)
        return 0

    # ---- state ----

    def state_dict(self):
        """The parameters: name -> writable 2-D memoryview of doubles, in the script's order. No copy: writing trains."""
        return matrices(self.config, self.params)

    def gradients(self):
        """The gradients of the last step or backward(), named and shaped like the parameters; the next one overwrites them."""
        return matrices(self.config, self.main.grads)

    def moments(self):
        """Adam's first and second moments, each named and shaped like the parameters. No copy."""
        return matrices(self.config, self.first), matrices(self.config, self.second)

    def load_state_dict(self, state, *, t=None, m=None, v=None):
        """Load parameters and, if given, the number of steps taken and Adam's moments.

        state, m, v: mappings name -> 2-D buffer of doubles, or rows of numbers or Values. All or nothing: KeyError for a name
        that is missing or unknown, ValueError for a shape that does not fit, a negative t or a negative second moment.
        """
        cdef Doubles params = Doubles(self.params.n), first = Doubles(self.params.n), second = Doubles(self.params.n)
        cdef size_t i
        cdef long long steps = self.t
        if t is not None:
            steps = operator.index(t)
            if steps < 0:
                raise ValueError(f"t must be a number of steps, not {t!r}")
        fill(self.config, state, params, "the state")
        if m is not None:
            fill(self.config, m, first, "m")
        if v is not None:
            fill(self.config, v, second, "v")
        for i in range(second.n):
            if second.at[i] < 0.0:
                raise ValueError("v has a negative second moment")
        self.begin()
        memcpy(self.params.at, params.at, params.n * sizeof(double))
        self.params.may_have_changed = True
        if m is not None:
            memcpy(self.first.at, first.at, first.n * sizeof(double))
        if v is not None:
            memcpy(self.second.at, second.at, second.n * sizeof(double))
        self.t = steps
        self.end()

    def __reduce__(self):
        """Pickled and copied with all it will ever need: parameters, moments, the number of steps."""
        self.begin()
        try:
            numbers = [array.array("d", memoryview(each).cast("d")) for each in (self.params, self.first, self.second)]
            return unpickled, (type(self), self.config, self.t, *numbers), getattr(self, "__dict__", None) or None
        finally:
            self.end()

    def to_values(self):
        """The parameters as the script holds them: name -> rows of fresh Values."""
        return {name: [[Value(number) for number in row] for row in view.tolist()]
                for name, view in self.state_dict().items()}

    @classmethod
    def from_values(cls, config, state_dict):
        """A model with the parameters of a state_dict of Values. KeyError and ValueError as for load_state_dict."""
        model = cls.__new__(cls, config)
        model.load_state_dict(state_dict)
        return model


include "fused/batches.pxi"


def unpickled(cls, config, t, params, first, second):
    """The GPT that GPT.__reduce__ took apart."""
    cdef GPT model = cls.__new__(cls, config)
    for numbers, to in ((params, model.params), (first, model.first), (second, model.second)):
        memoryview(to).cast("d")[:] = numbers
    model.t = t
    return model


cdef Py_ssize_t most_probable(size_t n, const double *logits) except -1:
    """The token of the largest logit, the first of equals."""
    cdef size_t i, best = 0
    for i in range(n):
        if not isfinite(logits[i]):
            raise ValueError("a logit is no finite number")
        if logits[i] > logits[best]:
            best = i
    return best


cdef void weigh(size_t n, const Sampling *how, Generator *generator) noexcept nogil:
    """Logits into what a token is drawn from: running totals of the weights, as random.choices makes them. For temperature 0
    they stay."""
    cdef size_t i
    if how.inverse_temperature > 0.0:
        kernels.generate_weights(n, how.inverse_temperature, how.top_k, generator)
        for i in range(1, n):
            generator.logits[i] += generator.logits[i - 1]


cdef Py_ssize_t draw(size_t n, const double *totals, uniform) except -1:
    """One of range(n) as random.choices(range(n), weights) draws it."""
    cdef size_t low = 0, high = n - 1, middle
    cdef double total = totals[n - 1] + 0.0, point
    if total <= 0.0:
        raise ValueError("Total of weights must be greater than zero")
    if not isfinite(total):
        raise ValueError("Total of weights must be finite")
    point = uniform() * total
    while low < high:
        middle = (low + high) // 2
        if point < totals[middle]:
            high = middle
        else:
            low = middle + 1
    return low


# ---- for tests and benchmarks -------------------------------------------------------------------------------------------

def _instruction_sets():
    """Those that this CPU runs, from the plainest to the best."""
    return available_isas()


class _use_instruction_set:
    """with _use_instruction_set("avx2"): models run with that set inside. ImportError if this CPU does not have it."""

    def __init__(self, name):
        self.inside = choose_isa(name)

    def __enter__(self):
        self.before = isa
        use_isa(self.inside)

    def __exit__(self, *error):
        use_isa(self.before)


def _apply(name, double[::1] values):
    """A list of the kernels' own exp, or of their powers "-0.5", "-1", "-1.5", "-2", of some doubles; "-0.5 alone" and
    "-1 alone" are taken of one number at a time."""
    cdef int which = ["-0.5", "-1", "-1.5", "-2", "exp", "-0.5 alone", "-1 alone"].index(name)
    cdef size_t i, n = values.shape[0]
    cdef Doubles given = Doubles(n), result = Doubles(n)
    for i in range(n):
        given.at[i] = values[i]
    kernels.functions[which](n, given.at, result.at)
    return [result.at[i] for i in range(n)]


def _spin(size_t depth):
    """Multiply and add in registers as fast as this machine can; how many operations that were."""
    return kernels.spin(depth)
