# The numbers of a random.Random without a call for each of them: its words are taken, drawn from, and given back.
# A part of _fused.pyx, which includes it.
#
# Python's generator is the Mersenne Twister MT19937 (M. Matsumoto and T. Nishimura, ACM Transactions on Modeling and Computer
# Simulation 8, 1998). `random()`, `getrandbits` and `gauss` are what the module random makes of its words.

cdef extern from *:
    """
    /* Through pointers that the compiler may not look through: a sine and a cosine of one angle would become one call, and
       the module math makes two. */
    static double (*volatile separate_cos)(double) = cos;
    static double (*volatile separate_sin)(double) = sin;
    """
    double separate_cos(double) noexcept nogil
    double separate_sin(double) noexcept nogil

from _random import Random as _Words

cdef enum:
    WORDS = 624
    SHIFT = 397

cdef struct Twister:
    uint32_t words[WORDS]       # as random.Random keeps them
    uint32_t drawn[WORDS]       # as they are given out: all at once, since that takes SIMD instructions
    int used


cdef int take_words(Twister *twister, rng) except -1:
    cdef int i
    cdef tuple state = _Words.getstate(rng)     # in C to its end: no other thread draws between this and give_words
    for i in range(WORDS):
        twister.words[i] = state[i]
    temper(twister)
    twister.used = state[WORDS]
    return 0


cdef int give_words(const Twister *twister, rng) except -1:
    _Words.setstate(rng, (*[twister.words[i] for i in range(WORDS)], twister.used))
    return 0


cdef uint32_t joined(uint32_t upper, uint32_t lower) noexcept nogil:
    cdef uint32_t word = (upper & 0x80000000u) | (lower & 0x7fffffffu)
    return (word >> 1) ^ (0x9908b0dfu & (0u - (word & 1u)))


cdef void twist(Twister *twister) noexcept nogil:
    """The next WORDS words, each from three of the last."""
    cdef uint32_t *words = twister.words
    cdef int i
    for i in range(WORDS - SHIFT):
        words[i] = words[i + SHIFT] ^ joined(words[i], words[i + 1])
    for i in range(WORDS - SHIFT, WORDS - 1):
        words[i] = words[i + SHIFT - WORDS] ^ joined(words[i], words[i + 1])
    words[WORDS - 1] = words[SHIFT - 1] ^ joined(words[WORDS - 1], words[0])
    temper(twister)
    twister.used = 0


cdef void temper(Twister *twister) noexcept nogil:
    cdef uint32_t word
    cdef int i
    for i in range(WORDS):
        word = twister.words[i]
        word ^= word >> 11
        word ^= (word << 7) & 0x9d2c5680u
        word ^= (word << 15) & 0xefc60000u
        twister.drawn[i] = word ^ (word >> 18)


cdef uint32_t next_word(Twister *twister) noexcept nogil:
    if twister.used >= WORDS:
        twist(twister)
    twister.used += 1
    return twister.drawn[twister.used - 1]


cdef double next_uniform(Twister *twister) noexcept nogil:
    """`random()`: 53 bits of two words."""
    cdef uint32_t high = next_word(twister) >> 5, low = next_word(twister) >> 6
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0)


def shuffle_order(Array order, rng):
    """Make `order`, an array of typecode "I", what list(range(len(order))) becomes by rng.shuffle, many times faster for a
    random.Random. Whoever goes through a list in this order need not copy it, and touches what it uses alone."""
    shuffle_and_fill(order, None, 0.0, rng)


cdef int shuffle_and_fill(Array order, Doubles numbers, double deviation, rng) except -1:
    """shuffle_order(order, rng), then numbers[i] = rng.gauss(0, deviation), one after the other; None for what is not wanted."""
    cdef Twister twister
    cdef size_t i, n = 0 if order is None else len(order)
    if order is not None and order.typecode != "I":
        raise TypeError("an order is an array of typecode 'I'")
    if type(rng) is not random.Random or n > INT32_MAX:     # its methods may be anything
        if order is not None:
            shuffled = list(range(n))
            rng.shuffle(shuffled)
            order[:] = array.array("I", shuffled)
        for i in range(0 if numbers is None else numbers.n):
            numbers.at[i] = rng.gauss(0, deviation)
        return 0
    spare = rng.gauss_next                      # normal numbers come in pairs
    take_words(&twister, rng)
    for i in range(n):
        order.data.as_uints[i] = <unsigned int>i
    shuffle_numbers(NULL if order is None else order.data.as_uints, <uint32_t>n, &twister)
    if numbers is not None:
        spare = fill_normal(numbers, deviation, spare, &twister)
    give_words(&twister, rng)
    rng.gauss_next = spare
    return 0


cdef object fill_normal(Doubles numbers, double deviation, given, Twister *twister):
    """numbers[i] = random.gauss(0, deviation). given: the second of a pair that is left, or None; the same is returned."""
    cdef size_t i
    cdef bint has_spare = given is not None
    cdef double angle, radius, spare = given if has_spare else 0.0
    for i in range(numbers.n):
        if has_spare:
            numbers.at[i] = 0.0 + spare * deviation
        else:
            angle = next_uniform(twister) * (2.0 * M_PI)
            radius = sqrt(-2.0 * log(1.0 - next_uniform(twister)))
            numbers.at[i] = 0.0 + separate_cos(angle) * radius * deviation
            spare = separate_sin(angle) * radius
        has_spare = not has_spare
    return spare if has_spare else None


cdef void shuffle_numbers(unsigned int *items, uint32_t n, Twister *twister) noexcept nogil:
    """A number too large is drawn again in random.shuffle. Here an item is then swapped with itself, and it is its turn once
    more: which of the two happens is chance, and no branch that could be foreseen."""
    cdef uint32_t last = n - 1, chosen, large, least
    cdef int used, shift = 0        # bits of a word that are not looked at
    cdef unsigned int item
    while n > 1 and last > 0:
        while (last + 1) >> (31 - shift) == 0:
            shift += 1
        least = (1u << (31 - shift)) - 1        # the last item of which so many bits choose
        if twister.used >= WORDS:
            twist(twister)
        used = twister.used                     # in a register: what is swapped might be where it lies, to a compiler
        while last >= least and last > 0 and used < WORDS:
            chosen = twister.drawn[used] >> shift
            large = chosen > last
            chosen = last if large else chosen
            item = items[last]
            items[last] = items[chosen]
            items[chosen] = item
            last -= 1 - large
            used += 1
        twister.used = used
